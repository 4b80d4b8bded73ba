"""What every test run leaves behind: which versions it ran with, for the tables in README.md and docs/limits.md."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDED = (
    "langchain-core",
    "langchain",
    "langchain-openai",
    "langgraph",
    "langgraph-checkpoint",
    "langgraph-checkpoint-sqlite",
    "langgraph-prebuilt",
    "openai",
    "msgspec",
    "pluggy",
    "PyYAML",
    "rich",
)


@pytest.fixture(scope="session", autouse=True)
def _versions(record_testsuite_property: Callable[[str, object], None]) -> None:
    """Record the installed ones as the property `versions` of the JUnit report."""
    found = [f"python {platform.python_version()}"]
    for name in RECORDED:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    record_testsuite_property("versions", "; ".join(found))
