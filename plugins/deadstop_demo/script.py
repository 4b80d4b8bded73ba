"""What the scripted model says: the same tool again and again, until somebody stops it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from deadstop import Usage
from deadstop.testing import ToolCallScript, Turn

if TYPE_CHECKING:
    from deadstop.testing import ModelRequest

QUERY = "how do I stop?"
_THOUGHT = "I am not sure yet. Let me search for it again."
_BETWEEN = 0.025  # seconds between two chunks: an answer takes about 0.3 s
_SEARCHING = 0.1  # seconds that the tool takes
_OUTPUT_TOKENS = 14  # of an answer: its words and its tool call


class Script:
    """The model and its tool, and a record of both.

    *most* model calls are answered with another tool call. `usage` is by the index of the request, `tool_runs` holds
    the epoch time at which each execution began, written down by the tool itself.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self.over = threading.Event()
        self.usage: dict[int, Usage] = {}
        self.tool_runs: list[float] = []

    def answer(self, request: ModelRequest) -> Turn:
        """Ask for the tool once more; with `over` set, or after *most* answers, give up instead."""
        characters = sum(len(message.text) for message in request.messages)
        usage = Usage(input_tokens=40 + characters // 4 + 6 * len(request.messages), output_tokens=_OUTPUT_TOKENS)
        with self._lock:
            self.usage[request.index] = usage
        if self.over.is_set() or request.turn >= self._most:
            return Turn("I give up.", usage=usage)
        call = ToolCallScript("search", {"query": QUERY})
        return Turn(_THOUGHT, tool_calls=(call,), usage=usage, chunk_delay=_BETWEEN)

    def search(self, query: str) -> str:
        """Search the web."""
        with self._lock:
            self.tool_runs.append(time.time())
        time.sleep(_SEARCHING)
        return f"Nothing was found for {query!r}. Try again."
