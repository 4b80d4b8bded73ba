"""One HTTP/1.1 connection of the scripted server: reads requests, sends at once, notices when the client leaves."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import time
from typing import NamedTuple

_BLOCK = 1 << 18  # bytes read at once
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")


class ConnectionEnded(Exception):  # noqa: N818 - it is an event, not a fault
    """The connection ended under the server: by `shutdown()`, or as a ClientGone."""


class ClientGone(ConnectionEnded):
    """The client closed the connection, or died."""


class BadHttp(Exception):  # noqa: N818 - a bad message, as HTTP's own "Bad Request"
    """What arrived is not HTTP/1.1; the connection cannot be used any more."""


class Head(NamedTuple):
    """The head of a request. `path` has no query, names of `headers` are lower-case."""

    method: str
    path: str
    headers: dict[str, str]
    arrived: float
    arrived_wall: float

    @property
    def keep_alive(self) -> bool:
        """Whether the client will use the connection again."""
        return self.headers.get("connection", "").lower() != "close"


class Connection:
    """A socket that belongs to one thread; only `shutdown()` may be called from others."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._shut = False
        self._buffer = bytearray()
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def read_head(self) -> Head:
        """Block until the next request's head is complete. Raises ConnectionEnded or BadHttp."""
        text = self._read_until(b"\r\n\r\n")
        arrived, arrived_wall = time.monotonic(), time.time()
        request_line, *lines = text.decode("latin-1").lstrip("\r\n").split("\r\n")
        try:
            method, target, version = request_line.split(" ")
        except ValueError:
            raise BadHttp(f"not a request line: {request_line[:100]!r}") from None
        if version != "HTTP/1.1":
            raise BadHttp(f"this server speaks HTTP/1.1, not {version[:20]!r}")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        return Head(method, target.partition("?")[0], headers, arrived, arrived_wall)

    def read_body(self, head: Head) -> bytes:
        """The whole body of the request that was just read. Raises ConnectionEnded or BadHttp."""
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            return b"".join(iter(self._read_chunk, b""))
        length = head.headers.get("content-length", "0")
        if not length.isdecimal():
            raise BadHttp(f"not a content length: {length[:20]!r}")
        return self._read_exactly(int(length))

    def wait(self, seconds: float | None) -> None:
        """Let `seconds` pass (None: no end), but raise ConnectionEnded as soon as it ends, by either side."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
            if not self._poll.poll(left):
                return
            self._fill()  # the end, or the start of a pipelined request: kept for read_head

    def send(self, data: bytes) -> None:
        """Hand all of `data` to the kernel in one piece. Raises ConnectionEnded."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._ended(error) from None

    def shutdown(self) -> None:
        """End both directions, from any thread: whoever waits on the connection gets ConnectionEnded."""
        self._shut = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket; `shutdown` first, so that the client sees the end even if a forked child holds a copy."""
        self.shutdown()
        self._socket.close()

    def _read_chunk(self) -> bytes:
        size = self._read_until(b"\r\n").partition(b";")[0].strip()
        if not _CHUNK_SIZE.fullmatch(size):
            raise BadHttp(f"not a chunk size: {size[:20]!r}")
        data = self._read_exactly(int(size, 16))
        self._read_until(b"\r\n")
        return data

    def _read_until(self, mark: bytes) -> bytes:
        seen = 0
        while (end := self._buffer.find(mark, seen)) < 0:
            seen = max(0, len(self._buffer) - len(mark))
            self._fill()
        return self._read_exactly(end + len(mark))[: -len(mark)]

    def _read_exactly(self, length: int) -> bytes:
        while len(self._buffer) < length:
            self._fill()
        data = bytes(memoryview(self._buffer)[:length])
        del self._buffer[:length]
        return data

    def _fill(self) -> None:
        try:
            data = self._socket.recv(_BLOCK)
        except OSError as error:
            raise self._ended(error) from None
        if not data:
            raise self._ended("the connection was closed")
        self._buffer += data

    def _ended(self, why: object) -> ConnectionEnded:
        return ConnectionEnded("the server stops") if self._shut else ClientGone(str(why))
