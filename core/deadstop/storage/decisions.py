"""Decisions as events: the first is written through, its repeats are counted and told once in a while."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from deadstop.storage.forks import mind_forks

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from deadstop.events import AgentEvent
    from deadstop.storage.writer import EventWriter

    Factory = Callable[[int], AgentEvent]

_MOST: Final = 10_000  # keys that are remembered


class _Told:
    """One decision that was told: its repeats since, and when they may be told.

    `factory` is kept only while there are repeats to tell: it holds on to the whole run that was refused.
    """

    __slots__ = ("due", "factory", "repeats")

    def __init__(self, due: float) -> None:
        self.due = due
        self.factory: Factory | None = None
        self.repeats = 0


class _Repeats:
    """Which decisions were told, the latest 10,000, and which of them wait to be told again after *interval* s.

    *forgets*: after an interval without repeats, the next one counts as a first again.
    """

    def __init__(self, interval: float, *, forgets: bool) -> None:
        self.interval = interval
        self.forgets = forgets
        self.told: OrderedDict[Hashable, _Told] = OrderedDict()
        self.waiting: dict[Hashable, _Told] = {}

    def is_first(self, key: Hashable, factory: Factory, now: float) -> bool:
        """Whether *key* is to be told now; otherwise it is counted."""
        entry = self.told.get(key)
        if entry is None or (self.forgets and not entry.repeats and now >= entry.due):
            self.told[key] = _Told(now + self.interval)
            if len(self.told) > _MOST:
                self.told.popitem(last=False)  # if it has repeats, it waits to be told all the same
            return True
        entry.repeats += 1
        entry.factory = factory
        self.waiting[key] = entry
        self.told.move_to_end(key)
        return False

    def due(self, now: float) -> list[_Told]:
        """Return the entries whose repeats are to be told now."""
        due = [key for key, entry in self.waiting.items() if entry.due <= now]
        found = [self.waiting.pop(key) for key in due]
        for entry in found:
            entry.due = now + self.interval
        return found


class DecisionLog:
    """Tells decisions through *writer* without letting a loop of refusals flood it.

    An agent that runs into the same refusal a thousand times a second makes one event at once and one a second, with
    `data["repeats"]`. `refused_records` counts all calls of `once_a_minute`. *clock* is monotonic seconds.
    """

    def __init__(self, writer: EventWriter, clock: Callable[[], float] = time.monotonic) -> None:
        self._writer = writer
        self._clock = clock
        self._begin()
        writer.every_tick(self._tick)
        writer.at_the_end(self._tell_all)
        mind_forks(self)

    def _begin(self) -> None:
        self.refused_records = 0
        self._refusals = _Repeats(1.0, forgets=False)
        self._records = _Repeats(60.0, forgets=True)
        self._lock = threading.RLock()  # a signal handler may refuse in the middle of a refusal

    def refused(self, key: Hashable, event_factory: Factory, *, durable: bool = True) -> None:
        """Tell the first refusal of *key* at once (on disk when this returns, if *durable*), its repeats once a second.

        *event_factory* makes the event, given how many refusals it stands for.
        """
        if self._is_first(self._refusals, key, event_factory):
            tell = self._writer.append_durable if durable else self._writer.append
            tell(event_factory(1))

    def once_a_minute(self, key: Hashable, event_factory: Factory) -> None:
        """Tell the first of *key* at once, and what came since at most once a minute."""
        self.refused_records += 1
        if self._is_first(self._records, key, event_factory):
            self._writer.append(event_factory(1))

    def _is_first(self, repeats: _Repeats, key: Hashable, factory: Factory) -> bool:
        with self._lock:
            return repeats.is_first(key, factory, self._clock())

    def _tick(self) -> None:
        now = self._clock()
        with self._lock:
            due = self._refusals.due(now) + self._records.due(now)
        for entry in due:
            self._tell(entry)

    def _tell_all(self) -> None:
        with self._lock:
            due = self._refusals.due(float("inf")) + self._records.due(float("inf"))
        for entry in due:
            self._tell(entry)

    def _tell(self, entry: _Told) -> None:
        with self._lock:
            repeats, entry.repeats = entry.repeats, 0
            factory, entry.factory = entry.factory, None
        if factory is None:  # told a moment ago, by another thread
            return
        try:
            event = factory(repeats)
            event.data = {"repeats": repeats, **event.data}
        except Exception as exc:
            self._writer.isolate("decision", exc)
        else:
            self._writer.append(event)

    def before_fork(self) -> None:
        """Nothing to do: the parent tells its own repeats."""

    def after_fork_in_child(self) -> None:
        """Leave the parent's repeats to the parent."""
        self._begin()
