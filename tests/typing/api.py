"""Never run, only type-checked, against the installed wheel: what a user writes has the types that the user expects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from typing_extensions import assert_type

import deadstop
from deadstop import (
    Action,
    AgentEvent,
    AgentKilled,
    AgentPaused,
    AgentStopped,
    BudgetExceeded,
    CircuitBreakerException,
    ConfigError,
    DeadstopError,
    EventType,
    KillState,
    MissingExtra,
    Monitor,
    MonitorConfig,
    Severity,
    Step,
    StepDenied,
    StepKind,
    Usage,
    Verdict,
    hookimpl,
    load_config,
    native_family,
)
from deadstop.specs import AdapterSpec, ChannelSpec, CommandSpec, PolicySpec, SettingSpec, SinkSpec

if TYPE_CHECKING:
    from deadstop.control import ControlStore
    from deadstop.storage import EventStore


# -- a Monitor --------------------------------------------------------------------------------------------------------

config = load_config("deadstop.yaml")
assert_type(config, MonitorConfig)
assert_type(config.sections, dict[str, object])

monitor = Monitor(config, home="state", plugins=[object()], discover=False, clock=lambda: 0.0)
assert_type(Monitor(), Monitor)
assert_type(deadstop.__version__, str)

with Monitor() as entered:
    assert_type(entered, Monitor)


# -- steps ------------------------------------------------------------------------------------------------------------

step = monitor.begin(
    StepKind.MODEL,
    "gpt-4o",
    agent="sales",
    session_id="s1",
    user="ada",
    provider="openai",
    call_id="c1",
    layer="framework",
    input_tokens=3,
    max_output_tokens=100,
    estimate_usd=0.01,
    arguments={"q": "x"},
    input=lambda: [{"role": "user", "text": "hi"}],
    tags=["a", "b"],
    data={"shard": 7},
)
assert_type(step, Step)
step.tick()
step.tick(3)
step.usage(input_tokens=3, output_tokens=5, cached_tokens=1, reasoning_tokens=2, model="gpt-4o", cost_usd=None)
assert_type(step.spent, Usage | None)
step.end()
step.end(error=ValueError("x"), output=lambda: "hello")


def give_back(released: Step) -> None:
    """What a judge registers for a step."""


step.hold(give_back)

monitor.begin("model", "gpt-4o")  # type: ignore[arg-type]
monitor.begin(StepKind.MODEL, "gpt-4o", "sales")  # type: ignore[call-arg, misc, unused-ignore]
monitor.begin(StepKind.MODEL, "gpt-4o", layer="wire")  # type: ignore[arg-type]


# -- blocks and decorators --------------------------------------------------------------------------------------------

with monitor.step(StepKind.TOOL, "search", arguments={"q": "x"}) as tool:
    assert_type(tool, Step)
with monitor.agent("researcher", session_id="s1", user="ada", tags=("a",)) as turn:
    assert_type(turn, Step)
with monitor.session("s1"), monitor.run("nightly", tags=["a"]):
    monitor.check()


async def in_async_code() -> None:
    """Blocks work as `async with` too."""
    async with monitor.step(StepKind.TOOL, "search") as there:
        assert_type(there, Step)
    async with monitor.run():
        pass


@monitor.agent("sales")
def answer(question: str, *, politely: bool = True) -> int:
    """A decorated function keeps its signature."""
    return len(question) + politely


@monitor.run()
async def answer_later(question: str) -> int:
    """So does a coroutine function."""
    return len(question)


@monitor.session("s1")
def words(text: str) -> Iterator[str]:
    """And a generator."""
    yield from text.split()


@monitor.step(StepKind.TOOL, "words")
async def words_later(text: str) -> AsyncIterator[str]:
    """And an asynchronous one."""
    yield text


assert_type(answer("why", politely=False), int)
answer(3)  # type: ignore[arg-type]
answer("why", rudely=True)  # type: ignore[call-arg]
assert_type(words("a b"), Iterator[str])
assert_type(words_later("a b"), AsyncIterator[str])
wrapped: Callable[[str], Iterator[str]] = monitor.wrap(words)


async def awaiting() -> None:
    """The decorated coroutine function is awaited as before."""
    assert_type(await answer_later("why"), int)


# -- kills, events, status --------------------------------------------------------------------------------------------

assert_type(monitor.is_killed("sales"), bool)
monitor.kill_agent("sales", "burning money", actor="ada")
monitor.kill_session("s1", reason="x")
monitor.kill_run("r1")
monitor.kill_tag("beta")
monitor.kill_global("fire")
monitor.revive("sales")
monitor.revive(agent="sales", session_id="s1")
monitor.revive_global()
monitor.pause("sales", seconds=3.5, reason="lunch")
monitor.resume("sales")
assert_type(monitor.kill_switch_engine.get_state(), KillState)
monitor.kill_agent(3)  # type: ignore[arg-type]

monitor.record(AgentEvent(0.0, "sales", "custom", {"n": 1}, "s1", "ada", 0.5, 12.0, ["a"], kind="tool", name="search"))
assert_type(monitor.get_events(agent="sales", limit=10), list[dict[str, object]])
assert_type(monitor.drain(1.0), bool)
assert_type(monitor.status(), dict[str, Any])
monitor.flush()
monitor.close()
kinds: list[str] = [EventType.ACTION.value, Severity.HIGH.value]


# -- what is raised ---------------------------------------------------------------------------------------------------

try:
    answer("why")
except BudgetExceeded as spent:
    assert_type(spent.spent_usd, "float | None")
    assert_type(spent.retry_after, "float | None")
except AgentKilled as killed:
    assert_type(killed.verdict, Verdict)
    assert_type(killed.policy, str)
    assert_type(killed.session_id, "str | None")
except StepDenied as denied:
    assert_type(denied.reason, str)

stops: list[type[AgentStopped]] = [AgentKilled, AgentPaused, CircuitBreakerException, BudgetExceeded]
mistakes: list[type[DeadstopError]] = [ConfigError, MissingExtra]


class LetThrough(BaseException):
    """A framework's own exception type."""


family = native_family(LetThrough)
assert_type(family, Mapping[type[AgentStopped], type[AgentStopped]])


# -- a plugin ---------------------------------------------------------------------------------------------------------


@hookimpl
def deadstop_judge(step: Step) -> Verdict | None:
    """A judge."""
    return Verdict(Action.DENY, "house-rules", "no", target="agent", retry_after=3.0, data={"n": 1})


@hookimpl
def deadstop_redact(event: AgentEvent) -> AgentEvent | None:
    """A redactor."""
    return event


@hookimpl
def deadstop_policies(config: MonitorConfig) -> Iterable[PolicySpec]:
    """A policy."""
    yield PolicySpec(name="mine", summary="", build=lambda _monitor: deadstop_judge, on_error="closed", standing=True)
    yield PolicySpec(name="mine", summary="", build=lambda _monitor: deadstop_judge, on_error="maybe")  # type: ignore[arg-type]


@hookimpl
def deadstop_sinks() -> Iterable[SinkSpec]:
    """A sink."""
    yield SinkSpec(name="mine", summary="", build=lambda _monitor: print)


@hookimpl
def deadstop_channels() -> Iterable[ChannelSpec]:
    """A channel."""
    yield ChannelSpec(name="mine", summary="", build=lambda _options: print)


@hookimpl
def deadstop_commands() -> Iterable[CommandSpec]:
    """A command."""
    yield CommandSpec(name="mine", summary="", configure=lambda _parser: None, run=lambda _arguments: 0)


@hookimpl
def deadstop_adapters() -> Iterable[AdapterSpec]:
    """An adapter."""
    yield AdapterSpec(name="mine", summary="", load="mine:Adapter", extra="mine", needs="mine>=1", imports=("mine",))


@hookimpl
def deadstop_settings() -> Iterable[SettingSpec]:
    """A section."""
    yield SettingSpec(name="mine", type=dict)


def a_store(store: EventStore, control: ControlStore) -> None:
    """The protocols that other stores implement."""
    assert_type(store.read(agent="sales", limit=None), list[dict[str, object]])
    assert_type(store.count(), int)
    control.current()


assert_type(deadstop_judge(step), "Verdict | None")
