"""What the handler keeps of LangChain's runs: which are open, what each root has shown; and what their names mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from deadstop import Step, StepKind
from deadstop.adapters import OpenSteps

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from deadstop.adapters import Scope
    from deadstop.homes import OpenHome
    from deadstop.sli import TaskRecord

FRAMEWORK = {"framework": "langchain"}
"""The data of every root, by which roots of ours are told from others."""

_open_steps: WeakKeyDictionary[OpenHome, OpenSteps[int]] = WeakKeyDictionary()


@dataclass
class Task:
    """What one root has shown so far: its record, whose model was called last, how many turns are open, who asks."""

    record: TaskRecord
    agent: str | None = None
    turns: int = 0
    asking: Step | None = None


def open_steps_of(home: OpenHome) -> OpenSteps[int]:
    """Return the open steps of *home*, which all its handlers share: two of them count a run once.

    Keyed by `run_id.int`: the hash of a UUID is computed in Python, each time.
    """
    return _open_steps.setdefault(home, OpenSteps())


def key_of(run_id: UUID | None) -> int | None:
    """Return the key of a run."""
    return None if run_id is None else run_id.int


def name_of(serialized: Mapping[str, Any] | None, default: str) -> str:
    """Return the name in *serialized*, which is None for most chains by now."""
    serialized = serialized or {}
    return str(serialized.get("name") or (serialized.get("id") or [default])[-1])


def is_named(name: str) -> bool:
    """Whether somebody chose *name*; LangChain's own names say nothing about who is working."""
    return not name.startswith("Runnable") and name not in {"LangGraph", "chain"}


def is_tool(scope: Scope | None) -> bool:
    """Whether *scope* is a tool's call. Before langchain-core 1 the config of a tool names the node around it."""
    return isinstance(scope, Step) and scope.kind is StepKind.TOOL
