"""Streams of every kind that LangChain has: cut at the next chunk, counted, and settled when nobody reads on."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_drivers import chat_model
from langchain_events import open_steps, steps

from deadstop import AgentKilled
from deadstop.testing import Turn
from deadstop.testing.contract_runs import on_loop
from deadstop_langchain import DeadstopCallbackHandler

if TYPE_CHECKING:
    from deadstop import Monitor
    from deadstop.testing.contract_case import ContractServer

LONG = Turn(" ".join(f"w{n}" for n in range(60)), chunk_delay=0.01)
HAS_V3 = hasattr(BaseChatModel, "stream_events")


def expect_a_cut(server: ContractServer) -> None:
    """The connection was closed long before the end."""
    assert server.wait_for_disconnects(1, 5.0)
    assert server.requests[0].chunks_sent < 30


def test_astream_events_v2_is_cut_by_a_kill(monitor: Monitor, server: ContractServer) -> None:
    """The reader of events gets the stop."""
    server.says(LONG)
    chain = chat_model(server.base_url) | StrOutputParser()

    async def read() -> int:
        seen = 0
        config: Any = {"callbacks": [DeadstopCallbackHandler(monitor)], "run_name": "reader"}
        async for event in chain.astream_events("hi", config, version="v2"):
            seen += event["event"] == "on_chat_model_stream"
            if seen == 3:
                monitor.kill_agent("reader", "enough")
        return seen

    with pytest.raises(AgentKilled, match="reader killed: enough"):
        on_loop(read())
    expect_a_cut(server)
    assert open_steps(monitor) == 0


def test_astream_events_v2_to_its_end_is_one_model_call(monitor: Monitor, server: ContractServer) -> None:
    """The same events as without us, and the usage told once."""
    server.says(Turn("one two three"))
    chain = chat_model(server.base_url) | StrOutputParser()

    async def read(config: Any) -> list[str]:
        return [event["event"] async for event in chain.astream_events("hi", config, version="v2")]

    without = on_loop(read({}))
    assert on_loop(read({"callbacks": [DeadstopCallbackHandler(monitor)]})) == without
    assert [row["data"]["usage"]["output_tokens"] for row in steps(monitor, "model")] == [5]


@pytest.mark.skipif(not HAS_V3, reason="this langchain-core has no v3 streams")
@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
def test_a_v3_stream_is_cut_by_a_kill(monitor: Monitor, server: ContractServer) -> None:
    """v3 streams tell no tokens but protocol events: each is a chunk."""
    server.says(LONG)
    model: Any = chat_model(server.base_url)

    def read() -> None:
        stream = model.stream_events("hi", {"callbacks": [DeadstopCallbackHandler(monitor)]}, version="v3")
        for seen, _ in enumerate(stream):
            if seen == 5:
                monitor.kill_global("enough")

    with pytest.raises(AgentKilled, match="enough"):
        read()
    expect_a_cut(server)
    assert open_steps(monitor) == 0


@pytest.mark.skipif(not HAS_V3, reason="this langchain-core has no v3 streams")
@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
def test_an_async_v3_stream_is_cut_by_a_kill(monitor: Monitor, server: ContractServer) -> None:
    """The same, asynchronously."""
    server.says(LONG)
    model: Any = chat_model(server.base_url)

    async def read() -> None:
        stream = model.astream_events("hi", {"callbacks": [DeadstopCallbackHandler(monitor)]}, version="v3")
        stream = await stream if inspect.isawaitable(stream) else stream
        seen = 0
        async for _ in stream:
            seen += 1
            if seen == 5:
                monitor.kill_global("enough")

    with pytest.raises(AgentKilled, match="enough"):
        on_loop(read())
    expect_a_cut(server)
    assert open_steps(monitor) == 0


@pytest.mark.skipif(not HAS_V3, reason="this langchain-core has no v3 streams")
@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
def test_a_v3_stream_to_its_end_is_told_with_its_usage(monitor: Monitor, server: ContractServer) -> None:
    """One model call, with what the provider counted."""
    server.says(Turn("one two three"))
    model: Any = chat_model(server.base_url)
    list(model.stream_events("hi", {"callbacks": [DeadstopCallbackHandler(monitor)]}, version="v3"))
    rows = steps(monitor, "model")
    assert [row["data"]["usage"]["output_tokens"] for row in rows] == [5]
    assert rows[0]["data"]["chunks"] > 0


def test_an_answer_that_is_streamed_below_an_invoke_is_cut_too(monitor: Monitor, server: ContractServer) -> None:
    """`streaming=True`: the caller waits for the whole, the chunks tick underneath."""
    server.says(LONG)

    def kill_soon() -> None:
        assert server.wait_for_chunks(3, 5.0)
        monitor.kill_global("enough")

    import threading

    killer = threading.Thread(target=kill_soon)
    killer.start()
    model = chat_model(server.base_url, streaming=True)
    with pytest.raises(AgentKilled, match="enough"):
        model.invoke("hi", {"callbacks": [DeadstopCallbackHandler(monitor)]})
    killer.join()
    expect_a_cut(server)


def test_chunks_are_counted_and_their_text_is_not_stored(monitor: Monitor, server: ContractServer) -> None:
    """The number of chunks is on the event of the call; what they said is nowhere."""
    server.says(Turn("a secret in many words"))
    list(chat_model(server.base_url).stream("tell me", {"callbacks": [DeadstopCallbackHandler(monitor)]}))
    row = steps(monitor, "model")[0]
    assert row["data"]["chunks"] >= 5
    assert "secret" not in repr(monitor.get_events())
    assert "tell me" not in repr(monitor.get_events())
