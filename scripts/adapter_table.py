"""What each adapter has proven, from the JUnit files of a tox run: for README.md and docs/limits.md.

`--write` renders both tables anew; what did not run is blank. `--check` fails if a page claims something else than
what ran. Where only some environments ran (a plain `tox` leaves the floors out) only what they reach is compared, and
no versions, which depend on the Python at hand. Versions newer than a table says are never a difference: the tests
passed with them, and a page must not turn wrong because somebody else made a release.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import markdown_table
from junit import read_reports

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from junit import Case, Report
    from markdown_table import Rows

REPO = Path(__file__).parents[1]


class Suite(NamedTuple):
    """One class that inherits `AdapterContract`: what it stands for, and the library whose versions it names."""

    label: str
    library: str


SUITES = {
    "TestChain": Suite("LangChain, chains", "langchain-core"),
    "TestGraph": Suite("LangGraph", "langgraph"),
    "TestCreateAgent": Suite("LangChain, `create_agent`", "langchain"),
}
ENVIRONMENTS = ("langchain", "langchain-newest", "langchain-floor", "langgraph-floor")
LIBRARIES = ("langchain-core", "langchain", "langchain-openai", "langgraph", "openai")
WAYS = ("handler", "attach")

REFUSE = {
    "killed_before_the_run", "kill_during_a_tool", "kill_during_a_model_call", "parallel_tools", "framework_retries",
    "fallbacks", "error_handlers", "user_except", "nested_agent_killed", "one_of_two_sessions_killed",
}  # fmt: skip
CUT = {"stream_cut"}
BEYOND_CHUNKS = {"silent_stream", "sdk_retries"}
"""Needs more than the next chunk: where async, that the waiting is cancelled (cut); where sync, an abort."""

STRENGTH = ("no", "at the next chunk", "yes")
HEAD = ["adapter", "proven with", *(f"{way}: {level}" for way in WAYS for level in ("refuse", "cut", "abort"))]


class Proof(NamedTuple):
    """One scenario as it ran: its name, mode and way, and how it ended."""

    suite: str
    scenario: str
    mode: str
    way: str
    outcome: str


def proofs(report: Report) -> Iterator[Proof]:
    """Yield what *report* says about the contract's scenarios."""
    for case in report.cases:
        if (found := re.fullmatch(r"test_(\w+)\[(.+)-(\w+)\]", case.name)) is not None and found[3] in WAYS:
            yield Proof(_suite(case), found[1], found[2], found[3], case.outcome)


def _suite(case: Case) -> str:
    return case.where.rpartition(".")[2]


# -- the table in README.md -------------------------------------------------------------------------------------------


def adapter_rows(reports: Iterable[Report]) -> Rows:
    """Return a row for each suite that ran."""
    reports = list(reports)
    every = [proof for report in reports for proof in proofs(report)]
    return [
        [suite.label, versions_of(name, suite.library, reports), *levels([p for p in every if p.suite == name])]
        for name, suite in SUITES.items()
    ]


def versions_of(suite: str, library: str, reports: Iterable[Report]) -> str:
    """Return the versions of *library* with which *suite* ran, oldest first: "langgraph 0.4.8, 1.2.22"."""
    ran = {r.versions[library] for r in reports if library in r.versions and any(p.suite == suite for p in proofs(r))}
    return f"{library} {', '.join(sorted(ran, key=version_key))}" if ran else ""


def levels(every: list[Proof]) -> list[str]:
    """Return the cells `refuse, cut, abort` for each way."""
    cells: list[str] = []
    for way in WAYS:
        here = [proof for proof in every if proof.way == way]
        waits = [proof for proof in here if proof.scenario in BEYOND_CHUNKS]
        asynchronous = [proof for proof in waits if proof.mode.startswith("a")]
        blocking = [proof for proof in waits if not proof.mode.startswith("a")]
        chunks = held([proof for proof in here if proof.scenario in CUT])
        cut = "at the next chunk" if chunks == "yes" and held(asynchronous) == "no" else chunks
        cells += [held([proof for proof in here if proof.scenario in REFUSE]), cut, held(blocking)]
    return cells


def held(some: list[Proof]) -> str:
    """Return "yes" if all of *some* that ran passed, "no" if one did not, and "" if none ran."""
    outcomes = {proof.outcome for proof in some} - {"skipped"}
    if not outcomes:
        return ""
    return "yes" if outcomes == {"passed"} else "no"


# -- the table in docs/limits.md --------------------------------------------------------------------------------------


def version_rows(reports: Iterable[Report]) -> Rows:
    """Return a row for each environment: the versions that it ran with."""
    ran = {report.environment: report.versions for report in reports}
    return [[name, *(ran.get(name, {}).get(library, "") for library in LIBRARIES)] for name in ENVIRONMENTS]


def version_key(version: str) -> tuple[int, ...]:
    """Return what versions are sorted by."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


# -- comparing --------------------------------------------------------------------------------------------------------


def differences(page: str, old: Rows, new: Rows, *, complete: bool) -> Iterator[str]:
    """Yield what is wrong with the rows *old* of *page*, as far as *new* knows; the first cell of a row is its name."""
    known = {row[0]: row for row in old}
    for row in new:
        there = known.pop(row[0], None)
        if there is None or len(there) != len(row):
            yield f"{page}: there is no row {row[0]!r} with {len(row)} cells"
            continue
        for said, ran in zip(there[1:], row[1:], strict=True):
            if not agrees(said, ran, complete=complete):
                yield f"{page}: {row[0]!r} says {said!r}, but the run says {ran!r}"
    yield from (f"{page}: nothing stands behind the row {name!r}" for name in known)


def agrees(said: str, ran: str, *, complete: bool) -> bool:
    """Whether a page may say *said* after a run that says *ran*; blank is what did not run."""
    stated, tested = versions_in(said), versions_in(ran)
    if not complete and (stated or tested):
        return True
    if not stated or not tested:
        weaker = said in STRENGTH and ran in STRENGTH and STRENGTH.index(said) < STRENGTH.index(ran)
        return said == ran or (not complete and (weaker or not ran))  # the floors may reach less than the newest
    return max(tested) >= max(stated) and (len(stated) == 1 or min(tested) <= min(stated))


def versions_in(cell: str) -> set[tuple[int, ...]]:
    """Return the versions that *cell* names: "langgraph 0.4.8, 1.2.22"."""
    return {version_key(text) for text in re.findall(r"\d[\w.]*", cell)}


def main(arguments: list[str]) -> int:
    """Write or check both tables; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--write", action="store_true")
    group.add_argument("--check", action="store_true")
    parser.add_argument("--junit", type=Path, default=REPO / ".tox" / "junit")
    parser.add_argument("--readme", type=Path, default=REPO / "README.md")
    parser.add_argument("--limits", type=Path, default=REPO / "docs" / "limits.md")
    args = parser.parse_args(arguments)
    reports = [report for report in read_reports(args.junit) if report.environment in ENVIRONMENTS]
    tables = (
        (args.readme, "adapters", HEAD, adapter_rows(reports)),
        (args.limits, "versions", ["environment", *LIBRARIES], version_rows(reports)),
    )
    wrong: list[str] = []
    for page, name, head, new in tables:
        if args.write:
            markdown_table.replace(page, name, markdown_table.render(head, new))
            continue
        old_head, old = markdown_table.read(page, name)
        if old_head != head:
            wrong.append(f"{page.name}: the table's head is {old_head}, not {head}")
        wrong += differences(page.name, old, new, complete=len(reports) == len(ENVIRONMENTS))
    for line in wrong:
        print(line)
    print("To render the tables anew: python scripts/adapter_table.py --write" if wrong else "The tables hold.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
