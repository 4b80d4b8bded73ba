"""Moments at which scenarios kill: random, spread over the whole span, and the same in every run."""

from __future__ import annotations

import random


def kill_offsets(seed: str, *, longest: float, count: int = 5) -> list[float]:
    """Return *count* offsets in seconds, one in each *count*-th part of 0 to *longest*; a *seed* gives the same."""
    rng = random.Random(seed)
    part = longest / count
    return [(place + rng.random()) * part for place in range(count)]
