"""Two small ways with files: write one atomically, and hold a lock that no dead process can keep."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def write_atomic(path: Path, data: bytes, *, durable: bool) -> None:
    """Replace *path* by *data*: a reader sees the old or the new content, never half. Raises OSError.

    `durable` also waits for the disk (file and directory): the new content then survives a loss of power.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        try:
            write_all(fd, data)
            adopt(fd, path.parent)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    if durable:
        sync_directory(path.parent)


def write_all(fd: int, data: bytes) -> None:
    """Write all of *data*: a full disk answers with a short write first, and with an error only on the next one."""
    while data:
        data = data[os.write(fd, data) :]


def adopt(fd: int, directory: Path) -> None:
    """Give a file that root made to the owner of *directory*: `sudo deadstop kill` must not lock agents out."""
    if os.geteuid() == 0:
        owner = directory.stat()
        if (owner.st_uid, owner.st_gid) != (0, 0):
            os.fchown(fd, owner.st_uid, owner.st_gid)


def adopt_path(path: Path) -> None:
    """Make *path* private, and give it to the owner of its directory if root made it."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fchmod(fd, 0o600)
        adopt(fd, path.parent)
    finally:
        os.close(fd)


def make_directory(path: Path) -> None:
    """Make the directory *path*, private, owned as the one it is in. Raises OSError."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        adopt(fd, path.parent)
    finally:
        os.close(fd)


def sync_directory(directory: Path) -> None:
    """Wait until the names in *directory* are on the disk: a rename survives a loss of power only then."""
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def file_lock(path: Path, patience: float) -> Iterator[bool]:
    """Hold the lock on *path* inside the block; yields whether it was got within *patience* seconds. Never raises.

    The file is opened anew each time: a descriptor inherited over a fork would share its lock with the child.
    The kernel lets the lock go when its holder dies.
    """
    fd = _open_lock(path)
    if fd is None:
        yield False
        return
    try:
        yield _wait(fd, time.monotonic() + patience)
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)  # explicitly: a child forked meanwhile holds the descriptor too
        os.close(fd)


def _open_lock(path: Path) -> int | None:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:  # a read-only or full disk: nobody else can write there either
        return None
    with contextlib.suppress(OSError):
        adopt(fd, path.parent)
    return fd


def _wait(fd: int, deadline: float) -> bool:
    pause = 0.0002
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, 0.005)
        except OSError:  # a file system without locks
            return False
        else:
            return True
