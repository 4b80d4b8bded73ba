"""`validate`: every problem at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Cli

BROKEN = """\
agents:
  sales:
    enabeld: true
storage:
  retention_days: -1
on_member_stop: explode
"""


@pytest.fixture
def write(tmp_path: Path) -> Path:
    """Where a config is looked for."""
    return tmp_path / "elsewhere" / "deadstop.yaml"


def test_a_good_file_is_fine(cli: Cli, write: Path) -> None:
    write.write_text("home: state\nagents:\n  sales: {enabled: true}\n")
    told = cli("validate", str(write))
    assert (told.code, told.out, told.err) == (0, f"{write} is fine\n", "")
    assert cli("validate", "deadstop.yaml", "--json").json == {
        "path": "deadstop.yaml",
        "ok": True,
        "home": str(write.parent / "state"),
        "problems": [],
    }


def test_all_problems_are_listed_with_their_lines(cli: Cli, write: Path) -> None:
    write.write_text(BROKEN)
    told = cli("validate", "deadstop.yaml")
    assert told.code == 2
    lines = told.out.splitlines()
    assert [line.split(":")[1] for line in lines] == ["3", "5", "6"]
    assert "did you mean 'enabled'?" in lines[0]
    assert told.err == "deadstop: 3 problems\n"
    report = cli("validate", "deadstop.yaml", "--json")
    assert (report.code, report.json["ok"], len(report.json["problems"])) == (2, False, 3)


def test_without_a_path_the_nearest_file_is_taken(cli: Cli, write: Path) -> None:
    write.write_text(BROKEN)
    (write.parent / "deep").mkdir()
    assert cli("validate", cwd=write.parent / "deep").code == 2


def test_no_file_is_a_problem_too(cli: Cli, tmp_path: Path) -> None:
    assert (cli("validate").code, cli("validate").out) == (2, "there is no deadstop.yaml here or above\n")
    told = cli("validate", str(tmp_path / "none.yaml"))
    assert told.code == 2
    assert "there is no such file" in told.out
    assert cli("validate", "--json").json["ok"] is False


@pytest.mark.parametrize(
    "content", [b"a: [\n", b"\x00\xff\xfe", b"- 1\n", b"a: &a [*a]\n", b"a: 1\na: 2\n", b"\x1b[2J: 1\n"]
)
def test_whatever_is_in_it_there_is_no_traceback(cli: Cli, write: Path, content: bytes) -> None:
    write.write_bytes(content)
    told = cli("validate")
    assert told.code == 2
    assert told.out
    assert "Traceback" not in told.err
    assert all(char == "\n" or char.isprintable() for char in told.out)


def test_a_directory_is_no_file(cli: Cli, tmp_path: Path) -> None:
    told = cli("validate", str(tmp_path))
    assert told.code == 2
    assert "cannot be read" in told.out
