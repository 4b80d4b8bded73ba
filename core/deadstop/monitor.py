"""`Monitor`: wires configuration, plugins, home and pipeline together, and is the public face of them all."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from deadstop import adapters, scopes, telling
from deadstop.blocks import Block, grouping
from deadstop.control.actor import default_actor
from deadstop.names import clean_name
from deadstop.recording import record
from deadstop.verdicts import StepKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from deadstop.config import MonitorConfig
    from deadstop.control import ControlStore
    from deadstop.control.table import Row
    from deadstop.events import AgentEvent
    from deadstop.scopes import Scope
    from deadstop.steps import Content, Step
    from deadstop.storage import EventStore, When
    from deadstop.verdicts import Layer

F = TypeVar("F", bound="Callable[..., Any]")


class Monitor:
    """Watches agents and stops them. Make one, keep it, share it between threads and tasks.

    *config* comes from `load_config` or is made in code; None means all defaults. *home* overrides where state is
    kept (see docs/architecture.md). *plugins* are registered besides those found through entry points, which
    *discover* switches off. *clock* returns epoch seconds.

    Raises `ConfigError` for a config that asks for what this version can't do, and `DeadstopError` for plugins that do
    not fit. After that nothing but a decision to stop is ever raised into the code that it watches.
    """

    def __init__(
        self,
        config: MonitorConfig | None = None,
        *,
        home: str | Path | None = None,
        plugins: Sequence[object] = (),
        discover: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        from deadstop.wiring import configure, give_back, wire

        wired = wire(self, config, home=home, plugins=plugins, discover=discover, clock=clock)
        self.config = wired.config
        self.plugins = wired.plugins
        self.home = wired.home
        self.control: ControlStore = wired.home.control
        self.kill_switch_engine = wired.kill_switch
        self._clock = clock
        self._closed = False
        try:
            self._pipeline = wired.finish()
            configure(self)
        except BaseException:
            give_back(self)
            raise

    def __repr__(self) -> str:
        return f"<Monitor home={str(self.home.path)!r}>"

    # -- steps ---------------------------------------------------------------------------------------------------

    def begin(
        self,
        kind: StepKind,
        name: str,
        *,
        agent: str | None = None,
        session_id: str | None = None,
        user: str | None = None,
        provider: str | None = None,
        call_id: str | None = None,
        layer: Layer = "framework",
        input_tokens: int | None = None,
        max_output_tokens: int | None = None,
        estimate_usd: float | None = None,
        arguments: object = None,
        input: Content | None = None,  # noqa: A002 - the word of the field, and keyword-only
        tags: Iterable[str] = (),
        data: Mapping[str, object] | None = None,
        parent: Scope | None = None,
    ) -> Step:
        """Open a step and ask whether it may happen. Call `usage` and `end` on the result.

        *agent*, *session_id*, *user* and *tags* default to the current scope's. *arguments* may be a callable, *input*
        is one; they are called only if somebody consumes content. *parent* is the scope that the step belongs to where
        a framework knows better than the current context.

        Raises `AgentStopped` if the run must end and `StepDenied` if only this step is refused.
        """
        facts: dict[str, Any] = {}
        if provider is not None:
            facts["provider"] = provider
        if call_id is not None:
            facts["call_id"] = call_id
        if input_tokens is not None:
            facts["input_tokens"] = input_tokens
        if max_output_tokens is not None:
            facts["max_output_tokens"] = max_output_tokens
        if estimate_usd is not None:
            facts["estimate_usd"] = estimate_usd
        if arguments is not None:
            facts["arguments"] = arguments
        if input is not None:
            facts["input"] = input
        if data:
            facts["data"] = dict(data) if isinstance(data, Mapping) else {"data": data}
        return self._pipeline.begin(
            kind if kind.__class__ is StepKind else StepKind(kind),
            name,
            parent=parent,
            agent=agent,
            session_id=None if session_id is None else clean_name(session_id),
            user=None if user is None else clean_name(user),
            tags=_names(tags) if tags else (),
            layer=layer,
            facts=facts,
        )

    def step(self, kind: StepKind, name: str, **facts: Any) -> Block[Step]:
        """Return a block that is one step: `with monitor.step(StepKind.TOOL, "search") as step:`. Also `async with`.

        Takes the keywords of `begin`.
        """
        return Block(self._pipeline, lambda: self.begin(kind, name, **facts))

    def agent(
        self, name: str, *, session_id: str | None = None, user: str | None = None, tags: Iterable[str] = ()
    ) -> Block[Step]:
        """Return a block in which the agent *name* works: an AGENT step. Also a decorator, and `async with`."""
        tags = _names(tags)
        return Block(
            self._pipeline, lambda: self.begin(StepKind.AGENT, name, session_id=session_id, user=user, tags=tags)
        )

    def session(self, session_id: str, *, tags: Iterable[str] = ()) -> Block[Scope]:
        """Return a block whose steps belong to the session *session_id*: a conversation, a thread, a ticket."""
        session_id, names = clean_name(session_id), _names(tags)
        return Block(self._pipeline, lambda: grouping(scopes.here(), session_id=session_id, tags=names))

    def run(self, name: str | None = None, *, tags: Iterable[str] = ()) -> Block[Scope]:
        """Return a block whose steps are one run: one latch, one boundary, one `run_id`. Inside a run, it joins it."""
        label, names = None if name is None else clean_name(name), _names(tags)
        return Block(self._pipeline, lambda: grouping(scopes.here(), name=label, tags=names))

    def wrap(self, function: F) -> F:
        """Return *function* so that its calls run in the scope that is current now, in whatever thread they happen."""
        from deadstop.threads import in_scope

        return in_scope(function)

    def check(self) -> None:
        """Raise the stop that holds for the current scope, if any: for long loops of your own between two steps."""
        if (scope := scopes.here()) is not None:
            self._pipeline.check(scope)

    def record(self, event: AgentEvent) -> None:
        """Record an event made elsewhere. Corrects bad values, fills in the current run and session, never raises.

        The event of a killed agent is not stored as activity: it is counted, with one decision event a minute.
        """
        record(self._pipeline, event)

    # -- kills and pauses ----------------------------------------------------------------------------------------

    def is_killed(self, agent: str, session_id: str | None = None) -> bool:
        """Whether *agent*, or its session, or everything, is killed."""
        return self.kill_switch_engine.is_killed(agent, session_id)

    def kill_agent(self, agent: str, reason: str = "", *, actor: str | None = None) -> None:
        """Kill *agent* in every process of this home, until it is revived."""
        self._tell(self.kill_switch_engine.kill_agent(agent, reason, actor=actor))

    def kill_session(self, session_id: str, reason: str = "", *, actor: str | None = None) -> None:
        """Kill one session; the agent's other sessions go on."""
        self._tell(self.kill_switch_engine.kill_session(session_id, reason, actor=actor))

    def kill_run(self, run_id: str, reason: str = "", *, actor: str | None = None) -> None:
        """Kill one run."""
        self._tell(self.kill_switch_engine.kill_run(run_id, reason, actor=actor))

    def kill_tag(self, tag: str, reason: str = "", *, actor: str | None = None) -> None:
        """Kill every step that carries *tag*."""
        self._tell(self.kill_switch_engine.kill_tag(tag, reason, actor=actor))

    def kill_global(self, reason: str = "", *, actor: str | None = None) -> None:
        """Kill everything in this home."""
        self._tell(self.kill_switch_engine.kill_global(reason, actor=actor))

    def revive(self, agent: str | None = None, session_id: str | None = None, *, actor: str | None = None) -> None:
        """Lift the kill of *agent*, of *session_id*, or of both. ValueError without a target."""
        self._tell(self.kill_switch_engine.revive(agent, session_id, actor=actor), lifted_by=actor or default_actor())

    def revive_run(self, run_id: str, *, actor: str | None = None) -> None:
        """Lift the kill of one run."""
        self._tell(self.kill_switch_engine.revive_run(run_id, actor=actor), lifted_by=actor or default_actor())

    def revive_tag(self, tag: str, *, actor: str | None = None) -> None:
        """Lift the kill of *tag*."""
        self._tell(self.kill_switch_engine.revive_tag(tag, actor=actor), lifted_by=actor or default_actor())

    def revive_global(self, *, actor: str | None = None) -> None:
        """Lift the kill of everything. Agents and sessions that were killed one by one stay killed."""
        self._tell(self.kill_switch_engine.revive_global(actor=actor), lifted_by=actor or default_actor())

    def pause(self, agent: str, *, seconds: float | None = None, reason: str = "", actor: str | None = None) -> None:
        """Pause *agent* until it is resumed, or for *seconds*."""
        self._tell(self.kill_switch_engine.pause(agent, seconds=seconds, reason=reason, actor=actor))

    def resume(self, agent: str, *, actor: str | None = None) -> None:
        """End the pause of *agent*. A kill stays."""
        self._tell(self.kill_switch_engine.resume(agent, actor=actor), lifted_by=actor or default_actor())

    def _tell(self, rows: Row | list[Row], *, lifted_by: str | None = None) -> None:
        """Every kill, pause, revive and resume is an event as well."""
        for row in rows if isinstance(rows, list) else [rows]:
            self.home.writer.append_durable(telling.controlled(row, now=self._clock(), lifted_by=lifted_by))

    # -- adapters ------------------------------------------------------------------------------------------------

    def attach(self, name: str, **options: Any) -> Any:
        """Attach the adapter *name* ("langchain", "threading", ...) to the whole process and return it.

        Raises `DeadstopError` for an unknown name or if another Monitor has attached it, and `MissingExtra` with the
        command to type if the framework is not installed.
        """
        from deadstop.wiring import load_adapter

        true_name, make = load_adapter(self, name)
        return adapters.attach(true_name, self, lambda: make(self, **options))

    def detach(self, name: str) -> None:
        """Detach the adapter *name*: everything that it patched is as it was."""
        spec = self.plugins.adapters().get(name)
        adapters.detach([name if spec is None else spec.same_as or name], self)

    # -- events --------------------------------------------------------------------------------------------------

    @property
    def event_store(self) -> EventStore:
        """The live event store."""
        return self.home.store

    def get_events(
        self,
        *,
        since: When | None = None,
        until: When | None = None,
        agent: str | None = None,
        event_type: str | None = None,
        session_id: str | None = None,
        run_id: str | None = None,
        limit: int | None = 1000,
    ) -> list[dict[str, object]]:
        """Return stored events as dicts, newest first; filters combine with "and".

        Times are ISO strings (UTC without an offset), epoch seconds or datetimes; *since* is inclusive, *until* is not.
        *agent* also finds what ran below it. *limit* None means all. Waits up to 2 s for what this process recorded
        before. Raises ValueError for a time or a limit that is none.
        """
        self.drain(2.0)
        return self.home.store.read(
            since=since,
            until=until,
            agent=agent,
            event_type=event_type,
            session_id=session_id,
            run_id=run_id,
            limit=limit,
        )

    def drain(self, timeout: float = 2.0) -> bool:
        """Wait until everything recorded so far is stored; False if that took more than *timeout* seconds."""
        self._pipeline.settle_dropped()
        return self.home.writer.drain(timeout)

    def flush(self) -> None:
        """Drain, then clear metric streams. Stored events, kills and budgets stay."""
        self.drain()
        for there in adapters.attached().values():
            if there.monitor is self and hasattr(there.adapter, "clear"):
                there.adapter.clear()

    def status(self) -> dict[str, Any]:
        """Return what this process knows: home, agents, sessions, kills, plugins, counters. Plain data."""
        from deadstop.wiring import describe_monitor

        return describe_monitor(self)

    # -- end -----------------------------------------------------------------------------------------------------

    def close(self, timeout: float = 2.0) -> None:
        """Detach, write what is pending and give the home back. Idempotent; steps that are still open can end after."""
        if self._closed:
            return
        self._closed = True
        from deadstop.wiring import unwire

        unwire(self, self._pipeline, timeout)

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _names(given: Iterable[str]) -> tuple[str, ...]:
    return (clean_name(given),) if isinstance(given, str) else tuple(map(clean_name, given))
