"""A Monitor with plugins made on the spot, and the fake distribution on the path."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from deadstop import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deadstop import MonitorConfig

FAKE_DISTRIBUTION = Path(__file__).parents[2] / "data" / "fake_distribution"


class MakeMonitor(Protocol):
    """Makes a Monitor on the test's home with exactly the plugins given."""

    def __call__(self, *plugins: object, config: MonitorConfig | None = None, discover: bool = False) -> Monitor: ...


@pytest.fixture
def make_monitor(tmp_path: Path) -> Iterator[MakeMonitor]:
    """All are closed in the end."""
    made: list[Monitor] = []

    def make(*plugins: object, config: MonitorConfig | None = None, discover: bool = False) -> Monitor:
        monitor = Monitor(config, home=tmp_path / "home", plugins=plugins, discover=discover)
        made.append(monitor)
        return monitor

    yield make
    for monitor in reversed(made):
        monitor.close()


@pytest.fixture
def fake_distribution(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The distribution `deadstop-fake` is installed: its entry points are found."""
    monkeypatch.syspath_prepend(str(FAKE_DISTRIBUTION))
    yield FAKE_DISTRIBUTION
    for name in [name for name in sys.modules if name.startswith("deadstop_fake_")]:
        del sys.modules[name]


class Until(Protocol):
    """Waits until the condition holds; fails the test if it does not within the bound."""

    def __call__(self, condition: Callable[[], Any], *, seconds: float = 10.0) -> None: ...


@pytest.fixture
def until() -> Until:
    """Poll with a deadline."""

    def wait(condition: Callable[[], Any], *, seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.005)

    return wait


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """No test of this folder leaves a thread behind: a Monitor that was never closed would go on writing."""
    before = set(threading.enumerate())
    yield
    assert {thread.name for thread in threading.enumerate() if thread not in before} == set()
