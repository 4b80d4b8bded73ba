"""Tables between two markers in a Markdown page: read, rendered and replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Rows = list[list[str]]


def markers(name: str) -> tuple[str, str]:
    """Return the lines that stand before and after the generated table *name*."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def render(head: Sequence[str], rows: Rows) -> str:
    """Return the table as Markdown, with the columns aligned."""
    table = [list(head), *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in table
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def read(page: Path, name: str) -> tuple[list[str], Rows]:
    """Return head and rows of the table *name* in *page*; both empty if nothing stands between the markers.

    Raises ValueError if the page has no such markers.
    """
    _, table, _ = _split(page, name)
    lines = [line.strip().strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line] for line in lines]
    return (cells[0], cells[2:]) if cells else ([], [])


def replace(page: Path, name: str, table: str) -> None:
    """Put *table* between the markers *name* of *page*."""
    before, _, after = _split(page, name)
    page.write_text(f"{before}\n{table}\n{after}", encoding="utf-8")


def _split(page: Path, name: str) -> tuple[str, str, str]:
    begin, end = markers(name)
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"{page}: there must be one line {begin} and one line {end}")
    before, _, rest = text.partition(begin)
    table, _, after = rest.partition(end)
    return before + begin, table, end + after
