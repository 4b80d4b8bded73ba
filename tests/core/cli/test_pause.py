"""`pause` and `resume`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Cli, StartAgent


def test_a_pause_stops_the_agent_and_a_resume_lets_it_go_on(cli: Cli, agent: StartAgent) -> None:
    worker = agent("sales-agent", again=True)
    paused = cli("pause", "sales-agent", "--reason", "lunch")
    assert paused.code == 0
    assert paused.out.startswith("paused sales-agent: seen by 1 of 1 live process (")
    assert worker.stopped() == ["AgentPaused", "sales-agent paused: lunch (policy pause)"]
    resumed = cli("resume", "sales-agent")
    assert resumed.code == 0
    assert resumed.out.startswith("resumed sales-agent: seen by 1 of 1 live process (")


@pytest.mark.parametrize(("text", "seconds"), [("60", 60.0), ("90s", 90.0), ("10m", 600.0), ("1h", 3600.0)])
def test_a_pause_may_end_by_itself(cli: Cli, text: str, seconds: float) -> None:
    paused = cli("pause", "sales-agent", "--for", text)
    assert paused.out.startswith(f"paused sales-agent for {seconds:g} s: ")
    (row,) = cli("status", "--json").json["homes"][0]["controls"]
    assert row["until"] == pytest.approx(time.time() + seconds, abs=30)


@pytest.mark.parametrize("text", ["0", "-5", "soon", "nan", "10 years", ""])
def test_a_pause_for_no_time_is_wrong_usage(cli: Cli, text: str) -> None:
    done = cli("pause", "sales-agent", f"--for={text}")
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err


def test_a_pause_of_nobody_exits_with_4_and_a_resume_of_nobody_with_0(cli: Cli) -> None:
    assert cli("pause", "sales-agent").code == 4
    assert cli("resume", "sales-agent").code == 0
    assert cli("resume", "sales-agent").code == 1


def test_a_resume_lifts_no_kill_and_a_revive_no_pause(cli: Cli) -> None:
    cli("kill", "sales-agent")
    cli("pause", "sales-agent")
    assert "sales-agent is not killed" not in cli("resume", "sales-agent").err
    assert [row["action"] for row in cli("status", "--json").json["homes"][0]["controls"]] == ["kill"]
    cli("pause", "sales-agent")
    cli("revive", "sales-agent")
    assert [row["action"] for row in cli("status", "--json").json["homes"][0]["controls"]] == ["pause"]


def test_everything_can_be_paused_and_resumed(cli: Cli, agent: StartAgent) -> None:
    worker = agent("sales-agent", again=True)
    assert cli("pause", "--all", "--json").json["target"] == "global"
    assert worker.stopped()[0] == "AgentPaused"
    assert cli("resume", "--all").out.startswith("resumed everything: seen by 1 of 1")
