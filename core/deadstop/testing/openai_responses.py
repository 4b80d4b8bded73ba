"""How OpenAI's Responses API words an answer: the response object, and the events of its stream."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from deadstop.testing.openai_wire import Stage, WireEvent, call_id, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadstop.events import Usage
    from deadstop.testing.model_script import ModelRequest, Piece, Turn

# A finish reason of chat completions -> the reason why a response is incomplete.
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def response_body(request: ModelRequest, turn: Turn) -> dict[str, Any]:
    """A finished `response`: a message if there is text, then the function calls."""
    return _Answer(request, turn).whole()


def response_events(request: ModelRequest, turn: Turn) -> Iterator[WireEvent]:
    """The stream of a response, from `response.created` to `response.completed` (or `.incomplete`)."""
    answer = _Answer(request, turn)
    yield answer.event("response.created", "opening", response=answer.begun())
    yield answer.event("response.in_progress", "opening", response=answer.begun())
    pieces = list(turn.pieces())
    if answer.has_message:
        yield from answer.message_events([piece.text for piece in pieces if piece.call is None])
    for place in range(len(turn.tool_calls)):
        yield from answer.call_events(place, [piece for piece in pieces if piece.call == place])
    yield answer.event(f"response.{answer.status}", "closing", response=answer.whole())


class _Answer:
    """One answer on its way out; it numbers its events."""

    def __init__(self, request: ModelRequest, turn: Turn) -> None:
        self._request = request
        self._turn = turn
        self._created = int(time.time())
        self._sequence = 0
        self.has_message = bool(turn.text) or not turn.tool_calls
        self.status = "incomplete" if turn.finish in _INCOMPLETE else "completed"

    def event(self, kind: str, stage: Stage, **fields: Any) -> WireEvent:
        """One server-sent event, with its name and number."""
        data = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return WireEvent(b"event: " + kind.encode() + b"\ndata: " + encode(data) + b"\n\n", stage)

    def begun(self) -> dict[str, Any]:
        """The response before anything was said."""
        return self._response(status="in_progress", output=[], usage=None)

    def whole(self) -> dict[str, Any]:
        """The response at its end."""
        message = [self._message(self.status, [_part(self._turn.text)])] if self.has_message else []
        calls = [self._call(place, "completed") for place in range(len(self._turn.tool_calls))]
        usage = None if self._turn.usage is None else _usage(self._turn.usage)
        return self._response(status=self.status, output=[*message, *calls], usage=usage)

    def message_events(self, texts: list[str]) -> Iterator[WireEvent]:
        """The output item that holds the text."""
        place = {"item_id": f"msg_{self._request.id}", "output_index": 0, "content_index": 0}
        item = self._message("in_progress", [])
        yield self.event("response.output_item.added", "opening", output_index=0, item=item)
        yield self.event("response.content_part.added", "opening", **place, part=_part(""))
        for text in texts:
            yield self.event("response.output_text.delta", "piece", **place, delta=text, logprobs=[])
        text = self._turn.text
        yield self.event("response.output_text.done", "framing", **place, text=text, logprobs=[])
        yield self.event("response.content_part.done", "framing", **place, part=_part(text))
        item = self._message(self.status, [_part(text)])
        yield self.event("response.output_item.done", "framing", output_index=0, item=item)

    def call_events(self, place: int, pieces: list[Piece]) -> Iterator[WireEvent]:
        """The output item of one function call. Its `added` event carries the name, so that is the first piece."""
        index = place + self.has_message
        where = {"item_id": f"fc_{self._request.id}_{place}", "output_index": index}
        item = {**self._call(place, "in_progress"), "arguments": ""}
        yield self.event("response.output_item.added", "piece", output_index=index, item=item)
        for piece in pieces[1:]:
            yield self.event("response.function_call_arguments.delta", "piece", **where, delta=piece.text)
        item = self._call(place, "completed")
        done = {"arguments": item["arguments"], "name": item["name"]}
        yield self.event("response.function_call_arguments.done", "framing", **where, **done)
        yield self.event("response.output_item.done", "framing", output_index=index, item=item)

    def _message(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        item_id = f"msg_{self._request.id}"
        return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}

    def _call(self, place: int, status: str) -> dict[str, Any]:
        call = self._turn.tool_calls[place]
        return {
            "id": f"fc_{self._request.id}_{place}",
            "type": "function_call",
            "status": status,
            "call_id": call_id(self._request, self._turn, place),
            "name": call.name,
            "arguments": call.arguments_text(),
        }

    def _response(self, *, status: str, output: list[Any], usage: dict[str, Any] | None) -> dict[str, Any]:
        asked = self._request.body
        reason = _INCOMPLETE.get(self._turn.finish) if status == "incomplete" else None
        return {
            "id": f"resp_{self._request.id}",
            "object": "response",
            "created_at": self._created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None if reason is None else {"reason": reason},
            "instructions": asked.get("instructions"),
            "max_output_tokens": asked.get("max_output_tokens"),
            "metadata": asked.get("metadata") or {},
            "model": self._turn.model or self._request.model,
            "output": output,
            "parallel_tool_calls": asked.get("parallel_tool_calls", True),
            "previous_response_id": asked.get("previous_response_id"),
            "reasoning": asked.get("reasoning") or {"effort": None, "summary": None},
            "service_tier": "default",
            "store": asked.get("store", True),
            "temperature": asked.get("temperature", 1.0),
            "text": asked.get("text") or {"format": {"type": "text"}},
            "tool_choice": asked.get("tool_choice", "auto"),
            "tools": asked.get("tools") or [],
            "top_p": asked.get("top_p", 1.0),
            "truncation": asked.get("truncation", "disabled"),
            "usage": usage,
        }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
