"""`deadstop demo`: a LangGraph agent that has run away, and how it is stopped from another terminal.

Importing this package imports no framework; the command does, when it is run.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

from deadstop import MissingExtra, hookimpl
from deadstop.specs import CommandSpec

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

NEEDS = "langgraph, langchain-openai and rich"
_FRAMEWORK = frozenset({"langchain_core", "langchain_openai", "langgraph", "openai", "rich"})


@hookimpl
def deadstop_commands() -> Iterable[CommandSpec]:
    """The command `deadstop demo`."""
    yield CommandSpec(name="demo", summary="watch an agent run away, and stop it", configure=configure, run=run)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--auto", action="store_true", help="do the kill itself, after a few steps, through the real CLI"
    )
    parser.add_argument("--no-guard", action="store_true", help="the same agent without deadstop, killed the same way")
    parser.add_argument("--max-steps", type=int, default=600, metavar="N", help="end by itself after N steps (600)")
    parser.add_argument("--home", metavar="DIR", help="keep events and decisions in DIR (default: a temporary home)")


def run(args: argparse.Namespace) -> int:
    """Show the demo; return 0 if what was promised happened. Raises MissingExtra without the extra `demo`."""
    if sys.stdout.isatty() and not args.json:
        sys.stdout.write("Loading LangGraph and the OpenAI client ...\n")
        sys.stdout.flush()
    warnings.simplefilter("ignore")  # libraries warn of each other: nothing that a spectator could act on
    try:
        from deadstop_demo import command
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] not in _FRAMEWORK:
            raise
        raise MissingExtra(extra="demo", needs=NEEDS) from exc
    return command.run(args)
