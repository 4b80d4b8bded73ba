"""The generated tables and the summary of a run, from JUnit files as pytest writes them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import REPO

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "# Title\n\n<!-- {name}:begin -->\n<!-- {name}:end -->\n\nThe end.\n"
LEVELS = {"refuse": "test_kill_during_a_tool", "cut": "test_stream_cut", "abort": "test_sdk_retries"}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a script of this repository by name."""
    monkeypatch.syspath_prepend(str(REPO / "scripts"))
    return importlib.import_module


class Run:
    """A tox run: JUnit files in a folder, and pages to write."""

    def __init__(self, folder: Path) -> None:
        self.junit, self.readme, self.limits = folder / "junit", folder / "README.md", folder / "limits.md"
        self.junit.mkdir()
        self.readme.write_text(PAGE.format(name="adapters"))
        self.limits.write_text(PAGE.format(name="versions"))

    def ran(self, environment: str, cases: dict[str, str], versions: str = "", suite: str = "TestGraph") -> None:
        """Leave the report of one environment: *cases* are outcomes by test name."""
        marks = {
            "passed": "",
            "failed": '<failure message="assert 0"/>',
            "error": '<error message="in set-up"/>',
            "skipped": '<skipped type="pytest.skip" message="why"/>',
            "xfailed": '<skipped type="pytest.xfail" message="why"/>',
        }
        tests = "".join(
            f'<testcase classname="tests.plugins.x.{suite}" name="{name}" time="0.5">{marks[outcome]}</testcase>'
            for name, outcome in cases.items()
        )
        (self.junit / f"{environment}.xml").write_text(
            '<?xml version="1.0"?><testsuites><testsuite><properties>'
            f'<property name="versions" value="python 3.11.7; {versions}"/></properties>'
            f"{tests}</testsuite></testsuites>"
        )

    def everything_ran(self, newest: str = "1.2.22", **outcomes: str) -> None:
        """Every environment ran, with the outcome of each level."""
        cases = {f"{LEVELS[level]}[invoke-attach]": outcomes.get(level, "passed") for level in LEVELS}
        for name in ("langchain", "langchain-newest"):
            self.ran(name, cases, f"langgraph {newest}; langchain-core 1.7.2")
        for name in ("langchain-floor", "langgraph-floor"):
            self.ran(name, cases, "langgraph 0.4.8; langchain-core 0.3.0")

    def arguments(self, task: str) -> list[str]:
        """What the script is called with."""
        return [task, "--junit", str(self.junit), "--readme", str(self.readme), "--limits", str(self.limits)]

    def row(self, start: str) -> list[str]:
        """The cells of one row of either table."""
        text = self.readme.read_text() + self.limits.read_text()
        (line,) = (line for line in text.splitlines() if line.startswith(f"| {start} "))
        return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run in a folder of its own."""
    return Run(tmp_path)


def test_the_table_says_what_passed_and_leaves_blank_what_did_not_run(script: Any, run: Run) -> None:
    run.everything_ran(abort="xfailed")
    assert script("adapter_table").main(run.arguments("--write")) == 0
    assert run.row("LangGraph") == ["LangGraph", "langgraph 0.4.8, 1.2.22", "", "", "", "yes", "yes", "no"]
    assert run.row("LangChain, chains") == ["LangChain, chains", *[""] * 7]
    assert run.row("langgraph-floor") == ["langgraph-floor", "0.3.0", "", "", "0.4.8", ""]
    assert run.readme.read_text().startswith("# Title")
    assert run.readme.read_text().endswith("The end.\n")


def test_one_failure_anywhere_is_a_no(script: Any, run: Run) -> None:
    run.everything_ran()
    run.ran("langgraph-floor", {"test_fallbacks[astream-attach]": "failed"}, "langgraph 0.4.8")
    script("adapter_table").main(run.arguments("--write"))
    assert run.row("LangGraph")[5:] == ["no", "yes", "yes"]


def test_a_skipped_scenario_proves_nothing_either_way(script: Any, run: Run) -> None:
    run.everything_ran(abort="skipped")
    script("adapter_table").main(run.arguments("--write"))
    assert run.row("LangGraph")[5:] == ["yes", "yes", ""]


def test_a_stream_that_is_cut_only_when_something_comes_is_told_as_such(script: Any, run: Run) -> None:
    cases = {"test_stream_cut[astream-handler]": "passed", "test_silent_stream[astream-handler]": "xfailed"}
    run.ran("langchain", cases, "langgraph 1.2.22")
    script("adapter_table").main(run.arguments("--write"))
    assert run.row("LangGraph")[2:5] == ["", "at the next chunk", ""]


def test_a_page_that_was_just_written_holds(script: Any, run: Run) -> None:
    run.everything_ran(abort="xfailed")
    script("adapter_table").main(run.arguments("--write"))
    assert script("adapter_table").main(run.arguments("--check")) == 0


def test_a_page_that_claims_more_than_what_ran_is_a_difference(
    script: Any, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run.everything_ran()
    script("adapter_table").main(run.arguments("--write"))
    run.everything_ran(abort="xfailed")
    assert script("adapter_table").main(run.arguments("--check")) == 1
    said = capsys.readouterr().out
    assert "README.md: 'LangGraph' says 'yes', but the run says 'no'" in said
    assert "--write" in said


def test_a_page_that_claims_less_than_what_ran_is_a_difference_too(script: Any, run: Run) -> None:
    run.everything_ran(abort="xfailed")
    script("adapter_table").main(run.arguments("--write"))
    run.everything_ran()
    assert script("adapter_table").main(run.arguments("--check")) == 1


@pytest.mark.parametrize(("newest", "code"), [("1.2.22", 0), ("1.3.0", 0), ("1.2.9", 1)])
def test_only_a_version_older_than_the_page_says_is_a_difference(script: Any, run: Run, newest: str, code: int) -> None:
    run.everything_ran()
    script("adapter_table").main(run.arguments("--write"))
    run.everything_ran(newest)
    assert script("adapter_table").main(run.arguments("--check")) == code


def test_without_the_floors_only_what_ran_is_compared(script: Any, run: Run) -> None:
    run.everything_ran()
    script("adapter_table").main(run.arguments("--write"))
    for name in ("langchain-floor", "langgraph-floor"):
        (run.junit / f"{name}.xml").unlink()
    assert script("adapter_table").main(run.arguments("--check")) == 0
    run.ran("langchain", {"test_stream_cut[stream-attach]": "failed"}, "langgraph 1.2.22")
    assert script("adapter_table").main(run.arguments("--check")) == 1


def test_with_the_floors_a_claim_that_nothing_stands_behind_is_a_difference(script: Any, run: Run) -> None:
    run.everything_ran()
    script("adapter_table").main(run.arguments("--write"))
    for name in ("langchain", "langchain-newest", "langchain-floor", "langgraph-floor"):
        run.ran(name, {"test_stream_cut[stream-attach]": "passed"}, "langgraph 0.4.8")
    assert script("adapter_table").main(run.arguments("--check")) == 1


@pytest.mark.parametrize("lost", ["<!-- adapters:begin -->", "<!-- adapters:end -->"])
def test_a_page_without_its_markers_is_an_error_that_names_it(script: Any, run: Run, lost: str) -> None:
    run.readme.write_text(run.readme.read_text().replace(lost, ""))
    with pytest.raises(ValueError, match=r"README\.md: there must be one line <!-- adapters:begin -->"):
        script("adapter_table").main(run.arguments("--check"))


def test_a_report_that_was_cut_off_is_an_error_that_names_it(script: Any, run: Run) -> None:
    (run.junit / "langchain.xml").write_text("<testsuites><testsui")
    with pytest.raises(ValueError, match=r"langchain\.xml is no JUnit report"):
        script("adapter_table").main(run.arguments("--check"))


def test_every_suite_and_environment_of_the_table_is_there(script: Any) -> None:
    """A suite that was renamed would leave its row blank for ever."""
    table = script("adapter_table")
    source = "\n".join(path.read_text() for path in (REPO / "tests" / "plugins").rglob("test_contract.py"))
    assert [suite for suite in table.SUITES if f"class {suite}(AdapterContract)" not in source] == []
    tox = (REPO / "tox.ini").read_text()
    assert [name for name in table.ENVIRONMENTS if f"[testenv:{name}]" not in tox] == []


def test_every_scenario_of_the_table_is_there(script: Any) -> None:
    from deadstop.testing.contract import AdapterContract
    from deadstop.testing.contract_scenario import scenarios_of

    table = script("adapter_table")
    stopping = {name for name, facts in scenarios_of(AdapterContract).items() if facts.stops}
    assert stopping == table.REFUSE | table.CUT | table.BEYOND_CHUNKS


def test_the_summary_ends_with_the_line_that_ci_reads(
    script: Any, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run.ran("py311", {"test_a": "passed", "test_b": "failed", "test_c": "error", "test_d": "skipped"})
    run.ran("py312", {"test_a": "passed", "test_e": "xfailed"})
    assert script("junit_summary").main(run.junit) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "2 passed, 2 failed, 2 skipped"
    assert "py311: 1 passed, 2 failed, 1 skipped in 2 s" in lines
    assert "    failed: tests.plugins.x.TestGraph.test_b" in lines


@pytest.mark.parametrize(("outcomes", "code"), [(["passed"], 0), (["skipped"], 1), ([], 1)])
def test_a_run_in_which_nothing_passed_is_a_failure(script: Any, run: Run, outcomes: list[str], code: int) -> None:
    run.ran("py311", {f"test_{outcome}": outcome for outcome in outcomes})
    assert script("junit_summary").main(run.junit) == code
