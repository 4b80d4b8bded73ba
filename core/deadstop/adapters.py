"""What every adapter shares: patches that come off again, open steps by the framework's ids, the boundary."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from deadstop.errors import AgentStopped, native_stop

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from deadstop.scopes import Scope
    from deadstop.steps import Step

K = TypeVar("K", bound="Hashable")


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


class _Open(NamedTuple):
    step: Step
    root: Hashable
    since: float


class OpenSteps(Generic[K]):
    """The open steps of one adapter by the framework's own run ids, safe against ends that never come.

    Frameworks lose ends: a cancelled call, an abandoned stream. So the end of a root ends everything below it, and at
    most *most* steps are kept: the oldest are ended as dropped.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._open: OrderedDict[K, _Open] = OrderedDict()
        self._below: dict[Hashable, set[K]] = {}
        self._most = most
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def put(self, key: K, step: Step, parent: K | None) -> None:
        """Keep *step* under *key*, below *parent* if that is open."""
        with self._lock:
            above = None if parent is None else self._open.get(parent)
            root = key if above is None else above.root
            self._open[key] = _Open(step, root, time.monotonic())
            self._below.setdefault(root, set()).add(key)
            surplus = [self._take(next(iter(self._open)))] if len(self._open) > self._most else []
        for lost in surplus:
            lost.end("dropped")

    def get(self, key: K | None) -> Step | None:
        """Return the open step of *key*."""
        entry = None if key is None else self._open.get(key)
        return None if entry is None else entry.step

    def take(self, key: K) -> Step | None:
        """Remove and return the step of *key*; a root takes everything below it along, ended as dropped."""
        with self._lock:
            if key not in self._open:
                return None
            step = self._take(key)
            below = [self._take(k) for k in list(self._below.pop(key, ()))]
        for lost in below:
            lost.end("dropped")
        return step

    def _take(self, key: K) -> Step:
        entry = self._open.pop(key)
        if (keys := self._below.get(entry.root)) is not None:
            keys.discard(key)
            if not keys:
                del self._below[entry.root]
        return entry.step


def raise_at_boundary(
    step: Step, error: BaseException | None, family: Mapping[type[AgentStopped], type[AgentStopped]] | None = None
) -> None:
    """Raise the stop that must leave *step*, the root of a framework's run; nothing if none is due.

    See `Pipeline.due` for when one is due. With *family* it is raised as the framework's let-it-through type.
    """
    stop = step.pipeline.due(step, error)
    if stop is None or stop is error:
        return
    raise stop if family is None else native_stop(stop, family)


def scope_agent(scope: Scope | None) -> str | None:
    """Return the agent that the user has named around the running code, or None."""
    return None if scope is None else scope.agent


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
