"""Who is told to have done it: agents, sessions and handoffs in LangChain and LangGraph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langchain_drivers import chat_model
from langchain_events import steps

from deadstop import AgentKilled
from deadstop.testing import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadstop import Monitor
    from deadstop.testing.contract_case import ContractServer

try:
    from langgraph.graph import START, MessagesState, StateGraph
    from langgraph.types import Command
except ImportError:
    StateGraph = None  # type: ignore[assignment,misc]

needs_graphs = pytest.mark.skipif(StateGraph is None, reason="langgraph is not installed")


@pytest.fixture(autouse=True)
def attached(monitor: Monitor) -> Monitor:
    """The whole process is watched."""
    monitor.attach("langchain")
    return monitor


def asking(model: Any) -> Callable[[Any], dict[str, Any]]:
    """A node that asks the model."""

    def ask(state: Any) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    return ask


def test_a_chain_is_named_by_its_run_name(monitor: Monitor, server: ContractServer) -> None:
    """`run_name` is the agent; its model calls and its run are told under it."""
    chain = ChatPromptTemplate.from_template("{q}") | chat_model(server.base_url)
    chain.invoke({"q": "hi"}, {"run_name": "translator"})
    assert [(row["agent"], row["name"]) for row in steps(monitor, "model")] == [("translator", "scripted-model")]
    assert [row["agent"] for row in steps(monitor, "run")] == ["translator"]


def test_a_users_scope_is_the_agent_whatever_the_framework_says(monitor: Monitor, server: ContractServer) -> None:
    """Names of the framework's go below the user's, and both can be killed."""
    chain = RunnableLambda(lambda q: q) | chat_model(server.base_url)
    with monitor.agent("support"):
        chain.invoke("hi", {"run_name": "translator"})
    assert [row["agents"] for row in steps(monitor, "model")] == [["support"]]
    monitor.kill_agent("support", "closed today")
    with pytest.raises(AgentKilled, match="support killed: closed today"), monitor.agent("support"):
        chain.invoke("hi")


def test_metadata_names_the_session_of_a_chain(monitor: Monitor, server: ContractServer) -> None:
    """`session_id` in the metadata, as other tools read it too."""
    chat_model(server.base_url).invoke("hi", {"metadata": {"session_id": "ticket 9"}})
    assert [row["session_id"] for row in steps(monitor, "model")] == ["ticket 9"]


def test_a_users_session_wins_over_the_frameworks(monitor: Monitor, server: ContractServer) -> None:
    """`with monitor.session(...)` is nearer to the user than any metadata."""
    with monitor.session("mine"):
        chat_model(server.base_url).invoke("hi", {"metadata": {"session_id": "theirs"}})
    assert [row["session_id"] for row in steps(monitor, "model")] == ["mine"]


def test_a_scope_opened_inside_a_tool_is_nearer_than_the_run_around_it(
    monitor: Monitor, server: ContractServer
) -> None:
    """A block of the user's in the middle of a framework's run: what happens in it belongs to it."""
    model = chat_model(server.base_url)

    @tool
    def ask_an_expert(q: str) -> str:
        """Ask."""
        with monitor.agent("expert"):
            return str(model.invoke(q).content)

    chain = RunnableLambda(lambda q: {"q": q}) | ask_an_expert
    chain.invoke("hi", {"run_name": "front desk"})
    assert [row["agents"] for row in steps(monitor, "model")] == [["front desk", "expert"]]
    assert len({row["run_id"] for row in steps(monitor, "model") + steps(monitor, "run")}) == 1


def test_parallel_branches_belong_to_one_run(monitor: Monitor, server: ContractServer) -> None:
    """RunnableParallel works in threads: the scope reaches them."""
    model = chat_model(server.base_url)
    both = RunnableParallel(a=model, b=model).with_config(run_name="both")
    with monitor.agent("support"):
        both.invoke("hi")
    models = steps(monitor, "model")
    assert [row["agents"] for row in models] == [["support"], ["support"]]
    assert len({row["run_id"] for row in models}) == 1


@needs_graphs
def test_a_graph_is_named_by_itself_and_its_nodes_and_its_thread_is_the_session(
    monitor: Monitor, server: ContractServer
) -> None:
    """The compiled graph's name is the agent, a node's name an agent below it, the thread id the session."""
    from langgraph.checkpoint.memory import InMemorySaver

    graph: Any = StateGraph(MessagesState)
    graph.add_node("writer", asking(chat_model(server.base_url)))
    graph.add_edge(START, "writer")
    app = graph.compile(name="newsroom", checkpointer=InMemorySaver())
    app.invoke({"messages": [("user", "hi")]}, {"configurable": {"thread_id": "t 42"}})
    assert [(row["agents"], row["session_id"]) for row in steps(monitor, "model")] == [(["newsroom", "writer"], "t 42")]
    assert [(row["agent"], row["name"]) for row in steps(monitor, "agent")] == [("writer", "writer")]


@needs_graphs
def test_a_change_of_node_between_model_calls_is_a_handoff(monitor: Monitor, server: ContractServer) -> None:
    """Researcher to writer and back: two handoffs, each told once, with whom it came from."""
    ask = asking(chat_model(server.base_url))

    def route(goto: str) -> Callable[[Any], Any]:
        return lambda state: Command(goto=goto, update=ask(state))

    graph: Any = StateGraph(MessagesState)
    graph.add_node("researcher", route("writer"), destinations=("writer",))
    graph.add_node("writer", lambda state: Command(goto="critic", update=ask(state)), destinations=("critic",))
    graph.add_node("critic", ask)
    graph.add_edge(START, "researcher")
    graph.compile(name="team").invoke({"messages": [("user", "hi")]})
    handoffs = steps(monitor, "handoff")
    assert [(row["data"]["from"], row["name"]) for row in handoffs] == [("researcher", "writer"), ("writer", "critic")]
    assert [row["event_type"] for row in handoffs] == ["action", "action"]


@needs_graphs
def test_nodes_side_by_side_hand_nothing_over(monitor: Monitor, server: ContractServer) -> None:
    """Two nodes of one superstep: their model calls follow one another, yet nobody handed over."""
    ask = asking(chat_model(server.base_url))
    server.says(Turn("hello", delay=0.03))
    graph: Any = StateGraph(MessagesState)
    for name in ("left", "right"):
        graph.add_node(name, ask)
        graph.add_edge(START, name)
    graph.compile(name="team").invoke({"messages": [("user", "hi")]})
    assert len(steps(monitor, "model")) == 2
    assert steps(monitor, "handoff") == []


def test_a_created_agent_is_named_by_its_own_name(monitor: Monitor, server: ContractServer) -> None:
    """`create_agent(name=...)`: the agent of every step in it, not the names of its inner nodes."""
    create_agent = pytest.importorskip("langchain.agents", reason="langchain 1 is not installed").create_agent
    create_agent(chat_model(server.base_url), [], name="sales").invoke({"messages": [("user", "hi")]})
    assert [row["agents"] for row in steps(monitor, "model")] == [["sales"]]


def test_a_created_agent_inside_a_tool_is_an_agent_of_its_own(monitor: Monitor, server: ContractServer) -> None:
    """LangChain hands the outer agent's name down to the inner one; the inner one is told under its own."""
    create_agent = pytest.importorskip("langchain.agents", reason="langchain 1 is not installed").create_agent
    from deadstop.testing.contract_scripts import Boss, Worker

    helper = create_agent(chat_model(server.base_url, "model-of-helper"), [], name="helper")

    @tool("helper")
    def ask_helper(task: str) -> str:
        """Do the task."""
        return str(helper.invoke({"messages": [("user", task)]})["messages"][-1].content)

    server.says(Boss("helper", Worker(turns=0)))
    boss = create_agent(chat_model(server.base_url, "model-of-boss"), [ask_helper], name="boss")
    boss.invoke({"messages": [("user", "go")]})
    told = [(row["name"], row["agents"], row["agent"]) for row in steps(monitor, "model")]
    assert told == [
        ("model-of-boss", ["boss"], "boss"),
        ("model-of-helper", ["boss", "helper"], "helper"),
        ("model-of-boss", ["boss"], "boss"),
    ]
    assert len({row["run_id"] for row in steps(monitor, "model")}) == 1
