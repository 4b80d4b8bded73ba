"""`Monitor.record`: the direct way in for events made elsewhere. After the judges, and it never raises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadstop.events import AgentEvent
from deadstop.sanitize import own_copy, sanitize
from deadstop.scopes import here, ids

if TYPE_CHECKING:
    from deadstop.control.table import Row
    from deadstop.pipeline import Pipeline
    from deadstop.scopes import Scope


def record(pipeline: Pipeline, event: AgentEvent) -> None:
    """Put *event* through: corrected, completed from the current scope, kept unless its agent is killed."""
    try:
        clean, corrections = sanitize(event, now=pipeline.clock())
        if corrections:
            pipeline.isolation.note("recorded values corrected", f"{corrections} in an event of {clean.agent!r}")
        if clean is event:
            clean = own_copy(event)  # the caller keeps its own object, may change it and record it again
        scope = here()
        _complete(clean, scope)
        table = pipeline.control.current()
        if not table.empty:
            row = table.match(clean.agents, clean.session_id, clean.run_id or "", tuple(clean.tags))
            if row is not None and row.action == "kill":
                _refuse(pipeline, clean, row)
                return
        pipeline.record(clean)
    except Exception as exc:
        pipeline.isolation.note("record", exc)


def _complete(event: AgentEvent, scope: Scope | None) -> None:
    if not event.id:
        event.id = ids.new()
    if scope is None:
        event.agents = event.agents or (event.agent,)
        return
    event.session_id = event.session_id or scope.session_id
    event.run_id = event.run_id or scope.run.id
    event.user = event.user or scope.user
    outer = scope.agents
    event.agents = event.agents or (outer if event.agent in outer else (*outer, event.agent))


def _refuse(pipeline: Pipeline, event: AgentEvent, row: Row) -> None:
    """Not activity, but evidence: counted in the process row, and one decision event per agent and minute."""

    def decision(count: int) -> AgentEvent:
        data: dict[str, object] = {"action": row.action, "policy": row.policy, "reason": row.reason, "records": count}
        now = pipeline.clock()
        return AgentEvent(now, event.agent, "denial", data, event.session_id, id=ids.new(), agents=event.agents)

    pipeline.home.decisions.once_a_minute(("record", event.agent), decision)
