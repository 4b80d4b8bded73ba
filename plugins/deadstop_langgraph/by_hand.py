"""`LangGraphAdapter`: a graph reported by hand, node by node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadstop import StepKind
from deadstop.by_hand import ByHand

if TYPE_CHECKING:
    from deadstop.sli import TaskRecord


class LangGraphAdapter(ByHand):
    """Six calls that tell what a graph does; each asks first whether it still may, and raises `AgentStopped` if not.

    Graphs that run in LangGraph itself need none of this: give them `DeadstopCallbackHandler`.
    """

    def on_graph_start(self, graph_name: str) -> TaskRecord:
        """Open a run; its agent is *graph_name*. Returns the record that `on_graph_end` completes."""
        return self.begin_task(graph_name)

    def on_node_start(self, node_name: str) -> None:
        """Open a node's turn."""
        self.begin_turn(node_name)

    def on_node_end(self, node_name: str, error: str = "") -> None:
        """Close a node's turn; a text in *error* means that it failed."""
        self.end_turn(node_name, error)

    def on_llm_call(self, input_tokens: int = 0, output_tokens: int = 0, cost_usd: float = 0.0) -> None:
        """Report a model call: its tokens and its cost in USD."""
        self.call(StepKind.MODEL, "llm", input_tokens=input_tokens, output_tokens=output_tokens, cost_usd=cost_usd)

    def on_tool_call(self, tool_name: str, error: str = "") -> None:
        """Report a tool call; a text in *error* means that it failed."""
        self.call(StepKind.TOOL, tool_name, error=error)

    def on_graph_end(self, success: bool = True, error: str = "") -> TaskRecord:  # noqa: FBT001, FBT002 - seeds/3's
        """Close the run and return its record."""
        return self.end_task(success=success, error=error)
