"""The agent: a real LangGraph graph with a real OpenAI client. Nothing in here knows how it will be stopped."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from pydantic import SecretStr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.callbacks import BaseCallbackHandler

    from deadstop_demo.script import Script

NAME = "runaway"
_TASK = "Find out how to stop an agent."


def build(base_url: str, script: Script) -> Any:
    """Return the graph: a model that may call one tool, in a loop."""
    tool = StructuredTool.from_function(script.search, name="search", description="Search the web.")
    client = ChatOpenAI(
        model="scripted-model",
        base_url=base_url,
        api_key=SecretStr("not-needed"),
        streaming=True,
        stream_usage=True,
        timeout=30.0,
    )
    model = client.bind_tools([tool])

    def plan(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("plan", plan)
    graph.add_node("tools", ToolNode([tool]))
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", tools_condition)
    graph.add_edge("tools", "plan")
    return graph.compile(name=NAME)


class AgentThread:
    """Runs the graph in a thread of its own. `error` is what it raised, `ended` when it ended (epoch seconds)."""

    def __init__(self, graph: Any, callbacks: Sequence[BaseCallbackHandler]) -> None:
        self._graph = graph
        self._config = {"callbacks": list(callbacks), "recursion_limit": 1_000_000}
        self._thread = threading.Thread(target=self._run, name="runaway-agent", daemon=True)
        self.error: BaseException | None = None
        self.started = time.time()
        self.ended: float | None = None

    def start(self) -> None:
        """Let it go."""
        self.started = time.time()
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Wait for its end; whether it came in time, or it never began."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._graph.invoke({"messages": [("user", _TASK)]}, self._config)
        except BaseException as exc:  # whatever ends it is what the demo is about
            self.error = exc
        finally:
            self.ended = time.time()
