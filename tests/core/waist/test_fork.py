"""Fork after init: children store their own events, see kills, and settle nothing that is their parent's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from deadstop import AgentKilled, StepKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadstop import Monitor

TOOL = StepKind.TOOL
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


def in_child(work: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid


def succeeded(pid: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_every_childs_events_are_stored_once(monitor: Monitor) -> None:
    monitor.begin(TOOL, "before").end()  # the writer thread is running when the fork happens

    def work() -> None:
        for n in range(200):
            monitor.begin(TOOL, f"t{n}").end()
        assert monitor.drain(5)

    children = [in_child(work) for _ in range(4)]
    assert [succeeded(pid) for pid in children] == [True] * 4
    names = [row["name"] for row in monitor.get_events(limit=None)]
    assert len(names) == 4 * 200 + 1
    assert names.count("before") == 1


def test_a_child_sees_kills_and_is_seen(monitor: Monitor) -> None:
    monitor.begin(TOOL, "t").end()
    read, write = os.pipe()
    go_on, go = os.pipe()

    def work() -> None:
        monitor.begin(TOOL, "t").end()
        os.write(write, b"r")
        os.read(go_on, 1)
        with pytest.raises(AgentKilled):
            monitor.begin(TOOL, "t")

    pid = in_child(work)
    os.read(read, 1)
    monitor.kill_agent("default", "from the parent")
    os.write(go, b"g")
    assert succeeded(pid)


def test_a_kill_in_the_child_stops_the_parent(monitor: Monitor) -> None:
    assert succeeded(in_child(lambda: monitor.kill_agent("default", "from the child")))
    with pytest.raises(AgentKilled, match="from the child"):
        monitor.begin(TOOL, "t")


def test_a_child_settles_no_step_of_its_parent(monitor: Monitor) -> None:
    step = monitor.begin(TOOL, "parents")

    def work() -> None:
        step.end()
        with monitor.step(TOOL, "childs"):
            pass
        assert monitor.drain(5)

    assert succeeded(in_child(work))
    step.end()
    names = sorted(str(row["name"]) for row in monitor.get_events())
    assert names == ["childs", "parents"]
