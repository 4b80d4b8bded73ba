"""The hot path: hooks compiled to tuples, and the only code that runs for every step.

A `Pipeline` is immutable once built; registering a plugin builds another and swaps one reference. Judges are all
asked and the harshest answer wins, so that the order of plugins can't weaken a decision. Whatever a plugin raises is
isolated here, unless its policy is fail-closed.
"""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from deadstop import scopes, telling
from deadstop.errors import AgentStopped, StepDenied
from deadstop.names import clean_name
from deadstop.scopes import DEFAULT_AGENT, Latch, Scope, carried_stop, here, nearest_open, stop_for
from deadstop.steps import MODEL, MOST_TOKENS, RANK, Step
from deadstop.verdicts import DENIABLE, Action, StepKind, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadstop.events import AgentEvent
    from deadstop.homes import OpenHome
    from deadstop.steps import Content
    from deadstop.verdicts import Layer


AGENT, RUN, APPROVAL = StepKind.AGENT, StepKind.RUN, StepKind.APPROVAL


class Judge(NamedTuple):
    """One compiled judge: `ask(step)` returns a Verdict or None; `closed`: its failure refuses the step.

    `standing` judges look only at who is running (never at the step), so they are asked again inside a running step
    and at the boundary whenever the control word has moved.
    """

    name: str
    ask: Callable[[Any], Verdict | None]
    closed: bool = False
    standing: bool = False


class Pipeline:
    """The compiled hooks of one Monitor, and the path of a step through them."""

    def __init__(
        self,
        home: OpenHome,
        *,
        judges: tuple[Judge, ...],
        before: tuple[tuple[str, Callable[[Step], object]], ...] = (),
        stopped: Callable[[AgentStopped], None] | None = None,
        keep: Callable[[AgentEvent], bool] | None = None,
        price: Callable[[Step], float | None] | None = None,
        members_go_on: bool = False,
        content: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.home = home
        self.control = home.control
        self.isolation = home.isolation
        self.judges = judges
        self.standing = tuple(judge for judge in judges if judge.standing)
        self.before = before
        self.stopped = stopped
        self.keep = keep
        self.price = price
        self.members_go_on = members_go_on
        self.content = content
        self.clock = clock
        self.dropped: deque[Step] = deque(maxlen=65_536)

    # -- begin ---------------------------------------------------------------------------------------------------

    def begin(
        self,
        kind: StepKind,
        name: str,
        *,
        parent: Scope | None,
        agent: str | None,
        session_id: str | None,
        user: str | None,
        tags: tuple[str, ...],
        layer: Layer,
        facts: dict[str, Any],
    ) -> Step:
        """Open a step, ask the judges, make it the current scope. Raises `AgentStopped` or `StepDenied`."""
        outer = here() if parent is None else nearest_open(parent)
        name = clean_name(name)
        if agent is not None:
            agent = clean_name(agent) or None
        elif kind is AGENT:
            agent = name or None
        if agent is None and (outer is None or outer.agent is None):
            agent = DEFAULT_AGENT
        step = Step(
            self,
            outer,
            kind,
            name,
            agent=agent,
            session_id=session_id,
            user=user,
            tags=tags,
            layer=layer,
            facts=facts,
        )
        if kind is MODEL and isinstance(outer, Step) and outer.kind is MODEL:
            self._join_outer_call(step, outer)
        if self.members_go_on and kind is AGENT and outer is not None and agent not in outer.agents:
            step.latch = Latch(outer=outer.latch, agent=agent)
        self._admit(step)
        scopes.current.set(step)
        self.home.activity.began(step)
        if kind is RUN or kind is APPROVAL:
            self.record(telling.began(step))
        return step

    @staticmethod
    def _join_outer_call(step: Step, outer: Step) -> None:
        """One call seen by two layers is one call: the inner, lower one only enriches the outer."""
        call = outer.enriches or outer
        if RANK[step.layer] < RANK[outer.layer] and call.reported is None and call.lent is None:
            step.enriches = call

    def _admit(self, step: Step) -> None:
        for name, enrich in self.before:
            try:
                enrich(step)
            except Exception as exc:
                self.isolation.note(f"hook deadstop_before_step of {name}", exc)
        control = self.control
        control.current()
        step.seen = control.seen
        if step.latch.verdict is not None or step.latch.outer is not None:
            self._mind_latches(step)
        verdict = self._ask(self.judges, step)
        if verdict is not None:
            self._act(step, verdict)

    def _mind_latches(self, step: Step) -> None:
        for latch in step.latch.chain():
            verdict = latch.verdict
            if verdict is None:
                continue
            if latch.holds(self.control.seen):
                self._shut(step)
                self._stop(step, verdict, latch)
            latch.verdict = None  # the word moved or the time is over: the judges decide again, right now

    def _ask(self, judges: tuple[Judge, ...], subject: Scope) -> Verdict | None:
        harshest: Verdict | None = None
        for name, ask, closed, _ in judges:
            try:
                verdict = ask(subject)
            except Exception as exc:
                self.isolation.note(f"policy {name}", exc)
                verdict = _failed_closed(name, exc) if closed else None
            if verdict is not None and (harshest is None or verdict.action > harshest.action):
                harshest = verdict
                if verdict.action is Action.KILL:
                    break
        return harshest

    # -- refusals ------------------------------------------------------------------------------------------------

    def _act(self, step: Step, verdict: Verdict) -> None:
        if verdict.action is Action.WARN:
            self._tell(step, verdict, "alert")
        elif verdict.action is Action.DENY and step.kind in DENIABLE:
            self._shut(step)
            self._tell(step, verdict, "denial")
            raise StepDenied(verdict, agent=step.agent or DEFAULT_AGENT, name=step.name)
        else:
            self._write_row(step, verdict)
            self._shut(step)
            self._stop(step, verdict)

    def _stop(self, scope: Scope, verdict: Verdict, latch: Latch | None = None) -> None:
        """Raise the stop, closing the latch that the verdict is about unless *latch* holds it already."""
        if latch is None:
            latch = scope.latch.owner_of(verdict)
            standing = self._ask(self.standing, scope) is not None
            latch.close(verdict, self.control.seen, who=scope, standing=standing)
            if self.stopped is not None:
                self.stopped(stop_for(scope, verdict))
        scope.mark_refused(latch)
        self._tell(scope, verdict, "denial")
        raise stop_for(scope, verdict)

    @staticmethod
    def _shut(step: Step) -> None:
        """A refused step never was: it takes no children, records no end, and gives back what judges took for it."""
        step.ended = True
        step.close()
        step.release()

    def _tell(self, scope: Scope, verdict: Verdict, event_type: str) -> None:
        kind = scope.kind.value if isinstance(scope, Step) else "scope"
        key = (scope.run.id, verdict.policy, kind, event_type)
        try:
            self.home.decisions.refused(key, lambda n: telling.decided(scope, verdict, event_type, self.clock(), n))
        except Exception as exc:
            self.isolation.note("decision log", exc)

    def _write_row(self, step: Step, verdict: Verdict) -> None:
        """A verdict about more than the run writes a control row, so that every process refuses."""
        if verdict.target == "run" or verdict.action is Action.DENY:
            return
        names = {"agent": step.agent or DEFAULT_AGENT, "session": step.session_id or "", "global": ""}
        action = "kill" if verdict.action is Action.KILL else "pause"
        timed = action == "pause" and verdict.retry_after is not None
        try:
            self.control.set(
                action,
                verdict.target,
                names[verdict.target],
                reason=verdict.reason,
                actor=f"policy {verdict.policy}",
                until=self.clock() + (verdict.retry_after or 0.0) if timed else None,
                policy=verdict.policy,
            )
        except Exception as exc:
            self.isolation.note("control row", exc)

    # -- a running step ------------------------------------------------------------------------------------------

    def check(self, scope: Scope) -> None:
        """Raise the stop if one holds for *scope* by now: at a chunk, in a loop, before a request."""
        self.control.current()
        for latch in scope.latch.chain():
            if (verdict := self._stands(latch)) is not None:
                self._stop(scope, verdict, latch)
        verdict = self._ask(self.standing, scope)
        if verdict is not None and verdict.action > Action.DENY:
            self._stop(scope, verdict)
        if isinstance(scope, Step):
            scope.seen = self.control.seen

    def _stands(self, latch: Latch) -> Verdict | None:
        """Return the verdict of *latch* if it is closed; kills and pauses are looked up again once the word moved."""
        verdict = latch.verdict
        if verdict is None or latch.holds(self.control.seen):
            return verdict
        over = latch.deadline is not None and time.monotonic() >= latch.deadline
        if over or (latch.standing and latch.who is not None and self._ask(self.standing, latch.who) is None):
            latch.verdict = None
        return latch.verdict

    def due(self, scope: Scope, error: BaseException | None) -> AgentStopped | None:
        """The boundary: the stop that must leave *scope* although what was called in it ended otherwise, or well.

        A stop is due if a step below was refused and the latch is still closed; a stop that comes after the last step
        throws nothing away. One that *error* carries comes back as the object it is. A KeyboardInterrupt, a
        cancellation and their like win.
        """
        if isinstance(error, AgentStopped):
            return error
        if not scope.refused:
            return None
        if error is not None and not isinstance(error, Exception) and not hasattr(error, "exceptions"):
            return None
        self.control.current()
        for latch in scope.latch.chain():
            if (verdict := self._stands(latch)) is not None:
                return (None if error is None else carried_stop(error)) or stop_for(scope, verdict)
        return None

    # -- end -----------------------------------------------------------------------------------------------------

    def end(self, step: Step, error: BaseException | str | None, output: Content | None) -> None:
        """End *step* once: settle its holds, count its usage once, record one event. Never raises."""
        if step.ended or next(step.once) or step.epoch is not scopes.ids.numbers:
            return  # ended before, or begun in the process that this one was forked from
        step.ended = True
        step.close()
        try:
            self.home.activity.ended(step)
            self._count_once(step)
            if step.enriches is None:
                self.record(telling.ended(step, error, output, self.price))
        except Exception as exc:
            self.isolation.note("end of a step", exc)
        if step.holds:
            step.release()

    @staticmethod
    def _count_once(step: Step) -> None:
        if step.kind is not MODEL or step.spent is None:
            return
        if step.enriches is not None:
            step.enriches.lent = step.spent
            return
        for outer in step.steps_around():
            if outer.kind is MODEL:
                outer.counted_below = True

    def settle_dropped(self) -> None:
        """End the steps that nobody ended before they were collected. Runs on the writer thread."""
        while self.dropped:
            self.end(self.dropped.popleft(), "dropped", None)

    def record(self, event: AgentEvent) -> None:
        """Store *event* unless the configuration keeps its agent or type out. Never blocks."""
        if self.keep is None or self.keep(event):
            self.home.writer.append(event)

    # -- numbers from outside ------------------------------------------------------------------------------------

    def count(self, value: int | None) -> int:
        """Return *value* tokens as a count: anything that is no non-negative whole number is 0, and noted."""
        if value is None:
            return 0
        if value.__class__ is int and 0 <= value < MOST_TOKENS:
            return value
        try:
            number = int(value)
        except Exception as exc:
            self.isolation.note("token count", exc)
            return 0
        return number if 0 <= number < MOST_TOKENS else 0

    def money(self, usd: float | None) -> float | None:
        """Return *usd*, or None (unknown) where it is no finite, non-negative number; that is noted."""
        if usd is None:
            return None
        if usd.__class__ in _NUMBERS and usd >= 0 and math.isfinite(usd):
            return float(usd)
        self.isolation.note("cost", f"{usd!r:.80} is no amount of USD")
        return None


_NUMBERS = frozenset({int, float})


def _failed_closed(policy: str, error: Exception) -> Verdict:
    return Verdict(Action.PAUSE, policy, f"policy {policy} failed and is fail-closed: {type(error).__name__}")
