"""The mapped word: shared, only ever going up, and never the end of a process that reads it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from deadstop.control.word import GENERATION, GLOBAL, SIZE, ControlWord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from deadstop.control.local import LocalControl

BUMPER = """
import sys
from pathlib import Path
from deadstop.control.word import ControlWord
word = ControlWord(Path(sys.argv[1]))
for _ in range(500):
    before = word.view[0]
    assert word.bump() > before
"""


def test_a_new_word_is_really_allocated_and_private_to_its_user(tmp_path: Path) -> None:
    word = ControlWord(tmp_path / "control.gen")
    found = word.path.stat()
    assert (found.st_size, found.st_blocks * 512 >= SIZE, found.st_mode & 0o777) == (SIZE, True, 0o600)
    assert (word.mode, word.view[GENERATION], word.view[GLOBAL]) == ("shared", 0, 0)
    assert word.coherent()


def test_two_mappings_of_one_file_see_each_other(tmp_path: Path) -> None:
    one, two = ControlWord(tmp_path / "control.gen"), ControlWord(tmp_path / "control.gen")
    assert one.bump() == two.view[GENERATION] == 1
    assert two.kill_all() == one.view[GLOBAL] == one.view[GENERATION] == 2
    one.lift_all()
    assert (two.view[GLOBAL], two.view[GENERATION]) == (0, 3)


def test_a_bump_goes_to_the_generation_asked_for_and_never_back(tmp_path: Path) -> None:
    word = ControlWord(tmp_path / "control.gen")
    assert [word.bump(10), word.bump(3), word.bump(), word.bump(2**70)] == [10, 11, 12, 2**63 - 1]


def test_no_bump_of_several_processes_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "control.gen"
    bumpers = [subprocess.Popen([sys.executable, "-c", BUMPER, str(path)]) for _ in range(4)]
    assert [bumper.wait(60) for bumper in bumpers] == [0] * 4
    assert ControlWord(path).view[GENERATION] == 2000


def test_a_bump_is_not_held_up_by_a_process_that_stopped_inside_one(tmp_path: Path) -> None:
    path = tmp_path / "control.gen"
    word = ControlWord(path)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl,sys,time; f=open(sys.argv[1]); fcntl.flock(f,2); print('has it',flush=True); time.sleep(60)",
            path,
        ],
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    os.kill(holder.pid, signal.SIGSTOP)
    assert word.bump() == 1
    holder.kill()
    holder.communicate()


def test_a_replaced_deleted_or_overwritten_file_is_noticed_and_mapped_again(tmp_path: Path) -> None:
    path = tmp_path / "control.gen"
    for harm in (path.unlink, lambda: _copy(path).replace(path), lambda: path.write_bytes(b"x" * SIZE)):
        word = ControlWord(path)
        word.bump(7)
        harm()
        assert not word.coherent()
        word.remap(generation=7)
        assert word.coherent()
        assert word.view[GENERATION] >= 7
        path.unlink()


def _copy(path: Path) -> Path:
    copy = path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes())
    return copy


def test_a_truncated_file_is_noticed_without_touching_the_mapping_and_grown_again(tmp_path: Path) -> None:
    """Reading the mapping of an empty file ends a process: `coherent` must look at the size first."""
    word = ControlWord(tmp_path / "control.gen")
    word.bump(7)
    os.truncate(word.path, 0)
    assert not word.coherent()
    old = word.view
    word.remap(generation=7)
    assert word.view[GENERATION] == old[GENERATION] == 8


def test_a_global_kill_outlives_the_file_it_was_set_in(tmp_path: Path) -> None:
    word = ControlWord(tmp_path / "control.gen")
    generation = word.kill_all()
    word.path.unlink()
    word.remap(generation=generation, everything=generation)
    assert ControlWord(word.path).view[GLOBAL] != 0


def test_a_file_that_moved_on_is_believed_over_what_was_seen(tmp_path: Path) -> None:
    word = ControlWord(tmp_path / "control.gen")
    generation = word.kill_all()
    word.path.unlink()
    ControlWord(word.path).bump(generation + 5)
    word.remap(generation=generation, everything=generation)
    assert (word.view[GENERATION], word.view[GLOBAL]) == (generation + 5, 0)


def test_a_view_that_another_thread_holds_survives_the_remapping(tmp_path: Path) -> None:
    word = ControlWord(tmp_path / "control.gen")
    stop, failures = threading.Event(), []

    def read() -> None:
        view = word.view
        while not stop.is_set():
            try:
                view[GENERATION]
                view = word.view
            except BaseException as exc:
                failures.append(exc)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for n in range(20):
        word.path.unlink()
        word.remap(generation=n)
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []


def test_without_a_place_to_write_the_word_is_private_and_says_so(tmp_path: Path) -> None:
    word = ControlWord(tmp_path / "missing" / "control.gen")
    assert word.mode == "private"
    assert word.bump() == 0
    assert not word.coherent()
    word.path.parent.mkdir()
    word.remap()
    assert (word.mode, word.coherent()) == ("shared", True)


def test_a_running_process_sees_kills_again_after_the_word_was_replaced(
    control: LocalControl, spawn: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    control.start()
    old = control.view
    (control.home / "control.gen").unlink()
    spawn().ask("switch.kill_agent('a')")
    eventually(lambda: control.is_killed("a"), 3.0)
    assert control.view is not old
    assert control.health()["coherent"]


def test_a_writer_notices_that_its_word_was_replaced(control: LocalControl, spawn: Callable[..., Any]) -> None:
    """The other process already maps the new file: a bump of the old one would reach nobody."""
    (control.home / "control.gen").unlink()
    other = spawn()
    control.set("kill", "agent", "a")
    assert other.ask("control.is_killed('a')") == "True"


def test_a_truncated_word_is_whole_again_within_the_second(
    control: LocalControl, eventually: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    control.set("kill", "agent", "a")
    control.start()
    os.truncate(control.home / "control.gen", 100)
    eventually(control.word.coherent, 3.0)
    assert control.is_killed("a")
    assert control.view[GENERATION] >= control.table.generation


def test_a_generation_that_anybody_may_have_seen_is_never_given_to_a_later_change(control: LocalControl) -> None:
    """Else a process that saw the number without the change would count as having seen the change."""
    control.word.bump(50)
    row = control.set("kill", "agent", "a")
    assert row.generation > 50
    assert control.view[GENERATION] == control.table.generation == row.generation
