"""deadstop monitors AI agents through their own framework's hooks, and stops them.

`from deadstop import Monitor` is the way in. Importing this package imports no framework, opens nothing and patches
nothing. Each name is loaded when it is first asked for: the command that kills an agent needs only a few of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deadstop._version import __version__
    from deadstop.builtin import hookimpl
    from deadstop.config import MonitorConfig
    from deadstop.control.kill_switch import KillState
    from deadstop.errors import (
        AgentKilled,
        AgentPaused,
        AgentStopped,
        BudgetExceeded,
        CircuitBreakerException,
        CircuitOpenError,
        ConfigError,
        DeadstopError,
        LimitReached,
        MissingExtra,
        RateLimitReached,
        StepDenied,
        native_family,
    )
    from deadstop.events import AgentEvent, EventType, Severity, Usage
    from deadstop.loading import load_config
    from deadstop.monitor import Monitor
    from deadstop.steps import Action, Step, StepKind, Verdict

__all__ = [
    "Action",
    "AgentEvent",
    "AgentKilled",
    "AgentPaused",
    "AgentStopped",
    "BudgetExceeded",
    "CircuitBreakerException",
    "CircuitOpenError",
    "ConfigError",
    "DeadstopError",
    "EventType",
    "KillState",
    "LimitReached",
    "MissingExtra",
    "Monitor",
    "MonitorConfig",
    "RateLimitReached",
    "Severity",
    "Step",
    "StepDenied",
    "StepKind",
    "Usage",
    "Verdict",
    "__version__",
    "hookimpl",
    "load_config",
    "native_family",
]

_HOMES = {
    "deadstop._version": ("__version__",),
    "deadstop.builtin": ("hookimpl",),
    "deadstop.config": ("MonitorConfig",),
    "deadstop.control.kill_switch": ("KillState",),
    "deadstop.events": ("AgentEvent", "EventType", "Severity", "Usage"),
    "deadstop.loading": ("load_config",),
    "deadstop.monitor": ("Monitor",),
    "deadstop.steps": ("Action", "Step", "StepKind", "Verdict"),
}
_LAZY = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module(_LAZY.get(name, "deadstop.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
