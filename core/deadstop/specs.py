"""What registration hooks yield: plain data, so that a plugin can be tested, listed and checked without a host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from deadstop.events import AgentEvent
    from deadstop.monitor import Monitor
    from deadstop.steps import Step, Verdict


@dataclass(frozen=True, kw_only=True)
class SettingSpec:
    """A top-level section of `deadstop.yaml`: its *name*, and the msgspec type that its value is converted to."""

    name: str
    type: type


@dataclass(frozen=True, kw_only=True)
class AdapterSpec:
    """A framework adapter: `load` is "module:attribute" of a callable `(monitor, **options) -> adapter`.

    The adapter has `attach()` and `detach()`. `extra` is what `pip install 'deadstop[extra]'` installs and `needs` the
    requirement in words; `imports` are the top-level modules whose absence means that the extra is missing. `same_as`
    names the adapter that this one is another name of: attaching both is attaching one.
    """

    name: str
    summary: str
    load: str
    extra: str | None = None
    needs: str = ""
    imports: tuple[str, ...] = ()
    same_as: str | None = None


@dataclass(frozen=True, kw_only=True)
class PolicySpec:
    """A judge: `build(monitor)` returns the function that is asked about every step.

    `on_error` says what a raising judge means: "open" (the step goes on) or "closed" (it is refused). A `standing`
    judge looks only at who is running, never at the step itself; it is asked again inside running steps.
    """

    name: str
    summary: str
    build: Callable[[Monitor], Callable[[Step], Verdict | None]]
    on_error: Literal["open", "closed"] = "open"
    standing: bool = False


@dataclass(frozen=True, kw_only=True)
class SinkSpec:
    """A consumer of stored events: `build(monitor)` returns the function that gets each one."""

    name: str
    summary: str
    build: Callable[[Monitor], Callable[[AgentEvent], None]]


@dataclass(frozen=True, kw_only=True)
class ChannelSpec:
    """An alert channel type: `build(options)` returns the function that delivers one alert."""

    name: str
    summary: str
    build: Callable[[dict[str, object]], Callable[[AgentEvent], None]]


@dataclass(frozen=True, kw_only=True)
class CommandSpec:
    """A sub-command of `deadstop`: `configure(parser)` adds its arguments, `run(args)` returns the exit code."""

    name: str
    summary: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
