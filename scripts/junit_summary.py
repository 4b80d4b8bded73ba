"""Sums up the JUnit files of a tox run: `python scripts/junit_summary.py .tox/junit`.

The last line is `N passed, N failed, N skipped` over all environments. An expected failure (xfail) has proven nothing,
so it counts as skipped there; the lines above tell the two apart. Exits with 1 if anything failed or nothing passed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from junit import OUTCOMES, Report, read_reports


def describe(report: Report) -> str:
    """Return one line about *report*, with the names of what failed below it."""
    counts = ", ".join(f"{report.count(outcome)} {outcome}" for outcome in OUTCOMES if report.count(outcome))
    seconds = sum(case.seconds for case in report.cases)
    failed = [f"    failed: {case.where}.{case.name}" for case in report.cases if case.outcome == "failed"]
    return "\n".join([f"{report.environment}: {counts or 'nothing ran'} in {seconds:.0f} s", *failed])


def main(folder: Path) -> int:
    """Print the summary of *folder* and return the exit code."""
    reports = read_reports(folder)
    for report in reports:
        print(describe(report))
    passed, failed, skipped, expected = (sum(report.count(outcome) for report in reports) for outcome in OUTCOMES)
    print(f"{passed} passed, {failed} failed, {skipped + expected} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
