"""The control plane: what is killed and paused, in every process of a home, and who is alive there.

`ControlStore` is what the rest of deadstop uses; `deadstop.control.local.LocalControl` is the one on this machine.
Nothing is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deadstop.control.changes import Decision
    from deadstop.control.home import ensure_home, find_home, listed_homes, register_home
    from deadstop.control.kill_switch import KillState, KillSwitch
    from deadstop.control.local import LocalControl, open_control
    from deadstop.control.nearest import suggest
    from deadstop.control.processes import ProcessRow
    from deadstop.control.table import ControlTable, Row
    from deadstop.isolation import Isolation

__all__ = [
    "ControlStore",
    "ControlTable",
    "Decision",
    "KillState",
    "KillSwitch",
    "LocalControl",
    "ProcessRow",
    "Row",
    "ensure_home",
    "find_home",
    "listed_homes",
    "open_control",
    "register_home",
    "suggest",
]

_PLACES = {
    "ControlTable": "table",
    "Decision": "changes",
    "KillState": "kill_switch",
    "KillSwitch": "kill_switch",
    "LocalControl": "local",
    "ProcessRow": "processes",
    "Row": "table",
    "ensure_home": "home",
    "find_home": "home",
    "listed_homes": "home",
    "open_control": "local",
    "register_home": "home",
    "suggest": "nearest",
}


class ControlStore(Protocol):
    """What the pipeline, the policies and the commands need of a control plane.

    `view[0]` is the generation of the control state, `seen` the one that `table` was made at: while they are equal
    nothing has changed, and no call is needed. A fleet's control is this machine's with a bridge that writes the
    fleet's rows into it, so that a step never waits for a network. No method raises for a disk or network that fails.
    """

    home: Path
    view: memoryview
    seen: int
    table: ControlTable
    isolation: Isolation
    interval: float
    facts: Callable[[], dict[str, Any]] | None

    def current(self) -> ControlTable:
        """Return what is in force now."""
        ...

    def set(
        self,
        action: str,
        scope: str,
        name: str = "",
        *,
        reason: str = "",
        actor: str | None = None,
        until: float | None = None,
        policy: str | None = None,
    ) -> Row:
        """Kill or pause; see `LocalControl.set`."""
        ...

    def clear(
        self,
        action: str,
        scope: str,
        name: str = "",
        *,
        actor: str | None = None,
        reason: str = "",
        policy: str | None = None,
    ) -> Row | None:
        """Lift what `set` brought; see `LocalControl.clear`."""
        ...

    def history(self, limit: int = 100) -> list[Decision]:
        """Return the newest decisions, newest first."""
        ...

    def processes(self) -> list[ProcessRow]:
        """Return the rows of all processes on this home."""
        ...

    def wait_seen(self, generation: int, timeout: float = 2.0) -> tuple[int, int]:
        """Return how many live processes have seen *generation*, and how many are alive, once all have or in time."""
        ...

    def watch(self, callback: Callable[[ControlTable], object]) -> Callable[[], None]:
        """Call *callback* with each new table; returns what unsubscribes it."""
        ...

    def start(self) -> None:
        """Show this process on the home and start watching."""
        ...

    def health(self) -> dict[str, Any]:
        """Return what `status` and `doctor` show of the control plane itself."""
        ...

    def close(self) -> None:
        """Give the control back."""
        ...


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
