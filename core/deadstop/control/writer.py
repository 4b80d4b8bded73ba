"""How a change gets into a home: lock, commit, bump the word, mirror; and what mends a home that was left half done."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from deadstop.control.changes import Change, Done, commit
from deadstop.control.database import NotWritten, create, read_state, writing
from deadstop.control.files import file_lock
from deadstop.control.mirror import Mirror, State, Unreadable, in_force, read_mirror, write_mirror
from deadstop.control.table import Row
from deadstop.control.word import GENERATION, GLOBAL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from deadstop.control.word import ControlWord

WORD_REASON = "everything was killed through the control word; the database could not be written then"


class Lifted(Exception):  # noqa: N818 - control flow between writer and control
    """A global kill that was only in the word was lifted by somebody else: it must not be written any more."""


class Writer:
    """Writes one home.

    `announce(generation)` bumps the word once a commit is durable; `note(place, error)` counts what fails without
    harm to the change.
    """

    def __init__(
        self,
        home: Path,
        word: ControlWord,
        *,
        announce: Callable[[int], object],
        note: Callable[[str, BaseException], object],
    ) -> None:
        self.database = home / "control.db"
        self.mirror_file = home / "kills.json"
        self._lock = home / "control.lock"
        self._word = word
        self._announce = announce
        self._note = note

    def write(self, change: Change, *, patience: float, floor: int, known: Sequence[Row] | None) -> Done:
        """Carry *change* out. *known*: the rows last read by this process, to mend a broken database from.

        Waits at most *patience* seconds for other writers. Raises NotWritten, and Lifted for a global kill that
        somebody has lifted since it was put in the word.
        """
        patience /= 2  # half for the lock, half for SQLite's
        with file_lock(self._lock, patience) as alone:  # not got: SQLite and THE RULE keep order all the same
            if change.everything and self._word.view[GLOBAL] != change.everything:
                raise Lifted
            # The word goes first: a process that holds the same kill back in memory then sees that it was lifted.
            lifted = self._lift(change)
            try:
                done = self._commit(change, patience, floor)
            except NotWritten as failure:
                if not (failure.broken and alone):
                    raise
                self._rebuild(known, floor)
                done = self._commit(change, patience, floor)
            if change.everything:  # the row says it now
                self._word.lift_all()
        return done if done.row is not None or not lifted else Done(word_row(lifted), done.state)

    def ensure(self) -> None:
        """Make the database where there is none. Raises NotWritten."""
        if not self.database.exists():
            with file_lock(self._lock, 1.0) as alone:
                if alone and not self.database.exists():
                    self._rebuild(None, 0)

    def settle(self) -> bool:
        """Finish what a writer that died left undone: the bump, the mirror. Return whether anything was to do."""
        with file_lock(self._lock, 0.0) as alone:
            if not alone:  # somebody is writing: it is not left, it is going on
                return False
            try:
                state = read_state(self.database)
            except Unreadable:
                return False
            behind = self._word.view[GENERATION] < state.generation
            if behind:
                self._announce(state.generation)
            mirror = self.read_mirror()
            stale = state.complete and (mirror is None or mirror.generation < state.generation)
            if stale:
                self.mirror(state)
            return behind or stale

    def mirror(self, state: State) -> None:
        """Write the mirror of *state*. What fails is counted: the database has it, and a watcher tries again."""
        try:
            write_mirror(self.mirror_file, state.generation, state.rows)
        except OSError as exc:
            self._note("kills.json", exc)

    def read_mirror(self) -> Mirror | None:
        """Return the mirror, None where it can't be read."""
        try:
            return read_mirror(self.mirror_file)
        except Unreadable:
            return None

    def _commit(self, change: Change, patience: float, floor: int) -> Done:
        mirror = self.read_mirror()
        with writing(self.database, patience) as db:
            done = commit(db, change, mirror=mirror, floor=max(floor, self._word.view[GENERATION]))
            if done.row is not None:
                self._announce(done.state.generation)  # before closing, which may have to tidy the log
                self.mirror(done.state)
        return done

    def _lift(self, change: Change) -> int:
        """Lift the global kill in the word if *change* revives everything; return what was in it."""
        found = self._word.view[GLOBAL]
        if found and change.verb == "clear" and change.is_global_kill:
            self._word.lift_all()
            return found
        return 0

    def _rebuild(self, known: Sequence[Row] | None, floor: int) -> None:
        """Make the database anew from itself if its rows can still be read, else the mirror, else what is known."""
        mirror, state = self.read_mirror(), None
        with contextlib.suppress(Unreadable):
            state = read_state(self.database)
        used = max(floor, self._word.view[GENERATION])
        found = in_force(state, mirror)
        if found is None:
            lost = time.time() if known is None and used > 0 else 0.0
            found = State(used, tuple(known or ()), lost)
        found = found._replace(generation=max(used, found.generation))
        create(self.database, found)
        self.mirror(found)


def word_row(generation: int) -> Row:
    """Return the row that stands for the control word's global kill."""
    return Row("kill", "global", "", WORD_REASON, policy="kill", generation=generation, durable=False)
