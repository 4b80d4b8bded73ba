"""Which agents and sessions are alive in this process, and what they did last: the facts behind `deadstop status`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deadstop.steps import Step

MOST = 10_000
"""Agents, and sessions, that are remembered; the longest idle ones are forgotten first."""


class Alive:
    """One agent or session that has stepped: counts, and its last step."""

    __slots__ = ("last_at", "last_step", "open_steps", "steps")

    def __init__(self) -> None:
        self.steps = 0
        self.open_steps = 0
        self.last_step = ""
        self.last_at = 0.0


class Activity:
    """Agents and sessions by name. Written on the hot path, so O(1); reading never creates an entry."""

    def __init__(self) -> None:
        self.agents: dict[str, Alive] = {}
        self.sessions: dict[str, Alive] = {}

    def began(self, step: Step) -> None:
        """Note the start of *step*."""
        for alive in self._both(step):
            alive.steps += 1
            alive.open_steps += 1
            alive.last_at = step.started_at
            alive.last_step = f"{step.kind.value} {step.name}"

    def ended(self, step: Step) -> None:
        """Note the end of *step*."""
        if (agent := self.agents.get(step.agent or "")) is not None and agent.open_steps:
            agent.open_steps -= 1
        if step.session_id and (session := self.sessions.get(step.session_id)) is not None and session.open_steps:
            session.open_steps -= 1

    def _both(self, step: Step) -> tuple[Alive, ...]:
        agent = _entry(self.agents, step.agent or "")
        return (agent,) if step.session_id is None else (agent, _entry(self.sessions, step.session_id))

    def report(self, most: int = 200) -> dict[str, object]:
        """Return the *most* recently active agents and sessions, each with its counts and its last step."""
        return {"agents": _latest(self.agents, most), "sessions": _latest(self.sessions, most)}


def _entry(table: dict[str, Alive], name: str) -> Alive:
    if (alive := table.get(name)) is None:
        if len(table) >= MOST:
            for idle in sorted(list(table.items()), key=lambda item: item[1].last_at)[: MOST // 10]:
                table.pop(idle[0], None)
        alive = table.setdefault(name, Alive())
        alive.last_at = time.time()
    return alive


def _latest(table: dict[str, Alive], most: int) -> dict[str, dict[str, object]]:
    newest = sorted(list(table.items()), key=lambda item: item[1].last_at, reverse=True)[:most]
    return {
        name: {"steps": a.steps, "open_steps": a.open_steps, "last_step": a.last_step, "last_at": a.last_at}
        for name, a in newest
    }
