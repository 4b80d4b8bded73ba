"""The end of a process: what is still in the queue gets two seconds to be stored."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Protocol
from weakref import WeakSet

_DEADLINE = 2.0  # seconds for all writers together


class Finishing(Protocol):
    """What has something to do before the process ends."""

    def finish_at_exit(self, timeout: float) -> None:
        """Store what is pending, within *timeout* seconds, stop the thread and close the store."""


_members: WeakSet[Finishing] = WeakSet()
_at_exit = False
_finalizer_of: int | None = None


def mind_exit(member: Finishing) -> None:
    """Call *member* when this process ends: at exit, or when a `multiprocessing` child ends, which has no atexit."""
    global _at_exit, _finalizer_of  # noqa: PLW0603 - once per process, as the hooks themselves
    _members.add(member)
    if not _at_exit:
        import atexit

        _at_exit = True  # a forked child inherits both the flag and the hook
        atexit.register(_finish_all)
    child = sys.modules.get("multiprocessing.process")
    if child is not None and child.parent_process() is not None and _finalizer_of != os.getpid():
        from multiprocessing.util import Finalize

        _finalizer_of = os.getpid()
        Finalize(None, _finish_all, exitpriority=0)


def is_exiting() -> bool:
    """Whether the program has ended and its exit hooks run."""
    return not threading.main_thread().is_alive()


def _finish_all() -> None:
    deadline = time.monotonic() + _DEADLINE
    for member in list(_members):
        member.finish_at_exit(max(0.1, deadline - time.monotonic()))
