"""Adapter objects driven by hand: the documented example, concurrent tasks, and that they stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from deadstop import AgentKilled
from deadstop_langgraph import LangGraphAdapter

if TYPE_CHECKING:
    from deadstop import Monitor


def test_the_documented_example_runs_as_written(monitor: Monitor) -> None:
    adapter = LangGraphAdapter(monitor)
    task = adapter.on_graph_start("my-graph")
    adapter.on_node_start("retriever")
    adapter.on_tool_call("search", error="")
    adapter.on_llm_call(input_tokens=100, output_tokens=50, cost_usd=0.01)
    adapter.on_node_end("retriever")
    assert adapter.on_graph_end(success=True) is task
    assert (task.success, task.input_tokens, task.output_tokens, task.cost_usd, task.tool_calls) == (
        True,
        100,
        50,
        0.01,
        1,
    )
    snapshot = adapter.get_sli_snapshot()
    assert snapshot["task_success_rate"] == 1.0
    assert snapshot["total_cost_usd"] == 0.01
    assert snapshot["tool_accuracy"] == 1.0
    assert snapshot["avg_duration_ms"] > 0
    kinds = [row["kind"] for row in monitor.get_events(agent="my-graph")]
    assert kinds[::-1] == ["run", "tool", "model", "agent", "run"]


def test_without_a_monitor_it_makes_one_in_the_users_state(monitor: Monitor) -> None:
    adapter = LangGraphAdapter()
    adapter.on_graph_start("g")
    adapter.on_graph_end()
    assert adapter.task_success_rate == 1.0
    adapter.monitor.close()


def test_concurrent_graphs_do_not_mix(monitor: Monitor) -> None:
    adapter = LangGraphAdapter(monitor)

    async def graph(n: int) -> int:
        task = adapter.on_graph_start(f"g{n}")
        for _ in range(n):
            await asyncio.sleep(0)
            adapter.on_llm_call(input_tokens=1)
            adapter.on_tool_call("t", error="no" if n % 2 else "")
        assert adapter.on_graph_end(success=n % 2 == 0, error="odd") is task
        return task.input_tokens

    async def main() -> list[int]:
        return await asyncio.gather(*(graph(n) for n in range(1, 5)))

    assert asyncio.run(main()) == [1, 2, 3, 4]
    assert adapter.task_success_rate == 0.5
    assert adapter.tool_accuracy == pytest.approx(6 / 10)


def test_a_killed_graph_is_refused_at_its_next_call_and_at_its_end(monitor: Monitor) -> None:
    adapter = LangGraphAdapter(monitor)
    adapter.on_graph_start("g")
    adapter.on_tool_call("a")
    monitor.kill_agent("g", "enough")
    with pytest.raises(AgentKilled, match="enough"):
        adapter.on_tool_call("b")
    with pytest.raises(AgentKilled):
        adapter.on_graph_end(success=True)  # swallowed in between: the end of the run is its boundary
    assert adapter.task_success_rate == 0.0
    assert [row["name"] for row in monitor.get_events(event_type="action")] == ["a"]


def test_calls_without_a_graph_are_recorded_and_nothing_breaks(monitor: Monitor) -> None:
    adapter = LangGraphAdapter(monitor)
    adapter.on_node_start("n")
    adapter.on_node_end("n")
    adapter.on_node_end("never started")
    adapter.on_llm_call(input_tokens=1)
    assert adapter.on_graph_end().success is True
    assert adapter.get_sli_snapshot()["tasks"] == 0


def test_clear_empties_only_the_snapshot(monitor: Monitor) -> None:
    adapter = LangGraphAdapter(monitor)
    adapter.on_graph_start("g")
    adapter.on_graph_end()
    adapter.clear()
    assert adapter.get_sli_snapshot()["tasks"] == 0
    assert len(monitor.get_events()) == 2
