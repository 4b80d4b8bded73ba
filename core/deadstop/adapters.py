"""What every adapter shares: patches that come off again, open steps by the framework's ids, the boundary."""

from __future__ import annotations

import functools
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

from deadstop import scopes
from deadstop.errors import AgentStopped, StepDenied, native_stop
from deadstop.scopes import Scope, here
from deadstop.steps import Step, StepKind

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable


__all__ = [
    "Open",
    "OpenSteps",
    "Patches",
    "Scope",
    "attach",
    "attached",
    "detach",
    "guarded",
    "here",
    "nearest_parent",
    "raise_at_boundary",
    "step_out",
]

K = TypeVar("K", bound="Hashable")
F = TypeVar("F", bound="Callable[..., Any]")


class _Patch(NamedTuple):
    owner: Any
    name: str
    original: Any
    own: bool
    replacement: Any


class Patches:
    """Attributes of foreign classes or modules that were replaced, and can all be put back as they were."""

    def __init__(self) -> None:
        self._done: list[_Patch] = []

    def replace(self, owner: Any, name: str, replacement: Any) -> None:
        """Set *owner*.*name* to *replacement*, remembering what stood there (also if it was inherited)."""
        own = name in vars(owner)
        original = vars(owner)[name] if own else getattr(owner, name)
        setattr(owner, name, replacement)
        self._done.append(_Patch(owner, name, original, own, vars(owner)[name]))

    def restore(self) -> list[str]:
        """Put everything back, last first. Returns the names that somebody else has patched since: those stay."""
        foreign = []
        while self._done:
            patch = self._done.pop()
            if vars(patch.owner).get(patch.name) is not patch.replacement:
                foreign.append(f"{getattr(patch.owner, '__name__', patch.owner)}.{patch.name}")
            elif patch.own:
                setattr(patch.owner, patch.name, patch.original)
            else:
                delattr(patch.owner, patch.name)
        return foreign


class Open(NamedTuple):
    """One open entry: its step, the key of the root above it, whether the step is its own, and the root's task.

    `by` is the handler that opened it, `alive` watches whether the framework still knows the run.
    """

    step: Step
    root: Any
    own: bool
    task: Any
    by: object = None
    alive: object = None


class OpenSteps(Generic[K]):
    """The open steps of one adapter by the framework's own run ids, safe against ends that never come.

    Frameworks lose ends: a cancelled call, an abandoned stream. So the end of a root ends everything below it; a root
    ends as dropped once the framework's own object for it is collected; and at most *most* entries are kept: the oldest
    are ended as dropped. A framework run that is no step of ours stands for the step above it (`stand_in`), so that
    what happens below finds its parent. What an adapter notes about one root, its *task*, is handed down to everything
    below.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._open: dict[K, Open] = {}
        self._below: dict[Hashable, set[K]] = {}
        self._most = most
        self._lock = threading.Lock()
        forget = weakref.WeakMethod(self._forget)
        os.register_at_fork(after_in_child=lambda: (method := forget()) and method())

    def _forget(self) -> None:
        """After a fork: what is open belongs to the parent process, which ends it."""
        self._lock = threading.Lock()
        self._open, self._below = {}, {}

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, key: K) -> bool:
        return key in self._open

    def put(
        self, key: K, step: Step, parent: K | None, task: Any = None, *, by: object = None, alive: object = None
    ) -> Any:
        """Keep *step* under *key*, below *parent* if that is open, else as a root with *task*. Returns the task.

        *by* is the handler that opens it. *alive* is an object that lives exactly as long as the framework knows the
        run, for instance its run id: when it is collected without an end, the root is dropped.
        """
        above = None if parent is None else self._open.get(parent)
        if above is not None:
            self._put(key, Open(step, above.root, True, above.task, by))
            return above.task
        watch = None if alive is None else weakref.ref(alive, self._dropper(key, step))
        self._put(key, Open(step, key, True, task, by, watch))
        return task

    def _dropper(self, key: K, step: Step) -> Callable[[object], None]:
        """A finaliser may run inside any lock of ours: it hands the key to the writer thread and does nothing else."""
        notices, drop = step.pipeline.home.notices, functools.partial(self.drop, key)
        return lambda _: notices.append(drop)

    def drop(self, key: K) -> None:
        """End *key*, and everything below it if it is a root, as dropped."""
        if (entry := self.take(key)) is not None:
            _drop(entry)

    def stand_in(self, key: K, parent: K | None) -> None:
        """Let *key* stand for the step of *parent*; nothing if that is not open."""
        if parent is not None and (above := self._open.get(parent)) is not None:
            self._put(key, above._replace(own=False))

    def entry(self, key: K | None) -> Open | None:
        """Return what is open under *key*."""
        return None if key is None else self._open.get(key)

    def get(self, key: K | None) -> Step | None:
        """Return the open step of *key*."""
        entry = None if key is None else self._open.get(key)
        return None if entry is None else entry.step

    def take(self, key: K) -> Open | None:
        """Remove and return the entry of *key*; a root takes everything below it along, ended as dropped."""
        with self._lock:
            if key not in self._open:
                return None
            entry = self._take(key)
            lost = [self._take(k) for k in list(self._below.pop(key, ()))] if entry.root == key else []
        for below in lost:
            _drop(below)
        return entry

    def _put(self, key: K, entry: Open) -> None:
        lost = None
        with self._lock:
            self._open[key] = entry
            if key != entry.root:
                self._below.setdefault(entry.root, set()).add(key)
            if len(self._open) > self._most:
                lost = self._take(next(iter(self._open)))
        if lost is not None:
            _drop(lost)

    def _take(self, key: K) -> Open:
        entry = self._open.pop(key)
        if key != entry.root and (keys := self._below.get(entry.root)) is not None:
            keys.discard(key)
            if not keys:
                del self._below[entry.root]
        return entry


def _drop(entry: Open) -> None:
    if entry.own:
        entry.step.end("dropped")


def guarded(method: F) -> F:
    """Make a handler's *method* safe for its framework: only a decision to stop gets out, as the framework's own type.

    The handler has `monitor` and `family()`, the native stop classes or None. Everything else that *method* raises is
    a failure of ours: isolated and counted.
    """

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except StepDenied:
            raise
        except AgentStopped as stop:
            family = self.family()
            raise (stop if family is None else native_stop(stop, family)) from None
        except Exception as exc:
            self.monitor.home.isolation.note(f"{type(self).__name__}.{method.__name__}", exc)
            return None

    return cast("F", call)


def raise_at_boundary(step: Step, error: BaseException | None) -> None:
    """Raise the stop that must leave *step*, the root of a framework's run; nothing if none is due or *error* is it.

    See `Pipeline.due` for when one is due.
    """
    stop = step.pipeline.due(step, error)
    if stop is not None and stop is not error:
        raise stop


def step_out(mark: dict[str, str]) -> None:
    """Leave root steps that carry *mark* and were left open in this context: an abandoned stream not yet collected.

    Only a root directly around is left. A root that begins inside a tool or a turn of another does belong to it.
    """
    scope = here()
    while isinstance(scope, Step) and scope.kind is StepKind.RUN and scope.facts.get("data") == mark:
        scopes.current.set(scope.parent)
        scope = here()


def nearest_parent(known: Scope | None) -> Scope | None:
    """Return the parent of a new step: the current scope if it lies inside *known*, else *known* itself.

    *known* is what the framework says; a block that the user opened inside it (`with monitor.agent(...)` in a tool) is
    nearer, and only the current context knows about that.
    """
    current = here()
    if known is None or current is known:
        return current
    inside = current
    while inside is not None:
        if inside is known:
            return current
        inside = inside.parent
    return known


class Detach(NamedTuple):
    """One attached adapter: whose it is, and the object that can detach it."""

    monitor: object
    adapter: Any


_attached: dict[str, Detach] = {}
_attached_lock = threading.Lock()


def attached() -> dict[str, Detach]:
    """Return the adapters attached in this process, by name."""
    return dict(_attached)


def attach(name: str, monitor: object, make: Callable[[], Any]) -> Any:
    """Attach the adapter *name* for *monitor*, made by *make*; attaching it again by the same Monitor changes nothing.

    Raises DeadstopError if another Monitor has attached it.
    """
    from deadstop.errors import DeadstopError

    with _attached_lock:
        if (there := _attached.get(name)) is not None:
            if there.monitor is monitor:
                return there.adapter
            raise DeadstopError(f"{name!r} is attached already by {there.monitor!r}; detach it there first")
        adapter = make()
        adapter.attach()
        _attached[name] = Detach(monitor, adapter)
        return adapter


def detach(names: Iterable[str], monitor: object) -> None:
    """Detach those of *names* that *monitor* has attached."""
    for name in names:
        with _attached_lock:
            there = _attached.get(name)
            if there is None or there.monitor is not monitor:
                continue
            del _attached[name]
        there.adapter.detach()
