"""How steps and decisions become events: what is told of each, and under which type."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from deadstop.errors import AgentStopped
from deadstop.events import AgentEvent
from deadstop.sanitize import sanitize
from deadstop.scopes import DEFAULT_AGENT, ids
from deadstop.steps import MODEL, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadstop.control.table import Row
    from deadstop.events import Usage
    from deadstop.scopes import Scope
    from deadstop.steps import Content
    from deadstop.verdicts import Verdict

_BEGIN = {"run": "session_start", "approval": "approval_request"}
_END = {"run": "session_end", "agent": "agent_end", "approval": "approval_response"}


def began(step: Step) -> AgentEvent:
    """Return the event of the start of a run or an approval."""
    event = _of(step, _BEGIN[step.kind._value_], dict(step.facts.get("data", ())), step.started_at)
    return sanitize(event, now=step.started_at)[0]


def ended(
    step: Step,
    error: BaseException | str | None,
    output: Content | None,
    price: Callable[[Step], float | None] | None,
) -> AgentEvent:
    """Return the one event of a step that has ended.

    MODEL, TOOL, RETRIEVAL and HANDOFF steps are an `action`, or an `error` if they failed. A step that was cut by a
    stop is no error: it is an `action` with `data["stopped"]`, the policy.
    """
    facts = step.facts
    data: dict[str, object] = dict(facts["data"]) if "data" in facts else {}
    event_type = _END.get(step.kind._value_, "action")
    if error is not None:
        if isinstance(error, AgentStopped):
            data["stopped"] = error.policy
        else:
            data["error"] = describe(error)
            event_type = "error" if event_type == "action" else event_type
    cost = _tell_usage(step, data, price)
    if "provider" in facts:
        data["provider"] = facts["provider"]
    if "call_id" in facts:
        data["call_id"] = facts["call_id"]
    if step.pipeline.content:
        _tell_content(step, data, output)
    now = step.pipeline.clock()
    event = _of(step, event_type, data, now)
    event.id = step.id
    event.cost_usd = cost
    event.latency_ms = round((time.perf_counter() - step.started) * 1000, 3)
    if "data" in facts or step.pipeline.content or error is not None:  # what others made: cut before it is queued
        event = sanitize(event, now=now)[0]
    return event


def _tell_usage(step: Step, data: dict[str, object], price: Callable[[Step], float | None] | None) -> float | None:
    if step.chunks:
        data["chunks"] = step.chunks
    if step.kind is not MODEL:
        return step.reported.cost_usd if step.reported is not None else None
    spent = step.spent
    if spent is None:
        return None
    data["usage"] = as_counts(spent)
    if spent.model and spent.model != step.name:
        data["response_model"] = spent.model
    if spent.estimated:
        data["usage_estimated"] = True
    cost = spent.cost_usd
    if cost is None and price is not None:
        cost = price(step)
    if cost is None:
        data["cost_unknown"] = True
    return cost


def as_counts(usage: Usage) -> dict[str, int]:
    """Return the token counts of *usage*; the details only where there are any."""
    counts = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    if usage.cached_tokens:
        counts["cached_tokens"] = usage.cached_tokens
    if usage.cache_write_tokens:
        counts["cache_write_tokens"] = usage.cache_write_tokens
    if usage.reasoning_tokens:
        counts["reasoning_tokens"] = usage.reasoning_tokens
    return counts


def _tell_content(step: Step, data: dict[str, object], output: Content | None) -> None:
    """Content is asked for only here, when somebody wants it; what can't be had is left out."""
    wanted: dict[str, Any] = {
        "arguments": step.facts.get("arguments"),
        "input": step.facts.get("input"),
        "output": output,
    }
    for key, content in wanted.items():
        if content is None:
            continue
        try:
            data[key] = content() if callable(content) else content
        except Exception as exc:
            step.pipeline.isolation.note(f"content of a {step.kind._value_} step", exc)


def decided(scope: Scope, verdict: Verdict, event_type: str, now: float, repeats: int) -> AgentEvent:
    """Return the event of a decision about *scope*: a refusal (`denial`) or a warning (`alert`)."""
    data: dict[str, object] = dict(verdict.data or {})
    data |= {"action": verdict.action.name.lower(), "policy": verdict.policy, "reason": verdict.reason}
    if repeats > 1:
        data["repeats"] = repeats
    return _of(scope, event_type, data, now)


_LIFTED = {"kill": "revive", "pause": "resume"}


def controlled(row: Row, *, now: float, lifted_by: str | None = None) -> AgentEvent:
    """Return the event of a kill or pause that was set, or lifted by somebody. Not about an agent: agent "*"."""
    actor = lifted_by or row.actor
    data: dict[str, object] = {"target": row.target, "reason": row.reason, "actor": actor, "policy": row.policy}
    if row.until is not None:
        data["until"] = row.until
    if not row.durable:
        data["durable"] = False
    return AgentEvent(
        now,
        row.name if row.scope == "agent" else "*",
        _LIFTED[row.action] if lifted_by else row.action,
        data,
        row.name if row.scope == "session" else None,
        id=ids.new(),
        run_id=row.name if row.scope == "run" else None,
    )


def describe(error: BaseException | str) -> str:
    """Return the type of *error* and the first 200 characters of its text."""
    if isinstance(error, str):
        return error[:200]
    try:
        return f"{type(error).__name__}: {error}"[:200]
    except Exception:  # a stranger's __str__ raised
        return type(error).__name__


def _of(scope: Scope, event_type: str, data: dict[str, object], now: float) -> AgentEvent:
    step = scope if isinstance(scope, Step) else None
    outer = scope.parent
    while outer is not None and not isinstance(outer, Step):
        outer = outer.parent
    return AgentEvent(
        now,
        scope.agent or DEFAULT_AGENT,
        event_type,
        data,
        scope.session_id,
        scope.user,
        None,
        None,
        list(scope.tags),
        id="" if step is not None and step.ended else ids.new(),
        run_id=scope.run.id,
        step_id=None if step is None else step.id,
        parent_id=None if outer is None else outer.id,
        kind=None if step is None else step.kind._value_,  # .value is a slow property
        name=scope.run.name if step is None else step.name,
        agents=scope.agents,
    )
