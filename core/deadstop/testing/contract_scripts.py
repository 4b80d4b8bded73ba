"""What the scripted model says in the scenarios, and the tools that its agents call."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from deadstop.events import Usage
from deadstop.testing.model_script import ModelRequest, ToolCallScript, Turn

if TYPE_CHECKING:
    from collections.abc import Callable

TURN_SECONDS = 0.01
"""How long the model thinks: long enough for a kill to come in the middle of it."""


def turns_of(request: ModelRequest) -> int:
    """Return how many results of tools the request brings along."""
    return sum(message.role == "tool" for message in request.messages)


def usage_of(turn: int) -> Usage:
    """Return the usage of the model call after *turn* results: different for each, so that mixing them up shows."""
    return Usage(input_tokens=100 + turn, output_tokens=20 + turn, cached_tokens=7, reasoning_tokens=3)


@dataclass(frozen=True)
class Worker:
    """A model that calls its tools *turns* times and then says `answer`; each call is a request of `seconds`.

    `parallel` tools are called at once in each turn. Ids of calls are fixed, so that two runs can be compared.
    """

    turns: int = 3
    parallel: tuple[str, ...] = ("work",)
    seconds: float = TURN_SECONDS
    answer: str = "all the work is done"

    def __call__(self, request: ModelRequest) -> Turn:
        """Return the next turn of the conversation in *request*."""
        results = turns_of(request)
        turn = results // len(self.parallel)
        if turn >= self.turns:
            return Turn(self.answer, delay=self.seconds, usage=usage_of(results))
        calls = [ToolCallScript(tool, {"n": turn}, id=f"call_{turn}_{tool}") for tool in self.parallel]
        return Turn(tool_calls=calls, delay=self.seconds, usage=usage_of(results))


@dataclass(frozen=True)
class Boss:
    """A model that gives the member agent one task, and repeats what it was told. The member's model is `member`."""

    member: str
    works: Worker
    answer: str = "the member has done it"

    def __call__(self, request: ModelRequest) -> Turn:
        """Return the next turn, of the boss or of its member."""
        if request.model == f"model-of-{self.member}":
            return self.works(request)
        results = turns_of(request)
        if results:
            return Turn(self.answer, delay=self.works.seconds, usage=usage_of(results))
        call = ToolCallScript(self.member, {"task": "all of it"}, id="call_member")
        return Turn(tool_calls=[call], delay=self.works.seconds, usage=usage_of(results))


def long_answer(words: int, *, chunk_delay: float = 0.01, silent_after: int | None = None) -> Turn:
    """Return a text of so many words, streamed word by word."""
    text = " ".join(f"word{n}" for n in range(words))
    return Turn(text, chunk_delay=chunk_delay, silent_after=silent_after, usage=usage_of(0))


class ToolCall(NamedTuple):
    """One call of a tool: its name, and `time.monotonic()` when it began."""

    tool: str
    began: float


class Toolbox:
    """The tools of a scenario's agents: they take `seconds`, are counted, and let the scenario act inside them."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self.seconds = 0.005
        self.inside: Callable[[str], None] | None = None
        self._lock = threading.Lock()

    def functions(self) -> tuple[Callable[..., str], ...]:
        """Return the tools as a framework wants them: plain functions."""

        def work(n: int) -> str:
            """Do piece number n of the work."""
            return self._called("work", n)

        def check(n: int) -> str:
            """Check piece number n of the work."""
            return self._called("check", n)

        return work, check

    def _called(self, tool: str, n: int) -> str:
        with self._lock:
            self.calls.append(ToolCall(tool, time.monotonic()))
        time.sleep(self.seconds)
        if self.inside is not None:
            self.inside(tool)
        return f"{tool} {n} done"
