"""A LangGraph agent that is killed half-way, revived, and goes on from its checkpoint: nothing repeated, nothing lost.

The model is a local server that speaks OpenAI's API and asks for one month after the other, so this needs no key.
"""

from __future__ import annotations

from typing import Any

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from deadstop import AgentKilled, Monitor
from deadstop.testing import ScriptedModelServer, ToolCallScript, Turn
from deadstop_langchain import DeadstopCallbackHandler

MONTHS = ("January", "February", "March", "April")
monitor = Monitor()
imported: list[str] = []  # what the tool really did


@tool
def import_month(month: str) -> str:
    """Import the sales of one month."""
    imported.append(month)
    if month == "February":  # or, in another terminal: deadstop kill importer
        monitor.kill_agent("importer", reason="wrong currency")
    return f"{month} is imported."


def build(base_url: str) -> Any:
    model = ChatOpenAI(model="gpt-4o", base_url=base_url, api_key="unused").bind_tools([import_month])
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode([import_month]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph.compile(name="importer", checkpointer=InMemorySaver())  # the graph's name is the agent's


script = [*(Turn(tool_calls=[ToolCallScript("import_month", {"month": month})]) for month in MONTHS), Turn("All done.")]
with ScriptedModelServer(script) as server:
    importer = build(server.base_url)
    config = {"configurable": {"thread_id": "t1"}, "callbacks": [DeadstopCallbackHandler(monitor)]}
    try:
        importer.invoke({"messages": [("user", "Import January to April.")]}, config)
    except AgentKilled as stop:
        print("stopped:", stop, "| imported so far:", *imported)
    monitor.revive("importer")
    print("resumed:", importer.invoke(None, config)["messages"][-1].content)
    print("imported:", *imported)
    print("model calls:", server.count(), "for", len(script), "answers")
