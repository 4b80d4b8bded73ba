"""SQLite and fork: no process may inherit an open SQLite database.

A child that opens a database which its parent had open at the fork believes that it holds the parent's file locks.
It does not, so another process may delete the write-ahead log under it, and what the child commits is lost
(tests/core/storage/test_processes.py shows it). A lock inside SQLite that another thread held at the fork never opens
in the child. So before a fork we wait until none of our threads is inside SQLite, and close what is open; the parent
opens it again with its next write. If a thread stays inside for too long, its connections are kept referenced in the
child and never used or closed.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE = 1.0  # seconds that a fork waits for us: a batch takes 0.05 s, another process's lock may take longer


class Forked(Protocol):
    """What has to do with a fork. Both are called with no other thread inside `using_sqlite`, if all went well."""

    def before_fork(self) -> None:
        """Close SQLite connections."""

    def after_fork_in_child(self) -> None:
        """Forget what belongs to the parent: its events, threads, locks and connections."""


_members: WeakSet[Forked] = WeakSet()
_entry = threading.RLock()  # held during a fork, so that nobody comes in
_inside: set[object] = set()
_kept: list[object] = []
_hooked = False


def mind_forks(member: Forked) -> None:
    """Call *member* at every fork from now on, for as long as it lives."""
    global _hooked  # noqa: PLW0603 - hooks of this module can't be taken back, so they are set once
    with _entry:
        _members.add(member)
        if not _hooked and hasattr(os, "register_at_fork"):
            _hooked = True
            os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)


@contextlib.contextmanager
def using_sqlite() -> Iterator[None]:
    """Mark the block in which this thread is inside SQLite: a fork waits for its end."""
    token = object()
    with _entry:
        _inside.add(token)
    try:
        yield
    finally:
        _inside.discard(token)


def keep_unclosed(connection: object) -> None:
    """Keep *connection* for ever, even through the interpreter's last clean-up.

    Closing a connection may delete files by name, and by now these names may belong to another database.
    """
    if not _kept:
        import atexit

        atexit.register(_leak)
    _kept.append(connection)


def _leak() -> None:
    with contextlib.suppress(Exception):  # no ctypes in this build: then they are closed after all
        import ctypes

        for connection in _kept:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _before() -> None:
    _entry.acquire()
    deadline = time.monotonic() + _PATIENCE
    while _inside and time.monotonic() < deadline:
        time.sleep(0.001)
    if not _inside:
        for member in list(_members):
            with contextlib.suppress(Exception):  # a fork must not fail because of us
                member.before_fork()


def _in_parent() -> None:
    _entry.release()


def _in_child() -> None:
    global _entry, _inside  # noqa: PLW0603 - other threads' holds of them do not exist here
    _entry = threading.RLock()
    _inside = set()
    for member in list(_members):
        with contextlib.suppress(Exception):
            member.after_fork_in_child()
