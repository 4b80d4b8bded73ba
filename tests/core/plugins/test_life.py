"""The hooks around a Monitor's life: what opens store and control, what runs when it is ready and when it closes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from deadstop import DeadstopError, Monitor, StepKind, homes, hookimpl
from deadstop.storage.sqlite import SqliteEventStore

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from deadstop.control import ControlStore
    from deadstop.specs import PolicySpec
    from deadstop.storage import EventStore

    from .conftest import MakeMonitor


class Living:
    """Writes down when it was called, and what the Monitor could do by then."""

    def __init__(self) -> None:
        self.log: list[object] = []

    @hookimpl
    def deadstop_configure(self, monitor: Monitor) -> None:
        """The Monitor is ready: it can do everything."""
        monitor.begin(StepKind.TOOL, "warm-up").end()
        self.log.append(("configure", monitor, monitor.is_killed("a")))

    @hookimpl
    def deadstop_unconfigure(self, monitor: Monitor) -> None:
        """It still can."""
        self.log.append(("unconfigure", monitor, len(monitor.get_events())))


def test_hook_deadstop_configure_is_called_once_when_the_monitor_is_ready(make_monitor: MakeMonitor) -> None:
    plugin = Living()
    monitor = make_monitor(plugin)
    assert plugin.log == [("configure", monitor, False)]


def test_hook_deadstop_configure_that_raises_fails_the_set_up_and_names_the_plugin(tmp_path: Path) -> None:
    class Broken:
        @hookimpl
        def deadstop_configure(self, monitor: Monitor) -> None:
            raise RuntimeError("no licence")

    with pytest.raises(DeadstopError, match=r"'Broken'.*no licence"):
        Monitor(home=tmp_path / "home", plugins=[Broken()], discover=False)


class NoConfigure:
    """Fails when the Monitor is all but ready."""

    @hookimpl
    def deadstop_configure(self, monitor: Monitor) -> None:
        """Fail."""
        raise DeadstopError("no licence")


class NoPolicies:
    """Fails when the home is open already."""

    @hookimpl
    def deadstop_policies(self) -> Iterable[PolicySpec]:
        """Fail."""
        raise DeadstopError("no licence")


@pytest.mark.parametrize("plugin", [NoConfigure(), NoPolicies()], ids=lambda plugin: type(plugin).__name__)
def test_a_set_up_that_failed_leaves_no_thread_and_no_open_home(tmp_path: Path, plugin: object) -> None:
    threads, open_before = set(threading.enumerate()), homes.open_homes()
    with pytest.raises(DeadstopError, match="no licence"):
        Monitor(home=tmp_path / "home", plugins=[plugin], discover=False)
    assert homes.open_homes() == open_before
    assert set(threading.enumerate()) <= threads


def test_hook_deadstop_unconfigure_is_called_once_while_the_monitor_still_works(make_monitor: MakeMonitor) -> None:
    plugin = Living()
    monitor = make_monitor(plugin)
    monitor.close()
    monitor.close()
    assert plugin.log[1:] == [("unconfigure", monitor, 1)]


@pytest.mark.isolates
def test_hook_deadstop_unconfigure_that_raises_keeps_nobody_from_closing(make_monitor: MakeMonitor) -> None:
    class Broken:
        @hookimpl
        def deadstop_unconfigure(self, monitor: Monitor) -> None:
            raise ZeroDivisionError

    plugin = Living()
    monitor = make_monitor(Broken(), plugin, Broken())
    monitor.close()
    assert len(plugin.log) == 2
    assert monitor.home.isolation.counts["hook deadstop_unconfigure of Broken"] == 1


def test_hook_deadstop_store_of_a_plugin_comes_before_the_built_in_one(
    make_monitor: MakeMonitor, tmp_path: Path
) -> None:
    asked: list[str] = []
    store = SqliteEventStore(tmp_path / "elsewhere")

    class Plugin:
        @hookimpl
        def deadstop_store(self, url: str) -> EventStore | None:
            asked.append(url)
            return store

    monitor = make_monitor(Plugin())
    monitor.begin(StepKind.TOOL, "search").end()
    assert monitor.drain(5)
    assert monitor.event_store is store
    assert [event["name"] for event in store.read()] == ["search"]
    assert asked[0].startswith("sqlite://")


def test_hook_deadstop_store_that_knows_no_such_url_leaves_it_to_the_next(make_monitor: MakeMonitor) -> None:
    class Plugin:
        @hookimpl
        def deadstop_store(self, url: str) -> EventStore | None:
            return None

    assert isinstance(make_monitor(Plugin()).event_store, SqliteEventStore)


def test_hook_deadstop_control_of_a_plugin_comes_before_the_built_in_one(
    make_monitor: MakeMonitor, tmp_path: Path
) -> None:
    from deadstop.control import open_control

    opened: list[ControlStore] = []

    class Plugin:
        @hookimpl
        def deadstop_control(self, url: str) -> ControlStore | None:
            opened.append(open_control(tmp_path / "elsewhere"))
            return opened[0]

    monitor = make_monitor(Plugin())
    assert monitor.control is opened[0]
    monitor.kill_agent("sales")
    again = open_control(tmp_path / "elsewhere")
    assert again.current().is_killed("sales")
    again.close()


def test_what_deadstop_brings_itself_comes_through_the_same_hooks(make_monitor: MakeMonitor) -> None:
    """Judge, stores, commands and thread scopes are the plugin named `deadstop`."""
    hooks = make_monitor().plugins.manager.hook
    for name in ("policies", "adapters", "store", "control", "commands"):
        owners = {impl.plugin_name for impl in getattr(hooks, f"deadstop_{name}").get_hookimpls()}
        assert "deadstop" in owners
