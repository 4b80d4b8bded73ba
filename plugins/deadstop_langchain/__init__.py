"""deadstop for LangChain and LangGraph: `DeadstopCallbackHandler(monitor)`, or `monitor.attach("langchain")`.

Importing this package imports no framework; the handler does, when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadstop import MissingExtra, hookimpl
from deadstop.specs import AdapterSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deadstop_langchain.handler import DeadstopCallbackHandler

__all__ = ["DeadstopCallbackHandler"]

NEEDS = "langchain-core>=0.3.0,<2"


@hookimpl
def deadstop_adapters() -> Iterable[AdapterSpec]:
    """The adapter behind `monitor.attach("langchain")`."""
    yield AdapterSpec(
        name="langchain",
        summary="LangChain and LangGraph, by callbacks",
        load="deadstop_langchain.attach:ProcessHandler",
        extra="langchain",
        needs=NEEDS,
        imports=("langchain_core",),
    )


def __getattr__(name: str) -> object:
    if name != "DeadstopCallbackHandler":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from deadstop_langchain import handler
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] != "langchain_core":
            raise
        raise MissingExtra(extra="langchain", needs=NEEDS) from exc
    return handler.DeadstopCallbackHandler
