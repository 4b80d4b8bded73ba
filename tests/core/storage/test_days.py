"""One file a day: where events go, how old days end, and what another version or a damaged file means."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deadstop.storage import StoreError
from deadstop.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadstop.events import AgentEvent
    from deadstop.storage.sqlite import SqliteEventStore

    MakeEvent = Callable[..., AgentEvent]
    MakeStore = Callable[..., SqliteEventStore]

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc).timestamp()
DAY = 86_400


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(wall=NOON)


@pytest.fixture
def store(make_store: MakeStore, clock: FakeClock) -> SqliteEventStore:
    return make_store(clock=clock.time, retention_days=30)


def day_files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.db"))


def open_day_files() -> int:
    """Count this process's open descriptors of day files."""
    targets = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            targets.append(str(descriptor.readlink()))
    return sum(".db" in target for target in targets)


def test_an_event_goes_to_the_day_of_its_timestamp(store: SqliteEventStore, event: MakeEvent, directory: Path) -> None:
    store.write([event(timestamp=NOON), event(timestamp=NOON - 3 * DAY), event(timestamp=NOON - 12 * 3600 - 0.001)])
    assert day_files(directory) == ["events-20261117.db", "events-20261119.db", "events-20261120.db"]


def test_only_the_owner_may_read(store: SqliteEventStore, event: MakeEvent, directory: Path) -> None:
    old = os.umask(0)
    try:
        store.write([event(timestamp=NOON)])
    finally:
        os.umask(old)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    assert sorted(path.name for path in directory.iterdir()) == [
        "events-20261120.db", "events-20261120.db-shm", "events-20261120.db-wal",
    ]  # fmt: skip


def test_a_new_day_gets_a_new_file(
    store: SqliteEventStore, event: MakeEvent, directory: Path, clock: FakeClock
) -> None:
    store.write([event(timestamp=clock.time())])
    clock.advance(DAY)
    store.write([event(timestamp=clock.time())])
    assert day_files(directory) == ["events-20261120.db", "events-20261121.db"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_at_most_three_days_are_open(store: SqliteEventStore, event: MakeEvent) -> None:
    before = open_day_files()
    store.write([event(timestamp=NOON - n * DAY) for n in range(10)])
    assert 0 < open_day_files() - before <= 3 * 3
    store.close()
    assert open_day_files() == before


def test_older_than_the_retention_goes_to_the_oldest_day_and_is_marked(
    store: SqliteEventStore, event: MakeEvent, directory: Path
) -> None:
    store.write([event(timestamp=float(n), data={"x": 1}) for n in range(0, 100_000_000, 1_000_000)])
    assert day_files(directory) == ["events-20261021.db"]
    assert [row["timestamp"] for row in store.read()] == list(range(99_000_000, -1, -1_000_000))
    assert store.read()[-1]["data"] == {"x": 1, "older_than_retention": True}


def test_what_came_too_late_for_its_day_is_in_its_place_for_readers(
    store: SqliteEventStore, event: MakeEvent, directory: Path, clock: FakeClock
) -> None:
    store.write([event(timestamp=float(n)) for n in (5, 3, 1)])
    clock.advance(DAY)
    store.write([event(timestamp=float(n)) for n in (4, 2)] + [event(timestamp=NOON - n * DAY) for n in range(3)])
    assert len(day_files(directory)) == 5
    late = [5.0, 4.0, 3.0, 2.0, 1.0]
    assert [row["timestamp"] for row in store.read()] == [NOON, NOON - DAY, NOON - 2 * DAY, *late]
    assert [row["timestamp"] for row in store.read(until=5, limit=3)] == [4.0, 3.0, 2.0]
    assert [row["timestamp"] for row in store.read(since=4, until=NOON)][1:] == [NOON - 2 * DAY, 5.0, 4.0]
    assert (store.count(), store.count(until=5), store.count(since=5), store.count(since=NOON)) == (8, 4, 4, 1)
    assert [row["hour"] for row in store.hours(until=3600)] == [0, 0]


def test_the_future_counts_as_now(store: SqliteEventStore, event: MakeEvent, directory: Path) -> None:
    store.write([event(timestamp=1e300), event(timestamp=NOON + 3 * DAY), event(timestamp=NOON * 1000)])
    assert day_files(directory) == ["events-20261120.db"]
    assert [row["timestamp"] for row in store.read()] == [NOON] * 3


def test_pruning_deletes_whole_days_and_counts_events(
    store: SqliteEventStore, event: MakeEvent, directory: Path, clock: FakeClock
) -> None:
    store.write([event(timestamp=NOON - n * DAY) for n in (0, 1, 2, 30) for _ in range(5)])
    assert store.prune() == 0
    clock.advance(DAY)
    assert store.prune() == 5
    assert store.prune(before=NOON - DAY) == 5
    assert day_files(directory) == ["events-20261119.db", "events-20261120.db"]
    assert store.prune(retention_days=1) == 5
    assert store.prune(before="2030-01-01") == 5
    assert list(directory.iterdir()) == []
    store.write([event(timestamp=clock.time())])
    assert store.count() == 1


def test_pruning_takes_what_old_days_have_left_behind(
    store: SqliteEventStore, event: MakeEvent, directory: Path
) -> None:
    store.write([event(timestamp=NOON)])
    for name in ("events-20200101.db.corrupt-1", "events-20200101.db-wal", ".events-20200101.db.77-1.new"):
        (directory / name).touch()
    for name in ("events-20261120.db.corrupt-1", "events-2020.db", "mine.db", "events-20209999.db"):
        (directory / name).touch()
    store.prune()
    left = {path.name for path in directory.iterdir() if not path.name.endswith(("-wal", "-shm"))}
    assert left == {
        "events-20261120.db", "events-20261120.db.corrupt-1", "events-2020.db", "mine.db", "events-20209999.db",
    }  # fmt: skip


@pytest.mark.parametrize("days", [-1, 1.5, True, "90"])
def test_a_retention_that_is_no_number_of_days_is_refused(make_store: MakeStore, days: object) -> None:
    with pytest.raises(ValueError, match="whole number of days"):
        make_store(retention_days=days)


def test_an_event_with_an_id_is_stored_once(store: SqliteEventStore, event: MakeEvent) -> None:
    batch = [event(timestamp=NOON, id=f"e{n}", cost_usd=1.0) for n in range(300)]
    store.write(batch)
    store.write([*batch[:200], event(timestamp=NOON, id="new", cost_usd=1.0), event(timestamp=NOON, cost_usd=1.0)])
    store.write(
        [event(timestamp=NOON, cost_usd=1.0), event(timestamp=NOON, id="twice"), event(timestamp=NOON, id="twice")]
    )
    assert store.count() == 300 + 1 + 2 + 1
    assert sum(int(str(row["count"])) for row in store.hours()) == 304
    assert sum(float(str(row["cost_usd"])) for row in store.hours()) == 303


def test_two_stores_of_one_process_share_the_files(make_store: MakeStore, event: MakeEvent, clock: FakeClock) -> None:
    one, other = make_store(clock=clock.time), make_store(clock=clock.time)
    for n in range(20):
        (one if n % 2 else other).write([event(timestamp=NOON, name=str(n))])
    one.close()
    other.write([event(timestamp=NOON)])
    assert one.count() == other.count() == 21


def test_a_file_of_a_newer_version_is_read_and_not_written(
    store: SqliteEventStore, event: MakeEvent, directory: Path
) -> None:
    store.write([event(timestamp=NOON)])
    store.close()
    newer = sqlite3.connect(directory / "events-20261120.db")
    newer.execute("PRAGMA user_version = 7")
    newer.close()
    with pytest.raises(StoreError, match=r"events-20261120\.db has schema 7, this deadstop writes 1: upgrade deadstop"):
        store.write([event(timestamp=NOON)])
    assert len(store.read()) == 1


def test_a_file_of_a_version_that_can_not_be_read_is_an_error_that_says_so(
    store: SqliteEventStore, event: MakeEvent, directory: Path
) -> None:
    store.write([event(timestamp=NOON)])
    store.close()
    newer = sqlite3.connect(directory / "events-20261120.db")
    newer.execute("ALTER TABLE events RENAME COLUMN kind TO sort")
    newer.close()
    with pytest.raises(StoreError, match="newer deadstop that this one can't read: upgrade"):
        store.read()


@pytest.mark.parametrize("content", [b"", b"no database at all" * 1000], ids=["empty", "garbage"])
def test_a_corrupt_file_is_set_aside_and_writing_goes_on(
    store: SqliteEventStore, event: MakeEvent, directory: Path, content: bytes
) -> None:
    store.write([event(timestamp=NOON - DAY, name="yesterday")])
    broken = directory / "events-20261120.db"
    broken.write_bytes(content)
    assert [row["name"] for row in store.read()] == ["yesterday"]
    assert store.tail()[0][0]["name"] == "yesterday"
    store.write([event(timestamp=NOON, name="today")])
    assert [row["name"] for row in store.read()] == ["today", "yesterday"]
    assert (directory / "events-20261120.db.corrupt-1").read_bytes() == content
    assert list(store.unreadable) == ["events-20261120.db"]


def test_damage_under_a_running_store_loses_the_file_and_not_the_writer(
    store: SqliteEventStore, event: MakeEvent, directory: Path
) -> None:
    store.write([event(timestamp=NOON, name=str(n), data={"x": "y" * 500}) for n in range(2000)])
    store.close()
    path = directory / "events-20261120.db"
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    store.write([event(timestamp=NOON, name="after")])
    store.write([event(timestamp=NOON, name="later")])
    assert [row["name"] for row in store.read()] == ["later", "after"]
    assert (directory / "events-20261120.db.corrupt-1").exists()


def test_setting_aside_again_takes_the_next_number(store: SqliteEventStore, event: MakeEvent, directory: Path) -> None:
    directory.mkdir(parents=True)
    for _ in range(3):
        store.close()
        (directory / "events-20261120.db").write_bytes(b"broken" * 100)
        store.write([event(timestamp=NOON)])
    assert sorted(path.name for path in directory.glob("*.corrupt-?")) == [
        f"events-20261120.db.corrupt-{n}" for n in (1, 2, 3)
    ]


def test_a_file_that_is_deleted_under_us_is_made_again(
    store: SqliteEventStore, event: MakeEvent, directory: Path
) -> None:
    store.write([event(timestamp=NOON, name="lost")])
    for path in directory.iterdir():
        path.unlink()
    store.write([event(timestamp=NOON, name="kept")])
    assert [row["name"] for row in store.read()] == ["kept"]


def test_a_directory_that_is_deleted_under_us_is_made_again(
    store: SqliteEventStore, event: MakeEvent, directory: Path
) -> None:
    store.write([event(timestamp=NOON)])
    shutil.rmtree(directory.parent)
    assert store.read() == []
    store.write([event(timestamp=NOON, name="kept")])
    assert [row["name"] for row in store.read()] == ["kept"]


def test_data_that_was_edited_by_hand_is_shown_as_it_is(
    store: SqliteEventStore, event: MakeEvent, directory: Path
) -> None:
    store.write([event(timestamp=NOON)])
    hand = sqlite3.connect(directory / "events-20261120.db")
    hand.execute("UPDATE events SET data = '{oops'")
    hand.commit()
    hand.close()
    assert store.read()[0]["data"] == {"undecodable": "{oops"}


def test_the_store_corrects_what_nobody_has_corrected_before(store: SqliteEventStore, event: MakeEvent) -> None:
    loop: dict[str, object] = {}
    loop["self"] = loop
    store.write([event("a\nb", "nonsense", loop, timestamp=float("nan"), cost_usd="0.5", tags="one")])
    (row,) = store.read()
    assert (row["agent"], row["event_type"], row["cost_usd"], row["tags"]) == ("a b", "action", 0.5, ["one"])
    assert row["data"] == {"self": {"self": "[circular]"}, "timestamp_corrected": True, "event_type_given": "nonsense"}


def test_a_durable_batch_is_synced_and_others_are_not(store: SqliteEventStore, event: MakeEvent) -> None:
    store.write([event(timestamp=NOON)])
    said: list[str] = []
    store._connection(int(NOON // DAY)).set_trace_callback(said.append)
    store.write([event(timestamp=NOON)], durable=True)
    assert said[0] == "PRAGMA synchronous = FULL"
    assert said[-2:] == ["COMMIT", "PRAGMA synchronous = NORMAL"]
    said.clear()
    store.write([event(timestamp=NOON)])
    assert not [statement for statement in said if "synchronous" in statement]
