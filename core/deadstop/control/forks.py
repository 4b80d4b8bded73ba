"""What happens to open controls when a process forks.

Database connections live for one operation, so none is inherited. What could be: locks held by threads that the child
doesn't have (SQLite's own among them), the watcher thread, the process row. So the parent lets our operations end
before it forks, and the child gets new locks, and a watcher and a row of its own at its first step.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from deadstop.control.local import LocalControl

_PATIENCE = 1.0  # seconds: a fork is delayed by a slow disk, never stopped by it

alive: WeakSet[LocalControl] = WeakSet()
registry_lock = threading.Lock()
_taken: list[threading.Lock | threading.RLock] = []


def _before() -> None:
    if registry_lock.acquire(timeout=_PATIENCE):
        _taken.append(registry_lock)
    for control in list(alive):
        _taken.extend(lock for lock in control.locks() if lock.acquire(timeout=_PATIENCE))


def _in_parent() -> None:
    while _taken:
        _taken.pop().release()


def _in_child() -> None:
    global registry_lock  # noqa: PLW0603 - whoever held it is not in this process
    registry_lock = threading.Lock()
    _taken.clear()
    for control in list(alive):
        control.renew_after_fork()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
