"""The whole plugin contract: what a plugin may implement, when it is called, and what it returns.

A plugin is any object or module with functions of these names, marked with `deadstop.hookimpl`, found through an entry
point in the group `deadstop` or handed to `Monitor(plugins=[...])`. Implementations may take fewer arguments than
listed. Registration hooks *yield typed specs* (see `deadstop.specs`): they change nothing and do no work. Hooks marked
"hot" run for every step and are compiled to tuples at start-up; `async def` and wrapper implementations of them are
refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deadstop.config import MonitorConfig
    from deadstop.control import ControlStore
    from deadstop.errors import AgentStopped
    from deadstop.events import AgentEvent
    from deadstop.monitor import Monitor
    from deadstop.specs import AdapterSpec, ChannelSpec, CommandSpec, PolicySpec, SettingSpec, SinkSpec
    from deadstop.steps import Step, Verdict
    from deadstop.storage import EventStore

PROJECT = "deadstop"
hookspec = pluggy.HookspecMarker(PROJECT)

# -- registration: before and at start-up -----------------------------------------------------------------------------


@hookspec
def deadstop_settings() -> Iterable[SettingSpec]:
    """Before the configuration is read: yield the typed top-level sections that the plugin adds to `deadstop.yaml`.

    The value that the file gives is in `monitor.config.sections[name]`.
    """
    raise NotImplementedError


@hookspec
def deadstop_adapters() -> Iterable[AdapterSpec]:
    """At start-up: yield the framework adapters that `monitor.attach(name)` can load. Import no framework here."""
    raise NotImplementedError


@hookspec
def deadstop_policies(config: MonitorConfig) -> Iterable[PolicySpec]:
    """At start-up: yield judges that are built per Monitor. Each is asked about every step."""
    raise NotImplementedError


@hookspec
def deadstop_sinks(config: MonitorConfig) -> Iterable[SinkSpec]:
    """At start-up: yield consumers of stored events. They run on the writer thread, each isolated."""
    raise NotImplementedError


@hookspec
def deadstop_channels() -> Iterable[ChannelSpec]:
    """At start-up: yield alert channel types, by the name that `alerts.channels[].type` gives."""
    raise NotImplementedError


@hookspec
def deadstop_commands() -> Iterable[CommandSpec]:
    """For the command line only: yield sub-commands of `deadstop`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def deadstop_store(url: str) -> EventStore | None:
    """At start-up, first result wins: return the event store for *url* ("sqlite:///dir", "redis://..."), or None."""


@hookspec(firstresult=True)
def deadstop_control(url: str) -> ControlStore | None:
    """At start-up, first result wins: return the control store for *url*, or None for an unknown url."""


@hookspec
def deadstop_configure(monitor: Monitor) -> None:
    """Once for each Monitor, when it is ready."""


@hookspec
def deadstop_unconfigure(monitor: Monitor) -> None:
    """Once for each Monitor, when it closes."""


# -- hot: for every step, compiled ------------------------------------------------------------------------------------


@hookspec
def deadstop_before_step(step: Step) -> None:
    """Hot, before the judges: enrich *step* (`step.data`, `step.facts`). What it raises is isolated."""


@hookspec
def deadstop_judge(step: Step) -> Verdict | None:
    """Hot: decide about *step*. All judges are asked, the harshest verdict wins; None means no objection.

    If it raises, the failure is counted and the step goes on (a `PolicySpec` can ask for fail-closed instead).
    """


# -- on the writer thread ---------------------------------------------------------------------------------------------


@hookspec
def deadstop_redact(event: AgentEvent) -> AgentEvent | None:
    """On the writer thread, before anything is stored, alerted or sent: return the event without its secrets.

    None drops it. If this raises, the event's data is dropped, not leaked.
    """


@hookspec
def deadstop_event(event: AgentEvent) -> None:
    """On the writer thread, after the event was stored. Isolated; quarantined for a while after repeated failures."""


# -- rare -------------------------------------------------------------------------------------------------------------


@hookspec
def deadstop_alert(alert: AgentEvent) -> None:
    """Rare, on the writer thread: a policy warned, or something of ours needs a look."""


@hookspec
def deadstop_stopped(stop: AgentStopped) -> None:
    """Rare, on the writer thread: a run was stopped. Called once for each latch that closes, off the stop's path."""


@hookspec
def deadstop_revived(target: str) -> None:
    """Rare, on the writer thread: *target* ("agent:NAME", "session:ID", "global", ...) was revived or resumed."""
