"""What is killed and paused, as data: rows, and the immutable table that every step is held against."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

ACTIONS = ("kill", "pause")
SCOPES = ("global", "agent", "session", "run", "tag")


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One kill or pause. `action`, `scope`, `name` and `policy` together are its key.

    `action` is "kill" or "pause"; `scope` is "global" (`name` is then empty), "agent", "session", "run" or "tag".
    `at` and `until` are epoch seconds; `until` is None for all kills and for pauses without an end. `policy` is
    "kill" or "pause" where a person decided, else the policy's name. `generation` is the one that brought it.
    `durable` is False while the row is on no disk; `reach` is then "process" (in force in this process only) or
    "home" (a global kill in the control word: in force everywhere until the word is lifted).
    """

    action: str
    scope: str
    name: str = ""
    reason: str = ""
    actor: str = ""
    at: float = 0.0
    until: float | None = None
    policy: str = ""
    generation: int = 0
    durable: bool = True
    reach: str = "home"

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes two rows the same: action, scope, name, policy."""
        return (self.action, self.scope, self.name, self.policy)

    @property
    def target(self) -> str:
        """Whom it holds for: `agent:NAME`, `session:ID`, `run:ID`, `tag:NAME` or `global`."""
        return self.scope if self.scope == "global" else f"{self.scope}:{self.name}"


Identity = tuple[tuple[str, str, str, str], int]  # a row's key and generation


class _Index:
    """Rows of one action by scope and name; the last one given wins a place."""

    __slots__ = ("agents", "everything", "runs", "sessions", "tags")

    def __init__(self, rows: Iterable[Row]) -> None:
        self.everything: Row | None = None
        self.agents: dict[str, Row] = {}
        self.sessions: dict[str | None, Row] = {}
        self.runs: dict[str | None, Row] = {}
        self.tags: dict[str, Row] = {}
        places: dict[str, dict[Any, Row]] = {
            "agent": self.agents,
            "session": self.sessions,
            "run": self.runs,
            "tag": self.tags,
        }
        for row in rows:
            if row.scope == "global":
                self.everything = row
            elif row.scope in places:  # a newer version may know more scopes
                places[row.scope][row.name] = row

    def find(
        self, agents: tuple[str, ...], session_id: str | None, run_id: str | None, tags: Iterable[str]
    ) -> Row | None:
        """Return the first row on a step with these names, the widest scope first. No loop but over its names."""
        if self.everything is not None:
            return self.everything
        if known := self.agents:
            for name in agents:
                if name in known:
                    return known[name]
        if session_id in self.sessions:
            return self.sessions[session_id]
        if run_id in self.runs:
            return self.runs[run_id]
        if known := self.tags:
            for name in tags:
                if name in known:
                    return known[name]
        return None

    def every(
        self, agents: tuple[str, ...], session_id: str | None, run_id: str | None, tags: Iterable[str]
    ) -> Iterator[Row]:
        """Yield all rows on such a step: of pauses the first may have ended, and the next not."""
        candidates = [self.everything, *map(self.agents.get, agents)]
        candidates += [self.sessions.get(session_id), self.runs.get(run_id), *map(self.tags.get, tags)]
        return (row for row in candidates if row is not None)


class ControlTable:
    """Every kill and pause in force at one generation. Immutable; made anew when something changed.

    `rows` are all of them, oldest first; `empty` is True where nothing can match. A timed pause ends at a deadline of
    *monotonic*, worked out from its `until` and *wall* when this process first sees the row and handed from table to
    table as `deadlines`: a clock that is set afterwards neither prolongs nor cuts it.
    """

    __slots__ = ("_kills", "_monotonic", "_paused", "_pauses", "deadlines", "empty", "generation", "rows")

    def __init__(
        self,
        rows: Iterable[Row] = (),
        *,
        generation: int = 0,
        deadlines: Mapping[Identity, float] | None = None,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rows: tuple[Row, ...] = tuple(sorted(rows, key=_generation))
        self.generation = generation
        self.empty = not self.rows
        self.deadlines = _deadlines(self.rows, deadlines or {}, monotonic() - wall())
        self._monotonic = monotonic
        self._kills = _Index(row for row in self.rows if row.action == "kill")
        pauses = [row for row in self.rows if row.action == "pause"]
        self._paused = bool(pauses)
        self._pauses = _Index(sorted(pauses, key=self._ends))  # of several on one target the longest decides

    def match(
        self, agents: tuple[str, ...], session_id: str | None, run_id: str | None, tags: Iterable[str] = ()
    ) -> Row | None:
        """Return the row that stops a step of these agents, session, run and tags: a kill before any pause."""
        if self.empty:
            return None
        found = self._kills.find(agents, session_id, run_id, tags)
        if found is None and self._paused:
            rows = self._pauses.every(agents, session_id, run_id, tags)
            return next((row for row in rows if self.holds(row)), None)
        return found

    def is_killed(self, agent: str, session_id: str | None = None) -> bool:
        """Whether the agent, its session or everything is killed."""
        if self.empty:
            return False
        kills = self._kills
        return kills.everything is not None or agent in kills.agents or session_id in kills.sessions

    def holds(self, row: Row) -> bool:
        """Whether *row* is in force now: False for a timed pause that has ended."""
        return row.until is None or self._monotonic() < self._ends(row)

    def remaining(self, row: Row) -> float | None:
        """Return the seconds until *row* ends by itself, None where it does not."""
        return None if row.until is None else max(0.0, self._ends(row) - self._monotonic())

    def _ends(self, row: Row) -> float:
        return float("inf") if row.until is None else self.deadlines.get((row.key, row.generation), row.until)


def _deadlines(rows: Iterable[Row], known: Mapping[Identity, float], offset: float) -> dict[Identity, float]:
    ends: dict[Identity, float] = {}
    for row in rows:
        if row.until is not None:
            identity = (row.key, row.generation)
            ends[identity] = known.get(identity, row.until + offset)
    return ends


def _generation(row: Row) -> int:
    return row.generation


def clean_text(value: object, limit: int) -> str:
    """Return *value* as text that any file and database takes: lone surrogates replaced, cut. Never raises."""
    try:
        text = value if type(value) is str else str(value)
        return text[:limit].encode("utf-8", "replace").decode("utf-8")
    except Exception:  # an object whose __str__ raises
        return f"<{type(value).__name__}>"
