"""Process rows: who is alive on this home, which generation each has seen, and what it says of its agents.

One small JSON file per process in `processes/`, replaced each second and at every new generation by the watcher thread.
A row is live if its process is: by pid, start time and boot for processes that we can see, by a heartbeat at most
5 seconds old for those of other machines and containers.
"""

from __future__ import annotations

import contextlib
import os
import time
import zlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from deadstop.control.actor import program
from deadstop.control.files import make_directory, write_all, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable

HEARTBEAT = 1.0  # seconds between two of them
_FOREIGN_LIVES = 5.0  # seconds
_REMEMBER_DEAD = 86_400.0  # seconds
_LARGEST_FACTS = 65_536  # bytes


class ProcessRow(msgspec.Struct, frozen=True):
    """One process on this home. Times are epoch seconds.

    `start` is the kernel's start time (ticks since boot), which tells a reused pid; `boot` and `namespace` say which
    machine and container the pid belongs to. `generation` is the newest it has seen. `facts` is what its monitors
    report: agents, sessions, states, last step, drops, isolated errors. `live` is decided by the reader.
    """

    pid: int
    start: int
    boot: str
    namespace: int
    host: str
    program: str
    started: float
    heartbeat: float
    generation: int
    facts: dict[str, Any] = {}
    live: bool = False

    @property
    def agents(self) -> list[str]:
        """The names of the agents it has reported."""
        agents = self.facts.get("agents", [])
        return [str(name) for name in agents] if isinstance(agents, (list, dict)) else []


class Beacon:
    """Writes the row of this process. Never raises; returns what went wrong."""

    def __init__(self, home: Path) -> None:
        self.pid = os.getpid()
        self._started = time.time()
        boot, namespace = _place()
        start = _start_of(self.pid) or 0
        self._identity = (start, boot, namespace)
        mark = f"{zlib.crc32(f'{boot}/{namespace}'.encode()):08x}"  # pid 1 is in every container
        self.path = home / "processes" / f"{self.pid}-{start}-{mark}.json"

    def write(self, generation: int, facts: dict[str, Any], now: float) -> OSError | None:
        """Write the row with heartbeat *now*. On a full disk the old file is overwritten where it is."""
        start, boot, namespace = self._identity
        row = ProcessRow(
            self.pid, start, boot, namespace, os.uname().nodename, program(), self._started, now, generation, facts
        )
        data = _encode(row)
        try:
            make_directory(self.path.parent)
            write_atomic(self.path, data, durable=False)
        except OSError as exc:
            return None if _overwrite(self.path, data) else exc
        return None

    def remove(self) -> None:
        """Take the row away: the process leaves in order."""
        if os.getpid() == self.pid:
            with contextlib.suppress(OSError):
                self.path.unlink()


def read_processes(home: Path, now: float | None = None) -> list[ProcessRow]:
    """Return the rows of all processes on *home*, by start. Rows of the long dead are deleted. Never raises."""
    now = time.time() if now is None else now
    rows: list[ProcessRow] = []
    try:
        files = [path for path in (home / "processes").iterdir() if path.suffix == ".json" and path.name[0] != "."]
    except OSError:
        return rows
    for path in files:
        try:
            row = msgspec.json.decode(path.read_bytes(), type=ProcessRow)
        except (OSError, ValueError):  # gone since, or caught while it was overwritten on a full disk
            continue
        live = is_live(row, now)
        if not live and abs(now - row.heartbeat) > _REMEMBER_DEAD:
            with contextlib.suppress(OSError):
                path.unlink()
            continue
        rows.append(msgspec.structs.replace(row, live=live))
    return sorted(rows, key=lambda row: (row.started, row.pid))


def is_live(row: ProcessRow, now: float) -> bool:
    """Whether the process of *row* runs: known where we can see its pid, else concluded from its heartbeat."""
    if (row.boot, row.namespace) == _place() and row.start:
        return _start_of(row.pid) == row.start
    return abs(now - row.heartbeat) <= _FOREIGN_LIVES


def wait_seen(rows: Callable[[], list[ProcessRow]], generation: int, timeout: float) -> tuple[int, int]:
    """Wait at most *timeout* seconds; return how many live processes have seen *generation*, and how many live."""
    deadline = time.monotonic() + timeout
    while True:
        live = [row for row in rows() if row.live]
        seen = sum(row.generation >= generation for row in live)
        if seen == len(live) or time.monotonic() >= deadline:
            return seen, len(live)
        time.sleep(0.005)


def gather(facts: Callable[[], dict[str, Any]] | None) -> tuple[dict[str, Any], Exception | None]:
    """Ask *facts* what the row is to say; whatever it raises is returned, not raised."""
    if facts is None:
        return {}, None
    try:
        return dict(facts()), None
    except Exception as exc:
        return {}, exc


def _encode(row: ProcessRow) -> bytes:
    try:
        data = msgspec.json.encode(row, enc_hook=str)
        if len(data) <= _LARGEST_FACTS:
            return data
        facts: dict[str, Any] = {"agents": [name[:200] for name in row.agents[:200]], "cut": len(data)}
    except Exception as exc:
        facts = {"unprintable": type(exc).__name__}
    return msgspec.json.encode(msgspec.structs.replace(row, facts=facts))


def _overwrite(path: Path, data: bytes) -> bool:
    """Write *data* over the file at *path*, within the blocks that it has: works where nothing can be allocated."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            write_all(fd, data.ljust(size))  # JSON may end in blanks
        finally:
            os.close(fd)
    except OSError:
        return False
    return True


@lru_cache(maxsize=1)
def _place() -> tuple[str, int]:
    """Boot id and pid namespace of this process; empty where the system has none."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return boot, Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return os.uname().nodename, 0


def _start_of(pid: int) -> int | None:
    """Return when process *pid* started, in ticks since boot; None if there is none, or it is a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = text[text.rfind(b")") + 2 :].split()  # the name before it may hold blanks and brackets
    return None if fields[0] in b"ZX" else int(fields[19])
