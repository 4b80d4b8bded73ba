"""`deadstop kill`: stop an agent, a session, a run, a tag or everything, in every process, until it is revived."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadstop.cli.arguments import add_home, add_target, add_wait, add_who

if TYPE_CHECKING:
    import argparse

SUMMARY = "stop an agent everywhere, until it is revived"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_target(parser, "kill")
    add_who(parser)
    add_wait(parser)
    add_home(parser, "every home where it lives; where it lives nowhere, the one that belongs here")


def run(args: argparse.Namespace) -> int:
    """Kill, and say how many live processes have seen it."""
    from deadstop.cli.orders import Order
    from deadstop.cli.outcomes import run_order
    from deadstop.cli.targets import target_of

    order = Order("kill", "killed", "set", "kill", target_of(args), reason=args.reason, actor=args.actor)
    return run_order(order, args)
