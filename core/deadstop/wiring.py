"""How a Monitor is put together from its configuration and plugins. Everything here happens once, and fails loudly."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deadstop import adapters, homes
from deadstop.errors import ConfigError, DeadstopError, MissingExtra
from deadstop.pipeline import Judge, Pipeline
from deadstop.plugins import Plugins, call
from deadstop.specs import PolicySpec, SinkSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deadstop.config import MonitorConfig
    from deadstop.control import ControlStore
    from deadstop.control.kill_switch import KillSwitch
    from deadstop.control.table import ControlTable
    from deadstop.errors import AgentStopped
    from deadstop.events import AgentEvent
    from deadstop.monitor import Monitor
    from deadstop.storage import EventStore


class Wired:
    """The parts of one Monitor before its pipeline is compiled."""

    def __init__(
        self,
        monitor: Monitor,
        config: MonitorConfig,
        plugins: Plugins,
        home: homes.OpenHome,
        clock: Callable[[], float],
    ) -> None:
        from deadstop.control.kill_switch import KillSwitch

        self.monitor = monitor
        self.config = config
        self.plugins = plugins
        self.home = home
        self.clock = clock
        self.kill_switch: KillSwitch = KillSwitch(home.control)

    def finish(self) -> Pipeline:
        """Compile the hooks. The Monitor must have its control by now: policies are built from it."""
        home, plugins = self.home, self.plugins
        pipeline = Pipeline(
            home,
            judges=_judges(self.monitor, plugins),
            before=plugins.compiled("deadstop_before_step"),
            stopped=_notifier(home, plugins.compiled("deadstop_stopped")),
            keep=_filter(self.config),
            members_go_on=self.config.on_member_stop == "continue",
            content=self.config.storage.content,
            clock=self.clock,
        )
        home.pipelines.add(pipeline)
        told = plugins.compiled("deadstop_revived")
        home.enlist(
            self.monitor,
            redact=plugins.compiled("deadstop_redact"),
            sinks=_sinks(self.monitor, plugins),
            leave=home.control.watch(_revival(home, told)) if told else None,
        )
        return pipeline


def wire(
    monitor: Monitor,
    config: MonitorConfig | None,
    *,
    home: str | Path | None,
    plugins: Sequence[object],
    discover: bool,
    clock: Callable[[], float],
) -> Wired:
    """Check *config*, load plugins, open the home."""
    from deadstop.config import MonitorConfig, home_from, not_built, problems_in
    from deadstop.control.home import ensure_home, find_home, register_home

    config = MonitorConfig() if config is None else config
    if not isinstance(config, MonitorConfig):
        raise ConfigError(f"Monitor() takes a MonitorConfig, not {type(config).__name__}: use load_config(path)")
    if problems := [*problems_in(config), *not_built(config)]:
        raise ConfigError(problems)
    found = Plugins(extra=plugins, blocked=config.plugins.disable, discover=discover)
    where = Path(config.source).parent if config.source else Path.cwd()
    path = find_home(home, config_home=home_from(config, where))
    ensure_home(path)
    register_home(path)
    opened = homes.open_home(path, functools.partial(_open, found, config, path))
    return Wired(monitor, config, found, opened, clock)


def _open(plugins: Plugins, config: MonitorConfig, path: Path) -> tuple[ControlStore, EventStore]:
    control_url, store_url = f"file://{path}", f"sqlite://{path}/events?retention_days={config.storage.retention_days}"
    hook = plugins.manager.hook
    control = hook.deadstop_control(url=f"{control_url}?require_control={config.require_control}")
    store = hook.deadstop_store(url=store_url)
    if control is None or store is None:
        raise DeadstopError(f"no plugin opens {control_url if control is None else store_url}")
    return control, store


def _judges(monitor: Monitor, plugins: Plugins) -> tuple[Judge, ...]:
    specs = plugins.specs("deadstop_policies", PolicySpec, config=monitor.config)
    built = [Judge(s.name, s.build(monitor), s.on_error == "closed", s.standing) for _, s in specs]
    direct = [Judge(name, ask) for name, ask in plugins.compiled("deadstop_judge")]
    return (*built, *direct)


def _sinks(monitor: Monitor, plugins: Plugins) -> tuple[tuple[str, Callable[[AgentEvent], None]], ...]:
    specs = plugins.specs("deadstop_sinks", SinkSpec, config=monitor.config)
    alerts = [(f"{name} (alerts)", _only_alerts(tell)) for name, tell in plugins.compiled("deadstop_alert")]
    return (*((s.name, s.build(monitor)) for _, s in specs), *plugins.compiled("deadstop_event"), *alerts)


def _only_alerts(tell: Callable[[AgentEvent], None]) -> Callable[[AgentEvent], None]:
    def sink(event: AgentEvent) -> None:
        if event.event_type == "alert":
            tell(event)

    return sink


def _notifier(
    home: homes.OpenHome, hooks: tuple[tuple[str, Callable[[AgentStopped], object]], ...]
) -> Callable[[AgentStopped], None] | None:
    if not hooks:
        return None

    def stopped(stop: AgentStopped) -> None:
        for _, tell in hooks:
            home.later(functools.partial(tell, stop))

    return stopped


def _revival(
    home: homes.OpenHome, hooks: tuple[tuple[str, Callable[[str], object]], ...]
) -> Callable[[ControlTable], None]:
    """Tell the hooks of every target that was in force and is no more, whoever lifted it."""
    known = {row.target for row in home.control.current().rows}

    def changed(table: ControlTable) -> None:
        nonlocal known
        before, known = known, {row.target for row in table.rows}
        for target in sorted(before - known):
            for _, tell in hooks:
                home.later(functools.partial(tell, target))

    return changed


def _filter(config: MonitorConfig) -> Callable[[AgentEvent], bool] | None:
    """What `agents:` keeps out of the store. It filters and tags what is stored, never what is enforced."""
    if not config.agents:
        return None
    rules = {
        name: (track.enabled, frozenset(track.event_types), list(track.tags)) for name, track in config.agents.items()
    }
    decisions = frozenset({"denial", "alert", "kill", "revive", "pause", "resume"})

    def keep(event: AgentEvent) -> bool:
        rule = rules.get(event.agent)
        if rule is None:
            return True
        enabled, types, tags = rule
        if tags:
            event.tags = [*event.tags, *(tag for tag in tags if tag not in event.tags)]
        return event.event_type in decisions or (enabled and (not types or event.event_type in types))

    return keep


def load_adapter(monitor: Monitor, name: str) -> tuple[str, Callable[..., Any]]:
    """Return the true name of the adapter *name* and what makes it; its framework is imported here, not before."""
    import importlib

    known = monitor.plugins.adapters()
    if (spec := known.get(name)) is None:
        raise DeadstopError(f"there is no adapter {name!r}; known: {', '.join(sorted(known))}")
    module, _, attribute = spec.load.partition(":")
    try:
        make: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] not in spec.imports or spec.extra is None:
            raise
        raise MissingExtra(extra=spec.extra, needs=spec.needs) from exc
    return spec.same_as or spec.name, make


def describe_monitor(monitor: Monitor) -> dict[str, Any]:
    """Return the plain data of `Monitor.status()`."""
    table = monitor.control.current()
    rows = [{f: getattr(row, f) for f in row.__struct_fields__} for row in table.rows]
    return {
        "home": str(monitor.home.path),
        "generation": table.generation,
        "controls": rows,
        "attached": sorted(name for name, there in adapters.attached().items() if there.monitor is monitor),
        "plugins": [found._asdict() for found in monitor.plugins.found],
        "at": time.time(),
        **monitor.home.facts(),
    }


def unwire(monitor: Monitor, pipeline: Pipeline, timeout: float) -> None:
    """Detach adapters, run the last hooks, give the home back."""
    adapters.detach([name for name, there in adapters.attached().items() if there.monitor is monitor], monitor)
    for name, last in monitor.plugins.compiled("deadstop_unconfigure"):
        try:
            last(monitor)
        except Exception as exc:
            monitor.home.isolation.note(f"hook deadstop_unconfigure of {name}", exc)
    pipeline.settle_dropped()
    monitor.drain(timeout)  # so that what this Monitor's sinks are to hear reaches them
    give_back(monitor, timeout)


def configure(monitor: Monitor) -> None:
    """Tell the plugins that *monitor* is ready. One that fails fails the set-up."""
    for name, ready in monitor.plugins.compiled("deadstop_configure"):
        call(name, functools.partial(ready, monitor))


def give_back(monitor: Monitor, timeout: float = 2.0) -> None:
    """Leave the home: at the end, or because the set-up failed."""
    monitor.home.dismiss(monitor)
    homes.release(monitor.home, timeout)
