"""Finding plugins, surviving broken ones, and reading what they registered.

pluggy is the registration contract only. It never runs for a step: one raising implementation would silence the rest,
and an `async def` one would be silently not awaited.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pluggy

from deadstop import hookspecs
from deadstop.errors import DeadstopError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from deadstop.specs import AdapterSpec

log = logging.getLogger("deadstop")
HOT_HOOKS = ("deadstop_before_step", "deadstop_judge")
T = TypeVar("T")


class Found(NamedTuple):
    """What became of one entry point: `status` is "active", "blocked" or "failed", `error` why it failed."""

    name: str
    distribution: str
    status: str
    error: str = ""


class Plugins:
    """The plugins of one Monitor: built-ins, entry points sorted by name, and those handed over in code.

    As always with pluggy, whoever registered last is called first.
    """

    def __init__(self, *, extra: Sequence[object] = (), blocked: Iterable[str] = (), discover: bool = True) -> None:
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.found: list[Found] = []
        self._register_builtins()
        if discover:
            self._discover(frozenset(blocked))
        for plugin in extra:
            self._register(plugin, name=getattr(plugin, "__name__", None) or type(plugin).__name__)
        self.manager.check_pending()

    def _register_builtins(self) -> None:
        from deadstop import builtin

        self._register(builtin, name="deadstop")
        self.found.append(Found("deadstop", "deadstop", "active"))

    def _register(self, plugin: object, *, name: str) -> None:
        """Register *plugin*; a mistyped hook or a hot hook of the wrong kind is an error that names the plugin."""
        if self.manager.has_plugin(name):
            name = f"{name}-{id(plugin):x}"
        try:
            self.manager.register(plugin, name=name)
            self._refuse_unknown(name)
            self._refuse_async(name)
        except Exception as exc:
            if self.manager.has_plugin(name):
                self.manager.unregister(name=name)
            if isinstance(exc, DeadstopError):
                raise
            raise DeadstopError(f"plugin {name!r} does not fit the hooks: {exc}") from exc

    def _refuse_unknown(self, name: str) -> None:
        plugin = self.manager.get_plugin(name)
        known = {hook for hook in dir(hookspecs) if hook.startswith("deadstop_")}
        for attribute in dir(plugin):
            if attribute.startswith("deadstop_") and attribute not in known and callable(getattr(plugin, attribute)):
                raise DeadstopError(
                    f"plugin {name!r}: there is no hook {attribute!r}; known: {', '.join(sorted(known))}"
                )

    def _refuse_async(self, name: str) -> None:
        import inspect

        for hook in HOT_HOOKS:
            for impl in getattr(self.manager.hook, hook).get_hookimpls():
                if impl.plugin_name != name:
                    continue
                if inspect.iscoroutinefunction(impl.function) or inspect.isasyncgenfunction(impl.function):
                    raise DeadstopError(
                        f"plugin {name!r}: {hook} must not be async: it decides before the step goes on"
                    )
                if impl.wrapper or impl.hookwrapper:
                    raise DeadstopError(f"plugin {name!r}: {hook} must not be a wrapper: it would hide other judges")

    def _discover(self, blocked: frozenset[str]) -> None:
        from importlib.metadata import entry_points

        for entry in sorted(entry_points(group=hookspecs.PROJECT), key=lambda e: e.name):
            where = entry.dist.name if entry.dist is not None else "?"
            if entry.name in blocked:
                self.found.append(Found(entry.name, where, "blocked"))
                continue
            if self.manager.has_plugin(entry.name):  # the same distribution seen twice on the path
                continue
            try:
                self._register(entry.load(), name=entry.name)
            except Exception as exc:  # one broken stranger must not take the others along
                log.warning("plugin %r of %s is skipped: %s: %s", entry.name, where, type(exc).__name__, exc)
                self.found.append(Found(entry.name, where, "failed", f"{type(exc).__name__}: {exc}"))
            else:
                self.found.append(Found(entry.name, where, "active"))

    def specs(self, hook: str, kind: type[T], **arguments: object) -> list[tuple[str, T]]:
        """Return what every plugin yields for the registration *hook*, as (plugin name, spec); names are unique.

        A plugin that raises or yields something else is an error that names it: this happens at set-up.
        """
        found: dict[str, tuple[str, T]] = {}
        for impl in reversed(getattr(self.manager.hook, hook).get_hookimpls()):
            for spec in call(impl.plugin_name, functools.partial(_yielded, impl, arguments)):
                if not isinstance(spec, kind):
                    raise DeadstopError(f"plugin {impl.plugin_name!r}: {hook} yielded {spec!r}, not a {kind.__name__}")
                name = str(getattr(spec, "name", ""))
                if name in found:
                    raise DeadstopError(
                        f"plugins {found[name][0]!r} and {impl.plugin_name!r} both register {name!r} in {hook}"
                    )
                found[name] = (impl.plugin_name, spec)
        return list(found.values())

    def adapters(self) -> dict[str, AdapterSpec]:
        """Return the adapters by name."""
        from deadstop.specs import AdapterSpec

        return {spec.name: spec for _, spec in self.specs("deadstop_adapters", AdapterSpec)}

    def compiled(self, hook: str) -> tuple[tuple[str, Callable[..., Any]], ...]:
        """Return the implementations of *hook* as (plugin name, function), in calling order."""
        impls = getattr(self.manager.hook, hook).get_hookimpls()
        return tuple((impl.plugin_name, _taking(impl)) for impl in reversed(impls))


def call(plugin: str, registering: Callable[[], T]) -> T:
    """Return what *registering* returns; what it raises becomes an error that names *plugin*."""
    try:
        return registering()
    except DeadstopError as exc:
        raise DeadstopError(f"plugin {plugin!r}: {exc}") from exc
    except Exception as exc:
        raise DeadstopError(f"plugin {plugin!r} failed while registering: {type(exc).__name__}: {exc}") from exc


def _yielded(impl: pluggy.HookImpl, arguments: dict[str, object]) -> list[object]:
    yielded: Any = impl.function(*(arguments[name] for name in impl.argnames))
    return [] if yielded is None else list(yielded)


def _taking(impl: pluggy.HookImpl) -> Callable[..., Any]:
    """Hot hooks have one argument; an implementation may also take none."""
    function: Callable[..., Any] = impl.function
    return function if impl.argnames else lambda _subject: function()
