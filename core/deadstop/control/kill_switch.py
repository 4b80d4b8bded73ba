"""`KillSwitch`: kill, revive, pause and resume by hand, and `KillState`, what is killed now."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from deadstop.control.home import find_home
from deadstop.control.local import open_control
from deadstop.names import clean_name

if TYPE_CHECKING:
    from deadstop.control import ControlStore
    from deadstop.control.table import Row


@dataclass
class KillState:
    """What is killed: names of agents, session ids, and whether everything is.

    `reasons` says why, keyed `agent:NAME`, `session:ID`, `global` (and `run:ID`, `tag:NAME` where such are killed).
    """

    killed_agents: set[str] = field(default_factory=set)
    killed_sessions: set[str] = field(default_factory=set)
    global_kill: bool = False
    reasons: dict[str, str] = field(default_factory=dict)


class KillSwitch:
    """The switch over one home. *control* is an open control, the path of a home, or None for the home found.

    Everything holds in every process of the home, over restarts, until it is lifted. Each method returns the rows it
    set or lifted; `row.durable` is False where that could not be written (see `LocalControl.set`). `actor` says who did
    it; by default `user@host:pid program`.
    """

    def __init__(self, control: ControlStore | Path | str | None = None) -> None:
        self.control: ControlStore
        if control is None or isinstance(control, (str, Path)):
            self.control = open_control(find_home(control))
        else:
            self.control = control

    def is_killed(self, agent: str, session_id: str | None = None) -> bool:
        """Whether the agent, its session or everything is killed."""
        if self.control.view[0] == self.control.seen and self.control.table.empty:
            return False
        session_id = None if session_id is None else clean_name(session_id)
        return self.control.current().is_killed(clean_name(agent), session_id)

    def kill_agent(self, agent: str, reason: str = "", *, actor: str | None = None) -> Row:
        """Kill one agent, wherever it runs."""
        return self.control.set("kill", "agent", agent, reason=reason, actor=actor)

    def kill_session(self, session_id: str, reason: str = "", *, actor: str | None = None) -> Row:
        """Kill one session; the agent's other sessions go on."""
        return self.control.set("kill", "session", session_id, reason=reason, actor=actor)

    def kill_run(self, run_id: str, reason: str = "", *, actor: str | None = None) -> Row:
        """Kill one run."""
        return self.control.set("kill", "run", run_id, reason=reason, actor=actor)

    def kill_tag(self, tag: str, reason: str = "", *, actor: str | None = None) -> Row:
        """Kill whatever carries *tag*."""
        return self.control.set("kill", "tag", tag, reason=reason, actor=actor)

    def kill_global(self, reason: str = "", *, actor: str | None = None) -> Row:
        """Kill everything, also agents that nobody has seen yet."""
        return self.control.set("kill", "global", reason=reason, actor=actor)

    def revive(
        self, agent: str | None = None, session_id: str | None = None, *, actor: str | None = None, reason: str = ""
    ) -> list[Row]:
        """Lift the kill of the agent, of the session, or of both. Raises ValueError without a target."""
        if agent is None and session_id is None:
            raise ValueError("revive() needs an agent or a session_id; revive_global() lifts the kill of everything")
        return self._clear("kill", {"agent": agent, "session": session_id}, actor, reason)

    def revive_run(self, run_id: str, *, actor: str | None = None, reason: str = "") -> list[Row]:
        """Lift the kill of a run."""
        return self._clear("kill", {"run": run_id}, actor, reason)

    def revive_tag(self, tag: str, *, actor: str | None = None, reason: str = "") -> list[Row]:
        """Lift the kill of a tag."""
        return self._clear("kill", {"tag": tag}, actor, reason)

    def revive_global(self, *, actor: str | None = None, reason: str = "") -> list[Row]:
        """Lift the kill of everything. What was killed one by one stays killed."""
        return self._clear("kill", {"global": ""}, actor, reason)

    def pause(
        self,
        agent: str | None = None,
        *,
        session_id: str | None = None,
        run_id: str | None = None,
        tag: str | None = None,
        everything: bool = False,
        seconds: float | None = None,
        reason: str = "",
        actor: str | None = None,
    ) -> list[Row]:
        """Pause each target given, until it is resumed or for *seconds*. Raises ValueError without a target."""
        if seconds is not None and not seconds > 0:
            raise ValueError(f"a pause lasts more than 0 seconds, not {seconds!r}")
        until = None if seconds is None else time.time() + seconds
        return [
            self.control.set("pause", scope, name, reason=reason, actor=actor, until=until)
            for scope, name in _targets("pause", agent, session_id, run_id, tag, everything=everything).items()
        ]

    def resume(
        self,
        agent: str | None = None,
        *,
        session_id: str | None = None,
        run_id: str | None = None,
        tag: str | None = None,
        everything: bool = False,
        reason: str = "",
        actor: str | None = None,
    ) -> list[Row]:
        """Lift the pause of each target given; kills stay. Raises ValueError without a target."""
        targets = _targets("resume", agent, session_id, run_id, tag, everything=everything)
        return self._clear("pause", {**targets}, actor, reason)

    def get_state(self) -> KillState:
        """Return a copy of what is killed now."""
        state = KillState()
        for row in self.control.current().rows:
            if row.action != "kill":
                continue
            state.reasons[row.target] = row.reason  # the newest row of a target is the last one
            if row.scope == "global":
                state.global_kill = True
            elif row.scope == "agent":
                state.killed_agents.add(row.name)
            elif row.scope == "session":
                state.killed_sessions.add(row.name)
        return state

    def close(self) -> None:
        """Give the control back, if this switch opened it or not: pair it with each `KillSwitch(path)`."""
        self.control.close()

    def _clear(self, action: str, targets: dict[str, str | None], actor: str | None, reason: str) -> list[Row]:
        given = [(scope, name) for scope, name in targets.items() if name is not None]
        lifted = [self.control.clear(action, scope, name, actor=actor, reason=reason) for scope, name in given]
        return [row for row in lifted if row is not None]


def _targets(
    verb: str, agent: str | None, session_id: str | None, run_id: str | None, tag: str | None, *, everything: bool
) -> dict[str, str]:
    given = {"agent": agent, "session": session_id, "run": run_id, "tag": tag, "global": "" if everything else None}
    targets = {scope: name for scope, name in given.items() if name is not None}
    if not targets:
        raise ValueError(f"{verb}() needs an agent, a session_id, a run_id or a tag; everything=True means all")
    return targets
