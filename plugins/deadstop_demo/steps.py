"""The steps of the agent as a spectator sees them, taken from the server's log and the tool's own record."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deadstop_demo.script import QUERY

if TYPE_CHECKING:
    from deadstop_demo.stage import Stage


class Shown(NamedTuple):
    """One step: `at` is seconds since the agent began. Tokens are None for the tool; `open` while it streams."""

    at: float
    kind: str
    name: str
    input_tokens: int | None
    output_tokens: int | None
    open: bool
    after: bool


class Sums(NamedTuple):
    """What it has come to."""

    model_calls: int
    tool_calls: int
    tokens: int
    seconds: float


def steps_of(stage: Stage, now: float) -> tuple[list[Shown], Sums]:
    """Return every step so far, oldest first, and the sums."""
    began, kill = stage.agent.started, stage.decision
    killed = float("inf") if kill is None else kill.at
    shown = []
    for request in stage.server.requests:
        usage = stage.script.usage.get(request.index)
        shown.append(
            Shown(
                request.arrived_wall - began,
                "model",
                request.model or "",
                None if usage is None else usage.input_tokens,
                request.chunks_sent,
                request.finished is None and request.disconnected is None,
                request.arrived_wall > killed,
            )
        )
    tools = [
        Shown(at - began, "tool", f'search("{QUERY}")', None, None, False, at > killed) for at in stage.script.tool_runs
    ]
    tokens = sum((step.input_tokens or 0) + (step.output_tokens or 0) for step in shown)
    sums = Sums(len(shown), len(tools), tokens, (stage.agent.ended or now) - began)
    return sorted([*shown, *tools]), sums
