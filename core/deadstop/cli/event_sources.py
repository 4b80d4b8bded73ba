"""Where `events` reads: the event store of each home."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from deadstop.errors import ConfigError
from deadstop.names import clean_name
from deadstop.storage.sqlite import SqliteEventStore

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from deadstop.storage import Cursor


_FIRST_EPOCH = 1e9  # a number from here on is seconds since 1970, not seconds ago


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


class Source:
    """The events of one home."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._store = SqliteEventStore(home / "events")

    def read(self, wanted: Wanted, limit: int) -> list[dict[str, Any]]:
        """Return the newest *limit* that match."""
        return self._marked(self._store.read(**wanted._asdict(), limit=limit)) if limit else []

    def now(self) -> Cursor:
        """Return the cursor from which `after` goes on."""
        return self._store.tail(None, 0)[1]

    def after(self, cursor: Cursor) -> tuple[list[dict[str, Any]], Cursor]:
        """Return what came after *cursor*, and the next one."""
        events, cursor = self._store.tail(cursor)
        return self._marked(events), cursor

    def _marked(self, events: list[dict[str, object]]) -> list[dict[str, Any]]:
        return [{**event, "home": str(self._home)} for event in events]


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

    try:
        ago = parse_duration(text)
        return time.time() - ago if ago < _FIRST_EPOCH else float(text)
    except ValueError:  # no duration: a time then
        pass
    try:
        return epoch(text, option)
    except ValueError as exc:
        raise ConfigError(str(exc)) from exc
