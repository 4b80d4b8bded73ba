"""After a revive a killed graph goes on from its checkpoint: nothing repeated, nothing lost."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from deadstop import AgentKilled
from deadstop.testing.contract import AgentPlan
from deadstop.testing.contract_runs import on_loop
from deadstop.testing.contract_scripts import Toolbox, Worker

pytest.importorskip("langgraph")

from langchain_drivers import text_of
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph_drivers import GraphDriver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from deadstop import Monitor
    from deadstop.testing.contract_case import ContractServer

DRIVER = GraphDriver()
CONFIG: Any = {"configurable": {"thread_id": "t1"}}
START_INPUT = {"messages": [("user", "go")]}


@pytest.fixture(params=["in a tool", "in a model call", "in parallel tools"])
def killed_where(request: pytest.FixtureRequest) -> str:
    """Where the run is killed."""
    return str(request.param)


@pytest.fixture(params=["graph", "sub-graph"])
def nested(request: pytest.FixtureRequest) -> bool:
    """Whether the agent is a sub-graph of another graph."""
    return bool(request.param == "sub-graph")


class Doomed:
    """An agent that is killed once, at its second turn or in its second model call; it counts what really happened."""

    def __init__(self, where: str, monitor: Monitor, server: ContractServer, *, nested: bool) -> None:
        self.tools, self.server, self.monitor, self.kills = Toolbox(), server, monitor, 0
        self.script = Worker(turns=2, parallel=("work", "check") if where == "in parallel tools" else ("work",))
        server.says(self.script)
        if where == "in a model call":
            server.on_request = lambda _: self.kill() if server.count() == 2 else None
        else:
            self.tools.inside = lambda tool: self.kill() if tool == "work" else None
        plan = AgentPlan("worker", server.base_url, tools=self.tools.functions())
        self.graph: Any = DRIVER.graph(plan)
        if nested:
            inner, self.graph = self.graph.compile(), StateGraph(MessagesState)
            self.graph.add_node("worker", inner)
            self.graph.add_edge(START, "worker")

    def kill(self) -> None:
        """Kill the first time."""
        if self.kills == 0:
            self.kills += 1
            self.monitor.kill_agent("worker", "for a while")

    def expect_each_call_once(self, result: dict[str, Any]) -> None:
        """The totals of a run that was never killed."""
        assert text_of(result["messages"][-1]) == self.script.answer
        assert self.server.count() == 3
        assert len(self.tools.calls) == 2 * len(self.script.parallel)
        self.monitor.drain()
        models = [row for row in self.monitor.get_events() if row["kind"] == "model" and row["event_type"] == "action"]
        assert len(models) == 3
        assert {row["session_id"] for row in models} == {"t1"}
        assert len({row["run_id"] for row in models}) == 2  # a resume is a new run of the same session


@contextlib.contextmanager
def saver(kind: str, path: Path) -> Iterator[Any]:
    """A checkpointer in memory or in a file."""
    if kind == "memory":
        yield InMemorySaver()
        return
    module = pytest.importorskip("langgraph.checkpoint.sqlite")
    with module.SqliteSaver.from_conn_string(str(path / "checkpoints.db")) as made:
        yield made


@contextlib.asynccontextmanager
async def async_saver(kind: str, path: Path) -> AsyncIterator[Any]:
    """The same for async runs."""
    if kind == "memory":
        yield InMemorySaver()
        return
    module = pytest.importorskip("langgraph.checkpoint.sqlite.aio")
    async with module.AsyncSqliteSaver.from_conn_string(str(path / "checkpoints.db")) as made:
        yield made


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_killed_graph_resumes(
    kind: str, killed_where: str, nested: bool, monitor: Monitor, server: ContractServer, tmp_path: Path
) -> None:
    """`invoke(None, config)` after the revive finishes what the kill cut."""
    doomed = Doomed(killed_where, monitor, server, nested=nested)
    monitor.attach("langchain")
    with saver(kind, tmp_path) as checkpointer:
        graph = doomed.graph.compile(name="outer" if nested else "worker", checkpointer=checkpointer)
        with pytest.raises(AgentKilled, match="for a while"):
            graph.invoke(START_INPUT, CONFIG)
        assert graph.get_state(CONFIG).next
        with pytest.raises(AgentKilled, match="for a while"):  # still killed
            graph.invoke(None, CONFIG)
        monitor.revive("worker")
        doomed.expect_each_call_once(graph.invoke(None, CONFIG))


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_killed_graph_resumes_asynchronously(
    kind: str, killed_where: str, nested: bool, monitor: Monitor, server: ContractServer, tmp_path: Path
) -> None:
    """The same with `ainvoke`."""
    doomed = Doomed(killed_where, monitor, server, nested=nested)
    monitor.attach("langchain")

    async def story() -> dict[str, Any]:
        async with async_saver(kind, tmp_path) as checkpointer:
            graph = doomed.graph.compile(name="outer" if nested else "worker", checkpointer=checkpointer)
            with pytest.raises(AgentKilled, match="for a while"):
                await graph.ainvoke(START_INPUT, CONFIG)
            monitor.revive("worker")
            result: dict[str, Any] = await graph.ainvoke(None, CONFIG)
            return result

    doomed.expect_each_call_once(on_loop(story()))
