"""The control word: 4096 bytes that every process maps, so that "did anything change?" costs 50 ns and no system call.

The file is really allocated when it is made, so that a full disk can't keep a global kill from being set. Its slots
are unsigned 64-bit numbers in the machine's order; whoever reads compares `view[GENERATION]` with what it last saw.
"""

from __future__ import annotations

import mmap
import os
import sys
from typing import TYPE_CHECKING

from deadstop.control.files import adopt, file_lock, write_all

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 4096
GENERATION = 0  # moves up with every change of the control state
GLOBAL = 1  # not zero: everything is killed, whatever the database says; holds the generation that set it
MAGIC = 2  # which file this is, and the version of its layout
THIS_FORMAT = int.from_bytes(b"deadstp1", "little")
_LARGEST = 2**63 - 1  # generations are stored in SQLite too, which knows signed numbers only
_PATIENCE = 0.5  # seconds: the lock is held for microseconds; whoever is stopped in there must not stop us


class ControlWord:
    """The mapped file. `view` is read directly by the hot path: `word.view[GENERATION]`.

    `mode` is "shared" (mapped, writable), "read-only" (mapped; others' changes are seen) or "private" (there is no
    usable file: a buffer of this process). A mapping that was replaced is only dropped, never closed: it lives as
    long as any thread still holds its view. What no process can guard against is another program truncating the
    live file to nothing: the kernel ends whoever reads the mapping before `remap` has grown the file again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mode = "private"
        self.view = memoryview(bytearray(SIZE)).cast("Q")
        self._identity = (0, 0)
        self._attach()

    def bump(self, at_least: int = 0) -> int:
        """Move the generation up, to *at_least* or more; return it, or 0 where the word can't be written."""
        return self._move(at_least, None)

    def kill_all(self) -> int:
        """Set the global word and bump: in force everywhere at once. Return the generation, 0 if not writable."""
        return self._move(0, 1)

    def lift_all(self) -> int:
        """Clear the global word and bump. Return the generation, 0 if not writable."""
        return self._move(0, 0)

    def coherent(self) -> bool:
        """Whether the mapping still is the file: not replaced, deleted, truncated, overwritten, nor out of date.

        The file is opened and read, not just asked for its status: that is also what makes a network file system
        look again.
        """
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            found = os.fstat(fd)
            if found.st_size < SIZE or (found.st_dev, found.st_ino) != self._identity:
                return False
            stored = int.from_bytes(os.pread(fd, 8, GENERATION * 8), sys.byteorder)
        except OSError:
            return False
        finally:
            os.close(fd)
        return self.mode != "private" and self.view[MAGIC] == THIS_FORMAT and self.view[GENERATION] >= stored

    def remap(self, *, generation: int = 0, everything: int = 0) -> None:
        """Map the file again, making it anew if need be. *generation* and *everything* are what was last seen.

        A file that is older than what was seen is brought beyond it, its global kill included: deleting the file
        lifts nothing.
        """
        self._attach()
        if self.view[GENERATION] <= generation:
            self._move(generation + 1, 1 if everything and not self.view[GLOBAL] else None)

    def _attach(self) -> None:
        for flags, access, mode in (
            (os.O_RDWR | os.O_CREAT, mmap.ACCESS_WRITE, "shared"),
            (os.O_RDONLY, mmap.ACCESS_READ, "read-only"),
        ):
            try:
                view, identity = self._map(flags, access)
            except (OSError, ValueError):
                continue
            self.view, self._identity, self.mode = view, identity, mode
            return
        if self.mode != "private":
            self.view, self._identity, self.mode = memoryview(bytearray(SIZE)).cast("Q"), (0, 0), "private"

    def _map(self, flags: int, access: int) -> tuple[memoryview, tuple[int, int]]:
        fd = os.open(self.path, flags | os.O_CLOEXEC, 0o600)
        try:
            if access == mmap.ACCESS_WRITE:
                _prepare(fd, self.path)
            found = os.fstat(fd)
            if found.st_size < SIZE:
                raise ValueError("too short")
            return memoryview(mmap.mmap(fd, SIZE, access=access)).cast("Q"), (found.st_dev, found.st_ino)
        finally:
            os.close(fd)  # the mapping keeps its own

    def _move(self, at_least: int, everything: int | None) -> int:
        if self.mode == "read-only":
            return 0
        with file_lock(self.path, _PATIENCE):  # not got in time: moving it is right all the same, it only goes up
            generation = min(max(self.view[GENERATION] + 1, at_least), _LARGEST)
            if everything is not None:
                self.view[GLOBAL] = generation if everything else 0
            self.view[GENERATION] = generation  # last: who sees the new generation sees the rest
        return generation if self.mode == "shared" else 0


def _prepare(fd: int, path: Path) -> None:
    """Allocate and mark the file if it is new, short or foreign. Raises OSError on a full disk."""
    if os.fstat(fd).st_size >= SIZE and _marked(fd):
        return
    with file_lock(path, _PATIENCE):
        size = os.fstat(fd).st_size
        if size < SIZE:
            _allocate(fd, size)
            adopt(fd, path.parent)
        if not _marked(fd):
            os.pwrite(fd, bytes(SIZE), 0)
            os.pwrite(fd, THIS_FORMAT.to_bytes(8, sys.byteorder), MAGIC * 8)


def _marked(fd: int) -> bool:
    return int.from_bytes(os.pread(fd, 8, MAGIC * 8), sys.byteorder) == THIS_FORMAT


def _allocate(fd: int, size: int) -> None:
    try:
        os.posix_fallocate(fd, 0, SIZE)
    except (OSError, AttributeError):  # a file system or a system without it: zeros do the same, or fail as they must
        os.lseek(fd, size, os.SEEK_SET)
        write_all(fd, bytes(SIZE - size))
