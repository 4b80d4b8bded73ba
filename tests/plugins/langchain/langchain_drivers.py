"""How the contract drives LangChain: what every driver shares, and a chain without a graph."""

from __future__ import annotations

import contextlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.messages import ai as messages_ai
from langchain_core.runnables import Runnable, RunnableConfig, RunnableGenerator, RunnableLambda, RunnableParallel
from langchain_core.tools import BaseTool, StructuredTool
from langchain_openai import ChatOpenAI

import deadstop_langchain
from deadstop.testing.contract import AdapterDriver, AgentPlan, Mode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from deadstop import Monitor

GRACEFUL = "I could not do that, sorry"
INVOKE, AINVOKE = Mode("invoke"), Mode("ainvoke", is_async=True)
STREAM, ASTREAM = Mode("stream", streams=True), Mode("astream", is_async=True, streams=True)


def chat_model(base_url: str, model: str = "scripted-model", **more: Any) -> ChatOpenAI:
    """The real client, asked to report usage in streams (it does not by default with a base_url of one's own)."""
    arguments: dict[str, Any] = {"max_retries": 0, "stream_usage": True, "api_key": "unused", **more}
    return ChatOpenAI(base_url=base_url, model=model, **arguments)


def text_of(message: BaseMessage) -> str:
    """The text of a message, whatever this version calls it."""
    content = message.content
    if isinstance(content, str):
        return content
    return "".join(block if isinstance(block, str) else str(block.get("text", "")) for block in content)


def graceful(_: object) -> AIMessage:
    """Answer without a model: what a fallback does."""
    return AIMessage(GRACEFUL)


class LangChainDriver(AdapterDriver):
    """What the drivers for LangChain and LangGraph share: attaching, tools, members, models that survive failures."""

    modes = (INVOKE, AINVOKE, STREAM, ASTREAM)
    ways = ("handler", "attach")
    reach = "cut"
    plugins = (deadstop_langchain,)
    untold = (
        () if version("langchain-openai") >= "0.2.3" else ("token_details",)
    )  # nor did its first versions know them
    packages = ("langchain_core", "langgraph", "langchain", "langchain_openai", "openai")
    tells_token_details = hasattr(messages_ai, "InputTokenDetails")  # langchain-core 0.3.9 and what came with it
    later = {
        "silent_stream": "needs the transport guard (sync) or a race with the kill (async): nothing comes, no callback",
        "sdk_retries": "needs the transport guard: no callback comes between two tries of the client",
    }

    @contextlib.contextmanager
    def attached(self, monitor: Monitor, way: str) -> Iterator[Any]:
        """As a handler in the config of each run, or for the whole process."""
        if way == "handler":
            yield deadstop_langchain.DeadstopCallbackHandler(monitor)
            return
        yield monitor.attach("langchain")
        monitor.detach("langchain")

    def entries(self, adapter: Any) -> int:
        """Open runs, and what is known about their roots."""
        handler = getattr(adapter, "handler", adapter)
        return len(handler._steps)

    def config(self, session: str, adapter: Any) -> RunnableConfig:
        """The config of a run."""
        handlers = [] if adapter is None or hasattr(adapter, "handler") else [adapter]
        config = {"configurable": {"thread_id": session}, "metadata": {"session_id": session}, "recursion_limit": 200}
        return cast("RunnableConfig", config | ({"callbacks": handlers} if handlers else {}))

    def tools(self, plan: AgentPlan) -> list[BaseTool]:
        """The plan's functions, and its member as one more tool."""
        tools: list[BaseTool] = [StructuredTool.from_function(function) for function in plan.tools]
        if plan.member is not None:
            tools.append(self.member_tool(plan.member))
        return tools

    def member_tool(self, plan: AgentPlan) -> BaseTool:
        """An agent as a tool. The callbacks of its caller reach it through the config."""
        member = self.build(plan)

        def call(task: str, config: RunnableConfig) -> str:
            return cast("str", self.answer(member, task, config))

        async def acall(task: str, config: RunnableConfig) -> str:
            return cast("str", await self.aanswer(member, task, config))

        return StructuredTool.from_function(call, coroutine=acall, name=plan.name, description="Do the task.")

    def model(self, plan: AgentPlan, tools: list[BaseTool]) -> Runnable[Any, Any]:
        """The model with its tools, and what is to survive its failures."""
        model: Runnable[Any, Any] = chat_model(plan.base_url, plan.model, max_retries=plan.sdk_retries)
        if tools:
            model = cast("ChatOpenAI", model).bind_tools(tools)
        if plan.tolerance == "retries":
            return model.with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
        if plan.tolerance == "fallbacks":
            return model.with_fallbacks([RunnableLambda(graceful)])
        return model

    def answer(self, agent: Any, prompt: str, config: RunnableConfig) -> Any:
        """Run *agent* to its end and return its text."""
        raise NotImplementedError

    async def aanswer(self, agent: Any, prompt: str, config: RunnableConfig) -> Any:
        """The same, awaited."""
        raise NotImplementedError

    def pieces(self, agent: Any, prompt: str, config: RunnableConfig) -> Iterator[str]:
        """Stream the text of *agent*'s answer."""
        raise NotImplementedError

    def apieces(self, agent: Any, prompt: str, config: RunnableConfig) -> AsyncIterator[str]:
        """The same, asynchronously."""
        raise NotImplementedError

    def run(self, agent: Any, prompt: str, mode: Mode, *, session: str, adapter: Any) -> Any:
        """Run *agent* in *mode*."""
        how = {INVOKE: self.answer, AINVOKE: self.aanswer, STREAM: self.pieces, ASTREAM: self.apieces}[mode]
        return how(agent, prompt, self.config(session, adapter))


class ChainDriver(LangChainDriver):
    """An agent written by hand as one chain, without any graph: a loop around a model and its tools."""

    absent = {"error_handlers": "a chain has no error handlers, only retries and fallbacks"}

    def build(self, plan: AgentPlan) -> Any:
        """Build the chain twice: LangChain streams from generators, and invokes functions."""
        loop = _Loop(self.model(plan, self.tools(plan)), self.tools(plan), tolerant=plan.tolerance == "user_except")
        whole: Runnable[Any, Any] = RunnableLambda(loop.answer, loop.aanswer)
        stream: Runnable[Any, Any] = RunnableGenerator(loop.pieces, loop.apieces)
        return {"whole": whole.with_config(run_name=plan.name), "stream": stream.with_config(run_name=plan.name)}

    def answer(self, agent: Any, prompt: str, config: RunnableConfig) -> Any:
        """`invoke`."""
        return agent["whole"].invoke(prompt, config)

    async def aanswer(self, agent: Any, prompt: str, config: RunnableConfig) -> Any:
        """`ainvoke`."""
        return await agent["whole"].ainvoke(prompt, config)

    def pieces(self, agent: Any, prompt: str, config: RunnableConfig) -> Iterator[str]:
        """`stream`."""
        yield from agent["stream"].stream(prompt, config)

    async def apieces(self, agent: Any, prompt: str, config: RunnableConfig) -> AsyncIterator[str]:
        """`astream`."""
        async with contextlib.aclosing(agent["stream"].astream(prompt, config)) as stream:
            async for piece in stream:
                yield piece


class _Loop:
    """Ask the model, call its tools side by side, ask again: until it has an answer. *tolerant*: except Exception."""

    def __init__(self, model: Runnable[Any, Any], tools: list[BaseTool], *, tolerant: bool) -> None:
        self._model = model
        self._tools = {tool.name: tool for tool in tools}
        self._survives: tuple[type[Exception], ...] = (Exception,) if tolerant else ()

    def _side_by_side(self, answer: Any) -> Runnable[Any, Any]:
        calls = {
            call["id"]: RunnableLambda(lambda _, c=call: c) | self._tools[call["name"]] for call in answer.tool_calls
        }
        return RunnableParallel(cast("dict[str, Any]", calls))

    def answer(self, prompt: str, config: RunnableConfig) -> str:
        messages: list[Any] = [HumanMessage(prompt)]
        while True:
            try:
                messages.append(answer := self._model.invoke(messages, config))
            except self._survives:
                return GRACEFUL
            if not answer.tool_calls:
                return text_of(answer)
            messages += self._side_by_side(answer).invoke(None, config).values()

    async def aanswer(self, prompt: str, config: RunnableConfig) -> str:
        messages: list[Any] = [HumanMessage(prompt)]
        while True:
            try:
                messages.append(answer := await self._model.ainvoke(messages, config))
            except self._survives:
                return GRACEFUL
            if not answer.tool_calls:
                return text_of(answer)
            messages += (await self._side_by_side(answer).ainvoke(None, config)).values()

    def pieces(self, prompts: Iterator[str], config: RunnableConfig) -> Iterator[str]:
        messages: list[Any] = [HumanMessage(prompt) for prompt in prompts]
        while True:
            answer: Any = None
            try:
                for chunk in self._model.stream(messages, config):
                    answer = chunk if answer is None else answer + chunk
                    if text := text_of(chunk):
                        yield text
            except self._survives:
                yield GRACEFUL
                return
            messages.append(answer)
            if not answer.tool_calls:
                return
            messages += self._side_by_side(answer).invoke(None, config).values()

    async def apieces(self, prompts: AsyncIterator[str], config: RunnableConfig) -> AsyncIterator[str]:
        messages: list[Any] = [HumanMessage(prompt) async for prompt in prompts]
        while True:
            answer: Any = None
            try:
                async for chunk in self._model.astream(messages, config):
                    answer = chunk if answer is None else answer + chunk
                    if text := text_of(chunk):
                        yield text
            except self._survives:
                yield GRACEFUL
                return
            messages.append(answer)
            if not answer.tool_calls:
                return
            messages += (await self._side_by_side(answer).ainvoke(None, config)).values()
