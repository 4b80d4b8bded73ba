"""Who is alive on a home, and what each has seen."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from deadstop.control.local import open_control
from deadstop.control.processes import Beacon, ProcessRow, is_live, read_processes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deadstop.control.local import LocalControl


def own_row(control: LocalControl) -> ProcessRow:
    return next(row for row in control.processes() if row.pid == os.getpid())


def test_a_control_that_only_kills_has_no_row_and_one_that_is_started_has(control: LocalControl) -> None:
    assert control.processes() == []
    control.start()
    row = own_row(control)
    assert row.live
    assert abs(row.heartbeat - time.time()) < 5
    control.close()
    assert control.processes() == []


def test_a_kill_is_seen_by_idle_processes_too(control: LocalControl, spawn: Callable[..., Any]) -> None:
    for _ in range(2):
        spawn("control.start()")
    row = control.set("kill", "agent", "a")
    assert control.wait_seen(row.generation, 5.0) == (2, 2)


def test_a_stopped_process_counts_as_alive_and_not_as_having_seen(
    control: LocalControl, spawn: Callable[..., Any]
) -> None:
    one, two = spawn("control.start()"), spawn("control.start()")
    os.kill(one.pid, signal.SIGSTOP)
    row = control.set("kill", "agent", "a")
    assert control.wait_seen(row.generation, 1.5) == (1, 2)
    os.kill(one.pid, signal.SIGCONT)
    assert control.wait_seen(row.generation, 5.0) == (2, 2)
    assert two.pid in [row.pid for row in control.processes()]


def test_a_process_that_was_killed_is_not_live_though_its_row_is_there(
    control: LocalControl, spawn: Callable[..., Any]
) -> None:
    child = spawn("control.start()")
    child.destroy()
    assert [(row.pid, row.live) for row in control.processes()] == [(child.pid, False)]
    assert control.wait_seen(0, 0.0) == (0, 0)


def test_a_process_that_ends_in_order_takes_its_row_away(control: LocalControl, spawn: Callable[..., Any]) -> None:
    child = spawn("control.start()")
    assert [row.pid for row in control.processes()] == [child.pid]
    assert child.end() == 0
    assert control.processes() == []


def test_a_zombie_is_not_live(control: LocalControl, spawn: Callable[..., Any]) -> None:
    child = spawn("control.start()")
    child.process.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert [row.live for row in control.processes()] == [False]


def test_a_row_of_a_pid_that_another_process_has_now_is_not_live(control: LocalControl) -> None:
    control.start()
    row = own_row(control)
    assert is_live(row, time.time())
    assert not is_live(msgspec.structs.replace(row, start=row.start - 1), time.time())


@pytest.mark.parametrize(("age", "live"), [(0.0, True), (4.0, True), (6.0, False), (-6.0, False)])
@pytest.mark.parametrize("elsewhere", [{"boot": "another machine"}, {"namespace": 1}])
def test_a_process_of_another_machine_or_container_lives_by_its_heartbeat(
    control: LocalControl, elsewhere: dict[str, object], age: float, live: bool
) -> None:
    control.start()
    row = msgspec.structs.replace(own_row(control), heartbeat=1000.0, **elsewhere)
    assert is_live(row, 1000.0 + age) is live


def test_the_row_is_renewed_each_second_and_says_what_the_monitors_report(
    control: LocalControl, eventually: Callable[..., None]
) -> None:
    control.facts = lambda: {"agents": ["a", "b"], "odd": object}
    control.start()
    first = own_row(control)
    assert first.agents == ["a", "b"]
    eventually(lambda: own_row(control).heartbeat > first.heartbeat, 3.0)


def test_facts_that_raise_or_do_not_end_leave_a_row_all_the_same(control: LocalControl) -> None:
    def broken() -> dict[str, object]:
        raise RuntimeError("a bug of ours")

    control.facts = broken
    control.start()
    assert own_row(control).facts == {}
    assert control.isolation.counts["facts"] >= 1
    control.close()
    endless: dict[str, object] = {"agents": ["x" * 1000] * 1000}
    endless["self"] = endless
    beacon = Beacon(control.home)
    assert beacon.write(3, endless, time.time()) is None
    assert own_row(control).generation == 3
    assert beacon.write(4, {"agents": ["x" * 1000] * 1000}, time.time()) is None
    assert (beacon.path.stat().st_size < 65_536, len(own_row(control).agents)) == (True, 200)


def test_rows_of_the_long_dead_are_deleted_by_readers_and_junk_is_skipped(control: LocalControl) -> None:
    control.start()
    row = own_row(control)
    folder = control.home / "processes"
    for name, heartbeat in (("old", row.heartbeat - 2 * 86_400), ("recent", row.heartbeat - 3600)):
        dead = msgspec.structs.replace(row, start=1, heartbeat=heartbeat)
        (folder / f"{name}.json").write_bytes(msgspec.json.encode(dead))
    (folder / "junk.json").write_bytes(b"{")
    (folder / ".draft.json.1.tmp").write_bytes(b"")
    assert sorted(row.live for row in read_processes(control.home)) == [False, True]
    assert not (folder / "old.json").exists()
    assert (folder / "recent.json").exists()


def test_one_control_per_home_and_process_however_the_path_is_written(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    link = tmp_path / "link"
    link.symlink_to(home)
    one, two = open_control(home), open_control(link, require_control=True)
    assert one is two
    assert one.reader.require_control
    one.start()
    one.close()
    assert [row.live for row in two.processes()] == [True]
    two.close()
    assert two.processes() == []
    third = open_control(home)
    assert third is not one
    third.close()


def test_watchers_are_told_of_each_new_table_and_a_broken_one_disturbs_nobody(
    control: LocalControl, spawn: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    told: list[list[str]] = []

    def broken(_table: object) -> None:
        raise RuntimeError

    control.watch(broken)
    stop = control.watch(lambda table: told.append([row.name for row in table.rows]))
    control.start()
    other = spawn()
    other.ask("switch.kill_agent('a')")
    eventually(lambda: told == [["a"]], 5.0)
    assert control.isolation.counts["control callback"] == 1
    stop()
    other.ask("switch.kill_agent('b')")
    eventually(lambda: control.isolation.counts["control callback"] == 2, 5.0)
    assert told == [["a"]]


def test_a_shorter_interval_takes_effect_at_once(
    control: LocalControl, spawn: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    """What holds streams and calls in flight needs the watcher every 20 ms."""
    told: list[int] = []
    control.watch(lambda table: told.append(table.generation))
    control.interval = 60.0
    control.start()
    other = spawn()
    control.interval = 0.02
    control.wake.set()
    other.ask("switch.kill_agent('a')")
    eventually(lambda: told, 5.0)
