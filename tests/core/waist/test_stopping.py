"""Stopping: kills and pauses refuse the next step, the latch keeps refusing, the boundary lets no stop be swallowed."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from deadstop import (
    Action,
    AgentKilled,
    AgentPaused,
    AgentStopped,
    Monitor,
    MonitorConfig,
    StepDenied,
    StepKind,
    Verdict,
    hookimpl,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deadstop import Step

MODEL, TOOL = StepKind.MODEL, StepKind.TOOL


class Judge:
    """A plugin whose verdict the test sets."""

    def __init__(self, decide: Callable[[Step], Verdict | None]) -> None:
        self.decide = decide
        self.asked = 0

    @hookimpl
    def deadstop_judge(self, step: Step) -> Verdict | None:
        self.asked += 1
        return self.decide(step)


def with_judge(tmp_path: Path, decide: Callable[[Step], Verdict | None]) -> tuple[Monitor, Judge]:
    judge = Judge(decide)
    return Monitor(home=tmp_path / "home", discover=False, plugins=[judge]), judge


def test_a_killed_agent_is_refused_by_name_policy_and_reason(monitor: Monitor) -> None:
    monitor.kill_agent("sales", "burning money")
    with pytest.raises(AgentKilled) as caught:
        monitor.begin(MODEL, "m", agent="sales", session_id="s1")
    stop = caught.value
    assert str(stop) == "sales killed: burning money (policy kill)"
    assert (stop.agent, stop.session_id, stop.policy, stop.reason) == ("sales", "s1", "kill", "burning money")
    assert stop.verdict.action is Action.KILL


@pytest.mark.parametrize("kind", list(StepKind))
def test_every_kind_of_step_is_refused(monitor: Monitor, kind: StepKind) -> None:
    monitor.kill_global("all of you")
    with pytest.raises(AgentKilled, match="all of you"):
        monitor.begin(kind, "x")


def test_sessions_runs_and_tags_are_killed_apart(monitor: Monitor) -> None:
    monitor.kill_session("s1")
    monitor.kill_tag("batch")
    with pytest.raises(AgentKilled):
        monitor.begin(TOOL, "t", session_id="s1")
    with pytest.raises(AgentKilled):
        monitor.begin(TOOL, "t", tags=["batch"])
    monitor.begin(TOOL, "t", session_id="s2", tags=["interactive"]).end()
    with monitor.run() as run:
        monitor.begin(TOOL, "t").end()
        monitor.kill_run(run.run.id)
        with pytest.raises(AgentKilled):
            monitor.begin(TOOL, "t")
        monitor.revive_run(run.run.id)


def test_a_step_belongs_to_every_agent_on_its_path(monitor: Monitor) -> None:
    with monitor.agent("boss"), monitor.agent("worker"):
        monitor.kill_agent("boss")
        with pytest.raises(AgentKilled, match="boss killed"):
            monitor.begin(TOOL, "t")
        monitor.revive("boss")


def test_a_swallowed_stop_refuses_every_later_step_and_leaves_the_run(monitor: Monitor) -> None:
    refused = 0
    with pytest.raises(AgentKilled), monitor.run("job"):
        monitor.kill_agent("default", "enough")
        for _ in range(5):
            try:
                monitor.begin(MODEL, "m")
            except Exception:
                refused += 1
    assert refused == 5


def test_a_stop_hidden_in_a_cause_or_a_group_leaves_the_run_as_itself(monitor: Monitor) -> None:
    with pytest.raises(AgentKilled) as caught, monitor.run():
        monitor.kill_agent("default")
        try:
            monitor.begin(MODEL, "m")
        except AgentKilled as stop:
            inner = stop
            raise RuntimeError("wrapped by a framework") from stop
    assert caught.value is inner


def test_a_stop_inside_an_exception_group_leaves_the_run_as_itself(monitor: Monitor) -> None:
    if not hasattr(asyncio, "TaskGroup"):
        pytest.skip("needs Python 3.11")

    async def work() -> None:
        monitor.begin(MODEL, "m")

    async def job() -> None:
        async with monitor.run():
            monitor.kill_agent("default", "group")
            async with asyncio.TaskGroup() as group:
                group.create_task(work())
                group.create_task(work())

    with pytest.raises(AgentKilled, match="group"):
        asyncio.run(job())


def test_a_kill_after_the_last_step_throws_no_answer_away(monitor: Monitor) -> None:
    with monitor.run():
        monitor.begin(MODEL, "m").end()
        monitor.kill_agent("default", "too late")
    monitor.revive("default")


def test_an_error_of_the_users_own_passes_when_nothing_was_refused(monitor: Monitor) -> None:
    with pytest.raises(KeyError), monitor.run():
        monitor.kill_agent("default", "unseen")
        raise KeyError("mine")


@pytest.mark.parametrize("other", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_interrupts_and_cancellations_win_over_a_stop(monitor: Monitor, other: type[BaseException]) -> None:
    with pytest.raises(other), monitor.run():
        monitor.kill_agent("default")
        with pytest.raises(AgentKilled):
            monitor.begin(MODEL, "m")
        raise other


def test_a_revive_opens_the_latch_of_the_same_run(monitor: Monitor) -> None:
    with monitor.run():
        monitor.kill_agent("default")
        with pytest.raises(AgentKilled):
            monitor.begin(MODEL, "m")
        monitor.revive("default")
        monitor.begin(MODEL, "m").end()


def test_an_unrelated_kill_does_not_open_the_latch(monitor: Monitor) -> None:
    with pytest.raises(AgentKilled), monitor.run():
        monitor.kill_agent("default")
        with pytest.raises(AgentKilled):
            monitor.begin(MODEL, "m")
        monitor.kill_agent("somebody else")


def test_a_timed_pause_ends_by_itself(monitor: Monitor) -> None:
    monitor.pause("default", seconds=0.15, reason="breathe")
    with monitor.run():
        with pytest.raises(AgentPaused, match="default paused: breathe") as caught:
            monitor.begin(MODEL, "m")
        assert 0 < (caught.value.retry_after or 0) <= 0.15
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                monitor.begin(MODEL, "m").end()
                break
            except AgentPaused:
                time.sleep(0.01)
        else:
            pytest.fail("the pause never ended")


def test_pause_and_kill_are_lifted_apart(monitor: Monitor) -> None:
    monitor.pause("default")
    monitor.kill_agent("default")
    monitor.revive("default")
    with pytest.raises(AgentPaused):
        monitor.begin(MODEL, "m")
    monitor.kill_agent("default")
    monitor.resume("default")
    with pytest.raises(AgentKilled):
        monitor.begin(MODEL, "m")


def test_a_stream_is_cut_at_its_next_chunk(monitor: Monitor) -> None:
    step = monitor.begin(MODEL, "m")
    step.tick()
    monitor.kill_agent("default", "stop talking")
    with pytest.raises(AgentKilled, match="stop talking"):
        step.tick()
    with pytest.raises(AgentKilled):
        step.tick()
    step.end()
    cut = next(row for row in monitor.get_events() if row["kind"] == "model" and row["event_type"] == "action")
    assert cut["data"]["chunks"] == 3  # type: ignore[index]


def test_a_refusal_below_cuts_the_streams_of_the_same_run(monitor: Monitor) -> None:
    with pytest.raises(AgentKilled), monitor.run():
        stream = monitor.begin(MODEL, "m", agent="a")
        stream.tick()
        monitor.kill_agent("b")
        with pytest.raises(AgentKilled):
            monitor.begin(MODEL, "m", agent="b")
        with pytest.raises(AgentKilled):
            stream.tick()


def test_a_loop_of_the_users_own_can_check(monitor: Monitor) -> None:
    monitor.check()
    with pytest.raises(AgentKilled), monitor.agent("a"):
        monitor.check()
        monitor.kill_agent("a")
        monitor.check()


def test_deny_refuses_one_tool_and_the_run_goes_on(tmp_path: Path) -> None:
    monitor, _ = with_judge(
        tmp_path, lambda s: Verdict(Action.DENY, "tools", "not this one") if s.name == "rm" else None
    )
    with monitor, monitor.run():
        with pytest.raises(StepDenied, match=r"rm was refused: not this one \(policy tools\)"):
            monitor.begin(TOOL, "rm")
        monitor.begin(TOOL, "ls").end()
        denials = [row for row in monitor.get_events(event_type="denial") if row["name"] == "rm"]
        assert [row["data"]["policy"] for row in denials] == ["tools"]  # type: ignore[index]


def test_deny_of_a_model_call_stops_the_run(tmp_path: Path) -> None:
    monitor, _ = with_judge(tmp_path, lambda s: Verdict(Action.DENY, "models", "no") if s.kind is MODEL else None)
    with monitor, pytest.raises(AgentStopped), monitor.run():
        with pytest.raises(AgentStopped):
            monitor.begin(MODEL, "m")
        monitor.begin(TOOL, "t")


def test_a_warning_is_told_and_the_step_goes_on(tmp_path: Path) -> None:
    monitor, _ = with_judge(tmp_path, lambda _: Verdict(Action.WARN, "watch", "hm"))
    with monitor:
        monitor.begin(TOOL, "t").end()
        assert [row["event_type"] for row in monitor.get_events()][::-1] == ["alert", "action"]


def test_a_stop_is_cached_and_judges_are_not_asked_again(tmp_path: Path) -> None:
    monitor, judge = with_judge(tmp_path, lambda _: Verdict(Action.KILL, "mine", "no"))
    with monitor, pytest.raises(AgentKilled), monitor.run():
        for _ in range(50):
            with pytest.raises(AgentKilled):
                monitor.begin(MODEL, "m")
        asked = judge.asked
    assert asked == 1


def test_a_verdict_about_the_agent_holds_for_other_runs_until_revived(tmp_path: Path) -> None:
    first = [Verdict(Action.KILL, "guard", "once is enough", target="agent")]
    monitor, _ = with_judge(tmp_path, lambda _: first.pop() if first else None)
    with monitor:
        with pytest.raises(AgentKilled):
            monitor.begin(MODEL, "m", agent="a")
        with pytest.raises(AgentKilled, match="once is enough"):
            monitor.begin(MODEL, "m", agent="a")
        assert monitor.is_killed("a")
        monitor.begin(MODEL, "m", agent="b").end()
        monitor.revive("a")
        monitor.begin(MODEL, "m", agent="a").end()


def test_a_refused_step_gives_back_what_judges_took(tmp_path: Path) -> None:
    taken: list[int] = []

    def take_then_refuse(step: Step) -> Verdict:
        taken.append(1)
        step.hold(lambda _: taken.append(-1))
        return Verdict(Action.KILL, "p", "r")

    monitor, _ = with_judge(tmp_path, take_then_refuse)
    with monitor, pytest.raises(AgentKilled):
        monitor.begin(MODEL, "m")
    assert sum(taken) == 0
    assert len(taken) == 2


def test_a_refused_step_is_no_parent_and_no_activity(monitor: Monitor) -> None:
    with monitor.run() as run:
        monitor.kill_tag("x")
        with pytest.raises(AgentKilled):
            monitor.begin(MODEL, "m", tags=["x"])
        monitor.revive_tag("x")
        assert monitor.begin(TOOL, "t").parent is run
    assert [row["event_type"] for row in reversed(monitor.get_events())] == ["kill", "denial", "revive"]


def test_repeated_refusals_are_one_event_and_a_count(monitor: Monitor) -> None:
    monitor.kill_agent("default")
    with pytest.raises(AgentKilled), monitor.run():
        for _ in range(100):
            with pytest.raises(AgentKilled):
                monitor.begin(MODEL, "m")
    monitor.close()
    with Monitor(home=monitor.home.path, discover=False) as reader:
        rows = reader.get_events(event_type="denial")
    repeats = [int(row["data"].get("repeats", 1)) for row in rows]  # type: ignore[attr-defined]
    assert len(rows) <= 4
    assert sum(repeats) == 100


class TestMembers:
    """A nested agent that is killed alone."""

    @staticmethod
    def monitor(tmp_path: Path, on_member_stop: Any) -> Monitor:
        return Monitor(MonitorConfig(on_member_stop=on_member_stop), home=tmp_path / "home", discover=False)

    def test_by_default_its_stop_stops_the_whole_run(self, tmp_path: Path) -> None:
        with self.monitor(tmp_path, "stop") as monitor:
            monitor.kill_agent("member")
            with pytest.raises(AgentKilled, match="member killed"), monitor.agent("boss"):
                with pytest.raises(AgentKilled), monitor.agent("member"):
                    pytest.fail("a killed member never starts")
                monitor.begin(TOOL, "t")

    def test_with_continue_its_caller_gets_a_refusal_and_goes_on(self, tmp_path: Path) -> None:
        with self.monitor(tmp_path, "continue") as monitor, monitor.agent("boss"):
            with pytest.raises(AgentKilled, match="member killed"), monitor.agent("member"):
                monitor.kill_agent("member")
                with pytest.raises(AgentKilled):
                    monitor.begin(MODEL, "m")  # the member swallows it: the end of its block is its boundary
            monitor.begin(TOOL, "t").end()

    def test_with_continue_a_kill_of_the_boss_still_stops_all(self, tmp_path: Path) -> None:
        with self.monitor(tmp_path, "continue") as monitor:
            with pytest.raises(AgentKilled, match="boss killed"), monitor.agent("boss"):
                with pytest.raises(AgentKilled), monitor.agent("member"):
                    monitor.kill_agent("boss")
                    monitor.begin(MODEL, "m")
                with pytest.raises(AgentKilled):
                    monitor.begin(TOOL, "t")


def test_100_threads_of_one_run_are_all_refused_after_the_kill(monitor: Monitor) -> None:
    admitted_after: list[float] = []
    killed_at: list[float] = []
    started = threading.Barrier(21)

    def work(parent: Any) -> None:
        started.wait()
        for _ in range(2_000):
            now = time.monotonic()
            try:
                monitor.begin(TOOL, "t", parent=parent).end()
            except AgentKilled:
                return
            if killed_at and now > killed_at[0]:
                admitted_after.append(now)

    with monitor.run() as run:
        threads = [threading.Thread(target=work, args=(run,)) for _ in range(20)]
        for thread in threads:
            thread.start()
        started.wait()
        monitor.kill_run(run.run.id)
        killed_at.append(time.monotonic())
        for thread in threads:
            thread.join()
        monitor.revive_run(run.run.id)
    assert admitted_after == []


def test_every_kill_and_every_revive_is_an_event_with_its_actor(monitor: Monitor) -> None:
    monitor.kill_agent("a", "why", actor="ada")
    monitor.kill_session("s")
    monitor.kill_global()
    monitor.revive("a", "s", actor="bob")
    monitor.revive_global()
    monitor.pause("a", seconds=60)
    monitor.resume("a")
    told = [(row["event_type"], row["data"]["target"]) for row in reversed(monitor.get_events())]  # type: ignore[index]
    assert told == [
        ("kill", "agent:a"),
        ("kill", "session:s"),
        ("kill", "global"),
        ("revive", "agent:a"),
        ("revive", "session:s"),
        ("revive", "global"),
        ("pause", "agent:a"),
        ("resume", "agent:a"),
    ]
    kill = monitor.get_events(event_type="kill", agent="a")[0]
    assert (kill["data"]["actor"], kill["data"]["reason"]) == ("ada", "why")  # type: ignore[index]
