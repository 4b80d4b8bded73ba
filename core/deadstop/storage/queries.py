"""What readers ask for, as SQL over one day file."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec

from deadstop.names import clean_name
from deadstop.storage.rows import SEPARATOR
from deadstop.storage.schema import COLUMNS, HOUR_COLUMNS
from deadstop.storage.times import DAY, day_of, epoch

if TYPE_CHECKING:
    from deadstop.storage import When

_SELECT = f"SELECT seq, {', '.join(COLUMNS)} FROM events"  # noqa: S608 - our own constants
_NEWEST_FIRST = "ORDER BY timestamp DESC, seq DESC"

Parameters = list[Any]
Place = tuple[float, int]
"""Timestamp and seq of a row: where the next page goes on."""


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of a read, checked and cleaned as the events were. Make them with `filters`."""

    since: float | None = None
    until: float | None = None
    agent: str | None = None
    event_type: str | None = None
    session_id: str | None = None
    run_id: str | None = None

    def may_hold(self, day: int) -> bool:
        """Whether the file of that UTC day can hold matching events; it may hold earlier ones, but no later."""
        return self.since is None or day >= day_of(self.since)

    def within(self, day: int) -> Filters | None:
        """Return these filters for the events of that day itself; None if none can match."""
        since, until = day * DAY, (day + 1) * DAY
        if (self.since is not None and self.since >= until) or (self.until is not None and self.until <= since):
            return None
        return msgspec.structs.replace(self, since=max(since, self.since or since))

    def before(self, day: int) -> Filters | None:
        """Return these filters for what is filed under that day but is older; None if none can match."""
        start = day * DAY
        if self.since is not None and self.since >= start:
            return None
        return msgspec.structs.replace(self, until=min(start, start if self.until is None else self.until))


def filters(
    *,
    since: When | None = None,
    until: When | None = None,
    agent: object = None,
    event_type: object = None,
    session_id: object = None,
    run_id: object = None,
) -> Filters:
    """Return the filters of a read. Raises ValueError for a time that can't be understood."""
    return Filters(
        since=None if since is None else epoch(since, "since"),
        until=None if until is None else epoch(until, "until"),
        agent=None if agent is None else clean_name(agent),
        event_type=None
        if event_type is None
        else str(event_type.value if isinstance(event_type, Enum) else event_type),
        session_id=None if session_id is None else clean_name(session_id),
        run_id=None if run_id is None else clean_name(run_id),
    )


def checked_limit(limit: int | None) -> int | None:
    """Return *limit*. Raises ValueError unless it is None or a positive int."""
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise ValueError(f"limit={limit!r:.80} must be a positive int, or None for all")
    return limit


def select_page(wanted: Filters, limit: int, after: Place | None) -> tuple[str, Parameters]:
    """Return SQL for the newest *limit* matching rows (`seq`, then COLUMNS) that are older than *after*."""
    shared, parameters = _shared_terms(wanted)
    if after is not None:
        shared.append("(timestamp, seq) < (?, ?)")
        parameters += after
    parts, all_parameters = [], []
    for terms, own in _branches(wanted):
        parts.append(f"SELECT * FROM ({_SELECT}{_where(terms + shared)} {_NEWEST_FIRST} LIMIT ?)")  # noqa: S608
        all_parameters += [*own, *parameters, limit]
    if len(parts) == 1:
        return parts[0], all_parameters
    return f"{' UNION ALL '.join(parts)} {_NEWEST_FIRST} LIMIT ?", [*all_parameters, limit]


def select_count(wanted: Filters) -> tuple[str, Parameters]:
    """Return SQL for the number of matching rows."""
    shared, parameters = _shared_terms(wanted)
    parts, all_parameters = [], []
    for terms, own in _branches(wanted):
        parts.append(f"(SELECT COUNT(*) FROM events{_where(terms + shared)})")  # noqa: S608
        all_parameters += [*own, *parameters]
    return f"SELECT {' + '.join(parts)}", all_parameters


def select_hours(wanted: Filters) -> tuple[str, Parameters]:
    """Return SQL for the hour sums, with the columns of HOUR_COLUMNS; of the filters only times and agent count."""
    given = (("hour >= ?", wanted.since), ("hour < ?", wanted.until), ("agent = ?", wanted.agent))
    terms = [term for term, value in given if value is not None]
    sql = (
        f"SELECT {', '.join(HOUR_COLUMNS)} FROM hours{_where(terms)} ORDER BY hour DESC, agent, event_type, kind, name"  # noqa: S608
    )
    return sql, [value for _, value in given if value is not None]


SELECT_AFTER = f"{_SELECT} WHERE seq > ? ORDER BY seq LIMIT ?"
"""SQL for the rows that were stored after a seq."""
SELECT_LAST = f"{_SELECT} WHERE seq <= ? ORDER BY seq DESC LIMIT ?"
"""SQL for the last rows up to a seq."""


def _branches(wanted: Filters) -> list[tuple[list[str], Parameters]]:
    """One branch, or with an agent two that share no row: where it acted itself, and where it is on the path."""
    if wanted.agent is None:
        return [([], [])]
    on_path = SEPARATOR + wanted.agent + SEPARATOR
    return [
        (["agent = ?"], [wanted.agent]),
        (["agents <> ''", "agent <> ?", "instr(agents, ?) > 0"], [wanted.agent, on_path]),
    ]


def _shared_terms(wanted: Filters) -> tuple[list[str], Parameters]:
    terms: list[str] = []
    parameters: Parameters = []
    for term, value in (
        ("timestamp >= ?", wanted.since),
        ("timestamp < ?", wanted.until),
        ("event_type = ?", wanted.event_type),
        ("session_id = ?", wanted.session_id),
        ("run_id = ?", wanted.run_id),
    ):
        if value is not None:
            terms.append(term)
            parameters.append(value)
    if wanted.event_type not in {None, "action"}:
        terms.append("event_type <> 'action'")  # says nothing new, but admits the index of rare types
    return terms, parameters


def _where(terms: list[str]) -> str:
    return f" WHERE {' AND '.join(terms)}" if terms else ""
