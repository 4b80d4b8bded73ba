"""What the tests of the public fakes share: a rude HTTP client, and the check that nothing is left behind."""

from __future__ import annotations

import gc
import json
import socket
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deadstop.testing import ScriptedModelServer

SOON = 10.0  # seconds that a wait may take before the test fails


@pytest.fixture
def nothing_is_left() -> Iterator[None]:
    """No thread, no socket, no other descriptor outlives a server, whatever it was doing."""
    threads, descriptors = set(threading.enumerate()), _descriptors()
    yield
    gc.collect()
    assert set(threading.enumerate()) <= threads
    assert _descriptors() <= descriptors


class RawClient:
    """A bare socket that speaks just enough HTTP to be rude with."""

    def __init__(self, server: ScriptedModelServer) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=SOON)
        self.seen = b""

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def post(self, body: object, path: str = "/v1/chat/completions", extra: str = "") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send(f"POST {path} HTTP/1.1\r\nHost: x\r\n{extra}Content-Length: {len(data)}\r\n\r\n".encode() + data)

    def read_until(self, mark: bytes) -> bytes:
        while mark not in self.seen:
            data = self.socket.recv(65536)
            assert data, f"the server closed after {self.seen!r}"
            self.seen += data
        head, _, self.seen = self.seen.partition(mark)
        return head

    def read_answer(self) -> tuple[int, Any]:
        head = self.read_until(b"\r\n\r\n").decode()
        length = int(next(line.split(": ")[1] for line in head.split("\r\n") if line.startswith("content-length")))
        while len(self.seen) < length:
            self.seen += self.socket.recv(65536)
        body, self.seen = self.seen[:length], self.seen[length:]
        return int(head.split(" ")[1]), json.loads(body)

    def read_to_the_end(self) -> bytes:
        data = self.seen
        while more := self.socket.recv(65536):
            data += more
        return data

    def reset(self) -> None:
        """Close as a process that dies does: with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@pytest.fixture
def connect() -> Callable[[ScriptedModelServer], RawClient]:
    """Open a raw connection to a server; a context manager closes it."""
    return RawClient


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
