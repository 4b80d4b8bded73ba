"""Tables: with rich on a terminal where it is installed (the extra `cli`), else plain aligned text."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deadstop.cli.text import columns, cut, say, visible

if TYPE_CHECKING:
    from collections.abc import Callable

_CELL = 48  # columns of a cell in a plain table, and of the last one; JSON has everything in full
_LAST = 100
_LEAST = 10  # columns that a cell keeps on a narrow terminal
_INDENT, _GAP = "  ", "  "

_STYLES = {  # how a state looks where there is colour
    "killed": "bold red",
    "failed": "bold red",
    "stale": "red",
    "wrong": "bold red",
    "gone": "dim",
    "idle": "dim",
    "blocked": "yellow",
    "paused": "yellow",
    "running": "green",
    "active": "green",
    "live": "green",
    "fine": "green",
}


@dataclass
class Table:
    """Rows of plain values under the names of their columns. A value may be anything that an agent has made up.

    `right` are the columns of numbers; `states` those whose words have a colour.
    """

    title: str
    names: tuple[str, ...]
    rows: list[tuple[object, ...]] = field(default_factory=list)
    right: frozenset[str] = frozenset()
    states: frozenset[str] = frozenset({"state"})


def show(*tables: Table) -> None:
    """Print those of *tables* that have rows, with a blank line between two."""
    draw = _rich() or _plain()
    for place, table in enumerate(table for table in tables if table.rows):
        if place:
            say()
        draw(table)


def fit(widths: list[int], room: int) -> list[int]:
    """Return *widths* made narrower until their sum is at most *room*: the widest first, none below `_LEAST`."""
    fitted = list(widths)
    while sum(fitted) > room and max(fitted) > _LEAST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _cells(table: Table, width: int | None) -> tuple[list[list[str]], list[int]]:
    """Return the header and rows as text, and the width of each column so that a line takes *width* columns."""
    limits = [_CELL] * (len(table.names) - 1) + [_LAST]
    rows = [[visible(value, limit) for value, limit in zip(row, limits, strict=True)] for row in table.rows]
    rows.insert(0, [name.upper() for name in table.names])
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    if width is not None:
        widths = fit(widths, width - len(_INDENT) - len(_GAP) * len(widths))
    return [[cut(cell, most) for cell, most in zip(row, widths, strict=True)] for row in rows], widths


def _plain() -> Callable[[Table], None]:
    try:
        width = os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError):  # no terminal: as wide as it comes, for whatever reads it
        width = None

    def draw(table: Table) -> None:
        rows, widths = _cells(table, width)
        if table.title:
            say(table.title)
        for row in rows:
            aligned = map(_pad, row, widths, [name in table.right for name in table.names])
            say(f"{_INDENT}{_GAP.join(aligned)}".rstrip())

    return draw


def _pad(cell: str, width: int, right: bool) -> str:  # noqa: FBT001 - called by map
    blanks = " " * (width - columns(cell))
    return blanks + cell if right else cell + blanks


def _rich() -> Callable[[Table], None] | None:
    """Return what draws with rich; None where stdout is no terminal or rich is not there."""
    if not sys.stdout.isatty():
        return None
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        return None
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)

    def draw(table: Table) -> None:
        rows, widths = _cells(table, console.width)
        if table.title:
            console.print(Text(table.title, style="bold"))
        for number, row in enumerate(rows):
            line = Text(_INDENT)
            for cell, width, name in zip(row, widths, table.names, strict=True):
                style = _STYLES.get(cell, "") if name in table.states else ""
                line.append(_pad(cell, width, name in table.right) + _GAP, style=style if number else "dim")
            line.rstrip()
            console.print(line)

    return draw
