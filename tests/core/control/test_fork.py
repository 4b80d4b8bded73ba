"""A forked child is a process of its own: it sees kills, its kills are seen, and it has its own row."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

START = """
import os, sys, json, time, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks with threads
from pathlib import Path
from deadstop.control.local import open_control
control = open_control(Path(sys.argv[1]))
control.start()

def until(true, timeout=10.0):
    end = time.monotonic() + timeout
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True

def fork(body):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        try:
            os.write(write, json.dumps(body()).encode())
        finally:
            os._exit(0)
    os.close(write)
    return pid, open(read)

def answer(child):
    pid, pipe = child
    with pipe:
        told = json.loads(pipe.read() or "null")
    os.waitpid(pid, 0)
    return told
"""


def run(home: Path, body: str) -> object:
    done = subprocess.run(
        [sys.executable, "-c", START + body, str(home)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout.splitlines()[-1])


def test_a_child_sees_kills_made_by_the_parent_after_the_fork(home: Path) -> None:
    body = """
child = fork(lambda: [until(lambda: control.is_killed("a")), control.current().rows[0].reason])
control.set("kill", "agent", "a", reason="why")
print(json.dumps(answer(child)))
"""
    assert run(home, body) == [True, "why"]


def test_the_parent_sees_kills_made_by_a_child(home: Path) -> None:
    body = """
def child():
    row = control.set("kill", "agent", "a")
    return [row.durable, row.actor.split(":")[1].split()[0] == str(os.getpid())]
told = answer(fork(child))
print(json.dumps([told, control.is_killed("a")]))
"""
    assert run(home, body) == [[True, True], True]


def test_a_child_has_its_own_row_from_its_first_step_and_its_own_watcher(home: Path) -> None:
    body = """
def child():
    before = [row.pid for row in control.processes()]
    control.current()
    until(lambda: os.getpid() in [row.pid for row in control.processes() if row.live])
    names = [thread.name for thread in threading.enumerate()]
    return [before == [os.getppid()], len(control.processes()), names.count("deadstop-control")]
told = answer(fork(child))
print(json.dumps([told, control.wait_seen(control.generation), len([r for r in control.processes() if r.live])]))
"""
    assert run(home, body) == [[True, 2, 1], [1, 1], 1]


def test_a_childs_row_says_what_the_child_has_seen(home: Path) -> None:
    body = """
child = fork(lambda: [control.current() is not None, time.sleep(5)])
until(lambda: len(control.processes()) == 2)
row = control.set("kill", "agent", "a")
print(json.dumps(control.wait_seen(row.generation, 3.0)))
sys.stdout.flush()
os.kill(child[0], 9)
child[1].close()
"""
    assert run(home, body) == [2, 2]


def test_a_child_that_ends_in_order_leaves_the_parents_row(home: Path) -> None:
    body = """
pid = os.fork()
if pid == 0:
    control.current()
    until(lambda: len(control.processes()) == 2)
    sys.exit(0)
os.waitpid(pid, 0)
print(json.dumps([row.pid == os.getpid() for row in control.processes()]))
"""
    assert run(home, body) == [True]


def test_forks_amid_busy_threads_never_hang_and_lose_nothing(home: Path) -> None:
    """A lock or a database handle held by another thread at the fork must not be waited for, nor used, in the child."""
    body = """
stop = threading.Event()
def write(who):
    n = 0
    while not stop.is_set():
        control.set("kill", "agent", f"{who}-{n % 5}")
        n += 1
writers = [threading.Thread(target=write, args=(f"t{i}",)) for i in range(2)]
for writer in writers:
    writer.start()
children = []
for n in range(20):
    children.append(fork(lambda: [control.set("kill", "agent", f"child-{n}").durable, control.is_killed(f"child-{n}")]))
    time.sleep(0.01)
told = [answer(child) for child in children]
stop.set()
for writer in writers:
    writer.join()
names = {row.name for row in control.current().rows}
print(json.dumps([told == [[True, True]] * 20, {f"child-{n}" for n in range(20)} <= names]))
"""
    assert run(home, body) == [True, True]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_children_see_kills_and_kill(home: Path, tmp_path: Path, method: str) -> None:
    script = tmp_path / "job.py"
    script.write_text(
        START
        + f"""
import multiprocessing

def job(name):
    mine = open_control(Path(sys.argv[1]))
    return [mine.is_killed("before"), mine.set("kill", "agent", name).durable]

if __name__ == "__main__":
    control.set("kill", "agent", "before")
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        told = pool.map(job, ["x", "y", "z"])
    print(json.dumps([told, sorted(row.name for row in control.current().rows)]))
"""
    )
    done = subprocess.run(
        [sys.executable, str(script), str(home)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[[True, True]] * 3, ["before", "x", "y", "z"]]
