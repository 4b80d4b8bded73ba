"""Decisions: the first at once, repeats counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deadstop.storage.decisions import DecisionLog
from deadstop.testing import FakeClock

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from deadstop.events import AgentEvent
    from deadstop.storage.sqlite import SqliteEventStore
    from deadstop.storage.writer import EventWriter

    MakeEvent = Callable[..., AgentEvent]
    RunScript = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def writer(store: SqliteEventStore, make_writer: Callable[..., EventWriter]) -> EventWriter:
    return make_writer(store, flush_interval=30)


@pytest.fixture
def log(writer: EventWriter, clock: FakeClock) -> DecisionLog:
    return DecisionLog(writer, clock.monotonic)


@pytest.fixture
def denial(event: MakeEvent) -> Callable[[int], AgentEvent]:
    return lambda n: event(event_type="denial", data={"stands for": n})


def told(writer: EventWriter, store: SqliteEventStore) -> list[object]:
    """Let the writer tick, and return the data of what was told, oldest first."""
    assert writer.drain()  # ticks after this batch
    assert writer.drain()  # what the tick has told
    return [row["data"] for row in reversed(store.read())]


def test_the_first_refusal_is_on_disk_when_it_returns(
    log: DecisionLog, store: SqliteEventStore, denial: Callable[[int], AgentEvent]
) -> None:
    log.refused(("run", "kill", "tool"), denial)
    assert [row["data"] for row in store.read()] == [{"stands for": 1}]


def test_repeats_are_told_once_a_second_with_their_number(
    log: DecisionLog,
    writer: EventWriter,
    store: SqliteEventStore,
    denial: Callable[[int], AgentEvent],
    clock: FakeClock,
) -> None:
    for _ in range(1000):
        log.refused("k", denial)
    assert told(writer, store) == [{"stands for": 1}]
    clock.advance(1)
    expected = [{"stands for": 1}, {"repeats": 999, "stands for": 999}]
    assert told(writer, store) == expected
    for _ in range(3):
        log.refused("k", denial)
    assert told(writer, store) == expected
    clock.advance(1)
    assert told(writer, store) == [*expected, {"repeats": 3, "stands for": 3}]
    clock.advance(100)
    log.refused("k", denial)
    assert len(store.read()) == 3  # never written through again
    assert told(writer, store)[-1] == {"repeats": 1, "stands for": 1}


def test_each_key_has_a_first_of_its_own(
    log: DecisionLog, store: SqliteEventStore, denial: Callable[[int], AgentEvent]
) -> None:
    for run in range(5):
        for _ in range(10):
            log.refused((run, "kill", "model"), denial)
    assert store.count() == 5


def test_records_of_a_killed_agent_are_told_once_a_minute_and_all_are_counted(
    log: DecisionLog,
    writer: EventWriter,
    store: SqliteEventStore,
    denial: Callable[[int], AgentEvent],
    clock: FakeClock,
) -> None:
    for _ in range(10):
        log.once_a_minute("a", denial)
    clock.advance(59)
    log.once_a_minute("a", denial)
    assert told(writer, store) == [{"stands for": 1}]
    clock.advance(1)
    assert told(writer, store)[1:] == [{"repeats": 10, "stands for": 10}]
    clock.advance(600)
    log.once_a_minute("a", denial)  # after a quiet minute it is told at once again
    assert told(writer, store)[2:] == [{"stands for": 1}]
    assert log.refused_records == 12


def test_what_is_remembered_is_bounded_and_loses_no_repeat(
    log: DecisionLog,
    writer: EventWriter,
    store: SqliteEventStore,
    denial: Callable[[int], AgentEvent],
    clock: FakeClock,
) -> None:
    log.refused("early", denial, durable=False)
    log.refused("early", denial, durable=False)
    for run in range(12_000):
        log.refused(run, denial, durable=False)
    assert len(log._refusals.told) <= 10_000
    clock.advance(1)
    assert writer.drain(20)
    assert writer.drain(20)
    assert store.count() == 12_002


def test_closing_tells_the_repeats_that_were_not_due_yet(
    log: DecisionLog, writer: EventWriter, store: SqliteEventStore, denial: Callable[[int], AgentEvent]
) -> None:
    for _ in range(7):
        log.refused("k", denial)
    writer.close()
    assert store.read()[0]["data"] == {"repeats": 6, "stands for": 6}


def test_a_decision_that_can_not_be_told_is_isolated(
    log: DecisionLog, writer: EventWriter, store: SqliteEventStore, event: MakeEvent, clock: FakeClock
) -> None:
    def broken(n: int) -> AgentEvent:
        if n > 1:
            raise RuntimeError("no")
        return event()

    for _ in range(3):
        log.refused("k", broken)
    clock.advance(2)
    assert len(told(writer, store)) == 1
    assert writer.errors == {"decision": 1}


def test_a_forked_child_tells_its_own_decisions_only(
    run_script: RunScript, store: SqliteEventStore, directory: Path
) -> None:
    code = """
writer = EventWriter(SqliteEventStore(directory), flush_interval=0.02)
log = DecisionLog(writer)
def decide(name):
    return lambda n: event(name, n)
for _ in range(5): log.refused("k", decide("parent"))
child = os.fork()
if child == 0:
    for _ in range(3): log.refused("k", decide("child"))
    writer.close()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
writer.close()
"""
    run_script(code, directory)
    assert [row["data"] for row in store.read(agent="parent")] == [{"repeats": 4, "n": 4}, {"n": 1}]
    assert [row["data"] for row in store.read(agent="child")] == [{"repeats": 2, "n": 2}, {"n": 1}]
