"""How the benchmarks measure and what a row of the table is. No row decides whether a test passes."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, NamedTuple

from deadstop import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SHARED_MEMORY = Path("/dev/shm")
RAM = frozenset({"tmpfs", "ramfs"})


class Row(NamedTuple):
    """One line of the table: *value* as it was measured, in *unit*; None: it could not be.

    *bar* is what it may be at most (with *at_least*: has to be at least), None where nothing is promised.
    """

    what: str
    value: float | None
    unit: str
    bar: float | None = None
    note: str = ""
    at_least: bool = False

    @property
    def promise(self) -> str:
        """The bar, for a reader."""
        return "" if self.bar is None else f"{'>=' if self.at_least else '<='} {self.bar:g} {self.unit}"

    @property
    def held(self) -> str:
        """Whether the bar held, for a reader."""
        if self.bar is None or self.value is None:
            return ""
        held = self.value >= self.bar if self.at_least else self.value <= self.bar
        return "yes" if held else "**no**"


def best(loop: Callable[[int], object], times: int, *, rounds: int = 5, between: Callable[[], object] = bool) -> float:
    """Return the CPU seconds of this thread for one of *times* repetitions in `loop(times)`: the best of *rounds*.

    *between* runs before each round, unmeasured. The garbage collector stays on, as in a program.
    """
    measured = []
    for _ in range(rounds):
        between()
        start = time.thread_time()
        loop(times)
        measured.append((time.thread_time() - start) / times)
    return min(measured)


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, the 95th and the 99th percentile of *values*."""
    cuts = quantiles(values, n=100, method="inclusive")
    return median(values), cuts[94], cuts[98]


@contextmanager
def fresh_home(*, on_disk: bool = False) -> Iterator[Path]:
    """A new home, in memory where there is a tmpfs, or on a disk."""
    where = disk() if on_disk else SHARED_MEMORY if SHARED_MEMORY.is_dir() else Path(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(dir=where, prefix="deadstop-benchmark-", ignore_cleanup_errors=True) as path:
        yield Path(path) / "home"


@contextmanager
def fresh_monitor(*plugins: object) -> Iterator[Monitor]:
    """A Monitor with all judges and the default store, on a new home, with *plugins* but nothing else installed."""
    with fresh_home() as home, Monitor(home=home, plugins=plugins, discover=False) as monitor:
        yield monitor


def disk() -> Path:
    """A directory for temporary files that is no tmpfs, as far as there is one."""
    places = [Path(tempfile.gettempdir()), Path("/var/tmp"), Path.cwd()]
    usable = [place for place in places if place.is_dir() and os.access(place, os.W_OK)]
    return next((place for place in usable if file_system(place) not in RAM), usable[-1])


def file_system(path: Path) -> str:
    """The type of the file system that holds *path*, for instance "ext4"."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    holding = [(point, kind) for point, kind in mounts if path.resolve().is_relative_to(point)]
    return max(holding, key=lambda mount: len(mount[0]))[1]
