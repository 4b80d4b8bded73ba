"""What differs between versions of langchain-core and langgraph. No other file of this adapter knows a version."""

from __future__ import annotations

import asyncio
import functools
import sys
from typing import TYPE_CHECKING, Any, TypeVar, cast

from deadstop import native_family

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deadstop import AgentStopped

H = TypeVar("H")


def graph_aware(handler: type[H]) -> type[H]:
    """Return *handler* as a class that LangGraph also tells of interrupts, or itself while no graph can be running.

    LangGraph (1.1.10 and later) delivers them only to subclasses of its GraphCallbackHandler. Importing that costs a
    second, so it is done only where langgraph is imported already.
    """
    return cast("type[H]", _graph_aware(cast("Any", handler))) if "langgraph.errors" in sys.modules else handler


@functools.cache
def _graph_aware(handler: Any) -> Any:
    try:
        from langgraph.callbacks import GraphCallbackHandler
    except ImportError:
        return handler
    return type(handler.__name__, (handler, GraphCallbackHandler), {"__module__": handler.__module__})


def stop_family() -> Mapping[type[AgentStopped], type[AgentStopped]] | None:
    """Return the stop classes that LangGraph lets through, or None while no graph can be running.

    GraphBubbleUp passes RetryPolicy, error handlers, ToolNode and (langchain >= 1.3.12) the retry middleware, which all
    swallow or repeat an ordinary Exception.
    """
    return _family() if "langgraph.errors" in sys.modules else None


@functools.cache
def _family() -> Mapping[type[AgentStopped], type[AgentStopped]]:
    from langgraph.errors import GraphBubbleUp

    return native_family(GraphBubbleUp)


def loses_config() -> bool:
    """Whether what is called here may be a part of the run around it although LangChain does not say so.

    Python 3.10 can't start a task in a given context: there a call without a config inside an async function looks
    like a run of its own.
    """
    return sys.version_info < (3, 11) and asyncio._get_running_loop() is not None


def is_interrupt(error: BaseException) -> bool:
    """Whether *error* is LangGraph asking a person, which ends a node but is no failure."""
    return type(error).__name__ in {"GraphInterrupt", "NodeInterrupt"}


def is_control_flow(error: BaseException) -> bool:
    """Whether *error* is how LangGraph moves on (an interrupt, a command to a parent graph) and no failure."""
    return any(kind.__name__ == "GraphBubbleUp" for kind in type(error).__mro__)


def resumed_with(inputs: Any) -> bool:
    """Whether *inputs* of a graph answer an interrupt: `Command(resume=...)`."""
    return type(inputs).__name__ == "Command" and getattr(inputs, "resume", None) is not None
