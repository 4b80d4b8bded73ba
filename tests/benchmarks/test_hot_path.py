"""The hot path for pytest-benchmark: `pytest tests/benchmarks --benchmark-only --benchmark-autosave` before and after.

It is the CPU time of a thousand repetitions: what its table calls milliseconds are microseconds each.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import hot_path
import pytest
from measuring import fresh_monitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deadstop import Monitor

TIMES = 1_000
ROUNDS = 30


@pytest.fixture(scope="module")
def monitor() -> Iterator[Monitor]:
    """A Monitor with all judges and the default store."""
    with fresh_monitor() as made:
        yield made


@pytest.mark.benchmark(timer=time.thread_time)
@pytest.mark.parametrize(
    "loop", [hot_path.ask_killed, hot_path.look, hot_path.check, hot_path.tick, hot_path.model_steps, hot_path.record]
)
def test_a_thousand_times(benchmark: Any, monitor: Monitor, loop: Callable[[Monitor, int], None]) -> None:
    """Nothing is asserted about times; only that nothing was lost on the way."""

    def settled() -> tuple[tuple[Monitor, int], dict[str, Any]]:
        assert monitor.drain(30)
        return (monitor, TIMES), {}

    with monitor.agent("benchmark"):
        benchmark.pedantic(loop, setup=settled, rounds=ROUNDS, warmup_rounds=2)
    assert monitor.drain(30)
    assert not monitor.status()["events_dropped"]
