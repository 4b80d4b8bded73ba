"""Benchmarks run only when they are asked for: `pytest tests/benchmarks --benchmark-only`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the modules beside this file


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave them out of every other run, with pytest-benchmark installed or not."""
    return None if config.getoption("benchmark_only", default=False) else True


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here touches the user's own state."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("DEADSTOP_HOME", raising=False)
