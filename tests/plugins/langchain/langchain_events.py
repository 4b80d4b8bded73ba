"""What the tests read back of a Monitor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deadstop import Monitor

ENDS = frozenset({"action", "error", "agent_end", "session_end"})


def steps(monitor: Monitor, kind: str) -> list[dict[str, Any]]:
    """The stored ends of all steps of one kind, oldest first."""
    rows: list[dict[str, Any]] = monitor.get_events(limit=None)
    return [row for row in reversed(rows) if row["kind"] == kind and row["event_type"] in ENDS]


def types(monitor: Monitor, *wanted: str) -> list[dict[str, Any]]:
    """The stored events of some types, oldest first."""
    rows: list[dict[str, Any]] = monitor.get_events(limit=None)
    return [row for row in reversed(rows) if row["event_type"] in wanted]


def open_steps(monitor: Monitor) -> int:
    """How many steps are open, over all agents."""
    monitor.drain()
    return sum(alive["open_steps"] for alive in monitor.status()["agents"].values())
