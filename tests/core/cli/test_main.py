"""What all commands share: help, versions, codes, and how the command line itself fails."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import deadstop
from deadstop.cli import BUILT_IN, main

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Cli

JSON = {
    "status": (),
    "kill": ("somebody",),
    "pause": ("somebody",),
    "revive": ("somebody",),
    "resume": ("somebody",),
    "events": (),
    "validate": (),
    "plugins": (),
    "doctor": (),
    "version": (),
}


def test_the_overview_lists_every_command_and_the_exit_codes(cli: Cli) -> None:
    told = cli("--help")
    assert (told.code, told.err) == (0, "")
    for name in BUILT_IN:
        assert f"\n  {name} " in told.out
    for code in range(5):
        assert f"\n  {code}  " in told.out
    assert cli("help").out == told.out
    assert cli("-h").out == told.out


def test_no_command_is_wrong_usage(cli: Cli) -> None:
    told = cli()
    assert (told.code, told.out) == (2, "")
    assert "usage: deadstop COMMAND" in told.err


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_command_explains_itself(cli: Cli, name: str) -> None:
    told = cli(name, "--help")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith(f"usage: deadstop {name} ")
    assert "--json" in told.out
    assert "4  recorded, but no live process has seen it" in told.out
    assert max(map(len, told.out.splitlines())) <= 100


def test_every_command_knows_json() -> None:
    assert set(JSON) == set(BUILT_IN)


@pytest.mark.parametrize("name", BUILT_IN)
def test_json_is_json(cli: Cli, name: str) -> None:
    assert isinstance(json.loads(cli(name, *JSON[name], "--json").out), (dict, list))


def test_the_version(cli: Cli) -> None:
    told = cli("version")
    assert told.out.startswith(f"deadstop {deadstop.__version__} (Python 3.")
    assert cli("--version").out == told.out
    assert cli("version", "--json").json["deadstop"] == deadstop.__version__


def test_an_unknown_command_gets_the_nearest_one(cli: Cli) -> None:
    told = cli("kil", "somebody")
    assert (told.code, told.err) == (2, "deadstop: 'kil' is no command; did you mean 'kill'?\n")
    told = cli("\x1b[2J" + "x" * 10_000)
    assert told.code == 2
    assert "\x1b" not in told.err
    assert len(told.err) < 1000


def test_options_before_the_command_are_wrong_usage(cli: Cli) -> None:
    assert cli("--json", "status").code == 2


def test_main_can_be_called_from_python(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert main(["kill"]) == 2
    assert capsys.readouterr().out.startswith("deadstop ")


def test_a_terminal_that_knows_only_ascii_is_enough(cli: Cli) -> None:
    cli("kill", "エージェント")
    told = cli("status", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"})
    assert (told.code, told.err) == (0, "")
    assert "agent:\\u30a8" in told.out


def test_a_deleted_working_directory_is_no_obstacle(tmp_path: Path, environment: dict[str, str]) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = "import os, sys; os.rmdir(os.getcwd()); from deadstop.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", script, "kill", "somebody"],
        cwd=gone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4, done.stderr


def test_kill_imports_neither_plugins_nor_frameworks(environment: dict[str, str], tmp_path: Path) -> None:
    """The command of an emergency has to be there at once."""
    script = (
        "import sys; sys.argv = ['deadstop', 'kill', 'somebody']; from deadstop.cli import main; main(); "
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1].replace("'", '"')))
    unwanted = {
        "pluggy",
        "yaml",
        "typing_extensions",
        "rich",
        "asyncio",
        "langchain_core",
        "importlib_metadata",
        "dataclasses",
        "pydantic",
    }
    assert not unwanted & loaded
    assert {"deadstop", "msgspec"} <= loaded


def test_only_the_documented_variable_is_read(environment: dict[str, str], tmp_path: Path) -> None:
    """DEADSTOP_HOME names the home also for `status`."""
    env = {**environment, "DEADSTOP_HOME": str(tmp_path / "named")}
    command = [sys.executable, "-m", "deadstop"]
    subprocess.run([*command, "kill", "somebody"], cwd=tmp_path, env=env, check=False, capture_output=True)
    assert list((tmp_path / "named").iterdir())
    done = subprocess.run([*command, "status", "--json"], cwd=tmp_path, env=env, check=True, capture_output=True)
    assert [report["home"] for report in json.loads(done.stdout)["homes"]] == [str(tmp_path / "named")]
