"""Tables: with rich on a terminal where it is installed (the extra `cli`), else plain aligned text."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from deadstop.cli.text import columns, say, visible

if TYPE_CHECKING:
    from collections.abc import Callable

_CELL = 48  # columns of a cell in a plain table, and of the last one; JSON has everything in full
_LAST = 100

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
    draw = _rich() or _draw_plain
    for place, table in enumerate(table for table in tables if table.rows):
        if place:
            say()
        draw(table)


def _draw_plain(table: Table) -> None:
    limits = [_CELL] * (len(table.names) - 1) + [_LAST]
    cells = [[visible(value, limit) for value, limit in zip(row, limits, strict=True)] for row in table.rows]
    widths = [max(map(columns, column)) for column in zip(table.names, *cells)]  # noqa: B905 - rows are as long
    if table.title:
        say(table.title)
    for row in ([name.upper() for name in table.names], *cells):
        aligned = map(_pad, row, widths, (name in table.right for name in table.names))
        say(f"  {'  '.join(aligned)}".rstrip())


def _pad(cell: str, width: int, right: bool) -> str:  # noqa: FBT001 - called by map
    blanks = " " * (width - columns(cell))
    return blanks + cell if right else cell + blanks


def _rich() -> Callable[[Table], None] | None:
    """Return what draws with rich; None where stdout is no terminal or rich is not there."""
    if not sys.stdout.isatty():
        return None
    try:
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text
    except ImportError:
        return None
    console = Console(highlight=False, markup=False, emoji=False)

    def draw(table: Table) -> None:
        drawn = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for place, name in enumerate(table.names):
            side: Literal["left", "right"] = "right" if name in table.right else "left"
            drawn.add_column(
                name.upper(), justify=side, no_wrap=True, overflow="ellipsis", ratio=None, min_width=3 if place else 8
            )
        for row in table.rows:
            drawn.add_row(*(_cell(name, value, table) for name, value in zip(table.names, row, strict=True)))
        if table.title:
            console.print(Text(table.title, style="bold"))
        console.print(drawn)

    def _cell(name: str, value: object, table: Table) -> Text:
        text = visible(value)
        return Text(text, style=_STYLES.get(text, "") if name in table.states else "")

    return draw
