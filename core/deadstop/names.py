"""Names of agents, sessions, users, tools: one way to clean them, so that a kill and an event mean the same agent."""

from __future__ import annotations

import re
import unicodedata
from enum import Enum

MAX_NAME = 200
"""Characters that are kept of a name."""

KNOWN_CLEAN: set[str] = set()
"""Names that were found clean lately. A hot path may ask `type(x) is str and x in KNOWN_CLEAN` itself."""

_MAX_KNOWN = 8192
_MAX_READ = 10_000  # what is looked at of a longer name: normalising megabytes would cost the caller milliseconds

# Control characters, line and paragraph separators: they break terminals and logs.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Marks that turn the reading direction and invisible spaces: they make two names look like one.
_INVISIBLE = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def clean_name(value: object) -> str:
    """Return *value* as a clean name: NFC, on one line, white space collapsed and stripped, at most 200 characters.

    None becomes "", an enum member its value, anything else its `str()` (its type's name if that raises). An empty
    result is left to the caller, who knows what "no name" means to it. Never raises; cleaning twice changes nothing.
    """
    if type(value) is str and len(value) <= MAX_NAME:
        if value in KNOWN_CLEAN:
            return value
        return _remember(_clean(value))
    return _remember(_clean(_as_text(value)))


def replace_surrogates(text: str) -> str:
    """Return *text* with lone surrogates as U+FFFD, so that it can be encoded as UTF-8."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _remember(name: str) -> str:
    if name:
        if len(KNOWN_CLEAN) >= _MAX_KNOWN:
            KNOWN_CLEAN.clear()  # session ids come and go; the names that matter are back at once
        KNOWN_CLEAN.add(name)
    return name


def _as_text(value: object) -> str:
    try:
        if isinstance(value, Enum):
            value = value.value
        if value is None:
            return ""
        return str.__str__(value) if isinstance(value, str) else str.__str__(str(value))
    except Exception:  # somebody's __str__: the type's name is all that can be said
        return type(value).__name__


def _clean(text: str) -> str:
    text = text[:_MAX_READ]
    if not (text.isascii() and text.isprintable()):
        text = _INVISIBLE.sub("", _CONTROL.sub(" ", _SURROGATE.sub("\ufffd", text)))
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.split())[:MAX_NAME].rstrip()
