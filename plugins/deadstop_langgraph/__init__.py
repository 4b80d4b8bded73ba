"""deadstop for LangGraph: the handler of `deadstop_langchain` serves graphs; what is the graph's own is here.

`LangGraphAdapter` needs no framework at all: it is for graphs that a program reports by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadstop import MissingExtra, hookimpl
from deadstop.specs import AdapterSpec
from deadstop_langgraph.by_hand import LangGraphAdapter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deadstop_langchain import DeadstopCallbackHandler

__all__ = ["DeadstopCallbackHandler", "LangGraphAdapter"]

NEEDS = "langgraph>=0.4.8,<2"


@hookimpl
def deadstop_adapters() -> Iterable[AdapterSpec]:
    """`monitor.attach("langgraph")` is `monitor.attach("langchain")`: graphs report through the same callbacks."""
    yield AdapterSpec(
        name="langgraph",
        summary="LangGraph, by LangChain's callbacks",
        load="deadstop_langchain.attach:ProcessHandler",
        same_as="langchain",
        extra="langgraph",
        needs=NEEDS,
        imports=("langchain_core", "langgraph"),
    )


def __getattr__(name: str) -> object:
    if name != "DeadstopCallbackHandler":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import deadstop_langchain

    try:
        return deadstop_langchain.DeadstopCallbackHandler
    except MissingExtra as missing:
        raise MissingExtra(extra="langgraph", needs=NEEDS) from missing
