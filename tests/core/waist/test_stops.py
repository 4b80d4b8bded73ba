"""The stop exceptions: what they say, that they pickle, and their native twins."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import pytest

from deadstop import (
    Action,
    AgentKilled,
    AgentPaused,
    AgentStopped,
    BudgetExceeded,
    CircuitBreakerException,
    CircuitOpenError,
    ConfigError,
    LimitReached,
    MissingExtra,
    RateLimitReached,
    StepDenied,
    Verdict,
    native_family,
)
from deadstop.errors import STOPS, native_stop, plain_stop

KILL = Verdict(Action.KILL, "kill", "burning money", retry_after=1.5, data={"scope": "agent", "name": "sales"})


class BubbleUp(Exception):  # noqa: N818
    """A framework's own let-it-through type."""


class BubbleBase(BaseException):
    """One that is no Exception."""


def test_the_family_is_what_seeds_2_catches() -> None:
    for child in (BudgetExceeded, RateLimitReached, CircuitOpenError):
        assert issubclass(child, CircuitBreakerException)
    for child in (AgentKilled, AgentPaused, LimitReached, CircuitBreakerException):
        assert issubclass(child, AgentStopped)
        assert issubclass(child, Exception)
    assert not issubclass(AgentKilled, CircuitBreakerException)


@pytest.mark.parametrize("kind", STOPS)
@pytest.mark.parametrize("base", [None, BubbleUp, BubbleBase])
def test_every_stop_pickles_with_all_it_carries(kind: type[AgentStopped], base: Any) -> None:
    cls = kind if base is None else native_family(base)[kind]
    stop = cls(KILL, agent="sales", session_id="s1", partial="so far", spent_usd=1.0, limit_usd=2.0)
    back = pickle.loads(pickle.dumps(stop))
    assert type(back) is cls
    assert (str(back), back.verdict, back.retry_after) == (str(stop), KILL, 1.5)
    assert (back.agent, back.session_id, back.partial, back.spent_usd, back.limit_usd) == (
        "sales",
        "s1",
        "so far",
        1.0,
        2.0,
    )


def test_a_native_twin_is_both_and_keeps_its_name() -> None:
    family = native_family(BubbleUp)
    twin = native_stop(AgentKilled(KILL, agent="sales"), family)
    assert isinstance(twin, AgentKilled)
    assert isinstance(twin, BubbleUp)
    assert type(twin).__name__ == "AgentKilled"
    assert native_stop(twin, family) is twin
    assert native_family(BubbleUp) is family
    assert type(plain_stop(twin)) is AgentKilled
    assert issubclass(family[BudgetExceeded], CircuitBreakerException)


def test_a_twin_of_one_framework_becomes_the_twin_of_another() -> None:
    first = native_stop(AgentPaused(KILL), native_family(BubbleUp))
    second = native_stop(first, native_family(BubbleBase))
    assert isinstance(second, BubbleBase)
    assert not isinstance(second, BubbleUp)


def test_a_stop_of_a_framework_that_the_reader_lacks_comes_back_plain() -> None:
    code = (
        "import pickle, sys\n"
        "class Gone(Exception): pass\n"
        "from deadstop import AgentKilled, Action, Verdict, native_family\n"
        "stop = native_family(Gone)[AgentKilled](Verdict(Action.KILL, 'kill', 'r'), agent='a')\n"
        "sys.stdout.buffer.write(pickle.dumps(stop))\n"
    )
    sent = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    back = pickle.loads(sent)
    assert type(back) is AgentKilled
    assert str(back) == "a killed: r (policy kill)"


def test_what_they_say() -> None:
    verdict = Verdict(Action.PAUSE, "loop", "")
    assert str(AgentPaused(verdict, agent="x")) == "x paused: no reason given (policy loop)"
    assert str(LimitReached(verdict, agent="x")) == "x stopped: no reason given (policy loop)"
    assert str(CircuitOpenError(verdict, agent="x")) == "x open: no reason given (policy loop)"
    assert repr(AgentKilled(KILL)) == "AgentKilled('default killed: burning money (policy kill)')"


@pytest.mark.parametrize(
    "error",
    [
        StepDenied(KILL, agent="a", name="rm"),
        ConfigError(["a: wrong", "b: wrong"]),
        MissingExtra(extra="langchain", needs="langchain-core"),
    ],
)
def test_the_other_errors_pickle_too(error: Exception) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)


def test_a_missing_extra_names_the_command() -> None:
    error = MissingExtra(extra="langchain", needs="langchain-core>=0.3")
    assert str(error).endswith("Install it with: pip install 'deadstop[langchain]'")
    assert isinstance(error, ImportError)
