"""What a home says is in force: database and mirror by THE RULE of mirror.py, and what to do when nobody can tell."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from deadstop.control.database import read_state, signature, status
from deadstop.control.mirror import Mirror, State, Unreadable, in_force, read_mirror
from deadstop.control.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger("deadstop")


class Reader:
    """Reads one home for one process, and remembers what it read last.

    `rows` are those last read, None before the first success. `problem` says why nobody can tell what is in force,
    "" while somebody can. `stale`: the database was only locked; the answer is the last known one, look again soon.
    `behind`: the mirror lacks the last commit, because its writer is about to write it, or died before.
    """

    def __init__(self, home: Path, *, require_control: bool, note: Callable[[str, BaseException], object]) -> None:
        self.require_control = require_control
        self.problem = ""
        self.stale = False
        self.behind = False
        self._database = home / "control.db"
        self._mirror = home / "kills.json"
        self._note = note
        self._last: State | None = None
        self._lost = 0.0

    @property
    def rows(self) -> tuple[Row, ...] | None:
        """The rows last read from this home, None if nothing ever was."""
        return None if self._last is None else self._last.rows

    def signature(self) -> tuple[object, ...]:
        """Return what differs once a file of the control state was changed or replaced."""
        return (*signature(self._database), status(self._mirror))

    def read(self) -> State:
        """Return what is in force. Never raises Unreadable: that is decided here."""
        mirror, missing = self._read_mirror()  # first: read after the database it could be newer, and undo a revive
        try:
            state = read_state(self._database)
        except Unreadable as why:
            return self._without_database(why, mirror, missing)
        self.stale = False
        self.behind = state.complete and (mirror is None or mirror.generation < state.generation)
        self._recovered()
        self._last = in_force(state, mirror) or state
        return self._judge_lost(self._last)

    def _read_mirror(self) -> tuple[Mirror | None, str]:
        try:
            return read_mirror(self._mirror), ""
        except Unreadable as exc:
            return None, str(exc)

    def _without_database(self, why: Unreadable, mirror: Mirror | None, missing: str) -> State:
        self.stale = why.busy
        # What this process read before is held against the mirror like a database without its log.
        known = None if self._last is None else self._last._replace(complete=False)
        if mirror is None and (known is None or not why.busy):
            return self._unreadable(f"{why}; {missing}", known)
        if not why.busy:
            self._note("control.db", why)
        self._recovered()
        self._last = in_force(known, mirror) or State()
        return self._last

    def _unreadable(self, problem: str, known: State | None) -> State:
        """Both are gone: the last known rows hold on; a process that knows none is open and loud, or closed."""
        self._note("control state", Unreadable(problem))
        if not self.problem:
            then = "every step is refused" if self.require_control else "kills can't be seen from other processes"
            log.error("deadstop can't read its control state: %s. Until that is mended %s.", problem, then)
        self.problem = problem
        state = known or State()
        return self._closed(state, problem) if self.require_control else state

    def _recovered(self) -> None:
        if self.problem:
            log.warning("deadstop can read its control state again")
        self.problem = ""

    def _judge_lost(self, state: State) -> State:
        """A database that had to be made anew from nothing may lack kills: closed, or loud once."""
        if state.lost and self.require_control:
            return self._closed(state, "it was lost and made anew; check what is killed, then revive everything")
        if state.lost and state.lost != self._lost:
            log.error("deadstop's control state was lost and made anew: earlier kills may be missing")
        self._lost = state.lost
        return state

    def _closed(self, state: State, problem: str) -> State:
        reason = f"the control state is unreadable: {problem}"
        row = Row("kill", "global", "", reason, policy="control", generation=state.generation, durable=False)
        return state._replace(rows=(*state.rows, row))
