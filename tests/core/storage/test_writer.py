"""The writer thread: in order, in bounds, isolated from whatever strangers do on it, and never in the caller's way."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from deadstop.events import AgentEvent
    from deadstop.storage.sqlite import SqliteEventStore
    from deadstop.storage.writer import EventWriter

    MakeEvent = Callable[..., AgentEvent]
    MakeWriter = Callable[..., EventWriter]
    RunScript = Callable[..., subprocess.CompletedProcess[str]]
    Eventually = Callable[[Callable[[], object]], None]


class Gated:
    """A store that writes to a real one when its gate is open, and remembers how."""

    def __init__(self, store: SqliteEventStore) -> None:
        self.store = store
        self.gate = threading.Event()
        self.batches: list[tuple[int, bool]] = []

    def write(self, events: Sequence[AgentEvent], *, durable: bool = False) -> None:
        assert self.gate.wait(20)
        self.batches.append((len(events), durable))
        self.store.write(events, durable=durable)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@pytest.fixture
def gated(store: SqliteEventStore) -> Gated:
    return Gated(store)


def test_nothing_starts_before_the_first_event(store: SqliteEventStore, make_writer: MakeWriter) -> None:
    before = set(threading.enumerate())
    writer = make_writer(store)
    assert set(threading.enumerate()) == before
    assert writer.drain()
    writer.close()
    assert set(threading.enumerate()) == before


def test_events_are_stored_in_order_within_the_flush_interval(
    store: SqliteEventStore, make_writer: MakeWriter, event: MakeEvent, eventually: Eventually
) -> None:
    writer = make_writer(store)
    for n in range(100):
        writer.append(event(name=str(n), timestamp=1_700_000_000.0 if n == 50 else time.time()))
    eventually(lambda: writer.stored == 100)
    rows, _ = store.tail(limit=200)
    assert [row["name"] for row in rows if row["name"] != "50"] == [str(n) for n in range(100) if n != 50]


def test_drain_waits_for_what_came_before_it(gated: Gated, make_writer: MakeWriter, event: MakeEvent) -> None:
    writer = make_writer(gated, flush_interval=0.01)
    writer.append(event())
    assert not writer.drain(0.05)
    assert (writer.pending, writer.stored) in {(0, 0), (1, 0)}  # it is on its way
    gated.gate.set()
    assert writer.drain(10)
    assert (writer.pending, writer.stored) == (0, 1)


def test_a_position_is_passed_when_everything_before_it_is_stored(
    gated: Gated, make_writer: MakeWriter, event: MakeEvent
) -> None:
    writer = make_writer(gated, flush_interval=0.01)
    writer.append(event(name="1"))
    first = writer.position()
    assert not writer.wait_for(first, 0.02)
    gated.gate.set()
    assert writer.wait_for(first, 10)
    assert writer.wait_for(first, 0)
    assert gated.store.count() == 1


def test_many_threads_lose_nothing(store: SqliteEventStore, make_writer: MakeWriter, event: MakeEvent) -> None:
    writer = make_writer(store, flush_interval=0.01)

    def work(name: str) -> None:
        for n in range(1000):
            writer.append(event(name, data={"n": n}))
            if n % 250 == 0:
                assert writer.drain(20)

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.drain(20)
    assert [store.count(agent=f"t{n}") for n in range(8)] == [1000] * 8
    assert (writer.stored, writer.dropped) == (8000, 0)


def test_a_full_queue_drops_the_newest_and_counts_them(
    gated: Gated, make_writer: MakeWriter, event: MakeEvent, eventually: Eventually
) -> None:
    writer = make_writer(gated, flush_interval=0.001, max_events=50)
    writer.append(event(name="taken"))
    eventually(lambda: not writer._queue)  # the writer waits at the gate with it
    for n in range(80):
        writer.append(event(name=str(n)))
    assert writer.dropped == 30
    writer.append_durable(event("decision"))  # there is room for decisions
    assert writer.dropped == 30
    gated.gate.set()
    assert writer.drain(10)
    assert writer.stored == 52


def test_the_bound_in_bytes_holds_and_is_free_again_afterwards(
    gated: Gated, make_writer: MakeWriter, event: MakeEvent
) -> None:
    writer = make_writer(gated, max_bytes=100_000)
    for _ in range(100):
        writer.append(event(data={"x": "y" * 4000}))
    assert 70 < writer.dropped < 90
    gated.gate.set()
    assert writer.drain(10)
    dropped = writer.dropped
    for _ in range(20):
        writer.append(event(data={"x": "y" * 4000}))
    assert writer.dropped == dropped


def test_a_decision_is_on_disk_when_it_returns(gated: Gated, make_writer: MakeWriter, event: MakeEvent) -> None:
    gated.gate.set()
    writer = make_writer(gated, flush_interval=30)
    writer.append(event())
    writer.append_durable(event("decision"))
    assert gated.store.count() == 2
    assert gated.batches[-1][1]
    writer.append(event())
    assert writer.drain()
    assert not gated.batches[-1][1]


def test_a_decision_waits_one_second_at_most(gated: Gated, make_writer: MakeWriter, event: MakeEvent) -> None:
    writer = make_writer(gated)
    started = time.monotonic()
    writer.append_durable(event("decision"))
    assert 0.9 < time.monotonic() - started < 10
    gated.gate.set()
    assert writer.drain(10)
    assert writer.stored == 1


async def test_a_decision_never_makes_an_event_loop_wait(
    gated: Gated, make_writer: MakeWriter, event: MakeEvent
) -> None:
    writer = make_writer(gated)
    writer.append_durable(event("on the loop"))  # the gate is closed: waiting would take a second
    assert gated.batches == []
    in_a_thread = asyncio.create_task(asyncio.to_thread(writer.append_durable, event("in a thread")))
    await asyncio.sleep(0.05)
    assert not in_a_thread.done()
    gated.gate.set()
    await in_a_thread
    assert gated.store.count(agent="in a thread") == 1


def test_a_redactor_takes_secrets_out_before_anybody_sees_them(
    store: SqliteEventStore, make_writer: MakeWriter, event: MakeEvent
) -> None:
    seen: list[object] = []

    def redact(given: AgentEvent) -> AgentEvent | None:
        if given.agent == "private":
            return None
        given.data["key"] = "***"
        return given

    writer = make_writer(store, redact=[("keys", redact)], sinks=[("seen", lambda e: seen.append(e.data))])
    data: dict[str, object] = {"key": "sk-123"}
    writer.append(event(data=data))
    writer.append(event("private"))
    assert writer.drain()
    assert [row["data"] for row in store.read()] == seen == [{"key": "***"}]
    assert data == {"key": "sk-123"}  # the caller's own
    assert (writer.withheld, writer.stored, writer.pending, writer.errors) == (1, 1, 0, {})


@pytest.mark.parametrize("failure", [RuntimeError("no"), SystemExit(1)])
def test_a_redactor_that_fails_costs_the_payload_and_leaks_nothing(
    store: SqliteEventStore, make_writer: MakeWriter, event: MakeEvent, failure: BaseException
) -> None:
    def half_done(given: AgentEvent) -> AgentEvent:
        raise failure

    def adds(given: AgentEvent) -> AgentEvent:
        given.data["seen by"] = "the second"
        return given

    writer = make_writer(store, redact=[("broken", half_done), ("second", adds)])
    writer.append(event(data={"key": "sk-123"}, user="u"))
    assert writer.drain()
    (row,) = store.read()
    assert (row["data"], row["user"]) == ({"redaction_failed": "broken"}, "u")
    assert writer.errors == {"redact broken": 1}


def test_a_redactor_that_answers_nonsense_has_failed(
    store: SqliteEventStore, make_writer: MakeWriter, event: MakeEvent
) -> None:
    nonsense: Any = lambda given: "done"  # noqa: E731
    writer = make_writer(store, redact=[("odd", nonsense)])
    writer.append(event(data={"key": "sk-123"}))
    assert writer.drain()
    assert store.read()[0]["data"] == {"redaction_failed": "odd"}


def test_a_redactor_may_leave_data_that_json_does_not_know(
    store: SqliteEventStore, make_writer: MakeWriter, event: MakeEvent
) -> None:
    def redact(given: AgentEvent) -> AgentEvent:
        given.data["set"] = {1}
        return given

    writer = make_writer(store, redact=[("r", redact)])
    writer.append(event())
    assert writer.drain()
    assert store.read()[0]["data"] == {"set": [1]}


def test_sinks_are_isolated_from_each_other_and_from_the_store(
    store: SqliteEventStore, make_writer: MakeWriter, event: MakeEvent
) -> None:
    seen: list[str | None] = []

    def vandal(given: AgentEvent) -> None:
        given.data.clear()
        given.name = "spoilt"
        raise SystemExit(3)

    writer = make_writer(store, sinks=[("vandal", vandal), ("good", lambda e: seen.append(e.name))])
    for n in range(3):
        writer.append(event(name=str(n), data={"n": n}))
    assert writer.drain()
    assert seen == ["0", "1", "2"]
    assert [row["data"] for row in store.read()] == [{"n": 2}, {"n": 1}, {"n": 0}]
    assert writer.errors == {"sink vandal": 3}
    assert writer.report()["sink vandal"]["last"] == "SystemExit: 3"


def test_a_sink_that_fails_five_times_in_a_row_is_left_alone_for_a_while(
    store: SqliteEventStore, make_writer: MakeWriter, event: MakeEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deadstop.storage import delivery

    monkeypatch.setattr(delivery, "_QUARANTINE", 0.2)
    calls: list[str | None] = []
    broken = True

    def sink(given: AgentEvent) -> None:
        calls.append(given.name)
        if broken:
            raise RuntimeError("down")

    writer = make_writer(store, sinks=[("s", sink)])
    for n in range(20):
        writer.append(event(name=str(n)))
    assert writer.drain()
    assert calls == ["0", "1", "2", "3", "4"]
    assert writer.errors == {"sink s": 5, "sink s in quarantine": 15}
    time.sleep(0.25)  # the quarantine
    writer.append(event(name="one try"))
    writer.append(event(name="not this one"))
    assert writer.drain()
    assert calls[5:] == ["one try"]
    time.sleep(0.25)
    broken = False
    for name in ("well", "again"):
        writer.append(event(name=name))
    assert writer.drain()
    assert calls[6:] == ["well", "again"]


def test_sinks_and_redactors_can_come_later(store: SqliteEventStore, make_writer: MakeWriter, event: MakeEvent) -> None:
    writer = make_writer(store)
    writer.append(event(name="1"))
    assert writer.drain()
    seen: list[str | None] = []
    writer.sinks += (("late", lambda e: seen.append(e.name)),)
    writer.append(event(name="2"))
    assert writer.drain()
    assert seen == ["2"]


def test_a_sink_may_record_and_decide_without_waiting_for_itself(
    store: SqliteEventStore, make_writer: MakeWriter, event: MakeEvent
) -> None:
    answers: list[bool] = []

    def sink(given: AgentEvent) -> None:
        if given.agent == "a":
            writer.append(event("told by a sink"))
            writer.append_durable(event("decided by a sink"))
            answers.append(writer.drain(20))

    writer = make_writer(store, sinks=[("s", sink)])
    started = time.monotonic()
    writer.append(event())
    assert writer.drain(20)
    assert writer.drain(20)
    assert time.monotonic() - started < 5
    assert answers == [False]
    assert store.count() == 3


def test_the_tick_is_called_whether_or_not_there_are_events(
    store: SqliteEventStore, make_writer: MakeWriter, event: MakeEvent, eventually: Eventually
) -> None:
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(threading.get_ident())
        if len(ticks) == 2:
            raise RuntimeError("tick")

    writer = make_writer(store, on_tick=tick, flush_interval=0.01)
    writer.wake()
    eventually(lambda: len(ticks) > 4)
    assert threading.get_ident() not in ticks
    assert writer.errors == {"tick": 1}


def test_waking_has_the_tick_called_at_once(
    store: SqliteEventStore, make_writer: MakeWriter, eventually: Eventually
) -> None:
    ticks: list[int] = []
    writer = make_writer(store, on_tick=lambda: ticks.append(1), flush_interval=3600)
    for n in range(3):
        writer.wake()
        eventually(lambda n=n: len(ticks) == n + 1)  # type: ignore[misc]


def test_a_new_day_prunes(
    make_store: Callable[..., SqliteEventStore], make_writer: MakeWriter, event: MakeEvent
) -> None:
    from deadstop.testing import FakeClock

    clock = FakeClock()
    store = make_store(clock=clock.time, retention_days=1)
    writer = make_writer(store, clock=clock.time, flush_interval=0.01)
    writer.append(event(timestamp=clock.time(), name="old"))
    assert writer.drain()
    for _ in range(2):
        clock.advance(86_400)
        writer.append(event(timestamp=clock.time(), name="new"))
        assert writer.drain()
    assert writer.drain()  # the day's pruning comes after its first batch
    assert [row["name"] for row in store.read()] == ["new", "new"]


def test_closing_stores_what_is_pending_and_drops_what_comes_after(
    store: SqliteEventStore, make_writer: MakeWriter, event: MakeEvent
) -> None:
    before = set(threading.enumerate())
    writer = make_writer(store, flush_interval=30)
    for _ in range(100):
        writer.append(event())
    writer.close()
    writer.close()
    assert store.count() == 100
    assert set(threading.enumerate()) == before
    writer.append(event())
    writer.append_durable(event())
    assert (writer.dropped, writer.pending, writer.stored) == (2, 0, 100)
    assert writer.drain()


def test_closing_gives_up_after_its_time(
    gated: Gated, make_writer: MakeWriter, event: MakeEvent, eventually: Eventually
) -> None:
    writer = make_writer(gated)
    writer.append(event())
    started = time.monotonic()
    writer.close(0.2)
    assert time.monotonic() - started < 5
    gated.gate.set()
    eventually(lambda: gated.store.count() == 1)  # what had begun is not broken off


def test_an_event_that_nobody_can_read_harms_no_other(
    store: SqliteEventStore, make_writer: MakeWriter, event: MakeEvent
) -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    loop: list[object] = []
    loop.append(loop)
    writer = make_writer(store, sinks=[("s", lambda e: None)])
    writer.append(event(name="before"))
    for data in ({"x": loop}, {"x": Hostile()}, {"x": "\ud800"}, {1: {2}}, None, 7):
        writer.append(event("odd", data=data))
    writer.append(None)  # type: ignore[arg-type]
    writer.append(event("odd", timestamp=float("nan"), cost_usd="x", tags=7, agents=3))
    writer.append(event(name="after"))
    assert writer.drain()
    assert (store.count(), store.count(agent="odd"), writer.errors) == (9, 7, {})


def test_appending_from_a_signal_handler_and_a_finaliser_never_hangs(
    run_script: RunScript, store: SqliteEventStore, directory: Path
) -> None:
    code = """
import gc
writer = EventWriter(SqliteEventStore(directory), flush_interval=0.001)
class Dropped:
    def __init__(self): self.me = self
    def __del__(self): writer.append(event("finaliser"))
caught = 0
def handler(*_):
    global caught
    caught += 1
    writer.append_durable(event("handler"))
    writer.drain()
    if time.monotonic() < deadline: signal.setitimer(signal.ITIMER_REAL, 0.001)
deadline = time.monotonic() + 1
dropped = 0
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001)
while time.monotonic() < deadline:
    Dropped(); dropped += 1
    writer.append(event("main"))
    writer.drain()
time.sleep(0.1)
gc.collect()
assert caught > 10 and writer.drain(10)
assert SqliteEventStore(directory).count(agent="handler") == caught
assert SqliteEventStore(directory).count(agent="finaliser") == dropped
"""
    run_script(code, directory)


def test_a_busy_thread_does_not_starve_the_writer(
    store: SqliteEventStore, make_writer: MakeWriter, event: MakeEvent
) -> None:
    """Beside a thread that computes, each SQLite call may cost 5 ms: row by row, 4,000 events would take 20 s."""
    writer = make_writer(store)
    done = threading.Event()

    def compute() -> None:
        n = 0
        while not done.is_set():
            for _ in range(10_000):
                n += 1

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        for n in range(4000):
            writer.append(event(name=str(n)))
        assert writer.drain(10)
    finally:
        done.set()
        thread.join()
    assert store.count() == 4000


def test_a_writer_that_is_dropped_after_closing_leaves_nothing(store: SqliteEventStore, event: MakeEvent) -> None:
    import weakref

    from deadstop.storage.writer import EventWriter

    writer = EventWriter(store)
    writer.append(event())
    writer.close()
    gone = weakref.ref(writer)
    del writer
    gc.collect()
    assert gone() is None
