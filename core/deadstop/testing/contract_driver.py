"""What `AdapterContract` needs to know about a framework: how to build and run real agents, and how to attach to it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from deadstop.monitor import Monitor

Tolerance = Literal["retries", "fallbacks", "error_handlers", "user_except"]
"""Who may swallow a failure: the framework's retries, its fallbacks, its error handlers, or an `except Exception` of
the user's around the model call."""

Reach = Literal["refuse", "cut", "abort"]
"""How far an adapter's stop reaches: to the next step, to the next chunk of a stream, or into a blocking read."""

REACHES: tuple[Reach, ...] = ("refuse", "cut", "abort")


@dataclass(frozen=True)
class Mode:
    """One way in which the framework runs an agent: `Mode("invoke")`, `Mode("astream", is_async=True, streams=True)`.

    `streams` says that the model is asked for a stream, and that the answer comes in pieces while it arrives.
    """

    name: str
    is_async: bool = False
    streams: bool = False


@dataclass(frozen=True)
class AgentPlan:
    """The agent that a scenario wants built with the framework's own means.

    `name` is the agent's name, `model` what it asks the OpenAI-compatible API at `base_url` for. `tools` are Python
    functions with type hints and docstrings, to be offered under their own names. `member` is an agent to be offered
    as one more tool, under the member's name with the one argument `task`, returning the member's answer: run it in
    the mode that its caller runs in. `sdk_retries` is the `max_retries` of the model's client.

    With a `tolerance`, build in whatever the framework (or its user) has to survive a failure of the model or of a
    tool: retry at least twice with next to no delay ("retries"); answer with a value that needs no model
    ("fallbacks"); handle the error of a node, a step or a tool, and go on ("error_handlers"); `except Exception` around
    the model call in the user's part of the code, and answer all the same ("user_except").
    """

    name: str
    base_url: str
    model: str = "scripted-model"
    tools: tuple[Callable[..., str], ...] = ()
    member: AgentPlan | None = None
    tolerance: Tolerance | None = None
    sdk_retries: int = 0


class AdapterDriver(Protocol):
    """How the suite drives one framework through one adapter. Inherit from it to have the defaults.

    - `modes`: the ways in which agents are run; sync and async, streaming and not, as far as the framework has them.
    - `ways`: the ways to attach the adapter, for `attached`: "attach" (the whole process), "handler" (explicitly).
    - `reach`: how far a stop reaches; scenarios that need more are skipped.
    - `plugins`: what each Monitor gets as `plugins`. `packages`: top-level packages that the adapter may patch.
    - `absent`: scenario -> why this framework can't have it; skipped with that reason. `later`: scenario -> what is
      missing; expected to fail, and a failure if it passes. Keys are test names without `test_`, alone or with a mode:
      "fallbacks", "fallbacks[astream]".
    - `tells_call_ids`: whether the framework tells its hooks the ids of tool calls. `tells_token_details`: whether it
      tells how many tokens were cached, and how many were reasoning.
    """

    modes: Sequence[Mode]
    ways: Sequence[str] = ("attach",)
    reach: Reach = "refuse"
    plugins: Sequence[object] = ()
    packages: Sequence[str] = ()
    absent: Mapping[str, str] = {}
    later: Mapping[str, str] = {}
    untold: Collection[Literal["call_ids", "token_details"]] = ()
    tells_token_details: bool = True

    def attached(self, monitor: Monitor, way: str) -> AbstractContextManager[Any]:
        """Attach the adapter for *monitor* in this *way* inside the block; what the block yields is handed to `run`."""
        ...

    def build(self, plan: AgentPlan) -> Any:
        """Build the agent. Called without and with the adapter attached: it has to be built the same."""
        ...

    def run(self, agent: Any, prompt: str, mode: Mode, *, session: str, adapter: Any) -> Any:
        """Give *agent* the user's *prompt* in the conversation *session*.

        Returns the final answer as text, or an awaitable of it if the mode is async; in a streaming mode an iterator
        (or an async generator) over the pieces of the answer's text. *adapter* is what `attached` yielded, None to run
        without. Called in a thread of its own, or inside a running event loop if the mode is async.
        """
        ...

    def entries(self, adapter: Any) -> int:
        """Return how many entries the adapter's tables of open runs and steps hold by now."""
        ...


class Detached:
    """A driver whose adapter is never attached: with it, every scenario that stops something has to fail.

    That is the check of the suite itself: `open_case(Detached(driver), ...)`, and the scenario must raise.
    """

    def __init__(self, driver: AdapterDriver) -> None:
        self._driver = driver

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    @contextlib.contextmanager
    def attached(self, monitor: Monitor, way: str) -> Iterator[None]:  # noqa: ARG002 - the driver's signature
        """Attach nothing."""
        yield None

    def entries(self, adapter: Any) -> int:  # noqa: ARG002 - the driver's signature
        """Return 0."""
        return 0
