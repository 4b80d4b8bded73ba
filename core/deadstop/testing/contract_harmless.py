"""The scenarios in which nothing may be stopped, lost, counted twice or left behind."""

from __future__ import annotations

import gc
import json
import shutil
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from deadstop.steps import Step
from deadstop.testing.contract_case import Case, eventually
from deadstop.testing.contract_probe import FullDisk
from deadstop.testing.contract_scenario import scenario
from deadstop.testing.contract_scripts import Boss, Worker, long_answer, usage_of
from deadstop.verdicts import StepKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deadstop.testing.contract_driver import Mode

TOLERANCES = ("retries", "fallbacks", "error_handlers", "user_except")


class HarmlessScenarios:
    """What deadstop must not do to a host. See `AdapterContract`; `runs` is how many the last makes, over all ways."""

    runs = 1000

    @scenario()
    def test_kill_after_the_last_step(self, case: Case) -> None:
        """A kill that comes after the last step throws nothing away: the caller gets the answer."""
        agent, script = case.build(), Worker(turns=2)
        ended = []

        def kill_once_ended(step: Step) -> None:
            ended.append(step.name)
            if len(ended) == 3:
                case.monitor.kill_agent("worker", "too late")

        case.probe.on_step = lambda step: step.hold(kill_once_ended) if step.kind is StepKind.MODEL else None
        case.says(script)
        outcome = case.run(agent)
        case.probe.on_step = None
        assert len(ended) == 3, f"{len(ended)} model steps ended, not 3"
        assert case.monitor.is_killed("worker"), "the scenario never came to its kill"
        case.expect_answer(outcome, script.answer)

    @scenario()
    def test_never_killed(self, case: Case) -> None:
        """With and without us: the same answers, and the same request bodies, byte by byte."""
        both = Worker(turns=2, parallel=("work", "check"), seconds=0.0)
        pairs = [(case.plan(), both), (case.plan(tools=False), long_answer(20, chunk_delay=0.0))]
        if "nested_agent_killed" not in case.driver.absent:
            boss = case.plan("boss", tools=False, member=case.plan("helper"))
            pairs.append((boss, Boss("helper", Worker(seconds=0.0))))
        self._expect_the_same(case, pairs)

    @scenario(every_mode=False)
    def test_never_killed_but_tolerant(self, case: Case) -> None:
        """The same for agents that are built to survive failures."""
        absent = {name.removeprefix("framework_") for name in case.driver.absent}
        plans = [case.plan(tolerance=tolerance) for tolerance in TOLERANCES if tolerance not in absent]
        self._expect_the_same(case, [(plan, Worker(seconds=0.0)) for plan in plans])

    def _expect_the_same(self, case: Case, pairs: list[tuple[Any, Any]]) -> None:
        without = [self._told(case, plan, script, watched=False) for plan, script in pairs]
        watched = [self._told(case, plan, script, watched=True) for plan, script in pairs]
        for plain, seen in zip(without, watched, strict=True):
            assert plain == seen, f"without deadstop:\n{plain}\nwith deadstop:\n{seen}"

    @staticmethod
    def _told(case: Case, plan: Any, script: Any, *, watched: bool) -> tuple[Any, ...]:
        case.says(script)
        outcome = case.run(case.driver.build(plan), watched=watched)
        assert outcome.error is None, f"the run failed: {outcome.error!r}"
        return outcome.answer, outcome.pieces, sorted(json.dumps(log.body) for log in case.server.requests)

    @scenario()
    def test_our_own_bug(self, case: Case) -> None:
        """Plugins that raise in every hook, a store that is gone: the agent goes on, and a kill still stops it."""
        agent, script = case.build(), Worker()
        case.probe.broken = True
        case.says(script)
        _ = case.monitor
        shutil.rmtree(case.home / "events", ignore_errors=True)
        case.expect_answer(case.run(agent), script.answer)
        case.monitor.drain(0.5)
        isolated = case.monitor.status()["isolated"]
        assert any("deadstop_judge" in place or "policy" in place for place in isolated), f"not counted: {isolated}"
        case.says(case.runaway())
        case.one_run("in spite of the bugs", 0.03, next(case.targets()), agent)

    @scenario()
    def test_full_disk(self, case: Case) -> None:
        """The event store finds its disk full at every write: the agent goes on, a kill still stops it."""
        agent, script = case.build(), Worker()
        case.plugins.append(FullDisk())
        case.says(script)
        case.expect_answer(case.run(agent), script.answer)
        case.says(case.runaway())
        case.one_run("on a full disk", 0.03, next(case.targets()), agent)

    @scenario()
    def test_same_events(self, case: Case) -> None:
        """Usage, model, names and ids of the tools, agent and session are what the server knows, in every mode."""
        agent, both = case.build(), Worker(turns=2, parallel=("work", "check"))
        case.says(both)
        case.expect_answer(case.run(agent, session="conversation 7"), both.answer)
        models, tools = case.events("model"), case.events("tool")
        assert [row["name"] for row in models] == ["model-of-worker"] * 3, f"the models: {models}"
        told = [row["data"].get("usage") for row in models]
        truth = [_counts(results, details="token_details" not in case.driver.untold) for results in (0, 2, 4)]
        if not case.driver.tells_token_details:
            told, truth = _without_details(told), _without_details(truth)
        assert told == truth, f"the usage is {told}, the server's {truth}"
        calls = sorted((row["name"], row["data"].get("call_id")) for row in tools)
        ids = [(tool, f"call_{turn}_{tool}") for tool in ("check", "work") for turn in range(2)]
        expected = [(tool, None) for tool, _ in ids] if "call_ids" in case.driver.untold else ids
        assert calls == expected, f"the tool calls are {calls}, the server's {expected}"
        for row in (*models, *tools):
            assert "worker" in row["agents"], f"not of the agent: {row}"
            assert row["session_id"] == "conversation 7", f"not of the session: {row}"
            assert row["latency_ms"] > 0, f"it took no time: {row}"

    @scenario()
    def test_nested_calls_counted_once(self, case: Case) -> None:
        """An agent inside an agent: as many model calls, and as many tokens, as the server knows of."""
        boss = case.build("boss", tools=False, member=case.plan("helper"))
        case.says(Boss("helper", Worker()))
        outcome = case.run(boss)
        assert outcome.error is None, f"the run failed: {outcome.error!r}"
        _expect_tokens(case, results=(0, 0, 1, 2, 3, 1))
        runs = {row["run_id"] for row in case.events("model")}
        assert len(runs) == 1, f"it was one run, told as {len(runs)}"

    @scenario(streams=True)
    def test_second_call_between_chunks(self, case: Case) -> None:
        """Another model call, made by the reader of a stream between two chunks, is counted too, and apart."""
        agent = case.build(tools=False)
        case.says(long_answer(12, chunk_delay=0.002))
        other = case.build("other", tools=False)
        inner: list[Any] = []

        def again() -> Any:
            stream = case.driver.run(other, "and this?", case.mode, session="s2", adapter=case.adapter)
            return collect(stream) if case.mode.is_async else inner.extend(stream)

        async def collect(stream: Any) -> None:
            inner.extend([piece async for piece in stream])

        outcome = case.run(agent, between=again)
        assert outcome.error is None, f"the run failed: {outcome.error!r}"
        assert "".join(inner) == outcome.answer, f"the second call said {inner}"
        _expect_tokens(case, results=(0, 0))
        runs = {row["run_id"] for row in case.events("model")}
        assert len(runs) == 2, "the second call was taken for a part of the first"
        case.expect_nothing_open()

    @scenario(streams=True)
    def test_abandoned_stream(self, case: Case) -> None:
        """A stream that its reader closes, or just forgets: settled with what came, nothing left open."""
        agent = case.build(tools=False)
        for drop in (False, True):
            case.says(long_answer(30, chunk_delay=0.002))
            seen = len(case.events("model"))
            outcome = case.run(agent, take=3, drop=drop)
            assert outcome.error is None, f"closing the stream failed: {outcome.error!r}"
            gc.collect()
            assert eventually(lambda: len(case.events("model")) > seen), "the abandoned call was never settled"  # noqa: B023
            usage = case.events("model")[-1]["data"].get("usage") or {}
            assert usage.get("output_tokens", 0) >= 3, f"three chunks were read, the usage is {usage}"
            case.expect_nothing_open()

    @scenario(every_mode=False)
    def test_detach_restores(self, case: Case) -> None:
        """After detaching every attribute is what it was, and a killed agent runs as if we were not there."""
        agent, script = case.build(), Worker()
        case.says(script)
        case.expect_answer(case.run(agent, watched=False), script.answer)  # whatever is imported late is there now
        before = _attributes(case.driver.packages)
        case.monitor.kill_agent("worker", "for later")
        case.expect_stop(case.run(agent), "for later")
        case.close()
        after = _attributes(case.driver.packages)
        changed = [name for name, value in before.items() if after.get(name) is not value]
        assert not changed, f"not restored: {changed}"
        case.expect_answer(case.run(agent, watched=False), script.answer)

    @scenario(every_mode=False)
    def test_no_bookkeeping(self, case: Case) -> None:
        """After many runs, finished, killed, cancelled and abandoned, nothing is left of any of them."""
        agent = case.build(tools=False)
        one = Worker(turns=0, seconds=0.0)
        case.says(one)
        each: list[Callable[[int], None]] = [partial(_round, case, agent, mode) for mode in case.driver.modes]
        for place in range(len(each) * 4):  # every kind once, so that pools and caches are filled
            each[place % len(each)](place // len(each))
        threads, steps = _threads(), _live_steps(case) + 3  # what a framework's own pending tasks may hold at the end
        for place in range(self.runs // len(case.driver.ways)):
            each[place % len(each)](place // len(each))
        case.expect_nothing_open()
        assert eventually(lambda: gc.collect() < 0 or _live_steps(case) <= steps), f"{_live_steps(case)} steps are kept"
        assert eventually(lambda: _threads() <= threads), f"threads are left: {_threads() - threads}"


def _round(case: Case, agent: Any, mode: Mode, kind: int) -> None:
    """One run of a kind: 0 finished, 1 killed before, 2 abandoned or cancelled, 3 killed on its way."""
    if kind % 4 == 1:
        case.monitor.kill_agent("worker", "the next one")
        case.expect_stop(case.run(agent, mode=mode), "the next one")
        case.monitor.revive("worker")
    elif kind % 4 == 2 and mode.streams:
        case.run(agent, mode=mode, take=1, drop=bool(kind % 8 > 3))
    elif kind % 4 == 2 and mode.is_async:
        running = case.start(agent, mode=mode)
        case.server.wait_for_requests(1, 1.0)
        running.cancel()
    else:
        case.expect_answer(case.run(agent, mode=mode), "all the work is done")
    case.server.reset()


def _without_details(usages: Sequence[Any]) -> list[Any]:
    plain = ("input_tokens", "output_tokens")
    return [usage and {key: count for key, count in usage.items() if key in plain} for usage in usages]


def _counts(results: int, *, details: bool) -> dict[str, int]:
    usage = usage_of(results)
    names = ("input_tokens", "output_tokens", *(("cached_tokens", "reasoning_tokens") if details else ()))
    return {name: getattr(usage, name) for name in names}


def _expect_tokens(case: Case, *, results: tuple[int, ...]) -> None:
    models = case.events("model")
    assert len(models) == case.server.count(), f"{len(models)} model calls for {case.server.count()} requests"
    told = sorted(row["data"]["usage"]["output_tokens"] for row in models)
    truth = sorted(usage_of(n).output_tokens for n in results)
    assert told == truth, f"the output tokens are {told}, the server's {truth}"


def _attributes(packages: Any) -> dict[str, object]:
    """Every function, class and descriptor in the modules of *packages*, and in the classes that they define."""
    found: dict[str, object] = {}
    for name, module in list(sys.modules.items()):
        if module is None or name.partition(".")[0] not in packages:
            continue
        for attribute, value in list(vars(module).items()):
            found[f"{name}.{attribute}"] = value
            if isinstance(value, type) and value.__module__ == name:
                found.update({f"{name}.{attribute}.{key}": member for key, member in list(vars(value).items())})
    return {name: value for name, value in found.items() if _could_be_patched(name, value)}


def _could_be_patched(name: str, value: object) -> bool:
    """Not pydantic's own attributes: it completes classes when they are first used."""
    return "__pydantic_" not in name and (callable(value) or hasattr(type(value), "__get__"))


def _threads() -> set[threading.Thread]:
    """The threads there are, without the pool of the event loop and without those of the scripted model."""
    return {t for t in threading.enumerate() if not t.name.startswith(("asyncio_", "model-server-"))}


def _live_steps(case: Case) -> int:
    gc.collect()
    return sum(type(thing) is Step and thing.pipeline.home is case.monitor.home for thing in gc.get_objects())
