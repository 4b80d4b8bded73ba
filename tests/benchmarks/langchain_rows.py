"""What handlers add to LangChain: ours, an empty one, and those of Langfuse and OpenInference where installed.

Nothing leaves the machine: the model is a fake that answers at once, and the peers' exporters drop their spans. For
each handler, blocks of calls without and with it take turns in one process; the median of the differences is told.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import time
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from measuring import Row, fresh_monitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langchain_core.language_models import BaseChatModel

    from deadstop import Monitor

INSTALLED = importlib.util.find_spec("langchain_core") is not None
PEERS = ("Langfuse's handler", "OpenInference's handler")
OURS = "deadstop"
ATTACHED = 'ours, with `attach("langchain")`'
EMPTY = "an empty handler: LangChain's own part"
ROUNDS = 40
CALLS = 60  # in each block
STREAMS = 6
LONG, SHORT = 220, 20  # chunks of a stream: the difference is what the chunks cost, without the call around them
US = 1e6


class Added(NamedTuple):
    """What one handler adds to one call, in seconds: CPU of the calling thread, and of the whole process."""

    thread: float
    process: float


class Handler(NamedTuple):
    """One handler to be measured. `active` installs it and yields the config; `settle` waits for what it does later."""

    active: Callable[[], Any]
    settle: Callable[[], object]


def rows() -> Iterator[Row]:
    """Measure them all; without langchain-core there is nothing to tell."""
    if not INSTALLED:
        yield Row("the handler adds to one `invoke` of a fake model", None, "µs", 25, "langchain-core is not installed")
        return
    os.environ["LANGSMITH_TRACING"] = os.environ["LANGCHAIN_TRACING_V2"] = "false"
    with ExitStack() as stack:
        monitor = stack.enter_context(fresh_langchain_monitor())
        yield from attach_rows(monitor)
        handlers = installed_handlers(stack, monitor)
        yield from _rows("one `invoke` of a fake model", compare(handlers, invoking, CALLS), bar=25, ratio=5)
        long = compare(handlers, partial(streaming, chunks=LONG), STREAMS)
        short = compare(handlers, partial(streaming, chunks=SHORT), STREAMS)
        added = {name: _each(long[name], short[name]) for name in long}
        yield from _rows("each token of a stream", added, bar=5, ratio=None)


def _rows(what: str, added: dict[str, Added], *, bar: float, ratio: float | None) -> Iterator[Row]:
    ours = added[OURS]
    note = f"{US * ours.process:.1f} µs with the writer's thread"
    yield Row(f"the handler adds to {what}", US * ours.thread, "µs", bar, note)
    for name in (ATTACHED, EMPTY):
        yield Row(f"… {name}", US * added[name].thread, "µs")
    for name in PEERS:
        if name not in added:
            yield Row(f"… {name}", None, "times ours", ratio, "not installed", at_least=True)
            continue
        peer = added[name]
        note = f"{US * peer.thread:.1f} µs; {US * peer.process:.1f} µs with its threads"
        yield Row(f"… {name}", peer.thread / ours.thread, "times ours", ratio, note, at_least=True)


def _each(long: Added, short: Added) -> Added:
    chunks = LONG - SHORT
    return Added((long.thread - short.thread) / chunks, (long.process - short.process) / chunks)


def compare(handlers: dict[str, Handler], calls: Callable[[Any, int], None], times: int) -> dict[str, Added]:
    """Return what each handler adds to one call: the median over interleaved pairs of blocks."""
    none = Handler(nullcontext, bool)
    pairs: dict[str, list[Added]] = {name: [] for name in handlers}
    gc.collect()
    gc.freeze()  # a collection of all the frameworks' modules takes 10 ms, and would hit one side of a pair
    for _ in range(ROUNDS):
        for name, handler in handlers.items():
            without, with_it = block(none, calls, times), block(handler, calls, times)
            pairs[name].append(Added(with_it.thread - without.thread, with_it.process - without.process))
    gc.unfreeze()
    return {
        name: Added(median(pair.thread for pair in taken), median(pair.process for pair in taken))
        for name, taken in pairs.items()
    }


def block(handler: Handler, calls: Callable[[Any, int], None], times: int) -> Added:
    """Return the CPU seconds of one of *times* calls."""
    with handler.active() as config:
        process, thread = time.process_time(), time.thread_time()
        calls(config, times)
        thread = time.thread_time() - thread
        handler.settle()
        process = time.process_time() - process
    return Added(thread / times, process / times)


# -- what is called ----------------------------------------------------------------------------------------------


def invoking(config: Any, times: int) -> None:
    """Call the model."""
    model = fake_model(chunks=1)
    for _ in range(times):
        model.invoke("hello", config)


def streaming(config: Any, times: int, *, chunks: int) -> None:
    """Stream answers of *chunks* tokens."""
    model = fake_model(chunks=chunks)
    for _ in range(times):
        for _ in model.stream("hello", config):
            pass


def fake_model(*, chunks: int) -> BaseChatModel:
    """A chat model that answers at once and reports its usage."""
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, AIMessageChunk
    from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

    usage: Any = {"input_tokens": 812, "output_tokens": 96, "total_tokens": 908}

    class FakeModel(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "fake"

        @property
        def _identifying_params(self) -> dict[str, Any]:
            return {"model_name": "gpt-4o"}

        def _generate(self, *_: Any, **__: Any) -> ChatResult:
            return ChatResult(generations=[ChatGeneration(message=AIMessage("hello", usage_metadata=usage))])

        def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
            for n in range(chunks):
                last = usage if n == chunks - 1 else None
                yield ChatGenerationChunk(message=AIMessageChunk(content="hello ", usage_metadata=last))

    return FakeModel()


# -- who listens -------------------------------------------------------------------------------------------------


@contextmanager
def fresh_langchain_monitor() -> Iterator[Monitor]:
    """A Monitor on a new home that knows our adapter, however deadstop was installed."""
    import deadstop_langchain

    with fresh_monitor(deadstop_langchain) as monitor:
        yield monitor


def installed_handlers(stack: ExitStack, monitor: Monitor) -> dict[str, Handler]:
    """Return the handlers to be compared, by name."""
    from langchain_core.callbacks import BaseCallbackHandler

    from deadstop_langchain import DeadstopCallbackHandler

    class Empty(BaseCallbackHandler):
        raise_error = run_inline = True

    @contextmanager
    def attached() -> Iterator[None]:
        monitor.attach("langchain")
        yield
        monitor.detach("langchain")

    found = {
        OURS: given(DeadstopCallbackHandler(monitor), lambda: monitor.drain(30)),
        ATTACHED: Handler(attached, lambda: monitor.drain(30)),
        EMPTY: given(Empty(), bool),
    }
    for name, make in zip(PEERS, (langfuse, openinference), strict=True):
        with suppress(ImportError):
            found[name] = make(stack)
    return found


def given(handler: object, settle: Callable[[], object]) -> Handler:
    """A handler that is handed to each call."""
    return Handler(lambda: _config({"callbacks": [handler]}), settle)


@contextmanager
def _config(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield config


def langfuse(stack: ExitStack) -> Handler:
    """Langfuse's callback handler; the spans go nowhere."""
    from langfuse import Langfuse
    from langfuse.langchain import CallbackHandler

    keys = {"public_key": "pk-benchmark", "secret_key": "sk-benchmark", "base_url": "http://127.0.0.1:9"}
    client = Langfuse(**keys, span_exporter=_nowhere())
    stack.callback(client.shutdown)
    return given(CallbackHandler(public_key=keys["public_key"]), client.flush)


def openinference(stack: ExitStack) -> Handler:
    """OpenInference's instrumentation, which installs its own handler; the spans go nowhere."""
    from openinference.instrumentation.langchain import LangChainInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(_nowhere()))
    stack.callback(provider.shutdown)

    @contextmanager
    def instrumented() -> Iterator[None]:
        LangChainInstrumentor().instrument(tracer_provider=provider)
        yield
        LangChainInstrumentor().uninstrument()

    return Handler(instrumented, provider.force_flush)


def _nowhere() -> Any:
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: object) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    return Nowhere()


# -- attaching ---------------------------------------------------------------------------------------------------


def attach_rows(monitor: Monitor) -> Iterator[Row]:
    """The first `attach` imports the adapter's handler; the framework is there already."""
    fake_model(chunks=1).invoke("hello")  # else what LangChain imports by and by would be in the first attach
    taken = []
    for _ in range(20):
        start = time.perf_counter()
        monitor.attach("langchain")
        taken.append(time.perf_counter() - start)
        monitor.detach("langchain")
    yield Row('`monitor.attach("langchain")`, the first', 1e3 * taken[0], "ms")
    yield Row('`monitor.attach("langchain")`, again', US * min(taken), "µs")
