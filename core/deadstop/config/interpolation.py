"""`${VAR}` and `${VAR:default}` in values, filled in before any value gets its type. `$${` stands for `${`."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from deadstop.config.nodes import Broken, Mapping, Node, Scalar, Sequence, is_text

if TYPE_CHECKING:
    from deadstop.config.problems import Report, Where

_PART = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::(?P<default>[^}]*))?\})?")
_ALONE = re.compile(r"\$\{[^}]*\}")


class _Missing(Exception):  # noqa: N818 - control flow within this module
    """A `${...}` that can't be filled in; the message says why."""


def interpolate(node: Node, where: Where, report: Report) -> Node:
    """Return *node* with every `${...}` below it filled in from the environment; only the named variables are read.

    An unset variable without a default, and a `${` that starts no name, is a problem. What comes in is not looked at
    again: a variable that holds `${X}` stays as it is.
    """
    if isinstance(node, Scalar):
        return _filled(node, where, report) if "${" in node.text else node
    if isinstance(node, Sequence):
        node.items = [interpolate(item, (*where, index), report) for index, item in enumerate(node.items)]
    elif isinstance(node, Mapping):
        for key, (line, value) in node.entries.items():
            node.entries[key] = (line, interpolate(value, (*where, key), report))
    return node


def _filled(scalar: Scalar, where: Where, report: Report) -> Node:
    try:
        text = _PART.sub(_part, scalar.text)
    except _Missing as missing:
        report.add(scalar.line, where, str(missing))
        return Broken(scalar.line)
    if text == scalar.text.replace("$${", "${"):  # only escapes: it is the author's own text
        return Scalar(text, plain=scalar.plain, line=scalar.line)
    # Text around it makes the whole a text, as YAML would see it: `${HOST}:80` is never a number.
    plain = scalar.plain and _ALONE.fullmatch(scalar.text) is not None
    return Scalar(text, plain=plain, line=scalar.line, source=scalar.text)


def _part(match: re.Match[str]) -> str:
    if match[0] == "$${":
        return "${"
    name, default = match["name"], match["default"]
    if name is None:
        raise _Missing("`${` must start `${NAME}` or `${NAME:default}`; write `$${` for the characters themselves")
    value = os.environ.get(name, default)
    if value is None:
        raise _Missing(f"the environment variable {name} is not set; set it, or write ${{{name}:default}}")
    if not is_text(value):
        raise _Missing(f"the environment variable {name} holds bytes that are not UTF-8")
    return value
