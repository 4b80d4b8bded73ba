"""Which agents and sessions are alive in this process, and what they did last: the facts behind `deadstop status`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deadstop.steps import Step
    from deadstop.verdicts import StepKind

MOST = 10_000
"""Agents, and sessions, that are remembered; the longest idle ones are forgotten first."""


class Alive:
    """One agent or session that has stepped: counts, and its last step."""

    __slots__ = ("last_at", "last_step", "open_steps", "steps")

    def __init__(self) -> None:
        self.steps = 0
        self.open_steps = 0
        self.last_step: tuple[StepKind, str] | None = None
        self.last_at = 0.0


class Activity:
    """Agents and sessions by name. Written on the hot path, so O(1); reading never creates an entry."""

    def __init__(self) -> None:
        self.agents: dict[str, Alive] = {}
        self.sessions: dict[str, Alive] = {}

    def began(self, step: Step) -> None:
        """Note the start of *step*."""
        name, session_id = step.agent or "", step.session_id
        self._note(self.agents.get(name) or _entry(self.agents, name), step)
        if session_id is not None:
            self._note(self.sessions.get(session_id) or _entry(self.sessions, session_id), step)

    @staticmethod
    def _note(alive: Alive, step: Step) -> None:
        alive.steps += 1
        alive.open_steps += 1
        alive.last_at = step.started_at
        alive.last_step = (step.kind, step.name)

    def ended(self, step: Step) -> None:
        """Note the end of *step*."""
        if (agent := self.agents.get(step.agent or "")) is not None:
            agent.open_steps -= 1
        if step.session_id is not None and (session := self.sessions.get(step.session_id)) is not None:
            session.open_steps -= 1

    def report(self, most: int = 200) -> dict[str, object]:
        """Return the *most* recently active agents and sessions, each with its counts and its last step."""
        return {"agents": _latest(self.agents, most), "sessions": _latest(self.sessions, most)}


def _entry(table: dict[str, Alive], name: str) -> Alive:
    if (alive := table.get(name)) is None:
        if len(table) >= MOST:
            for idle in sorted(table.copy().items(), key=lambda item: item[1].last_at)[: MOST // 10]:
                table.pop(idle[0], None)
        alive = table.setdefault(name, Alive())
        alive.last_at = time.time()
    return alive


def _latest(table: dict[str, Alive], most: int) -> dict[str, dict[str, object]]:
    newest = sorted(table.copy().items(), key=lambda item: item[1].last_at, reverse=True)[:most]
    return {
        name: {
            "steps": a.steps,
            "open_steps": max(0, a.open_steps),
            "last_step": "" if a.last_step is None else f"{a.last_step[0].value} {a.last_step[1]}",
            "last_at": a.last_at,
        }
        for name, a in newest
    }
