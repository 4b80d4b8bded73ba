"""What is wrong with a config file: every problem with its line, its place and the nearest name that is right."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

Where = tuple["str | int", ...]
"""The place of a value: `("kill_switch", "policies", 0, "metric")`."""

_WORD = re.compile(r"[\w-]{1,60}")
_MANY = 20  # names that are still listed when none of them is near


class Fault(msgspec.Struct, frozen=True):
    """Something wrong with a value that has the right type.

    `needs` are the other places that the finding depends on: if one of those is broken already, the fault may be
    false and is not reported.
    """

    where: Where
    text: str
    needs: tuple[Where, ...] = ()

    def __str__(self) -> str:
        return f"{spell(self.where)}: {self.text}"


class Report:
    """Collects the problems of one file. `name` is the file as the user gave it, `lines` has the line of each place."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Where, int] = {(): 1}
        self._problems: list[tuple[int, str]] = []
        self._places: set[Where] = set()

    def add(self, line: int, where: Where, text: str, *, lost: bool = True) -> None:
        """Note a problem on *line* (1-based). `lost`: nothing more can be said about the value at *where*."""
        if lost:
            self._places.add(where)
        place = f"{spell(where)}: " if where else ""
        self._problems.append((line, f"{self.name}:{line}: {place}{text}"))

    def take(self, faults: Iterable[Fault]) -> None:
        """Note those of *faults* that are not explained by a problem at the same place or at one they need."""
        for fault in faults:
            if not any(self._broken(where) for where in (fault.where, *fault.needs)):
                self.add(self._line_of(fault.where), fault.where, fault.text, lost=False)

    def messages(self) -> list[str]:
        """Every problem as `file:line: place: text`, in the order of the lines."""
        return [text for _, text in sorted(self._problems, key=lambda problem: problem[0])]

    def _broken(self, where: Where) -> bool:
        return any(where[:length] in self._places for length in range(1, len(where) + 1))

    def _line_of(self, where: Where) -> int:
        while where not in self.lines:
            where = where[:-1]
        return self.lines[where]


def spell(where: Where) -> str:
    """Write a place as `kill_switch.policies[0].metric`; names with odd characters come in brackets and quotes."""
    text = ""
    for part in where:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _WORD.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{shown(part)}]"
    return text


def shown(value: object) -> str:
    """Return the repr of *value*, cut at 60 characters: safe to print on a terminal."""
    if isinstance(value, str):
        return repr(value) if len(value) <= 60 else repr(f"{value[:57]}...")
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def nearest(word: str, names: Iterable[str]) -> str:
    """Return a clause that helps: `; did you mean 'x'?`, or the list of *names* when none is near."""
    from difflib import get_close_matches

    known = sorted(names)
    if close := get_close_matches(word[:100].lower(), known, n=1, cutoff=0.6):
        return f"; did you mean {close[0]!r}?"
    return f"; known are {', '.join(known)}" if 0 < len(known) <= _MANY else ""
