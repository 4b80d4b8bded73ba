"""The commands there are: built-in ones and those of plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadstop.cli import BUILT_IN, exits, load_builtin
from deadstop.cli.text import note, visible
from deadstop.errors import DeadstopError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deadstop.specs import CommandSpec

_USAGE = "usage: deadstop COMMAND [options]\n\nMonitors AI agents and stops them.\n\ncommands:"
_MORE = "\n`deadstop COMMAND --help` explains one of them; each knows --json.\n"


def discovered() -> dict[str, CommandSpec]:
    """Return all commands by name, built-in ones first. Two of one name are a DeadstopError that names both plugins."""
    from deadstop.cli.config import disabled_plugins
    from deadstop.plugins import Plugins
    from deadstop.specs import CommandSpec

    found = Plugins(blocked=disabled_plugins()).specs("deadstop_commands", CommandSpec)
    commands = {spec.name: spec for _, spec in found}
    return {**{name: commands[name] for name in BUILT_IN}, **commands}


def help_text() -> str:
    """Return the overview: every command with its summary, and the exit codes."""
    try:
        commands = discovered()
    except DeadstopError as exc:  # a plugin is broken: what stops an agent has to be found all the same
        note(visible(exc))
        commands = {name: load_builtin(name) for name in BUILT_IN}
    width = max(map(len, commands))
    lines = [f"  {name:<{width}}  {visible(command.summary)}" for name, command in commands.items()]
    return "\n".join([_USAGE, *lines, _MORE, exits.EXPLAINED.rstrip()])


def unknown(name: str, commands: Mapping[str, CommandSpec]) -> int:
    """Say that there is no command *name*."""
    from deadstop.control.nearest import suggest

    near = suggest(name[:100], commands)
    hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(commands)}"
    note(f"{visible(name, 60)!r} is no command; {hint}")
    return exits.USAGE
