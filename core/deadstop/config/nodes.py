"""The tree of a YAML file: plain nodes that remember their line and how they were written."""

from __future__ import annotations

import math
import re

import msgspec

from deadstop.config.problems import shown


class Scalar(msgspec.Struct):
    """One value as text. `plain`: written without quotes. `source`: the text before `${...}` in it was filled in."""

    text: str
    plain: bool
    line: int
    source: str | None = None


class Sequence(msgspec.Struct):
    """A list of nodes."""

    line: int
    items: list[Node] = []


class Mapping(msgspec.Struct):
    """Nodes by their key, each with the line of the key."""

    line: int
    entries: dict[str, tuple[int, Node]] = {}


class Broken(msgspec.Struct):
    """What could not be read and is reported already: whoever meets it says nothing more."""

    line: int


Node = Scalar | Sequence | Mapping | Broken
Value = str | int | float | bool | None

_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
for _word, _flag in (("true", True), ("yes", True), ("on", True), ("false", False), ("no", False), ("off", False)):
    _WORDS |= {_word: _flag, _word.capitalize(): _flag, _word.upper(): _flag}
_WHOLE = re.compile(r"[-+]?(?:0|[1-9]\d{0,30}|[1-9]\d{0,2}(?:_\d{3}){1,9})", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][-+]?\d{1,4})?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def resolve(text: str) -> Value:
    """Return what unquoted *text* means: null, a boolean, a number, else the text.

    Booleans are those of YAML 1.1 (`yes`, `off`, ...), which is what PyYAML's readers expect. Its traps are left out:
    `12:30:45` is text, not 45045; a date is text; `010` is text, not 8.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and not re.match(r"[-+]?0\d", text):
        return float(text)
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", "").lower())
    return text


def value_of(scalar: Scalar) -> Value:
    """Return the value that a number or a boolean field reads: unquoted and filled-in text is typed, the rest text."""
    return resolve(scalar.text.strip()) if scalar.plain or scalar.source is not None else scalar.text


def is_null(node: Node) -> bool:
    """Whether nothing is written there, or `null`."""
    return isinstance(node, Scalar) and node.plain and resolve(node.text) is None


def describe(node: Node) -> str:
    """Say what stands in the file, for an error message. What came from the environment is never shown."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Broken):
        return "something unreadable"
    if node.source is not None:
        return f"the value of {shown(node.source)}"
    return _described(value_of(node), node.text)


def _described(value: Value, text: str) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"the text {shown(value)}"
    if isinstance(value, bool):
        return f"the boolean {text.strip()}"
    return f"the number {shown(value)}" if math.isfinite(value) else f"{text.strip()}, which is no finite number"


def is_text(text: str) -> bool:
    """Whether *text* can be written as UTF-8: a lone surrogate, as an escape or a stray byte makes it, can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
