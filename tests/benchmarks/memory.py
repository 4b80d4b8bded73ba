"""What is kept in memory for each agent, and that more steps of the same agents keep nothing."""

from __future__ import annotations

import gc
import tracemalloc
from statistics import median
from typing import TYPE_CHECKING

from measuring import Row, fresh_monitor

from deadstop import StepKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadstop import Monitor

AGENTS = 5_000
ROUNDS = 4  # of further steps
WINDOWS = 5  # the median growth of these: a cache that is resized once is no leak
KB = 1024


def rows() -> Iterator[Row]:
    """Python's own memory, by tracemalloc; SQLite's cache is one for all agents."""
    tracemalloc.start()
    try:
        with fresh_monitor() as monitor:
            everybody_steps(monitor, "warm up ")
            empty = traced(monitor)
            everybody_steps(monitor, "agent ")
            known = traced(monitor)
            growth = median(grown(monitor) for _ in range(WINDOWS))
    finally:
        tracemalloc.stop()
    yield Row("memory for an agent with a session of its own", (known - empty) / AGENTS / KB, "KB", 64)
    yield Row(f"memory for {AGENTS * ROUNDS:,} further steps of known agents", growth / KB, "KB")


def everybody_steps(monitor: Monitor, name: str) -> None:
    """One model call by each agent."""
    for n in range(AGENTS):
        with monitor.step(StepKind.MODEL, "gpt-4o", agent=f"{name}{n}", session_id=f"session of {name}{n}") as step:
            step.usage(input_tokens=812, output_tokens=96)


def grown(monitor: Monitor) -> int:
    """Return the bytes that more model calls of the same agents add."""
    before = traced(monitor)
    for _ in range(ROUNDS):
        everybody_steps(monitor, "agent ")
    return traced(monitor) - before


def traced(monitor: Monitor) -> int:
    """Return the bytes in use once everything is stored."""
    assert monitor.drain(60)
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
