"""A clock that a test moves by hand."""

from __future__ import annotations

import math
import threading

_NANO = 1_000_000_000


class FakeClock:
    """Wall and monotonic time that stand still until a test moves them; safe to share between threads.

    It has the functions of the `time` module that deadstop calls, `time()` and `monotonic()`, both in seconds. Neither
    starts at zero, so that a zero taken for "not set" shows. Time is kept in whole nanoseconds: ten steps of 0.1 s are
    exactly one second.
    """

    def __init__(self, *, wall: float = 1_700_000_000.0, monotonic: float = 1_000.0) -> None:
        self._lock = threading.Lock()
        self._wall = _nanoseconds(wall)
        self._monotonic = _nanoseconds(monotonic)

    def time(self) -> float:
        """Wall time: seconds since the epoch, as `time.time()`."""
        return self._wall / _NANO

    def monotonic(self) -> float:
        """Seconds that only ever grow, as `time.monotonic()`."""
        return self._monotonic / _NANO

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks. Negative, infinite or NaN seconds are a ValueError."""
        step = _nanoseconds(seconds)
        if step < 0:
            raise ValueError(f"time does not run backwards: advance({seconds!r}); a wall clock set back is set_wall()")
        with self._lock:
            self._wall += step
            self._monotonic += step

    def set_wall(self, epoch: float) -> None:
        """Set the wall clock, forwards or back, as an operator or NTP would. Monotonic time does not move."""
        wall = _nanoseconds(epoch)
        with self._lock:
            self._wall = wall


def _nanoseconds(seconds: float) -> int:
    if not math.isfinite(seconds):
        raise ValueError(f"a time must be a finite number of seconds, not {seconds!r}")
    return round(seconds * _NANO)
