"""One change of the control state, and the history of all of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from deadstop.control.actor import default_actor
from deadstop.control.database import insert_rows, read_history, state_within
from deadstop.control.mirror import Mirror, State, in_force
from deadstop.control.table import ACTIONS, SCOPES, Row, clean_text
from deadstop.names import clean_name

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from pathlib import Path

_DECISIONS_KEPT = 100_000
_ENDED_KEPT = 86_400.0  # seconds after which a pause that ended is deleted: far beyond what a clock is set by mistake
_HISTORY_COLUMNS = "verb, at, action, scope, name, policy, reason, actor, until, generation"


class Change(msgspec.Struct, frozen=True):
    """A decision to be carried out: `verb` is "set" or "clear".

    `policy` is None only in a clear that means every policy's row of its target. `generation` is the one it was made
    at; `everything` is what the control word said when a global kill was put in it by this change, else 0.
    """

    verb: str
    action: str
    scope: str
    name: str
    reason: str
    actor: str
    at: float
    until: float | None = None
    policy: str | None = None
    generation: int = 0
    everything: int = 0

    @property
    def is_global_kill(self) -> bool:
        """Whether it sets or lifts the kill of everything."""
        return self.action == "kill" and self.scope == "global"

    def row(self, generation: int) -> Row:
        """Return the row that this set brings, or that stands for what this clear lifts."""
        policy = self.policy or self.action
        return Row(self.action, self.scope, self.name, self.reason, self.actor, self.at, self.until, policy, generation)

    def concerns(self, row: Row) -> bool:
        """Whether *row* is what this change sets anew or lifts."""
        same = (row.action, row.scope, row.name) == (self.action, self.scope, self.name)
        return same and (self.policy is None or row.policy == self.policy)


class Decision(msgspec.Struct, frozen=True):
    """One line of the history: who set or cleared what, when (epoch seconds) and why."""

    verb: str
    at: float
    action: str
    scope: str
    name: str
    policy: str | None
    reason: str
    actor: str
    until: float | None
    generation: int


class Done(NamedTuple):
    """What a commit changed: the row set or lifted, the state after it. `row` is None where nothing was to change."""

    row: Row | None
    state: State


def make_change(
    verb: str,
    action: str,
    scope: str,
    name: str,
    *,
    reason: str,
    actor: str | None,
    at: float,
    until: float | None = None,
    policy: str | None = None,
) -> Change:
    """Check and clean what a caller gave. Raises ValueError for an unknown action or scope, or a missing name."""
    if action not in ACTIONS or scope not in SCOPES:
        raise ValueError(f"no such control: {action!r} of {scope!r} (of {', '.join(ACTIONS)}; {', '.join(SCOPES)})")
    name = "" if scope == "global" else clean_name(name)
    if not name and scope != "global":
        raise ValueError(f"a {action} of one {scope} needs its name; scope 'global' means everything")
    if until is not None and (action == "kill" or math.isnan(until)):
        raise ValueError(f"{until!r} is no end for a {action}: only pauses end by themselves, at an epoch time")
    if policy is None and verb == "set":
        policy = action
    return Change(
        verb,
        action,
        scope,
        name,
        clean_text(reason, 2000),
        clean_text(default_actor() if actor is None else actor, 200),
        at,
        None if until is None or math.isinf(until) else float(until),
        None if policy is None else clean_text(policy, 200),
    )


def commit(db: sqlite3.Connection, change: Change, *, mirror: Mirror | None, floor: int) -> Done:
    """Carry *change* out in the open transaction of *db*, and commit. Raises sqlite3.Error.

    *floor* is the highest generation that anybody was seen to use: numbers are never used twice.
    """
    before = state_within(db)
    state = in_force(before, mirror) or before
    generation = max(state.generation, floor) + 1
    touched = [row for row in state.rows if change.concerns(row)]
    if change.verb == "clear" and not touched and not (change.is_global_kill and state.lost):
        return Done(None, before)
    left = [row for row in state.rows if not change.concerns(row) and not _ended(row, change.at)]
    row = change.row(generation)
    after = State(generation, (*left, row) if change.verb == "set" else tuple(left), _lost(change, state))
    _store(db, before, after)
    _record(db, change, generation)
    db.execute("COMMIT")
    if change.verb == "clear" and touched:
        row = max(touched, key=lambda lifted: lifted.generation)
    return Done(row, after)


def history(path: Path, limit: int) -> list[Decision]:
    """Return the newest *limit* decisions stored at *path*, newest first. Raises Unreadable."""
    return [Decision(*line) for line in read_history(path, _HISTORY_COLUMNS, limit)]


def _store(db: sqlite3.Connection, before: State, after: State) -> None:
    kept = {row.key for row in after.rows}
    known = set(before.rows)
    gone = [row.key for row in before.rows if row.key not in kept]
    db.executemany("DELETE FROM controls WHERE action = ? AND scope = ? AND name = ? AND policy = ?", gone)
    insert_rows(db, (row for row in after.rows if row not in known))
    db.execute("UPDATE state SET generation = ?, lost = ?", (after.generation, after.lost))


def _record(db: sqlite3.Connection, change: Change, generation: int) -> None:
    c = change
    line = (c.verb, c.at, c.action, c.scope, c.name, c.policy, c.reason, c.actor, c.until, generation)
    places = ", ".join("?" for _ in line)
    cursor = db.execute(f"INSERT INTO decisions ({_HISTORY_COLUMNS}) VALUES ({places})", line)  # noqa: S608
    if cursor.lastrowid and cursor.lastrowid > _DECISIONS_KEPT:
        db.execute("DELETE FROM decisions WHERE id <= ?", (cursor.lastrowid - _DECISIONS_KEPT,))


def _ended(row: Row, now: float) -> bool:
    return row.until is not None and row.until < now - _ENDED_KEPT


def _lost(change: Change, state: State) -> float:
    return 0.0 if change.verb == "clear" and change.is_global_kill else state.lost


class Pending:
    """Changes that are in force in this process though they could not be written. Not thread-safe."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def hold(self, change: Change) -> None:
        """Keep *change* in force, in place of an earlier one that it makes void."""
        self.changes = [held for held in self.changes if not change.concerns(held.row(0))] + [change]

    def drop(self, change: Change) -> None:
        """Forget *change*: it was written, or lifted."""
        self.changes = [held for held in self.changes if held is not change]

    def forget(self, change: Change) -> None:
        """Forget what *change*, now written, makes void."""
        self.changes = [held for held in self.changes if not change.concerns(held.row(0))]

    def over(self, rows: Iterable[Row], everything: int) -> list[Row]:
        """Return *rows* as these changes leave them, *everything* being in the control word.

        A row that is newer than a clear is not lifted by it. A global kill that is no longer in the word was revived
        by somebody else.
        """
        left = {row.key: row for row in rows}
        for change in self.changes:
            if change.everything not in {0, everything}:
                continue
            if change.verb == "set":
                row = msgspec.structs.replace(
                    change.row(change.generation), durable=False, reach="home" if change.everything else "process"
                )
                left.setdefault(row.key, row)
            else:
                void = [row.key for row in left.values() if change.concerns(row)]
                for key in void:
                    if left[key].generation <= change.generation:
                        del left[key]
        return list(left.values())
