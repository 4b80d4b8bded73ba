"""What `doctor` looks at without changing anything: files, rows, plugins."""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from deadstop.cli.text import ago, plural
from deadstop.control.home import ensure_home
from deadstop.control.processes import read_processes
from deadstop.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from deadstop.control.processes import ProcessRow

_STALE = 5.0  # seconds without a heartbeat
_LOW = 10 * 2**20  # bytes of free disk: below that it is worth a look


class Check(NamedTuple):
    """One finding: `state` is "fine", "look" (works, but somebody should look) or "wrong"."""

    name: str
    state: str
    found: str


def check_plugins() -> Check:
    """Whether every installed plugin can be loaded, and they fit together."""
    from deadstop.cli.plugins import listing

    try:
        plugins, problems = listing()
    except Exception as exc:  # whatever a stranger's plugin raises is the finding
        return Check("plugins", "wrong", f"{type(exc).__name__}: {exc}")
    problems += [f"{plugin.name}: {plugin.error}" for plugin in plugins if plugin.status == "failed"]
    if problems:
        return Check("plugins", "wrong", "; ".join(problems))
    return Check("plugins", "fine", f"{plural(len(plugins), 'plugin')}, all loaded or blocked on purpose")


def check_home(home: Path) -> Check:
    """Whether the home is there, ours alone, and can be written."""
    try:
        if not ensure_home(home):
            return Check("home", "wrong", "it can't be made")
        probe = home / f".doctor-{os.getpid()}"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
        found = os.statvfs(home)
    except (OSError, ConfigError) as exc:
        return Check("home", "wrong", f"it can't be written: {exc}")
    mode = stat.S_IMODE(home.stat().st_mode)
    if mode & 0o077:
        return Check("home", "look", f"others may enter it (mode {mode:04o}); 0700 is right")
    if (free := found.f_bavail * found.f_frsize) < _LOW:
        return Check("home", "look", f"only {free / 2**20:.1f} MiB of disk are left")
    return Check("home", "fine", "writable, nobody else's")


def check_word(home: Path) -> Check:
    """Whether the control word is whole, and the very file that live processes look at."""
    from deadstop.control.word import MAGIC, SIZE, THIS_FORMAT

    live = [row for row in read_processes(home) if row.live]
    path = home / "control.gen"
    try:
        content = path.read_bytes()
        inode = path.stat().st_ino
    except FileNotFoundError:
        state = "wrong" if live else "fine"
        return Check("control word", state, "it was deleted under live processes" if live else "not made yet")
    except OSError as exc:
        return Check("control word", "wrong", str(exc))
    if len(content) < SIZE or memoryview(content[:SIZE]).cast("Q")[MAGIC] != THIS_FORMAT:
        return Check("control word", "wrong", "the file is damaged: too short, or not deadstop's")
    if astray := [str(row.pid) for row in live if inode not in (_mapped(row, path) or {inode})]:
        return Check("control word", "wrong", f"it was replaced under process {', '.join(astray)}: kills reach it late")
    return Check("control word", "fine", f"whole, the one that live processes look at: {len(live)}")


def _mapped(row: ProcessRow, path: Path) -> set[int] | None:
    """Return the inodes that the process has mapped under the name of *path*; None where nobody can tell."""
    name = os.path.realpath(path)
    try:
        with open(f"/proc/{row.pid}/maps", encoding="utf-8", errors="replace") as maps:  # noqa: PTH123
            fields = [line.split(maxsplit=5) for line in maps]
    except OSError:  # somebody else's process, or no Linux
        return None
    inodes = {int(field[4]) for field in fields if len(field) == 6 and field[5].strip() in {name, f"{name} (deleted)"}}
    return inodes or None


def check_control_state(home: Path) -> Check:
    """Whether what is killed can be read, from the database and from its mirror."""
    from deadstop.control.database import read_state
    from deadstop.control.mirror import Unreadable

    database, mirror = home / "control.db", home / "kills.json"
    if not database.exists() and not mirror.exists():
        return Check("control state", "fine", "not made yet")
    try:
        state = read_state(database)
    except Unreadable as exc:
        return Check("control state", "wrong", f"{exc}; kills come from kills.json")
    if broken := damage(database):
        return Check("control state", "wrong", f"control.db: {broken}")
    kills = {row.key for row in state.rows if row.action == "kill"}
    if (found := _mirrored(mirror, kills)) is not None:
        return found
    if state.lost:
        return Check("control state", "look", f"it was lost and made anew {ago(state.lost)} ago: kills may be missing")
    paused = len(state.rows) - len(kills)
    return Check("control state", "fine", f"readable: {plural(len(kills), 'kill')}, {plural(paused, 'pause')}")


def _mirrored(mirror: Path, kills: set[tuple[str, str, str, str]]) -> Check | None:
    """Return what is wrong with the mirror of *kills*, None if nothing."""
    from deadstop.control.mirror import Unreadable, read_mirror

    try:
        if {row.key for row in read_mirror(mirror).kills} == kills:
            return None
    except Unreadable as exc:
        return Check("control state", "wrong" if kills else "look", f"{exc}; the next change writes it again")
    return Check("control state", "wrong", "kills.json and control.db do not agree on what is killed")


def check_processes(home: Path) -> Check:
    """Whether live processes keep telling of themselves, and lose nothing."""
    live = [row for row in read_processes(home) if row.live]
    if stale := [str(row.pid) for row in live if time.time() - row.heartbeat > _STALE]:
        return Check("processes", "wrong", f"no heartbeat from process {', '.join(stale)}: stopped, or stuck")
    troubled = [f"{row.pid} ({trouble})" for row in live if (trouble := _trouble(row))]
    if troubled:
        return Check("processes", "look", f"see deadstop status: process {', '.join(troubled)}")
    return Check("processes", "fine", f"{len(live)} alive, nothing lost, no isolated failure")


def _trouble(row: ProcessRow) -> str:
    dropped, isolated = row.facts.get("events_dropped"), row.facts.get("isolated")
    told = [f"{dropped} events dropped"] if dropped else []
    return ", ".join([*told, *(map(str, isolated) if isinstance(isolated, dict) else ())])


def check_events(home: Path) -> Check:
    """Whether every file of the event store is intact."""
    directory = home / "events"
    try:
        files = sorted(directory.glob("events-*.db")) if directory.is_dir() else []
        aside = [path.name for path in directory.glob("events-*.db.corrupt-*")] if directory.is_dir() else []
    except OSError as exc:
        return Check("event store", "wrong", str(exc))
    broken = [f"{path.name}: {found}" for path in files if (found := damage(path))]
    if broken:
        return Check("event store", "wrong", "; ".join(broken))
    if aside:
        return Check("event store", "look", f"set aside as corrupt: {', '.join(sorted(aside)[:3])}")
    return Check("event store", "fine", f"{plural(len(files), 'day')}, intact")


def damage(path: Path) -> str:
    """Return what SQLite finds wrong with the database at *path*, "" if nothing."""
    import contextlib
    import sqlite3

    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5.0)) as database:
            found = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as exc:
        return str(exc)
    return "" if found == "ok" else found
