"""How the scripted server delivers an answer, notices who leaves, and speaks HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest

from deadstop.testing import ScriptedModelServer, ToolCallScript, Turn
from deadstop.testing.http_connection import Connection

MESSAGES: Any = [{"role": "user", "content": "hi"}]
CHAT = {"model": "m", "messages": MESSAGES}
SOON = 10.0  # seconds that a wait may take before the test fails
Connect = Callable[[ScriptedModelServer], Any]
pytestmark = pytest.mark.usefixtures("nothing_is_left")


def client_of(server: ScriptedModelServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="unused", max_retries=0, timeout=SOON)


def ask(client: openai.OpenAI, text: str = "hi") -> str | None:
    messages: Any = [{"role": "user", "content": text}]
    return client.chat.completions.create(model="m", messages=messages).choices[0].message.content


# Delivery


def test_each_chunk_reaches_the_client_before_the_next_is_sent() -> None:
    """Four chunks can be read while the server is silent before the fifth: none was held back in a buffer."""
    turn = Turn("a b c d e f", silent_after=4)
    with ScriptedModelServer(turn) as server, client_of(server) as client:
        stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        texts = []
        for chunk in stream:
            texts += [chunk.choices[0].delta.content] if chunk.choices[0].delta.content else []
            if len(texts) == 4:
                break
        assert texts == ["a ", "b ", "c ", "d "]
        assert (server.requests[0].chunks_sent, server.requests[0].disconnected) == (4, None)
        stream.close()
        assert server.wait_for_disconnects(1, SOON)
        entry = server.requests[0]
    assert (entry.chunks_sent, entry.finished) == (4, None)


@pytest.mark.parametrize(
    ("path", "opening"),
    [
        ("/v1/chat/completions", b'"role":"assistant"'),
        ("/v1/responses", b"response.content_part.added"),
        ("/v1/completions", b"\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("cut", [0, 1, 3])
def test_a_stream_is_cut_after_exactly_the_scripted_chunks_on_every_endpoint(
    connect: Connect, path: str, opening: bytes, cut: int
) -> None:
    turn = Turn("aa bb cc", disconnect_after=cut)
    with ScriptedModelServer(turn) as server, connect(server) as client:
        client.post({**CHAT, "stream": True}, path)
        data = client.read_to_the_end()
        entry = server.requests[0]
    assert [word in data for word in (b'"aa "', b'"bb "', b'"cc"')] == [cut > place for place in range(3)]
    assert opening in data
    assert not data.endswith(b"0\r\n\r\n")
    assert (entry.chunks_sent, entry.disconnected) == (cut, None)
    assert entry.finished is not None


def test_a_tool_call_is_cut_between_its_name_and_its_arguments(connect: Connect) -> None:
    turn = Turn(tool_calls=(ToolCallScript("search", {"q": "x"}),), disconnect_after=1)
    for path in ("/v1/chat/completions", "/v1/responses"):
        with ScriptedModelServer(turn) as server, connect(server) as client:
            client.post({**CHAT, "stream": True}, path)
            data = client.read_to_the_end()
        assert b"search" in data
        assert b"\\" not in data, "an escaped quote would be the start of the arguments"


def test_a_disconnect_in_mid_stream_is_the_sdk_s_connection_error() -> None:
    with ScriptedModelServer(Turn("a b c", disconnect_after=2)) as server, client_of(server) as client:
        stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        with pytest.raises(Exception, match=r"(?i)connection|peer closed"):
            list(stream)


@pytest.mark.parametrize("fields", [{"disconnect_after": 0}, {"silent_after": 0}])
def test_an_answer_that_is_not_streamed_is_cut_after_its_head(connect: Connect, fields: dict[str, Any]) -> None:
    with ScriptedModelServer(Turn(**fields)) as server, connect(server) as client:
        client.post(CHAT)
        assert b"200 OK" in client.read_until(b"\r\n\r\n")
        if "silent_after" in fields:
            assert server.requests[0].finished is None
            client.socket.shutdown(socket.SHUT_WR)
            assert server.wait_for_disconnects(1, SOON)
        assert client.read_to_the_end() == b""


def test_a_request_can_be_accepted_and_never_answered(connect: Connect) -> None:
    with ScriptedModelServer(Turn(accept_only=True)) as server, connect(server) as client:
        client.post(CHAT)
        assert server.wait_for_requests(1, SOON)
        client.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)
        assert server.requests[0].status is None
        client.reset()
        assert server.wait_for_disconnects(1, SOON)


def test_a_delay_comes_before_the_first_byte_and_a_chunk_delay_between_chunks() -> None:
    """Lower bounds only: the delays must have passed, however slow the machine is."""
    script = (Turn(delay=0.08), Turn("a b c", chunk_delay=0.04))
    with ScriptedModelServer(script) as server, client_of(server) as client:
        ask(client)
        list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
        delayed, streamed = server.requests
    assert delayed.finished is not None
    assert streamed.finished is not None
    assert delayed.finished - delayed.arrived >= 0.08
    assert streamed.finished - streamed.arrived >= 0.08


@pytest.mark.parametrize(
    "turn", [Turn(delay=3600), Turn("a b", chunk_delay=3600), Turn("a b", silent_after=2), Turn(accept_only=True)]
)
@pytest.mark.parametrize("rude", [False, True])
def test_a_client_that_leaves_is_noticed_whatever_the_server_waits_for(
    connect: Connect, turn: Turn, rude: bool
) -> None:
    with ScriptedModelServer(turn) as server, connect(server) as client:
        client.post({**CHAT, "stream": True})
        assert server.wait_for_requests(1, SOON)
        left = time.monotonic()
        client.reset() if rude else client.socket.close()
        assert server.wait_for_disconnects(1, SOON)
        entry = server.requests[0]
    assert entry.disconnected is not None
    assert entry.disconnected > left
    assert entry.finished is None


async def test_a_cancelled_async_call_is_seen_as_a_disconnect() -> None:
    with ScriptedModelServer(Turn(delay=3600)) as server:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client:
            call = asyncio.create_task(client.chat.completions.create(model="m", messages=MESSAGES))
            assert await asyncio.to_thread(server.wait_for_requests, 1, SOON)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await asyncio.to_thread(server.wait_for_disconnects, 1, SOON)


def test_a_client_that_stops_reading_blocks_nobody_and_is_noticed_when_it_leaves(connect: Connect) -> None:
    turn = Turn("x" * 30_000_000, chunks=3)
    server = ScriptedModelServer(lambda request: turn if request.index == 0 else Turn("ok"))
    with server, connect(server) as stuck, client_of(server) as client:
        stuck.post({**CHAT, "stream": True})
        assert server.wait_for_chunks(1, SOON)
        assert ask(client) == "ok"
        assert server.requests[0].finished is None
        stuck.reset()
        assert server.wait_for_disconnects(1, SOON)


def test_an_answer_whose_last_bytes_nobody_read_is_not_finished(connect: Connect) -> None:
    with ScriptedModelServer(Turn("x" * 30_000_000)) as server, connect(server) as stuck:
        stuck.post(CHAT)
        assert server.wait_for_finished(1, SOON), "it counts as finished while its last bytes are on their way"
        stuck.reset()
        assert server.wait_for_disconnects(1, SOON)
        assert server.requests[0].finished is None


# HTTP


def test_a_connection_serves_one_request_after_the_other(connect: Connect) -> None:
    with ScriptedModelServer([Turn("a"), Turn("b")]) as server, connect(server) as client:
        answers = []
        for _ in range(2):
            client.post(CHAT)
            answers.append(client.read_answer()[1]["choices"][0]["message"]["content"])
    assert answers == ["a", "b"]


def test_a_connection_lives_on_after_a_stream_and_after_an_error(connect: Connect) -> None:
    with ScriptedModelServer([Turn("a"), Turn(status=500), Turn("b")]) as server, connect(server) as client:
        client.post({**CHAT, "stream": True})
        client.read_until(b"[DONE]\n\n\r\n0\r\n\r\n")
        client.post(CHAT)
        assert client.read_answer()[0] == 500
        client.post(CHAT)
        assert client.read_answer()[0] == 200


def test_a_request_may_arrive_byte_by_byte(connect: Connect) -> None:
    request = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
    with ScriptedModelServer() as server, connect(server) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(len(request)):
            client.send(request[place : place + 1])
        assert client.read_answer()[0] == 200


def test_small_writes_are_not_held_back_by_the_kernel() -> None:
    """Without TCP_NODELAY a chunk can wait for the acknowledgement of the one before it."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            Connection(accepted)
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_pipelined_requests_are_answered_in_order(connect: Connect) -> None:
    with ScriptedModelServer([Turn("a", delay=0.05), Turn("b")]) as server, connect(server) as client:
        client.post(CHAT)
        client.post(CHAT)
        answers = [client.read_answer()[1]["choices"][0]["message"]["content"] for _ in range(2)]
    assert answers == ["a", "b"]


def test_a_client_that_asks_for_it_gets_its_connection_closed(connect: Connect) -> None:
    with ScriptedModelServer(Turn("a")) as server, connect(server) as client:
        client.post(CHAT, extra="Connection: close\r\n")
        assert b"connection: close" in client.read_to_the_end()


def test_a_chunked_request_body_is_read(connect: Connect) -> None:
    body = json.dumps(CHAT).encode()
    parts = b"".join(b"%X;x=y\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:]))
    with ScriptedModelServer() as server, connect(server) as client:
        client.send(b"POST /v1/chat/completions?a=b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(parts + b"0\r\n\r\n")
        assert client.read_answer()[0] == 200
        assert server.requests[0].body == CHAT


def test_a_large_request_is_read_whole() -> None:
    text = "x" * 5_000_000
    server = ScriptedModelServer(lambda request: Turn(str(len(request.messages[0].text))))
    with server, client_of(server) as client:
        assert ask(client, text) == "5000000"


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/v1/chat/completions", b"{not json", 400, "could not parse"),
        ("/v1/chat/completions", b"\xff\xfe", 400, "could not parse"),
        ("/v1/chat/completions", b"[" * 100_000, 400, "could not parse"),
        ("/v1/chat/completions", [1], 400, "must be an object"),
        ("/v1/chat/completions", {"messages": []}, 400, "provide a model"),
        ("/v1/chat/completions", {"model": 3, "messages": []}, 400, "provide a model"),
        ("/v1/chat/completions", {"model": "m"}, 400, "'messages'"),
        ("/v1/embeddings", {"model": "m"}, 400, "'input'"),
        ("/v1/nowhere", CHAT, 404, "Invalid URL (POST /v1/nowhere)"),
        ("/v1/models", CHAT, 405, "Not allowed to POST"),
    ],
)
def test_a_bad_request_gets_an_error_and_costs_no_turn(
    connect: Connect, path: str, body: Any, status: int, words: str
) -> None:
    with ScriptedModelServer([Turn("first"), Turn("second")]) as server, connect(server) as client:
        client.post(body, path)
        answer = client.read_answer()
        assert answer[0] == status
        assert words in answer[1]["error"]["message"]
        assert answer[1]["error"]["type"] == "invalid_request_error"
        client.post(CHAT)
        assert client.read_answer()[1]["choices"][0]["message"]["content"] == "first"
        bad, good = server.requests
    assert (bad.status, bad.turn, bad.path) == (status, None, path)
    assert (good.turn, good.index) == (0, 1)


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"GET /v1/models HTTP/1.0\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_bytes_that_are_no_http_get_a_400_and_the_connection_is_closed(connect: Connect, data: bytes) -> None:
    with ScriptedModelServer() as server, connect(server) as client:
        client.send(data)
        answer = client.read_to_the_end()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert all(entry.status == 400 for entry in server.requests)


def test_a_request_whose_client_dies_in_its_body_is_logged(connect: Connect) -> None:
    """Half a request did leave the agent: it must not be missing from the count."""
    with ScriptedModelServer() as server, connect(server) as client:
        client.send(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        client.reset()
        assert server.wait_for_disconnects(1, SOON)
        entry = server.requests[0]
    assert (entry.path, entry.body, entry.status, entry.turn) == ("/v1/chat/completions", {}, None, None)


def test_odd_bodies_are_answered_sanely(connect: Connect) -> None:
    odd = [
        {**CHAT, "stream": "yes", "stream_options": 3},
        {**CHAT, "messages": None},
        {**CHAT, "messages": [None, 3, {"content": [3, {"text": None}]}]},
    ]
    server = ScriptedModelServer(lambda request: Turn(f"{len(request.messages)} \ud800"))
    with server, connect(server) as client:
        for body in odd:
            client.post(body)
            assert client.read_answer()[0] == 200
        client.post({"model": "e", "input": [], "dimensions": "x"}, "/v1/embeddings")
        assert client.read_answer()[0] == 200


def test_hundreds_of_idle_connections_are_kept_and_served(connect: Connect) -> None:
    with ScriptedModelServer(Turn("ok")) as server:
        clients = [connect(server) for _ in range(200)]
        for _ in range(2):
            for client in clients:
                client.post(CHAT)
            assert {client.read_answer()[0] for client in clients} == {200}
        for client in clients:
            client.socket.close()
        assert server.count() == 400
