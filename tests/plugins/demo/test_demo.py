"""`deadstop demo`: what it promises, it counts; and it leaves nothing behind."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from deadstop.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Play


def test_the_guarded_agent_makes_no_call_after_the_kill(play: Play, tmp_path: Path) -> None:
    """The numbers come from the server's log and from the tool itself."""
    code, numbers, err = play("--auto")
    assert (code, err) == (0, ""), numbers
    assert numbers["ok"] is True
    assert (numbers["model_calls_after_kill"], numbers["tool_calls_after_kill"]) == (0, 0)
    assert numbers["model_calls"] >= 4
    assert numbers["tool_calls"] >= 4
    assert numbers["exception_type"] == "AgentKilled"
    assert numbers["exception"] == "runaway killed: burning money (policy kill)"
    assert numbers["kill_said"].startswith("killed runaway: seen by 1 of 1 live process")
    assert numbers["input_tokens"] > numbers["output_tokens"] > 0
    assert numbers["events_stored"] > numbers["model_calls"] + numbers["tool_calls"]
    assert numbers["ms_from_kill_to_stop"] > 0
    _nothing_is_left(tmp_path)


def test_without_deadstop_it_goes_on_after_the_kill(play: Play, tmp_path: Path) -> None:
    """The same agent, the same kill: what makes the difference is deadstop."""
    code, numbers, _ = play("--no-guard")
    assert (code, numbers["ok"], numbers["guarded"]) == (0, True, False)
    assert numbers["model_calls_after_kill"] > 0
    assert numbers["tool_calls_after_kill"] > 0
    assert numbers["exception"] is None
    _nothing_is_left(tmp_path)


def test_somebody_types_the_command_in_another_terminal(
    on_stage: subprocess.Popen[str], environment: dict[str, str], tmp_path: Path
) -> None:
    """It says what to type; typed in another directory, that ends it."""
    command = next(line for line in on_stage.stdout if "another terminal: " in line)  # type: ignore[union-attr]
    words = shlex.split(command.partition("another terminal: ")[2])
    assert words[-4:] == ["kill", "runaway", "--reason", "burning money"]
    for line in on_stage.stdout:  # type: ignore[union-attr]
        if line.split()[2:3] == ["tool"] and float(line.split()[0]) > 2:  # by then its process has told of it
            break
    done = subprocess.run(
        [sys.executable, "-m", "deadstop", *words[-4:]],
        cwd=tmp_path / "elsewhere",
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    out, _ = on_stage.communicate(timeout=30)
    assert on_stage.returncode == 0, out
    told = dict(line.split("  ", 1) for line in out.splitlines() if "  " in line and not line.startswith(" "))
    told = {label: value.strip() for label, value in told.items()}
    assert told["model calls after the kill"] == "0"
    assert told["tool calls after the kill"] == "0"
    assert told["the caller got"] == "AgentKilled: runaway killed: burning money (policy kill)"
    assert float(told["from kill to stop"].removesuffix(" ms")) >= 0
    _nothing_is_left(tmp_path)


def test_it_ends_by_itself_when_nobody_stops_it(play: Play, tmp_path: Path) -> None:
    code, numbers, _ = play("--max-steps", "4")
    assert (code, numbers["killed"], numbers["ok"]) == (1, False, False)
    assert (numbers["model_calls"], numbers["tool_calls"]) == (3, 2)  # the last answer gives up
    _nothing_is_left(tmp_path)


def test_control_c_ends_it_and_tidies_up(on_stage: subprocess.Popen[str], tmp_path: Path) -> None:
    for line in on_stage.stdout:  # type: ignore[union-attr]
        if line.split()[2:3] == ["tool"]:
            break
    on_stage.send_signal(signal.SIGINT)
    _, err = on_stage.communicate(timeout=30)
    assert (on_stage.returncode, err) == (130, "")
    _nothing_is_left(tmp_path)


def test_control_c_before_anything_has_begun_tidies_up_too(on_stage: subprocess.Popen[str], tmp_path: Path) -> None:
    on_stage.stdout.readline()  # type: ignore[union-attr]
    on_stage.send_signal(signal.SIGINT)
    _, err = on_stage.communicate(timeout=30)
    assert (on_stage.returncode, err) == (130, "")
    _nothing_is_left(tmp_path)


def test_a_given_home_keeps_its_events(play: Play, environment: dict[str, str], tmp_path: Path) -> None:
    code, _, _ = play("--auto", "--home", str(tmp_path / "kept"))
    assert code == 0
    listing = [sys.executable, "-m", "deadstop", "events", "--home", str(tmp_path / "kept"), "--type", "kill"]
    done = subprocess.run(listing, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "burning money" in done.stdout
    left = [sys.executable, "-m", "deadstop", "revive", "runaway", "--home", str(tmp_path / "kept")]
    assert subprocess.run(left, cwd=tmp_path, env=environment, check=False).returncode == 1  # revived already


def test_without_its_extra_it_says_what_to_install(environment: dict[str, str], tmp_path: Path) -> None:
    hidden = tmp_path / "hidden" / "langgraph"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'langgraph'\", name='langgraph')\n"
    )
    paths = [str(hidden.parent), environment.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "deadstop", "demo"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": ":".join(filter(None, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'deadstop[demo]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["--max-steps", "many"], ["--unknown"]])
def test_wrong_usage_is_2(arguments: list[str], monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    if "PYTHONPATH" in environment:
        monkeypatch.syspath_prepend(environment["PYTHONPATH"])
    assert main(["demo", *arguments]) == 2


def _nothing_is_left(tmp_path: Path) -> None:
    """No temporary home, no listing of one."""
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert list((tmp_path / "state" / "deadstop" / "homes").iterdir()) == []
