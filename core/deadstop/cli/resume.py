"""`deadstop resume`: end a pause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadstop.cli.arguments import add_home, add_target, add_wait, add_who

if TYPE_CHECKING:
    import argparse

SUMMARY = "end a pause"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_target(parser, "resume")
    add_who(parser)
    add_wait(parser)
    add_home(parser, "every home where it is paused")


def run(args: argparse.Namespace) -> int:
    """Resume; a kill stays."""
    from deadstop.cli.orders import Order
    from deadstop.cli.outcomes import run_order
    from deadstop.cli.targets import target_of

    order = Order("resume", "resumed", "clear", "pause", target_of(args), reason=args.reason, actor=args.actor)
    return run_order(order, args)
