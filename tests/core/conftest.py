"""Fixtures of the core's tests: a Monitor on a home of its own, and no isolated failure that nobody looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deadstop import Monitor, homes, scopes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the user's own state."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("DEADSTOP_HOME", raising=False)


@pytest.fixture(autouse=True)
def _own_scope() -> Iterator[None]:
    """A test may leave steps open; the next one starts outside all of them."""
    scopes.current.set(None)
    yield
    scopes.current.set(None)


@pytest.fixture(autouse=True)
def _no_isolated_failures(request: pytest.FixtureRequest, _own_state: None) -> Iterator[None]:
    """In production our own failures are isolated; in tests they fail the test, unless it is marked `isolates`."""
    yield
    left = [home for home in homes.open_homes() if home.isolation.counts]
    counts = {place: home.isolation.last[place] for home in left for place in home.isolation.counts}
    if request.node.get_closest_marker("isolates") is None:
        assert not counts


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    """A Monitor on a fresh home, without plugins from entry points."""
    monitor = Monitor(home=tmp_path / "home", discover=False)
    yield monitor
    monitor.close()
