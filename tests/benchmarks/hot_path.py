"""What a step, a check and a record cost on the caller's thread."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from measuring import Row, best, fresh_monitor, spread

from deadstop import AgentEvent, StepKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadstop import Monitor

CHECKS = 200_000
STEPS = 20_000
PAST = 100_000  # events that were stored before, for the rows that must stay flat
PACE = 2_000  # steps a second, as a busy process makes them
PACED = 3.0  # seconds
NS, US = 1e9, 1e6


def rows() -> Iterator[Row]:
    """Measure them all."""
    with fresh_monitor() as monitor:
        yield from check_rows(monitor)
        yield from step_rows(monitor, "0")
        yield record_row(monitor, "0")
    with fresh_monitor() as monitor:
        fill(monitor, PAST)
        yield from step_rows(monitor, f"{PAST:,}")
        yield record_row(monitor, f"{PAST:,}")
        yield from paced_rows(monitor)


def check_rows(monitor: Monitor) -> Iterator[Row]:
    """The answers to "may I go on?" while nothing is wrong."""
    yield Row("`is_killed(agent)`", NS * best(lambda n: ask_killed(monitor, n), CHECKS), "ns", 150)
    yield Row("the check in each step (`control.current()`)", NS * best(lambda n: look(monitor, n), CHECKS), "ns", 150)
    with monitor.agent("benchmark"):
        yield Row("`monitor.check()`, with nothing wrong", NS * best(lambda n: check(monitor, n), CHECKS), "ns")
        yield Row("`step.tick()`", NS * best(lambda n: tick(monitor, n), CHECKS), "ns", 300)


def step_rows(monitor: Monitor, past: str) -> Iterator[Row]:
    """One model call from begin to end, with an agent and a session by name, and inside an agent's block."""

    def settle() -> None:
        assert monitor.drain(30)

    value = US * best(lambda n: model_steps(monitor, n), STEPS, between=settle)
    yield Row(f"`begin` + `usage` + `end` of a MODEL step, {past} past events", value, "µs", 10)
    settle()
    assert not monitor.status()["events_dropped"]


def record_row(monitor: Monitor, past: str) -> Row:
    """`record(event)` with an event that the program made itself."""
    value = US * best(lambda n: record(monitor, n), STEPS, between=lambda: monitor.drain(30))
    return Row(f"`record(event)`, {past} past events", value, "µs", 4)


def paced_rows(monitor: Monitor) -> Iterator[Row]:
    """The time that passes, not the CPU: what the writer's thread and the operating system take is in it."""
    taken, begun = [], time.perf_counter()
    for n in range(int(PACE * PACED)):
        time.sleep(max(0.0, begun + n / PACE - time.perf_counter()))
        start = time.perf_counter()
        model_steps(monitor, 1)
        taken.append(time.perf_counter() - start)
    p50, _, p99 = spread(taken)
    yield Row(f"the same step at {PACE:,} a second, wall time, p50", US * p50, "µs")
    yield Row(f"the same step at {PACE:,} a second, wall time, p99", US * p99, "µs")


def fill(monitor: Monitor, events: int) -> None:
    """Have *events* stored."""
    for start in range(0, events, STEPS):
        for n in range(start, min(start + STEPS, events)):
            monitor.record(made(n))
        assert monitor.drain(60)


def made(n: int) -> AgentEvent:
    """An event as a program makes it by hand."""
    return AgentEvent(time.time(), "benchmark", "action", {"tool": "search", "n": n}, "s1", cost_usd=0.01)


def model_steps(monitor: Monitor, times: int) -> None:
    """Begin, report usage, end."""
    begin, kind = monitor.begin, StepKind.MODEL
    for _ in range(times):
        step = begin(kind, "gpt-4o", agent="benchmark", session_id="s1")
        step.usage(input_tokens=812, output_tokens=96)
        step.end()


def record(monitor: Monitor, times: int) -> None:
    """Record an event that exists already; a copy of it is kept."""
    take, event = monitor.record, made(0)
    for _ in range(times):
        take(event)


def ask_killed(monitor: Monitor, times: int) -> None:
    """Ask whether an agent is killed."""
    ask = monitor.is_killed
    for _ in range(times):
        ask("benchmark")


def look(monitor: Monitor, times: int) -> None:
    """Compare the control word with the one that was seen last."""
    current = monitor.control.current
    for _ in range(times):
        current()


def check(monitor: Monitor, times: int) -> None:
    """What a long loop of the user's own calls between two steps."""
    ask = monitor.check
    for _ in range(times):
        ask()


def tick(monitor: Monitor, times: int) -> None:
    """Count the chunks of one stream."""
    step = monitor.begin(StepKind.MODEL, "gpt-4o")
    arrived = step.tick
    for _ in range(times):
        arrived()
    step.end()
