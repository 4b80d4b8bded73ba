"""Failures of ours, and of plugins, that must not reach an agent: counted by place, said once, shown by `status`."""

from __future__ import annotations

import logging
from collections import Counter

log = logging.getLogger("deadstop")


class Isolation:
    """Counts isolated failures by place. The first of each place is logged, then every 1,000th.

    The log line says where it happened; the traceback comes with it where the logger "deadstop" is set to DEBUG.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.last: dict[str, str] = {}

    def note(self, place: str, error: BaseException | str) -> None:
        """Count *error* at *place*. Never raises."""
        self.counts[place] += 1
        text = error if isinstance(error, str) else type(error).__name__
        try:
            text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"[:300]
        except Exception:  # an exception whose str() raises is a stranger's bug: its type has to do
            self.counts["unprintable error"] += 1
        self.last[place] = text
        if self.counts[place] % 1000 == 1:
            trace = error if isinstance(error, BaseException) and log.isEnabledFor(logging.DEBUG) else None
            log.warning("deadstop isolated a failure in %s: %s%s", place, text, _where(error), exc_info=trace)

    def report(self) -> dict[str, dict[str, object]]:
        """Return `{place: {"count": n, "last": text}}`."""
        return {place: {"count": n, "last": self.last.get(place, "")} for place, n in dict(self.counts).items()}


def _where(error: BaseException | str) -> str:
    """Return " (file.py:12)", the innermost place that *error* passed; "" where it was never raised."""
    traceback = None if isinstance(error, str) else error.__traceback__
    if traceback is None:
        return ""
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return f" ({traceback.tb_frame.f_code.co_filename.rpartition('/')[2]}:{traceback.tb_lineno})"
