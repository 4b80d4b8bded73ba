"""The callback handler: LangChain's and LangGraph's events as steps, and their stops as exceptions that get through."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from langchain_core.callbacks import BaseCallbackHandler

from deadstop import AgentEvent, AgentStopped, Step, StepKind
from deadstop.adapters import guarded, here, nearest_parent, raise_at_boundary, step_out
from deadstop.sli import Sli, TaskRecord
from deadstop_langchain import _compat
from deadstop_langchain.runs import FRAMEWORK, Task, is_named, is_tool, key_of, name_of, open_steps_of
from deadstop_langchain.usage import read_usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from langchain_core.documents import Document
    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import LLMResult

    from deadstop import Monitor


class DeadstopCallbackHandler(Sli, BaseCallbackHandler):
    """Monitors and stops what it is given to: `chain.invoke(x, config={"callbacks": [DeadstopCallbackHandler(m)]})`.

    One class serves chains, agents and graphs, sync and async. *cost_per_1k_input* and *cost_per_1k_output* are USD per
    1,000 tokens, used only for models whose price nobody knows. The properties of `Sli` tell success rate, cost and
    duration of what passed through this handler.

    It must be synchronous, inline and raising: LangChain swallows what an async or non-raising handler decides, and
    runs one that is not inline in parallel with the call that it should have refused.
    """

    raise_error = True
    run_inline = True

    def __new__(cls, *_: Any, **__: Any) -> DeadstopCallbackHandler:  # noqa: D102 - see graph_aware
        return object.__new__(_compat.graph_aware(cls))

    def __init__(
        self, monitor: Monitor, *, cost_per_1k_input: float | None = None, cost_per_1k_output: float | None = None
    ) -> None:
        super().__init__()
        self.monitor = monitor
        self._prices = (cost_per_1k_input, cost_per_1k_output)
        self._steps = open_steps_of(monitor.home)  # shared: two handlers count a run once
        self._streaming: WeakSet[Step] = WeakSet()

    family = staticmethod(_compat.stop_family)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.monitor!r}>"

    # -- chains, graphs, nodes -----------------------------------------------------------------------------------

    @guarded
    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A root is a RUN; a graph's node, and an agent called inside, an AGENT turn; other chains are no steps."""
        if run_id.int in self._steps:
            return
        metadata = metadata or {}
        name = kwargs.get("name") or name_of(serialized, "chain")
        said = metadata.get("lc_agent_name")
        parent = self._steps.get(key_of(parent_run_id))
        if parent is None:
            self._begin_root(run_id, name, said, metadata, inputs)
            return
        own = None if said in parent.agents else said  # the name of an agent is handed down to agents inside it
        if any(tag.startswith("graph:step:") for tag in tags or ()):
            agent = own or (parent.agent if said else name)
            self._begin(StepKind.AGENT, name, run_id, parent_run_id, metadata, agent=agent)
        elif own or (is_named(name) and is_tool(nearest_parent(parent))):
            self._begin(StepKind.AGENT, name, run_id, parent_run_id, metadata, agent=own or name)
        else:
            self._steps.stand_in(run_id.int, key_of(parent_run_id))

    def _begin_root(self, run_id: UUID, name: str, agent: str | None, metadata: Mapping[str, Any], inputs: Any) -> None:
        self._leave_others()
        around = nearest_parent(None)
        own = agent or (name if around is None or around.agent is None else None)
        self._begin(StepKind.RUN, name, run_id, None, metadata, agent=own, data=FRAMEWORK, input=lambda: inputs)
        if _compat.resumed_with(inputs):
            self._approval("approval_response", own or (around and around.agent) or name, {})

    @guarded
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """End the step; at the root, raise a stop that was swallowed below."""
        self._end(run_id, output=outputs)

    @guarded
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """End the step; at the root, raise the stop that *error* hides. An interrupt is no error."""
        if _compat.is_interrupt(error):
            self._ask(run_id, error)
        self._end(run_id, error)

    def _ask(self, run_id: UUID, error: BaseException) -> None:
        """An interrupt passes through every node around the one that asks: told once, by the innermost."""
        entry = self._steps.entry(run_id.int)
        if entry is None:
            return
        step, asking = entry.step, entry.task.asking
        if asking is None or (step is not asking and step not in asking.steps_around()):
            entry.task.asking = step
            asked = error.args[0] if error.args and isinstance(error.args[0], (list, tuple)) else ()
            self._approval("approval_request", step.agent or step.name, {"interrupts": len(asked)})

    # -- model calls ---------------------------------------------------------------------------------------------

    @guarded
    def on_chat_model_start(
        self,
        serialized: dict[str, Any] | None,
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Refuse the call, or open its MODEL step."""
        self._begin_model(serialized, lambda: messages, run_id, parent_run_id, metadata or {}, kwargs)

    @guarded
    def on_llm_start(
        self,
        serialized: dict[str, Any] | None,
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Refuse the call of a text model, or open its MODEL step."""
        self._begin_model(serialized, lambda: prompts, run_id, parent_run_id, metadata or {}, kwargs)

    def _begin_model(
        self,
        serialized: dict[str, Any] | None,
        content: Any,
        run_id: UUID,
        parent_run_id: UUID | None,
        metadata: Mapping[str, Any],
        kwargs: Mapping[str, Any],
    ) -> None:
        if run_id.int in self._steps:
            return
        params = kwargs.get("invocation_params") or {}
        name = metadata.get("ls_model_name") or params.get("model") or params.get("model_name")
        if parent_run_id is not None:
            self._hand_off(parent_run_id)
        self._begin(
            StepKind.MODEL,
            str(name or kwargs.get("name") or name_of(serialized, "model")),
            run_id,
            parent_run_id,
            metadata,
            provider=metadata.get("ls_provider"),
            max_output_tokens=params.get("max_tokens") or params.get("max_completion_tokens"),
            input=content,
        )

    def _hand_off(self, parent_run_id: UUID) -> None:
        """LangGraph has no event for a handoff: it is a change of agent between the model calls of one root."""
        entry = self._steps.entry(parent_run_id.int)
        if entry is None:
            return
        scope, task = entry.step, entry.task
        before, task.agent = task.agent, scope.agent
        if before is not None and scope.agent is not None and before != scope.agent and task.turns <= 1:
            self.monitor.begin(StepKind.HANDOFF, scope.agent, parent=scope, data={"from": before}).end()

    @guarded
    def on_llm_new_token(self, token: str | list[Any], *, run_id: UUID, **kwargs: Any) -> None:
        """Count the chunk, and cut the stream here if a stop holds by now."""
        self._tick(run_id, 1 if token else 0)

    @guarded
    def on_stream_event(self, event: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """The same for v3 streams (langchain-core 1.4 and later)."""
        self._tick(run_id, 1)

    def _tick(self, run_id: UUID, tokens: int) -> None:
        entry = self._steps.entry(run_id.int)
        if entry is not None and entry.by is self:  # a second handler of this home hears of the same chunk
            if entry.step.chunks == 0 and (root := self._steps.get(entry.root)) is not None:
                self._streaming.add(root)
            entry.step.tick(tokens)

    @guarded
    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Report usage from wherever this provider hides it, and end the step."""
        step = self._steps.get(run_id.int)
        if step is not None and (usage := read_usage(response)):
            if usage.get("cost_usd") is None:
                usage["cost_usd"] = self._price(usage)
            step.usage(**usage)
        self._end(run_id, output=response)

    @guarded
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """End the step with what was streamed until then."""
        self._end(run_id, error)

    # -- tools and retrievers ------------------------------------------------------------------------------------

    @guarded
    def on_tool_start(
        self,
        serialized: dict[str, Any] | None,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Refuse the call, or open its TOOL step."""
        if run_id.int in self._steps:
            return
        name, arguments = kwargs.get("name") or name_of(serialized, "tool"), inputs if inputs is not None else input_str
        call_id = kwargs.get("tool_call_id")  # langchain-core 1.2.31 and later
        self._begin(
            StepKind.TOOL, name, run_id, parent_run_id, metadata or {}, call_id=call_id, arguments=lambda: arguments
        )

    @guarded
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """End the step; a ToolMessage with status "error" is a failed call."""
        failed = getattr(output, "status", None) == "error"
        step = self._steps.get(run_id.int)
        if step is not None and (call_id := getattr(output, "tool_call_id", None)) is not None:
            step.facts.setdefault("call_id", call_id)
        self._end(run_id, "the tool returned an error" if failed else None, output=output)

    @guarded
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """End the step as failed."""
        self._end(run_id, error)

    @guarded
    def on_retriever_start(
        self,
        serialized: dict[str, Any] | None,
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Refuse the retrieval, or open its step."""
        if run_id.int not in self._steps:
            name = kwargs.get("name") or name_of(serialized, "retriever")
            self._begin(
                StepKind.RETRIEVAL, name, run_id, parent_run_id, metadata or {}, arguments=lambda: {"query": query}
            )

    @guarded
    def on_retriever_end(self, documents: Sequence[Document], *, run_id: UUID, **kwargs: Any) -> None:
        """End the step."""
        self._end(run_id, output=documents)

    @guarded
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """End the step as failed."""
        self._end(run_id, error)

    # -- what LangGraph tells (only where langgraph is imported) --------------------------------------------------

    @guarded
    def on_interrupt(self, event: Any) -> None:
        """A breakpoint (`interrupt_before`, `interrupt_after`); `interrupt()` shows as the node's GraphInterrupt."""
        if str(event.status).startswith("interrupt_"):
            around = nearest_parent(None)
            self._approval("approval_request", (around and around.agent) or "default", {"breakpoint": event.status})

    def on_resume(self, event: Any) -> None:
        """Nothing: an answer is seen as the `Command(resume=...)` that brings it."""

    # -- shared --------------------------------------------------------------------------------------------------

    def _leave_others(self) -> None:
        """A root is never inside another root that was left open in this context: a stream between two chunks."""
        if not _compat.loses_config() or here() in self._streaming:
            step_out(FRAMEWORK)

    def _begin(
        self,
        kind: StepKind,
        name: str,
        run_id: UUID,
        parent_run_id: UUID | None,
        metadata: Mapping[str, Any],
        **facts: Any,
    ) -> None:
        parent = None if parent_run_id is None else parent_run_id.int
        known = self._steps.get(parent)
        if known is None:
            self._leave_others()
        scope = nearest_parent(known)
        session = None
        if scope is None or scope.session_id is None:
            session = metadata.get("session_id") or metadata.get("thread_id")
        step = self.monitor.begin(kind, name, session_id=session, parent=scope, **facts)
        fresh = Task(TaskRecord(name)) if known is None else None
        task = self._steps.put(run_id.int, step, parent, fresh, by=self, alive=run_id)
        task.record.steps += 1
        task.turns += kind is StepKind.AGENT

    def _end(self, run_id: UUID, error: BaseException | str | None = None, *, output: Any = None) -> None:
        entry = self._steps.take(run_id.int)
        if entry is None or not entry.own:
            return
        step, task, is_root = entry.step, entry.task, entry.root == run_id.int
        if isinstance(error, BaseException) and _compat.is_control_flow(error) and not isinstance(error, AgentStopped):
            error = None
        failure: BaseException | str | None = error
        try:
            if step.refused and is_root:
                raise_at_boundary(step, error if isinstance(error, BaseException) else None)
        except AgentStopped as stop:
            failure = stop
            raise
        finally:
            step.end(failure, output=lambda: output)
            self._account(task, step, failure)
            if is_root:
                task.record.finish(success=failure is None, error="" if failure is None else str(failure)[:200])
                self.task_finished(task.record)

    @staticmethod
    def _account(task: Task, step: Step, failure: BaseException | str | None) -> None:
        record = task.record
        task.turns -= step.kind is StepKind.AGENT
        if step.kind is StepKind.TOOL:
            record.tool_calls += 1
            record.tool_errors += failure is not None
        elif step.kind is StepKind.MODEL and (spent := step.spent) is not None:
            record.input_tokens += spent.input_tokens
            record.output_tokens += spent.output_tokens
            record.cost_usd += spent.cost_usd or 0.0

    def _price(self, usage: Mapping[str, Any]) -> float | None:
        per_input, per_output = self._prices
        if per_input is None and per_output is None:
            return None
        inputs, outputs = usage.get("input_tokens") or 0, usage.get("output_tokens") or 0
        return float((inputs * (per_input or 0.0) + outputs * (per_output or 0.0)) / 1000)

    def _approval(self, event_type: str, agent: str, data: dict[str, object]) -> None:
        self.monitor.record(AgentEvent(time.time(), agent, event_type, data))
