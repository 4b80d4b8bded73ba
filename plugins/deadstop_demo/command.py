"""The command itself: run the agent, wait for a kill, count."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TYPE_CHECKING

from deadstop_demo.result import count
from deadstop_demo.screen import screen_for
from deadstop_demo.stage import set_up

if TYPE_CHECKING:
    import argparse

    from deadstop_demo.screen import Screen
    from deadstop_demo.stage import Stage

_STEPS_BEFORE = 4  # tool calls that the agent makes before --auto kills it
_LEFT_RUNNING = 3.0  # seconds that the unguarded agent goes on after its kill
_STRAGGLERS = 0.3  # seconds in which a call that was still under way would show in the server's log
_FRAME = 0.1  # seconds between two looks


def run(args: argparse.Namespace) -> int:
    """Show the demo and print its numbers; 0 if they are as promised."""
    # LangChain logs each stop that passes through its callbacks as an error.
    logging.getLogger("langchain_core").setLevel(logging.CRITICAL)
    calls = max(1, (args.max_steps + 1) // 2)
    auto = args.auto or args.no_guard
    with set_up(guard=not args.no_guard, home=args.home, most_calls=calls) as stage:
        screen = screen_for(stage, auto=auto, quiet=args.json)
        screen.start()
        try:
            _play(stage, screen, auto=auto)
        finally:
            screen.stop()
        numbers = count(stage)
    if args.json:
        sys.stdout.write(json.dumps(numbers.as_json(), indent=2) + "\n")
    else:
        screen.tell(numbers)
    return 0 if numbers.ok else 1


def _play(stage: Stage, screen: Screen, *, auto: bool) -> None:
    """Run the agent until it has ended, or has been left running for long enough after its kill."""
    stage.agent.start()
    asked = False
    while stage.agent.ended is None:
        if auto and not asked and _is_due(stage):
            asked = True
            stage.kill()
        stage.hear()
        screen.update()
        if not stage.guard and stage.decision is not None and time.time() - stage.decision.at > _LEFT_RUNNING:
            break
        time.sleep(_FRAME)
    else:
        time.sleep(_STRAGGLERS)
    stage.hear(5.0)
    screen.update()


def _is_due(stage: Stage) -> bool:
    """Whether it is time for --auto to kill. A guarded agent has to be known by its name, as in another terminal."""
    return len(stage.script.tool_runs) >= _STEPS_BEFORE and (not stage.guard or stage.is_known())
