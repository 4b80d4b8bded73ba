"""Corrupt, lost and foreign files: the mirror, then what is known, then open and loud or closed. Never an exception."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest

from deadstop.control.local import LocalControl
from deadstop.control.mirror import read_mirror

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def ruin(path: Path, content: bytes = b"this is no database" * 500) -> None:
    """Replace a file, and its log, by nonsense."""
    for beside in path.parent.glob(path.name + "-*"):
        beside.unlink()
    path.write_bytes(content)


def names(control: LocalControl) -> set[str]:
    return {row.name for row in control.refresh().rows}


@pytest.fixture
def killed(home: Path) -> Path:
    """A home with two kills and a pause."""
    control = LocalControl(home)
    control.set("kill", "agent", "a", reason="why")
    control.set("kill", "session", "s")
    control.set("pause", "agent", "p")
    return home


@pytest.mark.parametrize("content", [b"no database" * 500, b"", b"SQLite format 3\0" + b"\xff" * 4096])
def test_with_a_corrupt_database_the_mirror_is_in_force_and_the_next_writer_mends_it(
    killed: Path, content: bytes
) -> None:
    ruin(killed / "control.db", content)
    fresh = LocalControl(killed)
    assert names(fresh) == {"a", "s"}
    assert fresh.current().match(("a",), None, None).reason == "why"  # type: ignore[union-attr]
    assert fresh.set("kill", "agent", "b").durable
    again = LocalControl(killed)
    assert names(again) == {"a", "s", "b"}
    assert again.reader.problem == ""
    assert [row.verb for row in again.history()] == ["set"]
    if content:
        assert [path.read_bytes() for path in killed.glob("control.db.broken-*")] == [content]


def test_a_running_process_keeps_its_pauses_while_the_database_is_corrupt(killed: Path) -> None:
    running = LocalControl(killed)
    ruin(killed / "control.db")
    assert names(running) == {"a", "s", "p"}


def test_a_revive_mends_a_corrupt_database_too(killed: Path) -> None:
    ruin(killed / "control.db")
    fresh = LocalControl(killed)
    lifted = fresh.clear("kill", "agent", "a")
    assert lifted is not None
    assert lifted.durable
    assert names(LocalControl(killed)) == {"s"}


def test_a_lost_database_is_made_anew_from_the_mirror(killed: Path) -> None:
    generation = LocalControl(killed).generation
    for path in killed.glob("control.db*"):
        path.unlink()
    fresh = LocalControl(killed)
    assert names(fresh) == {"a", "s"}
    assert fresh.set("kill", "agent", "b").generation > generation


def test_a_database_put_back_from_a_backup_loses_no_kill(home: Path, tmp_path: Path) -> None:
    control = LocalControl(home)
    control.set("kill", "agent", "early")
    backup = (home / "control.db").read_bytes() if not (home / "control.db-wal").exists() else _backup(home, tmp_path)
    control.set("kill", "agent", "late")
    ruin(home / "control.db", backup)
    fresh = LocalControl(home)
    assert names(fresh) == {"early", "late"}
    fresh.clear("kill", "agent", "late")
    assert names(LocalControl(home)) == {"early"}


def _backup(home: Path, tmp_path: Path) -> bytes:
    copy = tmp_path / "backup.db"
    source, target = sqlite3.connect(home / "control.db"), sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()
    return copy.read_bytes()


def test_both_unreadable_is_open_and_loud_once(killed: Path, caplog: pytest.LogCaptureFixture) -> None:
    ruin(killed / "control.db")
    ruin(killed / "kills.json", b"{")
    with caplog.at_level(logging.ERROR, "deadstop"):
        fresh = LocalControl(killed)
        for _ in range(3):
            assert names(fresh) == set()
    assert ["can't read its control state" in record.message for record in caplog.records] == [True]
    assert fresh.isolation.counts["control state"] >= 3
    assert "control.db" in fresh.health()["unreadable"]


def test_both_unreadable_is_closed_where_control_is_required(killed: Path) -> None:
    ruin(killed / "control.db")
    ruin(killed / "kills.json", b"[]")
    fresh = LocalControl(killed, require_control=True)
    row = fresh.current().match(("anyone",), None, None)
    assert row is not None
    assert (row.action, row.scope, row.policy) == ("kill", "global", "control")
    assert "control state is unreadable" in row.reason
    assert fresh.is_killed("anyone")


def test_a_running_process_forgets_no_kill_when_both_become_unreadable(killed: Path) -> None:
    running = LocalControl(killed)
    ruin(killed / "control.db")
    ruin(killed / "kills.json", b"")
    assert names(running) == {"a", "s", "p"}
    assert running.set("kill", "agent", "b").durable
    assert names(LocalControl(killed)) == {"a", "s", "p", "b"}


def test_a_state_made_anew_from_nothing_stays_closed_until_everything_is_revived(killed: Path) -> None:
    """Somebody's next kill mends the database, yet nobody knows which kills were in it."""
    ruin(killed / "control.db")
    ruin(killed / "kills.json", b"")
    guarded = LocalControl(killed, require_control=True)
    other = LocalControl(killed)
    other.set("kill", "agent", "b")
    assert guarded.is_killed("anyone")
    assert not other.is_killed("anyone")
    lifted = other.clear("kill", "global")
    assert lifted is not None
    assert not guarded.is_killed("anyone")
    assert guarded.is_killed("b")


def test_a_lost_mirror_is_written_again_within_the_second(killed: Path, eventually: Callable[..., None]) -> None:
    control = LocalControl(killed)
    control.start()
    ruin(killed / "kills.json", b"")
    eventually(lambda: (killed / "kills.json").stat().st_size > 0, 4.0)
    assert {row.name for row in read_mirror(killed / "kills.json").kills} == {"a", "s"}
    control.close()


def test_a_database_of_a_newer_version_is_obeyed_and_never_written(killed: Path) -> None:
    db = sqlite3.connect(killed / "control.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    fresh = LocalControl(killed)
    assert fresh.is_killed("a")
    row = fresh.set("kill", "agent", "b")
    assert (row.durable, row.reach, fresh.is_killed("b")) == (False, "process", True)
    assert not LocalControl(killed).is_killed("b")
    assert not list(killed.glob("*broken*"))


def test_rows_that_nobody_would_write_do_not_reach_the_agent(killed: Path) -> None:
    db = sqlite3.connect(killed / "control.db")
    db.execute("UPDATE controls SET at = 'yesterday', reason = x'ff00'")
    db.commit()
    db.close()
    assert names(LocalControl(killed)) == {"a", "s"}


def test_a_deleted_home_keeps_its_kills_in_running_processes_and_comes_back_with_the_next_write(
    killed: Path, eventually: Callable[..., None]
) -> None:
    running = LocalControl(killed)
    running.start()
    shutil.rmtree(killed.rename(killed.with_name("gone")))
    eventually(lambda: running.health()["word"] == "private", 4.0)
    assert running.is_killed("a")
    assert not killed.exists()
    assert running.set("kill", "agent", "b").durable
    assert names(LocalControl(killed)) == {"a", "s", "p", "b"}
    running.close()
