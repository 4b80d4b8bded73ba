"""Arguments that commands share, and the parser around them."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn

from deadstop.cli import exits
from deadstop.cli.text import visible


class Parser(argparse.ArgumentParser):
    """The parser of one command: knows `--json`, explains the exit codes, and can't be made to garble the terminal."""

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(
            prog=f"deadstop {name}",
            description=summary,
            epilog=exits.EXPLAINED,
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        self.add_argument("--json", action="store_true", help="print JSON on stdout instead of text")

    def error(self, message: str) -> NoReturn:
        """Print the usage and *message* on stderr, and exit with code 2."""
        self.print_usage(sys.stderr)
        self.exit(exits.USAGE, f"{self.prog}: {visible(message)}\n")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal, at most 100 columns. argparse would import 3 ms of modules to find that out."""

    def __init__(self, prog: str) -> None:
        try:
            width = os.get_terminal_size().columns
        except (OSError, ValueError):  # stdout is no terminal, or closed
            width = 80
        super().__init__(prog, width=min(max(width, 40), 100) - 2)


def add_home(parser: argparse.ArgumentParser, otherwise: str) -> None:
    """Add `--home`; *otherwise* says what is done without it."""
    parser.add_argument("--home", metavar="DIR", help=f"only this home (default: $DEADSTOP_HOME, else {otherwise})")


def add_who(parser: argparse.ArgumentParser) -> None:
    """Add who decides and why."""
    parser.add_argument("--reason", default="", metavar="TEXT", help="why, for whoever is stopped and for the record")
    parser.add_argument("--actor", metavar="NAME", help="who decides (default: user@host:pid program)")


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Add `--no-wait`."""
    parser.add_argument("--no-wait", action="store_true", help="return at once, without asking who has seen it")


def add_target(parser: argparse.ArgumentParser, verb: str) -> None:
    """Add whom to *verb*: an agent, or one of `--session`, `--run`, `--tag`, `--all`."""
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("agent", nargs="?", metavar="AGENT", help=f"the agent to {verb}")
    group.add_argument("--session", metavar="ID", help="one session instead of an agent")
    group.add_argument("--run", metavar="ID", help="one run")
    group.add_argument("--tag", metavar="TAG", help="every step that carries this tag")
    group.add_argument("--all", action="store_true", help="everything")
