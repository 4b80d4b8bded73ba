"""Conditions: what can be said of one before anything evaluates it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from deadstop.config.problems import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_VARIABLE = re.compile(r"\$(\w*)")
_HANGING = re.compile(r"(?:[=!<>]=?|\b(?:and|or|not|in|matches|contains|starts_with|ends_with))\s*$")
_BRACKETS = {")": "(", "]": "["}


def condition_faults(condition: str, variables: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with *condition*: a `$name` that is not in *variables*, or text that plainly breaks off."""
    bare = _QUOTED.sub('""', condition)
    for name in dict.fromkeys(_VARIABLE.findall(bare)):
        if name not in variables:
            yield f"${name} is not among the variables{nearest(name, variables)}"
    if "'" in bare or bare.count('"') % 2:
        yield "a quote is opened and never closed"
    elif not _balanced(bare):
        yield "its brackets do not match"
    elif _HANGING.search(bare):
        yield "it breaks off after an operator"


def _balanced(text: str) -> bool:
    opened: list[str] = []
    for char in text:
        if char in "([":
            opened.append(char)
        elif char in _BRACKETS and (not opened or opened.pop() != _BRACKETS[char]):
            return False
    return not opened
