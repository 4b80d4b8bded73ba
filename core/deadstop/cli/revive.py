"""`deadstop revive`: lift a kill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadstop.cli.arguments import add_home, add_target, add_wait, add_who

if TYPE_CHECKING:
    import argparse

SUMMARY = "lift a kill"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_target(parser, "revive")
    add_who(parser)
    add_wait(parser)
    add_home(parser, "every home where it is killed")


def run(args: argparse.Namespace) -> int:
    """Revive; a pause stays, and so does every other kill."""
    from deadstop.cli.orders import Order
    from deadstop.cli.outcomes import run_order
    from deadstop.cli.targets import target_of

    order = Order("revive", "revived", "clear", "kill", target_of(args), reason=args.reason, actor=args.actor)
    return run_order(order, args)
