"""Who is running: the scope that travels with the code, the run it belongs to, and the latch of that run.

A scope is one node of a chain of parents: the open blocks and steps around a piece of code. It travels in a single
ContextVar, which is set but never reset by token: a callback may end in another context than it began in.
"""

from __future__ import annotations

import itertools
import os
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING

from deadstop.errors import AgentKilled, AgentPaused, AgentStopped
from deadstop.verdicts import Action

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadstop.verdicts import Verdict

DEFAULT_AGENT = "default"
"""The agent of a step with no scope at all."""


class _Ids:
    """Unique ids for events, steps and runs: 0.1 us each, renewed after a fork."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Start a new, never used, sequence."""
        self.prefix = os.urandom(6).hex()
        self.numbers = itertools.count(1)

    def new(self) -> str:
        """Return a new id, for instance "9f86d081a4b2-1f"."""
        return f"{self.prefix}-{next(self.numbers):x}"


ids = _Ids()
os.register_at_fork(after_in_child=ids.renew)


class Latch:
    """The first stop of a run, kept so that every later step of the run is refused at once.

    It is a cached verdict, never an exception (whose traceback would keep streams open): `generation` is the control
    word when it closed and `deadline` the monotonic time until which it holds. When the word has moved, or the
    deadline has passed, the next step is judged again and may open it. With `on_member_stop: continue` a nested agent
    has a latch of its own (`agent`, `outer`), so that its stop ends only its own subtree.
    """

    __slots__ = ("agent", "deadline", "generation", "outer", "standing", "verdict", "who")

    def __init__(self, *, outer: Latch | None = None, agent: str | None = None) -> None:
        self.verdict: Verdict | None = None
        self.generation = -1
        self.deadline: float | None = None
        self.standing = False
        self.who: Scope | None = None
        self.outer = outer
        self.agent = agent

    def close(self, verdict: Verdict, generation: int, *, who: Scope, standing: bool) -> None:
        """Keep *verdict* about *who* for the steps to come. *standing*: judges that look only at who runs agree."""
        self.generation = generation
        self.standing = standing
        self.who = who.reopened()
        self.deadline = None if verdict.retry_after is None else time.monotonic() + verdict.retry_after
        self.verdict = verdict

    def holds(self, generation: int) -> bool:
        """Whether the cached verdict still stands without asking the judges again."""
        if self.verdict is None or self.generation != generation:
            return False
        return self.deadline is None or time.monotonic() < self.deadline

    def chain(self) -> Iterator[Latch]:
        """Yield this latch and those around it, innermost first."""
        latch: Latch | None = self
        while latch is not None:
            yield latch
            latch = latch.outer

    def owner_of(self, verdict: Verdict) -> Latch:
        """Return the innermost latch that *verdict* is about: a member's own, or the run's."""
        data = verdict.data or {}
        latch = self
        while latch.outer is not None and not (data.get("scope") == "agent" and data.get("name") == latch.agent):
            latch = latch.outer
        return latch


class Run:
    """One execution: the tree of steps below the outermost block or step."""

    __slots__ = ("id", "latch", "name")

    def __init__(self, name: str | None = None, *, id: str | None = None) -> None:  # noqa: A002 - the field's name
        self.id = id or ids.new()
        self.name = name
        self.latch = Latch()


class Scope:
    """One open block: whose code runs here, in which session and run.

    `agents` is the path of agent names, outermost first, and `agent` the innermost. `adoptable` is True while new
    steps may become children: not once it is closed, nor, for a streamed step, after its first chunk (the variable
    set at its start is still set for the code that consumes the chunks). `refused` says that a step below was refused.
    `lasting` scopes are blocks of the user: a task that outlives its block keeps who it is (see `here`).
    """

    __slots__ = (
        "adoptable",
        "agent",
        "agents",
        "lasting",
        "latch",
        "parent",
        "refused",
        "run",
        "session_id",
        "tags",
        "user",
    )

    def __init__(
        self,
        parent: Scope | None,
        run: Run,
        *,
        agent: str | None = None,
        session_id: str | None = None,
        user: str | None = None,
        tags: tuple[str, ...] = (),
    ) -> None:
        self.parent = parent
        self.run = run
        self.latch: Latch = run.latch if parent is None else parent.latch
        self.agents: tuple[str, ...]
        if parent is None:
            self.agent, self.agents = agent, (() if agent is None else (agent,))
            self.session_id, self.user, self.tags = session_id, user, tags
        else:
            outer = parent.agents
            self.agent = agent or parent.agent
            self.agents = outer if agent is None or agent in outer else (*outer, agent)
            self.session_id = session_id or parent.session_id
            self.user = user or parent.user
            self.tags = (*parent.tags, *tags) if tags else parent.tags
        self.adoptable = True
        self.refused = False
        self.lasting = False

    def reopened(self) -> Scope:
        """Return an open scope of the same run with the same agents, session, user and tags, and no parent."""
        scope = Scope(None, self.run, agent=self.agent, session_id=self.session_id, user=self.user, tags=self.tags)
        scope.agents, scope.latch = self.agents, self.latch
        return scope

    def close(self) -> None:
        """Take no more children, and give the context back to the scope around this one if it is still ours."""
        self.adoptable = False
        if current.get() is self:
            current.set(self.parent)

    def mark_refused(self, latch: Latch) -> None:
        """Tell this scope and those around it, as far as *latch* reaches, that a step was refused below them."""
        scope: Scope | None = self
        while scope is not None and scope.latch is not latch.outer:
            scope.refused = True
            scope = scope.parent


current: ContextVar[Scope | None] = ContextVar("deadstop_scope", default=None)
"""The innermost block or step that was entered here; see `here()` for the one that new steps belong to."""


def here() -> Scope | None:
    """Return the nearest open scope around the running code, or None outside every block and step.

    A task or thread may outlive the block that it was started in: its steps still belong to that agent and session.
    Only blocks last like that; a framework's step that ended elsewhere says nothing about what runs here now.
    """
    innermost = current.get()
    scope = nearest_open(innermost)
    if scope is not None or innermost is None:
        return scope
    while innermost is not None and not innermost.lasting:
        innermost = innermost.parent
    return None if innermost is None else innermost.reopened()


def nearest_open(scope: Scope | None) -> Scope | None:
    """Return *scope*, or the first of those around it that still takes children."""
    while scope is not None and not scope.adoptable:
        scope = scope.parent
    return scope


_BY_ACTION: dict[Action, type[AgentStopped]] = {Action.KILL: AgentKilled, Action.PAUSE: AgentPaused}


def stop_for(scope: Scope, verdict: Verdict) -> AgentStopped:
    """Make the exception that *verdict* means for the code in *scope*; the agent it names is the one it is about."""
    kind = verdict.stop or _BY_ACTION.get(verdict.action, AgentStopped)
    data = verdict.data or {}
    agent = data.get("name") if data.get("scope") == "agent" else None
    return kind(verdict, agent=str(agent or scope.agent or DEFAULT_AGENT), session_id=scope.session_id)


def carried_stop(error: BaseException) -> AgentStopped | None:
    """Find the stop in *error*, its causes, contexts and the members of exception groups; None if there is none."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        exc = waiting.pop()
        if exc is None or id(exc) in seen:
            continue
        if isinstance(exc, AgentStopped):
            return exc
        seen.add(id(exc))
        waiting += [exc.__cause__, exc.__context__, *getattr(exc, "exceptions", ())]
    return None
