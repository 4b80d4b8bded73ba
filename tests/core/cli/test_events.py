"""`events`: what is listed, in which order, and that `--follow` shows what other processes record."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import pytest

from deadstop import AgentEvent, Monitor, StepKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Cli, Start

HOSTILE = "\x1b[2J\nkill  everything\r\u202e [red]x[/red]"


@pytest.fixture
def monitor(home: Path) -> Iterator[Monitor]:
    """A Monitor on the home that the command looks at."""
    with Monitor(home=home, discover=False) as monitor:
        yield monitor


def _record(monitor: Monitor, *agents: str, at: float | None = None) -> None:
    for agent in agents:
        monitor.record(AgentEvent(time.time() if at is None else at, agent, "action", {"n": 1}, f"session of {agent}"))
    monitor.drain()


def test_the_newest_comes_last_and_n_limits(cli: Cli, monitor: Monitor) -> None:
    _record(monitor, "one", "two", "three")
    assert [event["agent"] for event in cli("events", "--json").json] == ["one", "two", "three"]
    assert [event["agent"] for event in cli("events", "-n", "2", "--json").json] == ["two", "three"]
    assert cli("events", "-n", "0", "--json").json == []
    lines = cli("events").out.splitlines()
    assert [line.split()[3] for line in lines] == ["one", "two", "three"]


def test_filters(cli: Cli, monitor: Monitor) -> None:
    _record(monitor, "old", at=time.time() - 3600)
    _record(monitor, "one", "two")
    monitor.kill_agent("two", "too dear")
    monitor.drain()

    def agents(*filters: str) -> list[str]:
        return [event["agent"] for event in cli("events", "--json", *filters).json]

    assert agents("--agent", "one") == ["one"]
    assert agents("--session", "session of two") == ["two"]
    assert agents("--since", "10m", "--type", "action") == ["one", "two"]
    assert agents("--until", "10m") == ["old"]
    assert agents("--since", str(time.time() - 7200), "--until", str(time.time() - 60)) == ["old"]
    assert agents("--since", "2020-01-01", "--type", "kill") == ["two"]
    assert agents("--since", "2020-01-01T00:00:00Z", "--agent", "nobody") == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--type", "acton"), "did you mean 'action'?"),
        (("--type", "\x1b[2J"), "there are: "),
        (("--since", "tomorrow"), "--since"),
        (("--until", "-5"), "--until"),
        (("-n", "many"), "-n"),
        (("-n", "-1"), "-n"),
    ],
)
def test_wrong_filters_are_2(cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    done = cli("events", *arguments)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert "\x1b" not in done.err
    assert "Traceback" not in done.err


def test_steps_tell_their_kind_name_usage_and_reason(cli: Cli, monitor: Monitor) -> None:
    with monitor.agent("sales"), monitor.step(StepKind.MODEL, "gpt-4o") as step:
        step.usage(input_tokens=120, output_tokens=30, cost_usd=0.0012)
    monitor.drain()
    line = cli("events", "--type", "action").out
    assert "model gpt-4o" in line
    assert "120 in 30 out" in line
    assert "$0.0012" in line


def test_follow_shows_what_another_process_records(start: Start, monitor: Monitor) -> None:
    _record(monitor, "before")
    follow = start("events", "--follow", "--json", "--type", "action")
    assert json.loads(follow.line())["agent"] == "before"
    _record(monitor, "after")
    event = json.loads(follow.line())
    assert (event["agent"], event["data"]) == ("after", {"n": 1})
    _record(monitor, "later")
    assert json.loads(follow.line())["agent"] == "later"


def test_follow_shows_only_what_was_asked_for(start: Start, monitor: Monitor) -> None:
    _record(monitor, "mine")
    follow = start("events", "-f", "--agent", "mine")
    assert "mine" in follow.line()
    _record(monitor, "other", "mine")
    assert "mine" in follow.line()


def test_follow_shows_a_home_that_is_empty_at_first(start: Start, cli: Cli) -> None:
    cli("kill", "somebody")
    follow = start("events", "--follow", "--type", "kill")
    assert "somebody" in follow.line()
    cli("kill", "another")
    assert "another" in follow.line()


def test_control_c_ends_it_quietly_with_130(start: Start, monitor: Monitor) -> None:
    _record(monitor, "one")
    follow = start("events", "--follow")
    follow.line()
    follow.process.send_signal(signal.SIGINT)
    assert follow.end() == (130, "")


def test_a_closed_pipe_ends_it_quietly(start: Start, monitor: Monitor) -> None:
    """As in `deadstop events --follow | head -1`."""
    _record(monitor, "one")
    follow = start("events", "--follow")
    follow.line()
    follow.process.stdout.close()  # type: ignore[union-attr]
    _record(monitor, "two")
    assert follow.end() == (141, "")


@pytest.mark.isolates
def test_what_agents_write_stays_on_its_line(cli: Cli, monitor: Monitor) -> None:
    monitor.record(AgentEvent(time.time(), HOSTILE, "error", {"error": HOSTILE, "reason": HOSTILE}, HOSTILE))
    monitor.record(AgentEvent(time.time(), "a" * 10_000, "error", {"error": "b" * 10_000}))
    monitor.drain()
    told = cli("events")
    assert len(told.out.splitlines()) == 2
    assert all(char == "\n" or char.isprintable() for char in told.out)
    assert max(map(len, told.out.splitlines())) < 400
    assert "\\x1b[2J" in told.out
    first = cli("events", "--json").json[0]
    assert first["data"]["error"] == HOSTILE  # JSON tells it as it is, escaped
