"""Rows, and which of them stops a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deadstop.control.local import LocalControl
from deadstop.control.table import ControlTable, Row

if TYPE_CHECKING:
    from pathlib import Path


class Clocks:
    """A wall clock that can be set, and one that nobody can set."""

    def __init__(self) -> None:
        self.wall = 1_000_000.0
        self.monotonic = 50.0

    def pass_seconds(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def table(self, *rows: Row, after: ControlTable | None = None) -> ControlTable:
        deadlines = after.deadlines if after else None
        return ControlTable(rows, deadlines=deadlines, wall=lambda: self.wall, monotonic=lambda: self.monotonic)


def test_an_empty_table_matches_nothing() -> None:
    table = ControlTable()
    assert table.empty
    assert table.match(("a",), "s", "r", ("t",)) is None
    assert not table.is_killed("a", "s")


@pytest.mark.parametrize(
    ("scope", "name"),
    [("global", ""), ("agent", "outer"), ("agent", "inner"), ("session", "s"), ("run", "r"), ("tag", "t2")],
)
@pytest.mark.parametrize("action", ["kill", "pause"])
def test_a_row_of_every_scope_stops_the_step_that_carries_its_name(action: str, scope: str, name: str) -> None:
    row = Row(action, scope, name)
    table = ControlTable([row])
    assert table.match(("outer", "inner"), "s", "r", ("t1", "t2")) is row
    assert (table.match(("x",), "y", "z", ("t",)) is row) == (scope == "global")
    assert (table.match((), None, None, ()) is row) == (scope == "global")


def test_names_of_one_scope_do_not_match_another() -> None:
    table = ControlTable([Row("kill", scope, "x") for scope in ("session", "run", "tag")])
    assert table.match(("x",), None, None, ()) is None
    assert not table.is_killed("x")


def test_a_kill_beats_any_pause() -> None:
    kill = Row("kill", "tag", "t")
    table = ControlTable([Row("pause", "global"), kill, Row("pause", "agent", "a")])
    assert table.match(("a",), None, None, ("t",)) is kill


def test_of_several_kills_of_one_target_the_newest_is_told() -> None:
    old, new = Row("kill", "agent", "a", policy="p", generation=3), Row("kill", "agent", "a", generation=7)
    assert ControlTable([new, old]).match(("a",), None, None) is new


def test_is_killed_knows_agents_sessions_and_everything() -> None:
    table = ControlTable([Row("kill", "agent", "a"), Row("kill", "session", "s"), Row("pause", "agent", "p")])
    assert table.is_killed("a")
    assert table.is_killed("b", "s")
    assert not table.is_killed("b")
    assert not table.is_killed("p")
    assert ControlTable([Row("kill", "global")]).is_killed("b")


def test_a_scope_of_a_newer_version_stops_nothing_and_breaks_nothing() -> None:
    table = ControlTable([Row("kill", "planet", "earth"), Row("freeze", "agent", "a")])
    assert table.match(("a", "earth"), "earth", "earth", ("earth",)) is None


def test_a_timed_pause_ends_by_itself_and_an_untimed_one_does_not() -> None:
    clocks = Clocks()
    timed, for_ever = Row("pause", "agent", "a", until=clocks.wall + 10), Row("pause", "agent", "b")
    table = clocks.table(timed, for_ever)
    clocks.pass_seconds(9.9)
    assert table.match(("a",), None, None) is timed
    assert table.remaining(timed) == pytest.approx(0.1)
    clocks.pass_seconds(0.2)
    assert table.match(("a",), None, None) is None
    assert table.remaining(timed) == 0.0
    clocks.pass_seconds(1e9)
    assert table.match(("b",), None, None) is for_ever
    assert table.remaining(for_ever) is None


def test_of_several_pauses_on_a_step_one_that_still_holds_is_found() -> None:
    clocks = Clocks()
    short = Row("pause", "agent", "a", until=clocks.wall + 1)
    long = Row("pause", "agent", "a", until=clocks.wall + 100, policy="p")
    session = Row("pause", "session", "s", until=clocks.wall + 200)
    table = clocks.table(long, short, session)
    clocks.pass_seconds(50)
    assert table.match(("a",), "s", None) is long
    clocks.pass_seconds(100)
    assert table.match(("a",), "s", None) is session


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_setting_the_clock_neither_prolongs_nor_cuts_a_pause(home: Path, jump: float) -> None:
    clocks = Clocks()
    control = LocalControl(home, wall=lambda: clocks.wall, monotonic=lambda: clocks.monotonic)
    control.set("pause", "agent", "a", until=clocks.wall + 60)
    clocks.wall += jump
    control.set("kill", "agent", "other")  # the table is made anew after the jump
    clocks.pass_seconds(59)
    assert control.current().match(("a",), None, None) is not None
    clocks.pass_seconds(2)
    assert control.current().match(("a",), None, None) is None


def test_a_pause_set_again_has_a_new_end(home: Path) -> None:
    clocks = Clocks()
    control = LocalControl(home, wall=lambda: clocks.wall, monotonic=lambda: clocks.monotonic)
    control.set("pause", "agent", "a", until=clocks.wall + 10)
    control.set("pause", "agent", "a", until=clocks.wall + 100)
    clocks.pass_seconds(50)
    assert control.current().match(("a",), None, None) is not None


def test_pauses_that_ended_long_ago_are_cleaned_up_by_a_later_write(home: Path) -> None:
    clocks = Clocks()
    control = LocalControl(home, wall=lambda: clocks.wall, monotonic=lambda: clocks.monotonic)
    control.set("pause", "agent", "a", until=clocks.wall + 10)
    clocks.pass_seconds(3 * 86_400)
    assert len(control.current().rows) == 1
    control.set("kill", "agent", "b")
    assert [row.name for row in control.current().rows] == ["b"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("stop", "agent", "a"), "no such control: 'stop'"),
        (("kill", "planet", "a"), "no such control: 'kill' of 'planet'"),
        (("kill", "agent", ""), "needs its name"),
    ],
)
def test_a_call_that_makes_no_sense_is_a_value_error(
    control: LocalControl, call: tuple[str, str, str], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        control.set(*call)
    with pytest.raises(ValueError, match=words):
        control.clear(*call)


def test_only_a_pause_can_have_an_end(control: LocalControl) -> None:
    with pytest.raises(ValueError, match="only pauses end"):
        control.set("kill", "agent", "a", until=1.0)
    with pytest.raises(ValueError, match="no end"):
        control.set("pause", "agent", "a", until=float("nan"))
    assert control.set("pause", "agent", "a", until=float("inf")).until is None
