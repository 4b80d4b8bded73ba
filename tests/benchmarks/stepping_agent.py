"""The agent that `kills.py` kills: a step every 0.3 ms or so, until one is refused; then it says when that was."""

from __future__ import annotations

import sys
import time

from deadstop import AgentKilled, Monitor, StepKind


def say(text: object) -> None:
    """Tell the process that kills."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def refused_at(monitor: Monitor) -> float:
    """Work until a step is refused, and return that moment."""
    monitor.begin(StepKind.TOOL, "search", agent="stepping").end()
    say("stepping")
    while True:
        try:
            step = monitor.begin(StepKind.TOOL, "search", agent="stepping")
        except AgentKilled:
            return time.monotonic()
        step.end()
        time.sleep(0.0002)


def main() -> None:
    """Work until refused, once for each line that is read."""
    with Monitor(home=sys.argv[1], discover=False) as monitor:
        while sys.stdin.readline():
            say(refused_at(monitor))


main()
