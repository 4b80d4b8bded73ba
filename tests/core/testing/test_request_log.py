"""What the scripted server logs, and how a test waits for it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest

from deadstop.testing import RequestLog, ScriptedModelServer, Turn

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


def test_the_log_tells_what_arrived_and_when() -> None:
    with ScriptedModelServer() as server, client_of(server) as client:
        before, before_wall = time.monotonic(), time.time()
        answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, extra_headers={"X-Trace": "T1"})
        between = time.monotonic()
        list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
        after = time.monotonic()
        first, second = server.requests
    assert (first.index, first.turn, first.method, first.path) == (0, 0, "POST", "/v1/chat/completions")
    assert (first.model, first.stream, second.stream) == ("gpt-4o", False, True)
    assert first.body["messages"] == MESSAGES
    assert first.headers["x-trace"] == "T1"
    assert answer.id == f"chatcmpl-{first.id}"
    assert answer._request_id == f"req_{first.id}"
    assert (first.status, first.chunks_sent, second.chunks_sent) == (200, 0, 1)
    assert first.finished is not None
    assert second.finished is not None
    assert before < first.arrived < first.finished < between < second.arrived < second.finished < after
    assert before_wall <= first.arrived_wall <= time.time()
    assert (first.disconnected, second.disconnected) == (None, None)


def test_requests_are_counted_by_time_of_arrival_and_path() -> None:
    with ScriptedModelServer() as server, client_of(server) as client:
        ask(client)
        client.responses.create(model="m", input="hi")
        mark = time.monotonic()
        assert (server.count(), server.count(after=mark), server.count(path="/v1/responses")) == (2, 0, 1)
        ask(client)
        assert (server.count(), server.count(after=mark)) == (3, 1)
        assert server.count(after=mark, path="/v1/responses") == 0


def test_a_request_arrives_when_its_head_does_not_when_its_body_does(connect: Connect) -> None:
    with ScriptedModelServer() as server, connect(server) as client:
        body = json.dumps(CHAT).encode()
        client.send(f"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        assert not server.wait_for_requests(1, 0.05)
        mark = time.monotonic()
        client.send(body)
        assert client.read_answer()[0] == 200
        assert server.count() == 1
        assert server.count(after=mark) == 0


def test_the_log_is_a_copy(connect: Connect) -> None:
    with ScriptedModelServer(Turn("a b", silent_after=1)) as server, connect(server) as client:
        client.post({**CHAT, "stream": True})
        assert server.wait_for_chunks(1, SOON)
        copy = server.requests[0]
        copy.status = 999
        client.reset()
        assert server.wait_for_disconnects(1, SOON)
        assert copy.disconnected is None
        assert server.requests[0].status == 200


def test_a_wait_in_vain_says_so() -> None:
    with ScriptedModelServer() as server:
        assert not server.wait_for_requests(1, 0.01)
        assert not server.wait_for_chunks(1, 0.01)
        assert not server.wait_for_finished(1, 0.01)
        assert not server.wait_for_disconnects(1, 0.01)


def woken(wait: Callable[[int, float], bool], act: Callable[[], object]) -> bool:
    """Whether `act`, a moment later, ends the wait before its time. Nothing else happens that could end it."""
    timer = threading.Timer(0.05, act)
    timer.start()
    began = time.monotonic()
    reached = wait(1, SOON)
    timer.join()
    return reached and time.monotonic() - began < SOON


def test_a_wait_for_requests_is_woken(connect: Connect) -> None:
    with ScriptedModelServer(Turn(accept_only=True)) as server, connect(server) as client:
        assert woken(server.wait_for_requests, lambda: client.post(CHAT))


def test_a_wait_for_chunks_is_woken(connect: Connect) -> None:
    turn = Turn("a b", silent_after=1, delay=0.1)
    with ScriptedModelServer(turn) as server, connect(server) as client:
        assert woken(server.wait_for_chunks, lambda: client.post({**CHAT, "stream": True}))


def test_a_wait_for_the_end_is_woken(connect: Connect) -> None:
    with ScriptedModelServer(Turn("a", delay=0.1)) as server, connect(server) as client:
        assert woken(server.wait_for_finished, lambda: client.post(CHAT))


def test_a_wait_for_disconnects_is_woken(connect: Connect) -> None:
    with ScriptedModelServer(Turn("a b", silent_after=1)) as server, connect(server) as client:
        client.post({**CHAT, "stream": True})
        assert server.wait_for_chunks(1, SOON)
        assert woken(server.wait_for_disconnects, client.reset)


def test_reset_forgets_requests_and_starts_the_script_anew() -> None:
    with ScriptedModelServer([Turn("a"), Turn("b")]) as server, client_of(server) as client:
        assert [ask(client), ask(client)] == ["a", "b"]
        server.reset()
        assert (server.requests, server.count()) == ([], 0)
        assert ask(client) == "a"
        assert server.requests[0].index == 0


def test_the_hook_runs_on_arrival_before_anything_is_answered() -> None:
    """What the hook sees is what a test needs that kills at exactly this moment."""
    seen: list[RequestLog] = []
    with ScriptedModelServer(on_request=seen.append) as server, client_of(server) as client:
        ask(client)
        server.on_request = None
        ask(client)
    assert len(seen) == 1
    assert (seen[0].index, seen[0].status, seen[0].finished) == (0, None, None)


def test_a_hook_that_blocks_holds_up_its_own_request_only(connect: Connect) -> None:
    go = threading.Event()

    def hook(entry: RequestLog) -> None:
        if entry.index == 0:
            assert go.wait(SOON)

    with ScriptedModelServer(on_request=hook) as server, connect(server) as first, connect(server) as second:
        first.post(CHAT)
        assert server.wait_for_requests(1, SOON)
        second.post(CHAT)
        assert second.read_answer()[0] == 200
        assert server.requests[0].status is None
        go.set()
        assert first.read_answer()[0] == 200
