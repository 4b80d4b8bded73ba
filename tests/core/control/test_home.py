"""Where the home is, from wherever one asks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from deadstop.control.home import ensure_home, find_home, listed_homes, register_home
from deadstop.control.kill_switch import KillSwitch
from deadstop.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_first_place_that_is_given_is_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state_home: Path
) -> None:
    project = tmp_path / "project"
    deep = project / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert find_home() == state_home / "home"
    (project / "deadstop.yaml").write_text("")
    assert find_home() == find_home(start=deep / "missing.py") == project / ".deadstop"
    assert find_home(config_home=tmp_path / "config") == tmp_path / "config"
    monkeypatch.setenv("DEADSTOP_HOME", "relative")
    assert find_home(config_home=tmp_path / "config") == deep / "relative"
    assert find_home(tmp_path / "explicit") == find_home(str(tmp_path / "explicit")) == tmp_path / "explicit"


def test_an_empty_variable_is_none_and_a_relative_state_directory_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DEADSTOP_HOME", "")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_home(start=tmp_path) == tmp_path / ".local" / "state" / "deadstop" / "home"
    assert find_home("~/mine") == tmp_path / "mine"


def test_a_deleted_working_directory_is_no_obstacle(tmp_path: Path, state_home: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = "import os,sys; os.rmdir(os.getcwd()); from deadstop.control.home import find_home; print(find_home())"
    done = subprocess.run([sys.executable, "-c", code], cwd=gone, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(state_home / "home")


def test_a_home_is_made_private_and_a_looser_one_of_ours_is_tightened(tmp_path: Path) -> None:
    new, loose = tmp_path / "x" / "new", tmp_path / "loose"
    loose.mkdir(mode=0o755)
    assert ensure_home(new)
    assert ensure_home(loose)
    assert [path.stat().st_mode & 0o777 for path in (new, loose)] == [0o700, 0o700]


@pytest.mark.parametrize("below", ["", "sub"])
def test_a_home_that_is_a_file_is_an_error_that_says_so(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ConfigError, match="is not a directory"):
        ensure_home(file / below)


def test_listed_homes_are_those_that_exist_each_once(tmp_path: Path) -> None:
    assert listed_homes() == []
    one, two, odd = (tmp_path / name for name in ("one", "two", "o\udce9d\nd"))
    for home in (one, two, odd):
        home.mkdir()
        assert register_home(home)
        assert register_home(home)
    assert listed_homes() == sorted([odd, one, two])
    two.rmdir()
    assert listed_homes() == sorted([odd, one])
    two.mkdir()
    assert two in listed_homes()


def test_a_home_that_has_been_gone_for_long_is_forgotten(tmp_path: Path, state_home: Path) -> None:
    home = tmp_path / "one"
    home.mkdir()
    register_home(home)
    home.rmdir()
    (entry,) = (state_home / "homes").iterdir()
    long_ago = time.time() - 30 * 86_400
    os.utime(entry, (long_ago, long_ago))
    assert listed_homes() == []
    assert not entry.exists()


def test_a_state_directory_that_can_not_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert not register_home(tmp_path)
    assert listed_homes() == []


def test_a_started_control_is_found_from_another_directory(
    spawn: Callable[..., Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = spawn("control.start()")
    monkeypatch.chdir("/")
    assert listed_homes() == [home]
    switch = KillSwitch(listed_homes()[0])
    assert [row.pid for row in switch.control.processes() if row.live] == [child.pid]
    row = switch.kill_agent("a")
    assert switch.control.wait_seen(row.generation, 5.0) == (1, 1)
    switch.close()


def test_a_home_of_a_user_is_not_taken_over_by_root(home: Path, spawn: Callable[..., Any]) -> None:
    """`sudo deadstop kill` must not leave files that the agents can't open."""
    if os.geteuid():
        pytest.skip("needs root")
    home.mkdir()
    os.chown(home, 12_345, 12_345)
    child = spawn("control.start()")
    child.ask("switch.kill_agent('a')")
    assert {(path.stat().st_uid, path.stat().st_mode & 0o77) for path in home.rglob("*") if path.is_file()} == {
        (12_345, 0)
    }
