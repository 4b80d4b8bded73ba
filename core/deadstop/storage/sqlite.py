"""The default event store: one SQLite file in WAL mode for each UTC day, shared by any number of processes."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import sqlite3
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from deadstop.storage import Cursor, StoreError, forks
from deadstop.storage.days import DayFiles, Identity, identity
from deadstop.storage.inserts import insert
from deadstop.storage.queries import (
    SELECT_AFTER,
    SELECT_LAST,
    Filters,
    Place,
    checked_limit,
    filters,
    select_count,
    select_hours,
    select_page,
)
from deadstop.storage.rows import as_dict, by_day
from deadstop.storage.schema import HOUR_COLUMNS, open_to_read, open_to_write, side_files
from deadstop.storage.times import day_of, epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from deadstop.events import AgentEvent
    from deadstop.storage import When
    from deadstop.storage.rows import Row

log = logging.getLogger("deadstop")

_MOST_OPEN = 3  # days: today, and what arrives late
_PAGE = 1000  # rows
_SETTLED = 2.0  # seconds: a file that was last written longer ago than this has been read to its end


class _Open(NamedTuple):
    connection: sqlite3.Connection
    file: Identity | None


class SqliteEventStore:
    """Events in `directory/events-YYYYMMDD.db`, filed under the UTC day of their timestamp.

    *retention_days* is how many days before today are kept, *clock* gives epoch seconds. `unreadable` counts by file
    name how often a corrupt file was skipped in reading, or set aside in writing. Opens nothing until it is used.
    """

    def __init__(
        self, directory: Path | str, *, retention_days: int = 90, clock: Callable[[], float] = time.time
    ) -> None:
        if not isinstance(retention_days, int) or isinstance(retention_days, bool) or retention_days < 0:
            raise ValueError(f"retention_days={retention_days!r:.80} must be a whole number of days, 0 or more")
        self.directory = Path(directory).absolute()
        self.retention_days = retention_days
        self.unreadable: dict[str, int] = {}
        self._clock = clock
        self._days = DayFiles(self.directory)
        self._lock = threading.Lock()  # one writer at a time; readers need none
        self._open: OrderedDict[int, _Open] = OrderedDict()
        forks.mind_forks(self)

    # -- writing -------------------------------------------------------------------------------------------------

    def write(self, events: Sequence[AgentEvent], *, durable: bool = False) -> None:
        """Store *events*, one transaction a day. Raises sqlite3.Error, OSError or StoreError; see `EventStore`."""
        days = by_day(events, now=self._clock(), retention_days=self.retention_days)
        with self._lock, forks.using_sqlite():
            for day, rows in days.items():
                self._write_day(day, rows, durable=durable)

    def _write_day(self, day: int, rows: Sequence[Row], *, durable: bool) -> None:
        file = identity(self._days.path(day))
        try:
            self._insert(day, rows, durable=durable)
        except sqlite3.DatabaseError as exc:
            if not _is_corrupt(exc):
                raise
            self._note_unreadable(day, exc)
            self._days.set_aside(day, file)
            self._insert(day, rows, durable=durable)

    def _insert(self, day: int, rows: Sequence[Row], *, durable: bool) -> None:
        try:
            insert(self._connection(day), rows, durable=durable)
        except BaseException:
            self._shut(day)  # after an error a connection may stay read-only, or on a file that is gone
            raise

    def _connection(self, day: int) -> sqlite3.Connection:
        path = self._days.path(day)
        if (held := self._open.get(day)) is not None:
            if held.file == identity(path):
                self._open.move_to_end(day)
                return held.connection
            self._shut(day)  # deleted or set aside under us
        connection = open_to_write(path)
        self._open[day] = _Open(connection, identity(path))
        while len(self._open) > _MOST_OPEN:
            self._shut(next(iter(self._open)))
        return connection

    def _shut(self, day: int) -> None:
        if (held := self._open.pop(day, None)) is None:
            return
        if held.file == identity(self._days.path(day)):
            with contextlib.suppress(sqlite3.Error):
                held.connection.close()
        else:
            forks.keep_unclosed(held.connection)  # closing would delete the log of the file that has its name now

    # -- reading -------------------------------------------------------------------------------------------------

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
        """Return the newest *limit* matching events (None: all), newest first; see `EventStore`."""
        wanted = filters(
            since=since, until=until, agent=agent, event_type=event_type, session_id=session_id, run_id=run_id
        )
        return list(self._walk(wanted, checked_limit(limit)))

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
        """Yield all matching events, newest first, a page at a time; nothing is open between two pages."""
        wanted = filters(
            since=since, until=until, agent=agent, event_type=event_type, session_id=session_id, run_id=run_id
        )
        return self._walk(wanted, None)

    def _walk(self, wanted: Filters, limit: int | None) -> Iterator[dict[str, object]]:
        page = _PAGE if limit is None else min(limit, _PAGE)
        return map(as_dict, itertools.islice(self._ordered(wanted, page), limit))

    def _ordered(self, wanted: Filters, page: int) -> Iterator[Row]:
        """Yield rows, newest first: day by day, and in the end what was older than the retention when it came."""
        days = self._days.newest_first()
        for day in days:
            yield from self._pages(day, wanted.within(day), page)
        older = (self._pages(day, wanted.before(day), page) for day in days)
        yield from heapq.merge(*older, key=lambda row: row[0], reverse=True)

    def _pages(self, day: int, wanted: Filters | None, page: int) -> Iterator[Row]:
        after: Place | None = None
        while wanted is not None:
            rows = self._query(day, *select_page(wanted, page, after))
            for row in rows:
                yield row[1:]
            if len(rows) < page:
                return
            after = (rows[-1][1], rows[-1][0])

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
        wanted = filters(
            since=since, until=until, agent=agent, event_type=event_type, session_id=session_id, run_id=run_id
        )
        days = [day for day in self._days.newest_first() if wanted.may_hold(day)]
        return sum(row[0] for day in days for row in self._query(day, *select_count(wanted)))

    def hours(
        self, *, since: When | None = None, until: When | None = None, agent: str | None = None
    ) -> list[dict[str, object]]:
        """Return the sums by agent, hour, event type, kind and name, newest hour first.

        Each is a dict of `agent, hour, event_type, kind, name, count, errors, cost_usd, input_tokens, output_tokens,
        latency_ms`; `hour` is its start in epoch seconds, `kind` and `name` are "" where an event has none, and *agent*
        is the one that acted. An hour belongs to the range if its start does.
        """
        wanted = filters(since=since, until=until, agent=agent)
        days = [day for day in self._days.newest_first() if wanted.may_hold(day)]
        return [
            dict(zip(HOUR_COLUMNS, row, strict=True)) for day in days for row in self._query(day, *select_hours(wanted))
        ]

    def tail(self, after: Cursor | None = None, limit: int = 1000) -> tuple[list[dict[str, object]], Cursor]:
        """Return events in the order in which they were stored, and the cursor to go on from; see `EventStore`."""
        now = time.time()  # not our clock: it is compared with the times of files
        if after is None:
            seen = {str(day): (self._inode(day), self._last(day)) for day in self._days.newest_first()}
            return self._latest(seen, limit), Cursor(now, seen)
        rows: list[dict[str, object]] = []
        seen = dict(after.seen)
        for day in reversed(self._days.newest_first()):
            inode, seq = seen.get(str(day), (0, 0))
            if len(rows) >= limit or (inode and self._unchanged_since(day, after.at - _SETTLED)):
                continue
            if (now_there := self._inode(day)) != inode:
                inode, seq = now_there, 0  # a new file with a numbering of its own
            found = self._query(day, SELECT_AFTER, [seq, limit - len(rows)])
            rows += (as_dict(row[1:]) for row in found)
            seen[str(day)] = (inode, found[-1][0] if found else seq)
        full = len(rows) >= limit  # then files may have been left out: the next call has to look at all of them
        return rows, Cursor(after.at if full else now, seen)

    def _latest(self, seen: dict[str, tuple[int, int]], limit: int) -> list[dict[str, object]]:
        newest: list[Row] = []
        for day, (_, seq) in seen.items():
            if len(newest) < limit:
                newest += self._query(int(day), SELECT_LAST, [seq, limit - len(newest)])
        return [as_dict(row[1:]) for row in reversed(newest)]

    def _last(self, day: int) -> int:
        return next((int(row[0] or 0) for row in self._query(day, "SELECT MAX(seq) FROM events", [])), 0)

    def _inode(self, day: int) -> int:
        file = identity(self._days.path(day))
        return 0 if file is None else file[1]

    def _unchanged_since(self, day: int, moment: float) -> bool:
        path = self._days.path(day)
        with contextlib.suppress(FileNotFoundError):
            log_file = side_files(path)[0]
            return path.stat().st_mtime < moment and (not log_file.exists() or log_file.stat().st_mtime < moment)
        return False

    def _query(self, day: int, sql: str, parameters: list[Any]) -> list[Row]:
        """Run *sql* on the file of *day*; no rows if it is gone or corrupt. Its own connection: any thread may ask."""
        path = self._days.path(day)
        try:
            with forks.using_sqlite(), contextlib.closing(open_to_read(path)) as connection:
                return connection.execute(sql, parameters).fetchall()
        except sqlite3.OperationalError as exc:
            if not path.exists():
                return []  # pruned while we looked
            if "no such column" in str(exc):
                raise StoreError(f"{path} was written by a newer deadstop that this one can't read: upgrade") from exc
            if "no such table" not in str(exc):
                raise
            self._note_unreadable(day, exc)
        except sqlite3.DatabaseError as exc:
            if not _is_corrupt(exc):
                raise
            self._note_unreadable(day, exc)
        return []

    def _note_unreadable(self, day: int, error: Exception) -> None:
        name = self._days.path(day).name
        self.unreadable[name] = self.unreadable.get(name, 0) + 1
        if self.unreadable[name] == 1:
            log.warning("deadstop can't read %s in %s: %s", name, self.directory, error)

    # -- upkeep --------------------------------------------------------------------------------------------------

    def prune(self, *, before: When | None = None, retention_days: int | None = None) -> int:
        """Delete whole days: those before the day of *before*, or older than the retention. Returns events deleted."""
        kept_days = self.retention_days if retention_days is None else retention_days
        first_kept = day_of(self._clock()) - kept_days if before is None else day_of(epoch(before, "before"))
        deleted = 0
        with self._lock:
            for day in self._days.newest_first():
                if day < first_kept:
                    deleted += sum(row[0] for row in self._query(day, *select_count(Filters())))
                    with forks.using_sqlite():
                        self._shut(day)
                        self._days.remove(day)
            self._days.remove_leftovers(first_kept)
        return deleted

    def clear(self) -> None:
        """Delete every event, in place: other processes have these files open. Raises as `write` does."""
        with self._lock, forks.using_sqlite():
            for day in self._days.newest_first():
                try:
                    self._connection(day).executescript(
                        "BEGIN IMMEDIATE; DELETE FROM events; DELETE FROM hours; COMMIT"
                    )
                except sqlite3.DatabaseError as exc:
                    self._shut(day)
                    if not _is_corrupt(exc):
                        raise
                    self._note_unreadable(day, exc)

    def close(self) -> None:
        """Close the files that are open. The next write opens them again."""
        with self._lock, forks.using_sqlite():
            for day in list(self._open):
                self._shut(day)

    def before_fork(self) -> None:
        """Close the files that are open: a child must not inherit them. See `deadstop.storage.forks`."""
        for day in list(self._open):
            self._shut(day)

    def after_fork_in_child(self) -> None:
        """Forget the parent's lock, and what could not be closed before the fork."""
        self._lock = threading.Lock()
        for held in self._open.values():
            forks.keep_unclosed(held.connection)
        self._open = OrderedDict()


def _is_corrupt(error: sqlite3.DatabaseError) -> bool:
    return type(error) is sqlite3.DatabaseError and ("malformed" in str(error) or "not a database" in str(error))
