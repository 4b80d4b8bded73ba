"""LangGraph asks a person: interrupts and their answers as approval events, never as errors."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest
from langchain_events import open_steps, steps, types

pytest.importorskip("langgraph")

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from deadstop_langchain import DeadstopCallbackHandler

if TYPE_CHECKING:
    from deadstop import Monitor

CONFIG: Any = {"configurable": {"thread_id": "t1"}}


def asking_graph(**compiled: Any) -> Any:
    """A graph with a node that asks, and one after it."""

    def ask(_: MessagesState) -> dict[str, Any]:
        return {"messages": [("ai", f"they said {interrupt('may I?')}")]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_node("act", lambda _: {"messages": [("ai", "done")]})
    graph.add_edge(START, "ask")
    graph.add_edge("ask", "act")
    return graph.compile(name="clerk", checkpointer=InMemorySaver(), **compiled)


@pytest.mark.parametrize("way", ["attach", "handler"])
def test_an_interrupt_is_a_request_and_its_answer_a_response(way: str, monitor: Monitor) -> None:
    """One request, one response, in one session; no error, no step left open."""
    config = CONFIG
    if way == "attach":
        monitor.attach("langchain")
    else:
        config = {**CONFIG, "callbacks": [DeadstopCallbackHandler(monitor)]}
    graph = asking_graph()
    graph.invoke({"messages": []}, config)
    asked = types(monitor, "approval_request", "approval_response")
    assert [(row["event_type"], row["session_id"]) for row in asked] == [("approval_request", "t1")]
    assert asked[0]["agents"] == ["clerk", "ask"]
    result = graph.invoke(Command(resume="yes"), config)
    assert [message.content for message in result["messages"]] == ["they said yes", "done"]
    told = types(monitor, "approval_request", "approval_response")
    assert [row["event_type"] for row in told] == ["approval_request", "approval_response"]
    assert {row["session_id"] for row in told} == {"t1"}
    assert types(monitor, "error", "denial") == []
    assert all("error" not in row["data"] for row in steps(monitor, "agent") + steps(monitor, "run"))
    assert open_steps(monitor) == 0


def test_an_interrupt_inside_a_sub_graph_is_one_request(monitor: Monitor) -> None:
    """It passes through the nodes of both graphs: asked once, answered once."""
    monitor.attach("langchain")

    def ask(_: MessagesState) -> dict[str, Any]:
        return {"messages": [("ai", f"they said {interrupt('may I?')}")]}

    inner: Any = StateGraph(MessagesState)
    inner.add_node("ask", ask)
    inner.add_edge(START, "ask")
    outer: Any = StateGraph(MessagesState)
    outer.add_node("desk", inner.compile())
    outer.add_edge(START, "desk")
    graph = outer.compile(name="office", checkpointer=InMemorySaver())
    graph.invoke({"messages": []}, CONFIG)
    asked = types(monitor, "approval_request")
    assert [row["agents"] for row in asked] == [["office", "desk", "ask"]]
    result = graph.invoke(Command(resume="yes"), CONFIG)
    assert [message.content for message in result["messages"]] == ["they said yes"]
    assert len(types(monitor, "approval_response")) == 1
    assert types(monitor, "error", "denial") == []


@pytest.mark.skipif(importlib.util.find_spec("langgraph.callbacks") is None, reason="this langgraph does not tell")
def test_a_breakpoint_is_a_request_too(monitor: Monitor) -> None:
    """`interrupt_before` stops the graph without any node being asked. LangGraph tells handlers of the config only."""
    config = {**CONFIG, "callbacks": [DeadstopCallbackHandler(monitor)]}
    asking_graph(interrupt_before=["ask"]).invoke({"messages": []}, config)
    asked = types(monitor, "approval_request")
    assert [(row["agents"], row["data"]["breakpoint"]) for row in asked] == [(["clerk"], "interrupt_before")]


def test_a_kill_while_a_person_is_asked_holds_until_the_revive(monitor: Monitor) -> None:
    """The answer comes for a killed agent: refused; after the revive the same answer finishes the run."""
    from deadstop import AgentKilled

    monitor.attach("langchain")
    graph = asking_graph()
    graph.invoke({"messages": []}, CONFIG)
    monitor.kill_agent("clerk", "wait")
    with pytest.raises(AgentKilled, match="clerk killed: wait"):
        graph.invoke(Command(resume="yes"), CONFIG)
    monitor.revive("clerk")
    result = graph.invoke(Command(resume="yes"), CONFIG)
    assert [message.content for message in result["messages"]] == ["they said yes", "done"]
