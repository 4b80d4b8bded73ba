"""Tasks that a program reports by hand: start, turns, model and tool calls, end. The engine of the adapter objects.

What is reported goes through the same pipeline as everything else: a killed agent's report raises the stop.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deadstop.adapters import raise_at_boundary
from deadstop.errors import AgentStopped
from deadstop.sli import Sli, TaskRecord
from deadstop.verdicts import StepKind

if TYPE_CHECKING:
    from deadstop.monitor import Monitor
    from deadstop.steps import Step


@dataclass
class _Task:
    record: TaskRecord
    root: Step
    turns: dict[str, Step] = field(default_factory=dict)


class ByHand(Sli):
    """An adapter object for one kind of task. Concurrent tasks are kept apart by the context they were started in.

    *monitor* None makes one with all defaults at the first use.
    """

    def __init__(self, monitor: Monitor | None = None) -> None:
        super().__init__()
        self._given = monitor
        self._current: ContextVar[_Task | None] = ContextVar(type(self).__name__, default=None)

    @property
    def monitor(self) -> Monitor:
        """The Monitor behind this object."""
        if self._given is None:
            from deadstop.monitor import Monitor

            self._given = Monitor()
        return self._given

    def begin_task(self, name: str) -> TaskRecord:
        """Open the run of a task whose agent is *name*. Raises `AgentStopped` if it must not start."""
        root = self.monitor.begin(StepKind.RUN, name, agent=name)
        task = _Task(TaskRecord(name), root)
        self._current.set(task)
        return task.record

    def end_task(self, *, success: bool, error: str) -> TaskRecord:
        """Close the task of this context and return its record. Raises a stop that was swallowed in it."""
        task = self._current.get()
        if task is None:  # never started here: there is nothing to measure, and nothing to fail either
            return TaskRecord("", success=success, error=error)
        self._current.set(None)
        for turn in list(task.turns.values()):
            turn.end()
        stop: AgentStopped | None = None
        try:
            raise_at_boundary(task.root, None)
        except AgentStopped as due:
            stop = due
            raise
        finally:
            failed = stop or (error or None if not success else None)
            task.root.end(failed or (None if success else "failed"))
            task.record.finish(success=success and stop is None, error=str(stop or error))
            self.task_finished(task.record)
        return task.record

    def begin_turn(self, name: str) -> None:
        """Open the turn of the agent or node *name*."""
        step = self.monitor.begin(StepKind.AGENT, name)
        if (task := self._current.get()) is not None:
            task.turns[name] = step
            task.record.steps += 1

    def end_turn(self, name: str, error: str) -> None:
        """Close the turn of *name*; one that was never opened is nothing."""
        task = self._current.get()
        if task is not None and (step := task.turns.pop(name, None)) is not None:
            step.end(error or None)

    def call(
        self,
        kind: StepKind,
        name: str,
        *,
        error: str = "",
        input_tokens: int = 0,
        output_tokens: int = 0,
        cost_usd: float = 0.0,
    ) -> None:
        """Report one call that has just happened."""
        step = self.monitor.begin(kind, name)
        if kind is StepKind.MODEL:
            step.usage(input_tokens=input_tokens, output_tokens=output_tokens, cost_usd=cost_usd)
        spent = step.spent if kind is StepKind.MODEL else None
        step.end(error or None)
        if (task := self._current.get()) is None:
            return
        record = task.record
        record.steps += 1
        if kind is StepKind.TOOL:
            record.tool_calls += 1
            record.tool_errors += bool(error)
        if spent is not None:
            record.input_tokens += spent.input_tokens
            record.output_tokens += spent.output_tokens
            record.cost_usd += spent.cost_usd or 0.0
