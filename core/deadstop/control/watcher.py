"""The watcher: one daemon thread per home and process that makes good what an event could have missed.

Each look compares the word, as a step would, so that idle processes too have seen a kill; each second it also checks
that the word still is the file, whether the database moved without the word, and writes the process row.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from deadstop.control.processes import HEARTBEAT, Beacon, gather
from deadstop.control.word import GLOBAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadstop.control.local import LocalControl
    from deadstop.control.table import ControlTable

_SOON = 0.05  # seconds: how soon to look again where the database was locked


class Watcher:
    """Watches for *control*. `start` returns once the process row is written; `stop` takes it away."""

    def __init__(self, control: LocalControl) -> None:
        self._control = control
        self._beacon = Beacon(control.home)
        self._stopping = threading.Event()
        self._told: ControlTable = control.table
        self._written = -1
        self._next = 0.0
        self._thread = threading.Thread(target=self._run, name="deadstop-control", daemon=True)

    def start(self) -> None:
        """Start the thread. Raises RuntimeError where the interpreter is shutting down."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread (waits at most 1 second) and take the row away."""
        self._stopping.set()
        self._control.wake.set()
        if self._thread.is_alive() and not self.is_current():
            self._thread.join(1.0)
        self._beacon.remove()

    def is_current(self) -> bool:
        """Whether this is the watcher's own thread."""
        return self._thread is threading.current_thread()

    def write_row(self) -> None:
        """Write the process row now."""
        control = self._control
        if self._stopping.is_set():
            return
        generation = control.generation
        facts, problem = gather(control.facts)
        failure = self._beacon.write(generation, facts, time.time())
        if problem is not None:
            control.isolation.note("facts", problem)
        if failure is not None:
            control.isolation.note("process row", failure)
        self._written = generation

    def _run(self) -> None:
        control = self._control
        while not self._stopping.is_set():
            self._guard(self.look)
            control.wake.wait(min(control.interval, _SOON) if control.reader.stale else control.interval)
            control.wake.clear()

    def look(self) -> None:
        """Look once: what moved is reloaded and told; once a second everything is checked."""
        control = self._control
        control.current()
        if control.reader.stale or control.view[GLOBAL] != control.everything:
            control.refresh()
        self._tell()
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + HEARTBEAT
            self._guard(control.check)
            self._tell()
            self._guard(self.write_row)
        elif control.generation != self._written:
            self._guard(self.write_row)

    def _tell(self) -> None:
        control = self._control
        table = control.table
        if table is not self._told:
            self._told = table
            for callback in control.callbacks:
                try:
                    callback(table)
                except Exception as exc:
                    control.isolation.note("control callback", exc)

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as exc:  # this thread is what notices everything else: it must not end
            self._control.isolation.note("control watcher", exc)
