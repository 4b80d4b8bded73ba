"""The part of `doctor` that tries: a process of its own runs guarded steps and is killed the way everybody is."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from deadstop.cli.doctor_checks import Check
from deadstop.cli.orders import Order, carry_out
from deadstop.cli.targets import Target
from deadstop.cli.text import plural
from deadstop.control.processes import read_processes, wait_seen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START = 20.0  # seconds that the process gets to start
_STOP = 5.0  # seconds that it gets to stop
_SLOW = 1000.0  # milliseconds from a kill to the stop of steps that take 2


def check_kill(home: Path) -> tuple[Check, int]:
    """Kill a child that runs steps on *home*; return the finding, and the generation of the kill (0: none)."""
    agent = f"deadstop-doctor-{os.getpid()}"
    target = Target("agent", agent)
    with _child(home, agent) as child:
        if (ready := _line(child, _START)) is None or "ready" not in ready:
            return Check("kill", "wrong", f"a process with a Monitor on this home does not start: {_last(child)}"), 0
        kill = Order("kill", "killed", "set", "kill", target, reason="deadstop doctor tries out a kill")
        try:
            outcome = carry_out(kill, home=str(home), wait=False)[0]
            stopped = _line(child, _STOP)
        finally:
            carry_out(Order("revive", "revived", "clear", "kill", target), home=str(home), wait=False)
    if not outcome.row.durable:
        return Check("kill", "wrong", "a kill can't be written here"), outcome.generation
    if stopped is None or "stopped_at" not in stopped:
        return Check("kill", "wrong", f"the killed process went on for {_STOP:.0f} s"), outcome.generation
    ms = max(0.0, (float(stopped["stopped_at"]) - outcome.row.at) * 1000)
    if not stopped["stored"]:
        return Check("kill", "wrong", f"stopped after {ms:.1f} ms, but no event of it was stored"), outcome.generation
    return Check("kill", "look" if ms > _SLOW else "fine", f"stopped {ms:.1f} ms after the kill"), outcome.generation


def check_seen(home: Path, generation: int) -> Check:
    """Whether every live process has seen the kill of *generation*."""
    seen, live = wait_seen(lambda: read_processes(home), generation, 2.0)
    if seen == live:
        return Check("reach", "fine", f"seen by {seen} of {plural(live, 'live process', 'live processes')}")
    blind = [str(row.pid) for row in read_processes(home) if row.live and row.generation < generation]
    return Check("reach", "wrong", f"process {', '.join(blind)} did not see a kill within 2 s: stopped, or stuck")


@contextlib.contextmanager
def _child(home: Path, agent: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "deadstop.cli.doctor_child", str(home), agent]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603 - ourselves
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def _line(child: subprocess.Popen[str], timeout: float) -> dict[str, Any] | None:
    """Return the next line that *child* prints, read as JSON; None if none comes in time."""
    alarm = threading.Timer(timeout, child.kill)
    alarm.start()
    try:
        line = child.stdout.readline() if child.stdout is not None else ""
        found: dict[str, Any] | None = json.loads(line) if line.strip() else None
    finally:
        alarm.cancel()
    return found


def _last(child: subprocess.Popen[str]) -> str:
    child.kill()
    lines = child.communicate()[1].strip().splitlines()
    return lines[-1] if lines else "it says nothing"
