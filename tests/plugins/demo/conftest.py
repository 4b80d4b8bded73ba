"""The demo as somebody meets it: in a process of its own, on a state directory of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

for framework in ("langgraph", "langchain_openai", "rich"):
    pytest.importorskip(framework)


def _listens_to_control_c() -> None:
    """A run in the background ignores SIGINT, and hands that down: the process under test must not inherit it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A terminal with all that must not matter: keys, proxies that lead nowhere, tracing."""
    (tmp_path / "elsewhere").mkdir()
    nowhere = "http://127.0.0.1:9"
    found = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("DEADSTOP", "COV"))},
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "TMPDIR": str(tmp_path / "elsewhere"),
        "OPENAI_API_KEY": "not yours",
        "OPENAI_BASE_URL": nowhere,
        "OPENAI_PROXY": nowhere,
        "HTTP_PROXY": nowhere,
        "ALL_PROXY": nowhere,
        "http_proxy": nowhere,
        "LANGSMITH_TRACING": "true",
        "LANGCHAIN_TRACING_V2": "true",
        "LANGSMITH_ENDPOINT": nowhere,
        "LANGSMITH_API_KEY": "not yours",
    }
    if not any(entry.name == "demo" for entry in entry_points(group="deadstop")):  # a checkout that is not installed
        info = tmp_path / "site" / "deadstop_checkout-0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: deadstop-checkout\nVersion: 0\n")
        (info / "entry_points.txt").write_text("[deadstop]\ndemo = deadstop_demo\n")
        found["PYTHONPATH"] = str(info.parent)
    return found


class Play(Protocol):
    """Plays the demo to its end with `--json`; returns the exit code, the numbers and stderr."""

    def __call__(self, *arguments: str) -> tuple[int, dict[str, Any], str]: ...


@pytest.fixture
def play(environment: dict[str, str], tmp_path: Path) -> Play:
    """The demo, with its numbers."""

    def run(*arguments: str) -> tuple[int, dict[str, Any], str]:
        done = subprocess.run(
            [sys.executable, "-m", "deadstop", "demo", "--json", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout), done.stderr

    return run


@pytest.fixture
def on_stage(environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The demo, waiting for somebody to type in another terminal."""
    process = subprocess.Popen(
        [sys.executable, "-m", "deadstop", "demo"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_listens_to_control_c,  # noqa: PLW1509 - one call of signal(), no lock
    )
    yield process
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.communicate()
