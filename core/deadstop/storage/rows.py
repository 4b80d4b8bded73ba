"""Events as rows of SQLite, rows as dicts, and the hour sums of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from deadstop.sanitize import sanitize
from deadstop.storage.schema import COLUMNS
from deadstop.storage.times import day_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from deadstop.events import AgentEvent

SEPARATOR: Final = "\x1f"
"""Between, before and after the names of a path of agents. No clean name holds it."""

_HOUR: Final = 3600

Row = tuple[Any, ...]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def by_day(events: Iterable[AgentEvent], *, now: float, retention_days: int) -> dict[int, list[Row]]:
    """Return the rows of *events* by the UTC day that they are filed under.

    What is older than *retention_days* goes to the oldest day that is kept and is marked, so that an event of 1970
    makes no file of its own.
    """
    oldest = day_of(now) - retention_days
    days: dict[int, list[Row]] = {}
    for event in events:
        clean = sanitize(event, now=now)[0]  # again: stores are open to all, and data may have been changed since
        day = day_of(clean.timestamp)
        if day < oldest:
            day = oldest
            clean = msgspec.structs.replace(clean, data={**clean.data, "older_than_retention": True})
        days.setdefault(day, []).append(_row(clean))
    return days


def _row(event: AgentEvent) -> Row:
    agents, agent = event.agents, event.agent
    return (
        event.timestamp,
        agent,
        event.event_type,
        _json(event.data),
        event.session_id,
        event.user,
        event.cost_usd,
        event.latency_ms,
        _json(event.tags) if event.tags else "[]",
        event.id or None,
        event.run_id,
        event.step_id,
        event.parent_id,
        event.kind,
        event.name,
        "" if not agents or agents == (agent,) else SEPARATOR + SEPARATOR.join(agents) + SEPARATOR,
    )


def _json(value: object) -> str:
    try:
        return _encode(value).decode()
    except Exception as exc:  # changed by its owner between the check and now
        return _encode({"unreadable": type(exc).__name__}).decode()


def as_dict(row: Row) -> dict[str, object]:
    """Return a row of COLUMNS as the dict that readers get."""
    event: dict[str, object] = dict(zip(COLUMNS, row, strict=True))
    event["data"] = _parsed(row[3])
    event["tags"] = [] if row[8] == "[]" else _parsed(row[8])
    event["id"] = row[9] or ""
    event["agents"] = row[15].strip(SEPARATOR).split(SEPARATOR) if row[15] else [row[1]]
    return event


def _parsed(text: str) -> object:
    try:
        return _decode(text)
    except msgspec.DecodeError:  # edited by hand
        return {"undecodable": text[:200]}


def hour_sums(rows: Sequence[Row]) -> list[Row]:
    """Return the rows to add to the table `hours`: its key, then count, errors, cost, tokens, latency."""
    sums: dict[Row, list[float]] = {}
    for row in rows:
        hour = int(row[0] // _HOUR) * _HOUR
        key = (row[1], hour, row[2], row[13] or "", row[14] or "")
        total = sums.get(key)
        if total is None:
            total = sums[key] = [0, 0, 0.0, 0, 0, 0.0]
        total[0] += 1
        total[1] += row[2] == "error"
        total[2] += row[6] or 0.0
        total[5] += row[7] or 0.0
        if '"usage":' in row[3]:
            tokens = _tokens(row[3])
            total[3] += tokens[0]
            total[4] += tokens[1]
    return [(*key, *total) for key, total in sums.items()]


class _Counts(msgspec.Struct):
    input_tokens: int = 0
    output_tokens: int = 0


class _Data(msgspec.Struct):
    usage: _Counts | None = None


_usage = msgspec.json.Decoder(_Data).decode
_MOST_TOKENS = 1 << 40  # of one call: more is no count, and the sum would overflow


def _tokens(data: str) -> tuple[int, int]:
    try:
        usage = _usage(data).usage
    except msgspec.DecodeError:  # somebody's "usage" of another shape
        return 0, 0
    if usage is None:
        return 0, 0
    return _bounded(usage.input_tokens), _bounded(usage.output_tokens)


def _bounded(count: int) -> int:
    return count if 0 <= count < _MOST_TOKENS else 0
