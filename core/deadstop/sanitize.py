"""Events as they can be stored: wrong values are corrected, cut or marked on the caller's thread, and never raised.

A typical clean event is recognised in less than a microsecond and handed back as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from decimal import Decimal
from enum import Enum
from itertools import islice
from math import isfinite
from time import time
from typing import Any, Final

from deadstop.events import VALID_EVENT_TYPES, AgentEvent
from deadstop.names import KNOWN_CLEAN, MAX_NAME, clean_name
from deadstop.plain import (
    BIG_INT,
    KNOWN_KEYS,
    MAX_FIELDS,
    MAX_TEXT,
    TOO_MUCH,
    describe,
    is_plain_key,
    plain_fields,
    weigh,
)

MAX_TAGS: Final = 64
MAX_PATH: Final = 64
"""Agents on the path of one event."""
MAX_AHEAD: Final = 60.0
"""Seconds that a timestamp may be in the future: clocks of two machines differ."""
MAX_AMOUNT: Final = 1e12
"""USD or milliseconds: more is no measurement, and sums of more overflow."""

_FAR: Final = 1 << 20  # bytes: what one event may be; a list longer than that is not walked to its end
_NAMED: Final = ("session_id", "user", "run_id", "step_id", "parent_id", "kind", "name")


def sanitize(event: AgentEvent, *, now: float | None = None) -> tuple[AgentEvent, int]:
    """Return *event* as it can be stored, and the number of corrections that took.

    A clean event comes back as the same object with 0; otherwise the result is a new event, and neither *event* nor
    its `data` is changed. Never raises. A corrected field leaves a mark in `data`: `timestamp_corrected`,
    `event_type_given`, `cost_given`, `latency_given`, `fields_dropped`. *now* is epoch seconds, by default the time.
    """
    if now is None:
        now = time()
    try:
        if _is_clean(event, now + MAX_AHEAD):
            return event, 0
        return _Correction(event, now).result()
    except Exception as exc:  # data that changes while it is read, a property that raises: keep that it happened
        data: dict[str, object] = {"unreadable_event": type(exc).__name__}
        return AgentEvent(now, "default", "action", data), 1


def own_copy(event: AgentEvent) -> AgentEvent:
    """Return a copy of a sanitized *event* that shares no dict and no list with it.

    For events that somebody else may go on to change: a caller who fills one dict again and again, a sink.
    """
    copied = copy(event)
    copied.data = data = event.data.copy()
    copied.tags = event.tags[:]
    for key, value in data.items():
        if type(value) is dict or type(value) is list:
            data[key] = _own(value)
    return copied


def _own(value: Any) -> Any:
    if type(value) is dict:
        return {key: _own(item) for key, item in value.items()}
    return [_own(item) for item in value] if type(value) is list else value


def approximate_size(event: AgentEvent) -> int:
    """Return about how many bytes *event* keeps in memory. Never raises, never walks far."""
    try:
        return _size(event.data.values(), 256) if event.data else 256
    except Exception:  # not sanitized, or changed meanwhile: the bound needs only a guess
        return MAX_TEXT


def _size(values: Iterable[Any], size: int) -> int:
    for value in values:
        kind = type(value)
        if kind is str:
            size += len(value)
        elif kind is dict:
            size = _size(value.values(), size + 64)
        elif kind is list:
            size = _size(value, size + 64)
        else:
            size += 32
        if size > _FAR:
            break
    return size


def _is_clean(event: AgentEvent, latest: float) -> bool:
    """Whether nothing has to change. Exact types only; what is merely unusual is the slow path's.

    The same look again and again instead of a loop over fields: this runs on the caller's thread for every event.
    """
    stamp, agent, session_id, user = event.timestamp, event.agent, event.session_id, event.user
    cost, latency, kind, name = event.cost_usd, event.latency_ms, event.kind, event.name
    return (
        type(event) is AgentEvent
        and type(stamp) is float
        and 0.0 <= stamp <= latest
        and type(agent) is str
        and len(agent) <= MAX_NAME  # before it is hashed
        and agent in KNOWN_CLEAN
        and type(event.event_type) is str
        and event.event_type in VALID_EVENT_TYPES
        and (session_id is None or (type(session_id) is str and session_id in KNOWN_CLEAN))
        and (user is None or (type(user) is str and user in KNOWN_CLEAN))
        and (cost is None or (type(cost) is float and 0.0 <= cost <= MAX_AMOUNT))
        and (latency is None or (type(latency) is float and 0.0 <= latency <= MAX_AMOUNT))
        and (kind is None or (type(kind) is str and kind in KNOWN_CLEAN))
        and (name is None or (type(name) is str and name in KNOWN_CLEAN))
        and _is_clean_data(event.data)
        and type(event.tags) is list
        and (not event.tags or _are_clean(event.tags, MAX_TAGS))
        and type(event.agents) is tuple
        and (not event.agents or _are_clean(event.agents, MAX_PATH))
        and (
            (event.run_id is None and event.step_id is None and event.parent_id is None and event.id == "")
            or _are_clean_ids(event)
        )
    )


def _is_clean_data(data: dict[str, Any]) -> bool:
    if type(data) is not dict or len(data) > MAX_FIELDS:
        return False
    for key, value in data.items():
        if type(key) is not str or (key not in KNOWN_KEYS and not is_plain_key(key)):
            return False
        kind = type(value)
        if kind is str:
            if (len(value) > MAX_TEXT or not value.isascii()) and weigh(value) >= TOO_MUCH:
                return False
        elif kind is int:
            if not -BIG_INT <= value < BIG_INT:
                return False
        elif kind is not bool and value is not None and weigh(value) >= TOO_MUCH:
            return False
    return True


def _are_clean(names: Sequence[object], most: int) -> bool:
    for name in names:
        if type(name) is not str or name not in KNOWN_CLEAN:
            return False
    return len(names) <= most


def _are_clean_ids(event: AgentEvent) -> bool:
    """Ids are new in every event, so nobody remembers them: they are looked at, all at once if they are as usual."""
    run_id, step_id, parent_id = event.run_id, event.step_id, event.parent_id
    ids = (
        event.id,
        "" if run_id is None else run_id,
        "" if step_id is None else step_id,
        "" if parent_id is None else parent_id,
    )
    try:
        text = "".join(ids)
    except TypeError:
        return False
    if len(text) <= MAX_NAME and text.isascii() and text.isprintable() and " " not in text:
        return True
    return all(type(one) is str and clean_name(one) == one for one in ids)


class _Correction:
    """One event on the slow path."""

    def __init__(self, event: AgentEvent, now: float) -> None:
        self.event = event
        self.now = now
        self.count = 0
        self.marks: dict[str, object] = {}

    def result(self) -> tuple[AgentEvent, int]:
        """Return the corrected event and the number of corrections; the given event if none of it changed."""
        given = self.event
        timestamp = self._timestamp(given.timestamp)
        event_type = self._event_type(given.event_type)
        cost, latency = self._amount(given.cost_usd, "cost_given"), self._amount(given.latency_ms, "latency_given")
        agent = self._name(given.agent) or self._counted("default")
        names = {field: self._name(getattr(given, field)) for field in _NAMED}
        tags = self._names(given.tags, MAX_TAGS)
        agents = tuple(self._names(given.agents, MAX_PATH))
        event_id = self._name(given.id) or ""
        data = self._data(given.data)
        fixed = AgentEvent(
            timestamp,
            agent,
            event_type,
            data,
            names.pop("session_id"),
            names.pop("user"),
            cost,
            latency,
            tags,
            id=event_id,
            agents=agents,
            **names,
        )
        same = (
            self.count == 0 and type(given) is AgentEvent and fixed == given and _is_clean(given, self.now + MAX_AHEAD)
        )
        return (given if same else fixed), self.count

    def _counted(self, value: Any) -> Any:
        self.count += 1
        return value

    def _timestamp(self, given: Any) -> float:
        if isinstance(given, (int, float)) and not isinstance(given, bool) and 0 <= given <= self.now + MAX_AHEAD:
            return float(given)
        self.marks["timestamp_corrected"] = True
        return float(self._counted(self.now))

    def _event_type(self, given: Any) -> str:
        value = given.value if isinstance(given, Enum) else given
        if isinstance(value, str) and value in VALID_EVENT_TYPES:
            return str.__str__(value)
        self.marks["event_type_given"] = describe(value)
        return str(self._counted("action"))

    def _amount(self, given: Any, mark: str) -> float | None:
        if given is None:
            return None
        if (amount := _as_amount(given)) is None:
            self.marks[mark] = describe(given)
            self.count += 1
        elif isinstance(given, (str, Decimal)):
            self.count += 1
        return amount

    def _name(self, given: Any) -> str | None:
        if given is None or (type(given) is str and not given):
            return None
        name = clean_name(given)
        self.count += name != given
        return name or None

    def _names(self, given: Any, most: int) -> list[str]:
        if given is None:
            return []
        if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
            given = self._counted([given])
        several = list(islice(given, most + 1))
        self.count += len(several) > most
        return [name for item in several[:most] if (name := self._name(item))]

    def _data(self, given: Any) -> dict[str, object]:
        if given is None:
            given = {}
        if not isinstance(given, Mapping):
            given = self._counted({"value": given})
        fields, corrections = plain_fields(given, len(self.marks))
        self.count += corrections
        return fields | self.marks


def _as_amount(given: Any) -> float | None:
    """Return *given* as a finite amount of 0 or more, None if it is none."""
    if isinstance(given, bool) or not isinstance(given, (int, float, str, Decimal)):
        return None
    if isinstance(given, str) and len(given) > 64:  # no number; float() of megabytes takes its time
        return None
    try:
        amount = float(given)
    except (ValueError, OverflowError):
        return None
    return amount if isfinite(amount) and 0 <= amount <= MAX_AMOUNT else None
