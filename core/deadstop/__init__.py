"""deadstop monitors AI agents through their own framework's hooks, and stops them.

`from deadstop import Monitor` is the way in. Importing this package imports no framework, opens nothing and patches
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

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
from deadstop.hookspecs import PROJECT
from deadstop.monitor import Monitor
from deadstop.steps import Action, Step, StepKind, Verdict

if TYPE_CHECKING:
    from deadstop.config import MonitorConfig
    from deadstop.control.kill_switch import KillState
    from deadstop.loading import load_config

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

hookimpl = pluggy.HookimplMarker(PROJECT)

_LAZY = {
    "KillState": "deadstop.control.kill_switch",
    "MonitorConfig": "deadstop.config",
    "load_config": "deadstop.loading",
    "__version__": "deadstop._version",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)
