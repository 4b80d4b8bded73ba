"""`deadstop plugins`: which plugins there are, whether they work, and what each registers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from deadstop.cli import exits
from deadstop.cli.text import note, say_json, visible

if TYPE_CHECKING:
    import argparse

    from deadstop.plugins import Plugins

SUMMARY = "list plugins and what they register"

_NOT_LISTED = frozenset({"deadstop_settings", "deadstop_adapters", "deadstop_policies", "deadstop_sinks"}) | {
    "deadstop_channels",
    "deadstop_commands",
}


class Listed(NamedTuple):
    """One plugin: `status` is "active", "blocked" or "failed"; `registers` maps a kind ("adapter") to names."""

    name: str
    distribution: str
    status: str
    error: str
    registers: dict[str, list[str]]


def configure(_parser: argparse.ArgumentParser) -> None:
    """There are no arguments."""


def run(args: argparse.Namespace) -> int:
    """List the plugins; exit with 1 if what they register does not fit together."""
    found, problems = listing()
    if args.json:
        say_json({"plugins": [plugin._asdict() for plugin in found], "problems": problems})
    else:
        _show(found)
        for problem in problems:
            note(visible(problem))
    return exits.FAILED if problems else exits.OK


def listing() -> tuple[list[Listed], list[str]]:
    """Return every plugin, and what is wrong with their registrations."""
    from deadstop.cli.config import nearest_config
    from deadstop.config import MonitorConfig
    from deadstop.plugins import Plugins

    config = nearest_config() or MonitorConfig()
    plugins = Plugins(blocked=config.plugins.disable)
    registered, problems = _registrations(plugins, config)
    found = [
        Listed(plugin.name, plugin.distribution, plugin.status, plugin.error, registered.get(plugin.name, {}))
        for plugin in plugins.found
    ]
    return found, problems


def _registrations(plugins: Plugins, config: Any) -> tuple[dict[str, dict[str, list[str]]], list[str]]:
    from deadstop import specs
    from deadstop.errors import DeadstopError

    registered: dict[str, dict[str, list[str]]] = {}
    problems = []
    kinds: tuple[tuple[str, str, type[Any], dict[str, Any]], ...] = (
        ("setting", "deadstop_settings", specs.SettingSpec, {}),
        ("adapter", "deadstop_adapters", specs.AdapterSpec, {}),
        ("policy", "deadstop_policies", specs.PolicySpec, {"config": config}),
        ("sink", "deadstop_sinks", specs.SinkSpec, {"config": config}),
        ("channel", "deadstop_channels", specs.ChannelSpec, {}),
        ("command", "deadstop_commands", specs.CommandSpec, {}),
    )
    for kind, hook, spec_type, arguments in kinds:
        try:
            for plugin, spec in plugins.specs(hook, spec_type, **arguments):
                registered.setdefault(plugin, {}).setdefault(kind, []).append(spec.name)
        except DeadstopError as exc:
            problems.append(str(exc))
    for plugin, hook in _other_hooks(plugins):
        registered.setdefault(plugin, {}).setdefault("hook", []).append(hook)
    return registered, problems


def _other_hooks(plugins: Plugins) -> list[tuple[str, str]]:
    from deadstop import hookspecs

    hooks = [name for name in dir(hookspecs) if name.startswith("deadstop_") and name not in _NOT_LISTED]
    return [(impl.plugin_name, hook) for hook in hooks for impl in getattr(plugins.manager.hook, hook).get_hookimpls()]


def _show(found: list[Listed]) -> None:
    from deadstop.cli.tables import Table, show

    rows: list[tuple[object, ...]] = []
    for plugin in found:
        lines = [f"{kind} {', '.join(names)}" for kind, names in plugin.registers.items()] or [plugin.error or "-"]
        rows.append((plugin.name, plugin.status, plugin.distribution, lines[0]))
        rows += [("", "", "", line) for line in lines[1:]]
    show(Table("", ("plugin", "state", "distribution", "registers"), rows))
