"""`deadstop pause`: stop an agent, a session, a run, a tag or everything for a while, or until it is resumed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from deadstop.cli.arguments import add_home, add_target, add_wait, add_who

if TYPE_CHECKING:
    import argparse

SUMMARY = "stop an agent for a while"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_target(parser, "pause")
    parser.add_argument(
        "--for", dest="span", metavar="TIME", type=_seconds, help="how long: 90, 90s, 10m, 1h (default: until resumed)"
    )
    add_who(parser)
    add_wait(parser)
    add_home(parser, "every home where it lives; where it lives nowhere, the one that belongs here")


def run(args: argparse.Namespace) -> int:
    """Pause, and say how many live processes have seen it."""
    from deadstop.cli.orders import Order
    from deadstop.cli.outcomes import run_order
    from deadstop.cli.targets import target_of

    order = Order(
        "pause",
        "paused",
        "set",
        "pause",
        target_of(args),
        reason=args.reason,
        actor=args.actor,
        until=None if args.span is None else time.time() + args.span,
        span="" if args.span is None else f" for {args.span:g} s",
    )
    return run_order(order, args)


def _seconds(text: str) -> float:
    import argparse

    from deadstop.config.durations import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc
    if seconds <= 0:
        raise argparse.ArgumentTypeError("a pause of 0 seconds is none")
    return seconds
