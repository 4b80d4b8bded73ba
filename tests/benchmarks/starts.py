"""What starting costs: the import, and the whole process of `deadstop kill`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import Row, fresh_home

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STARTS = 10
MS = 1e3


def rows() -> Iterator[Row]:
    """The minimum of ten starts each; those to be compared take turns."""
    bare, package, monitor = fastest(["-c", "pass"], ["-c", "import deadstop"], ["-c", "from deadstop import Monitor"])
    yield Row("`import deadstop`, more than bare Python", MS * (package - bare), "ms", 60)
    yield Row("`from deadstop import Monitor`, more than bare Python", MS * (monitor - bare), "ms", 60)
    with fresh_home() as home:
        arguments = ["kill", "benchmark", "--reason", "benchmark", "--no-wait", "--home", str(home)]
        killing, bare = fastest([*command(), *arguments], ["-c", "pass"])
    note = f"of which {MS * bare:.0f} ms are Python's own start"
    yield Row("`deadstop kill --no-wait`, the whole process", MS * killing, "ms", 120, note)


def command() -> Sequence[str]:
    """The installed command if there is one beside this Python, else the module."""
    script = Path(sys.executable).with_name("deadstop")
    return [str(script)] if script.exists() else ["-m", "deadstop"]


def fastest(*programs: Sequence[str]) -> list[float]:
    """Return the shortest wall time, in seconds, of this Python running each of *programs*."""
    times: list[list[float]] = [[] for _ in programs]
    for _ in range(STARTS):
        for program, taken in zip(programs, times, strict=True):
            start = time.perf_counter()
            subprocess.run([sys.executable, *program], check=True, stdout=subprocess.DEVNULL)
            taken.append(time.perf_counter() - start)
    return list(map(min, times))
