"""Text for terminals: names and reasons come from agents, so nothing in them may move the cursor or be markup."""

from __future__ import annotations

import sys
import time

_MOST = 4000  # characters of one value that are ever shown to a person


def visible(value: object, width: int | None = None) -> str:
    """Return *value* on one line: what is not printable is escaped as in Python; cut at *width* columns."""
    text = str(value)[:_MOST]
    if not text.isprintable():
        text = "".join(char if char.isprintable() else _escaped(char) for char in text)
    return text if width is None else cut(text, width)


def cut(text: str, width: int) -> str:
    """Return *text* in at most *width* columns, with "..." at the end where something is missing."""
    if columns(text) <= width:
        return text
    kept, room = "", max(width - 3, 0)
    for char in text:
        room -= columns(char)
        if room < 0:
            break
        kept += char
    return kept + "..."[:width]


def columns(text: str) -> int:
    """Return how many columns *text* takes on a terminal: East Asian wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)


def say(text: str = "") -> None:
    """Print one line for the user on stdout. Values in *text* have gone through `visible`."""
    print(text, flush=True)


def note(text: str) -> None:
    """Print a diagnostic on stderr."""
    sys.stdout.flush()
    print(f"deadstop: {text}", file=sys.stderr, flush=True)


def say_json(value: object, *, compact: bool = False) -> None:
    """Print *value* as JSON on stdout; *compact* on one line. Everything but ASCII is escaped: safe on any terminal."""
    import json

    print(json.dumps(value, indent=None if compact else 2, default=str), flush=True)


def plural(count: int, one: str, many: str = "") -> str:
    """Return "1 process", "2 processes": *many* defaults to *one* with an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def ago(then: float, now: float | None = None) -> str:
    """Return how long ago the epoch time *then* was: "now", "12 s", "5 min", "3 h", "4 d"; "-" if it never was."""
    if not then:
        return "-"
    seconds = max(0.0, (time.time() if now is None else now) - then)
    for limit, per, unit in ((1.0, 1.0, ""), (120.0, 1.0, "s"), (7200.0, 60.0, "min"), (172_800.0, 3600.0, "h")):
        if seconds < limit:
            return f"{seconds / per:.0f} {unit}" if unit else "now"
    return f"{seconds / 86_400:.0f} d"


def when(at: float) -> str:
    """Return the epoch time *at* as local time to the millisecond."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) + f".{int(at * 1000) % 1000:03d}"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
