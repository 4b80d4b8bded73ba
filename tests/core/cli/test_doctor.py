"""`doctor`: fine where all is well, and not where something is wrong."""

from __future__ import annotations

import os
import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from deadstop import AgentEvent, Monitor

from .conftest import FAKE_DISTRIBUTION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Cli, Result, StartAgent

CHECKS = ["home", "control word", "control state", "processes", "event store", "kill", "reach"]


def _found(result: Result) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for report in result.json["reports"] for check in report["checks"]}


def test_all_is_well_on_a_fresh_home(cli: Cli, home: Path) -> None:
    told = cli("doctor", "--json")
    assert told.code == 0, told
    plugins, report = told.json["reports"]
    assert plugins["of"] == "plugins"
    assert report["of"] == str(home)
    assert [check["name"] for check in report["checks"]] == CHECKS
    assert {check["state"] for check in report["checks"]} == {"fine"}
    assert "ms after the kill" in _found(told)["kill"]["found"]


def test_it_leaves_nothing_killed_and_nobody_behind(cli: Cli) -> None:
    assert cli("doctor").code == 0
    (report,) = cli("status", "--json").json["homes"] or [{"controls": [], "processes": []}]
    assert (report["controls"], report["processes"]) == ([], [])


def test_every_home_with_live_processes_is_looked_at(cli: Cli, agent: StartAgent, home: Path, tmp_path: Path) -> None:
    agent("sales-agent", home=str(tmp_path / "far"))
    told = cli("doctor", "--json")
    assert told.code == 0, told
    assert [report["of"] for report in told.json["reports"]] == ["plugins", str(home), str(tmp_path / "far")]


def test_a_control_word_replaced_under_a_running_process_is_found(cli: Cli, agent: StartAgent, home: Path) -> None:
    """The process is held, so that it can't notice by itself."""
    worker = agent("sales-agent")
    os.kill(worker.process.pid, signal.SIGSTOP)
    try:
        shutil.copy(home / "control.gen", home / "copy")
        (home / "copy").replace(home / "control.gen")
        told = cli("doctor", "--json")
    finally:
        os.kill(worker.process.pid, signal.SIGCONT)
    assert told.code == 1
    found = _found(told)
    assert found["control word"]["state"] == "wrong"
    assert f"it was replaced under process {worker.process.pid}" in found["control word"]["found"]
    assert found["reach"]["state"] == "wrong"  # nor does it see the kill that was tried out
    assert found["kill"]["state"] == "fine"


def test_a_control_word_deleted_under_a_running_process_is_found(cli: Cli, agent: StartAgent, home: Path) -> None:
    worker = agent("sales-agent")
    os.kill(worker.process.pid, signal.SIGSTOP)
    try:
        (home / "control.gen").unlink()
        told = cli("doctor", "--json")
    finally:
        os.kill(worker.process.pid, signal.SIGCONT)
    assert (told.code, _found(told)["control word"]["found"]) == (1, "it was deleted under live processes")


def test_a_stuck_process_is_found(cli: Cli, agent: StartAgent, until: Callable[..., None]) -> None:
    worker = agent("sales-agent")
    os.kill(worker.process.pid, signal.SIGSTOP)
    try:
        until(lambda: cli("status", "--json").json["homes"][0]["processes"][0]["state"] == "stale")
        told = cli("doctor")
    finally:
        os.kill(worker.process.pid, signal.SIGCONT)
    assert told.code == 1
    assert f"no heartbeat from process {worker.process.pid}" in told.out


def test_a_damaged_control_word_is_found(cli: Cli, home: Path) -> None:
    cli("kill", "somebody")
    (home / "control.gen").write_bytes(b"short")
    told = cli("doctor", "--json")
    assert (told.code, _found(told)["control word"]["state"]) == (1, "wrong")


def test_a_damaged_control_state_is_found(cli: Cli, home: Path) -> None:
    cli("kill", "somebody")
    (home / "control.db").write_bytes(b"no database at all" * 1000)
    told = cli("doctor", "--json")
    assert (told.code, _found(told)["control state"]["state"]) == (1, "wrong")


def test_a_mirror_that_says_something_else_is_found(cli: Cli, home: Path) -> None:
    cli("kill", "somebody")
    before = (home / "kills.json").read_bytes()
    cli("revive", "somebody")
    (home / "kills.json").write_bytes(before)
    told = cli("doctor", "--json")
    assert (told.code, _found(told)["control state"]["state"]) == (1, "wrong")


def test_a_damaged_event_file_is_found(cli: Cli, home: Path) -> None:
    with Monitor(home=home, discover=False) as monitor:
        for number in range(200):
            monitor.record(AgentEvent(time.time(), "a", "action", {"n": number, "text": "x" * 500}))
        monitor.drain()
    (file,) = (home / "events").glob("events-*.db")
    content = bytearray(file.read_bytes())
    content[8192:-4096] = os.urandom(len(content) - 8192 - 4096)
    file.write_bytes(content)
    told = cli("doctor", "--json")
    assert (told.code, _found(told)["event store"]["state"]) == (1, "wrong")
    assert file.name in _found(told)["event store"]["found"]


def test_a_plugin_that_can_not_be_loaded_is_found(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "deadstop.yaml").write_text("plugins:\n  disable: [blocked]\n")
    told = cli("doctor", "--json", env={"PYTHONPATH": str(FAKE_DISTRIBUTION)})
    assert (told.code, _found(told)["plugins"]["state"]) == (1, "wrong")
    assert "importerror" in _found(told)["plugins"]["found"]


def test_a_home_that_can_not_be_written_is_found(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = cli("doctor", "--json", "--home", str(tmp_path / "file"))
    assert told.code == 1
    assert _found(told)["home"]["state"] == "wrong"
    assert "kill" not in _found(told)  # nothing to try it on


def test_others_who_may_enter_are_worth_a_look(cli: Cli, tmp_path: Path) -> None:
    """Only where it can't be mended: a home of ours is tightened when it is opened."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    (tmp_path / "given").mkdir(mode=0o755)
    os.chown(tmp_path / "given", 12345, 12345)
    told = cli("doctor", "--json", "--home", str(tmp_path / "given"))
    assert (told.code, _found(told)["home"]["state"]) == (0, "look")


def test_people_get_a_table(cli: Cli) -> None:
    told = cli("doctor").out
    for check in CHECKS:
        assert f"\n  {check} " in told
