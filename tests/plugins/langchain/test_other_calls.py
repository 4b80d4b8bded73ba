"""Text models, retrievers, tools on their own, batches; and calls that end without a word."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_drivers import chat_model
from langchain_events import open_steps, steps, types
from langchain_openai import OpenAI

from deadstop import AgentKilled
from deadstop.testing import Turn
from deadstop.testing.contract_case import eventually
from deadstop.testing.contract_runs import on_loop
from deadstop_langchain import DeadstopCallbackHandler

if TYPE_CHECKING:
    from deadstop import Monitor
    from deadstop.testing.contract_case import ContractServer


def text_model(server: ContractServer) -> OpenAI:
    """A model of the completions API."""
    return OpenAI(base_url=server.base_url, api_key="unused", model="text-model", max_retries=0)  # type: ignore[arg-type]


class Library(BaseRetriever):
    """A retriever that counts its searches."""

    searches: list[str] = []

    def _get_relevant_documents(self, query: str, **_: Any) -> list[Document]:
        self.searches.append(query)
        if query == "burn":
            raise OSError("the library burns")
        return [Document(page_content="found")]


def test_a_text_model_is_counted_and_refused(monitor: Monitor, server: ContractServer) -> None:
    """`on_llm_start`: name, usage, and after a kill no request."""
    handler = DeadstopCallbackHandler(monitor)
    model = text_model(server)
    assert model.invoke("hi", {"callbacks": [handler]}) == "hello"
    row = steps(monitor, "model")[0]
    assert (row["name"], row["data"]["usage"]) == ("text-model", {"input_tokens": 10, "output_tokens": 5})
    monitor.kill_global("enough")
    with pytest.raises(AgentKilled, match="enough"):
        model.invoke("hi", {"callbacks": [handler]})
    with pytest.raises(AgentKilled, match="enough"):
        on_loop(model.ainvoke("hi", {"callbacks": [handler]}))
    assert server.count() == 1


def test_the_stream_of_a_text_model_is_cut(monitor: Monitor, server: ContractServer) -> None:
    """The same tokens, the same cut."""
    server.says(Turn(" ".join("word" for _ in range(60)), chunk_delay=0.01))
    stream = text_model(server).stream("hi", {"callbacks": [DeadstopCallbackHandler(monitor)]})
    reason = ""
    try:
        for seen, _ in enumerate(stream):
            if seen == 3:
                monitor.kill_global("enough")
    except AgentKilled as stop:
        reason = stop.reason
    assert reason == "enough"
    gc.collect()  # langchain-openai leaves this connection to whoever collects the exception
    assert server.wait_for_disconnects(1, 5.0)
    assert server.requests[0].chunks_sent < 30


def test_a_retriever_is_a_step_and_is_refused(monitor: Monitor) -> None:
    """RETRIEVAL steps: told with their end or their error, never begun after a kill."""
    handler = DeadstopCallbackHandler(monitor)
    library = Library(searches=[])
    assert library.invoke("cats", {"callbacks": [handler]})[0].page_content == "found"
    with pytest.raises(OSError, match="burns"):
        library.invoke("burn", {"callbacks": [handler]})
    assert [(row["name"], row["event_type"]) for row in steps(monitor, "retrieval")] == [
        ("Library", "action"),
        ("Library", "error"),
    ]
    monitor.kill_global("enough")
    with pytest.raises(AgentKilled, match="enough"):
        library.invoke("dogs", {"callbacks": [handler]})
    with pytest.raises(AgentKilled, match="enough"):
        on_loop(library.ainvoke("dogs", {"callbacks": [handler]}))
    assert library.searches == ["cats", "burn"]


def test_a_tool_that_fails_is_an_error_and_the_caller_gets_its_exception(monitor: Monitor) -> None:
    """The very exception, not one of ours."""

    @tool
    def divide(by: int) -> float:
        """Divide."""
        return 1 / by

    with pytest.raises(ZeroDivisionError):
        divide.invoke({"by": 0}, {"callbacks": [DeadstopCallbackHandler(monitor)]})
    row = steps(monitor, "tool")[0]
    assert (row["name"], row["event_type"]) == ("divide", "error")
    assert row["data"]["error"].startswith("ZeroDivisionError")
    assert open_steps(monitor) == 0


def test_a_model_that_fails_is_an_error_and_the_caller_gets_its_exception(
    monitor: Monitor, server: ContractServer
) -> None:
    """A 400 of the provider's comes through as it is."""
    import openai

    server.says(Turn(status=400, error_message="no such thing"))
    with pytest.raises(openai.BadRequestError, match="no such thing"):
        chat_model(server.base_url).invoke("hi", {"callbacks": [DeadstopCallbackHandler(monitor)]})
    assert [row["event_type"] for row in steps(monitor, "model")] == ["error"]
    assert types(monitor, "denial") == []


@pytest.mark.parametrize("kind", ["batch", "abatch"])
def test_each_of_a_batch_is_a_run_of_its_own(kind: str, monitor: Monitor, server: ContractServer) -> None:
    """Three inputs, three runs; killed before, the batch raises; killed on its way, it returns stops if asked to."""
    chain = RunnableLambda(lambda q: monitor.kill_agent("batch", "enough") or q if q == "c" else q) | chat_model(
        server.base_url
    )
    config: Any = {"callbacks": [DeadstopCallbackHandler(monitor)], "run_name": "batch", "max_concurrency": 1}
    inputs = ["a", "b"]

    def run(**options: Any) -> list[Any]:
        if kind == "abatch":
            return list(on_loop(chain.abatch(inputs, config, **options)))
        return chain.batch(inputs, config, **options)

    assert [answer.content for answer in run()] == ["hello"] * 2
    assert len({row["run_id"] for row in steps(monitor, "model")}) == 2
    inputs.append("c")
    stops = run(return_exceptions=True)
    assert [type(stop).__name__ for stop in stops] == ["AgentKilled"] * 3
    with pytest.raises(AgentKilled, match="batch killed: enough"):
        run()
    assert server.count() == 2
    gc.collect()
    assert eventually(lambda: open_steps(monitor) == 0)


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
def test_a_call_that_its_user_gives_up_leaves_nothing_behind(
    how: str, monitor: Monitor, server: ContractServer
) -> None:
    """A bare `ainvoke` that is cancelled: LangChain tells its start and nothing more, ever."""
    server.says(Turn("late", delay=5.0))
    handler = DeadstopCallbackHandler(monitor)
    model = chat_model(server.base_url)

    async def give_up() -> None:
        call = model.ainvoke("hi", {"callbacks": [handler]})
        if how == "timed out":
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(call, 0.1)
            return
        task = asyncio.ensure_future(call)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    on_loop(give_up())
    gc.collect()
    assert eventually(lambda: len(handler._steps) == 0)
    assert eventually(lambda: open_steps(monitor) == 0)
    assert [row["data"]["error"] for row in steps(monitor, "model")] == ["dropped"]


def test_a_stop_costs_the_caller_no_warning_of_pythons(
    monitor: Monitor, server: ContractServer, recwarn: pytest.WarningsRecorder
) -> None:
    """Warnings are errors in these tests; here they are counted, over refusals sync and async."""
    monitor.attach("langchain")
    chain = RunnableLambda(lambda q: q) | chat_model(server.base_url)
    chain.invoke("hi")
    monitor.kill_global("enough")
    for _ in range(3):
        with pytest.raises(AgentKilled):
            chain.invoke("hi")
        with pytest.raises(AgentKilled):
            on_loop(chain.ainvoke("hi"))
        with pytest.raises(AgentKilled):
            list(chain.stream("hi"))
    gc.collect()
    assert [str(warning.message) for warning in recwarn if issubclass(warning.category, RuntimeWarning)] == []
