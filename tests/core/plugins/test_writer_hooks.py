"""The hooks that hear what happened: on the writer thread, each isolated from the others and from the agent."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import pytest

from deadstop import Action, AgentEvent, AgentKilled, AgentStopped, Monitor, StepKind, Verdict, hookimpl
from deadstop.specs import SinkSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from deadstop import Step

    from .conftest import MakeMonitor, Until


class Listening:
    """Keeps what it hears, and on which thread."""

    def __init__(self) -> None:
        self.heard: list[AgentEvent] = []
        self.threads: set[str] = set()

    @hookimpl
    def deadstop_event(self, event: AgentEvent) -> None:
        """Keep."""
        self.heard.append(event)
        self.threads.add(threading.current_thread().name)


def work(monitor: Monitor, name: str = "search", **data: object) -> None:
    """One tool call."""
    monitor.begin(StepKind.TOOL, name, agent="sales", data=data).end()


def names(events: Iterable[AgentEvent]) -> list[str | None]:
    """The names of the steps that *events* tell of."""
    return [event.name for event in events]


# -- deadstop_event and deadstop_sinks --------------------------------------------------------------------------------


def test_hook_deadstop_event_hears_each_stored_event_on_the_writer_thread(
    make_monitor: MakeMonitor, until: Until
) -> None:
    plugin = Listening()
    monitor = make_monitor(plugin)
    for name in ("a", "b", "c"):
        work(monitor, name)
    until(lambda: len(plugin.heard) == 3)
    assert names(plugin.heard) == ["a", "b", "c"]
    assert plugin.threads.isdisjoint({threading.current_thread().name})
    assert {event["name"] for event in monitor.get_events()} == {"a", "b", "c"}


def test_hook_deadstop_event_of_a_plugin_in_two_monitors_of_one_home_hears_each_event_once(
    make_monitor: MakeMonitor, until: Until
) -> None:
    """Both Monitors find the same installed plugin, and share one writer."""
    plugin = Listening()
    first, second = make_monitor(plugin), make_monitor(plugin)
    work(first, "a")
    work(second, "b")
    assert first.drain(5)
    until(lambda: "b" in names(plugin.heard))
    assert sorted(str(name) for name in names(plugin.heard)) == ["a", "b"]


def test_hook_deadstop_sinks_are_built_with_their_monitor_and_get_each_event(
    make_monitor: MakeMonitor, until: Until
) -> None:
    heard: list[AgentEvent] = []
    built: list[Monitor] = []

    class Plugin:
        @hookimpl
        def deadstop_sinks(self, config: object) -> Iterable[SinkSpec]:
            yield SinkSpec(name="mine", summary="keeps them", build=self.build)

        def build(self, monitor: Monitor) -> Callable[[AgentEvent], None]:
            built.append(monitor)
            return heard.append

    monitor = make_monitor(Plugin())
    work(monitor, "a")
    until(lambda: heard)
    assert built == [monitor]
    assert names(heard) == ["a"]


@pytest.mark.isolates
def test_hook_deadstop_event_that_raises_keeps_nobody_else_from_hearing(
    make_monitor: MakeMonitor, until: Until
) -> None:
    class Broken:
        @hookimpl
        def deadstop_event(self, event: AgentEvent) -> None:
            raise ZeroDivisionError(event.name)

    before, after = Listening(), Listening()
    monitor = make_monitor(before, Broken(), after)
    work(monitor, "a")
    work(monitor, "b")
    until(lambda: len(before.heard) == 2 and len(after.heard) == 2)
    assert len(monitor.get_events()) == 2
    assert any("Broken" in place for place in monitor.status()["isolated"])


@pytest.mark.isolates
def test_hook_deadstop_event_that_fails_again_and_again_is_quarantined(make_monitor: MakeMonitor, until: Until) -> None:
    """A dead webhook must not be tried for each of a million events; the others hear all of them."""

    class Broken:
        calls = 0

        @hookimpl
        def deadstop_event(self, event: AgentEvent) -> None:
            Broken.calls += 1
            raise ZeroDivisionError

    listening = Listening()
    monitor = make_monitor(Broken(), listening)
    for _ in range(200):
        work(monitor)
    until(lambda: len(listening.heard) == 200)
    assert 0 < Broken.calls < 200


# -- deadstop_redact --------------------------------------------------------------------------------------------------


def test_hook_deadstop_redact_comes_before_everything_that_stores_or_tells(
    make_monitor: MakeMonitor, until: Until
) -> None:
    class Redacting:
        @hookimpl
        def deadstop_redact(self, event: AgentEvent) -> AgentEvent | None:
            event.data = dict.fromkeys(event.data, "[removed]")
            return event

    listening = Listening()
    monitor = make_monitor(listening, Redacting())
    work(monitor, password="hunter2")
    until(lambda: listening.heard)
    assert listening.heard[0].data == {"password": "[removed]"}
    assert monitor.get_events()[0]["data"] == {"password": "[removed]"}


def test_hook_deadstop_redact_drops_an_event_by_returning_none(make_monitor: MakeMonitor) -> None:
    class Dropping:
        @hookimpl
        def deadstop_redact(self, event: AgentEvent) -> AgentEvent | None:
            return None if event.name == "secret" else event

    monitor = make_monitor(Dropping())
    work(monitor, "secret")
    work(monitor, "search")
    assert [event["name"] for event in monitor.get_events()] == ["search"]


@pytest.mark.isolates
def test_hook_deadstop_redact_that_raises_drops_the_payload_and_leaks_nothing(
    make_monitor: MakeMonitor, until: Until
) -> None:
    """That something happened is evidence; what was in it may have been a secret."""

    class Broken:
        @hookimpl
        def deadstop_redact(self, event: AgentEvent) -> AgentEvent | None:
            raise ZeroDivisionError

    listening = Listening()
    monitor = make_monitor(listening, Broken())
    work(monitor, password="hunter2")
    until(lambda: listening.heard)
    (stored,) = monitor.get_events()
    assert stored["name"] == "search"
    assert "hunter2" not in str(stored)
    assert "hunter2" not in str(listening.heard[0])
    assert any("redact" in place for place in monitor.status()["isolated"])


# -- deadstop_alert ---------------------------------------------------------------------------------------------------


class Warning_:  # noqa: N801 - `Warning` is Python's
    """Warns about one tool."""

    @hookimpl
    def deadstop_judge(self, step: Step) -> Verdict | None:
        """Warn."""
        return Verdict(Action.WARN, "house-rules", "that one is slow") if step.name == "slow" else None


def test_hook_deadstop_alert_hears_of_warnings_and_of_nothing_else(make_monitor: MakeMonitor, until: Until) -> None:
    heard: list[AgentEvent] = []

    class Plugin:
        @hookimpl
        def deadstop_alert(self, alert: AgentEvent) -> None:
            heard.append(alert)

    monitor = make_monitor(Warning_(), Plugin())
    work(monitor, "search")
    work(monitor, "slow")
    assert monitor.drain(5)
    until(lambda: heard)
    (alert,) = heard
    assert (alert.event_type, alert.agent, alert.name) == ("alert", "sales", "slow")
    assert (alert.data["policy"], alert.data["reason"]) == ("house-rules", "that one is slow")


# -- deadstop_stopped and deadstop_revived ----------------------------------------------------------------------------


class Hearing:
    """Keeps stops and revivals."""

    def __init__(self) -> None:
        self.stops: list[AgentStopped] = []
        self.revived: list[str] = []
        self.threads: set[str] = set()

    @hookimpl
    def deadstop_stopped(self, stop: AgentStopped) -> None:
        """Keep."""
        self.stops.append(stop)
        self.threads.add(threading.current_thread().name)

    @hookimpl
    def deadstop_revived(self, target: str) -> None:
        """Keep."""
        self.revived.append(target)


def test_hook_deadstop_stopped_is_called_once_for_a_run_however_often_it_tries(
    make_monitor: MakeMonitor, until: Until
) -> None:
    plugin = Hearing()
    monitor = make_monitor(plugin)
    monitor.kill_agent("sales", "burning money")

    def try_three_times() -> None:
        with monitor.run():
            for _ in range(3):
                with contextlib.suppress(AgentKilled):
                    work(monitor)

    with pytest.raises(AgentKilled):
        try_three_times()
    until(lambda: plugin.stops)
    assert monitor.drain(5)
    (stop,) = plugin.stops
    assert str(stop) == "sales killed: burning money (policy kill)"
    assert plugin.threads.isdisjoint({threading.current_thread().name})


@pytest.mark.isolates
def test_hook_deadstop_stopped_that_raises_is_isolated(make_monitor: MakeMonitor, until: Until) -> None:
    class Broken:
        @hookimpl
        def deadstop_stopped(self, stop: AgentStopped) -> None:
            raise ZeroDivisionError

    plugin = Hearing()
    monitor = make_monitor(Broken(), plugin)
    monitor.kill_agent("sales", "burning money")
    with pytest.raises(AgentKilled):
        work(monitor)
    until(lambda: plugin.stops)
    assert monitor.status()["isolated"]


def test_hook_deadstop_revived_is_told_who_may_go_on(make_monitor: MakeMonitor, until: Until) -> None:
    plugin = Hearing()
    monitor = make_monitor(plugin)
    monitor.kill_agent("sales")
    monitor.kill_session("s1")
    monitor.kill_global()
    monitor.revive("sales", "s1")
    monitor.revive_global()
    until(lambda: len(plugin.revived) == 3)
    assert sorted(plugin.revived) == ["agent:sales", "global", "session:s1"]


def test_hook_deadstop_revived_is_told_of_the_end_of_a_pause(make_monitor: MakeMonitor, until: Until) -> None:
    plugin = Hearing()
    monitor = make_monitor(plugin)
    monitor.pause("sales")
    monitor.resume("sales")
    until(lambda: plugin.revived)
    assert plugin.revived == ["agent:sales"]
