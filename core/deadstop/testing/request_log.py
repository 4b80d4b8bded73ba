"""What reached the scripted server, when, and what became of it."""

from __future__ import annotations

import copy
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadstop.testing.http_connection import Head


@dataclass(slots=True)
class RequestLog:
    """One request. Times are seconds of `time.monotonic()`; `arrived_wall` is epoch seconds.

    - `arrived`: when the request's head was read, before its body. `headers`: names in lower case.
    - `turn`: its place among the requests that a turn answers; None for a bad request and for `GET /v1/models`.
    - `id`: part of the answer's id (`chatcmpl-<id>`, `resp_<id>`).
    - `status`: the HTTP status of the answer; None while there is none.
    - `chunks_sent`: streamed chunks (see `Turn`). A chunk is counted just before its bytes go out, so a client that has
      read n chunks finds at least n here.
    - `finished`: when the turn had been carried out, a scripted disconnect included; else None. It is noted just before
      the last bytes go out, and taken back if the client leaves without them.
    - `disconnected`: when the client was seen to have left before the end; else None. A server that stops is none.
    """

    id: str
    index: int
    method: str
    path: str
    model: str | None
    stream: bool
    body: dict[str, Any]
    headers: dict[str, str]
    arrived: float
    arrived_wall: float
    turn: int | None = None
    status: int | None = None
    chunks_sent: int = 0
    finished: float | None = None
    disconnected: float | None = None


class Journal:
    """The requests of one server, for several threads: each writes its own entry, any may wait for a count."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._entries: list[RequestLog] = []
        self._turns = 0
        # Unique over resets and servers: frameworks merge messages that have the same id.
        self._prefix = secrets.token_hex(4)
        self._serial = 0

    def open(self, head: Head, body: dict[str, Any], *, takes_turn: bool) -> RequestLog:
        """Write a new entry down; it stays the caller's to pass back."""
        model = body.get("model")
        with self._changed:
            self._serial += 1
            entry = RequestLog(
                id=f"{self._prefix}{self._serial:06x}",
                index=len(self._entries),
                method=head.method,
                path=head.path,
                model=model if isinstance(model, str) else None,
                stream=body.get("stream") is True,
                body=body,
                headers=head.headers,
                arrived=head.arrived,
                arrived_wall=head.arrived_wall,
                turn=self._turns if takes_turn else None,
            )
            self._turns += takes_turn
            self._entries.append(entry)
            self._changed.notify_all()
        return entry

    def begin(self, entry: RequestLog, *, status: int) -> None:
        """The head of an answer goes out."""
        with self._changed:
            entry.status = status

    def chunk(self, entry: RequestLog) -> None:
        """One more chunk goes out."""
        with self._changed:
            entry.chunks_sent += 1
            self._changed.notify_all()

    def finish(self, entry: RequestLog, *, status: int) -> None:
        """The last bytes go out."""
        with self._changed:
            entry.status = status
            entry.finished = time.monotonic()
            self._changed.notify_all()

    def lost(self, entry: RequestLog) -> None:
        """The client left before the end."""
        with self._changed:
            entry.finished = None
            entry.disconnected = time.monotonic()
            self._changed.notify_all()

    def snapshot(self) -> list[RequestLog]:
        """Copies of all entries, in the order in which the requests were complete."""
        with self._changed:
            return [copy.copy(entry) for entry in self._entries]

    def copy(self, entry: RequestLog) -> RequestLog:
        """One entry as it is now."""
        with self._changed:
            return copy.copy(entry)

    def wait(self, reached: Callable[[list[RequestLog]], bool], timeout: float) -> bool:
        """Block until `reached(entries)`; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: reached(self._entries), timeout)

    def clear(self) -> None:
        """Forget every entry; numbers start at 0 again, ids do not."""
        with self._changed:
            self._entries = []
            self._turns = 0
            self._changed.notify_all()
