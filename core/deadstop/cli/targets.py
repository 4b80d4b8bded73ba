"""Whom a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deadstop.cli.text import visible
from deadstop.errors import ConfigError
from deadstop.names import clean_name

if TYPE_CHECKING:
    import argparse

    from deadstop.control.processes import ProcessRow
    from deadstop.control.table import Row

_MOST_REPORTED = 200  # names that a process row holds (see `Activity.report`): a full one may lack the one asked for


class Target(NamedTuple):
    """An agent, session, run or tag by name, or everything ("global", with an empty name)."""

    scope: str
    name: str

    def __str__(self) -> str:
        return self.scope if self.scope == "global" else f"{self.scope}:{self.name}"

    @property
    def label(self) -> str:
        """How it is called in a sentence."""
        if self.scope == "global":
            return "everything"
        name = visible(self.name, 80)
        return name if self.scope == "agent" else f"{self.scope} {name}"

    def concerns(self, row: Row) -> bool:
        """Whether the control row *row* is about this target itself."""
        return (row.scope, row.name) == (self.scope, self.name)

    def lives_in(self, process: ProcessRow) -> bool:
        """Whether *process* may have it. Rows don't tell of runs and tags: those may be anywhere."""
        if self.scope not in {"agent", "session"}:
            return True
        known = names_in(process, self.scope)
        incomplete = len(known) >= _MOST_REPORTED or "cut" in process.facts or "unprintable" in process.facts
        return self.name in known or incomplete


def target_of(args: argparse.Namespace) -> Target:
    """Return the target that the arguments name, cleaned as agents' names are. ConfigError for an empty name."""
    if args.all:
        return Target("global", "")
    for scope in ("agent", "session", "run", "tag"):
        given = getattr(args, scope)
        if given is not None:
            if not (name := clean_name(given)):
                raise ConfigError(f"the name of the {scope} is empty")
            return Target(scope, name)
    raise ConfigError("name an agent, or --session, --run, --tag or --all")


def names_in(process: ProcessRow, scope: str) -> list[str]:
    """Return the names of agents or sessions that *process* has reported."""
    if scope == "agent":
        return process.agents
    reported = process.facts.get(f"{scope}s")
    return [str(name) for name in reported] if isinstance(reported, (list, dict)) else []
