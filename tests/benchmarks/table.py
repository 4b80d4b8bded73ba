"""Measure everything in docs/performance.md and print its table: `python tests/benchmarks/table.py`.

Takes about a minute; nothing else should run meanwhile. `--only hot_path` measures one group, `--write` puts a whole
table into the page.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import os
import platform
import sys
import sysconfig
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from measuring import Row

GROUPS = ("starts", "kills", "hot_path", "langchain_rows", "memory")
REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "performance.md"
HEAD = ("what", "measured", "bar", "held", "")
PACKAGES = ("msgspec", "langchain-core", "langfuse", "openinference-instrumentation-langchain")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print as it goes; a group that fails ends the program with its traceback."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=GROUPS, action="append", help="measure only this group (may be repeated)")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.relative_to(REPOSITORY)}")
    given = parser.parse_args(arguments)
    if given.write and given.only:
        parser.error("--write takes the whole table")
    with tempfile.TemporaryDirectory() as state:
        os.environ["XDG_STATE_HOME"] = state  # the user's own list of homes stays as it is
        os.environ.pop("DEADSTOP_HOME", None)
        rows = [cells(row) for group in given.only or GROUPS for row in measured(group)]
    text = f"{about()}\n\n{table(rows)}"
    say(text)
    if given.write:
        write(text)


def measured(group: str) -> Iterator[Row]:
    """Measure one group; what is done shows on stderr."""
    for row in importlib.import_module(group).rows():
        sys.stderr.write(f"{group}: {' '.join(cells(row))}\n")
        yield row


def cells(row: Row) -> list[str]:
    """One row as text; three significant digits."""
    if row.value is None:
        return [row.what, "", row.promise, "", row.note]
    digits = max(0, 3 - len(str(int(abs(row.value)))))
    return [row.what, f"{row.value:,.{digits}f} {row.unit}", row.promise, row.held, row.note]


def table(rows: list[list[str]]) -> str:
    """The rows as Markdown."""
    sys.path.insert(0, str(REPOSITORY / "scripts"))
    import markdown_table

    return markdown_table.render(HEAD, rows)


def about() -> str:
    """When and on what this was measured."""
    today = dt.datetime.now(dt.timezone.utc).date()
    optimised = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    build = "" if optimised else ", built without profile-guided optimisation"
    load = os.getloadavg()[0]
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return (
        f"Measured on {today}: {processor()}, {os.cpu_count()} cores (load {load:.1f}), {platform.system()}, "
        f"{platform.python_implementation()} {platform.python_version()}{build}; {', '.join(found)}."
    )


def processor() -> str:
    """The processor's name."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")


def write(text: str) -> None:
    """Replace what stands between the page's markers."""
    import markdown_table

    markdown_table.replace(PAGE, "benchmarks", text)


def say(text: str) -> None:
    """Print the result."""
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
