"""A step: one model call, tool call, agent turn or run, from `begin` to `end`. Everything that an adapter holds."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any, Final

from deadstop.events import Usage
from deadstop.scopes import Run, Scope, ids
from deadstop.verdicts import Action, Layer, StepKind, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deadstop.pipeline import Pipeline

    Hold = Callable[["Step"], None]
    Content = Callable[[], object]

__all__ = ["Action", "Layer", "Step", "StepKind", "Verdict"]

MODEL: Final = StepKind.MODEL
"""Bound once: looking a member up on its Enum costs 0.1 us each time."""

MOST_TOKENS: Final = 2**53
"""A count beyond this is no count; it is also what every store and every JSON reader can hold exactly."""

RANK: Final[dict[str, int]] = {"transport": 0, "sdk": 1, "framework": 2}


class Step(Scope):
    """One step of a run. Made by `Monitor.begin`; call `tick` for each streamed chunk, `usage` and, at last, `end`.

    A step may be ended by another thread, or never: one that is dropped is settled with what it had used. `facts` are
    those that `begin` was given and that are not None: `provider`, `call_id`, `input_tokens`, `max_output_tokens`,
    `estimate_usd`, `arguments`, `input` and `data`.
    """

    __slots__ = (
        "__weakref__",
        "chunks",
        "counted_below",
        "ended",
        "enriches",
        "epoch",
        "facts",
        "holds",
        "id",
        "kind",
        "layer",
        "lent",
        "name",
        "once",
        "pipeline",
        "reported",
        "seen",
        "started",
        "started_at",
        "streamed_tokens",
    )

    def __init__(
        self,
        pipeline: Pipeline,
        parent: Scope | None,
        kind: StepKind,
        name: str,
        *,
        agent: str | None,
        session_id: str | None,
        user: str | None,
        tags: tuple[str, ...],
        layer: Layer,
        facts: dict[str, Any],
    ) -> None:
        self.id = ids.new()
        run = Run(id=self.id) if parent is None else parent.run
        super().__init__(parent, run, agent=agent, session_id=session_id, user=user, tags=tags)
        self.pipeline = pipeline
        self.kind = kind
        self.name = name
        self.layer: Layer = layer
        self.facts = facts
        self.epoch = ids.numbers
        self.ended = False
        self.once = itertools.count()
        self.chunks = 0
        self.streamed_tokens = 0
        self.reported: Usage | None = None
        self.lent: Usage | None = None
        self.counted_below = False
        self.enriches: Step | None = None
        self.holds: list[Hold] | None = None
        self.seen = -1
        self.started_at = pipeline.clock()
        self.started = time.perf_counter()

    def tick(self, tokens: int = 1) -> None:
        """Count one streamed chunk of *tokens* tokens; raises the stop if one holds for this step by now."""
        self.adoptable = False
        self.chunks += 1
        self.streamed_tokens += tokens
        pipeline = self.pipeline
        latch = self.latch
        if pipeline.control.view[0] != self.seen or latch.verdict is not None or latch.outer is not None:
            pipeline.check(self)

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        model: str | None = None,
        cost_usd: float | None = None,
        estimated: bool = False,
    ) -> None:
        """Report what the call used, in tokens and USD. Replaces what was reported before; never adds, never raises."""
        count = self.pipeline.count
        self.reported = Usage(
            input_tokens if type(input_tokens) is int and 0 <= input_tokens < MOST_TOKENS else count(input_tokens),
            output_tokens if type(output_tokens) is int and 0 <= output_tokens < MOST_TOKENS else count(output_tokens),
            0 if cached_tokens is None else count(cached_tokens),
            0 if cache_write_tokens is None else count(cache_write_tokens),
            0 if reasoning_tokens is None else count(reasoning_tokens),
            model,
            None if cost_usd is None else self.pipeline.money(cost_usd),
            estimated,
        )

    def end(self, error: BaseException | str | None = None, output: Content | None = None) -> None:
        """End the step: cost and latency are computed, holds released, one event recorded. Idempotent, never raises.

        *output* is a callable that returns the content; it is called only if somebody consumes content.
        """
        self.pipeline.end(self, error, output)

    def hold(self, release: Hold) -> None:
        """For judges: call *release* with this step exactly once, when it is refused or when it has ended."""
        if self.holds is None:
            self.holds = []
        self.holds.append(release)

    def release(self) -> None:
        """Call every registered hold; one that fails does not keep the others."""
        holds, self.holds = self.holds, None
        for hold in holds or ():
            try:
                hold(self)
            except Exception as exc:
                self.pipeline.isolation.note("hold", exc)

    def steps_around(self) -> Iterator[Step]:
        """Yield the steps around this one, innermost first."""
        scope = self.parent
        while scope is not None:
            if isinstance(scope, Step):
                yield scope
            scope = scope.parent

    @property
    def data(self) -> dict[str, object]:
        """What the event of this step tells besides the usual; plugins may add to it."""
        data: dict[str, object] = self.facts.setdefault("data", {})
        return data

    @property
    def spent(self) -> Usage | None:
        """What this step adds to the totals: None if nobody knows, or if its children were counted instead."""
        if self.counted_below:
            return self.lent
        if self.reported is not None or self.lent is not None:
            return self.reported or self.lent
        if self.chunks and self.kind is MODEL:
            return Usage(self.facts.get("input_tokens") or 0, self.streamed_tokens, estimated=True)
        return None

    def __del__(self) -> None:
        # A finaliser may run inside any lock of ours: it hands the step to the writer thread and does nothing else.
        try:
            if not self.ended and self.epoch is ids.numbers:
                self.pipeline.dropped.append(self)
        except AttributeError:  # begin failed half-way: there is nothing to settle
            pass

    def __repr__(self) -> str:
        return f"<Step {self.kind.value} {self.name!r} of {self.agent} in run {self.run.id}>"
