"""Reads the JUnit files that the tox environments leave in .tox/junit: one per environment, named after it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

OUTCOMES = ("passed", "failed", "skipped", "xfailed")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One test: `where` is its dotted module and class, `name` its function with parameters, `outcome` in OUTCOMES."""

    where: str
    name: str
    outcome: str
    seconds: float

    @property
    def function(self) -> str:
        """The name without its parameters."""
        return self.name.partition("[")[0]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one environment ran: `versions` is what tests/conftest.py recorded, by distribution name."""

    environment: str
    cases: tuple[Case, ...]
    versions: dict[str, str] = field(default_factory=dict)

    def count(self, outcome: str) -> int:
        """Return how many tests ended in *outcome*."""
        return sum(case.outcome == outcome for case in self.cases)


def read_reports(folder: Path) -> list[Report]:
    """Return the reports in *folder*, sorted by environment; none if it does not exist.

    Raises ValueError for a file that is no JUnit report, which is what a test run that crashed leaves behind.
    """
    return [read_report(path) for path in sorted(folder.glob("*.xml"))]


def read_report(path: Path) -> Report:
    """Return the report in the file *path*."""
    try:
        root = ET.parse(path).getroot()  # noqa: S314 - our own test runner wrote it
    except ET.ParseError as exc:
        raise ValueError(f"{path} is no JUnit report: {exc}") from exc
    cases = tuple(_case(element) for element in root.iter("testcase"))
    return Report(environment=path.stem, cases=cases, versions=_versions(root.iter("property")))


def _case(element: ET.Element) -> Case:
    return Case(
        where=element.get("classname", ""),
        name=element.get("name", ""),
        outcome=_outcome(element),
        seconds=float(element.get("time", "0")),
    )


def _outcome(element: ET.Element) -> str:
    if element.find("failure") is not None or element.find("error") is not None:
        return "failed"
    skipped = element.find("skipped")
    if skipped is None:
        return "passed"
    return "xfailed" if skipped.get("type") == "pytest.xfail" else "skipped"


def _versions(properties: Iterable[ET.Element]) -> dict[str, str]:
    for element in properties:
        if element.get("name") == "versions":
            pairs = (text.split() for text in element.get("value", "").split(";"))
            return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    return {}
