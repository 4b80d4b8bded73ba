"""Service level indicators of one adapter: task success, cost, duration, tool accuracy."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

KEPT = 10_000
"""Finished tasks that the averages look back on."""


@dataclass
class TaskRecord:
    """One task: a run of a chain, graph or crew. `duration_ms` is milliseconds, `cost_usd` USD, tokens are tokens.

    `success` is None while the task runs. The record that a start returns is the one that its end returns.
    """

    name: str
    started_at: float = field(default_factory=time.time)
    success: bool | None = None
    error: str = ""
    duration_ms: float = 0.0
    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    steps: int = 0
    tool_calls: int = 0
    tool_errors: int = 0
    _started: float = field(default_factory=time.perf_counter, repr=False)

    def finish(self, *, success: bool, error: str = "") -> None:
        """Close the record."""
        self.success = success
        self.error = error
        self.duration_ms = (time.perf_counter() - self._started) * 1000


class Sli:
    """What `get_sli_snapshot()` and its properties tell, for every adapter. A mixin: call `super().__init__()`."""

    def __init__(self) -> None:
        super().__init__()
        self._finished: deque[TaskRecord] = deque(maxlen=KEPT)

    def task_finished(self, task: TaskRecord) -> None:
        """Add a finished task."""
        self._finished.append(task)

    @property
    def task_success_rate(self) -> float:
        """The share of finished tasks that succeeded, 0.0 to 1.0; 1.0 before the first."""
        tasks = list(self._finished)
        return sum(task.success is True for task in tasks) / len(tasks) if tasks else 1.0

    @property
    def total_cost_usd(self) -> float:
        """The known cost of all finished tasks in USD."""
        return sum(task.cost_usd for task in list(self._finished))

    @property
    def avg_duration_ms(self) -> float:
        """The mean duration of finished tasks in milliseconds; 0.0 before the first."""
        tasks = list(self._finished)
        return sum(task.duration_ms for task in tasks) / len(tasks) if tasks else 0.0

    @property
    def tool_accuracy(self) -> float:
        """The share of tool calls that did not fail, 0.0 to 1.0; 1.0 without any."""
        tasks = list(self._finished)
        calls = sum(task.tool_calls for task in tasks)
        return 1.0 - sum(task.tool_errors for task in tasks) / calls if calls else 1.0

    def get_sli_snapshot(self) -> dict[str, Any]:
        """Return the four indicators, and the counts behind them, as plain data."""
        tasks = list(self._finished)
        return {
            "task_success_rate": self.task_success_rate,
            "total_cost_usd": self.total_cost_usd,
            "avg_duration_ms": self.avg_duration_ms,
            "tool_accuracy": self.tool_accuracy,
            "tasks": len(tasks),
            "tool_calls": sum(task.tool_calls for task in tasks),
        }

    def clear(self) -> None:
        """Empty the snapshot; nothing else."""
        self._finished.clear()
