"""A full disk and a read-only home: agents go on, kills still work, and what is not durable says so."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from deadstop.control.local import LocalControl

if TYPE_CHECKING:
    from collections.abc import Callable


def test_on_a_full_disk_a_global_kill_is_in_force_everywhere_and_says_it_is_not_durable(
    disk: Any, spawn: Callable[..., Any]
) -> None:
    here, other = LocalControl(disk.home), spawn(at=disk.home)
    disk.fill()
    row = here.set("kill", "global", reason="fire")
    assert (row.durable, row.reach) == (False, "home")
    assert other.ask("control.is_killed('anyone')") == "True"
    found = here.current().match(("anyone",), None, None)
    assert found is not None
    assert found.reason == "fire"
    assert spawn(at=disk.home).ask("control.is_killed('anyone')") == "True"


def test_on_a_full_disk_a_global_kill_can_be_revived_from_another_process(disk: Any, spawn: Callable[..., Any]) -> None:
    here, other = LocalControl(disk.home), spawn(at=disk.home)
    disk.fill()
    here.set("kill", "global")
    assert other.ask("len(switch.revive_global())") == "1"
    assert other.ask("control.is_killed('anyone')") == "False"
    assert not here.is_killed("anyone")


def test_a_revived_global_kill_does_not_come_back_when_there_is_room_again(
    disk: Any, spawn: Callable[..., Any]
) -> None:
    """The process that held the kill back in memory sees that the word was lifted meanwhile."""
    here, other = LocalControl(disk.home), spawn(at=disk.home)
    disk.fill()
    here.set("kill", "global")
    other.ask("switch.revive_global()")
    disk.free()
    here.check()
    assert not here.is_killed("anyone")
    assert here.health()["not_written"] == []
    assert other.ask("control.is_killed('anyone')") == "False"


def test_on_a_full_disk_another_kill_holds_in_its_process_and_is_written_once_there_is_room(
    disk: Any, spawn: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    here, other = LocalControl(disk.home), spawn(at=disk.home)
    disk.fill()
    row = here.set("kill", "agent", "a", reason="why")
    assert (row.durable, row.reach, here.is_killed("a")) == (False, "process", True)
    assert other.ask("control.is_killed('a')") == "False"
    assert here.health()["not_written"] == ["agent:a"]
    here.start()
    disk.free()
    eventually(lambda: other.ask("control.is_killed('a')") == "True", 5.0)
    eventually(lambda: here.health()["not_written"] == [], 5.0)
    assert [decision.reason for decision in here.history()] == ["why"]
    here.close()


def test_a_global_kill_held_in_the_word_becomes_a_row_once_there_is_room(disk: Any, spawn: Callable[..., Any]) -> None:
    here = LocalControl(disk.home)
    disk.fill()
    here.set("kill", "global", reason="fire")
    disk.free()
    here.check()
    fresh = LocalControl(disk.home)
    (row,) = fresh.current().rows
    assert (row.reason, row.durable, fresh.view[1]) == ("fire", True, 0)
    fresh.clear("kill", "global")
    assert not here.is_killed("anyone")


def test_on_a_full_disk_a_revive_that_can_not_be_written_holds_here_and_says_so(
    disk: Any, spawn: Callable[..., Any]
) -> None:
    here, other = LocalControl(disk.home), spawn(at=disk.home)
    here.set("kill", "agent", "a")
    disk.fill()
    lifted = here.clear("kill", "agent", "a")
    assert lifted is not None
    assert not lifted.durable
    assert not here.is_killed("a")
    assert other.ask("control.is_killed('a')") == "True"
    disk.free()
    here.check()
    assert other.ask("control.is_killed('a')") == "False"


def test_what_was_killed_before_the_disk_was_full_is_read_by_a_process_that_starts_then(
    disk: Any, spawn: Callable[..., Any]
) -> None:
    here = LocalControl(disk.home)
    here.set("kill", "agent", "a")
    here.set("pause", "agent", "p")
    disk.fill()
    fresh = spawn(at=disk.home)
    assert fresh.ask("sorted(row.name for row in control.current().rows)") == "['a', 'p']"


def test_a_home_made_on_a_full_disk_starts_working_once_there_is_room(
    disk: Any, eventually: Callable[..., None]
) -> None:
    disk.home.mkdir()
    disk.fill()
    control = LocalControl(disk.home)
    assert control.set("kill", "agent", "a").durable is False
    assert control.is_killed("a")
    assert control.set("kill", "global").durable is False
    assert control.is_killed("b")
    control.start()
    disk.free()
    eventually(lambda: control.health()["not_written"] == [], 5.0)
    assert LocalControl(disk.home).is_killed("a")
    control.close()


def test_a_full_disk_still_tells_how_many_have_seen_a_kill(disk: Any, spawn: Callable[..., Any]) -> None:
    here = LocalControl(disk.home)
    spawn("control.start()", at=disk.home)
    disk.fill()
    row = here.set("kill", "global")
    assert here.wait_seen(row.generation, 5.0) == (1, 1)


def test_a_read_only_home_is_read_and_kills_there_hold_in_their_process(disk: Any, spawn: Callable[..., Any]) -> None:
    before = spawn(at=disk.home)
    before.ask("[switch.kill_agent('a'), switch.pause('p')]")
    before.end()
    disk.read_only()
    fresh = LocalControl(disk.home)
    assert {row.name for row in fresh.current().rows} == {"a", "p"}
    assert fresh.health()["word"] == "read-only"
    for row in (fresh.set("kill", "agent", "b"), fresh.set("kill", "global")):
        assert (row.durable, row.reach) == (False, "process")
    assert fresh.is_killed("anyone")
    fresh.clear("kill", "global")
    assert not fresh.is_killed("anyone")
    assert fresh.is_killed("b")
    fresh.start()
    fresh.close()
    disk.read_only(on=False)


def test_a_process_that_may_only_read_the_home_sees_kills_at_its_next_check(
    disk: Any, spawn: Callable[..., Any]
) -> None:
    """As in a container that has the home mounted read-only."""
    writer = LocalControl(disk.home)
    with disk.read_only_view() as view:
        reader = spawn(at=view)
        writer.set("kill", "agent", "a", reason="why")
        assert reader.ask("control.current().match(('a',), None, None).reason") == "'why'"
        writer.set("kill", "global")
        assert reader.ask("control.is_killed('b')") == "True"
        writer.clear("kill", "global")
        writer.clear("kill", "agent", "a")
        assert reader.ask("control.current().empty") == "True"
        reader.end()


def test_a_reader_of_a_read_only_home_misses_nothing_in_the_write_ahead_log(
    disk: Any, spawn: Callable[..., Any]
) -> None:
    """A writer that was ended by force leaves its commits in the log, which can't be opened without writing."""
    dying = spawn("control.writer.mirror = lambda state: os.kill(os.getpid(), signal.SIGKILL)", at=disk.home)
    dying.ask("switch.pause('p')")
    assert (disk.home / "control.db-wal").stat().st_size > 0
    (disk.home / "control.db-shm").unlink()
    disk.read_only()
    assert {row.name for row in LocalControl(disk.home).current().rows} == {"p"}
    disk.read_only(on=False)


def test_a_home_that_can_not_be_made_leaves_kills_in_force_in_the_process(disk: Any) -> None:
    disk.read_only()
    control = LocalControl(disk.home)
    control.start()
    assert control.set("kill", "agent", "a").reach == "process"
    assert control.is_killed("a")
    assert control.health()["word"] == "private"
    assert "control.db" in control.health()["unreadable"]
    control.close()
    disk.read_only(on=False)


def test_a_home_that_can_not_be_made_is_closed_where_control_is_required(disk: Any) -> None:
    disk.read_only()
    control = LocalControl(disk.home, require_control=True)
    assert control.is_killed("anyone")
    disk.read_only(on=False)


HANG = """
import deadstop.control.writer as writer
writer.commit = lambda *args, **options: print("holds", flush=True) or time.sleep(60)
"""


def test_a_global_kill_is_in_force_at_once_though_a_writer_hangs_in_mid_commit(
    control: LocalControl, spawn: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    """The hanging process holds every lock there is. The kill gets durable when that one is gone."""
    hanging, other = spawn(HANG), spawn()
    hanging.process.stdin.write("switch.kill_agent('x')\n")
    assert hanging.line() == "holds"
    killer = threading.Thread(target=control.set, args=("kill", "global"))
    killer.start()
    eventually(lambda: other.ask("control.is_killed('a')") == "True", 4.0)
    assert killer.is_alive()
    os.kill(hanging.pid, signal.SIGKILL)
    killer.join(10)
    assert [(row.scope, row.durable) for row in control.current().rows] == [("global", True)]
    assert control.view[1] == 0


def test_a_kill_that_never_gets_the_lock_holds_in_its_process(control: LocalControl, spawn: Callable[..., Any]) -> None:
    hanging = spawn(HANG)
    hanging.process.stdin.write("switch.kill_agent('x')\n")
    assert hanging.line() == "holds"
    started = time.monotonic()
    row = control.set("kill", "agent", "a")
    assert time.monotonic() - started < 30
    assert (row.durable, row.reach, control.is_killed("a")) == (False, "process", True)
    hanging.destroy()
    control.check()
    assert [(row.name, row.durable) for row in LocalControl(control.home).current().rows] == [("a", True)]
