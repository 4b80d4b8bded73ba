"""What README.md and docs/ say is so: examples run, links lead somewhere, codes and commands are those there are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from deadstop.cli import BUILT_IN

REPOSITORY = Path(__file__).parents[3]
README = REPOSITORY / "README.md"
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")])
MARK = re.compile(r"^<!-- example: (?P<name>[\w-]+) -->\n```python\n(?P<code>.*?)^```$", flags=re.MULTILINE | re.DOTALL)
PROMISE = re.compile(r"^\s*print\(.*\)  # (?P<output>.+)$", flags=re.MULTILINE)
LINK = re.compile(r"\]\((?!\w+:|#)(?P<path>[^)#\s]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"\bpython ((?:examples|scripts|tests)/[\w/]+\.py)")


class Example(NamedTuple):
    """One marked block of Python in a page."""

    page: str
    name: str
    code: str


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


EXAMPLES = [Example(name_of(page), *found.groups()) for page in PAGES for found in MARK.finditer(text_of(page))]


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run this Python as somebody would in a directory of theirs, with a state of its own."""
    known = {key: value for key, value in os.environ.items() if key != "DEADSTOP_HOME"}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**known, "XDG_STATE_HOME": str(cwd / "state")},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.page}:{example.name}")
def test_a_marked_example_runs_and_prints_what_its_comments_say(example: Example, tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(example.code, encoding="utf-8")
    ran = python("example.py", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert not ran.stderr
    assert ran.stdout.splitlines() == PROMISE.findall(example.code)


def test_the_readme_has_an_example_and_every_mark_is_followed_by_python() -> None:
    marks = [(name_of(page), name) for page in PAGES for name in re.findall(r"<!-- example: (.*?) -->", text_of(page))]
    assert marks == [(example.page, example.name) for example in EXAMPLES]
    assert ("README.md", "readme") in marks


def test_the_readme_is_short() -> None:
    assert len(text_of(README).splitlines()) <= 110


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_commands_lead_to_files_that_exist(page: Path) -> None:
    named = [page.parent / path for path in LINK.findall(text_of(page))]
    named += [REPOSITORY / path for path in COMMAND.findall(text_of(page))]
    assert [str(path) for path in named if not path.exists()] == []


def test_the_readme_names_the_exit_codes_that_the_help_of_kill_names(tmp_path: Path) -> None:
    """The same codes, and of each code no word that the help does not use."""
    told = re.search(r"Exit codes: (.*?)\.(?: |$)", " ".join(text_of(README).split()))
    assert told is not None
    readme = dict(re.findall(r"(\d) (.*?)(?:, (?=\d)|$)", told[1]))
    shown = python("-m", "deadstop", "kill", "--help", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    helped = dict(re.findall(r"^  (\d)  (.+)$", shown.stdout.partition("exit codes:")[2], flags=re.MULTILINE))
    assert readme.keys() == helped.keys() == set("01234")
    for code, meaning in readme.items():
        assert [word for word in re.findall(r"\w+", meaning) if word not in helped[code]] == []


def test_the_readme_names_the_commands_there_are() -> None:
    """`demo` comes as a plugin; `version` is nothing to tell anybody about."""
    told = re.search(r"`deadstop ((?:\w+ \| )+\w+)`", " ".join(text_of(README).split()))
    assert told is not None
    assert set(told[1].split(" | ")) == {*BUILT_IN, "demo"} - {"version"}
