"""`deadstop version`."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from deadstop._version import __version__
from deadstop.cli import exits
from deadstop.cli.text import say, say_json

if TYPE_CHECKING:
    import argparse

SUMMARY = "print the version"


def configure(_parser: argparse.ArgumentParser) -> None:
    """There are no arguments."""


def run(args: argparse.Namespace) -> int:
    """Print the version of deadstop, and of the Python that it runs on."""
    python = platform.python_version()
    if args.json:
        say_json({"deadstop": __version__, "python": python, "platform": platform.platform()})
    else:
        say(f"deadstop {__version__} (Python {python})")
    return exits.OK
