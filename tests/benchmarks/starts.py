"""What starting costs: the import, and the whole process of `deadstop kill`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from measuring import Row, fresh_home

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STARTS = 10
MS = 1e3


class Start(NamedTuple):
    """One start of an interpreter, in seconds: the time that passed, and the CPU of all its threads."""

    wall: float
    cpu: float


def rows() -> Iterator[Row]:
    """The minimum of ten starts each; those to be compared take turns."""
    bare, package, monitor = fastest(["-c", "pass"], ["-c", "import deadstop"], ["-c", "from deadstop import Monitor"])
    yield _import_row("import deadstop", package, bare)
    yield _import_row("from deadstop import Monitor", monitor, bare)
    with fresh_home() as home:
        arguments = ["kill", "benchmark", "--reason", "benchmark", "--no-wait", "--home", str(home)]
        bare, killing = fastest(["-c", "pass"], ["-m", "deadstop", *arguments])
    note = f"CPU {MS * killing.cpu:.0f} ms; Python's own start is {MS * bare.wall:.0f} ms of it"
    yield Row("`deadstop kill --no-wait`, the whole process", MS * killing.wall, "ms", 120, note)


def _import_row(statement: str, with_it: Start, bare: Start) -> Row:
    note = f"CPU {MS * (with_it.cpu - bare.cpu):.0f} ms"
    return Row(f"`{statement}`, more than bare Python", MS * (with_it.wall - bare.wall), "ms", 60, note)


def fastest(*programs: Sequence[str]) -> list[Start]:
    """Return the shortest wall time and the least CPU time of this Python running each of *programs*."""
    starts: list[list[Start]] = [[] for _ in programs]
    for _ in range(STARTS):
        for program, taken in zip(programs, starts, strict=True):
            taken.append(start(program))
    return [Start(min(one.wall for one in taken), min(one.cpu for one in taken)) for taken in starts]


def start(program: Sequence[str]) -> Start:
    """Run this Python with the arguments *program*, to its end."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, *program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, program
    return Start(wall, used.ru_utime + used.ru_stime)
