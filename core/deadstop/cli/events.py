"""`deadstop events`: what agents did and what was decided about them, the newest last; `--follow` waits for more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from deadstop.cli import exits
from deadstop.cli.arguments import add_home
from deadstop.cli.text import say, say_json

if TYPE_CHECKING:
    import argparse

SUMMARY = "list events and decisions, or follow them"
_POLL = 0.2  # seconds between two looks of --follow


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--follow", "-f", action="store_true", help="go on printing what comes (JSON: one a line)")
    parser.add_argument("--agent", metavar="NAME", help="of this agent, also below others")
    parser.add_argument("--type", metavar="TYPE", help="of this type: action, denial, error, kill, ...")
    parser.add_argument("--session", metavar="ID", help="of this session")
    parser.add_argument("--run", metavar="ID", help="of this run")
    parser.add_argument("--since", metavar="TIME", help="not before: 10m (ago), an ISO 8601 time (UTC), epoch seconds")
    parser.add_argument("--until", metavar="TIME", help="before")
    parser.add_argument("-n", dest="limit", metavar="N", type=_count, default=20, help="how many (default: 20)")
    add_home(parser, "every home in use")


def run(args: argparse.Namespace) -> int:
    """Print the newest matching events; with `--follow` until Ctrl-C."""
    from deadstop.cli.event_sources import Source, latest, wanted_by
    from deadstop.cli.places import existing_homes

    wanted = wanted_by(args)
    sources = [Source(home) for home in existing_homes(args.home)]
    cursors = [source.now() for source in sources] if args.follow else []
    found = latest(sources, wanted, args.limit)
    if args.json and not args.follow:
        say_json(found)
        return exits.OK
    known = {event["id"] for event in found}
    _print(found, as_json=args.json)
    while args.follow:
        fresh: list[dict[str, Any]] = []
        for place, source in enumerate(sources):
            events, cursors[place] = source.after(cursors[place])
            fresh += [event for event in events if event["id"] not in known and wanted.matches(event)]
        _print(sorted(fresh, key=lambda event: float(event["timestamp"])), as_json=args.json)
        time.sleep(_POLL)
    return exits.OK


def _print(events: list[dict[str, Any]], *, as_json: bool) -> None:
    from deadstop.cli.event_lines import line_of

    for event in events:
        if as_json:
            say_json(event, compact=True)
        else:
            say(line_of(event))


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise ValueError(text)
    return count
