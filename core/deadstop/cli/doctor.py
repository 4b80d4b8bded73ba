"""`deadstop doctor`: whether a kill would work here, tried out on a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadstop.cli import exits
from deadstop.cli.arguments import add_home
from deadstop.cli.text import say, say_json, visible

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from deadstop.cli.doctor_checks import Check

SUMMARY = "check that a kill works here, by killing a process of its own"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_home(parser, "the one that belongs here, and every one with live processes")


def run(args: argparse.Namespace) -> int:
    """Check every home and the plugins; exit with 1 if anything is wrong."""
    from deadstop.cli.doctor_checks import check_plugins

    reports = [("plugins", [check_plugins()]), *((str(home), _check(home)) for home in _homes(args.home))]
    wrong = [check for _, checks in reports for check in checks if check.state == "wrong"]
    if args.json:
        shown = [{"of": of, "checks": [check._asdict() for check in checks]} for of, checks in reports]
        say_json({"ok": not wrong, "reports": shown})
    else:
        _show(reports)
    return exits.FAILED if wrong else exits.OK


def _homes(home: str | None) -> list[Path]:
    from deadstop.cli.places import default_home, given_home, homes_to_show
    from deadstop.control.processes import read_processes

    if (given := given_home(home)) is not None:
        return [given]
    used = [place for place in homes_to_show(None) if any(row.live for row in read_processes(place))]
    return list(dict.fromkeys([default_home(), *used]))


def _check(home: Path) -> list[Check]:
    """Run all checks on *home*. Those that only look come first: the others open it, which mends some things."""
    from deadstop.cli import doctor_checks as checks
    from deadstop.cli.doctor_kill import check_kill, check_seen

    writable = checks.check_home(home)
    looked = [
        writable,
        checks.check_word(home),
        checks.check_control_state(home),
        checks.check_processes(home),
        checks.check_events(home),
    ]
    if writable.state == "wrong":
        return looked
    killed, generation = check_kill(home)
    return [*looked, killed, check_seen(home, generation)]


def _show(reports: list[tuple[str, list[Check]]]) -> None:
    from deadstop.cli.tables import Table, show

    for of, checks in reports:
        if of != "plugins":
            say()
            say(visible(of))
        show(Table("", ("check", "state", "what was found"), [(c.name, c.state, c.found) for c in checks]))
