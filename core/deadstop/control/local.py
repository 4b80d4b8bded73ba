"""`LocalControl`: the control plane of a home on this machine. SQLite holds the truth, a mapped word says "look again".

The hot path is `current()`: one comparison of the word with the generation last seen. Only when it moved are the rows
read again. Everything else here happens when somebody kills, revives, pauses or resumes, or once a second.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec

from deadstop.control import forks
from deadstop.control.changes import Change, Decision, Pending, history, make_change
from deadstop.control.database import NotWritten
from deadstop.control.home import ensure_home, register_home
from deadstop.control.mirror import Unreadable
from deadstop.control.processes import ProcessRow, read_processes, wait_seen
from deadstop.control.reader import Reader
from deadstop.control.table import ControlTable, Row
from deadstop.control.watcher import Watcher
from deadstop.control.word import GENERATION, GLOBAL, ControlWord
from deadstop.control.writer import Lifted, Writer, word_row
from deadstop.errors import ConfigError
from deadstop.isolation import Isolation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_QUICK = 1.0  # seconds that a change waits for others before it is put in force without the disk
_PATIENT = 5.0  # seconds that it then goes on trying, to be durable
_ALWAYS = 10  # every how many checks everything is read though no file seems to have changed: their times are coarse

_open: dict[str, LocalControl] = {}


def open_control(home: Path, *, require_control: bool = False) -> LocalControl:
    """Return this process's control of *home*, made at the first call. Pair each call with `close`.

    The strictest `require_control` of all callers holds. Raises ConfigError where *home* is a file.
    """
    key = os.path.realpath(home)
    with forks.registry_lock:
        control = _open.get(key)
        if control is None:
            control = _open[key] = LocalControl(home, require_control=require_control)
        else:
            control.users += 1
            control.require(closed=require_control)
    return control


class LocalControl:
    """Kills and pauses of one home: read at every step, written by anybody, kept over restarts.

    `view` and `seen` are for the hot path: nothing changed while `control.view[0] == control.seen`, and `table` is in
    force. `require_control` closes instead of opens where nobody can tell what is killed: every step then matches a
    global kill of policy "control". `facts` is asked once a second for what the process row says of agents.
    `interval` is the number of seconds between two looks of the watcher; set `wake` after changing it.
    `wall` and `monotonic` are the clocks (epoch seconds; seconds), for tests.

    Get one with `open_control`: there is one per home and process. At run time nothing here raises for a disk or a
    file that fails; the failures are counted in `isolation`. Raises ConfigError where the home is a file.
    """

    def __init__(
        self,
        home: Path,
        *,
        require_control: bool = False,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        ensure_home(home)
        self.home = home
        self.users = 1
        self.isolation = Isolation()
        self.facts: Callable[[], dict[str, Any]] | None = None
        self.interval = 1.0
        self.wake = threading.Event()
        self.word = ControlWord(home / "control.gen")
        self.view = self.word.view
        self.seen = -1
        self.everything = 0  # what the global word said when `table` was made
        self.table = ControlTable(wall=wall, monotonic=monotonic)
        self.callbacks: tuple[Callable[[ControlTable], object], ...] = ()
        self.reader = Reader(home, require_control=require_control, note=self.isolation.note)
        self.writer = Writer(home, self.word, announce=self._announce, note=self.isolation.note)
        self._wall, self._monotonic = wall, monotonic
        self._signature: tuple[object, ...] = ()
        self._checks = 0
        self._pending = Pending()
        self._watcher: Watcher | None = None
        self._restart = False
        self._write_lock, self._reload_lock = threading.RLock(), threading.RLock()
        forks.alive.add(self)
        self._make_database()
        self.refresh()

    # -- reading -------------------------------------------------------------------------------------------------

    def current(self) -> ControlTable:
        """Return the table in force. Well below 100 ns while nothing changed; never raises."""
        if self.view[0] == self.seen:
            return self.table
        return self._reload()

    def is_killed(self, agent: str, session_id: str | None = None) -> bool:
        """Whether the agent, its session or everything is killed."""
        table = self.table if self.view[0] == self.seen else self._reload()
        return table.is_killed(agent, session_id)

    @property
    def generation(self) -> int:
        """The newest generation that this process has seen."""
        return max(self.seen, self.table.generation)

    def refresh(self) -> ControlTable:
        """Read everything again, whatever the word says."""
        return self._reload(force=True)

    def history(self, limit: int = 100) -> list[Decision]:
        """Return the newest *limit* kills, revives, pauses and resumes, newest first; empty where unreadable."""
        try:
            return history(self.writer.database, limit)
        except Unreadable:
            return []

    def processes(self) -> list[ProcessRow]:
        """Return the rows of all processes on this home, each with `live` decided, by start."""
        return read_processes(self.home)

    def wait_seen(self, generation: int, timeout: float = 2.0) -> tuple[int, int]:
        """Wait until every live process has seen *generation*; return how many have, and how many are alive."""
        return wait_seen(self.processes, generation, timeout)

    def health(self) -> dict[str, Any]:
        """Return what `status` and `doctor` ask: mode and coherence of the word, what can't be read or written."""
        return {
            "home": str(self.home),
            "generation": self.generation,
            "word": self.word.mode,
            "coherent": self.word.coherent(),
            "unreadable": self.reader.problem,
            "not_written": [change.row(change.generation).target for change in self._pending.changes],
            "isolated": self.isolation.report(),
        }

    # -- writing -------------------------------------------------------------------------------------------------

    def set(
        self,
        action: str,
        scope: str,
        name: str = "",
        *,
        reason: str = "",
        actor: str | None = None,
        until: float | None = None,
        policy: str | None = None,
    ) -> Row:
        """Kill or pause. When this returns it is durable, and every process obeys at its next look.

        What can't be written is in force all the same, and its row says so (`durable` False): a global kill
        everywhere, through the control word; anything else in this process, whose watcher goes on trying to write it.
        `until` (epoch seconds) ends a pause by itself. Raises ValueError for a call that makes no sense.
        """
        now = self._wall()
        change = make_change("set", action, scope, name, reason=reason, actor=actor, at=now, until=until, policy=policy)
        row = self._apply(change)
        return change.row(self.generation) if row is None else row

    def clear(
        self,
        action: str,
        scope: str,
        name: str = "",
        *,
        actor: str | None = None,
        reason: str = "",
        policy: str | None = None,
    ) -> Row | None:
        """Lift what `set` brought, of every policy or of *policy* only; a kill lifts no pause, a pause no kill.

        Returns the row that was lifted, None where there was nothing. `durable` False: it could not be written and is
        lifted in this process only. Raises ValueError for a call that makes no sense.
        """
        now = self._wall()
        return self._apply(make_change("clear", action, scope, name, reason=reason, actor=actor, at=now, policy=policy))

    def _apply(self, change: Change) -> Row | None:
        with self._write_lock:
            before = next((row for row in self.current().rows if change.concerns(row)), None)
            change = msgspec.structs.replace(change, generation=self.generation)
            try:
                row = self._write(change, _QUICK)
            except NotWritten as failure:
                if change.verb == "clear" and before is None:
                    return None
                return self._without_disk(change, failure)
            self._pending.forget(change)
            self.refresh()
            if row is None and before is not None and not before.durable:
                return before  # not stored, yet it was there: held in memory
            return row

    def _write(self, change: Change, patience: float) -> Row | None:
        if not self.home.is_dir():  # deleted under us
            with contextlib.suppress(ConfigError):
                ensure_home(self.home)
        done = self.writer.write(change, patience=patience, floor=self.generation, known=self.reader.rows)
        return done.row

    def _without_disk(self, change: Change, failure: NotWritten) -> Row:
        """Put *change* in force though it could not be written; go on trying if the database is only locked."""
        self.isolation.note("control.db", failure)
        if change.verb == "set" and change.is_global_kill:
            change = msgspec.structs.replace(change, everything=self.word.kill_all())
        self._pending.hold(change)
        self.refresh()
        if failure.busy and (row := self._retry(change, _PATIENT)) is not None:
            self.refresh()
            return row
        reach = "home" if change.everything else "process"
        return msgspec.structs.replace(change.row(self.generation), durable=False, reach=reach)

    def _retry(self, change: Change, patience: float) -> Row | None:
        try:
            row = self._write(change, patience)
        except NotWritten:
            return None
        except Lifted:
            row = None
        self._pending.drop(change)
        return change.row(self.generation) if row is None else row

    # -- looking again -------------------------------------------------------------------------------------------

    def _reload(self, *, force: bool = False) -> ControlTable:
        with self._reload_lock:
            if self._restart:
                self._restart = False
                self._watch_in_child()
            word = self.view[GENERATION]
            if force or word != self.seen:
                self.everything = self.view[GLOBAL]
                self.table = self._load()
                self.seen = word  # last: who sees the new number must find the new table
        if self._watcher is not None and not self._watcher.is_current():
            self.wake.set()  # it writes the process row and calls back: an agent's thread writes no file
        return self.table

    def _load(self) -> ControlTable:
        """Make the table of what is in force. Never raises."""
        try:
            self._signature = self.reader.signature()
            state = self.reader.read()
            rows = self._pending.over(state.rows, self.everything)
            if self.everything and not any(row.action == "kill" and row.scope == "global" for row in rows):
                rows.append(word_row(self.everything))
            return ControlTable(
                rows,
                generation=state.generation,
                deadlines=self.table.deadlines,
                wall=self._wall,
                monotonic=self._monotonic,
            )
        except Exception as exc:  # our own bug: what was in force stays in force
            self.isolation.note("control reload", exc)
            return self.table

    def check(self) -> None:
        """Make good what a crash, a replaced file or a full disk left behind. The watcher calls this each second."""
        if not self.word.coherent():
            self._remap()
        self._make_database()
        self._checks += 1
        if self.reader.signature() != self._signature or self._checks % _ALWAYS == 0:
            self.refresh()
        half_done = self.reader.behind or self.view[GENERATION] < self.table.generation
        if half_done and self.word.mode != "read-only" and self.writer.settle():
            self.refresh()
        self._retry_pending()

    def _retry_pending(self) -> None:
        if self._pending.changes and self._write_lock.acquire(blocking=False):
            try:
                for change in self._pending.changes:
                    self._retry(change, 0.0)
                self.refresh()
            finally:
                self._write_lock.release()

    def _announce(self, generation: int) -> None:
        if not self.word.coherent():
            self._remap()
        self.word.bump(generation)

    def _remap(self) -> None:
        """Map the word again. Steps that look meanwhile wait for the new table: `seen` can't match."""
        self.isolation.note("control word", "the file was replaced or cut; it is mapped again")
        with self._reload_lock:
            self.word.remap(generation=self.generation, everything=self.everything)
            self.seen = -1
            self.view = self.word.view

    def _make_database(self) -> None:
        if self.word.mode == "shared" and self.home.is_dir():
            try:
                self.writer.ensure()
            except NotWritten as failure:
                self.isolation.note("control.db", failure)

    # -- living in a process ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Show this process on the home: write its row, list the home, start the watcher. Idempotent."""
        with self._write_lock:
            if self._watcher is None:
                register_home(self.home)
                self._watcher = Watcher(self)
                self._watcher.write_row()
                self._watcher.start()
                atexit.register(self._leave)

    def watch(self, callback: Callable[[ControlTable], object]) -> Callable[[], None]:
        """Call *callback* with each new table, on the watcher's thread, isolated. Returns what unsubscribes it."""
        self.callbacks = (*self.callbacks, callback)

        def unsubscribe() -> None:
            self.callbacks = tuple(known for known in self.callbacks if known is not callback)

        return unsubscribe

    def close(self) -> None:
        """Give this control back; the last user's call stops the watcher and takes the process row away."""
        with forks.registry_lock:
            self.users -= 1
            if self.users > 0:
                return
            for key in [key for key, control in _open.items() if control is self]:
                del _open[key]
        self._leave()

    release = close

    def require(self, *, closed: bool) -> None:
        """Close from now on where nobody can tell what is killed, if *closed*; it is never opened again."""
        if closed and not self.reader.require_control:
            self.reader.require_control = True
            self.refresh()

    def _leave(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            atexit.unregister(self._leave)
            watcher.stop()

    def locks(self) -> tuple[threading.RLock, ...]:
        """Return the locks that a fork waits for, in the order in which they are taken."""
        return (self._write_lock, self._reload_lock)

    def renew_after_fork(self) -> None:
        """Start anew in a forked child. Only marks are set here; its first step starts the watcher."""
        self._write_lock, self._reload_lock = threading.RLock(), threading.RLock()
        self.wake = threading.Event()
        self._restart = self._watcher is not None
        self._watcher = None
        self.seen = -1

    def _watch_in_child(self) -> None:
        try:
            self._watcher = Watcher(self)
            self._watcher.start()
            atexit.unregister(self._leave)
            atexit.register(self._leave)
        except RuntimeError as exc:  # the child is on its way out
            self._watcher = None
            self.isolation.note("control watcher", exc)
