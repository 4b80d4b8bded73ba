"""Where events are kept: the protocol that every store speaks. The stores themselves are imported only when opened."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Protocol

import msgspec

from deadstop.errors import DeadstopError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deadstop.events import AgentEvent

When = float | str | date
"""A moment: epoch seconds, ISO 8601, a datetime, or a date (its first moment). Without an offset or zone: UTC."""


class StoreError(DeadstopError):
    """An event store can't be used as it is: another version wrote it, or it is not a store."""


class Cursor(msgspec.Struct, frozen=True):
    """How far `EventStore.tail` has read. `seen` belongs to the store; `at` is when it looked, in epoch seconds."""

    at: float
    seen: dict[str, tuple[int, int]]


class EventStore(Protocol):
    """Keeps events. Reading may happen on any thread, writing on one at a time; several processes share one store.

    Rows are dicts with the keys `timestamp, agent, event_type, data, session_id, user, cost_usd, latency_ms, tags, id,
    run_id, step_id, parent_id, kind, name, agents`. Every filter is optional, and all given ones must match: `since`
    is inclusive, `until` exclusive, `agent` matches any agent on an event's path. A time that can't be understood is
    a ValueError that says what is accepted.
    """

    def write(self, events: Sequence[AgentEvent], *, durable: bool = False) -> None:
        """Store *events*; with *durable* they survive a power cut once this returns.

        All or nothing as far as the engine can; an event whose `id` is stored already is stored once. Raises whatever
        the engine raises (OSError, sqlite3.Error, StoreError): the caller may try the same events again.
        """
        ...

    def read(
        self,
        *,
        since: When | None = None,
        until: When | None = None,
        agent: str | None = None,
        event_type: str | None = None,
        session_id: str | None = None,
        run_id: str | None = None,
        limit: int | None = 1000,
    ) -> list[dict[str, object]]:
        """Return the newest *limit* matching events (None: all), newest first."""
        ...

    def iterate(
        self,
        *,
        since: When | None = None,
        until: When | None = None,
        agent: str | None = None,
        event_type: str | None = None,
        session_id: str | None = None,
        run_id: str | None = None,
    ) -> Iterator[dict[str, object]]:
        """Yield all matching events, newest first, with little memory: for exports."""
        ...

    def tail(self, after: Cursor | None = None, limit: int = 1000) -> tuple[list[dict[str, object]], Cursor]:
        """Return events in the order in which they were stored, and the cursor for the next call.

        Without a cursor these are the last *limit* events; with one, the first *limit* that came after it.
        """
        ...

    def count(
        self,
        *,
        since: When | None = None,
        until: When | None = None,
        agent: str | None = None,
        event_type: str | None = None,
        session_id: str | None = None,
        run_id: str | None = None,
    ) -> int:
        """Return the number of matching events."""
        ...

    def prune(self, *, before: When | None = None, retention_days: int | None = None) -> int:
        """Delete what is older than the store's retention, or than the given one; return how many events that were.

        Whole UTC days go: the day of *before* stays.
        """
        ...

    def clear(self) -> None:
        """Delete every event."""
        ...

    def close(self) -> None:
        """Give files back. The next call opens them again."""
        ...
