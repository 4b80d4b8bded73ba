"""The judge of kills and human pauses: what somebody wrote into the control store holds for every step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadstop.verdicts import Action, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadstop.control.table import Row
    from deadstop.monitor import Monitor
    from deadstop.scopes import Scope


def build(monitor: Monitor) -> Callable[[Scope], Verdict | None]:
    """Return the judge over *monitor*'s control store: 0.1 us while nothing is killed or paused."""
    control = monitor.control

    def judge(scope: Scope) -> Verdict | None:
        table = control.current()
        if table.empty:
            return None
        row = table.match(scope.agents, scope.session_id, scope.run.id, scope.tags)
        return None if row is None else verdict_of(row, table.remaining(row))

    return judge


def verdict_of(row: Row, remaining: float | None) -> Verdict:
    """Return what *row* means for a step that it matches; a pause with an end has *remaining* seconds left."""
    facts: dict[str, object] = {"scope": row.scope, "name": row.name, "actor": row.actor}
    if row.action == "kill":
        return Verdict(Action.KILL, row.policy, row.reason, data=facts)
    return Verdict(Action.PAUSE, row.policy, row.reason, retry_after=remaining, data=facts)
