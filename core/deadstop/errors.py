"""What deadstop raises: errors of set-up, and the stops that reach an agent's caller.

Two families that never mix. `DeadstopError` is a mistake to mend before anything runs (a bad config, a missing extra).
`AgentStopped` is a decision: a kill, a pause, a spent limit. Only the second family may ever reach a running agent.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deadstop.verdicts import Verdict


class DeadstopError(Exception):
    """Something is wrong with how deadstop is set up or called."""


class ConfigError(DeadstopError, ValueError):
    """The configuration is wrong. `problems` lists every fault that was found, each with its place.

    `str(error)` is the list, one problem a line.
    """

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[list[str]]]:
        return (type(self), (self.problems,))


class MissingExtra(DeadstopError, ImportError):  # noqa: N818 - what is missing, in the words of the command
    """A plugin's library is not installed. The message names the command that installs it."""

    def __init__(self, *, extra: str, needs: str) -> None:
        self.extra = extra
        self.needs = needs
        super().__init__(f"{extra!r} needs {needs}. Install it with: pip install 'deadstop[{extra}]'")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_missing_extra, (self.extra, self.needs))


def _missing_extra(extra: str, needs: str) -> MissingExtra:
    return MissingExtra(extra=extra, needs=needs)


class StepDenied(Exception):  # noqa: N818 - named for what happened, as AgentStopped is
    """One tool, retrieval or handoff step was refused; the run goes on and nothing latches.

    Raised only where a framework has no way to hand the refusal to the model as a result. `str(e)` is the refusal in
    words that a model can read.
    """

    def __init__(self, verdict: Verdict, *, agent: str = "default", name: str = "") -> None:
        self.verdict = verdict
        self.agent = agent
        self.name = name
        super().__init__(verdict, agent, name)

    @property
    def policy(self) -> str:
        """The policy that refused."""
        return self.verdict.policy

    @property
    def reason(self) -> str:
        """Why, in words for a person or a model."""
        return self.verdict.reason

    def __str__(self) -> str:
        return f"{self.name or 'this step'} was refused: {self.reason} (policy {self.policy})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_step_denied, (self.verdict, self.agent, self.name))


def _step_denied(verdict: Verdict, agent: str, name: str) -> StepDenied:
    return StepDenied(verdict, agent=agent, name=name)


class AgentStopped(Exception):  # noqa: N818 - a decision, not an error
    """An agent was stopped: the root of every stop, and what to catch when any stop will do.

    `verdict` is the decision, `agent` and `session_id` say whose step was refused, `state` is "stopped", "killed",
    "paused" or "open", `retry_after` is the number of seconds after which a new try may pass (None: unknown),
    `partial` is what the run had produced where a framework tells, `spent_usd` and `limit_usd` are USD where a budget
    decided. `monitor` is the recovery handle of a budget or breaker; None for every other stop.
    """

    state: ClassVar[str] = "stopped"

    def __init__(
        self,
        verdict: Verdict,
        *,
        agent: str = "default",
        session_id: str | None = None,
        partial: object = None,
        spent_usd: float | None = None,
        limit_usd: float | None = None,
        monitor: object = None,
    ) -> None:
        super().__init__()  # no args: BaseException.args would keep a second copy of everything alive
        self.verdict = verdict
        self.agent = agent
        self.session_id = session_id
        self.partial = partial
        self.spent_usd = spent_usd
        self.limit_usd = limit_usd
        self.monitor = monitor

    @property
    def policy(self) -> str:
        """The policy that decided, for instance "kill"."""
        return self.verdict.policy

    @property
    def reason(self) -> str:
        """Why, as whoever decided put it."""
        return self.verdict.reason

    @property
    def retry_after(self) -> float | None:
        """Seconds after which a new try may pass; None where nobody knows."""
        return self.verdict.retry_after

    def __str__(self) -> str:
        return f"{self.agent} {self.state}: {self.reason or 'no reason given'} (policy {self.policy})"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        stop, family = type(self), None
        if (made_for := _made_for.get(stop)) is not None:
            stop, family = made_for
        partial = self.partial if isinstance(self.partial, (str, int, float, type(None))) else None
        facts = (self.agent, self.session_id, partial, self.spent_usd, self.limit_usd, self.monitor)
        return (_rebuild, (stop, family, self.verdict, facts))


class AgentKilled(AgentStopped):
    """Somebody, or a policy, killed the agent, its session, its run or everything. Holds until revived."""

    state = "killed"


class AgentPaused(AgentStopped):
    """The agent is paused. Holds until it is resumed, or for `retry_after` seconds."""

    state = "paused"


class LimitReached(AgentStopped):
    """A limit that is no budget was reached: a loop, too many retries, too long a duration."""


class CircuitBreakerException(AgentStopped):
    """A circuit breaker or a limit behind it refuses: the parent of the three below, as seeds/2 catches them."""

    state = "open"


class BudgetExceeded(CircuitBreakerException):
    """A budget is spent, or the call would pass it."""


class RateLimitReached(CircuitBreakerException):
    """Too many calls in the window."""


class CircuitOpenError(CircuitBreakerException):
    """The circuit is open and there is no fallback."""


STOPS: tuple[type[AgentStopped], ...] = (
    AgentStopped,
    AgentKilled,
    AgentPaused,
    LimitReached,
    CircuitBreakerException,
    BudgetExceeded,
    RateLimitReached,
    CircuitOpenError,
)

_families: dict[type[BaseException], Mapping[type[AgentStopped], type[AgentStopped]]] = {}
_made_for: dict[type[AgentStopped], tuple[type[AgentStopped], str]] = {}


def native_family(base: type[BaseException]) -> Mapping[type[AgentStopped], type[AgentStopped]]:
    """Make every stop class once more, so that it is also a *base*: a framework's own let-it-through type.

    Returns a mapping from the plain stop class to its native twin. The twins keep their plain name, their fields and
    their place below each other's plain classes, and they pickle; where *base* can't be imported on the other side
    they come back as the plain class.
    """
    if (family := _families.get(base)) is None:
        where = f"{base.__module__}:{base.__qualname__}"
        family = {stop: _native(stop, base, where) for stop in STOPS}
        _families[base] = family
    return family


def native_stop(stop: AgentStopped, family: Mapping[type[AgentStopped], type[AgentStopped]]) -> AgentStopped:
    """Return *stop* as the member of *family* that stands for its class; the same object if it is one already."""
    plain = _made_for[type(stop)][0] if type(stop) in _made_for else type(stop)
    twin = family.get(plain)
    if twin is None or isinstance(stop, twin):
        return stop
    return _copy(twin, stop.verdict, _facts(stop))


def plain_stop(stop: AgentStopped) -> AgentStopped:
    """Return *stop* as its plain class: what a caller outside every framework gets to see."""
    made_for = _made_for.get(type(stop))
    return stop if made_for is None else _copy(made_for[0], stop.verdict, _facts(stop))


def _native(stop: type[AgentStopped], base: type[BaseException], where: str) -> type[AgentStopped]:
    doc = f"{stop.__name__} that is also a {where}, so that the framework lets it through."
    twin = type(stop.__name__, (stop, base), {"__doc__": doc, "__module__": stop.__module__, "__init__": stop.__init__})
    _made_for[twin] = (stop, where)
    return twin


def _facts(stop: AgentStopped) -> tuple[Any, ...]:
    return (stop.agent, stop.session_id, stop.partial, stop.spent_usd, stop.limit_usd, stop.monitor)


def _copy(kind: type[AgentStopped], verdict: Verdict, facts: tuple[Any, ...]) -> AgentStopped:
    agent, session_id, partial, spent_usd, limit_usd, monitor = facts
    return kind(
        verdict,
        agent=agent,
        session_id=session_id,
        partial=partial,
        spent_usd=spent_usd,
        limit_usd=limit_usd,
        monitor=monitor,
    )


def _rebuild(stop: type[AgentStopped], where: str | None, verdict: Verdict, facts: tuple[Any, ...]) -> AgentStopped:
    """Unpickle: as the native twin where its base can be imported, else as the plain class."""
    if where is not None:
        import importlib

        module, _, name = where.partition(":")
        with contextlib.suppress(ImportError, AttributeError):  # no such framework here: the plain class says the same
            stop = native_family(getattr(importlib.import_module(module), name))[stop]
    return _copy(stop, verdict, facts)
