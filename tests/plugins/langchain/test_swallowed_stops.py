"""Everything that swallows an exception on its way to the caller: the stop gets through, nothing comes after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.tools import tool

from deadstop import AgentKilled
from deadstop.testing.contract import AgentPlan
from deadstop.testing.contract_runs import on_loop
from deadstop.testing.contract_scripts import Toolbox, Worker

pytest.importorskip("langgraph")

from langchain_drivers import chat_model
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph_drivers import NODE_OPTIONS, RETRY, CreateAgentDriver, GraphDriver, RetryPolicy

if TYPE_CHECKING:
    from deadstop import Monitor
    from deadstop.testing.contract_case import ContractServer
    from deadstop.testing.contract_driver import Tolerance

SWALLOWERS = ["retries", "fallbacks", "error_handlers", "user_except"]


@pytest.mark.parametrize("driver", [GraphDriver(), CreateAgentDriver()], ids=["graph", "create_agent"])
@pytest.mark.parametrize("tolerance", SWALLOWERS)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_kill_before_the_second_model_call_reaches_the_caller(
    driver: Any, tolerance: Tolerance, kind: str, monitor: Monitor, server: ContractServer
) -> None:
    """Killed inside the first tool: `with_retry`, RetryPolicy, fallbacks, error handlers and `except` keep nothing."""
    if isinstance(driver, CreateAgentDriver):
        pytest.importorskip("langchain", minversion="1.0")
    tools = Toolbox()
    tools.inside = lambda _: monitor.kill_agent("worker", "enough")
    agent = driver.build(AgentPlan("worker", server.base_url, tools=tools.functions(), tolerance=tolerance))
    server.says(Worker())
    with driver.attached(monitor, "attach") as adapter, pytest.raises(AgentKilled, match="enough") as stop:
        config = driver.config("s1", adapter)
        on_loop(driver.aanswer(agent, "go", config)) if kind == "async" else driver.answer(agent, "go", config)
    assert (stop.value.agent, stop.value.policy, stop.value.session_id) == ("worker", "kill", "s1")
    assert (server.count(), len(tools.calls)) == (1, 1)


def test_a_tool_node_that_turns_errors_into_messages_lets_the_stop_out(
    monitor: Monitor, server: ContractServer
) -> None:
    """Two tools one after the other, the first kills: the second never runs, no model reads an error message."""
    ran = []

    @tool
    def first() -> str:
        """Kill."""
        ran.append("first")
        monitor.kill_agent("worker", "by a tool")
        return "done"

    @tool
    def second() -> str:
        """Never run."""
        ran.append("second")
        return "done"

    calls = [{"name": name, "args": {}, "id": name, "type": "tool_call"} for name in ("first", "second")]
    graph: Any = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode([first, second], handle_tool_errors=True))
    graph.add_edge(START, "tools")
    graph.add_edge("tools", END)
    from langchain_core.messages import AIMessage

    asked = {"messages": [AIMessage("", tool_calls=calls)]}
    monitor.attach("langchain")
    with pytest.raises(AgentKilled, match="by a tool"):
        graph.compile(name="worker").invoke(asked, {"max_concurrency": 1})
    assert ran == ["first"]


def refused_node(monitor: Monitor, server: ContractServer, **options: Any) -> Any:
    """A graph whose only node is killed before its model call."""
    model = chat_model(server.base_url)

    def node(_: MessagesState) -> dict[str, Any]:
        monitor.kill_global("now")
        return {"messages": [model.invoke("hi")]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("node", node, **options)
    graph.add_edge(START, "node")
    monitor.attach("langchain")
    return graph.compile(name="worker")


@pytest.mark.timeout(20)
def test_a_retry_policy_does_not_wait_for_a_stop(monitor: Monitor, server: ContractServer) -> None:
    """The stop is of LangGraph's own let-it-through type: a minute between two tries is not waited for."""
    graph = refused_node(monitor, server, **{RETRY: RetryPolicy(initial_interval=60.0, retry_on=Exception)})
    with pytest.raises(AgentKilled, match="now"):
        graph.invoke({"messages": []})
    assert server.count() == 0


@pytest.mark.skipif("error_handler" not in NODE_OPTIONS, reason="this langgraph has no error handlers of nodes")
def test_an_error_handler_of_a_node_is_not_even_asked(monitor: Monitor, server: ContractServer) -> None:
    """The handler of a failing node never gets to see a stop."""
    asked: list[Any] = []
    graph = refused_node(monitor, server, error_handler=lambda state: asked.append(state) or {})
    with pytest.raises(AgentKilled, match="now"):
        graph.invoke({"messages": []})
    assert (server.count(), asked) == (0, [])
