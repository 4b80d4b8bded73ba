"""Kinds of steps, and what can be decided about one: plain data shared by judges, adapters and the pipeline."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from deadstop.errors import AgentStopped

Layer = Literal["framework", "sdk", "transport"]
Target = Literal["run", "agent", "session", "global"]


class StepKind(str, Enum):
    """What a step does. Steps nest: a RUN holds AGENT turns, which hold MODEL calls, TOOL calls and the rest."""

    RUN = "run"
    AGENT = "agent"
    MODEL = "model"
    TOOL = "tool"
    RETRIEVAL = "retrieval"
    HANDOFF = "handoff"
    APPROVAL = "approval"


class Action(IntEnum):
    """What a verdict asks for, mildest first; the harshest verdict about a step wins."""

    WARN = 1
    DENY = 2
    PAUSE = 3
    KILL = 4


class _Decision(msgspec.Struct, frozen=True):
    action: Action
    policy: str
    reason: str


class Verdict(_Decision, frozen=True, kw_only=True):
    """What one judge decided about one step.

    `action` is how harsh, `policy` who decided, `reason` why, in words for the caller. `target` says what PAUSE and
    KILL act on: the run alone, or a row for the agent, the session or everything. `stop` is the exception class to
    raise (None: the one of the action). `retry_after` is seconds until a new try may pass (None: unknown). `data`
    holds further facts for the event; `scope` and `name` in it say whose limit it was ("agent", "researcher").
    """

    target: Target = "run"
    stop: type[AgentStopped] | None = None
    retry_after: float | None = None
    data: dict[str, object] | None = None


DENIABLE = frozenset({StepKind.TOOL, StepKind.RETRIEVAL, StepKind.HANDOFF})
"""Kinds that DENY refuses alone; on the others it stops the run."""
