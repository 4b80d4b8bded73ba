"""How the contract runs agents: sync ones in threads, async ones on one loop, none for longer than the limit."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLong
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from deadstop.testing.contract_driver import Mode

LIMIT = 20.0
"""Seconds after which a run counts as hung."""


@dataclass
class Outcome:
    """What the caller got: the answer, or the error that came out, and the pieces of a stream until then."""

    answer: str | None = None
    error: BaseException | None = None
    pieces: list[str] = field(default_factory=list)


@dataclass
class Consumer:
    """How a stream is read: `between` is called after the second piece, reading ends after *take* pieces (None: all).

    An abandoned stream is closed, or with `drop` just no longer referenced.
    """

    between: Callable[[], Any] | None = None
    take: int | None = None
    drop: bool = False

    def enough(self, pieces: list[str]) -> bool:
        """Whether to stop reading here."""
        return self.take is not None and len(pieces) >= self.take


class Running:
    """A run on its way."""

    def __init__(self, future: Future[Outcome]) -> None:
        self._future = future

    def result(self, limit: float = LIMIT) -> Outcome:
        """Wait for the end. AssertionError if it takes longer than *limit* seconds."""
        try:
            return self._future.result(limit)
        except TooLong:  # the builtin one from Python 3.11 on
            self._future.cancel()
            raise AssertionError(f"the run hangs: no end within {limit} s") from None

    def cancel(self) -> None:
        """Cancel the task of an async run."""
        self._future.cancel()


def start(mode: Mode, run: Callable[[], Any], consumer: Consumer) -> Running:
    """Start *run*, which does what `AdapterDriver.run` does, in an empty context of its own."""
    if mode.is_async:
        coroutine = _run_async(mode, run, consumer)
        return Running(contextvars.Context().run(asyncio.run_coroutine_threadsafe, coroutine, _loop()))
    future: Future[Outcome] = Future()
    thread = threading.Thread(target=_fill, args=(future, lambda: _run(mode, run, consumer)), daemon=True)
    thread.start()
    return Running(future)


def on_loop(coroutine: Coroutine[Any, Any, Any], limit: float = LIMIT) -> Any:
    """Run *coroutine* on the loop of the async modes."""
    return asyncio.run_coroutine_threadsafe(coroutine, _loop()).result(limit)


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """One loop for all async runs of the process: clients that are pooled between agents belong to one loop."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="contract loop", daemon=True).start()
    return loop


def _fill(future: Future[Outcome], work: Callable[[], Outcome]) -> None:
    outcome = work()
    if not future.cancelled():
        future.set_result(outcome)


def _run(mode: Mode, run: Callable[[], Any], consumer: Consumer) -> Outcome:
    outcome = Outcome()
    try:
        if mode.streams:
            _read(run(), outcome, consumer)
        else:
            outcome.answer = run()
    except BaseException as error:
        outcome.error = error
    return outcome


def _read(stream: Any, outcome: Outcome, consumer: Consumer) -> None:
    for piece in stream:
        outcome.pieces.append(piece)
        if len(outcome.pieces) == 2 and consumer.between is not None:
            consumer.between()
        if consumer.enough(outcome.pieces):
            if not consumer.drop:
                stream.close()
            return
    outcome.answer = "".join(outcome.pieces)


async def _run_async(mode: Mode, run: Callable[[], Any], consumer: Consumer) -> Outcome:
    outcome = Outcome()
    try:
        if mode.streams:
            await _read_async(run(), outcome, consumer)
        else:
            outcome.answer = await run()
    except BaseException as error:
        outcome.error = error
    return outcome


async def _read_async(stream: Any, outcome: Outcome, consumer: Consumer) -> None:
    if inspect.isawaitable(stream):
        stream = await stream
    async for piece in stream:
        outcome.pieces.append(piece)
        if len(outcome.pieces) == 2 and consumer.between is not None:
            await consumer.between()
        if consumer.enough(outcome.pieces):
            if not consumer.drop:
                await stream.aclose()
            return
    outcome.answer = "".join(outcome.pieces)
