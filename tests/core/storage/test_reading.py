"""What readers get: newest first, filters that combine, times that mean what they say."""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from deadstop.events import AgentEvent, EventType

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deadstop.storage.sqlite import SqliteEventStore

    MakeEvent = Callable[..., AgentEvent]

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc).timestamp()
DAY = 86_400


@pytest.fixture
def store(make_store: Callable[..., SqliteEventStore]) -> SqliteEventStore:
    return make_store(clock=lambda: NOON)


def names(rows: list[dict[str, object]]) -> list[object]:
    return [row["name"] for row in rows]


def test_rows_are_dicts_with_nine_keys_in_order_and_then_ours(store: SqliteEventStore) -> None:
    store.write(
        [
            AgentEvent(
                NOON, "a", "cost", {"x": [1, {"y": None}]}, "s", "u", 0.25, 12.5, ["t1", "t2"],
                id="i", run_id="r", step_id="st", parent_id="p", kind="tool", name="search", agents=("boss", "a"),
            )
        ]
    )  # fmt: skip
    (row,) = store.read()
    assert list(row.items()) == [
        ("timestamp", NOON), ("agent", "a"), ("event_type", "cost"), ("data", {"x": [1, {"y": None}]}),
        ("session_id", "s"), ("user", "u"), ("cost_usd", 0.25), ("latency_ms", 12.5), ("tags", ["t1", "t2"]),
        ("id", "i"), ("run_id", "r"), ("step_id", "st"), ("parent_id", "p"), ("kind", "tool"), ("name", "search"),
        ("agents", ["boss", "a"]),
    ]  # fmt: skip


def test_what_was_not_given_reads_as_none_or_empty(store: SqliteEventStore) -> None:
    store.write([AgentEvent(NOON, "a", "action")])
    (row,) = store.read()
    assert (row["data"], row["tags"], row["id"], row["agents"]) == ({}, [], "", ["a"])
    assert {row[key] for key in ("session_id", "user", "cost_usd", "latency_ms", "run_id", "kind", "name")} == {None}


def test_reading_before_anything_was_written_finds_nothing_and_makes_nothing(
    store: SqliteEventStore, directory: Path
) -> None:
    assert (store.read(), store.count(), store.hours(), list(store.iterate())) == ([], 0, [], [])
    assert not directory.exists()


def test_the_newest_come_first_across_days_whatever_order_they_came_in(
    store: SqliteEventStore, event: MakeEvent
) -> None:
    stamps = [NOON - days * DAY - seconds for seconds in (5, 1, 9) for days in (2, 0, 1)]
    store.write([event(timestamp=stamp) for stamp in stamps])
    assert [row["timestamp"] for row in store.read()] == sorted(stamps, reverse=True)


def test_of_the_same_moment_the_last_stored_comes_first(store: SqliteEventStore, event: MakeEvent) -> None:
    store.write([event(timestamp=NOON, name=str(n)) for n in range(5)])
    assert names(store.read()) == ["4", "3", "2", "1", "0"]
    assert names(store.read(limit=2)) == ["4", "3"]


def test_a_limit_takes_the_newest_and_1000_is_the_default(store: SqliteEventStore, event: MakeEvent) -> None:
    store.write([event(timestamp=NOON - DAY - n, name=str(n)) for n in range(1500)])
    store.write([event(timestamp=NOON - n, name=f"today {n}") for n in range(3)])
    assert names(store.read(limit=4)) == ["today 0", "today 1", "today 2", "0"]
    assert len(store.read()) == 1000
    assert len(store.read(limit=None)) == 1503
    assert names(list(store.iterate())) == names(store.read(limit=None))


@pytest.mark.parametrize("limit", [0, -1, 1.5, "10", True])
def test_a_limit_that_is_none_is_an_error_that_says_so(store: SqliteEventStore, limit: Any) -> None:
    with pytest.raises(ValueError, match="must be a positive int, or None"):
        store.read(limit=limit)


def test_filters_combine(store: SqliteEventStore, event: MakeEvent) -> None:
    for agent in ("a", "b"):
        for event_type in ("action", "denial"):
            for session in ("s1", "s2"):
                store.write(
                    [event(agent, event_type, session_id=session, run_id=f"r{session}", timestamp=NOON, name="x")]
                )
    assert len(store.read(agent="a")) == 4
    assert len(store.read(agent="a", event_type="denial")) == 2
    (row,) = store.read(agent="a", event_type="denial", session_id="s2", run_id="rs2")
    assert (row["agent"], row["event_type"], row["session_id"]) == ("a", "denial", "s2")
    assert store.read(agent="a", session_id="s1", run_id="rs2") == []
    assert store.count(event_type="denial") == 4
    assert len(store.read(event_type=EventType.DENIAL)) == 4


def test_an_agent_is_found_wherever_it_is_on_the_path(store: SqliteEventStore, event: MakeEvent) -> None:
    store.write(
        [
            event("ann", timestamp=NOON - 1, name="alone"),
            event("tool", timestamp=NOON - 2, agents=("ann", "mid", "tool"), name="outermost"),
            event("tool", timestamp=NOON - 3, agents=("boss", "ann", "tool"), name="in the middle"),
            event("ann", timestamp=NOON - 4, agents=("boss", "ann"), name="innermost"),
            event("anna", timestamp=NOON - 5, agents=("boss", "joann", "anna"), name="others"),
            event("%", timestamp=NOON - 6, agents=("_", "%"), name="signs"),
        ]
    )
    assert names(store.read(agent="ann")) == ["alone", "outermost", "in the middle", "innermost"]
    assert names(store.read(agent="ann", limit=2)) == ["alone", "outermost"]
    assert store.count(agent="ann") == 4
    assert store.count(agent="ann", since=NOON - 2) == 2
    assert names(store.read(agent="_")) == ["signs"]


def test_names_are_found_as_they_were_stored(store: SqliteEventStore, event: MakeEvent) -> None:
    store.write([event(" sales\n agent ", session_id="x\t y", timestamp=NOON)])
    assert len(store.read(agent="sales  agent", session_id=" x y")) == 1


def test_since_is_inclusive_and_until_is_not(store: SqliteEventStore, event: MakeEvent) -> None:
    store.write([event(timestamp=NOON + n, name=str(n)) for n in range(-3, 1)])
    assert names(store.read(since=NOON - 2, until=NOON)) == ["-1", "-2"]
    assert store.count(since=NOON - 2, until=NOON) == 2


def test_a_range_crosses_midnight(store: SqliteEventStore, event: MakeEvent) -> None:
    midnight = NOON - 12 * 3600
    store.write([event(timestamp=midnight + n, name=str(n)) for n in (-1, 0, 1)])
    assert names(store.read(since=midnight)) == ["1", "0"]
    assert names(store.read(until=midnight)) == ["-1"]
    assert names(store.read(since=midnight - 1, until=midnight + 1)) == ["0", "-1"]


@pytest.mark.parametrize(
    "when",
    [
        NOON,
        int(NOON),
        "2026-11-20T12:00:00",
        "2026-11-20 12:00",
        "2026-11-20T12:00:00Z",
        "2026-11-20t12:00:00.000z",
        "2026-11-20T14:00:00+02:00",
        "2026-11-20T14:00:00.0+0200",
        " 2026-11-20T07:00:00.000000000-05 ",
        "2026-11-20T17:30+05:30",
        datetime(2026, 11, 20, 12),  # noqa: DTZ001 - a naive time is UTC
        datetime(2026, 11, 20, 14, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_every_spelling_of_a_moment_is_the_same_moment(
    store: SqliteEventStore, event: MakeEvent, when: float | str | datetime
) -> None:
    store.write([event(timestamp=NOON + n, name=str(n)) for n in (-0.5, 0, 0.5)])
    assert names(store.read(since=when)) == ["0.5", "0"]
    assert names(store.read(until=when)) == ["-0.5"]


def test_a_date_is_its_first_moment(store: SqliteEventStore, event: MakeEvent) -> None:
    store.write([event(timestamp=NOON - 12 * 3600 + n, name=str(n)) for n in (-1, 0)])
    for day in ("2026-11-20", date(2026, 11, 20)):
        assert names(store.read(since=day)) == ["0"]


@pytest.mark.parametrize(
    "when",
    [
        "yesterday",
        "",
        "2026-13-01",
        "2026-11-20T25:00",
        "12:00",
        "20261120",
        "2026-11-20T12:00:00+99:00",
        "2026-11-20Z",
        float("nan"),
        float("inf"),
        True,
        [],
        b"2026-11-20",
        "x" * 10_000,
    ],
)
def test_a_time_that_is_none_is_an_error_that_says_what_is_accepted(store: SqliteEventStore, when: Any) -> None:
    for ask in (store.read, store.count, store.iterate):
        with pytest.raises(ValueError, match=r"^until=.{1,200}: give epoch seconds, an ISO 8601 time"):
            ask(until=when)


def test_an_export_reads_while_others_write_and_delete(store: SqliteEventStore, event: MakeEvent) -> None:
    store.write([event(timestamp=NOON - n / 100, name=str(n)) for n in range(2500)])
    store.write([event(timestamp=NOON - DAY, name="yesterday")])
    export = store.iterate()
    assert next(export)["name"] == "0"
    store.write([event(timestamp=NOON, name="late")])
    store.prune(before=NOON)
    assert names(list(export)) == [str(n) for n in range(1, 2500)]


def test_the_sums_of_an_hour(store: SqliteEventStore) -> None:
    def call(seconds: float, event_type: str = "action", usage: object = None, **more: Any) -> AgentEvent:
        data: dict[str, object] = {} if usage is None else {"usage": usage}
        return AgentEvent(NOON + seconds, "a", event_type, data, kind="model", name="gpt", **more)

    tokens = {"input_tokens": 100, "output_tokens": 7, "cached_tokens": 3}
    store.write([call(-1, cost_usd=0.5, usage=tokens, id="x"), call(0), call(-2, "error", latency_ms=4)])
    store.write([call(-3, cost_usd=0.25, usage=tokens), call(-4, usage="odd"), call(-5, usage={"input_tokens": -1})])
    store.write([call(-1, cost_usd=0.5, usage=tokens, id="x")])
    hours = {(row["hour"], row["event_type"]): row for row in store.hours(agent="a")}
    assert list(hours) == [(NOON, "action"), (NOON - 3600, "action"), (NOON - 3600, "error")]
    assert hours[NOON - 3600, "action"] == {
        "agent": "a", "hour": NOON - 3600, "event_type": "action", "kind": "model", "name": "gpt",
        "count": 4, "errors": 0, "cost_usd": 0.75, "input_tokens": 200, "output_tokens": 14, "latency_ms": 0.0,
    }  # fmt: skip
    assert (hours[NOON - 3600, "error"]["errors"], hours[NOON - 3600, "error"]["latency_ms"]) == (1, 4.0)
    assert len(store.hours(since=NOON)) == 1
    assert store.hours(agent="b") == []


def test_following_starts_with_the_last_and_goes_on_in_the_order_of_arrival(
    store: SqliteEventStore, event: MakeEvent
) -> None:
    store.write([event(timestamp=NOON - DAY - n, name=f"old {n}") for n in range(3)])
    store.write([event(timestamp=NOON - n, name=f"new {n}") for n in range(3)])
    rows, cursor = store.tail(limit=4)
    assert names(rows) == ["old 2", "new 0", "new 1", "new 2"]
    assert store.tail(cursor)[0] == []
    store.write([event(timestamp=NOON - DAY, name="late"), event(timestamp=NOON - 50, name="now")])
    rows, cursor = store.tail(cursor)
    assert names(rows) == ["late", "now"]
    assert store.tail(cursor)[0] == []


def test_following_with_a_small_limit_misses_nothing(store: SqliteEventStore, event: MakeEvent) -> None:
    _, cursor = store.tail(limit=0)
    for days in (1, 0, 2):
        store.write([event(timestamp=NOON - days * DAY, name=f"{days} {n}") for n in range(5)])
    followed: list[object] = []
    for _ in range(8):
        rows, cursor = store.tail(cursor, 2)
        followed += names(rows)
    assert sorted(map(str, followed)) == sorted(f"{days} {n}" for days in range(3) for n in range(5))


def test_following_goes_on_in_a_file_that_was_made_anew(
    store: SqliteEventStore, event: MakeEvent, directory: Path
) -> None:
    store.write([event(timestamp=NOON, name=str(n)) for n in range(10)])
    _, cursor = store.tail()
    for path in directory.iterdir():
        path.unlink()
    store.write([event(timestamp=NOON, name="again")])
    assert names(store.tail(cursor)[0]) == ["again"]


def test_following_sees_what_another_process_clears_and_writes(store: SqliteEventStore, event: MakeEvent) -> None:
    store.write([event(timestamp=NOON, name=str(n)) for n in range(10)])
    _, cursor = store.tail()
    store.clear()
    assert store.count() == 0
    assert store.hours() == []
    store.write([event(timestamp=NOON, name="after the clear")])
    assert names(store.tail(cursor)[0]) == ["after the clear"]


def test_an_old_quiet_file_is_still_followed_when_something_comes(
    store: SqliteEventStore, event: MakeEvent, directory: Path
) -> None:
    import os

    store.write([event(timestamp=NOON - DAY, name="old")])
    store.close()
    (quiet,) = directory.glob("*.db")
    os.utime(quiet, (time.time() - 100, time.time() - 100))
    _, cursor = store.tail()
    assert store.tail(cursor)[0] == []
    store.write([event(timestamp=NOON - DAY, name="late")])
    assert names(store.tail(cursor)[0]) == ["late"]
