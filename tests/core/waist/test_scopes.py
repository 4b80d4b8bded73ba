"""Who is running: agents, sessions and runs, in blocks, decorators, threads, tasks and generators."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from deadstop import AgentKilled, DeadstopError, Monitor, StepKind
from deadstop.scopes import current, here

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

TOOL = StepKind.TOOL


def who(monitor: Monitor) -> tuple[str | None, str | None]:
    with monitor.step(TOOL, "who") as step:
        return step.agent, step.session_id


def test_without_any_scope_the_agent_is_default(monitor: Monitor) -> None:
    assert who(monitor) == ("default", None)


def test_blocks_group_by_agent_session_and_run(monitor: Monitor) -> None:
    with monitor.session("s1", tags=["x"]), monitor.run("job") as run, monitor.agent("a", user="ada") as turn:
        with monitor.step(TOOL, "t", tags=["y"]) as step:
            assert (step.agent, step.session_id, step.user, step.tags) == ("a", "s1", "ada", ("x", "y"))
            assert step.run is run.run is turn.run
    assert {row["agent"] for row in monitor.get_events()} == {"a"}


def test_two_runs_one_after_the_other_are_two_runs(monitor: Monitor) -> None:
    with monitor.run() as one:
        pass
    with monitor.run() as two:
        pass
    assert one.run.id != two.run.id


def test_a_run_inside_a_run_joins_it(monitor: Monitor) -> None:
    with monitor.run() as outer, monitor.run() as inner:
        assert inner.run is outer.run


def test_the_innermost_agent_names_the_event_and_the_path_is_kept(monitor: Monitor) -> None:
    with monitor.agent("boss"), monitor.agent("worker"), monitor.agent("boss"), monitor.step(TOOL, "t") as step:
        assert (step.agent, step.agents) == ("boss", ("boss", "worker"))
    with monitor.agent("boss"), monitor.agent("worker"), monitor.step(TOOL, "dig"):
        pass
    assert [row["name"] for row in monitor.get_events(agent="boss")][:2] == ["boss", "worker"]
    assert "dig" in {row["name"] for row in monitor.get_events(agent="boss")}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  a \n b\t", "a b"),
        ("team:alice/x", "team:alice/x"),
        ("[red]x[/red]", "[red]x[/red]"),
        ("e\u0301", "\u00e9"),
        ("x" * 10_000, "x" * 200),
        ("\ud800", "\ufffd"),
    ],
)
def test_names_are_cleaned_alike_for_steps_and_kills(monitor: Monitor, given: str, kept: str) -> None:
    with monitor.agent(given) as turn:
        assert turn.agent == kept
    monitor.kill_agent(given)
    assert monitor.is_killed(given)
    with pytest.raises(AgentKilled), monitor.agent(given):
        pytest.fail("killed")


def test_an_empty_name_is_no_agent_of_its_own(monitor: Monitor) -> None:
    with monitor.agent("") as turn:
        assert turn.agent == "default"
    with pytest.raises(ValueError, match="needs its name"):
        monitor.kill_agent("")


def test_decorators_open_a_new_block_for_each_call(monitor: Monitor) -> None:
    @monitor.agent("a")
    def sync(x: int) -> tuple[int, str | None]:
        return x, who(monitor)[0]

    @monitor.session("s")
    async def coroutine() -> tuple[str | None, str | None]:
        return who(monitor)

    assert (sync(1), sync(2)) == ((1, "a"), (2, "a"))
    assert sync.__name__ == "sync"
    assert asyncio.run(coroutine()) == ("default", "s")


def test_a_decorated_generator_keeps_its_scope_to_itself(monitor: Monitor) -> None:
    @monitor.agent("gen")
    def numbers() -> Iterator[Any]:
        received = yield who(monitor)[0]
        try:
            yield received
        except KeyError:
            yield who(monitor)[0]

    it: Any = numbers()
    assert next(it) == "gen"
    assert who(monitor)[0] == "default"
    assert it.send("hello") == "hello"
    assert it.throw(KeyError()) == "gen"
    with pytest.raises(StopIteration):
        next(it)
    assert current.get() is None


def test_a_decorated_async_generator_keeps_its_scope_to_itself(monitor: Monitor) -> None:
    @monitor.agent("gen")
    async def numbers() -> AsyncIterator[str | None]:
        yield who(monitor)[0]
        await asyncio.sleep(0)
        yield who(monitor)[0]

    async def main() -> list[Any]:
        seen: list[Any] = []
        async for name in numbers():
            seen += [name, who(monitor)[0]]
        return seen

    assert asyncio.run(main()) == ["gen", "default"] * 2


def test_concurrent_tasks_are_kept_apart(monitor: Monitor) -> None:
    async def work(name: str) -> set[Any]:
        seen = set()
        async with monitor.agent(name):
            for _ in range(20):
                await asyncio.sleep(0)
                seen.add(who(monitor)[0])
        return seen

    async def main() -> list[set[Any]]:
        return await asyncio.gather(*(work(f"a{n}") for n in range(20)))

    assert asyncio.run(main()) == [{f"a{n}"} for n in range(20)]


def test_a_wrapped_function_runs_in_the_scope_in_which_it_was_wrapped(monitor: Monitor) -> None:
    with monitor.agent("a"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(monitor.wrap(who), monitor).result() == ("a", None)
        assert pool.submit(who, monitor).result() == ("default", None)


def test_a_wrapped_coroutine_function_stays_one(monitor: Monitor) -> None:
    async def ask() -> str | None:
        return who(monitor)[0]

    with monitor.agent("a"):
        wrapped = monitor.wrap(ask)
    assert asyncio.run(wrapped()) == "a"


def test_a_task_that_outlives_its_block_keeps_who_it_is(monitor: Monitor) -> None:
    async def main() -> list[Any]:
        left = asyncio.Event()

        async def late() -> Any:
            await left.wait()
            first = who(monitor)
            monitor.kill_agent("a")
            with pytest.raises(AgentKilled):
                who(monitor)
            return first

        async with monitor.session("s"), monitor.agent("a"):
            task = asyncio.create_task(late())
        left.set()
        return [await task, who(monitor)]

    assert asyncio.run(main()) == [("a", "s"), ("default", None)]


def test_attach_threading_hands_scopes_to_threads_and_executors(monitor: Monitor) -> None:
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit
    monitor.attach("threading")
    seen: list[Any] = []
    with monitor.agent("a"), ThreadPoolExecutor(1) as pool:
        thread = threading.Thread(target=lambda: seen.append(who(monitor)[0]))
        thread.start()
        thread.join()
        seen.append(pool.submit(who, monitor).result()[0])
    monitor.detach("threading")
    assert seen == ["a", "a"]
    assert threading.Thread.start is start
    assert ThreadPoolExecutor.submit is submit


def test_a_second_monitor_can_not_attach_what_the_first_has(monitor: Monitor, tmp_path: Path) -> None:
    assert monitor.attach("threading") is monitor.attach("threading")
    with Monitor(home=tmp_path / "other", discover=False) as other:
        with pytest.raises(DeadstopError, match="'threading' is attached already by <Monitor"):
            other.attach("threading")
        other.detach("threading")  # not its own: nothing happens
        assert monitor.status()["attached"] == ["threading"]
    monitor.detach("threading")


def test_an_unknown_adapter_is_an_error_that_names_the_known(monitor: Monitor) -> None:
    with pytest.raises(DeadstopError, match="no adapter 'langchian'; known: threading"):
        monitor.attach("langchian")


def test_two_monitors_on_one_home_share_its_control_and_store(monitor: Monitor) -> None:
    with Monitor(home=monitor.home.path, discover=False) as other:
        assert other.home is monitor.home
        other.kill_agent("a")
        assert monitor.is_killed("a")
    assert monitor.begin(TOOL, "t").end() is None
    assert [row["event_type"] for row in monitor.get_events()] == ["action", "kill"]


def test_nothing_is_left_in_the_context_after_errors(monitor: Monitor) -> None:
    with pytest.raises(ValueError, match="x"), monitor.run(), monitor.agent("a"), monitor.step(TOOL, "t"):
        raise ValueError("x")
    assert here() is None
    assert current.get() is None
