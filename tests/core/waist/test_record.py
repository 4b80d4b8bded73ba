"""`record`: the direct way in, which never raises and never loses evidence."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from deadstop import AgentEvent, Monitor, MonitorConfig, StepKind
from deadstop.config import AgentTrackConfig, StorageConfig

if TYPE_CHECKING:
    from pathlib import Path


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def loop() -> dict[str, Any]:
    data: dict[str, Any] = {}
    data["self"] = data
    return data


def test_an_event_is_on_the_next_line(monitor: Monitor) -> None:
    monitor.record(AgentEvent(time.time(), "sales", "action", {"model": "gpt-4"}, cost_usd=0.007, latency_ms=350.0))
    (row,) = monitor.get_events(agent="sales")
    assert list(row)[:9] == [
        "timestamp",
        "agent",
        "event_type",
        "data",
        "session_id",
        "user",
        "cost_usd",
        "latency_ms",
        "tags",
    ]
    assert (row["cost_usd"], row["latency_ms"], row["data"]) == (0.007, 350.0, {"model": "gpt-4"})


def test_the_callers_object_is_left_alone_and_can_be_recorded_again(monitor: Monitor) -> None:
    event = AgentEvent(time.time(), "a", "action")
    monitor.record(event)
    monitor.record(event)
    assert event.id == ""
    assert len(monitor.get_events()) == 2


def test_the_scope_fills_in_what_the_event_leaves_out(monitor: Monitor) -> None:
    with monitor.session("s1"), monitor.agent("boss") as turn:
        monitor.record(AgentEvent(time.time(), "worker", "cost", cost_usd=0.5))
    row = monitor.get_events(event_type="cost")[0]
    assert (row["agent"], row["session_id"], row["run_id"]) == ("worker", "s1", turn.run.id)
    assert row["agents"] == ["boss", "worker"]


@pytest.mark.isolates
@pytest.mark.parametrize(
    "event",
    [
        AgentEvent("now", "a", "action"),  # type: ignore[arg-type]
        AgentEvent(float("nan"), "a", "action", cost_usd=float("nan")),
        AgentEvent(1.0, "a", "action", cost_usd="0.5"),  # type: ignore[arg-type]
        AgentEvent(1.0, "a", "action", cost_usd=-1000.0, latency_ms=True),
        AgentEvent(1.0, "x[/foo]\n\x1b[31m" + "y" * 10_000, "no such type"),
        AgentEvent(1.0, None, None, None, tags="abc"),  # type: ignore[arg-type]
        AgentEvent(1.0, "a", "action", loop()),
        AgentEvent(1.0, "a", "action", {"o": Unprintable(), "s": {1, 2}, "b": b"\xff", "n": 2**80, "u": "\ud800"}),
        AgentEvent(1.0, "a", "action", {"big": "x" * 50_000_000}),
        AgentEvent(1.0, "a", "action", {f"k{n}": n for n in range(10_000)}),
        "not an event",
        None,
    ],
)
def test_bad_values_are_recorded_sanely_and_never_raise(monitor: Monitor, event: Any) -> None:
    monitor.record(event)
    monitor.record(AgentEvent(time.time(), "after", "action"))
    assert len(monitor.get_events(agent="after")) == 1
    assert len(monitor.get_events()) in {1, 2}


def test_what_a_killed_agent_does_is_no_activity_but_evidence(monitor: Monitor) -> None:
    monitor.kill_agent("a", "enough")
    for _ in range(20):
        monitor.record(AgentEvent(time.time(), "a", "action"))
    rows = monitor.get_events(agent="a")
    assert [row["event_type"] for row in rows] == ["denial", "kill"]
    assert rows[0]["data"]["policy"] == "kill"  # type: ignore[index]
    assert monitor.status()["refused_records"] == 20


def test_agents_config_filters_what_is_stored_and_never_what_is_enforced(tmp_path: Path) -> None:
    config = MonitorConfig(
        agents={
            "quiet": AgentTrackConfig(enabled=False),
            "errors": AgentTrackConfig(event_types=["error"], tags=["prod"]),
        }
    )
    with Monitor(config, home=tmp_path / "home", discover=False) as monitor:
        for agent in ("quiet", "errors", "other"):
            monitor.record(AgentEvent(time.time(), agent, "action"))
            monitor.record(AgentEvent(time.time(), agent, "error"))
        stored = {(row["agent"], row["event_type"], tuple(row["tags"])) for row in monitor.get_events()}  # type: ignore[arg-type]
        assert stored == {("errors", "error", ("prod",)), ("other", "action", ()), ("other", "error", ())}
        monitor.kill_agent("quiet")
        with pytest.raises(Exception, match="quiet killed"):
            monitor.begin(StepKind.TOOL, "t", agent="quiet")


def test_flush_drains_and_keeps_events_and_kills(monitor: Monitor) -> None:
    monitor.record(AgentEvent(time.time(), "a", "action"))
    monitor.kill_agent("b")
    monitor.flush()
    assert len(monitor.event_store.read()) >= 1
    assert monitor.is_killed("b")


def test_content_is_stored_only_where_the_config_asks_for_it(tmp_path: Path) -> None:
    config = MonitorConfig(storage=StorageConfig(content=True))
    with Monitor(config, home=tmp_path / "home", discover=False) as monitor:
        step = monitor.begin(
            StepKind.MODEL, "m", input=lambda: [{"role": "user", "text": "hi"}], arguments={"q": "x" * 9000}
        )
        step.end(output=lambda: "hello")
        data: Any = monitor.get_events()[0]["data"]
    assert data["input"] == [{"role": "user", "text": "hi"}]
    assert data["output"] == "hello"
    assert len(str(data["arguments"])) < 5000
