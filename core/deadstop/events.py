"""Events: plain data that knows nothing. `AgentEvent` is what is recorded, stored, alerted and exported.

Names of types, severities and actions are fixed sets; the `VALID_*` constants are what the config loader accepts.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


class EventType(str, Enum):
    """What an event is about. The first nine are activity; the others are decisions about an agent's life."""

    ACTION = "action"
    GUARDRAIL_TRIGGER = "guardrail_trigger"
    APPROVAL_REQUEST = "approval_request"
    APPROVAL_RESPONSE = "approval_response"
    DENIAL = "denial"
    COST = "cost"
    ERROR = "error"
    SESSION_START = "session_start"
    SESSION_END = "session_end"
    AGENT_END = "agent_end"
    KILL = "kill"
    REVIVE = "revive"
    PAUSE = "pause"
    RESUME = "resume"
    ALERT = "alert"


class Severity(str, Enum):
    """How bad it is, worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class KillAction(str, Enum):
    """What a policy kills."""

    KILL_AGENT = "kill_agent"
    KILL_SESSION = "kill_session"
    KILL_GLOBAL = "kill_global"


class ComplianceFormat(str, Enum):
    """The formats of a compliance report."""

    SOC2 = "soc2"
    GDPR = "gdpr"
    JSON = "json"


class AlertChannelType(str, Enum):
    """Where an alert can go."""

    CONSOLE = "console"
    FILE = "file"
    WEBHOOK = "webhook"


def _values(kind: Iterable[Enum]) -> frozenset[str]:
    return frozenset(str(member.value) for member in kind)


VALID_EVENT_TYPES = _values(EventType)
VALID_SEVERITIES = _values(Severity)
VALID_KILL_ACTIONS = _values(KillAction)
VALID_ALERT_CHANNELS = _values(AlertChannelType)
VALID_COMPLIANCE_FORMATS = _values(ComplianceFormat)
VALID_METRICS = frozenset(
    {
        "event_count",
        "action_count",
        "denial_count",
        "denial_rate",
        "approval_count",
        "approval_rate",
        "error_count",
        "cost_total",
        "cost_per_minute",
        "avg_latency_ms",
    }
)


class Usage(msgspec.Struct):
    """Tokens of one model call, and what it cost.

    All counts are tokens. `cached_tokens` and `cache_write_tokens` are part of `input_tokens`, `reasoning_tokens` of
    `output_tokens`. `cost_usd` is None while nobody knows the price: unknown is not free. `estimated` marks counts
    that were derived from streamed chunks because the provider reported none.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    model: str | None = None
    cost_usd: float | None = None
    estimated: bool = False


class _Activity(msgspec.Struct):
    timestamp: float
    agent: str
    event_type: str
    data: dict[str, object] = {}
    session_id: str | None = None
    user: str | None = None
    cost_usd: float | None = None
    latency_ms: float | None = None
    tags: list[str] = []


class AgentEvent(_Activity, kw_only=True):
    """One thing that an agent did, or that was decided about it.

    `timestamp` is epoch seconds, `latency_ms` milliseconds, `cost_usd` USD (None: unknown). The fields after `tags`
    are keyword-only and filled in by deadstop: `id` is unique, `run_id` groups one execution, `step_id` and
    `parent_id` are the step tree, `kind` and `name` say which step ("model", "gpt-4o"), `agents` is the whole path
    of agents from the outermost to `agent`.
    """

    id: str = ""
    run_id: str | None = None
    step_id: str | None = None
    parent_id: str | None = None
    kind: str | None = None
    name: str | None = None
    agents: tuple[str, ...] = ()
