"""Every file in examples/ runs as a stranger would run it, and prints what it promises."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NEEDS = {
    "plain_loop": (),
    "langchain_chain": ("langchain_core", "langchain_openai"),
    "langgraph_resume": ("langchain_core", "langchain_openai", "langgraph"),
}
ALL = sorted(path.stem for path in EXAMPLES.glob("*.py"))


def said(name: str, state: Path) -> dict[str, str]:
    """Run the example *name* outside the checkout, and return what it printed: what comes before ":" -> the rest.

    It runs twice, for a kill holds over restarts: an example that leaves one behind works once only.
    """
    if missing := [module for module in NEEDS[name] if importlib.util.find_spec(module) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    run(name, state)
    lines = [line.partition(":") for line in run(name, state).splitlines()]
    return {before: after.strip() for before, _, after in lines}


def run(name: str, state: Path) -> str:
    known = {key: value for key, value in os.environ.items() if key != "DEADSTOP_HOME"}
    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        env={**known, "XDG_STATE_HOME": str(state), "LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false"},
        cwd=state,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("name", ALL)
def test_an_example_is_short_and_tested_here(name: str) -> None:
    assert name in NEEDS
    assert len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= 60


def test_a_plain_loop_makes_no_model_call_after_its_kill_although_it_catches_everything(tmp_path: Path) -> None:
    lines = said("plain_loop", tmp_path)
    assert lines["stopped"] == "researcher killed: burning money (policy kill)"
    assert int(lines["model calls in the end"]) == int(lines["model calls when it was killed"]) > 0
    assert int(lines["steps stored"]) >= int(lines["model calls in the end"])


def test_a_chain_is_cut_in_its_stream_and_refused_after_it_and_works_when_revived(tmp_path: Path) -> None:
    lines = said("langchain_chain", tmp_path)
    assert re.match(r"\{'input_tokens': \d+, 'output_tokens': \d+", lines["tokens"])
    assert lines["stopped"] == "poet killed: too many words (policy kill)"
    assert lines["chunks received of 200"] == "5"
    assert lines["requests after the kill"] == "0"
    assert lines["revived"] == lines["answer"] == "la la la la la la la la  ..."


def test_a_graph_resumes_from_its_checkpoint_with_nothing_repeated_and_nothing_lost(tmp_path: Path) -> None:
    lines = said("langgraph_resume", tmp_path)
    assert lines["stopped"].startswith(
        "importer killed: wrong currency (policy kill) | imported so far: January February"
    )
    assert lines["resumed"] == "All done."
    assert lines["imported"] == "January February March April"
    assert lines["model calls"] == "5 for 5 answers"
