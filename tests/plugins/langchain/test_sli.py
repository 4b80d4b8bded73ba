"""The indicators of a handler: success, cost, duration, tools; and the example of the seeds under our names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_drivers import chat_model
from langchain_events import steps

from deadstop.events import Usage
from deadstop.testing import Turn
from deadstop_langchain import DeadstopCallbackHandler

if TYPE_CHECKING:
    from deadstop import Monitor
    from deadstop.testing.contract_case import ContractServer

USAGE = Usage(input_tokens=1000, output_tokens=2000)


def test_the_documented_example_of_the_seeds_runs(monitor: Monitor, server: ContractServer) -> None:
    """seeds/3, `AgentSRECallback`: constructor, `callbacks`, the two properties and the snapshot."""
    callback = DeadstopCallbackHandler(monitor, cost_per_1k_input=0.003, cost_per_1k_output=0.015)
    server.says(Turn("bonjour", usage=USAGE))
    chain = ChatPromptTemplate.from_template("translate {q}") | chat_model(server.base_url) | StrOutputParser()

    assert chain.invoke({"q": "hello"}, config={"callbacks": [callback]}) == "bonjour"

    assert callback.task_success_rate == 1.0
    assert callback.total_cost_usd == pytest.approx(0.003 + 2 * 0.015)
    snapshot = callback.get_sli_snapshot()
    assert (snapshot["tasks"], snapshot["tool_calls"], snapshot["tool_accuracy"]) == (1, 0, 1.0)
    assert snapshot["total_cost_usd"] == callback.total_cost_usd
    assert snapshot["avg_duration_ms"] == callback.avg_duration_ms > 0


def test_a_streamed_call_costs_something_too(monitor: Monitor, server: ContractServer) -> None:
    """The price applies to streams, and the stored event says the same."""
    callback = DeadstopCallbackHandler(monitor, cost_per_1k_output=1.0)
    server.says(Turn("bonjour tout le monde", usage=USAGE))
    list(chat_model(server.base_url).stream("hello", {"callbacks": [callback]}))
    assert callback.total_cost_usd == pytest.approx(2.0)
    assert [row["cost_usd"] for row in steps(monitor, "model")] == [pytest.approx(2.0)]


def test_without_a_price_the_cost_is_unknown_not_zero(monitor: Monitor, server: ContractServer) -> None:
    """Nobody knows what "scripted-model" costs."""
    callback = DeadstopCallbackHandler(monitor)
    server.says(Turn("bonjour", usage=USAGE))
    chat_model(server.base_url).invoke("hello", {"callbacks": [callback]})
    row = steps(monitor, "model")[0]
    assert (row["cost_usd"], row["data"]["cost_unknown"]) == (None, True)


def test_a_failed_chain_of_three_steps_is_one_failed_task(monitor: Monitor) -> None:
    """One of two tasks failed: 0.5, however many steps each had."""
    callback = DeadstopCallbackHandler(monitor)

    def fail(value: Any) -> Any:
        if value == "bad":
            raise ValueError("bad")
        return value

    chain = RunnableLambda(lambda value: value) | RunnableLambda(fail) | RunnableLambda(lambda value: value)
    assert chain.invoke("good", {"callbacks": [callback]}) == "good"
    with pytest.raises(ValueError, match="bad"):
        chain.invoke("bad", {"callbacks": [callback]})
    assert callback.task_success_rate == 0.5
    assert callback.get_sli_snapshot()["tasks"] == 2


def test_tool_accuracy_is_the_share_of_tools_that_did_not_fail(monitor: Monitor) -> None:
    """Three calls, one fails: two thirds. `clear` empties the snapshot and nothing else."""
    callback = DeadstopCallbackHandler(monitor)

    @tool
    def divide(by: int) -> float:
        """Divide."""
        return 1 / by

    chain = RunnableLambda(lambda by: {"by": by}) | divide
    for by in (1, 2):
        chain.invoke(by, {"callbacks": [callback]})
    with pytest.raises(ZeroDivisionError):
        chain.invoke(0, {"callbacks": [callback]})
    assert callback.tool_accuracy == pytest.approx(2 / 3)
    assert callback.get_sli_snapshot()["tool_calls"] == 3
    callback.clear()
    assert (callback.tool_accuracy, callback.get_sli_snapshot()["tasks"]) == (1.0, 0)
    assert len(steps(monitor, "tool")) == 3


def test_the_attached_adapter_tells_the_same(monitor: Monitor, server: ContractServer) -> None:
    """`monitor.attach("langchain", cost_per_1k_output=...)` returns what has the snapshot; `flush` clears it."""
    adapter = monitor.attach("langchain", cost_per_1k_output=1.0)
    server.says(Turn("bonjour", usage=USAGE))
    chat_model(server.base_url).invoke("hello")
    assert adapter.get_sli_snapshot()["total_cost_usd"] == pytest.approx(2.0)
    monitor.flush()
    assert adapter.get_sli_snapshot()["tasks"] == 0
    assert len(steps(monitor, "model")) == 1
