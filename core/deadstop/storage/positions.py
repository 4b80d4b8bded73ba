"""Places in the writer's queue that somebody may wait for."""

from __future__ import annotations

import sys
import threading


class Position:
    """A place in the queue. It is passed when everything before it was stored, or could not be.

    *durable*: the batch that it is in has to survive a power cut. *delivered*: the sinks must have had their turn too.
    Built on a bare lock, because it is waited for and settled from signal handlers, too.
    """

    __slots__ = ("_passed", "delivered", "durable", "stored")

    def __init__(self, *, durable: bool = False, delivered: bool = False) -> None:
        self.durable = durable
        self.delivered = delivered
        self.stored = False
        self._passed = threading.Lock()
        self._passed.acquire()

    def settle(self, *, stored: bool) -> None:
        """Let the waiting go on. Only the writer calls this, and once."""
        self.stored = stored
        self._passed.release()

    def wait(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds; return whether everything before this place is stored."""
        if not self._passed.acquire(timeout=max(0.0, min(timeout, threading.TIMEOUT_MAX))):
            return False
        self._passed.release()  # for the next one who asks
        return self.stored


def on_event_loop() -> bool:
    """Whether this thread runs an asyncio event loop, which must not wait."""
    events = sys.modules.get("asyncio.events")  # whoever runs a loop has imported it
    running = getattr(events, "_get_running_loop", None)
    return running is not None and running() is not None
