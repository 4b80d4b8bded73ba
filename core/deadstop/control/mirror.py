"""`kills.json`, the mirror of the kill rows, and the one rule of what is in force.

THE RULE. Every commit gives the control state the next generation G. The writer commits G to the database, bumps the
word, then writes the mirror: all kill rows as of G, marked G. So a mirror can be of these ages against a database:

- older or the same (M <= D): the database knows everything the mirror knows, and more. The mirror is ignored; else a
  writer that died between its commit and its mirror would undo a revive, or lose nothing and prove nothing.
- newer (M > D): the database is a backup that was put back, or lost and made anew. The mirror's kills hold *as well as*
  the database's: a kill is never lost, at the price that one released since the backup holds again until revived.
- newer, and the database could only be read without its write-ahead log (a full or read-only disk): then the log,
  not the mirror, is what is missing, and the mirror alone says what is killed.
- database unreadable: the mirror alone. It can lack only a commit whose writer died before it wrote the mirror; every
  watcher closes that gap within its second.
- both unreadable: nobody knows. `LocalControl` says what then (open and loud, or closed).

A writer takes what is in force by this rule into its transaction before it changes anything, so that the next
generation again has everything in the database, and the mirror is never needed twice for the same damage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from deadstop.control.files import write_atomic
from deadstop.control.table import Row  # noqa: TC001 - msgspec needs it at run time

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Mirror(msgspec.Struct, frozen=True):
    """All kill rows as of `generation`."""

    generation: int
    kills: list[Row]
    version: int = 1


class State(NamedTuple):
    """What a database says. `lost` is the epoch time at which state was lost for good, 0.0 if never.

    `complete` is False where it had to be read without its write-ahead log.
    """

    generation: int = 0
    rows: tuple[Row, ...] = ()
    lost: float = 0.0
    complete: bool = True


class Unreadable(Exception):  # noqa: N818 - not a fault of the caller; never leaves the control plane
    """A file of the control state can't be read. `busy`: it is only locked, the same try may pass in a moment."""

    def __init__(self, why: str, *, busy: bool = False) -> None:
        super().__init__(why)
        self.busy = busy


def read_mirror(path: Path) -> Mirror:
    """Return the mirror at *path*. Raises Unreadable, also where there is none."""
    try:
        mirror = msgspec.json.decode(path.read_bytes(), type=Mirror)
    except (OSError, ValueError, RecursionError) as exc:  # msgspec's errors are ValueErrors
        raise Unreadable(f"{path.name}: {exc}") from exc
    return mirror


def write_mirror(path: Path, generation: int, rows: Iterable[Row]) -> None:
    """Write the kills among *rows* as of *generation*, durably. Raises OSError."""
    kills = [row for row in rows if row.action == "kill"]
    write_atomic(path, msgspec.json.encode(Mirror(generation, kills)), durable=True)


def in_force(state: State | None, mirror: Mirror | None) -> State | None:
    """Apply the rule above. None where neither could be read."""
    if mirror is None or (state is not None and mirror.generation <= state.generation):
        return state
    if state is None:
        return State(mirror.generation, tuple(mirror.kills))
    rows = state.rows if state.complete else [row for row in state.rows if row.action != "kill"]
    united = {row.key: row for row in (*rows, *mirror.kills)}
    return State(mirror.generation, tuple(united.values()), state.lost, state.complete)
