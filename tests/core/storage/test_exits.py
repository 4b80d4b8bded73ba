"""The end of a process: what was recorded is stored, however it ends, and the end is not delayed by us."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deadstop.storage.sqlite import SqliteEventStore

    RunScript = Callable[..., subprocess.CompletedProcess[str]]
    StartScript = Callable[..., subprocess.Popen[str]]

ENDINGS = {
    "the end of the program": "",
    "sys.exit": "sys.exit(0)",
    "sys.exit in a function called by a thread pool": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor() as pool: pool.submit(writer.append, event('a', 100)).result()\n"
        "raise SystemExit"
    ),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
def test_what_was_recorded_is_stored(
    run_script: RunScript, store: SqliteEventStore, directory: Path, ending: str
) -> None:
    code = """
store = SqliteEventStore(directory)
writer = EventWriter(store, flush_interval=30)
for n in range(100):
    writer.append(event("a", n))
"""
    run_script(code + ending, directory)
    assert len(list(directory.iterdir())) == 1  # closed well: no log is left beside the day file
    assert store.count() >= 100


def test_what_exit_hooks_record_is_stored_too(run_script: RunScript, store: SqliteEventStore, directory: Path) -> None:
    """Hooks that were registered before ours run after it: by then the thread is gone, and whoever records writes."""
    code = """
import atexit
def late(name):
    for n in range(3):
        writer.append(event(name, n))
    writer.append_durable(event(name, 3))
atexit.register(late, "after")
writer = EventWriter(SqliteEventStore(directory), flush_interval=30)
writer.append(event("in time"))
atexit.register(late, "before")
"""
    run_script(code, directory)
    assert [store.count(agent=name) for name in ("before", "in time", "after")] == [4, 1, 4]


def test_a_first_event_at_the_very_end_is_stored(
    run_script: RunScript, store: SqliteEventStore, directory: Path
) -> None:
    """From Python 3.12 on no thread can be started by then."""
    code = """
import atexit
writer = EventWriter(SqliteEventStore(directory), flush_interval=30)
atexit.register(lambda: writer.append(event("late")))
"""
    run_script(code, directory)
    assert store.count(agent="late") == 1


def test_a_finaliser_at_interpreter_shutdown_harms_nobody(run_script: RunScript, directory: Path) -> None:
    code = """
class Held:
    def __init__(self, writer, event): self.writer, self.event = writer, event
    def __del__(self): self.writer.append(self.event)
writer = EventWriter(SqliteEventStore(directory), flush_interval=30)
writer.append(event("a"))
held = Held(writer, event("late"))
held.me = held
"""
    assert run_script(code, directory).stderr == ""


def test_the_end_waits_two_seconds_for_a_store_that_hangs(start_script: StartScript, directory: Path) -> None:
    code = """
class Hanging(SqliteEventStore):
    def write(self, events, *, durable=False): time.sleep(3600)
writer = EventWriter(Hanging(directory))
writer.append(event("a"))
print("end", flush=True)
"""
    process = start_script(code, directory)
    assert process.stdout is not None
    assert process.stdout.readline() == "end\n"
    started = time.monotonic()
    assert process.wait(30) == 0
    assert 1.5 < time.monotonic() - started < 10


def test_a_store_that_fails_does_not_delay_the_end(run_script: RunScript, directory: Path) -> None:
    directory.parent.write_text("in the way")
    code = """
writer = EventWriter(SqliteEventStore(directory))
writer.append(event("a"))
"""
    started = time.monotonic()
    run_script(code, directory)
    assert time.monotonic() - started < 10


def test_importing_opens_nothing_and_starts_nothing(run_script: RunScript, tmp_path: Path) -> None:
    code = """
store = SqliteEventStore(directory)
writer = EventWriter(store)
log = DecisionLog(writer)
assert threading.active_count() == 1
assert not os.path.exists(directory)
"""
    run_script(code, tmp_path / "never")


def test_the_writer_does_not_import_sqlite(tmp_path: Path) -> None:
    import sys

    code = """
import sys
before = set(sys.modules)
import deadstop.storage.writer, deadstop.storage.decisions, deadstop.storage, deadstop.sanitize
loaded = set(sys.modules) - before
assert not loaded & {"sqlite3", "asyncio", "multiprocessing", "ctypes", "http"}, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
