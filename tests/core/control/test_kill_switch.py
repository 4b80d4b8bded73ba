"""The switch of seeds/1, and pauses by hand."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from deadstop.control import suggest
from deadstop.control.kill_switch import KillState, KillSwitch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def switch(home: Path) -> Iterator[KillSwitch]:
    switch = KillSwitch(home)
    yield switch
    switch.close()


def test_after_three_kills_the_state_holds_one_of_each_in_every_process(
    switch: KillSwitch, spawn: Callable[..., Any]
) -> None:
    other = spawn()
    switch.kill_agent("a", "one")
    switch.kill_session("s", reason="two")
    switch.kill_global(reason="three")
    state = switch.get_state()
    expected = KillState(
        {"a"}, {"s"}, global_kill=True, reasons={"agent:a": "one", "session:s": "two", "global": "three"}
    )
    assert state == expected
    assert other.ask("switch.get_state()") == repr(expected)


def test_the_state_is_a_copy(switch: KillSwitch) -> None:
    switch.kill_agent("a")
    switch.get_state().killed_agents.clear()
    assert switch.get_state().killed_agents == {"a"}


def test_revive_lifts_the_agent_or_the_session_or_both_and_nothing_else(switch: KillSwitch) -> None:
    def kill_both() -> None:
        switch.kill_agent("a")
        switch.kill_session("s")

    kill_both()
    switch.revive("a")
    assert (switch.is_killed("a"), switch.is_killed("a", "s")) == (False, True)
    kill_both()
    switch.revive(session_id="s")
    assert (switch.is_killed("a"), switch.is_killed("b", "s")) == (True, False)
    kill_both()
    assert {row.target for row in switch.revive("a", "s")} == {"agent:a", "session:s"}
    assert switch.get_state() == KillState()
    assert switch.revive("a", "s") == []


def test_revive_without_a_target_names_the_one_that_means_everything(switch: KillSwitch) -> None:
    with pytest.raises(ValueError, match="revive_global"):
        switch.revive()


def test_revive_global_leaves_what_was_killed_one_by_one(switch: KillSwitch) -> None:
    switch.kill_global()
    switch.kill_agent("a")
    switch.revive_global(reason="over")
    assert (switch.is_killed("a"), switch.is_killed("b")) == (True, False)


def test_runs_and_tags_are_killed_and_revived(switch: KillSwitch) -> None:
    table = switch.control.current
    switch.kill_run("r1", "why")
    switch.kill_tag("beta")
    assert table().match(("a",), "s", "r1", ()) is not None
    assert table().match(("a",), "s", "r2", ("alpha", "beta")) is not None
    assert switch.get_state().reasons == {"run:r1": "why", "tag:beta": ""}
    assert len(switch.revive_run("r1") + switch.revive_tag("beta")) == 2
    assert table().empty


def test_a_pause_is_lifted_by_resume_and_not_by_revive(switch: KillSwitch) -> None:
    switch.pause("a", session_id="s", reason="lunch", actor="ann")
    switch.kill_agent("a")
    switch.revive("a")
    row = switch.control.current().match(("a",), None, None)
    assert row is not None
    assert (row.action, row.reason, row.actor, row.until) == ("pause", "lunch", "ann", None)
    assert not switch.is_killed("a")
    assert [row.target for row in switch.resume("a")] == ["agent:a"]
    assert switch.control.current().match(("a",), None, None) is None
    assert switch.control.current().match(("a",), "s", None) is not None
    switch.resume(session_id="s")
    assert switch.control.current().empty


def test_every_kind_of_target_can_be_paused_and_for_a_time(switch: KillSwitch) -> None:
    rows = switch.pause("a", session_id="s", run_id="r", tag="t", everything=True, seconds=60)
    assert [row.target for row in rows] == ["agent:a", "session:s", "run:r", "tag:t", "global"]
    assert all(row.until is not None and 50 < row.until - time.time() <= 60 for row in rows)
    assert len(switch.resume("a", session_id="s", run_id="r", tag="t", everything=True)) == 5


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_pause_without_a_target_or_a_length_is_a_value_error(switch: KillSwitch, seconds: float) -> None:
    with pytest.raises(ValueError, match="everything=True"):
        switch.pause()
    with pytest.raises(ValueError, match="everything=True"):
        switch.resume()
    with pytest.raises(ValueError, match="more than 0 seconds"):
        switch.pause("a", seconds=seconds)


def test_a_switch_without_a_place_uses_the_home_that_is_found(state_home: Path) -> None:
    switch = KillSwitch()
    assert switch.control.home == state_home / "home"
    switch.kill_agent("a")
    again = KillSwitch(str(state_home / "home"))
    assert again.is_killed("a")
    again.close()
    switch.close()


def test_the_nearest_known_name_is_suggested() -> None:
    known = ["sales-agent", "Support", "researcher"]
    assert suggest("sales-agnet", known) == "sales-agent"
    assert suggest("support", known) == "Support"
    assert suggest("sales-agent", known) is None
    assert suggest("xyz", known) is None
    assert suggest("a", []) is None
