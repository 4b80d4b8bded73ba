"""`deadstop validate`: everything that is wrong with a `deadstop.yaml`, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadstop.cli import exits
from deadstop.cli.text import note, plural, say, say_json, visible

if TYPE_CHECKING:
    import argparse

SUMMARY = "check a deadstop.yaml and list every problem"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("path", nargs="?", metavar="PATH", help="the file (default: the nearest deadstop.yaml)")


def run(args: argparse.Namespace) -> int:
    """Load the file as a Monitor would; exit with 2 if that fails."""
    from deadstop.config.load import find_config

    path = args.path or find_config()
    problems, home = (["there is no deadstop.yaml here or above"], None) if path is None else _problems(str(path))
    if args.json:
        shown = None if path is None else str(path)
        say_json({"path": shown, "ok": not problems, "home": home, "problems": problems})
    elif not problems:
        say(f"{visible(path)} is fine")
    else:
        for problem in problems:
            say(visible(problem))
        note(plural(len(problems), "problem"))
    return exits.USAGE if problems else exits.OK


def _problems(path: str) -> tuple[list[str], str | None]:
    """Return every problem of the file at *path*, and the home that it names."""
    from pathlib import Path

    from deadstop.config.home import home_from
    from deadstop.errors import ConfigError
    from deadstop.loading import load_config

    try:
        config = load_config(path)
    except FileNotFoundError:
        return [f"{path}: there is no such file"], None
    except ConfigError as exc:
        return exc.problems, None
    home = home_from(config, Path(path).absolute().parent)
    return [], None if home is None else str(home)
