"""Where `events` reads: the event store of each home, and the decisions that its control plane keeps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from deadstop.control.changes import history
from deadstop.control.mirror import Unreadable
from deadstop.errors import ConfigError
from deadstop.names import clean_name
from deadstop.storage.sqlite import SqliteEventStore

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from deadstop.control.changes import Decision
    from deadstop.storage import Cursor

_MOST_DECISIONS = 10_000
_TYPES = {("set", "kill"): "kill", ("clear", "kill"): "revive", ("set", "pause"): "pause", ("clear", "pause"): "resume"}


class Wanted(NamedTuple):
    """The filters; None means any. Times are epoch seconds, `since` inclusive, `until` exclusive."""

    since: float | None
    until: float | None
    agent: str | None
    event_type: str | None
    session_id: str | None
    run_id: str | None

    def matches(self, event: dict[str, Any]) -> bool:
        """Whether *event* passes all filters."""
        at = float(event["timestamp"])
        in_time = (self.since is None or at >= self.since) and (self.until is None or at < self.until)
        of_agent = self.agent is None or self.agent == event["agent"] or self.agent in event["agents"]
        fields = ("event_type", "session_id", "run_id")
        return in_time and of_agent and all(getattr(self, f) in {None, event[f]} for f in fields)


class Mark(NamedTuple):
    """How far a source was read: the store's cursor, and the generation of the last decision."""

    cursor: Cursor
    generation: int


class Source:
    """The events and decisions of one home."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._store = SqliteEventStore(home / "events")

    def read(self, wanted: Wanted, limit: int) -> list[dict[str, Any]]:
        """Return the newest *limit* that match, in any order."""
        decisions = [event for event in map(self._event, self._decisions()) if wanted.matches(event)]
        stored = self._store.read(**wanted._asdict(), limit=limit) if limit else []
        return [*map(self._marked, stored), *decisions[:limit]]

    def now(self) -> Mark:
        """Return the mark from which `after` goes on."""
        newest = next(iter(self._decisions(1)), None)
        return Mark(self._store.tail(None, 0)[1], 0 if newest is None else newest.generation)

    def after(self, mark: Mark) -> tuple[list[dict[str, Any]], Mark]:
        """Return what came after *mark*, and the next mark."""
        stored, cursor = self._store.tail(mark.cursor)
        fresh = [decision for decision in self._decisions(100) if decision.generation > mark.generation]
        generation = max([mark.generation, *(decision.generation for decision in fresh)])
        return [*map(self._marked, stored), *map(self._event, fresh)], Mark(cursor, generation)

    def _decisions(self, limit: int = _MOST_DECISIONS) -> list[Decision]:
        try:
            return history(self._home / "control.db", limit)
        except Unreadable:  # there is none yet
            return []

    def _marked(self, event: dict[str, object]) -> dict[str, Any]:
        return {**event, "home": str(self._home)}

    def _event(self, decision: Decision) -> dict[str, Any]:
        """Return *decision* with the keys of an event."""
        scope, name = decision.scope, decision.name
        return {
            "timestamp": decision.at,
            "agent": name if scope == "agent" else "",
            "event_type": _TYPES[decision.verb, decision.action],
            "data": {
                "target": scope if scope == "global" else f"{scope}:{name}",
                "reason": decision.reason,
                "actor": decision.actor,
                "policy": decision.policy,
                "until": decision.until,
            },
            "session_id": name if scope == "session" else None,
            "user": None,
            "cost_usd": None,
            "latency_ms": None,
            "tags": [name] if scope == "tag" else [],
            "id": f"decision-{decision.generation}",
            "run_id": name if scope == "run" else None,
            "step_id": None,
            "parent_id": None,
            "kind": None,
            "name": None,
            "agents": [name] if scope == "agent" else [],
            "home": str(self._home),
        }


def latest(sources: list[Source], wanted: Wanted, limit: int) -> list[dict[str, Any]]:
    """Return the newest *limit* matching events of all sources, oldest first."""
    found = [event for source in sources for event in source.read(wanted, limit)]
    found.sort(key=lambda event: float(event["timestamp"]))
    return found[-limit:] if limit else []


def wanted_by(args: argparse.Namespace) -> Wanted:
    """Return the filters that the arguments ask for. Raises ConfigError for a type or time that there is not."""
    return Wanted(
        _moment(args.since, "--since"),
        _moment(args.until, "--until"),
        None if args.agent is None else clean_name(args.agent),
        _event_type(args.type),
        None if args.session is None else clean_name(args.session),
        None if args.run is None else clean_name(args.run),
    )


def _event_type(name: str | None) -> str | None:
    from deadstop.control.nearest import suggest
    from deadstop.events import VALID_EVENT_TYPES

    if name is None or name in VALID_EVENT_TYPES:
        return name
    near = suggest(name[:100], VALID_EVENT_TYPES)
    hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(sorted(VALID_EVENT_TYPES))}"
    raise ConfigError(f"--type {name[:60]!r}: no such type of event; {hint}")


def _moment(text: str | None, option: str) -> float | None:
    """Return a time given as a duration before now, ISO 8601 or epoch seconds."""
    if text is None:
        return None
    from deadstop.config.durations import parse_duration
    from deadstop.storage.times import epoch

    if text.isdecimal() and len(text) > 9:
        return float(text)
    try:
        return time.time() - parse_duration(text)
    except ValueError:
        pass
    try:
        return epoch(text, option)
    except ValueError as exc:
        raise ConfigError(str(exc)) from exc
