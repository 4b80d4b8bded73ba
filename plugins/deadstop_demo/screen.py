"""What a spectator sees: a live picture on a terminal, plain lines anywhere else, nothing with --json."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from deadstop_demo.agent import NAME
from deadstop_demo.stage import REASON
from deadstop_demo.steps import Shown, Sums, steps_of

if TYPE_CHECKING:
    from deadstop_demo.result import Numbers
    from deadstop_demo.stage import Stage

_HEADLINE = "A LangGraph agent has run away: it calls the same tool again and again."
_AROUND = 16  # lines of the picture besides the steps
_MOST_STEPS = 14


class Screen:
    """Shows a stage: `start`, `update` now and then, `stop`, and `tell` for the result. This one shows nothing."""

    def start(self) -> None:
        """Begin to show."""

    def update(self) -> None:
        """Show what has changed."""

    def stop(self) -> None:
        """Leave the last picture where it is."""

    def tell(self, numbers: Numbers) -> None:
        """Say what came out."""


def screen_for(stage: Stage, *, auto: bool, quiet: bool) -> Screen:
    """Return the screen that fits where stdout goes."""
    if quiet:
        return Screen()
    return _Picture(stage, auto=auto) if sys.stdout.isatty() else _Lines(stage, auto=auto)


def command_line() -> str:
    """Return what to type in another terminal."""
    found = shutil.which("deadstop")
    program = "deadstop" if found else f"{shlex.quote(sys.executable)} -m deadstop"
    return f'{program} kill {NAME} --reason "{REASON}"'


class _Lines(Screen):
    """One line a step, for logs and pipes."""

    def __init__(self, stage: Stage, *, auto: bool) -> None:
        self._stage = stage
        self._auto = auto
        self._told = 0

    def start(self) -> None:
        _write(f"{_title(self._stage)}: {_HEADLINE}")
        _write("it is killed after a few steps" if self._auto else f"stop it from another terminal: {command_line()}")

    def update(self) -> None:
        steps, _ = steps_of(self._stage, time.time())
        closed = [step for step in steps if not step.open]
        for step in closed[self._told :]:
            _write(f"{step.at:7.2f} s  {step.kind:5}  {step.name}  {_tokens(step)}".rstrip())
        self._told = max(self._told, len(closed))

    def tell(self, numbers: Numbers) -> None:
        width = max(len(label) for label, _, _ in findings(numbers))
        _write("")
        for label, value, _ in findings(numbers):
            _write(f"{label:<{width}}  {value}")


class _Picture(Screen):
    """The live picture."""

    def __init__(self, stage: Stage, *, auto: bool) -> None:
        self._stage = stage
        self._auto = auto
        self._console = Console(highlight=False, emoji=False)
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")

    def start(self) -> None:
        self._live.start()
        self.update()

    def stop(self) -> None:
        self._live.stop()

    def update(self) -> None:
        steps, sums = steps_of(self._stage, time.time())
        room = max(3, min(_MOST_STEPS, self._console.size.height - _AROUND))
        self._live.update(self._drawn(steps, room, sums), refresh=True)

    def tell(self, numbers: Numbers) -> None:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column()
        for label, value, good in findings(numbers):
            style = "" if good is None else ("bold green" if good else "bold red")
            table.add_row(label, Text(value, style=style))
        self._console.print(Padding(table, (0, 0, 1, 2)))

    def _drawn(self, steps: list[Shown], room: int, sums: Sums) -> Group:
        table = Table.grid(padding=(0, 2))
        for side in ("right", "right", "left", "left", "right"):
            table.add_column(justify=side, no_wrap=True, min_width=3)
        first = max(0, len(steps) - room)
        for number, step in enumerate(steps[first:], start=first + 1):
            table.add_row(*_cells(number, step))
        return Group(
            Panel(Text(_HEADLINE), title=_title(self._stage), title_align="left", border_style="dim"),
            Padding(table, (0, 0, 0, 1)),
            Padding(_summed(sums), (1, 0, 0, 2)),
            Padding(self._next(), (1, 0, 1, 2)),
        )

    def _next(self) -> Text:
        stage = self._stage
        if stage.decision is not None:
            reason = stage.decision.reason or "no reason given"
            said = f"\n\n  {stage.said}" if stage.said else ""
            return Text.assemble(("Killed: ", "bold"), reason, (said, "dim"))
        if self._auto:
            return Text.assemble("In a moment another process types:\n\n  ", (command_line(), "bold yellow"))
        return Text.assemble("Stop it. Type in another terminal:\n\n  ", (command_line(), "bold yellow"))


def _cells(number: int, step: Shown) -> tuple[Text, ...]:
    style = "red" if step.after else ""
    return (
        Text(str(number), style="dim"),
        Text(f"{step.at:.1f} s", style="dim"),
        Text(step.kind, style=style or ("cyan" if step.kind == "model" else "magenta")),
        Text(step.name, style=style),
        Text(_tokens(step), style=style),
    )


def _tokens(step: Shown) -> str:
    if step.input_tokens is None:
        return ""
    return f"{step.input_tokens:,} in {step.output_tokens or 0:3} out"


def _summed(sums: Sums) -> Text:
    parts = (
        f"{sums.model_calls} model calls",
        f"{sums.tool_calls} tool calls",
        f"{sums.tokens:,} tokens",
        f"{sums.seconds:.1f} s",
    )
    return Text("   ".join(parts), style="bold")


def _title(stage: Stage) -> str:
    return "deadstop demo" if stage.guard else "deadstop demo, without deadstop"


def findings(numbers: Numbers) -> list[tuple[str, str, bool | None]]:
    """Return the result as label, value, and whether that is good (None: neither)."""
    before = numbers.model_calls - numbers.model_calls_after_kill
    tools_before = numbers.tool_calls - numbers.tool_calls_after_kill
    if not numbers.killed:
        return [("not killed", f"it ended by itself after {before} model calls and {tools_before} tool calls", False)]
    zero = numbers.after == 0
    rows: list[tuple[str, str, bool | None]] = [
        ("model calls before the kill", f"{before}", None),
        ("model calls after the kill", f"{numbers.model_calls_after_kill}", zero),
        ("tool calls before the kill", f"{tools_before}", None),
        ("tool calls after the kill", f"{numbers.tool_calls_after_kill}", zero),
        ("tokens", f"{numbers.input_tokens:,} in, {numbers.output_tokens:,} out", None),
    ]
    if numbers.ms_from_kill_to_stop is not None:
        rows.append(("from kill to stop", f"{numbers.ms_from_kill_to_stop:.0f} ms", None))
    if numbers.guarded:
        rows.append(("events stored", str(numbers.events_stored), None))
        rows.append(("the caller got", f"{numbers.exception_type}: {numbers.exception}", None))
    else:
        rows.append(("the caller got", "nothing: the agent has not noticed", False))
    return rows


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
