"""Scopes for plain threads: `attach("threading")` hands the starter's scope to threads and executor tasks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar, cast

from deadstop import scopes
from deadstop.adapters import Patches

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadstop.monitor import Monitor

F = TypeVar("F", bound="Callable[..., Any]")


def in_scope(function: F) -> F:
    """Return *function* so that each call runs in the scope that is current here and now, whatever thread calls it."""
    import functools
    import inspect

    scope = scopes.here()

    if inspect.iscoroutinefunction(function):

        async def call_async(*args: Any, **kwargs: Any) -> Any:
            before = scopes.current.get()
            scopes.current.set(scope)
            try:
                return await function(*args, **kwargs)
            finally:
                scopes.current.set(before)

        return cast("F", functools.wraps(function)(call_async))

    def call(*args: Any, **kwargs: Any) -> Any:
        before = scopes.current.get()
        scopes.current.set(scope)
        try:
            return function(*args, **kwargs)
        finally:
            scopes.current.set(before)

    return cast("F", functools.wraps(function)(call))


class ThreadScopes:
    """The adapter behind `monitor.attach("threading")`: patches `Thread.start` and `ThreadPoolExecutor.submit`."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self.patches = Patches()

    def attach(self) -> None:
        """Start handing scopes over."""
        from concurrent.futures import ThreadPoolExecutor

        start, submit = threading.Thread.start, ThreadPoolExecutor.submit

        def start_in_scope(thread: threading.Thread) -> None:
            if scopes.here() is not None:
                thread.run = in_scope(thread.run)  # type: ignore[method-assign]
            start(thread)

        def submit_in_scope(pool: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            return submit(pool, fn if scopes.here() is None else in_scope(fn), *args, **kwargs)

        self.patches.replace(threading.Thread, "start", start_in_scope)
        self.patches.replace(ThreadPoolExecutor, "submit", submit_in_scope)

    def detach(self) -> None:
        """Restore both."""
        self.patches.restore()
