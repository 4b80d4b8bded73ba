"""The scenarios in which something is stopped. Each has to fail with the adapter detached."""

from __future__ import annotations

import itertools
import time
from functools import partial
from typing import TYPE_CHECKING

from deadstop.testing.contract_case import SOON, Case, ContractServer, Killer, eventually
from deadstop.testing.contract_scenario import scenario
from deadstop.testing.contract_scripts import Boss, Worker, long_answer
from deadstop.testing.model_script import Turn
from deadstop.testing.offsets import kill_offsets

if TYPE_CHECKING:
    from deadstop.testing.contract_driver import Tolerance
    from deadstop.testing.request_log import RequestLog

CHUNKS = 60
"""Chunks of an answer that is to be cut."""


class StopScenarios:
    """What a kill must stop. See `AdapterContract`; `kills` is how many kills at random moments a scenario makes."""

    kills = 5

    def offsets(self, case: Case, longest: float) -> list[float]:
        """Return when to kill: up to *longest* seconds after the first request."""
        return kill_offsets(f"{case.mode.name} {case.way}", longest=longest, count=self.kills)

    def survives_no(self, case: Case, tolerance: Tolerance) -> None:
        """Kill agents that are built to survive failures."""
        agent = case.build(tolerance=tolerance)
        for offset, target in zip(self.offsets(case, 0.1), case.targets(), strict=False):
            case.says(case.runaway())
            case.one_run(f"in spite of {tolerance}", offset, target, agent)

    @scenario(stops=True)
    def test_killed_before_the_run(self, case: Case) -> None:
        """A run of a killed agent, session or everything makes no request at all."""
        case.says(case.runaway())
        agent = case.build()
        for target in itertools.islice(case.targets(), 3):
            target.kill("before it began")
            outcome = case.run(agent)
            target.lift()
            case.expect_stop(outcome, "before it began")
            assert case.server.count() == 0, f"{case.server.count()} requests of a killed agent"
            assert not case.tools.calls, "a tool of a killed agent was called"

    @scenario(stops=True)
    def test_kill_during_a_tool(self, case: Case) -> None:
        """A kill while a tool works: the tool ends, and neither the model nor a tool is called again."""
        agent = case.build()
        for target, reason in zip(case.targets(), ("in the first tool", "in the second", "in the third"), strict=False):
            case.says(case.runaway())
            killer = Killer(partial(target.kill, reason))
            case.tools.inside = killer.now
            outcome = case.run(agent)
            killed = killer.wait()
            target.lift()
            case.expect_stop(outcome, reason)
            case.expect_nothing_after(killed)

    @scenario(stops=True)
    def test_kill_during_a_model_call(self, case: Case) -> None:
        """A kill while the model thinks: the call in flight may finish, nothing comes after it."""
        agent, slow = case.build(), 0.04
        for offset, target in zip(self.offsets(case, slow * 0.6), case.targets(), strict=False):
            case.says(Worker(turns=6, seconds=slow))
            case.one_run("while it thought", offset, target, agent)

    @scenario(stops=True)
    def test_parallel_tools(self, case: Case) -> None:
        """A kill while several tools of one turn are at work."""
        agent, both = case.build(), Worker(turns=8, parallel=("work", "check"))
        case.tools.seconds = 0.02
        for offset, target in zip(self.offsets(case, 0.1), case.targets(), strict=False):
            case.says(both)
            case.one_run("in parallel", offset, target, agent)

    @scenario(stops=True)
    def test_framework_retries(self, case: Case) -> None:
        """The framework's retries try a stopped call again, and get no further."""
        self.survives_no(case, "retries")

    @scenario(stops=True)
    def test_fallbacks(self, case: Case) -> None:
        """A fallback has an answer ready; the caller gets the stop all the same."""
        self.survives_no(case, "fallbacks")

    @scenario(stops=True)
    def test_error_handlers(self, case: Case) -> None:
        """Error handlers of nodes, steps or tools go on after the stop; the caller gets it all the same."""
        self.survives_no(case, "error_handlers")

    @scenario(stops=True)
    def test_user_except(self, case: Case) -> None:
        """The user's own `except Exception` takes the stop for a failure; the caller gets it all the same."""
        self.survives_no(case, "user_except")

    @scenario(stops=True)
    def test_nested_agent_killed(self, case: Case) -> None:
        """An agent that another one calls as a tool is killed, only it: the whole run stops, and the stop names it."""
        boss = case.build("boss", tools=False, member=case.plan("helper"))
        for offset in self.offsets(case, 0.1):
            case.says(Boss("helper", case.runaway()))
            killer = Killer(lambda: case.monitor.kill_agent("helper", "only the helper"), offset)
            case.server.on_request = killer.when(lambda log: log.model == "model-of-helper")
            outcome = case.run(boss)
            killed = killer.wait()
            case.monitor.revive("helper")
            case.expect_stop(outcome, "only the helper", agent="helper")
            case.expect_nothing_after(killed)

    @scenario(stops=True)
    def test_one_of_two_sessions_killed(self, case: Case) -> None:
        """Of two sessions of one agent one is killed: it stops, the other finishes with its right answer."""
        agent, script = case.build(), Worker(turns=5)
        for offset in self.offsets(case, 0.05):
            case.says(script)
            killer = Killer(lambda: case.monitor.kill_session("doomed", "this session only"), offset)
            case.server.on_request = killer.when(_of_the_doomed)
            runs = [case.start(agent, f"the {s} session", session=s) for s in ("doomed", "spared")]
            doomed, spared = [run.result() for run in runs]
            killed = killer.wait()
            case.monitor.revive(None, "doomed")
            case.expect_stop(doomed, "this session only")
            case.expect_nothing_after(killed, session="doomed")
            case.expect_answer(spared, script.answer)

    @scenario(stops=True, streams=True, reach="cut")
    def test_stream_cut(self, case: Case) -> None:
        """A stream ends at the next chunk: the server could send hardly any of the rest."""
        agent = case.build(tools=False)
        for target, chunks in zip(case.targets(), (2, 9, 20), strict=False):
            case.says(long_answer(CHUNKS))
            running = case.start(agent)
            assert case.server.wait_for_chunks(chunks, SOON), "the stream never came"
            target.kill("in the middle of a stream")
            outcome = running.result()
            target.lift()
            case.expect_stop(outcome, "in the middle of a stream")
            assert eventually(lambda: _over(case)), "the connection of the cut stream stays open"
            sent = case.server.requests[0].chunks_sent
            assert sent <= chunks + 12, f"killed after {chunks} chunks, yet {sent} of {CHUNKS} were sent"
            assert len(outcome.pieces) <= sent, "the caller got more than was sent"

    @scenario(stops=True, streams=True, reach="abort", reach_async="cut")
    def test_silent_stream(self, case: Case) -> None:
        """A stream in which nothing comes any more ends too."""
        with ContractServer() as case.server:  # its own: leaving the block hangs up on whoever still waits
            case.says(long_answer(CHUNKS, silent_after=3))
            running = case.start(case.build(tools=False))
            assert case.server.wait_for_chunks(3, SOON), "the stream never came"
            time.sleep(0.3)  # until the last chunk has been consumed: a kill before that would be a cut
            case.monitor.kill_agent("worker", "while nothing came")
            outcome = running.result(limit=1.0)
        case.expect_stop(outcome, "while nothing came")

    @scenario(stops=True, reach="abort", reach_async="cut")
    def test_sdk_retries(self, case: Case) -> None:
        """The retries that the model's client makes by itself, below the framework, stop too."""
        agent = case.build(tools=False, sdk_retries=2)
        case.says(Turn(status=500, headers={"retry-after-ms": "60"}))
        killer = Killer(lambda: case.monitor.kill_agent("worker", "between two tries"), 0.02)
        case.server.on_request = killer.fire
        outcome = case.run(agent)
        case.expect_nothing_after(killer.wait())
        case.expect_stop(outcome, "between two tries")


def _of_the_doomed(log: RequestLog) -> bool:
    return "doomed" in str(log.body)


def _over(case: Case) -> bool:
    return all(log.finished is not None or log.disconnected is not None for log in case.server.requests)
