"""The hooks that run for every step: who is asked, in which order it does not matter, and what a broken one can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deadstop import (
    Action,
    AgentKilled,
    AgentPaused,
    AgentStopped,
    DeadstopError,
    StepDenied,
    StepKind,
    Verdict,
    hookimpl,
)
from deadstop.specs import PolicySpec

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from typing import Literal

    from deadstop import Monitor, Step

    from .conftest import MakeMonitor


class Judge:
    """A plugin whose judge always says the same, and counts how often it was asked."""

    def __init__(self, action: Action | None, name: str = "") -> None:
        self.__name__ = name or f"judge-{action}"
        self.action = action
        self.asked = 0

    @hookimpl
    def deadstop_judge(self, step: Step) -> Verdict | None:
        """Answer."""
        self.asked += 1
        return None if self.action is None else Verdict(self.action, self.__name__, "because")


class Raising:
    """A plugin whose judge is broken."""

    @hookimpl
    def deadstop_judge(self, step: Step) -> Verdict | None:
        """Break."""
        raise ZeroDivisionError(step.name)


def policy(name: str, judge: Callable[[Any], Verdict | None], on_error: Literal["open", "closed"]) -> object:
    """A plugin with one policy."""

    class Plugin:
        @hookimpl
        def deadstop_policies(self) -> Iterable[PolicySpec]:
            yield PolicySpec(name=name, summary="", build=lambda _monitor: judge, on_error=on_error)

    return Plugin()


def outcome(monitor: Monitor, kind: StepKind = StepKind.TOOL) -> str:
    """What happens to one step: "went on", or the name of what was raised."""
    try:
        monitor.begin(kind, "search").end()
    except (AgentStopped, StepDenied) as stop:
        return type(stop).__name__
    return "went on"


# -- deadstop_judge ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "tool", "model"),
    [
        (None, "went on", "went on"),
        (Action.WARN, "went on", "went on"),
        (Action.DENY, "StepDenied", "AgentStopped"),
        (Action.PAUSE, "AgentPaused", "AgentPaused"),
        (Action.KILL, "AgentKilled", "AgentKilled"),
    ],
)
def test_hook_deadstop_judge_decides_about_each_step(
    make_monitor: MakeMonitor, action: Action | None, tool: str, model: str
) -> None:
    monitor = make_monitor(Judge(action))
    assert outcome(monitor, StepKind.TOOL) == tool
    assert outcome(monitor, StepKind.MODEL) == model


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(data=st.data(), actions=st.lists(st.sampled_from([None, *Action]), min_size=1, max_size=5))
def test_hook_deadstop_judge_the_harshest_verdict_wins_in_any_order(
    make_monitor: MakeMonitor, data: st.DataObject, actions: list[Action | None]
) -> None:
    """Safety can't depend on which plugin happened to be found first."""
    order = data.draw(st.permutations(actions))
    expected = {
        None: "went on",
        Action.WARN: "went on",
        Action.DENY: "StepDenied",
        Action.PAUSE: "AgentPaused",
        Action.KILL: "AgentKilled",
    }[max((action for action in order if action is not None), default=None)]
    with make_monitor(*(Judge(action, f"judge {i}") for i, action in enumerate(order))) as monitor:
        assert outcome(monitor) == expected


def test_hook_deadstop_judge_asking_ends_only_at_a_kill(make_monitor: MakeMonitor) -> None:
    """So that every judge that takes something for a step has a say, and a kill costs nothing more."""
    pausing, warning = Judge(Action.PAUSE), Judge(Action.WARN)
    monitor = make_monitor(pausing, warning)
    assert outcome(monitor) == "AgentPaused"
    assert (pausing.asked, warning.asked) == (1, 1)


def test_hook_deadstop_judge_names_the_policy_and_the_reason(make_monitor: MakeMonitor) -> None:
    monitor = make_monitor(Judge(Action.KILL, "house-rules"))
    with pytest.raises(AgentKilled) as caught:
        monitor.begin(StepKind.MODEL, "gpt", agent="sales")
    assert str(caught.value) == "sales killed: because (policy house-rules)"


@pytest.mark.isolates
def test_hook_deadstop_judge_that_raises_lets_the_step_go_on_and_is_counted(make_monitor: MakeMonitor) -> None:
    """A stranger's bug is not the agent's; but somebody has to hear of it."""
    monitor = make_monitor(Raising())
    assert outcome(monitor) == "went on"
    assert outcome(monitor) == "went on"
    report = monitor.status()["isolated"]["policy Raising"]
    assert report == {"count": 2, "last": "ZeroDivisionError: search"}


@pytest.mark.isolates
@pytest.mark.parametrize("raising_first", [True, False])
def test_hook_deadstop_judge_that_raises_does_not_silence_the_others(
    make_monitor: MakeMonitor, *, raising_first: bool
) -> None:
    """pluggy's own loop would never ask those behind it."""
    plugins = [Raising(), Judge(Action.KILL)]
    monitor = make_monitor(*(plugins if raising_first else reversed(plugins)))
    assert outcome(monitor) == "AgentKilled"


@pytest.mark.isolates
@pytest.mark.parametrize(("on_error", "expected"), [("open", "went on"), ("closed", "AgentPaused")])
def test_hook_deadstop_policies_say_what_their_own_failure_means(
    make_monitor: MakeMonitor, on_error: Literal["open", "closed"], expected: str
) -> None:
    def broken(step: object) -> Verdict | None:
        raise ZeroDivisionError

    monitor = make_monitor(policy("ledger", broken, on_error))
    assert outcome(monitor) == expected
    assert monitor.status()["isolated"]["policy ledger"]["count"] >= 1


@pytest.mark.isolates
def test_hook_deadstop_policies_a_closed_one_that_fails_names_itself_in_the_stop(make_monitor: MakeMonitor) -> None:
    def broken(step: object) -> Verdict | None:
        raise ZeroDivisionError

    monitor = make_monitor(policy("ledger", broken, "closed"))
    with pytest.raises(AgentPaused) as caught:
        monitor.begin(StepKind.TOOL, "search")
    assert caught.value.policy == "ledger"
    assert caught.value.reason == "policy ledger failed and is fail-closed: ZeroDivisionError"


def test_hook_deadstop_policies_are_built_for_each_monitor(make_monitor: MakeMonitor) -> None:
    built: list[Monitor] = []

    class Plugin:
        @hookimpl
        def deadstop_policies(self, config: object) -> Iterable[PolicySpec]:
            configs.append(config)
            yield PolicySpec(name="mine", summary="", build=self.build)

        def build(self, monitor: Monitor) -> Callable[[Step], Verdict | None]:
            built.append(monitor)
            return lambda _step: None

    configs: list[object] = []
    plugin = Plugin()
    first, second = make_monitor(plugin), make_monitor(plugin)
    assert built == [first, second]
    assert configs == [first.config, second.config]


def test_hook_deadstop_judge_may_take_no_argument(make_monitor: MakeMonitor) -> None:
    class Plugin:
        @hookimpl
        def deadstop_judge(self) -> Verdict | None:
            return Verdict(Action.KILL, "closing-time", "the office is closed")

    assert outcome(make_monitor(Plugin())) == "AgentKilled"


# -- deadstop_before_step ---------------------------------------------------------------------------------------------


class Enriching:
    """A plugin that adds to each step what judges and readers want to know."""

    @hookimpl
    def deadstop_before_step(self, step: Step) -> None:
        """Enrich."""
        step.facts["estimate_usd"] = 1.25
        step.facts["data"] = {**step.facts.get("data", {}), "team": "sales"}


def test_hook_deadstop_before_step_enriches_what_judges_see_and_what_is_stored(make_monitor: MakeMonitor) -> None:
    seen: list[object] = []

    class Plugin:
        @hookimpl
        def deadstop_judge(self, step: Step) -> Verdict | None:
            seen.append(step.facts.get("estimate_usd"))
            return None

    monitor = make_monitor(Plugin(), Enriching())
    monitor.begin(StepKind.TOOL, "search", data={"shard": 7}).end()
    assert seen == [1.25]
    (event,) = monitor.get_events(event_type="action")
    assert event["data"] == {"shard": 7, "team": "sales"}


@pytest.mark.isolates
def test_hook_deadstop_before_step_that_raises_is_isolated_and_counted(make_monitor: MakeMonitor) -> None:
    class Plugin:
        @hookimpl
        def deadstop_before_step(self, step: Step) -> None:
            raise ZeroDivisionError(step.name)

    monitor = make_monitor(Plugin(), Enriching())
    assert outcome(monitor) == "went on"
    (event,) = monitor.get_events(event_type="action")
    assert event["data"] == {"team": "sales"}
    assert monitor.status()["isolated"]["hook deadstop_before_step of Plugin"]["count"] == 1


# -- what a hot hook may not be ---------------------------------------------------------------------------------------


class AsyncJudge:
    """Would be silently not awaited: a coroutine is no verdict."""

    @hookimpl
    async def deadstop_judge(self, step: Step) -> Verdict | None:
        """Too late."""
        return None


class AsyncBefore:
    """Likewise."""

    @hookimpl
    async def deadstop_before_step(self, step: Step) -> None:
        """Too late."""


class WrappingJudge:
    """Would see, and could change, what others decided."""

    @pluggy.HookimplMarker("deadstop")(wrapper=True)
    def deadstop_judge(self, step: Step) -> Generator[None, Any, Any]:
        """Hide."""
        yield
        return None


class OldWrappingJudge:
    """Likewise, as it was written before pluggy 1.2."""

    @pluggy.HookimplMarker("deadstop")(hookwrapper=True)
    def deadstop_judge(self, step: Step) -> Generator[None, Any, None]:
        """Hide."""
        yield


@pytest.mark.parametrize(
    ("plugin", "said"),
    [
        (AsyncJudge(), "plugin 'AsyncJudge': deadstop_judge must not be async"),
        (AsyncBefore(), "plugin 'AsyncBefore': deadstop_before_step must not be async"),
        (WrappingJudge(), "plugin 'WrappingJudge': deadstop_judge must not be a wrapper"),
        (OldWrappingJudge(), "plugin 'OldWrappingJudge': deadstop_judge must not be a wrapper"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_hook_deadstop_judge_and_before_step_refuse_what_could_not_decide(
    make_monitor: MakeMonitor, plugin: object, said: str
) -> None:
    with pytest.raises(DeadstopError) as caught:
        make_monitor(plugin)
    assert str(caught.value).startswith(said)


def test_a_refused_plugin_leaves_nothing_behind(make_monitor: MakeMonitor) -> None:
    with pytest.raises(DeadstopError):
        make_monitor(AsyncJudge())
    assert outcome(make_monitor(Judge(None))) == "went on"


def test_two_plugins_of_one_class_are_two_judges(make_monitor: MakeMonitor) -> None:
    judges: Sequence[Judge] = [Judge(None, "same"), Judge(None, "same")]
    assert outcome(make_monitor(*judges)) == "went on"
    assert [judge.asked for judge in judges] == [1, 1]
