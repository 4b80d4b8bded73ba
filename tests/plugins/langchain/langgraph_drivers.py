"""How the contract drives LangGraph: a graph made by hand, and LangChain's `create_agent`."""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_drivers import GRACEFUL, LangChainDriver, chat_model, graceful, text_of
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from deadstop.testing.contract import AgentPlan

NODE_OPTIONS = set(inspect.signature(StateGraph.add_node).parameters)
RETRY = "retry_policy" if "retry_policy" in NODE_OPTIONS else "retry"  # langgraph 0.4 says retry
QUICK = RetryPolicy(max_attempts=3, initial_interval=0.001, retry_on=Exception)


class GraphRuns(LangChainDriver):
    """How any compiled graph is run; *messages* streams token by token."""

    def answer(self, agent: Any, prompt: str, config: RunnableConfig) -> str:
        """`invoke`."""
        return text_of(agent.invoke({"messages": [("user", prompt)]}, config)["messages"][-1])

    async def aanswer(self, agent: Any, prompt: str, config: RunnableConfig) -> str:
        """`ainvoke`."""
        return text_of((await agent.ainvoke({"messages": [("user", prompt)]}, config))["messages"][-1])

    def pieces(self, agent: Any, prompt: str, config: RunnableConfig) -> Iterator[str]:
        """`stream`."""
        inputs = {"messages": [("user", prompt)]}
        for message, _ in agent.stream(inputs, config, stream_mode="messages"):
            if isinstance(message, AIMessage) and (text := text_of(message)):
                yield text

    async def apieces(self, agent: Any, prompt: str, config: RunnableConfig) -> AsyncIterator[str]:
        """`astream`."""
        inputs = {"messages": [("user", prompt)]}
        async with contextlib.aclosing(agent.astream(inputs, config, stream_mode="messages")) as stream:
            async for message, _ in stream:
                if isinstance(message, AIMessage) and (text := text_of(message)):
                    yield text


class GraphDriver(GraphRuns):
    """An agent as a StateGraph: a node that asks the model, a ToolNode, and the way back."""

    def build(self, plan: AgentPlan) -> Any:
        """Build and compile the graph under the agent's name."""
        return self.graph(plan).compile(name=plan.name)

    def graph(self, plan: AgentPlan) -> Any:
        """Build the graph."""
        tools = self.tools(plan)
        model = self.model(plan, tools)
        survives: tuple[type[Exception], ...] = (Exception,) if plan.tolerance == "user_except" else ()

        def ask(state: MessagesState, config: RunnableConfig) -> dict[str, list[BaseMessage]]:
            try:
                return {"messages": [model.invoke(state["messages"], config)]}
            except survives:
                return {"messages": [AIMessage(GRACEFUL)]}

        async def aask(state: MessagesState, config: RunnableConfig) -> dict[str, list[BaseMessage]]:
            try:
                return {"messages": [await model.ainvoke(state["messages"], config)]}
            except survives:
                return {"messages": [AIMessage(GRACEFUL)]}

        graph: Any = StateGraph(MessagesState)
        graph.add_node("ask", RunnableLambda(ask, aask), **self.node_options(plan))
        graph.add_node("tools", ToolNode(tools, handle_tool_errors=plan.tolerance == "error_handlers"))
        graph.add_edge(START, "ask")
        graph.add_conditional_edges("ask", lambda state: "tools" if state["messages"][-1].tool_calls else END)
        graph.add_edge("tools", "ask")
        return graph

    def node_options(self, plan: AgentPlan) -> dict[str, Any]:
        """What a node can be given to survive failures."""
        if plan.tolerance == "retries":
            return {RETRY: QUICK}
        if plan.tolerance == "error_handlers" and "error_handler" in NODE_OPTIONS:
            return {"error_handler": lambda _state: {"messages": [AIMessage(GRACEFUL)]}}
        return {}


class CreateAgentDriver(GraphRuns):
    """LangChain's own agent, with the middleware that retries, falls back and handles errors. langchain 1 and later."""

    ways = ("attach",)

    def build(self, plan: AgentPlan) -> Any:
        """Build the agent under its name."""
        from langchain.agents import create_agent

        model = chat_model(plan.base_url, plan.model, max_retries=plan.sdk_retries)
        return create_agent(model, self.tools(plan), name=plan.name, middleware=self.middleware(plan))

    def middleware(self, plan: AgentPlan) -> list[Any]:
        """What survives failures here."""
        from langchain.agents import middleware

        quick = {"initial_delay": 0.001, "jitter": False}
        if plan.tolerance == "retries":
            return [
                middleware.ModelRetryMiddleware(max_retries=2, on_failure="error", **quick),
                middleware.ToolRetryMiddleware(max_retries=2, on_failure="error", **quick),
            ]
        if plan.tolerance == "fallbacks":
            return [middleware.ModelFallbackMiddleware(chat_model(plan.base_url, "another-model"))]
        if plan.tolerance == "error_handlers":
            return [
                middleware.ModelRetryMiddleware(max_retries=0, on_failure="continue", **quick),
                middleware.ToolRetryMiddleware(max_retries=0, on_failure="continue", **quick),
            ]
        return [_tolerant()] if plan.tolerance == "user_except" else []


def _tolerant() -> Any:
    """A user's middleware that takes every failure of the model for an answer."""
    from langchain.agents.middleware import AgentMiddleware

    class Tolerant(AgentMiddleware):
        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            try:
                return handler(request)
            except Exception:
                return graceful(None)

        async def awrap_model_call(self, request: Any, handler: Any) -> Any:
            try:
                return await handler(request)
            except Exception:
                return graceful(None)

    return Tolerant()
