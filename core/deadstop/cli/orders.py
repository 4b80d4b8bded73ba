"""What `kill`, `revive`, `pause` and `resume` share: an order, carried out on every home that it concerns."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from deadstop.cli.places import default_home, given_home, homes_to_show, standing
from deadstop.control.home import listed_homes, register_home
from deadstop.control.local import LocalControl, open_control
from deadstop.control.processes import read_processes

if TYPE_CHECKING:
    from pathlib import Path

    from deadstop.cli.targets import Target
    from deadstop.control.processes import ProcessRow
    from deadstop.control.table import Row

_PATIENCE = 2.0  # seconds that are waited for live processes to see an order
_ROUND = 1.5  # seconds in which every process that is not stuck has renewed what it says of its agents
_POLL = 0.02
_LOOK = 0.005


class Order(NamedTuple):
    """What is to be done: `verb` "set" or "clear" of `action` "kill" or "pause"; `command` and `done` are its words."""

    command: str
    done: str
    verb: str
    action: str
    target: Target
    reason: str = ""
    actor: str | None = None
    until: float | None = None
    span: str = ""

    @property
    def sets(self) -> bool:
        """Whether it stops somebody, rather than letting somebody go on."""
        return self.verb == "set"


class Outcome(NamedTuple):
    """What became of an order on one home.

    `row` is the one set or lifted; `generation` the one that processes have to see. `live` is how many processes were
    alive, `seen` how many of them have seen it, both None where nobody waited. One that has ended since counts as
    having seen it: an agent's process often ends because it was killed. `ms` are milliseconds from the order until all
    had seen it. `known`: a process that was alive then told of the target.
    """

    home: Path
    row: Row
    generation: int
    seen: int | None
    live: int | None
    ms: float
    known: bool

    @property
    def lost(self) -> bool:
        """Whether the order ends with this command: it could not be written anywhere."""
        return not self.row.durable and self.row.reach == "process"


class _Given(NamedTuple):
    """An order that was carried out on one home, before anybody was asked whether they saw it."""

    control: LocalControl
    row: Row
    generation: int
    started: float
    before: list[ProcessRow]


def carry_out(order: Order, *, home: str | None, wait: bool) -> list[Outcome]:
    """Carry *order* out on *home* or, where that is None, on every home that it concerns; empty if it concerns none."""
    given = (_set if order.sets else _clear)(order, home, wait)
    deadline = time.monotonic() + _PATIENCE
    try:
        return [_outcome(order, one, deadline if wait else None) for one in given]
    finally:
        for one in given:
            one.control.close()


def record(order: Order, outcomes: list[Outcome]) -> None:
    """Store an event of *order* on each home: it is evidence as well. Raises OSError, sqlite3.Error or StoreError."""
    from deadstop.control.actor import default_actor
    from deadstop.storage.sqlite import SqliteEventStore
    from deadstop.telling import controlled

    lifted_by = None if order.sets else order.actor or default_actor()
    for outcome in outcomes:
        event = controlled(outcome.row, now=outcome.row.at if order.sets else time.time(), lifted_by=lifted_by)
        store = SqliteEventStore(outcome.home / "events")
        store.write([event], durable=True)
        store.close()


def _set(order: Order, home: str | None, wait: bool) -> list[_Given]:  # noqa: FBT001 - one of two of its kind
    """Kill or pause on the given home, else wherever the target lives, else on the default home."""
    if (only := given_home(home)) is not None:
        return [_give_set(order, only)]
    if live := [place for place in listed_homes() if any(map(order.target.lives_in, _live(place)))]:
        return [_give_set(order, place) for place in live]
    started, place = time.time(), default_home()
    first = _give_set(order, place)
    return [first, *(_give_set(order, late) for late in (_chased(order.target, place, started) if wait else ()))]


def _clear(order: Order, home: str | None, _wait: bool) -> list[_Given]:  # noqa: FBT001
    """Revive or resume on every home where the target is killed or paused."""
    places = [place for place in homes_to_show(home) if any(map(order.target.concerns, _rows(order, place)))]
    return [given for place in places if (given := _give_clear(order, place)) is not None]


def _rows(order: Order, home: Path) -> list[Row]:
    return [row for row in standing(home).rows if row.action == order.action]


def _give_set(order: Order, home: Path) -> _Given:
    started, before = time.monotonic(), _live(home)
    control = open_control(home)
    row = control.set(
        order.action,
        order.target.scope,
        order.target.name,
        reason=order.reason,
        actor=order.actor,
        until=order.until,
    )
    register_home(home)  # after what matters: so that a revive from elsewhere finds it
    return _Given(control, row, row.generation, started, before)


def _give_clear(order: Order, home: Path) -> _Given | None:
    started, before = time.monotonic(), _live(home)
    control = open_control(home)
    row = control.clear(order.action, order.target.scope, order.target.name, actor=order.actor, reason=order.reason)
    if row is None:
        control.close()
        return None
    return _Given(control, row, control.generation, started, before)


def _live(home: Path) -> list[ProcessRow]:
    return [row for row in read_processes(home) if row.live]


def _chased(target: Target, default: Path, since: float) -> list[Path]:
    """Look for a target on the other homes until every process there has renewed its row.

    An agent that has just begun its first step is told of within a second.
    """
    deadline = time.monotonic() + _ROUND
    while True:
        rows = _live_elsewhere(default)
        if found := [place for place, processes in rows.items() if any(map(target.lives_in, processes))]:
            return found
        late = any(process.heartbeat <= since for processes in rows.values() for process in processes)
        if not late or time.monotonic() >= deadline:
            return []
        time.sleep(_POLL)


def _live_elsewhere(default: Path) -> dict[Path, list[ProcessRow]]:
    others = [home for home in listed_homes() if os.path.realpath(home) != os.path.realpath(default)]
    return {home: _live(home) for home in others}


def _outcome(order: Order, given: _Given, deadline: float | None) -> Outcome:
    seen, live = (None, None) if deadline is None else _wait(given, deadline)
    ms = round((time.monotonic() - given.started) * 1000, 1)
    known = any(map(order.target.lives_in, given.before))
    return Outcome(given.control.home, given.row, given.generation, seen, live, ms, known)


def _wait(given: _Given, deadline: float) -> tuple[int, int]:
    """Wait until nobody is left who has not seen it; return how many have, and how many there were."""
    everybody = {(row.pid, row.start) for row in given.before}
    while True:
        live = _live(given.control.home)
        everybody |= {(row.pid, row.start) for row in live}
        blind = sum(row.generation < given.generation for row in live)
        if not blind or time.monotonic() >= deadline:
            return len(everybody) - blind, len(everybody)
        time.sleep(_LOOK)
