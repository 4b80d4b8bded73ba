"""Moments as epoch seconds, and the UTC days that events are filed under."""

from __future__ import annotations

import math
import re
import time
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deadstop.storage import When

DAY = 86_400
"""Seconds of a UTC day."""

_ACCEPTED = 'epoch seconds, an ISO 8601 time such as "2026-11-21", "2026-11-21T10:15:00Z" or "...+02:00", or a datetime'

# datetime.fromisoformat of Python 3.10 knows neither "Z" nor "+0200" nor a fraction of one digit.
_ISO = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<minute>\d\d:\d\d)(?P<second>:\d\d)?(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"\s?(?P<offset>Z|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)


def epoch(when: When, name: str = "time") -> float:
    """Return *when* as epoch seconds. Raises a ValueError that names the argument and says what is accepted."""
    try:
        if isinstance(when, str):
            return _from_iso(when.strip())
        if isinstance(when, datetime):
            return (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp()
        if isinstance(when, date):
            return datetime(when.year, when.month, when.day, tzinfo=timezone.utc).timestamp()
        if isinstance(when, (int, float)) and not isinstance(when, bool) and math.isfinite(when):
            return float(when)
    except (ValueError, OverflowError) as exc:
        raise ValueError(f"{name}={when!r:.80} is no time ({exc}): give {_ACCEPTED}") from None
    raise ValueError(f"{name}={when!r:.80} is no time: give {_ACCEPTED}")


def _from_iso(text: str) -> float:
    if (found := _ISO.fullmatch(text)) is None:
        raise ValueError("not ISO 8601")
    part = found.groupdict()
    if part["minute"] is None and part["offset"] is not None:
        raise ValueError("an offset without a time of day")
    fraction = (part["fraction"] or "").ljust(6, "0")[:6]
    offset = (part["offset"] or "Z").upper().replace(":", "")
    zone = "+00:00" if offset == "Z" else f"{offset[:3]}:{offset[3:] or '00'}"
    return datetime.fromisoformat(
        f"{part['date']}T{part['minute'] or '00:00'}{part['second'] or ':00'}.{fraction}{zone}"
    ).timestamp()


def day_of(timestamp: float) -> int:
    """Return the UTC day that *timestamp* is in, counted from 1970-01-01."""
    return int(timestamp // DAY)


def day_name(day: int) -> str:
    """Return the UTC day as "YYYYMMDD"."""
    return time.strftime("%Y%m%d", time.gmtime(day * DAY))


def day_number(name: str) -> int:
    """Return the day that "YYYYMMDD" names. Raises ValueError."""
    return day_of(datetime.strptime(name, "%Y%m%d").replace(tzinfo=timezone.utc).timestamp())
