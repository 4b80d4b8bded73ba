"""Full disks, read-only directories, things in the way: the agent goes on, events wait, and all is well afterwards."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from deadstop.events import AgentEvent
    from deadstop.storage.sqlite import SqliteEventStore
    from deadstop.storage.writer import EventWriter

    MakeEvent = Callable[..., AgentEvent]
    MakeStore = Callable[..., SqliteEventStore]
    MakeWriter = Callable[..., EventWriter]
    RunScript = Callable[..., subprocess.CompletedProcess[str]]
    Eventually = Callable[[Callable[[], object]], None]


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")


def fill(ballast: Path) -> None:
    """Write until the disk is full."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096) == 4096:
            pass


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB. Needs the right to mount."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root may mount")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk))
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_loses_nothing_until_the_bounds_and_heals_by_itself(
    small_disk: Path, make_store: MakeStore, make_writer: MakeWriter, event: MakeEvent, eventually: Eventually
) -> None:
    store = make_store(small_disk / "events")
    writer = make_writer(store, flush_interval=0.02)
    writer.append(event(name="before"))
    assert writer.drain()
    ballast = small_disk / "ballast"
    fill(ballast)
    for n in range(500):
        writer.append(event(name=f"full {n}", data={"x": "y" * 1000}))
    assert not writer.drain()
    assert writer.pending == 500
    assert "full" in (writer.last_error or "") or "disk" in (writer.last_error or "")
    started = time.monotonic()
    for _ in range(50):
        writer.append_durable(event("decision"))
    assert time.monotonic() - started < 1.0  # it does not wait for a store that is known to fail
    ballast.unlink()
    eventually(lambda: writer.pending == 0)  # without being asked
    assert writer.stored == store.count() == 551
    assert writer.dropped == 0
    assert writer.errors.keys() == {"store"}


def test_no_space_from_the_start_loses_nothing_either(
    small_disk: Path, make_store: MakeStore, make_writer: MakeWriter, event: MakeEvent, eventually: Eventually
) -> None:
    ballast = small_disk / "ballast"
    fill(ballast)
    store = make_store(small_disk / "events")
    writer = make_writer(store, flush_interval=0.02)
    writer.append(event())
    assert not writer.drain()
    ballast.unlink()
    eventually(lambda: store.count() == 1)
    assert sorted(path.suffix for path in (small_disk / "events").iterdir()) == [".db", ".db-shm", ".db-wal"]


def test_a_read_only_disk_is_read_and_written_again_when_it_can_be(
    small_disk: Path, make_store: MakeStore, make_writer: MakeWriter, event: MakeEvent, eventually: Eventually
) -> None:
    store = make_store(small_disk / "events")
    writer = make_writer(store, flush_interval=0.02)
    writer.append(event(name="before"))
    assert writer.drain()
    store.close()
    mount("-o", "remount,ro", str(small_disk))
    for n in range(10):
        writer.append(event(name=f"later {n}"))
    assert not writer.drain()
    assert [row["name"] for row in store.read()] == ["before"]
    assert (writer.pending, writer.dropped) == (10, 0)
    mount("-o", "remount,rw", str(small_disk))
    eventually(lambda: store.count() == 11)
    assert writer.errors.keys() == {"store"}


def test_a_file_in_the_way_of_the_directory_only_delays(
    make_store: MakeStore, make_writer: MakeWriter, event: MakeEvent, directory: Path, eventually: Eventually
) -> None:
    directory.parent.write_text("in the way")
    store = make_store()
    writer = make_writer(store, flush_interval=0.02)
    for _ in range(10):
        writer.append(event())
        writer.append_durable(event("decision"))
    assert not writer.drain()
    assert store.read() == []
    assert (writer.pending, writer.stored, writer.dropped) == (20, 0, 0)
    assert "NotADirectoryError" in (writer.last_error or "") or "FileExistsError" in (writer.last_error or "")
    directory.parent.unlink()
    eventually(lambda: writer.pending == 0)
    assert store.count() == writer.stored == 20


def test_what_can_not_be_stored_is_kept_up_to_the_bounds_and_then_dropped(
    make_store: MakeStore, make_writer: MakeWriter, event: MakeEvent, directory: Path, eventually: Eventually
) -> None:
    directory.parent.write_text("in the way")
    store = make_store()
    writer = make_writer(store, flush_interval=0.01, max_events=100)
    for n in range(300):
        writer.append(event(name=str(n)))
        if n % 50 == 0:
            assert not writer.drain()
    assert (writer.pending, writer.dropped) == (100, 200)
    directory.parent.unlink()
    eventually(lambda: writer.pending == 0)
    assert {row["name"] for row in store.read()} == {str(n) for n in range(100)}  # the newest are dropped


def test_a_file_size_limit_is_a_full_disk(run_script: RunScript, directory: Path) -> None:
    """The portable variant: SIGXFSZ is ignored by Python, writing beyond the limit fails."""
    pytest.importorskip("resource")
    code = """
import resource
store = SqliteEventStore(directory)
writer = EventWriter(store, flush_interval=0.02)
writer.append(event("a"))
assert writer.drain()
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
for n in range(2000):
    writer.append(AgentEvent(time.time(), "b", "action", {"x": "y" * 500}))
assert not writer.drain()
assert writer.pending == 2000 and writer.dropped == 0, writer.report()
assert store.count(agent="a") == 1
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
deadline = time.monotonic() + 20
while writer.pending and time.monotonic() < deadline:
    time.sleep(0.01)
assert writer.stored == store.count() == 2001, writer.report()
"""
    run_script(code, directory)
