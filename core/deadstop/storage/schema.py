"""The SQLite files of the event store: their tables, and how they are made and opened."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Final

from deadstop.storage import StoreError

if TYPE_CHECKING:
    from pathlib import Path

VERSION: Final = 1
"""`PRAGMA user_version` of the files that this code writes."""
BUSY_TIMEOUT: Final = 5.0
"""Seconds that a writer waits for another process."""

COLUMNS: Final = (
    "timestamp", "agent", "event_type", "data", "session_id", "user", "cost_usd", "latency_ms", "tags",
    "id", "run_id", "step_id", "parent_id", "kind", "name", "agents",
)  # fmt: skip
"""The columns of `events` after `seq`, in the order of `AgentEvent`'s fields."""

HOUR_COLUMNS: Final = (
    "agent", "hour", "event_type", "kind", "name",
    "count", "errors", "cost_usd", "input_tokens", "output_tokens", "latency_ms",
)  # fmt: skip
"""The columns of `hours`: the key (`hour` in epoch seconds), then the sums."""

# seq never falls, not even after a clear: it is what `tail` continues from. The last index is small, because most
# events are actions, and makes rare types (kills, denials) quick to find. `agents` is empty unless the path is longer
# than the agent itself. `hours` are sums, so that reports need not read events.
_SCHEMA = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, timestamp REAL NOT NULL, agent TEXT NOT NULL, event_type TEXT NOT NULL,
    data TEXT NOT NULL, session_id TEXT, user TEXT, cost_usd REAL, latency_ms REAL, tags TEXT NOT NULL,
    id TEXT, run_id TEXT, step_id TEXT, parent_id TEXT, kind TEXT, name TEXT, agents TEXT NOT NULL
);
CREATE UNIQUE INDEX events_id ON events (id);
CREATE INDEX events_time ON events (timestamp);
CREATE INDEX events_agent ON events (agent, timestamp);
CREATE INDEX events_session ON events (session_id, timestamp) WHERE session_id IS NOT NULL;
CREATE INDEX events_nested ON events (timestamp) WHERE agents <> '';
CREATE INDEX events_rare ON events (event_type, timestamp) WHERE event_type <> 'action';
CREATE TABLE hours (
    agent TEXT NOT NULL, hour INTEGER NOT NULL, event_type TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    count INTEGER NOT NULL, errors INTEGER NOT NULL, cost_usd REAL NOT NULL, input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL, latency_ms REAL NOT NULL,
    PRIMARY KEY (agent, hour, event_type, kind, name)
) WITHOUT ROWID;
"""


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open the day file at *path*, made first if there is none. Raises StoreError if a newer deadstop wrote it."""
    if not path.exists():
        _create(path)
    connection = _connect(path, "rw")
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {1 << 24}")
        version = version_of(connection)
        if version == 0:
            raise sqlite3.DatabaseError(f"{path.name} is not a database of deadstop")
        if version != VERSION:
            raise StoreError(
                f"{path} has schema {version}, this deadstop writes {VERSION}: upgrade deadstop, or move the file away"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open the day file at *path* for reading; it is neither made nor changed."""
    connection = _connect(path, "ro")
    try:
        version_of(connection)
    except sqlite3.Error as exc:
        connection.close()
        if "unable to open" not in str(exc) or not path.exists():
            raise
        connection = _connect(path, "ro&immutable=1")  # a read-only directory: WAL mode can't make its files there
    return connection


def version_of(connection: sqlite3.Connection) -> int:
    """Return the schema version."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.as_uri()}?mode={mode}", uri=True, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
    )


def _create(path: Path) -> None:
    """Make the file complete under another name and then give it its own, so that nobody meets it half made.

    It must not be opened by anything but SQLite once others may have it open: closing any descriptor of a file drops
    all the locks that this process holds on it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.new")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with contextlib.closing(_connect(draft, "rw")) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT")
        _publish(draft, path)
    finally:
        for leftover in (draft, *side_files(draft)):
            leftover.unlink(missing_ok=True)


def _publish(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return  # another process was first
    except OSError:  # no hard links here
        if not path.exists():
            draft.rename(path)


def side_files(path: Path) -> tuple[Path, Path]:
    """Return the write-ahead log and the shared index that SQLite keeps beside *path*."""
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
