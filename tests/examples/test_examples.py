"""Every example runs as it stands, without a key and without a network."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
NOWHERE = "http://127.0.0.1:9"  # nothing listens there: whoever tries to leave this machine fails


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_to_its_end(path: Path, tmp_path: Path) -> None:
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    closed = {"XDG_STATE_HOME": str(tmp_path / "state"), "HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE}
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", str(path)],
        cwd=tmp_path,
        env={**kept, **closed, "NO_PROXY": "127.0.0.1", "LANGSMITH_TRACING": "false"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "an example shows something"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_says_what_it_shows(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3
