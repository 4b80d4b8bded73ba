"""The adapter contract on a stranger's framework: fifty lines of agent, and an adapter made of nothing but blocks."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from deadstop import StepKind
from deadstop.adapters import Patches
from deadstop.testing import AdapterContract
from deadstop.testing.contract import AdapterDriver, AgentPlan, DetachedContract, Mode
from deadstop.testing.contract_scenario import scenarios_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deadstop import Monitor

GRACEFUL = "I could not do that, sorry"


class Tiny:
    """The framework: an agent that streams everything, calls tools side by side, and survives what it is told to."""

    def __init__(self, plan: AgentPlan) -> None:
        self.plan = plan
        self.port = int(plan.base_url.split(":")[2].split("/")[0])
        self.tools: dict[str, Callable[..., str]] = {tool.__name__: tool for tool in plan.tools}
        if plan.member is not None:
            member = Tiny(plan.member)
            self.tools[plan.member.name] = lambda task: "".join(member.run(task, None))

    def run(self, prompt: str, session: str | None) -> Iterator[str]:
        """Ask, use the tools, ask again. *session* is what a tracer of this framework is told."""
        messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
        while True:
            message = yield from self.survive(messages)
            messages.append(message)
            if not message["tool_calls"]:
                return
            with ThreadPoolExecutor() as pool:
                contexts = [(contextvars.copy_context(), call) for call in message["tool_calls"]]
                messages += pool.map(lambda pair: pair[0].run(self.use, pair[1]), contexts)

    def survive(self, messages: list[dict[str, Any]]) -> Iterator[str]:
        """One model call, with whatever the plan has against failures."""
        for _ in range(3 if self.plan.tolerance == "retries" else 1):
            try:
                return (yield from self.ask(messages))
            except Exception:
                if self.plan.tolerance is None:
                    raise
        yield GRACEFUL
        return {"role": "assistant", "content": GRACEFUL, "tool_calls": []}

    def ask(self, messages: list[dict[str, Any]]) -> Iterator[str]:
        """One model call: yields pieces of text, returns the whole message with its `usage`."""
        body = {"model": self.plan.model, "messages": messages, "stream": True}
        message: dict[str, Any] = {"role": "assistant", "content": "", "tool_calls": []}
        for event in self.events(body | {"stream_options": {"include_usage": True}}):
            message["usage"] = event.get("usage") or message.get("usage")
            for delta in (choice["delta"] for choice in event["choices"]):
                for part in delta.get("tool_calls") or ():
                    if "id" in part:
                        message["tool_calls"].append(part)
                    else:
                        function = message["tool_calls"][part["index"]]["function"]
                        function["arguments"] += part["function"]["arguments"]
                if delta.get("content"):
                    message["content"] += delta["content"]
                    yield delta["content"]
        return message

    def events(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The events of one request."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request("POST", "/v1/chat/completions", json.dumps(body))
            for line in connection.getresponse():
                if line.startswith(b"data: {"):
                    yield json.loads(line[6:])

    def use(self, call: dict[str, Any]) -> dict[str, Any]:
        """One tool call."""
        result = self.tools[call["function"]["name"]](**json.loads(call["function"]["arguments"]))
        return {"role": "tool", "tool_call_id": call["id"], "content": result}


class TinyAdapter:
    """The adapter: the three methods, wrapped."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self.patches = Patches()

    def attach(self) -> None:
        """Wrap."""
        monitor, run, ask, use = self.monitor, Tiny.run, Tiny.ask, Tiny.use

        def watched_run(tiny: Tiny, prompt: str, session: str | None) -> Iterator[str]:
            return monitor.agent(tiny.plan.name, session_id=session)(run)(tiny, prompt, session)

        def watched_ask(tiny: Tiny, messages: list[dict[str, Any]]) -> Iterator[str]:
            with monitor.step(StepKind.MODEL, tiny.plan.model) as step:
                pieces = ask(tiny, messages)
                try:
                    while True:
                        piece = next(pieces)
                        step.tick()
                        yield piece
                except StopIteration as done:
                    usage = done.value["usage"]
                    step.usage(
                        input_tokens=usage["prompt_tokens"],
                        output_tokens=usage["completion_tokens"],
                        cached_tokens=usage["prompt_tokens_details"]["cached_tokens"],
                        reasoning_tokens=usage["completion_tokens_details"]["reasoning_tokens"],
                    )
                    return done.value
                finally:
                    pieces.close()

        def watched_use(tiny: Tiny, call: dict[str, Any]) -> dict[str, Any]:
            with monitor.step(StepKind.TOOL, call["function"]["name"], call_id=call["id"]):
                return use(tiny, call)

        for name, method in (("run", watched_run), ("ask", watched_ask), ("use", watched_use)):
            self.patches.replace(Tiny, name, method)

    def detach(self) -> None:
        """Unwrap."""
        self.patches.restore()


class TinyDriver(AdapterDriver):
    """The driver: three modes, one way."""

    modes = (Mode("run"), Mode("stream", streams=True), Mode("arun", is_async=True))
    reach = "cut"
    packages = (__name__.partition(".")[0],)
    absent = {"sdk_retries[arun]": "there is no client below Tiny that could retry"}

    @contextlib.contextmanager
    def attached(self, monitor: Monitor, way: str) -> Iterator[TinyAdapter]:
        """Wrap the class for the block."""
        adapter = TinyAdapter(monitor)
        adapter.attach()
        yield adapter
        adapter.detach()

    def build(self, plan: AgentPlan) -> Tiny:
        """Build an agent."""
        return Tiny(plan)

    def run(self, agent: Tiny, prompt: str, mode: Mode, *, session: str, adapter: Any) -> Any:
        """Run it."""
        if mode.is_async:
            return asyncio.to_thread(lambda: "".join(agent.run(prompt, session)))
        pieces = agent.run(prompt, session)
        return pieces if mode.streams else "".join(pieces)

    def entries(self, adapter: Any) -> int:
        """Blocks keep no tables."""
        return 0


class TestTiny(AdapterContract):
    """An adapter that is nothing but blocks passes the contract."""

    driver = TinyDriver()
    kills = 3
    runs = 300


class TestTinyDetached(DetachedContract):
    """And without it the contract fails."""

    suite = TestTiny
    every_mode = False


def test_a_driver_cannot_excuse_itself_from_what_there_is_not() -> None:
    """A slip of the pen in `absent` or `later` would silently run nothing."""
    from deadstop.testing.contract_scenario import check_names

    class Slip(TinyDriver):
        absent = {"fallback": "none"}

    class WrongMode(TinyDriver):
        later = {"fallbacks[astream]": "some day"}

    for driver in (Slip(), WrongMode()):
        with pytest.raises(ValueError, match="there is no scenario 'fallback"):
            check_names(AdapterContract, driver)


def test_every_scenario_of_the_suite_is_marked() -> None:
    """An unmarked test would get no modes."""
    tests = {name[5:] for name in dir(AdapterContract) if name.startswith("test_")}
    assert tests == set(scenarios_of(AdapterContract))
    assert sum(facts.stops for facts in scenarios_of(AdapterContract).values()) >= 12
