"""Durations: one parser for the config, the command line and the classes."""

from __future__ import annotations

import math
import re
from typing import Annotated

import msgspec

from deadstop.config.problems import shown

EXAMPLES = "90, '90s', '10m', '1h' or '7d'"
LONGEST = 36_500 * 86_400.0  # seconds in 100 years: what timeouts and dates can still take

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s?([smhd]?)", re.ASCII)


class _DurationMark:
    """Marks a field whose value in a file may be written with a unit."""


DURATION = _DurationMark()
Duration = Annotated[float, DURATION, msgspec.Meta(description="a duration in seconds")]
"""The type of a config field that holds seconds; in a file it may be written as `5m`. Plugins use it too."""


def parse_duration(value: float | str) -> float:
    """Return *value* in seconds: a number of seconds, or text such as `90s`, `10m`, `1h`, `7d`.

    Raises ValueError, with examples, for anything else: other text, a negative, infinite or NaN number, a bool, more
    than 100 years.
    """
    seconds = _seconds(value)
    if seconds is None or math.isnan(seconds) or seconds < 0:
        raise ValueError(f"{shown(value)} is no duration; write {EXAMPLES}")
    if seconds > LONGEST:
        raise ValueError(f"{shown(value)} is longer than 100 years; write {EXAMPLES}")
    return seconds


def _seconds(value: float | str) -> float | None:
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        return float(match[1]) * _UNITS[match[2]] if match else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(min(value, 2 * LONGEST))  # a huge int would not fit a float
