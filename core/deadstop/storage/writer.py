"""The writer: events go into a deque on the caller's thread, and one daemon thread per process stores them.

`append` takes no lock and can be called from anywhere: a signal handler, a finaliser that runs inside a lock of ours,
an event loop. Everything slow happens on the writer's thread: redaction, storing, sinks. Whatever fails there is
isolated and counted; events that could not be stored are kept and tried again, up to the bounds.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from deadstop.sanitize import approximate_size, sanitize
from deadstop.storage.delivery import Delivery, Failures, redacted
from deadstop.storage.exits import is_exiting, mind_exit
from deadstop.storage.forks import mind_forks
from deadstop.storage.positions import Position, on_event_loop
from deadstop.storage.times import day_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from deadstop.events import AgentEvent
    from deadstop.storage import EventStore
    from deadstop.storage.delivery import Redactor, Sink

    Item = tuple[AgentEvent | None, int, Position | None]  # an event and its bytes, a place to settle, or both

BATCH: Final = 5_000
"""Events that are stored in one go."""

_ROUNDS: Final = 16  # batches in a row before the ticks have their turn
_DURABLE_WAIT: Final = 1.0  # seconds that a decision may take to get to the disk while its caller waits
_RESERVED: Final = 4_096  # events: room for decisions when activity has filled the queue
_LONGEST_PAUSE: Final = 5.0  # seconds between two tries to store


class EventWriter:
    """Stores events in the background. The thread starts with the first event.

    *redact* are `(name, function)`: each gets a copy of an event and returns it without its secrets, or None to keep
    it out. *sinks* are `(name, function)`: called with a copy of every event after the attempt to store it. Both are
    tuples that may be replaced by longer ones later. *on_tick* is called on the writer's thread, at least every
    *flush_interval* seconds. The queue takes at most *max_events* events and *max_bytes*; what comes then is dropped.

    Counters: `stored`, `dropped` (the queue was full, or the writer closed), `withheld` (by a redactor).
    """

    def __init__(
        self,
        store: EventStore,
        *,
        redact: Sequence[tuple[str, Redactor]] = (),
        sinks: Sequence[tuple[str, Sink]] = (),
        on_tick: Callable[[], object] | None = None,
        flush_interval: float = 0.2,
        max_events: int = 65_536,
        max_bytes: int = 32 << 20,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.redact = tuple(redact)
        self.sinks = tuple(sinks)
        self.flush_interval = flush_interval
        self.max_events = max_events
        self.max_bytes = max_bytes
        self._ticks = [] if on_tick is None else [on_tick]
        self._last_words: list[Callable[[], object]] = []
        self._clock = clock
        self._closed = False
        self._reset()
        mind_forks(self)

    def _reset(self) -> None:
        self.stored = self.dropped = self.withheld = 0
        self._failures = Failures()
        self._delivery = Delivery(self._failures)
        self._queue: deque[Item] = deque()
        self._unstored: deque[tuple[AgentEvent, int]] = deque()  # redacted, but the store has refused them so far
        self._bytes = 0
        self._room = -1 if self._closed else self.max_events  # what the queue may hold besides the unstored
        self._thread: threading.Thread | None = None
        self._running = False
        self._stopping = False
        self._inline = False  # no thread any more: whoever appends, writes
        self._starting = threading.Lock()
        self._starter: int | None = None
        self._turning = threading.Lock()
        self._wakes: SimpleQueue[None] = SimpleQueue()  # the one signal that a signal handler may always give
        self._failing = False
        self._durable = False  # whether a decision is among the unstored
        self._retry_at = self._next_inline = 0.0
        self._pause = self.flush_interval
        self._pruned = 0

    # -- the caller's side ---------------------------------------------------------------------------------------

    def append(self, event: AgentEvent) -> None:
        """Take *event*; it is stored within *flush_interval* seconds. Never blocks, never raises."""
        size = approximate_size(event)
        queue = self._queue
        if len(queue) >= self._room or self._bytes + size > self.max_bytes:
            self.dropped += 1
        else:
            self._bytes += size
            queue.append((event, size, None))
        if not self._running:
            self._start()
        elif len(queue) == BATCH:
            self.wake()

    def append_durable(self, event: AgentEvent) -> None:
        """Take *event*, and return when it is on disk, after 1 s at the latest. Never raises.

        On an event loop's thread, and while the store fails, it does not wait.
        """
        if len(self._queue) >= self._room + _RESERVED or self._closed:
            self.dropped += 1
            return
        position = Position(durable=True)
        size = approximate_size(event)
        self._bytes += size
        self._queue.append((event, size, position))
        self.wake()
        if not (self._failing or self._is_writer() or on_event_loop() or sys.is_finalizing()):
            position.wait(_DURABLE_WAIT)

    def wake(self) -> None:
        """Have the writer look at the queue, and tick, now. Never blocks."""
        if not self._running:
            self._start()
        if self._wakes.empty():
            self._wakes.put(None)

    def position(self) -> Position:
        """Return the place after everything that has been appended so far, to `wait_for`."""
        position = Position()
        self._queue.append((None, 0, position))
        return position

    def wait_for(self, position: Position, timeout: float = 2.0) -> bool:
        """Wait until everything before *position* is stored. False: it could not be, or took more than *timeout* s."""
        self.wake()
        return position.wait(0.0 if self._is_writer() or sys.is_finalizing() else timeout)

    def drain(self, timeout: float = 2.0) -> bool:
        """Wait until everything appended before is stored and was offered to the sinks. False: as in `wait_for`."""
        if not (self._queue or self._unstored or self._running):
            return True
        position = Position(delivered=True)
        self._queue.append((None, 0, position))
        return self.wait_for(position, timeout)

    def close(self, timeout: float = 2.0) -> None:
        """Store what is pending, within *timeout* seconds, and stop. Later events are counted as dropped.

        The store stays open: it may belong to readers, too.
        """
        if self._closed:
            return
        self._finish(timeout)
        self._closed = True
        self._room = -1

    # -- what is told --------------------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Events that are neither stored nor dropped yet."""
        return len(self._unstored) + sum(item[0] is not None for item in self._queue.copy())

    @property
    def errors(self) -> dict[str, int]:
        """Isolated failures by place: "store", "prune", "tick", "redact NAME", "sink NAME"."""
        return dict(self._failures.counts)

    @property
    def last_error(self) -> str | None:
        """The last failure, as "place: text"."""
        return self._failures.latest

    def report(self) -> dict[str, dict[str, object]]:
        """Return `{place: {"count": n, "last": text}}`."""
        return self._failures.report()

    def isolate(self, place: str, error: BaseException) -> None:
        """Count a failure of something that works on the writer's behalf."""
        self._failures.note(place, error)

    def every_tick(self, call: Callable[[], object]) -> None:
        """Call *call* on the writer's thread at least every *flush_interval* seconds."""
        self._ticks.append(call)

    def at_the_end(self, call: Callable[[], object]) -> None:
        """Call *call* before the last events are stored, at the latest moment to append some."""
        self._last_words.append(call)

    # -- the thread ----------------------------------------------------------------------------------------------

    def _is_writer(self) -> bool:
        return self._thread is not None and self._thread.ident == threading.get_ident()

    def _start(self) -> None:
        """Start the thread. Where that is impossible, at the interpreter's end, write here and now."""
        if self._closed or sys.is_finalizing():  # nothing can be imported or opened any more
            return
        if not self._starting.acquire(blocking=False):
            if self._starter == threading.get_ident():  # a signal handler in the middle of the start: nobody else will
                self._write_here()
            return
        self._starter = threading.get_ident()
        try:
            if not self._running and not self._inline:
                self._start_thread()
        finally:
            self._starter = None
            self._starting.release()
        if self._inline or (not self._running and time.monotonic() >= self._next_inline):
            self._next_inline = time.monotonic() + self.flush_interval  # too many threads: not for each event
            self._write_here()

    def _start_thread(self) -> None:
        if is_exiting():  # a thread started now would not get to write, or would not even start
            self._inline = True
            return
        try:
            mind_exit(self)
            thread = threading.Thread(target=self._serve, name="deadstop-writer", daemon=True)
            self._thread = thread
            thread.start()
            self._running = True
        except RuntimeError as exc:
            if "new thread" not in str(exc):
                raise  # not ours: a signal handler ran meanwhile
            self._thread = None  # there are too many, or Python 3.12+ refuses them at the end
            self._inline = "shutdown" in str(exc)
            self._failures.note("writer thread", exc)

    def _serve(self) -> None:
        while not self._stopping and self._is_writer():
            with contextlib.suppress(Empty):
                self._wakes.get(timeout=self.flush_interval)
            with self._turning:
                self._turn()

    def _write_here(self) -> None:
        """One turn on the caller's thread, unless there is one already."""
        if self._turning.acquire(blocking=False):
            try:
                self._turn()
            finally:
                self._turning.release()

    def finish_at_exit(self, timeout: float) -> None:
        """The end of the process: store what is pending, stop the thread, close the store unless it hangs."""
        if self._finish(timeout):
            with contextlib.suppress(Exception):
                self.store.close()

    def _finish(self, timeout: float) -> bool:
        """Store what is pending and stop the thread. Returns whether it has ended."""
        deadline = time.monotonic() + timeout
        self._call(self._last_words, "last words")
        self.drain(timeout)
        thread = self._thread
        if thread is not None and not self._is_writer():
            self._stopping = True
            self.wake()
            thread.join(max(0.0, deadline - time.monotonic()))
        self._running = False
        self._inline = True
        if self._queue:
            self._write_here()
        return thread is None or not thread.is_alive()

    # -- one turn, on the writer's thread ------------------------------------------------------------------------

    def _turn(self) -> None:
        try:
            self._batches()
            self._call(self._ticks, "tick")
            self._batches()
            self._prune()
        except BaseException as exc:  # nothing is known to get here, but the thread must not end
            self._failures.note("writer", exc)

    def _batches(self) -> None:
        for _ in range(_ROUNDS):
            if not self._queue and not (self._unstored and time.monotonic() >= self._retry_at):
                return
            self._batch([self._queue.popleft() for _ in range(min(len(self._queue), BATCH))])

    def _batch(self, items: Sequence[Item]) -> None:
        positions = [position for _, _, position in items if position is not None]
        self._durable = self._durable or any(position.durable for position in positions)
        asked_for = any(not position.durable for position in positions)  # somebody waits to hear whether it works now
        events = self._take(items)
        stored = True
        if self._unstored:
            stored = (asked_for or time.monotonic() >= self._retry_at) and self._store()
        self._settle((p for p in positions if not p.delivered), stored=stored)
        self._delivery.deliver(events, self.sinks)
        self._settle((p for p in positions if p.delivered), stored=stored)
        if not self._closed:
            self._room = self.max_events - len(self._unstored)

    def _take(self, items: Iterable[Item]) -> list[AgentEvent]:
        """Redact the events of *items*, put them with the unstored and return them."""
        taken: list[AgentEvent] = []
        for event, size, _ in items:
            if event is None:
                continue
            kept: AgentEvent | None = event
            if self.redact or self.sinks:  # the store looks again anyway
                now = self._clock()
                kept = redacted(sanitize(event, now=now)[0], self.redact, self._failures, now)
            if kept is None:
                self.withheld += 1
                self._bytes -= size
            else:
                taken.append(kept)
                self._unstored.append((kept, size))
        return taken

    def _store(self) -> bool:
        while self._unstored:
            part = list(itertools.islice(self._unstored, BATCH))
            try:
                self.store.write([event for event, _ in part], durable=self._durable)
            except BaseException as exc:  # full, read-only, locked, gone: all of it may pass
                self._failing = True
                self._failures.note("store", exc)
                self._retry_at = time.monotonic() + self._pause
                self._pause = min(2 * self._pause, _LONGEST_PAUSE)
                return False
            for _, size in part:
                self._unstored.popleft()
                self._bytes -= size
            self.stored += len(part)
        self._failing = self._durable = False
        self._pause = self.flush_interval
        if not self._queue:
            self._bytes = 0  # so that no lost update of two threads lasts
        return True

    @staticmethod
    def _settle(positions: Iterable[Position], *, stored: bool) -> None:
        for position in positions:
            position.settle(stored=stored)

    def _call(self, calls: Iterable[Callable[[], object]], place: str) -> None:
        for call in calls:
            try:
                call()
            except BaseException as exc:  # SystemExit too: it would end the writer
                self._failures.note(place, exc)

    def _prune(self) -> None:
        """Delete old days, at the start and whenever a day begins."""
        today = day_of(self._clock())
        if today == self._pruned or not self._running:
            return
        self._pruned = today
        try:
            self.store.prune()
        except Exception as exc:
            self._failures.note("prune", exc)

    # -- forks ---------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Nothing to do: the parent keeps its queue."""

    def after_fork_in_child(self) -> None:
        """Leave the parent's events to the parent, and start anew."""
        self._reset()
