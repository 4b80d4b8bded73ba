"""`with monitor.run()`, `.agent()`, `.session()`, `.step()`: blocks for sync and async code, and decorators."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from deadstop import scopes
from deadstop.scopes import Run, Scope
from deadstop.steps import Step

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from types import TracebackType

    from deadstop.pipeline import Pipeline

S = TypeVar("S", bound=Scope)
F = TypeVar("F", bound="Callable[..., Any]")


class Block(Generic[S]):
    """A scope that opens on entry and closes on exit. Works as `with`, `async with` and decorator.

    The outermost block is the boundary of its run: if a step was refused below it and the stop still holds, the stop
    leaves the block, whatever the code inside made of it. A decorated function opens a new block for each call.
    """

    def __init__(self, pipeline: Pipeline, opening: Callable[[], S]) -> None:
        self._pipeline = pipeline
        self._opening = opening
        self._open: list[S] = []

    def __enter__(self) -> S:
        scope = self._opening()
        scope.lasting = True
        self._open.append(scope)
        return scope

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        scope = self._open.pop()
        stop = self._pipeline.due(scope, error) if self._is_boundary(scope) else None
        if isinstance(scope, Step):
            scope.end(stop or error)
        scope.close()
        if stop is not None and stop is not error:
            raise stop from error

    @staticmethod
    def _is_boundary(scope: Scope) -> bool:
        return scope.parent is None or scope.latch is not scope.parent.latch

    async def __aenter__(self) -> S:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, tb)

    def __call__(self, function: F) -> F:
        """Run *function* (sync, async, generator or async generator) inside a new block at each call."""
        import inspect

        wrap = _wrap_sync
        if inspect.iscoroutinefunction(function):
            wrap = _wrap_async
        elif inspect.isgeneratorfunction(function):
            wrap = _wrap_generator
        elif inspect.isasyncgenfunction(function):
            wrap = _wrap_async_generator
        return cast("F", functools.wraps(function)(wrap(self._fresh, function)))

    def _fresh(self) -> Block[S]:
        return Block(self._pipeline, self._opening)


def grouping(
    parent: Scope | None, *, name: str | None = None, session_id: str | None = None, tags: tuple[str, ...] = ()
) -> Scope:
    """Open a scope that is no step: it groups what runs inside as one run, one session, or under tags."""
    scope = Scope(parent, Run(name) if parent is None else parent.run, session_id=session_id, tags=tags)
    scopes.current.set(scope)
    return scope


def _wrap_sync(fresh: Callable[[], Block[Any]], function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with fresh():
            return function(*args, **kwargs)

    return call


def _wrap_async(fresh: Callable[[], Block[Any]], function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        async with fresh():
            return await function(*args, **kwargs)

    return call


def _wrap_generator(fresh: Callable[[], Block[Any]], function: Callable[..., Any]) -> Callable[..., Any]:
    """Between two values the consumer's own scope is current, not the generator's."""

    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        consumer = scopes.current.get()
        with fresh():
            inner, inside = function(*args, **kwargs), scopes.current.get()
            resume: Callable[[], Any] = functools.partial(next, inner)
            while True:
                scopes.current.set(inside)
                try:
                    produced = resume()
                except StopIteration as done:
                    return done.value
                inside = scopes.current.get()
                scopes.current.set(consumer)
                try:
                    resume = functools.partial(inner.send, (yield produced))
                except GeneratorExit:
                    scopes.current.set(inside)
                    inner.close()
                    raise
                except BaseException as thrown:
                    resume = functools.partial(inner.throw, thrown)

    return call


def _wrap_async_generator(fresh: Callable[[], Block[Any]], function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        consumer = scopes.current.get()
        async with fresh():
            inner, inside = function(*args, **kwargs), scopes.current.get()
            try:
                while True:
                    scopes.current.set(inside)
                    try:
                        produced = await inner.__anext__()
                    except StopAsyncIteration:
                        return
                    inside = scopes.current.get()
                    scopes.current.set(consumer)
                    yield produced
            finally:
                scopes.current.set(inside)
                await inner.aclose()

    return call
