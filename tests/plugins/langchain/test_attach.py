"""Attaching to the whole process, beside other handlers, and detaching again."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.callbacks import AsyncCallbackManager, CallbackManager
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.base import BaseTracer
from langchain_drivers import chat_model
from langchain_events import open_steps, steps

from deadstop import AgentKilled, DeadstopError, Monitor
from deadstop.testing import Turn
from deadstop.testing.contract_runs import on_loop
from deadstop_langchain import DeadstopCallbackHandler

if TYPE_CHECKING:
    from pathlib import Path

    from deadstop.testing.contract_case import ContractServer


class Recorder(BaseTracer):
    """Another tracer, as LangChain's own are written: a run that never ends stays in its `run_map`."""

    def __init__(self) -> None:
        super().__init__()
        self.finished: list[str] = []

    def _persist_run(self, run: Any) -> None:
        self.finished.append(run.name)


def test_detaching_restores_both_class_methods(monitor: Monitor) -> None:
    """The very objects that were there; attaching twice by one Monitor changes nothing."""
    before = [vars(manager)["configure"] for manager in (CallbackManager, AsyncCallbackManager)]
    first = monitor.attach("langchain")
    assert vars(CallbackManager)["configure"] is not before[0]
    assert monitor.attach("langchain") is first
    monitor.detach("langchain")
    assert [vars(manager)["configure"] for manager in (CallbackManager, AsyncCallbackManager)] == before
    monitor.detach("langchain")


def test_a_second_monitor_cannot_attach_and_is_told_who_did(monitor: Monitor, tmp_path: Path) -> None:
    """One adapter, one Monitor."""
    import deadstop_langchain

    monitor.attach("langchain")
    with Monitor(home=tmp_path / "second", plugins=[deadstop_langchain], discover=False) as second:
        with pytest.raises(DeadstopError, match="attached already") as refused:
            second.attach("langchain")
        assert str(monitor.home.path) in str(refused.value)
        second.detach("langchain")  # not theirs: nothing happens
        monitor.detach("langchain")
        second.attach("langchain")


def test_closing_the_monitor_detaches(tmp_path: Path) -> None:
    """Nothing of a closed Monitor stays in the process."""
    import deadstop_langchain

    before = vars(CallbackManager)["configure"]
    with Monitor(home=tmp_path / "home", plugins=[deadstop_langchain], discover=False) as monitor:
        monitor.attach("langchain")
    assert vars(CallbackManager)["configure"] is before


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_another_tracer_keeps_no_span_of_a_refused_call(kind: str, monitor: Monitor, server: ContractServer) -> None:
    """We come first in every list, so that nobody opens a span for a call that never happens."""
    tracer = Recorder()
    model = chat_model(server.base_url)

    def twice(text: str, config: Any) -> Any:
        model.invoke(text, config)
        monitor.kill_agent("twice", "enough")
        return model.invoke(text, config)

    async def atwice(text: str, config: Any) -> Any:
        await model.ainvoke(text, config)
        monitor.kill_agent("twice", "enough")
        return await model.ainvoke(text, config)

    chain = RunnableLambda(twice, atwice).with_config(run_name="twice")
    monitor.attach("langchain")
    config: Any = {"callbacks": [tracer]}
    with pytest.raises(AgentKilled, match="enough"):
        on_loop(chain.ainvoke("hi", config)) if kind == "async" else chain.invoke("hi", config)
    assert tracer.run_map == {}
    assert tracer.finished == ["twice"]
    assert server.count() == 1


def test_two_handlers_and_the_process_count_a_run_once(monitor: Monitor, server: ContractServer) -> None:
    """A handler in the config, another one, and the attached one: one run, one call, each chunk once."""
    server.says(Turn("one two three"))
    monitor.attach("langchain")
    handlers = [DeadstopCallbackHandler(monitor), DeadstopCallbackHandler(monitor)]
    model = chat_model(server.base_url, stream_usage=False)
    chain = RunnableLambda(lambda text: text) | model
    list(chain.stream("hi", {"callbacks": handlers, "run_name": "once"}))
    assert len(steps(monitor, "run")) == 1
    assert [row["data"]["usage"]["output_tokens"] for row in steps(monitor, "model")] == [3]
    assert open_steps(monitor) == 0


def test_a_handler_given_to_the_model_alone_still_cuts_its_stream(monitor: Monitor, server: ContractServer) -> None:
    """The run around it was begun by another handler of the same home."""
    server.says(Turn(" ".join("word" for _ in range(40)), chunk_delay=0.005))
    model = chat_model(server.base_url, callbacks=[DeadstopCallbackHandler(monitor)])
    outer = DeadstopCallbackHandler(monitor)

    def read(text: str) -> str:
        seen = []
        for chunk in model.stream(text, {"callbacks": []}):
            seen.append(str(chunk.content))
            if len(seen) == 3:
                monitor.kill_global("enough")
        return "".join(seen)

    with pytest.raises(AgentKilled, match="enough"):
        RunnableLambda(read).invoke("hi", {"callbacks": [outer]})
    assert server.wait_for_disconnects(1, 5.0)
    assert server.requests[0].chunks_sent < 20


def test_a_forgotten_monitor_is_collected(tmp_path: Path) -> None:
    """Handlers keep no closed Monitor and no home alive."""
    import weakref

    import deadstop_langchain

    with Monitor(home=tmp_path / "home", plugins=[deadstop_langchain], discover=False) as monitor:
        RunnableLambda(lambda x: x).invoke(1, {"callbacks": [DeadstopCallbackHandler(monitor)]})
        home = weakref.ref(monitor.home)
    del monitor
    gc.collect()
    assert home() is None


@pytest.mark.skipif(sys.version_info >= (3, 11), reason="from Python 3.11 on the config reaches every task")
def test_on_python_310_only_attaching_reaches_a_model_called_without_config(
    monitor: Monitor, server: ContractServer
) -> None:
    """An async function calls a model without the config: its handler never hears of it."""
    model = chat_model(server.base_url)

    async def ask(text: str) -> Any:
        monitor.kill_agent("asker", "before its first call")
        return await model.ainvoke(text)

    async def chain(config: Any) -> Any:
        return await RunnableLambda(ask).with_config(run_name="asker").ainvoke("hi", config)

    on_loop(chain({"callbacks": [DeadstopCallbackHandler(monitor)]}))
    assert server.count() == 1  # it was sent: this is why the docs say to attach there
    monitor.revive("asker")
    monitor.attach("langchain")
    with pytest.raises(AgentKilled, match="before its first call"):
        on_loop(chain({}))
    assert server.count() == 1


@pytest.mark.skipif(sys.version_info < (3, 11), reason="see the test for Python 3.10")
def test_a_handler_reaches_a_model_called_without_config(monitor: Monitor, server: ContractServer) -> None:
    """From Python 3.11 on both ways stop it."""
    model = chat_model(server.base_url)

    async def ask(text: str) -> Any:
        monitor.kill_agent("asker", "before its first call")
        return await model.ainvoke(text)

    async def chain() -> Any:
        config: Any = {"callbacks": [DeadstopCallbackHandler(monitor)], "run_name": "asker"}
        return await RunnableLambda(ask).ainvoke("hi", config)

    with pytest.raises(AgentKilled, match="before its first call"):
        on_loop(chain())
    assert server.count() == 0
