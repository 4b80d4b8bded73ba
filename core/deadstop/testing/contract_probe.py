"""Plugins that the contract hands to its Monitors: one that watches steps or breaks on demand, and a full disk."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pluggy

from deadstop.hookspecs import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deadstop.events import AgentEvent
    from deadstop.steps import Step

hookimpl = pluggy.HookimplMarker(PROJECT)


class Probe:
    """Calls `on_step` with every step that is judged; while it is `broken`, each of its hooks raises."""

    def __init__(self) -> None:
        self.on_step: Callable[[Step], None] | None = None
        self.broken = False

    def _break(self) -> None:
        if self.broken:
            raise RuntimeError("a bug in a plugin")

    @hookimpl
    def deadstop_before_step(self) -> None:
        """Break."""
        self._break()

    @hookimpl
    def deadstop_judge(self, step: Step) -> None:
        """Break, or look at the step."""
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
