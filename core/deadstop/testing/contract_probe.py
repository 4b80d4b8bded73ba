"""Plugins that the contract hands to its Monitors: one that watches steps or breaks on demand, and a full disk."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pluggy

from deadstop.hookspecs import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deadstop.events import AgentEvent
    from deadstop.steps import Step
    from deadstop.verdicts import StepKind

hookimpl = pluggy.HookimplMarker(PROJECT)


class Judged(NamedTuple):
    """A step that no other judge has refused, and when (`time.monotonic()`)."""

    kind: StepKind
    moment: float
    session: str | None


class Probe:
    """Notes every step that is judged, and calls `on_step` with it; while it is `broken`, each of its hooks raises."""

    def __init__(self) -> None:
        self.on_step: Callable[[Step], None] | None = None
        self.broken = False
        self.judged: list[Judged] = []

    def begun_by(self, moment: float, kind: StepKind, session: str | None = None) -> int:
        """Return how many steps of *kind* (of one session) had been judged before *moment*."""
        known = [step for step in list(self.judged) if session is None or step.session == session]
        return sum(step.kind is kind and step.moment <= moment for step in known)

    def _break(self) -> None:
        if self.broken:
            raise RuntimeError("a bug in a plugin")

    @hookimpl
    def deadstop_before_step(self) -> None:
        """Break."""
        self._break()

    @hookimpl
    def deadstop_judge(self, step: Step) -> None:
        """Note the step, and break or look at it."""
        self.judged.append(Judged(step.kind, time.monotonic(), step.session_id))
        self._break()
        if self.on_step is not None:
            self.on_step(step)

    @hookimpl
    def deadstop_redact(self, event: AgentEvent) -> AgentEvent:
        """Break, or let the event through."""
        self._break()
        return event

    @hookimpl
    def deadstop_event(self) -> None:
        """Break."""
        self._break()

    @hookimpl
    def deadstop_alert(self) -> None:
        """Break."""
        self._break()

    @hookimpl
    def deadstop_stopped(self) -> None:
        """Break."""
        self._break()


class FullDisk:
    """A plugin whose event store finds its disk full at every write."""

    @hookimpl
    def deadstop_store(self) -> _FullStore:
        """Open the store, whatever the url."""
        return _FullStore()


class _FullStore:
    """Every write fails as on a full disk, every read finds nothing."""

    def write(self, *_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def read(self, **_: Any) -> list[dict[str, object]]:
        return []

    def iterate(self, **_: Any) -> Iterator[dict[str, object]]:
        return iter(())

    def tail(self, *_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    def count(self, **_: Any) -> int:
        return 0

    def prune(self, **_: Any) -> int:
        return 0

    def clear(self) -> None:
        pass

    def close(self) -> None:
        pass
