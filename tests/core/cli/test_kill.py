"""`kill` and `revive`: from anywhere, by every kind of name, with the exit code that says how far it got."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from deadstop.control import ProcessRow, register_home

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Cli, Start, StartAgent

# The command as on a disk that takes no byte more: files can't grow, what is mapped already can still be written.
ON_A_FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
from deadstop.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_kill_from_another_directory_stops_the_agent_and_says_who_has_seen_it(cli: Cli, agent: StartAgent) -> None:
    """Neither terminal has DEADSTOP_HOME."""
    worker = agent("sales-agent")
    killed = cli("kill", "sales-agent", "--reason", "burning money")
    assert killed.code == 0, killed
    assert killed.out.startswith("killed sales-agent: seen by 1 of 1 live process (")
    assert killed.err == ""
    assert worker.stopped() == ["AgentKilled", "sales-agent killed: burning money (policy kill)"]


def test_a_kill_finds_the_agent_on_whatever_home_it_lives(cli: Cli, agent: StartAgent, tmp_path: Path) -> None:
    worker = agent("sales-agent", home=str(tmp_path / "far" / "away"))
    killed = cli("kill", "sales-agent", "--json")
    assert killed.code == 0
    assert [place["home"] for place in killed.json["homes"]] == [str(tmp_path / "far" / "away")]
    assert (killed.json["seen"], killed.json["live"]) == (1, 1)
    assert worker.stopped()[0] == "AgentKilled"


def test_a_kill_reaches_every_home_on_which_the_agent_lives(cli: Cli, agent: StartAgent, tmp_path: Path) -> None:
    workers = [agent("twin", home=str(tmp_path / place)) for place in ("one", "two")]
    killed = cli("kill", "twin")
    assert killed.out.startswith("killed twin: seen by 2 of 2 live processes (")
    assert [worker.stopped()[0] for worker in workers] == ["AgentKilled", "AgentKilled"]


def test_a_given_home_is_the_only_one(cli: Cli, agent: StartAgent, tmp_path: Path) -> None:
    agent("twin", home=str(tmp_path / "one"))
    other = agent("twin", home=str(tmp_path / "two"))
    assert cli("kill", "twin", "--home", str(tmp_path / "two")).code == 0
    assert other.stopped()[0] == "AgentKilled"
    held = cli("status", "--json").json["homes"]
    assert [place["home"] for place in held if place["controls"]] == [str(tmp_path / "two")]


def test_the_environment_names_the_home(cli: Cli, agent: StartAgent, tmp_path: Path) -> None:
    agent("twin")
    killed = cli("kill", "twin", "--json", env={"DEADSTOP_HOME": str(tmp_path / "named")})
    assert killed.code == 4
    assert [place["home"] for place in killed.json["homes"]] == [str(tmp_path / "named")]


def test_a_kill_of_somebody_who_does_not_live_is_recorded_and_exits_with_4(cli: Cli, home: Path) -> None:
    killed = cli("kill", "sales-agent")
    assert (killed.code, killed.out) == (4, "killed sales-agent: recorded; no process is alive to see it\n")
    assert [row["name"] for row in cli("status", "--home", str(home), "--json").json["homes"][0]["controls"]] == [
        "sales-agent"
    ]


def test_an_agent_that_starts_later_is_killed_already(cli: Cli, agent: StartAgent) -> None:
    cli("kill", "sales-agent", "--reason", "not today")
    worker = agent("sales-agent", told=False)
    assert worker.stopped() == ["AgentKilled", "sales-agent killed: not today (policy kill)"]


def test_a_slip_of_the_finger_is_recorded_and_the_nearest_name_suggested(cli: Cli, agent: StartAgent) -> None:
    agent("sales-agent")
    killed = cli("kill", "sales-agnet")
    assert killed.out.startswith("killed sales-agnet: seen by 1 of 1 live process")  # which has no such agent
    assert "no live process tells of 'sales-agnet'; did you mean 'sales-agent'?" in killed.err
    told = cli("kill", "sales-agnet", "--json").json
    assert (told["known"], told["did_you_mean"]) == (False, "sales-agent")


def test_a_known_name_gets_no_suggestion(cli: Cli, agent: StartAgent) -> None:
    agent("sales-agent")
    agent("sales-agents", linger=20)
    told = cli("kill", "sales-agents", "--json").json
    assert (told["known"], told["did_you_mean"]) == (True, None)


def test_a_stopped_process_that_can_not_see_it_makes_4(cli: Cli, agent: StartAgent) -> None:
    worker = agent("sales-agent")
    os.kill(worker.process.pid, signal.SIGSTOP)
    try:
        killed = cli("kill", "sales-agent")
    finally:
        os.kill(worker.process.pid, signal.SIGCONT)
    assert killed.code == 4
    assert killed.out.startswith("killed sales-agent: seen by 0 of 1 live process (")
    assert f"process {worker.process.pid} " in killed.err
    assert worker.stopped()[0] == "AgentKilled"  # it stays recorded


def test_no_wait_asks_nobody(cli: Cli) -> None:
    killed = cli("kill", "sales-agent", "--no-wait")
    assert (killed.code, killed.out) == (0, "killed sales-agent: recorded\n")


def test_on_a_full_disk_everything_can_still_be_killed(
    cli: Cli, agent: StartAgent, environment: dict[str, str], tmp_path: Path
) -> None:
    import subprocess

    worker = agent("sales-agent", linger=20)
    command = [sys.executable, "-c", ON_A_FULL_DISK, "kill"]
    one = subprocess.run(
        [*command, "other"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (one.returncode, one.stdout) == (1, "")
    assert "NOT killed" in one.stderr
    assert "kill --all" in one.stderr
    everybody = subprocess.run(
        [*command, "--all"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert everybody.returncode == 3, everybody
    assert "not durable" in everybody.stderr
    assert worker.stopped()[0] == "AgentKilled"
    assert cli("revive", "--all").code == 0


def test_all_means_everybody(cli: Cli, agent: StartAgent) -> None:
    workers = [agent("one"), agent("two")]
    killed = cli("kill", "--all", "--reason", "fire")
    assert killed.out.startswith("killed everything: seen by 2 of 2 live processes")
    assert [worker.stopped()[1] for worker in workers] == [f"{n} killed: fire (policy kill)" for n in ("one", "two")]


def test_a_session_is_killed_and_the_others_go_on(cli: Cli, agent: StartAgent) -> None:
    mine, other = agent("desk", session="ticket-1"), agent("desk", session="ticket-2")
    assert cli("kill", "--session", "ticket-1").out.startswith("killed session ticket-1: seen by 2 of 2")
    assert mine.stopped()[0] == "AgentKilled"
    assert other.process.poll() is None


def test_a_tag_is_killed(cli: Cli, agent: StartAgent) -> None:
    mine = agent("one", tags=["nightly"])
    other = agent("two")
    assert cli("kill", "--tag", "nightly").code == 0
    assert mine.stopped()[0] == "AgentKilled"
    assert other.process.poll() is None


def test_a_run_is_killed_by_the_id_that_its_events_tell(
    cli: Cli, agent: StartAgent, until: Callable[..., None]
) -> None:
    worker = agent("one")
    until(lambda: cli("events", "--agent", "one", "--json").json)
    run_id = cli("events", "--agent", "one", "--json").json[-1]["run_id"]
    assert cli("kill", "--run", run_id).code == 0
    assert worker.stopped()[0] == "AgentKilled"


def test_a_revive_lifts_the_kill_wherever_it_is(cli: Cli, agent: StartAgent, tmp_path: Path) -> None:
    worker = agent("sales-agent", home=str(tmp_path / "far"), again=True)
    cli("kill", "sales-agent")
    assert worker.stopped()[0] == "AgentKilled"
    revived = cli("revive", "sales-agent")
    assert (revived.code, revived.err) == (0, "")
    assert revived.out.startswith("revived sales-agent: seen by 1 of 1 live process (")
    assert cli("status", "--json").json["homes"][0]["controls"] == []


def test_a_revive_of_the_dead_needs_nobody_to_be_alive(cli: Cli) -> None:
    cli("kill", "sales-agent")
    revived = cli("revive", "sales-agent")
    assert (revived.code, revived.out) == (0, "revived sales-agent\n")


def test_a_revive_with_nothing_to_lift_fails_and_says_what_is_killed(cli: Cli) -> None:
    cli("kill", "sales-agent")
    cli("kill", "--all")
    revived = cli("revive", "sales-agnet")
    assert (revived.code, revived.out) == (1, "")
    assert "sales-agnet is not killed" in revived.err
    assert "'sales-agent' is; did you mean that?" in revived.err
    assert "deadstop revive --all" in revived.err
    assert cli("revive", "sales-agnet", "--json").json["did_you_mean"] == "sales-agent"


def test_a_revive_of_everything_leaves_single_kills(cli: Cli) -> None:
    cli("kill", "sales-agent")
    cli("kill", "--all")
    assert cli("revive", "--all").out == "revived everything\n"
    assert [row["target"] for row in cli("status", "--json").json["homes"][0]["controls"]] == ["agent:sales-agent"]


def test_who_killed_and_why_is_kept(cli: Cli) -> None:
    told = cli("kill", "sales-agent", "--actor", "the pager", "--reason", "too dear", "--json").json
    assert (told["actor"], told["reason"], told["target"], told["command"]) == (
        "the pager",
        "too dear",
        "agent:sales-agent",
        "kill",
    )
    (row,) = cli("status", "--json").json["homes"][0]["controls"]
    assert (row["actor"], row["reason"]) == ("the pager", "too dear")
    assert abs(row["at"] - time.time()) < 60


def test_each_order_is_an_event_too(cli: Cli) -> None:
    """Evidence: also where no Monitor is alive to record it."""
    cli("kill", "sales-agent", "--reason", "too dear")
    cli("revive", "sales-agent")
    cli("pause", "--tag", "nightly")
    cli("resume", "--tag", "nightly")
    events = cli("events", "--json").json
    assert [(event["event_type"], event["data"]["target"]) for event in events] == [
        ("kill", "agent:sales-agent"),
        ("revive", "agent:sales-agent"),
        ("pause", "tag:nightly"),
        ("resume", "tag:nightly"),
    ]
    assert events[0]["data"]["reason"] == "too dear"


def test_names_are_cleaned_as_the_agents_own_are(cli: Cli, agent: StartAgent) -> None:
    worker = agent("sales  agent\n")
    assert cli("kill", "  sales agent ").code == 0
    assert worker.stopped()[0] == "AgentKilled"


@pytest.mark.parametrize("name", ["", "  ", "\n"])
def test_an_empty_name_is_wrong_usage(cli: Cli, name: str) -> None:
    """`kill "$AGENT"` with the variable unset must not look as if it had worked."""
    assert cli("kill", name).code == 2
    assert cli("kill", "--session", name).code == 2


@pytest.mark.parametrize(
    "arguments", [["kill"], ["kill", "a", "b"], ["kill", "a", "--all"], ["kill", "--session"], ["revive"], ["pause"]]
)
def test_wrong_usage_is_2_without_a_traceback(cli: Cli, arguments: list[str]) -> None:
    done = cli(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "usage: deadstop" in done.err
    assert "Traceback" not in done.err


def test_a_home_that_is_a_file_is_2_without_a_traceback(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = cli("kill", "a", "--home", str(tmp_path / "file"))
    assert done.code == 2
    assert "is not a directory" in done.err
    assert "Traceback" not in done.err


def test_the_home_that_the_nearest_config_names_gets_a_kill_of_nobody(cli: Cli, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "deep").mkdir(parents=True)
    (project / "deadstop.yaml").write_text("home: state\n")
    told = cli("kill", "sales-agent", "--json", cwd=project / "deep").json
    assert [place["home"] for place in told["homes"]] == [str(project / "state")]


def test_a_broken_config_does_not_keep_a_kill(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "deadstop.yaml").write_text("homee: [\n")
    killed = cli("kill", "sales-agent")
    assert killed.code == 4
    assert "going on without it" in killed.err


def test_plugins_can_not_keep_a_kill(cli: Cli, agent: StartAgent, install: Callable[..., dict[str, str]]) -> None:
    """Whatever else is installed is not even imported."""
    worker = agent("sales-agent")
    broken = install(exits="import os; os._exit(9)", takes_over="from nothing import anything")
    assert cli("kill", "sales-agent", env=broken).code == 0
    assert worker.stopped()[0] == "AgentKilled"


def test_an_agent_that_began_a_moment_ago_on_another_home_is_still_found(
    start: Start, home: Path, tmp_path: Path, until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes tell of their agents once a second; until all have, a kill of an unknown name goes on looking."""
    far = tmp_path / "far"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (far / "processes").mkdir(parents=True)
    register_home(far)
    row = ProcessRow(1, 1, "another machine", 1, "there", "python", time.time(), time.time() - 1, 0)
    _write(far, row)
    kill = start("kill", "late", "--json")
    until((home / "control.db").exists)  # recorded on the default home, as nobody lives anywhere
    _write(far, msgspec.structs.replace(row, heartbeat=time.time() + 1, facts={"agents": {"late": {}}}))
    kill.process.wait(20)
    told = msgspec.json.decode(kill.process.stdout.read())  # type: ignore[union-attr]
    assert [place["home"] for place in told["homes"]] == [str(home), str(far)]


def _write(home: Path, row: Any) -> None:
    draft = home / "processes" / ".draft"
    draft.write_bytes(msgspec.json.encode(row))
    draft.replace(home / "processes" / "1-1-x.json")
