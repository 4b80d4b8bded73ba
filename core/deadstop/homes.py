"""One open home: the control, the event store, the writer and the counters that all Monitors on it share."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from deadstop.activity import Activity
from deadstop.isolation import Isolation
from deadstop.storage.decisions import DecisionLog
from deadstop.storage.writer import EventWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from deadstop.control import ControlStore
    from deadstop.pipeline import Pipeline
    from deadstop.storage import EventStore

Named = tuple[tuple[str, Any], ...]
"""Functions with the name of whoever brought them."""

_open: dict[str, OpenHome] = {}
_lock = threading.Lock()


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 - a lock that another thread held during the fork would never open again
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


class OpenHome:
    """What one process shares per home. Use `open_home` and `release`; never make one by hand."""

    def __init__(self, path: Path, control: ControlStore, store: EventStore) -> None:
        self.path = path
        self.control = control
        self.store = store
        self.isolation = Isolation()
        self.activity = Activity()
        self.writer = EventWriter(store, on_tick=self._tick)
        self.decisions = DecisionLog(self.writer)
        self.pipelines: WeakSet[Pipeline] = WeakSet()
        self.notices: deque[Callable[[], object]] = deque(maxlen=10_000)
        self.users = 0
        self._members: dict[object, tuple[Named, Named, Callable[[], None] | None]] = {}
        control.facts = self.facts

    def enlist(self, owner: object, *, redact: Named, sinks: Named, leave: Callable[[], None] | None = None) -> None:
        """Add what *owner*, a Monitor, brings for the writer. What two of them share is called once.

        *leave* is called when the owner is dismissed.
        """
        self._members[owner] = (redact, sinks, leave)
        self._assemble()

    def dismiss(self, owner: object) -> None:
        """Take back what *owner* brought."""
        *_, leave = self._members.pop(owner, ((), (), None))
        if leave is not None:
            leave()
        self._assemble()

    def _assemble(self) -> None:
        members = list(self._members.values())
        self.writer.redact = _without_repeats(named for redact, _, _ in members for named in redact)
        self.writer.sinks = _without_repeats(named for _, sinks, _ in members for named in sinks)

    def later(self, notice: Callable[[], object]) -> None:
        """Run *notice* soon on the writer thread, isolated: for hooks that must not delay a stop."""
        self.notices.append(notice)
        self.writer.wake()

    def _tick(self) -> None:
        for pipeline in list(self.pipelines):
            pipeline.settle_dropped()
        while self.notices:
            try:
                self.notices.popleft()()
            except Exception as exc:
                self.isolation.note("notice", exc)

    def facts(self) -> dict[str, Any]:
        """Return what the process row says beyond the process itself; also the heart of `Monitor.status()`.

        Asked every second, so it also wakes the writer for what finalisers have left: they can't start a thread.
        """
        if self.notices or any(pipeline.dropped for pipeline in list(self.pipelines)):
            self.writer.wake()
        return {
            **self.activity.report(),
            "events_stored": self.writer.stored,
            "events_pending": self.writer.pending,
            "events_dropped": self.writer.dropped,
            "refused_records": self.decisions.refused_records,
            "isolated": {**self.isolation.report(), **self.writer.report(), **self.control.isolation.report()},
        }


def _without_repeats(given: Iterable[tuple[str, Any]]) -> Named:
    kept: list[tuple[str, Any]] = []
    for named in given:  # by ==, not by hash: the function of a plugin may be any callable
        if named not in kept:
            kept.append(named)
    return tuple(kept)


def open_homes() -> list[OpenHome]:
    """Return the homes that are open in this process."""
    return list(_open.values())


def open_home(path: Path, make: Callable[[], tuple[ControlStore, EventStore]]) -> OpenHome:
    """Return the open home at *path*, made with *make* if this process has none yet. Pair with `release`."""
    with _lock:
        key = os.path.realpath(path)
        home = _open.get(key)
        if home is None:
            control, store = make()
            home = _open[key] = OpenHome(path, control, store)
            control.start()
        home.users += 1
        return home


def release(home: OpenHome, timeout: float = 2.0) -> None:
    """Give *home* back; the last user writes what is pending (at most *timeout* seconds) and closes it."""
    with _lock:
        home.users -= 1
        if home.users > 0:
            return
        _open.pop(os.path.realpath(home.path), None)
    home.writer.close(timeout)
    home.store.close()
    home.control.close()
