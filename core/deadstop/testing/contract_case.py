"""One scenario in one mode: its Monitor, its server, its agents, its kills, and what must hold after a kill."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from deadstop.errors import AgentStopped
from deadstop.testing import contract_runs
from deadstop.testing.contract_driver import AgentPlan
from deadstop.testing.contract_probe import Probe
from deadstop.testing.contract_runs import Consumer, Outcome, Running
from deadstop.testing.contract_scripts import Toolbox, Worker
from deadstop.testing.model_script import Turn
from deadstop.testing.model_server import ScriptedModelServer
from deadstop.verdicts import StepKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from deadstop.monitor import Monitor
    from deadstop.testing.contract_driver import AdapterDriver, Mode
    from deadstop.testing.model_script import ModelRequest
    from deadstop.testing.request_log import RequestLog

GRACE = 0.005
"""Seconds after `kill()` has returned in which a request may still arrive."""

ON_ITS_WAY = 0.1
"""Seconds in which a request may arrive whose step had begun before the kill."""

SOON = 5.0
"""Seconds in which what happens in the background has to have happened."""


class Target(NamedTuple):
    """One way to kill an agent, and to revive it."""

    what: str
    kill: Callable[[str], object]
    lift: Callable[[], object]


class Killer:
    """Kills once, in a thread of its own, some seconds after it was fired. `returned` is when `kill` returned."""

    def __init__(self, kill: Callable[[], object], after: float = 0.0) -> None:
        self._kill = kill
        self._after = after
        self._once = itertools.count()
        self._done = threading.Event()
        self.returned = float("inf")

    def fire(self, *_: object) -> None:
        """Start the countdown; only the first call counts."""
        if next(self._once) == 0:
            threading.Thread(target=self._run, name="contract killer", daemon=True).start()

    def when(self, seen: Callable[[RequestLog], bool]) -> Callable[[RequestLog], None]:
        """Return a hook for the server that fires at the first request that *seen* is true of."""
        return lambda log: self.fire() if seen(log) else None

    def now(self, *_: object) -> None:
        """Kill here, in this thread; only the first call counts."""
        if next(self._once) == 0:
            self._kill_now()

    def wait(self) -> float:
        """Wait for the kill, and return when it returned."""
        assert self._done.wait(SOON), "the scenario never came to its kill"
        return self.returned

    def _run(self) -> None:
        time.sleep(self._after)
        self._kill_now()

    def _kill_now(self) -> None:
        self._kill()
        self.returned = time.monotonic()
        self._done.set()


class Case:
    """What a scenario works with. The Monitor is made, and the adapter attached, at the first use of `monitor`."""

    def __init__(
        self,
        driver: AdapterDriver,
        mode: Mode,
        way: str,
        *,
        home: Path,
        server: ContractServer,
        make_monitor: Callable[..., Monitor],
    ) -> None:
        self.driver = driver
        self.mode = mode
        self.way = way
        self.home = home
        self.server = server
        self.tools = Toolbox()
        self.probe = Probe()
        self.plugins: list[object] = [self.probe]
        self.adapter: Any = None
        self._make_monitor = make_monitor
        self._monitor: Monitor | None = None
        self._open = contextlib.ExitStack()

    # -- what is running -----------------------------------------------------------------------------------------

    @property
    def monitor(self) -> Monitor:
        """The Monitor of this scenario; the adapter is attached from now on."""
        if self._monitor is None:
            plugins = (*self.driver.plugins, *self.plugins)
            self._monitor = self._open.enter_context(self._make_monitor(self.home, plugins))
            self.adapter = self._open.enter_context(self.driver.attached(self._monitor, self.way))
        return self._monitor

    def close(self) -> None:
        """Detach, and close the Monitor."""
        self._open.close()
        self._monitor, self.adapter = None, None

    def says(self, script: Turn | Callable[[ModelRequest], Turn]) -> None:
        """Forget all requests and tool calls, and let the model answer from *script*."""
        self.server.says(script)
        self.tools.calls.clear()
        self.probe.judged.clear()

    def plan(self, name: str = "worker", *, tools: bool = True, **more: Any) -> AgentPlan:
        """Return the plan of an agent with the scenario's tools, whose model is named after it."""
        functions = self.tools.functions() if tools else ()
        return AgentPlan(name, self.server.base_url, model=f"model-of-{name}", tools=functions, **more)

    def build(self, name: str = "worker", **plan: Any) -> Any:
        """Build an agent; takes what `plan` takes."""
        return self.driver.build(self.plan(name, **plan))

    def start(
        self,
        agent: Any,
        prompt: str = "do it",
        *,
        session: str = "s1",
        mode: Mode | None = None,
        watched: bool = True,
        **consumer: Any,
    ) -> Running:
        """Start a run of *agent*; the keywords of `Consumer` say how a stream is read."""
        if watched:
            _ = self.monitor
        mode, adapter = mode or self.mode, self.adapter if watched else None

        def run() -> Any:
            return self.driver.run(agent, prompt, mode, session=session, adapter=adapter)

        return contract_runs.start(mode, run, Consumer(**consumer))

    def run(self, agent: Any, prompt: str = "do it", *, limit: float = contract_runs.LIMIT, **how: Any) -> Outcome:
        """Run *agent* to its end."""
        return self.start(agent, prompt, **how).result(limit)

    # -- kills ---------------------------------------------------------------------------------------------------

    def targets(self, agent: str = "worker", session: str = "s1") -> Iterator[Target]:
        """Yield the ways to kill, again and again: the agent, its session, everything."""
        monitor = self.monitor
        return itertools.cycle(
            (
                Target("agent", lambda r: monitor.kill_agent(agent, r), lambda: monitor.revive(agent)),
                Target("session", lambda r: monitor.kill_session(session, r), lambda: monitor.revive(None, session)),
                Target("everything", monitor.kill_global, monitor.revive_global),
            )
        )

    # -- what must hold ------------------------------------------------------------------------------------------

    def expect_stop(self, outcome: Outcome, reason: str, *, agent: str | None = None) -> AgentStopped:
        """Return the stop that the caller got; it has to be one, and to name policy, reason and agent."""
        error = outcome.error
        assert error is not None, f"the stop was swallowed: the caller got {outcome.answer!r}"
        assert isinstance(error, AgentStopped), f"the caller got {error!r}, no AgentStopped"
        assert (error.policy, error.reason) == ("kill", reason), f"the stop names something else: {error}"
        assert reason in str(error), f"the text of the stop does not say why: {error}"
        assert agent is None or error.agent == agent, f"the stop names {error.agent!r}, not {agent!r}"
        return error

    def expect_nothing_after(self, killed: float, session: str | None = None) -> None:
        """No request, and no tool call, later than the moment *killed*; at least one request before.

        One whose step had begun before the kill was on its way: on a loaded machine it takes longer than the grace,
        and is excused for a tenth of a second. *session* is the only one that was killed; its prompt names it.
        """
        while time.monotonic() < killed + 4 * GRACE:
            time.sleep(GRACE)
        requests = [log for log in self.server.requests if session is None or session in str(log.body)]
        assert any(log.arrived <= killed for log in requests), (
            "the kill came before the first request: it shows nothing"
        )
        self._expect_none_late("requests", [log.arrived for log in requests], killed, StepKind.MODEL, session)
        if session is None:
            self._expect_none_late("tool calls", [call.began for call in self.tools.calls], killed, StepKind.TOOL)

    def _expect_none_late(
        self, what: str, moments: list[float], killed: float, kind: StepKind, session: str | None = None
    ) -> None:
        late = [moment - killed for moment in moments if moment > killed + GRACE]
        on_their_way = max(0, self.probe.begun_by(killed, kind, session) - (len(moments) - len(late)))
        excused = len(late) <= on_their_way and all(delay <= ON_ITS_WAY for delay in late)
        assert excused, f"{len(late)} {what} after the kill, the last {1000 * max(late):.0f} ms after it"

    def expect_answer(self, outcome: Outcome, answer: str) -> None:
        """The run ended with *answer* and nothing else."""
        assert outcome.error is None, f"the run failed: {outcome.error!r}"
        assert outcome.answer == answer, f"the answer is {outcome.answer!r}, not {answer!r}"

    def expect_nothing_open(self) -> None:
        """No step is open any more, neither for the Monitor nor in the adapter's own tables."""
        assert eventually(lambda: not self.open_steps()), f"steps are left open: {self.open_steps()}"
        entries = self.driver.entries(self.adapter)
        assert entries == 0, f"the adapter keeps {entries} entries of runs that are over"

    def open_steps(self) -> dict[str, int]:
        """Return how many steps each agent has open."""
        self.monitor.drain()
        agents = self.monitor.status()["agents"]
        return {name: alive["open_steps"] for name, alive in agents.items() if alive["open_steps"]}

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the stored ends of all steps of one kind ("model", "tool"), oldest first."""
        rows: list[dict[str, Any]] = self.monitor.get_events(limit=None)
        ends = {"action", "error", "agent_end", "session_end"}
        return [row for row in reversed(rows) if row["kind"] == kind and row["event_type"] in ends]

    def one_run(self, reason: str, offset: float, target: Target, agent: Any) -> None:
        """Run *agent*, kill it *offset* seconds after its first request, and check all that a kill promises."""
        killer = Killer(lambda: target.kill(reason), offset)
        self.server.on_request = killer.fire
        outcome = self.run(agent)
        killed = killer.wait()
        target.lift()
        self.expect_stop(outcome, reason)
        self.expect_nothing_after(killed)

    def runaway(self) -> Worker:
        """Return a model that goes on for longer than any kill takes to come."""
        return Worker(turns=14)


def eventually(true: Callable[[], bool], within: float = SOON) -> bool:
    """Whether *true* becomes true in time."""
    deadline = time.monotonic() + within
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


class ContractServer(ScriptedModelServer):
    """Serves many cases, one after the other, on one address: frameworks pool their clients by address."""

    def __init__(self) -> None:
        self.turns: Callable[[ModelRequest], Turn] = lambda _: Turn("nobody has set a script")
        super().__init__(lambda request: self.turns(request))  # noqa: PLW0108 - `turns` changes

    def says(self, script: Turn | Callable[[ModelRequest], Turn]) -> None:
        """Forget all requests, and answer from *script*."""
        self.on_request = None
        self.reset()
        self.turns = (lambda _: script) if isinstance(script, Turn) else script


@contextlib.contextmanager
def state_home(path: Path) -> Iterator[None]:
    """Keep the list of homes of this user out of the test."""
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_STATE_HOME"]
        else:
            os.environ["XDG_STATE_HOME"] = before
