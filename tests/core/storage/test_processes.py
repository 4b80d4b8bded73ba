"""Several processes on one store: nothing lost, nothing twice, nothing broken; not by kill -9, not by fork."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from deadstop.events import AgentEvent
    from deadstop.storage.sqlite import SqliteEventStore

    MakeEvent = Callable[..., AgentEvent]
    RunScript = Callable[..., subprocess.CompletedProcess[str]]
    StartScript = Callable[..., subprocess.Popen[str]]


def integrity(directory: Path) -> set[str]:
    """Return what SQLite says of every day file."""
    said = set()
    for path in directory.glob("*.db"):
        connection = sqlite3.connect(path)
        said |= {row[0] for row in connection.execute("PRAGMA integrity_check")}
        connection.close()
    return said


def test_four_processes_write_at_once_and_nothing_is_lost(
    start_script: StartScript, store: SqliteEventStore, directory: Path
) -> None:
    code = """
writer = EventWriter(SqliteEventStore(directory), flush_interval=0.02)
print("ready", flush=True)
sys.stdin.readline()
for n in range(3000):
    writer.append(event(sys.argv[2], n, id=f"{sys.argv[2]}-{n}"))
    if n % 100 == 0:
        writer.append_durable(event(sys.argv[2], -n, id=f"{sys.argv[2]}-durable-{n}"))
assert writer.drain(30), writer.last_error
assert (writer.stored, writer.dropped, writer.errors) == (3030, 0, {}), writer.report()
"""
    processes = [start_script(code, directory, f"p{n}") for n in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait(60) for process in processes] == [0] * 4
    assert [store.count(agent=f"p{n}") for n in range(4)] == [3030] * 4
    assert len({row["id"] for row in store.iterate()}) == 4 * 3030
    assert sum(int(str(row["count"])) for row in store.hours()) == 4 * 3030
    assert integrity(directory) == {"ok"}


def test_kill_9_loses_nothing_that_is_older_than_the_flush_interval(
    start_script: StartScript, store: SqliteEventStore, directory: Path
) -> None:
    """Each round tells through a pipe what it has appended and when; the store must have all but the last moments."""
    code = """
writer = EventWriter(SqliteEventStore(directory), flush_interval=0.05)
n = 0
while True:
    for _ in range(20):
        writer.append(event(sys.argv[2], n))
        n += 1
    os.write(1, b"%d %.6f\\n" % (n, time.monotonic()))
    if n % 400 == 0 and sys.argv[3] == "1":    # decisions flush the others, too: every second round does without
        writer.append_durable(event(sys.argv[2] + " durable", n))
        os.write(1, b"durable\\n")
    time.sleep(0.001)
"""
    chance = random.Random(5)
    for number in range(20):
        name = f"round {number}"
        process = start_script(code, directory, name, number % 2)
        assert process.stdout is not None
        told = [process.stdout.readline()]
        killed_at = float(told[0].split()[1]) + chance.uniform(0.2, 0.4)
        while (told[-1] == "durable\n") or float(told[-1].split()[1]) < killed_at:
            told.append(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        told += [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        process.wait()
        times = [(int(line.split()[0]), float(line.split()[1])) for line in told if line != "durable\n"]
        due = max((count for count, at in times if at < times[-1][1] - 0.05 - 0.1), default=0)  # 0.1 s to write them
        assert store.count(agent=name) >= due
        assert store.count(agent=f"{name} durable") >= told.count("durable\n")
    assert integrity(directory) == {"ok"}
    assert store.unreadable == {}


def test_every_child_of_a_fork_stores_its_events_and_none_twice(
    run_script: RunScript, store: SqliteEventStore, directory: Path
) -> None:
    code = """
writer = EventWriter(SqliteEventStore(directory), flush_interval=0.02)
for n in range(500):
    writer.append(event("parent", n))
children = []
for number in range(4):
    for n in range(50):
        writer.append(event("parent", n))      # some of it is still queued at the fork
    child = os.fork()
    if child == 0:
        assert (writer.stored, writer.pending) == (0, 0)
        for n in range(1000):
            writer.append(event(f"child {number}", n))
        os._exit(0 if writer.drain(20) and writer.stored == 1000 and not writer.errors else 1)
    children.append(child)
assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
assert writer.drain(20) and writer.stored == 700, writer.report()
"""
    run_script(code, directory)
    assert [store.count(agent=f"child {n}") for n in range(4)] == [1000] * 4
    assert store.count(agent="parent") == 700
    assert integrity(directory) == {"ok"}


def test_a_fork_in_the_middle_of_writing_and_reading_never_hangs_the_child(
    run_script: RunScript, store: SqliteEventStore, directory: Path
) -> None:
    code = """
store = SqliteEventStore(directory)
writer = EventWriter(store, flush_interval=0.001)
done = False
def work(what):
    while not done:
        what()
def write():
    for n in range(200): writer.append(event("parent", n))
    writer.drain()
threads = [threading.Thread(target=work, args=(what,)) for what in (write, store.read, store.count)]
for thread in threads: thread.start()
for number in range(30):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        writer.append_durable(event("child", number))
        os._exit(0 if writer.drain(10) and store.count(agent="child") > number else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
done = True
for thread in threads: thread.join()
assert writer.drain(10) and not writer.errors, writer.report()
"""
    run_script(code, directory)
    assert store.count(agent="child") == 30


def test_a_child_holds_locks_of_its_own_after_the_parent_is_gone(
    start_script: StartScript, run_script: RunScript, store: SqliteEventStore, directory: Path
) -> None:
    """With a connection that is open at the fork, the last process to close deletes the log under the child."""
    code = """
store = SqliteEventStore(directory)
store.write([event("parent")])
child = os.fork()
if child:
    store.close()
    os._exit(0)
store.write([event("child", 1)])
print(os.getppid(), flush=True)
sys.stdin.readline()
for n in range(5):
    store.write([event("child", n)])
os.kill(os.getpid(), signal.SIGKILL)
"""
    process = start_script(code, directory)
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.readline()
    process.wait(20)
    run_script('store = SqliteEventStore(directory); store.write([event("third")]); store.close()', directory)
    process.stdin.write("go\n")
    process.stdin.flush()
    assert process.stdout.read() == ""  # the child has ended
    assert (store.count(agent="parent"), store.count(agent="third"), store.count(agent="child")) == (1, 1, 6)
    assert integrity(directory) == {"ok"}


def test_a_locked_store_is_waited_for(store: SqliteEventStore, event: MakeEvent, directory: Path) -> None:
    import threading

    store.write([event(name="first")])
    other = sqlite3.connect(next(directory.glob("*.db")), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, other.execute, ("COMMIT",))
    release.start()
    store.write([event(name="second")])
    release.join()
    other.close()
    assert store.count() == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_multiprocessing_children_store_what_they_had_when_they_ended(
    run_script: RunScript, store: SqliteEventStore, directory: Path
) -> None:
    code = """
import multiprocessing
writer = EventWriter(SqliteEventStore(directory), flush_interval=30)
def work(number):
    for n in range(100):
        writer.append(event(f"child {number}", n))
for method in ("fork",):
    context = multiprocessing.get_context(method)
    children = [context.Process(target=work, args=(n,)) for n in range(3)]
    for child in children: child.start()
    for child in children: child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
"""
    run_script(code, directory)
    assert [store.count(agent=f"child {n}") for n in range(3)] == [100] * 3
