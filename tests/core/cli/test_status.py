"""`status`: what it tells, and that nothing an agent calls itself can garble it."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from deadstop import Monitor, StepKind
from deadstop.control import ProcessRow, open_control

from .conftest import without_colour

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Cli, OnTerminal, StartAgent

# What an agent may call itself after its name was cleaned, and what a person may write as a reason.
MARKUP = "[bold red]big[/bold red] [link=file:///etc]x[/] :smile: {x} %s 🤖 エージェント"
HOSTILE = "\x1b[2J\x1b]0;title\x07\nkilled everything\r\x9b31m\u202eevil\u2028 [red]x[/red]"


def test_with_nobody_there_it_says_so(cli: Cli) -> None:
    told = cli("status")
    assert (told.code, told.err) == (0, "")
    assert told.out == "no process is using deadstop, and nothing is killed or paused\n"
    assert cli("status", "--json").json["homes"] == []


def test_it_shows_processes_agents_sessions_and_kills(cli: Cli, agent: StartAgent, until: Callable[..., None]) -> None:
    worker = agent("sales-agent", session="ticket-1", linger=20)
    cli("kill", "sales-agent", "--reason", "too dear", "--actor", "the pager")
    worker.stopped()
    told = cli("status").out
    for heading in ("killed and paused", "processes", "agents", "sessions"):
        assert heading in told
    assert "agent:sales-agent  killed" in told
    assert "the pager" in told
    assert "too dear" in told
    (report,) = cli("status", "--json").json["homes"]
    (process,) = report["processes"]
    assert (process["pid"], process["state"], process["events_dropped"]) == (worker.process.pid, "live", 0)
    assert process["up_to_date"] is True
    (entry,) = report["agents"]
    assert (entry["name"], entry["state"], entry["pid"]) == ("sales-agent", "killed", worker.process.pid)
    assert entry["last_step"] == "tool work"
    assert entry["steps"] > 1
    assert [session["name"] for session in report["sessions"]] == ["ticket-1"]


def test_a_paused_session_and_a_running_agent_are_told_apart(cli: Cli, agent: StartAgent) -> None:
    agent("desk", session="ticket-1", again=True)
    agent("other", session="ticket-2")
    cli("pause", "--session", "ticket-1")
    (report,) = cli("status", "--json").json["homes"]
    assert {session["name"]: session["state"] for session in report["sessions"]}["ticket-1"] == "paused"
    assert {entry["name"]: entry["state"] for entry in report["agents"]}["other"] in {"running", "idle"}


def test_a_process_without_a_heartbeat_is_stale(cli: Cli, agent: StartAgent, until: Callable[..., None]) -> None:
    worker = agent("sales-agent")
    os.kill(worker.process.pid, signal.SIGSTOP)
    try:
        until(lambda: _process(cli)["state"] == "stale")
    finally:
        os.kill(worker.process.pid, signal.SIGCONT)


def test_a_process_that_was_killed_hard_has_gone(cli: Cli, agent: StartAgent) -> None:
    worker = agent("sales-agent")
    worker.process.kill()
    worker.process.wait()
    assert _process(cli)["state"] == "gone"
    assert "0 live processes, 1 gone" in cli("status").out
    assert str(worker.process.pid) in cli("status", "--all").out


def _process(cli: Cli) -> dict[str, Any]:
    (report,) = cli("status", "--json").json["homes"]
    (process,) = report["processes"]
    return dict(process)


def test_isolated_failures_are_shown_with_their_place(cli: Cli, tmp_path: Path, until: Callable[..., None]) -> None:
    with Monitor(home=tmp_path / "home", discover=False) as monitor:
        monitor.home.isolation.note("sink ledger", RuntimeError("[red]no disk[/red]"))
        home = str(tmp_path / "home")
        until(lambda: cli("status", "--home", home, "--json").json["homes"][0]["processes"][0]["isolated_errors"] == 1)
        told = cli("status", "--home", home).out
        monitor.home.isolation.counts.clear()
    assert "isolated failures" in told
    assert "sink ledger" in told
    assert "RuntimeError: [red]no disk[/red]" in told


@pytest.mark.parametrize("rich", ["with rich", "without rich"])
def test_nothing_that_an_agent_or_a_person_writes_garbles_the_terminal(
    on_terminal: OnTerminal, hide_rich: dict[str, str], tmp_path: Path, rich: str
) -> None:
    if rich == "with rich":
        pytest.importorskip("rich")
    home = str(tmp_path / "home")
    with Monitor(home=home, discover=False) as monitor, monitor.agent(MARKUP, session_id=HOSTILE):
        with monitor.step(StepKind.TOOL, HOSTILE):
            pass
        monitor.kill_agent("other", HOSTILE, actor=HOSTILE)
        deadline = time.monotonic() + 20
        while "other" not in (written := on_terminal("status", "--home", home, env=_hidden(rich, hide_rich))[1]) or (
            "agents" not in written
        ):
            assert time.monotonic() < deadline
    plain = without_colour(written)
    assert "agent:other  killed" in plain  # whatever is written beside it
    assert "[bold red]big[/bold red]" in plain
    assert "\\x1b[2J" in plain
    assert all(char == "\n" or char.isprintable() for char in plain), plain
    assert "\nkilled everything" not in plain


def _hidden(rich: str, hide_rich: dict[str, str]) -> dict[str, str]:
    return {} if rich == "with rich" else hide_rich


def test_colour_is_only_for_terminals_that_want_it(on_terminal: OnTerminal, cli: Cli) -> None:
    pytest.importorskip("rich")
    cli("kill", "sales-agent")
    assert "\x1b[" in on_terminal("status")[1]
    assert "\x1b[3" not in on_terminal("status", env={"NO_COLOR": "1"})[1]
    assert "\x1b" not in cli("status").out


def test_ten_thousand_characters_fit_on_a_line(cli: Cli, home: Path) -> None:
    control = open_control(home)
    control.set("kill", "agent", "a" * 10_000, reason="b" * 10_000, actor="c" * 10_000)
    control.close()
    told = cli("status")
    assert told.code == 0
    assert max(map(len, told.out.splitlines())) < 400
    assert cli("kill", "x" * 10_000).out == f"killed {'x' * 77}...: recorded; no process is alive to see it\n"
    assert cli("revive", "x" * 10_000).code == 0


@pytest.mark.parametrize(
    "facts",
    [
        {"agents": ["a", "b"], "sessions": 7, "isolated": ["x"]},
        {"agents": {"a": None, "b": {"steps": "many", "last_at": "now"}}, "isolated": {"x": 3}},
        {"agents": {"a": {"last_step": {"deep": [1]}}}, "events_dropped": None, "events_stored": "x"},
    ],
)
def test_a_row_of_another_version_is_no_reason_to_fail(cli: Cli, home: Path, facts: dict[str, Any]) -> None:
    row = ProcessRow(1, 1, "another machine", 1, HOSTILE, HOSTILE, time.time(), time.time(), 0, facts)
    (home / "processes").mkdir(parents=True)
    (home / "processes" / "1-1-x.json").write_bytes(msgspec.json.encode(row))
    told = cli("status")
    assert told.code == 0, told.err
    assert all(char == "\n" or char.isprintable() for char in told.out)
    assert cli("status", "--json").json["homes"][0]["processes"][0]["pid"] == 1


def test_a_home_that_is_not_there_is_2(cli: Cli, tmp_path: Path) -> None:
    told = cli("status", "--home", str(tmp_path / "nowhere"))
    assert told.code == 2
    assert "there is no home at" in told.err
    assert not (tmp_path / "nowhere").exists()


def test_looking_leaves_no_trace(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    assert cli("status", "--home", str(tmp_path / "home")).code == 0
    assert list((tmp_path / "home").iterdir()) == []
