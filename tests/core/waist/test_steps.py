"""Steps: from begin to end, what they record, and that every call counts once."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest

from deadstop import StepKind
from deadstop.scopes import current, here

if TYPE_CHECKING:
    from deadstop import Monitor

MODEL, TOOL, AGENT, RUN = StepKind.MODEL, StepKind.TOOL, StepKind.AGENT, StepKind.RUN


def events(monitor: Monitor, kind: str | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = monitor.get_events()
    return [row for row in reversed(rows) if kind is None or row["kind"] == kind]


def test_a_model_call_is_one_event_with_its_tokens_model_and_latency(monitor: Monitor) -> None:
    step = monitor.begin(MODEL, "gpt-4o", agent="sales", session_id="s1", user="ada", provider="openai", tags=["eu"])
    step.usage(input_tokens=12, output_tokens=3, cached_tokens=4, model="gpt-4o-2024-11-20", cost_usd=0.25)
    step.end()
    (event,) = events(monitor)
    assert (event["agent"], event["event_type"], event["kind"], event["name"]) == ("sales", "action", "model", "gpt-4o")
    assert (event["session_id"], event["user"], event["tags"]) == ("s1", "ada", ["eu"])
    assert event["data"]["usage"] == {"input_tokens": 12, "output_tokens": 3, "cached_tokens": 4}
    assert event["data"]["response_model"] == "gpt-4o-2024-11-20"
    assert event["cost_usd"] == 0.25
    assert event["latency_ms"] >= 0
    assert (event["step_id"], event["run_id"]) == (step.id, step.run.id)


def test_an_unknown_price_is_said_and_never_zero(monitor: Monitor) -> None:
    step = monitor.begin(MODEL, "no-such-model")
    step.usage(input_tokens=1, output_tokens=1)
    step.end()
    (event,) = events(monitor)
    assert event["cost_usd"] is None
    assert event["data"]["cost_unknown"] is True


def test_usage_replaces_and_never_adds(monitor: Monitor) -> None:
    step = monitor.begin(MODEL, "m")
    step.usage(input_tokens=100, output_tokens=50)
    step.usage(input_tokens=10, output_tokens=5)
    step.end()
    assert events(monitor)[0]["data"]["usage"] == {"input_tokens": 10, "output_tokens": 5}


def test_ending_twice_from_many_threads_records_one_event(monitor: Monitor) -> None:
    step = monitor.begin(TOOL, "t")
    threads = [threading.Thread(target=step.end) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(events(monitor)) == 1


def test_a_failed_tool_is_an_error_with_type_and_text(monitor: Monitor) -> None:
    with pytest.raises(ValueError, match="bad"), monitor.step(TOOL, "t"):
        raise ValueError("bad")
    (event,) = events(monitor)
    assert (event["event_type"], event["data"]["error"]) == ("error", "ValueError: bad")


def test_runs_and_approvals_record_their_start_too(monitor: Monitor) -> None:
    with monitor.step(RUN, "job"), monitor.step(StepKind.APPROVAL, "refund"):
        pass
    assert [e["event_type"] for e in events(monitor)] == [
        "session_start",
        "approval_request",
        "approval_response",
        "session_end",
    ]


def test_steps_nest_by_context(monitor: Monitor) -> None:
    with monitor.step(RUN, "job") as run, monitor.agent("a") as turn, monitor.step(TOOL, "t") as tool:
        assert (tool.parent, turn.parent) == (turn, run)
        assert tool.run is run.run
    assert current.get() is None


def test_an_abandoned_step_is_settled_with_what_it_had_streamed(monitor: Monitor) -> None:
    step = monitor.begin(MODEL, "m", input_tokens=7)
    step.tick()
    step.tick(2)
    current.set(None)
    del step
    gc.collect()
    (event,) = events(monitor)
    assert event["data"]["usage"] == {"input_tokens": 7, "output_tokens": 3}
    assert event["data"]["usage_estimated"] is True
    assert event["data"]["chunks"] == 2
    assert event["data"]["error"] == "dropped"


def test_a_lower_layer_only_enriches_the_call_that_contains_it(monitor: Monitor) -> None:
    outer = monitor.begin(MODEL, "m", layer="framework")
    inner = monitor.begin(MODEL, "m", layer="sdk")
    lowest = monitor.begin(MODEL, "m", layer="transport")
    lowest.usage(input_tokens=3, output_tokens=2)
    lowest.end()
    inner.end()
    outer.end()
    (event,) = events(monitor)
    assert event["data"]["usage"] == {"input_tokens": 3, "output_tokens": 2}


def test_what_the_framework_reports_wins_over_the_layer_below(monitor: Monitor) -> None:
    outer = monitor.begin(MODEL, "m")
    inner = monitor.begin(MODEL, "m", layer="sdk")
    inner.usage(input_tokens=3, output_tokens=2)
    inner.end()
    outer.usage(input_tokens=30, output_tokens=20)
    outer.end()
    (event,) = events(monitor)
    assert event["data"]["usage"] == {"input_tokens": 30, "output_tokens": 20}


def test_a_second_call_below_one_model_step_is_counted_as_well(monitor: Monitor) -> None:
    outer = monitor.begin(MODEL, "outer")
    for tokens in (3, 5):
        inner = monitor.begin(MODEL, "inner", layer="sdk")
        inner.usage(input_tokens=tokens, output_tokens=1)
        inner.end()
    outer.usage(input_tokens=8, output_tokens=2)  # the framework's own sum
    outer.end()
    assert sum(e["data"]["usage"]["input_tokens"] for e in events(monitor)) == 8


def test_an_outer_model_step_with_counted_children_adds_no_usage(monitor: Monitor) -> None:
    outer = monitor.begin(MODEL, "predict")
    inner = monitor.begin(MODEL, "chat")
    inner.usage(input_tokens=3, output_tokens=2)
    inner.end()
    outer.usage(input_tokens=3, output_tokens=2)
    outer.end()
    chat, predict = events(monitor)
    assert chat["data"]["usage"]["input_tokens"] == 3
    assert "usage" not in predict["data"]


def test_a_streamed_step_is_no_parent_of_what_its_consumer_does_between_chunks(monitor: Monitor) -> None:
    with monitor.agent("a") as turn:
        stream = monitor.begin(MODEL, "streamed")
        stream.tick()
        between = monitor.begin(MODEL, "between", layer="sdk")
        assert between.parent is turn
        between.usage(input_tokens=1, output_tokens=1)
        between.end()
        stream.usage(input_tokens=9, output_tokens=9)
        stream.end()
    assert {e["name"]: e["data"]["usage"]["input_tokens"] for e in events(monitor, "model")} == {
        "between": 1,
        "streamed": 9,
    }


def test_a_step_that_ended_elsewhere_is_no_parent(monitor: Monitor) -> None:
    step = monitor.begin(TOOL, "t")
    ender = threading.Thread(target=step.end)
    ender.start()
    ender.join()
    assert current.get() is step  # the other thread could not give our context back
    assert here() is None
    assert monitor.begin(TOOL, "u").parent is None


def test_a_parent_can_be_named_where_the_context_is_lost(monitor: Monitor) -> None:
    parent = monitor.begin(RUN, "job", agent="boss")
    seen: list[Any] = []

    def elsewhere() -> None:
        with monitor.step(TOOL, "t", parent=parent) as step:
            seen.append((step.parent, step.agent))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [(parent, "boss")]


@pytest.mark.isolates
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0, "0.5", True, object()])
def test_a_cost_that_is_no_amount_is_unknown(monitor: Monitor, bad: Any) -> None:
    step = monitor.begin(MODEL, "m")
    step.usage(input_tokens="7", output_tokens=-3, reasoning_tokens=float("nan"), cost_usd=bad)  # type: ignore[arg-type]
    step.end()
    (event,) = events(monitor)
    assert event["cost_usd"] is None
    assert event["data"]["usage"] == {"input_tokens": 7, "output_tokens": 0}
    assert monitor.home.isolation.counts["cost"] == 1


def test_a_judge_can_hold_something_and_gets_it_back_once(monitor: Monitor) -> None:
    released: list[str] = []
    step = monitor.begin(MODEL, "m")
    step.hold(lambda s: released.append(s.name))
    step.end()
    step.end()
    assert released == ["m"]


@pytest.mark.isolates
def test_a_hold_that_fails_does_not_keep_the_others(monitor: Monitor) -> None:
    released: list[str] = []
    step = monitor.begin(MODEL, "m")
    step.hold(lambda _: 1 / 0)  # type: ignore[arg-type, return-value]
    step.hold(lambda s: released.append(s.name))
    step.end()
    assert released == ["m"]


def test_content_is_asked_for_only_when_it_is_kept(monitor: Monitor) -> None:
    def never() -> object:
        raise AssertionError("nobody consumes content")

    step = monitor.begin(MODEL, "m", input=never, arguments=never)
    step.end(output=never)
    assert {"input", "output", "arguments"}.isdisjoint(events(monitor)[0]["data"])
