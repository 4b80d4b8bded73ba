"""YAML, guarded: no anchors, no tags, no duplicate keys, bounded in size and depth; every node knows its line.

The tree is built from parser events without recursion, so that no file can exhaust the stack or expand in memory.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
import yaml

from deadstop.config.nodes import Broken, Mapping, Node, Scalar, Sequence, is_text, resolve
from deadstop.config.problems import Report, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadstop.config.problems import Where

MAX_BYTES = 1 << 20
MAX_DEPTH = 32

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What YAML calls non-printable: the two parsers differ in how they place this error, so it is found here.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Unreadable(Exception):  # noqa: N818 - control flow: reading ends, the report says why
    """Reading can't go on."""


def read_tree(data: bytes, report: Report) -> Node | None:
    """Return the root node of the one document in *data*, or None where it can't be read at all.

    Everything wrong is added to *report*. An empty file is an empty mapping.
    """
    try:
        return _tree(_decoded(data, report), report)
    except _Unreadable:
        return None


def _tree(text: str, report: Report) -> Node:
    builder = _Builder(report)
    try:
        for event in _events(text):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        _refuse_syntax(error, text, report)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the pure parser's own slips, such as chr() of 2**32
        _refuse(report, 1, f"not valid YAML: {error}")
    return Mapping(1) if builder.root is None else builder.root


def _events(text: str) -> Iterator[Any]:
    events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
    return events


def _decoded(data: bytes, report: Report) -> str:
    if len(data) > MAX_BYTES:
        _refuse(report, 1, f"larger than {MAX_BYTES:,} bytes; no config file needs to be")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        _refuse(report, line, f"not UTF-8: the byte 0x{data[error.start]:02x} at {error.start}; save the file as UTF-8")
    if odd := _FORBIDDEN.search(text):
        line = text.count("\n", 0, odd.start()) + 1
        _refuse(report, line, f"not valid YAML: the character {odd[0]!r} is not allowed")
    return text


def _refuse(report: Report, line: int, text: str) -> NoReturn:
    report.add(line, (), text)
    raise _Unreadable


def _refuse_syntax(error: yaml.MarkedYAMLError, text: str, report: Report) -> NoReturn:
    mark = error.problem_mark or error.context_mark
    number = mark.line if mark else 0
    lines = text.splitlines()
    hint = "; put text with ${...} in quotes" if number < len(lines) and "${" in lines[number] else ""
    _refuse(report, number + 1, f"not valid YAML: {error.problem or error.context}{hint}")


class _Frame(msgspec.Struct):
    """A list or mapping that is still open; for a mapping, the key whose value comes next."""

    node: Sequence | Mapping
    key: str | None = None
    key_line: int = 0
    wants_value: bool = False


class _Builder:
    """Turns parser events into nodes."""

    def __init__(self, report: Report) -> None:
        self.root: Node | None = None
        self._report = report
        self._open: list[_Frame] = []
        self._documents = 0

    def take(self, event: Any) -> None:
        """Add one event of the parser."""
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._document(line)
        elif isinstance(event, yaml.AliasEvent):
            self._place(self._broken(line, f"the alias *{event.anchor} is not allowed; write the value out"))
        elif isinstance(event, yaml.ScalarEvent):
            self._mark_problems(event, line)
            self._place(self._scalar(event, line))
        elif isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            self._mark_problems(event, line)
            self._start(Sequence(line) if isinstance(event, yaml.SequenceStartEvent) else Mapping(line))
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            self._place(self._open.pop().node)

    def _document(self, line: int) -> None:
        self._documents += 1
        if self._documents > 1:
            _refuse(self._report, line, "a second document starts here; a config file holds one")

    def _mark_problems(self, event: Any, line: int) -> None:
        if event.anchor is not None:
            self._add_problem(line, f"the anchor &{event.anchor} is not allowed; write the value out where it is used")
        if event.tag is not None:
            self._add_problem(line, f"the tag {shown(event.tag)} is not allowed; write the value without it")

    def _scalar(self, event: Any, line: int) -> Node:
        text: str = event.value
        if not is_text(text):
            return self._broken(line, "half of a surrogate pair is no text")
        return Scalar(text, plain=not event.style, line=line)

    def _start(self, node: Sequence | Mapping) -> None:
        if len(self._open) >= MAX_DEPTH:
            _refuse(self._report, node.line, f"nested deeper than {MAX_DEPTH} levels")
        self._open.append(_Frame(node))

    def _place(self, node: Node) -> None:
        """Hand a finished node to whatever encloses it."""
        if not self._open:
            self.root = node
            return
        frame = self._open[-1]
        if isinstance(frame.node, Sequence):
            frame.node.items.append(node)
        elif frame.wants_value:
            if frame.key is not None:
                frame.node.entries[frame.key] = (frame.key_line, node)
            frame.wants_value = False
        else:
            frame.key, frame.key_line, frame.wants_value = self._key(node, frame.node), node.line, True

    def _key(self, node: Node, mapping: Mapping) -> str | None:
        """Return the text of a key, or None where it is refused: its value is then read and dropped."""
        if isinstance(node, Broken):
            return None
        if not isinstance(node, Scalar):
            self._add_problem(node.line, "a key must be text, not a list or a mapping")
            return None
        if fault := _key_fault(node, mapping):
            self._add_problem(node.line, fault)
            return None
        return node.text

    def _broken(self, line: int, text: str) -> Broken:
        self._report.add(line, self._place_now(), text)
        return Broken(line)

    def _add_problem(self, line: int, text: str) -> None:
        self._report.add(line, self._place_now(), text, lost=False)

    def _place_now(self) -> Where:
        """Return the place that the parser has reached."""
        where: list[str | int] = []
        for frame in self._open:
            if isinstance(frame.node, Sequence):
                where.append(len(frame.node.items))
            elif frame.wants_value and frame.key is not None:
                where.append(frame.key)
            else:
                break
        return tuple(where)


def _key_fault(node: Scalar, mapping: Mapping) -> str | None:
    if node.plain and not isinstance(resolve(node.text), str):
        kind = {bool: "a boolean", type(None): "null"}.get(type(resolve(node.text)), "a number")
        return f'the key {shown(node.text)} is {kind} in YAML; put it in quotes: "{node.text}"'
    if "${" in node.text:
        return f"the key {shown(node.text)}: ${{...}} is filled in in values only"
    if node.text in mapping.entries:
        return f"the key {shown(node.text)} appears twice; first on line {mapping.entries[node.text][0]}"
    return None
