"""The directory of the day files: names, listing, setting aside what is corrupt, deleting what is old."""

from __future__ import annotations

import contextlib
import os
import re
from itertools import count
from typing import TYPE_CHECKING, Final

from deadstop.storage.schema import side_files
from deadstop.storage.times import day_name, day_number

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Identity = tuple[int, int]
"""Device and inode: which file it is, whatever its name."""

_DAY_FILE: Final = re.compile(r"\.?events-(?P<day>\d{8})\.db(?P<rest>.*)", re.ASCII)


class DayFiles:
    """The files `events-YYYYMMDD.db` in one directory, by UTC day counted from 1970-01-01."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, day: int) -> Path:
        """Return where the events of *day* are."""
        return self.directory / f"events-{day_name(day)}.db"

    def newest_first(self) -> list[int]:
        """Return the days that have a file."""
        return sorted((day for day, rest, _ in self._all() if not rest), reverse=True)

    def set_aside(self, day: int, seen: Identity | None) -> None:
        """Rename the file of *day* to `.corrupt-N`, unless another process has done so since it was *seen*."""
        path = self.path(day)
        with _locked(self.directory):
            if seen is None or identity(path) != seen:
                return
            aside = next(name for n in count(1) if not (name := path.with_name(f"{path.name}.corrupt-{n}")).exists())
            for old, new in zip((*side_files(path), path), (*side_files(aside), aside), strict=True):
                with contextlib.suppress(FileNotFoundError):
                    old.rename(new)

    def remove(self, day: int) -> None:
        """Delete the file of *day*; the file itself first, so that nobody can open it any more."""
        path = self.path(day)
        for name in (path, *side_files(path)):
            name.unlink(missing_ok=True)

    def remove_leftovers(self, before: int) -> None:
        """Delete what days before *before* have left besides their files: corrupt ones, logs, unfinished drafts."""
        for day, rest, path in list(self._all()):
            if rest and day < before:
                path.unlink(missing_ok=True)

    def _all(self) -> Iterator[tuple[int, str, Path]]:
        try:
            paths = list(self.directory.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return
        for path in paths:
            if (found := _DAY_FILE.fullmatch(path.name)) is None:
                continue
            with contextlib.suppress(ValueError):  # "events-20269999.db" is somebody else's
                rest = found["rest"] or ("draft" if path.name.startswith(".") else "")
                yield day_number(found["day"]), rest, path


def identity(path: Path) -> Identity | None:
    """Return which file is at *path* now; None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock between processes, where the platform has one."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
