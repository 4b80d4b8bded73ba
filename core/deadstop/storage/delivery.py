"""What strangers do with events on the writer's thread: redactors take secrets out, sinks take events further."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from deadstop.events import AgentEvent
from deadstop.isolation import Isolation
from deadstop.sanitize import own_copy, sanitize

if TYPE_CHECKING:
    from collections.abc import Sequence

Redactor = Callable[[AgentEvent], "AgentEvent | None"]
Sink = Callable[[AgentEvent], object]

_PATIENCE: Final = 5  # failures in a row
_QUARANTINE: Final = 60.0  # seconds


class Failures(Isolation):
    """Isolated failures of the writer; `latest` is the last one as "place: text"."""

    def __init__(self) -> None:
        super().__init__()
        self.latest: str | None = None

    def note(self, place: str, error: BaseException | str) -> None:
        """Count *error* at *place*. Never raises."""
        super().note(place, error)
        self.latest = f"{place}: {self.last[place]}"


def redacted(
    event: AgentEvent, redactors: Sequence[tuple[str, Redactor]], failures: Failures, now: float
) -> AgentEvent | None:
    """Return a sanitized *event* as all *redactors* leave it, or None if one keeps it out.

    They work on a copy. If one raises or answers nonsense, the payload is not stored: `data` says only who failed.
    """
    if not redactors:
        return event
    failed: str | None = None
    kept = own_copy(event)
    for name, redact in redactors:
        try:
            answer = redact(kept)
            if answer is None:
                return None
            if not isinstance(answer, AgentEvent):
                raise TypeError(f"answered {type(answer).__name__}, not the event")
            kept = answer
        except BaseException as exc:  # SystemExit too: it would end the writer
            failures.note(f"redact {name}", exc)
            kept.data = {}
            failed = name
    if failed is not None:
        kept.data = {"redaction_failed": failed}
    return sanitize(kept, now=now)[0]


class Delivery:
    """Hands events to sinks, each isolated from the agent and from the others.

    A sink that fails 5 times in a row gets nothing for 60 s, and then one try; what it misses is counted.
    """

    def __init__(self, failures: Failures) -> None:
        self._failures = failures
        self._in_a_row: dict[int, int] = {}
        self._silent_until: dict[int, float] = {}

    def deliver(self, events: Sequence[AgentEvent], sinks: Sequence[tuple[str, Sink]]) -> None:
        """Call every sink with a copy of each event."""
        for number, (name, sink) in enumerate(sinks):
            for event in events:
                if time.monotonic() < self._silent_until.get(number, 0.0):
                    self._failures.counts[f"sink {name} in quarantine"] += 1
                else:
                    self._tell(number, name, sink, event)

    def _tell(self, number: int, name: str, sink: Sink, event: AgentEvent) -> None:
        try:
            sink(own_copy(event))
        except BaseException as exc:  # SystemExit too: it would end the writer
            self._failures.note(f"sink {name}", exc)
            self._in_a_row[number] = self._in_a_row.get(number, 0) + 1
            if self._in_a_row[number] >= _PATIENCE:
                self._silent_until[number] = time.monotonic() + _QUARANTINE
        else:
            self._in_a_row[number] = 0
