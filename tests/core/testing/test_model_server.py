"""The scripted server's script and its life."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest

from deadstop.testing import ModelRequest, RequestLog, ScriptedModelServer, Turn

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


# The script


def test_turns_are_used_in_order_and_the_last_one_repeats() -> None:
    with ScriptedModelServer([Turn("a"), Turn("b")]) as server, client_of(server) as client:
        assert [ask(client) for _ in range(4)] == ["a", "b", "b", "b"]


def test_a_script_that_may_not_repeat_says_when_it_is_exhausted() -> None:
    with ScriptedModelServer([Turn("a")], repeat_last=False) as server, client_of(server) as client:
        assert ask(client) == "a"
        with pytest.raises(openai.InternalServerError, match="script is exhausted: it has 1 turns, this is request 2"):
            ask(client)


def test_an_empty_script_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one Turn"):
        ScriptedModelServer([])


def test_a_script_function_answers_parallel_agents_by_what_they_said() -> None:
    """The barrier lets nobody through before all twenty are being answered at once."""
    together = threading.Barrier(20)

    def script(request: ModelRequest) -> Turn:
        together.wait(SOON)
        return Turn(request.messages[-1].text.upper())

    async def ask_all(base_url: str) -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="unused", max_retries=0, timeout=SOON) as client:

            async def one(text: str) -> str | None:
                messages: Any = [{"role": "user", "content": text}]
                return (await client.chat.completions.create(model="m", messages=messages)).choices[0].message.content

            return await asyncio.gather(*(one(f"agent {number}") for number in range(20)))

    with ScriptedModelServer(script) as server:
        assert asyncio.run(ask_all(server.base_url)) == [f"AGENT {number}" for number in range(20)]


def test_a_script_function_sees_the_request() -> None:
    seen: list[ModelRequest] = []

    def script(request: ModelRequest) -> Turn:
        seen.append(request)
        return Turn()

    before = time.monotonic()
    with ScriptedModelServer(script) as server, client_of(server) as client:
        ask(client)
        client.responses.create(model="other", input="hi")
    assert [(request.index, request.turn, request.path, request.model) for request in seen] == [
        (0, 0, "/v1/chat/completions", "m"),
        (1, 1, "/v1/responses", "other"),
    ]
    assert seen[0].headers["authorization"] == "Bearer unused"
    assert before < seen[0].arrived < seen[1].arrived < time.monotonic()


def fails_with(server: ScriptedModelServer, words: str) -> None:
    """Ask once, inside the server's `with` block, and see the status 500 that names the mistake."""
    with server, client_of(server) as client, pytest.raises(openai.InternalServerError, match=words):
        ask(client)


@pytest.mark.parametrize("wrong", [None, "text"])
def test_a_script_function_that_returns_no_turn_fails_the_test_that_wrote_it(wrong: Any) -> None:
    server = ScriptedModelServer(lambda _: wrong)
    with pytest.raises(TypeError, match="not a Turn"):
        fails_with(server, "not a Turn")
    assert server.requests[0].status == 500


def test_an_exception_of_the_script_does_not_hide_one_of_the_test() -> None:
    def script(_: ModelRequest) -> Turn:
        raise LookupError("mine")

    def failing_test() -> None:
        with server, client_of(server) as client:
            ask(client)

    server = ScriptedModelServer(script)
    with pytest.raises(openai.InternalServerError, match="LookupError"):
        failing_test()
    assert [type(failure) for failure in server.failures] == [LookupError]
    server.reset()
    assert server.failures == []


def test_an_assertion_in_the_hook_fails_the_test() -> None:
    def hook(entry: RequestLog) -> None:
        assert entry.model == "expected"

    with pytest.raises(AssertionError):
        fails_with(ScriptedModelServer(on_request=hook), "AssertionError")


# Life


def test_the_server_starts_and_stops_and_starts_again() -> None:
    server = ScriptedModelServer(Turn("ok"))
    with pytest.raises(RuntimeError, match="does not run"):
        _ = server.base_url
    for round_number in (1, 2):
        server.start()
        with pytest.raises(RuntimeError, match="runs already"):
            server.start()
        assert server.base_url == f"http://127.0.0.1:{server.port}/v1"
        with client_of(server) as client:
            assert ask(client) == "ok"
        server.stop()
        server.stop()
        assert server.count() == round_number, "the log outlives the server"


def test_a_stopped_server_takes_no_connection() -> None:
    with ScriptedModelServer() as server:
        port = server.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=SOON)


def test_a_given_port_is_used_and_a_taken_one_is_an_error() -> None:
    with ScriptedModelServer() as first:
        taken = first.port
        with pytest.raises(OSError, match="in use"):
            ScriptedModelServer(port=taken).start()
    with ScriptedModelServer(port=taken) as second:
        assert second.port == taken


def test_stop_ends_everything_that_is_held_and_blames_no_client(connect: Connect) -> None:
    """Silent streams, unanswered and half-sent requests, idle connections, a client that does not read: all at once."""
    turns = {
        "silent": Turn("a b", silent_after=1),
        "held": Turn(accept_only=True),
        "slow": Turn(delay=3600),
        "flood": Turn("x" * 30_000_000, chunks=2),
    }
    server = ScriptedModelServer(lambda request: turns[request.model])
    server.start()
    clients = [connect(server) for _ in range(len(turns) + 2)]
    for client, model in zip(clients, turns, strict=False):
        client.post({**CHAT, "model": model, "stream": True})
    clients[-1].send(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
    assert server.wait_for_requests(len(turns), SOON)
    assert server.wait_for_chunks(2, SOON)
    server.stop(timeout=SOON)
    assert [entry.disconnected for entry in server.requests] == [None] * len(turns)
    assert [entry.finished for entry in server.requests] == [None] * len(turns)
    for client in clients:
        client.socket.close()


def test_stop_names_the_script_that_does_not_return(connect: Connect) -> None:
    go = threading.Event()

    def script(_: ModelRequest) -> Turn:
        go.wait(SOON)
        return Turn()

    server = ScriptedModelServer(script)
    server.start()
    with connect(server) as client:
        client.post(CHAT)
        assert server.wait_for_requests(1, SOON)
        thread = next(thread for thread in threading.enumerate() if thread.name.endswith("-connection"))
        with pytest.raises(TimeoutError, match="still runs"):
            server.stop(timeout=0.05)
        go.set()
        thread.join(SOON)


def test_a_hook_may_stop_the_server(connect: Connect) -> None:
    server = ScriptedModelServer(on_request=lambda _: server.stop())
    server.start()
    with connect(server) as client:
        client.post(CHAT)
        assert client.read_to_the_end() == b""
    with pytest.raises(RuntimeError, match="does not run"):
        _ = server.port
    for thread in threading.enumerate():
        if thread.name.endswith("-connection"):
            thread.join(SOON)
    assert server.failures == []


def test_a_forked_child_neither_stops_the_server_nor_keeps_it_alive() -> None:
    code = """
import os, socket
from deadstop.testing import ScriptedModelServer

server = ScriptedModelServer()
server.start()
port = server.port
ask, bye = b"GET /v1/models HTTP/1.1\\r\\n\\r\\n", b"GET /v1/models HTTP/1.1\\r\\nConnection: close\\r\\n\\r\\n"
idle, last = (socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(2))
for client in (idle, last):
    client.sendall(ask)
    client.recv(9999)
(ready_end, ready), (go, go_end) = os.pipe(), os.pipe()
child = os.fork()
if not child:
    os.close(go_end)
    server.stop()
    os.write(ready, b"x")
    os.read(go, 1)
    os._exit(0)
os.read(ready_end, 1)
idle.sendall(ask)
assert idle.recv(9999).startswith(b"HTTP/1.1 200")
last.sendall(bye)
assert last.recv(9999).startswith(b"HTTP/1.1 200")
assert last.recv(9999) == b"", "the child's copy keeps a closed connection open"
server.stop()
assert idle.recv(9999) == b"", "the child's copy keeps the connection open"
try:
    socket.create_connection(("127.0.0.1", port), timeout=10)
    raise SystemExit("the child's copy keeps the port open")
except ConnectionRefusedError:
    os.write(go_end, b"x")
os.waitpid(child, 0)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)


def test_importing_the_package_loads_no_fake() -> None:
    code = (
        "import deadstop.testing as testing, sys\n"
        "loaded = [name for name in sys.modules if name.startswith('deadstop.testing.')]\n"
        "assert loaded == [], loaded\n"
        "assert 'ScriptedModelServer' in dir(testing) and 'http.server' not in sys.modules\n"
        "from deadstop.testing import FakeClock\n"
        "assert 'deadstop.testing.model_server' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    import deadstop.testing

    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = deadstop.testing.Nonsense
