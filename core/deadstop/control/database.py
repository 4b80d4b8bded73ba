"""`control.db`: the truth about kills and pauses, and the history of who decided what.

Every connection lives for one operation only. So a fork never inherits one that could be used or closed in the child,
a replaced or deleted file is seen at once, and nothing is held while nothing happens. Opening costs 0.2 ms.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from deadstop.control.files import adopt_path, sync_directory
from deadstop.control.mirror import State, Unreadable
from deadstop.control.table import Row

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
SCHEMA_VERSION = 1
_COLUMNS = "action, scope, name, reason, actor, at, until, policy, generation"  # in the order of Row's fields
_READ_PATIENCE = 0.25  # seconds: readers may be agents, and their watcher tries again
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), generation INTEGER NOT NULL, lost REAL NOT NULL);
CREATE TABLE controls (
    action TEXT NOT NULL, scope TEXT NOT NULL, name TEXT NOT NULL, reason TEXT NOT NULL, actor TEXT NOT NULL,
    at REAL NOT NULL, until REAL, policy TEXT NOT NULL, generation INTEGER NOT NULL,
    PRIMARY KEY (action, scope, name, policy)
) WITHOUT ROWID;
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY, verb TEXT NOT NULL, at REAL NOT NULL, action TEXT NOT NULL, scope TEXT NOT NULL,
    name TEXT NOT NULL, policy TEXT, reason TEXT NOT NULL, actor TEXT NOT NULL, until REAL, generation INTEGER NOT NULL
);
PRAGMA user_version = {SCHEMA_VERSION};
"""


class NotWritten(Exception):  # noqa: N818 - the caller decides what it means; never leaves the control plane
    """The database could not be written. `busy`: it is only locked. `broken`: it has to be made anew."""

    def __init__(self, why: str, *, busy: bool = False, broken: bool = False) -> None:
        super().__init__(why)
        self.busy = busy
        self.broken = broken


def read_state(path: Path) -> State:
    """Return what the database at *path* says. Raises Unreadable, also where there is none."""
    state, complete = _reading(path, _snapshot)
    return state._replace(complete=complete)


def read_history(path: Path, columns: str, limit: int) -> list[tuple[Any, ...]]:
    """Return the *columns* of the newest *limit* decisions, newest first. Raises Unreadable."""
    query = f"SELECT {columns} FROM decisions ORDER BY id DESC LIMIT ?"  # noqa: S608 - our own constant
    return _reading(path, lambda db: db.execute(query, (limit,)).fetchall())[0]


def signature(path: Path) -> tuple[object, ...]:
    """Return what differs once the database at *path* was changed or replaced: 5 us, nothing is opened."""
    return (status(path), status(_beside(path, "-wal")))


@contextlib.contextmanager
def writing(path: Path, patience: float) -> Iterator[sqlite3.Connection]:
    """Open *path* for one change: a transaction is begun; the block has to commit. Raises NotWritten.

    Waits *patience* seconds for other writers. Whatever was not committed is rolled back.
    """
    import sqlite3

    db = None
    try:
        if not path.exists():  # connect would make an empty one, which another process could take for ours
            raise NotWritten("there is no control.db", broken=True)
        db = _connect(path, "rw", patience)
        _check_version(db)
        db.execute("PRAGMA synchronous = FULL")
        db.execute("BEGIN IMMEDIATE")
        yield db
    except sqlite3.Error as exc:
        raise NotWritten(f"control.db: {exc}", busy=_is_busy(exc), broken=_is_broken(exc)) from exc
    except OSError as exc:
        raise NotWritten(f"control.db: {exc}") from exc
    finally:
        if db is not None:
            with contextlib.suppress(sqlite3.Error):
                db.close()


def create(path: Path, state: State) -> None:
    """Make the database with *state* in it, setting a broken one at *path* aside. Raises NotWritten.

    Only ever called while holding the writers' lock. It appears whole: it is built beside and moved into place.
    """
    import sqlite3

    draft = path.with_name(".control.new")
    try:
        _remove(draft)
        with contextlib.closing(_connect(draft, "rwc", 1.0)) as db:
            db.execute("PRAGMA synchronous = FULL")
            db.executescript(_SCHEMA)
            db.execute("INSERT INTO state VALUES (1, ?, ?)", (state.generation, state.lost))
            insert_rows(db, state.rows)
            db.execute("COMMIT")
            db.execute("PRAGMA journal_mode = WAL")
        adopt_path(draft)
        _set_aside(path)
        draft.replace(path)
        sync_directory(path.parent)
    except (sqlite3.Error, OSError) as exc:
        with contextlib.suppress(OSError):
            _remove(draft)
        raise NotWritten(f"control.db: {exc}") from exc


def insert_rows(db: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Write *rows*, each in place of the one with its key."""
    places = ", ".join("?" for _ in _COLUMNS.split(","))
    sql = f"INSERT OR REPLACE INTO controls ({_COLUMNS}) VALUES ({places})"  # noqa: S608
    db.executemany(
        sql,
        [(r.action, r.scope, r.name, r.reason, r.actor, r.at, r.until, r.policy, r.generation) for r in rows],
    )


def state_within(db: sqlite3.Connection) -> State:
    """Return the state as the transaction of *db* sees it. Raises sqlite3.DatabaseError."""
    import sqlite3

    head = db.execute("SELECT generation, lost FROM state").fetchone()
    if head is None:
        raise sqlite3.DatabaseError("malformed: it has no state")
    lines = db.execute(f"SELECT {_COLUMNS} FROM controls").fetchall()  # noqa: S608
    try:
        return State(int(head[0]), tuple(_row(line) for line in lines), float(head[1]))
    except (TypeError, ValueError) as exc:
        raise sqlite3.DatabaseError(f"malformed: {exc}") from exc


def _row(line: tuple[Any, ...]) -> Row:
    action, scope, name, reason, actor, at, until, policy, generation = line
    until = None if until is None else float(until)
    return Row(str(action), str(scope), str(name), str(reason), str(actor), float(at), until, policy, int(generation))


def _snapshot(db: sqlite3.Connection) -> State:
    db.execute("BEGIN")
    return state_within(db)


def _reading(path: Path, ask: Callable[[sqlite3.Connection], T]) -> tuple[T, bool]:
    import sqlite3

    try:
        if not path.exists():
            raise Unreadable("there is no control.db")
        try:
            with contextlib.closing(_connect(path, "ro", _READ_PATIENCE)) as db:
                return ask(db), True
        except sqlite3.OperationalError as exc:
            if _is_busy(exc) or _is_broken(exc):
                raise
            return _reading_aside(path, ask)  # a full or read-only disk: SQLite can't make its shared memory file
    except sqlite3.Error as exc:
        raise Unreadable(f"control.db: {exc}", busy=_is_busy(exc)) from exc
    except (OSError, TypeError, ValueError) as exc:
        raise Unreadable(f"control.db: {exc}") from exc


def _reading_aside(path: Path, ask: Callable[[sqlite3.Connection], T]) -> tuple[T, bool]:
    """Read without writing anything beside *path*: as it is, or with its log from a copy elsewhere."""
    before = signature(path)
    log = status(_beside(path, "-wal"))
    answer = None if log is None else _read_copy(path, ask)
    if answer is None:
        with contextlib.closing(_connect(path, "ro&immutable=1", _READ_PATIENCE)) as db:
            answer = ask(db), log is None
    if signature(path) != before:
        raise Unreadable("control.db changed while it was read", busy=True)
    return answer


def _read_copy(path: Path, ask: Callable[[sqlite3.Connection], T]) -> tuple[T, bool] | None:
    import sqlite3
    import tempfile

    try:
        with tempfile.TemporaryDirectory(prefix="deadstop-") as folder:
            copy = Path(folder) / path.name
            copy.write_bytes(_content(path))
            _beside(copy, "-wal").write_bytes(_beside(path, "-wal").read_bytes())
            with contextlib.closing(_connect(copy, "rw", 0.0)) as db:
                return ask(db), True
    except (OSError, sqlite3.Error):
        return None


_held: dict[tuple[int, int], int] = {}


def _content(path: Path) -> bytes:
    """Read the database file. Its descriptor is kept: closing one drops every lock this process has on the file."""
    found = path.stat()
    identity = (found.st_dev, found.st_ino)
    if identity not in _held:
        _held[identity] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return os.pread(_held[identity], found.st_size, 0)


def _connect(path: Path, mode: str, patience: float) -> sqlite3.Connection:
    import sqlite3

    uri = f"{path.as_uri()}?mode={mode}"
    db = sqlite3.connect(uri, uri=True, timeout=patience, isolation_level=None, check_same_thread=False)
    db.text_factory = _lenient
    return db


def _lenient(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _check_version(db: sqlite3.Connection) -> None:
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found > SCHEMA_VERSION:  # never migrated by an older writer, only read
        raise NotWritten(f"control.db is of a newer deadstop (layout {found}, this one knows {SCHEMA_VERSION})")


def _is_busy(exc: Exception) -> bool:
    return "locked" in str(exc) or "locking" in str(exc)  # Python 3.10 has no error codes yet


def _is_broken(exc: Exception) -> bool:
    import sqlite3

    if isinstance(exc, sqlite3.OperationalError):  # these are the disk's or a lock's, but for a file without tables
        return "no such" in str(exc)
    return isinstance(exc, sqlite3.DatabaseError)


def status(path: Path) -> tuple[int, int, int] | None:
    """Return inode, size and time of change of a file; None where it is empty or missing."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns) if found.st_size else None


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _remove(path: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        _beside(path, suffix).unlink(missing_ok=True)


def _set_aside(path: Path) -> None:
    """Move what is at *path* out of the way, its log first: a log left beside a new database would be taken for its."""
    mark = f".broken-{time.time_ns()}"
    for suffix in ("-wal", "-shm", ""):
        old = _beside(path, suffix)
        if old.exists():
            old.replace(_beside(path, mark + suffix))
