"""What the demo found out: from the server's log, from the tool itself, and from the history of decisions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from deadstop import AgentStopped

if TYPE_CHECKING:
    from deadstop_demo.stage import Stage

_GRACE = 0.005  # seconds: what arrived up to then was under way when the kill was made


@dataclass(frozen=True)
class Numbers:
    """The result. Counts are of calls that *arrived*; times in milliseconds; `ok`: it went as promised."""

    guarded: bool
    killed: bool
    model_calls: int
    model_calls_after_kill: int
    tool_calls: int
    tool_calls_after_kill: int
    input_tokens: int
    output_tokens: int
    ms_from_kill_to_stop: float | None
    exception_type: str | None
    exception: str | None
    events_stored: int
    kill_said: str

    @property
    def after(self) -> int:
        """Calls after the kill."""
        return self.model_calls_after_kill + self.tool_calls_after_kill

    @property
    def ok(self) -> bool:
        """Whether what the demo promises has happened: nothing after the kill with deadstop, something without."""
        if not self.killed or self.model_calls_after_kill == self.model_calls:
            return False
        return (self.after == 0 and self.exception_type == "AgentKilled") if self.guarded else self.after > 0

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {**asdict(self), "ok": self.ok}


def count(stage: Stage) -> Numbers:
    """Count, once the agent has ended or has been left running for long enough."""
    decision, agent = stage.decision, stage.agent
    requests = stage.server.requests
    usages = [stage.script.usage[r.index] for r in requests if r.index in stage.script.usage]
    tools = list(stage.script.tool_runs)
    after = stage.in_force_since + _GRACE
    error = agent.error
    latency = None
    if decision is not None and isinstance(error, AgentStopped) and agent.ended is not None:
        latency = round((agent.ended - decision.at) * 1000, 1)
    if stage.monitor is not None:
        stage.monitor.drain()
    return Numbers(
        guarded=stage.guard,
        killed=decision is not None,
        model_calls=len(requests),
        model_calls_after_kill=sum(request.arrived_wall > after for request in requests),
        tool_calls=len(tools),
        tool_calls_after_kill=sum(began > after for began in tools),
        input_tokens=sum(usage.input_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
        ms_from_kill_to_stop=latency,
        exception_type=None if error is None else type(error).__name__,
        exception=None if error is None else str(error),
        events_stored=0 if stage.monitor is None else stage.monitor.event_store.count(),
        kill_said=stage.said,
    )
