"""A config file in a temporary directory, as a user would write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from deadstop.config import ConfigError, MonitorConfig, load_config, not_built

if TYPE_CHECKING:
    from pathlib import Path


class Write(Protocol):
    """Writes text as `deadstop.yaml` and returns its path."""

    def __call__(self, text: str | bytes) -> Path: ...


class Load(Protocol):
    """Writes text as `deadstop.yaml` and loads it."""

    def __call__(self, text: str | bytes, sections: dict[str, type] | None = None) -> MonitorConfig: ...


class Problems(Protocol):
    """Writes text as `deadstop.yaml` and returns the problems that loading it names, without the file's name."""

    def __call__(self, text: str | bytes, sections: dict[str, type] | None = None) -> list[str]: ...


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(text: str | bytes) -> Path:
        path = tmp_path / "deadstop.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_file


@pytest.fixture
def load(write: Write) -> Load:
    def load_text(text: str | bytes, sections: dict[str, type] | None = None) -> MonitorConfig:
        return load_config(write(text), sections=sections)

    return load_text


@pytest.fixture
def problems(write: Write) -> Problems:
    def problems_of(text: str | bytes, sections: dict[str, type] | None = None) -> list[str]:
        path = write(text)
        with pytest.raises(ConfigError) as caught:
            load_config(path, sections=sections)
        assert str(caught.value) == "\n".join(caught.value.problems)
        assert all(problem.startswith(f"{path}:") for problem in caught.value.problems)
        return [problem.removeprefix(f"{path}:") for problem in caught.value.problems]

    return problems_of


@pytest.fixture
def all_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it will be once everything in the schema works: nothing is refused for not being built yet."""
    import sys

    monkeypatch.setattr(sys.modules[not_built.__module__], "_NOT_BUILT", ())
