"""How OpenAI's API words an answer: chat completions, legacy completions, embeddings, models, errors.

Field names and their order of arrival follow https://platform.openai.com/docs/api-reference. The Responses API is in
`openai_responses`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from deadstop.events import Usage
    from deadstop.testing.model_script import ModelRequest, Piece, Turn

# What the API says for a status: the error's type and code.
_ERROR_KINDS = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    429: ("requests", "rate_limit_exceeded"),
}
_DIMENSIONS = 8  # of an embedding nobody gave a size for

Stage = Literal["opening", "piece", "framing", "closing"]


class WireEvent(NamedTuple):
    """One server-sent event.

    Only a `"piece"` counts as a chunk. `"opening"` is what comes before the first, `"closing"` the very last event.
    """

    data: bytes
    stage: Stage


def encode(value: object) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def error_body(status: int, message: str) -> dict[str, Any]:
    """The error JSON for a status, as the SDKs parse it."""
    kind, code = _ERROR_KINDS.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def call_id(request: ModelRequest, turn: Turn, place: int) -> str:
    """The id of a turn's tool call."""
    return turn.tool_calls[place].id or f"call_{request.id}_{place}"


def chat_body(request: ModelRequest, turn: Turn) -> dict[str, Any]:
    """A `chat.completion`."""
    message: dict[str, Any] = {"role": "assistant", "content": _content(turn), "refusal": None, "annotations": []}
    if turn.tool_calls:
        message["tool_calls"] = [
            {
                "id": call_id(request, turn, place),
                "type": "function",
                "function": _function(call.name, call.arguments_text()),
            }
            for place, call in enumerate(turn.tool_calls)
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": turn.finish}
    return {**_envelope(request, turn, "chat.completion"), "choices": [choice], **_usage_field(turn.usage)}


def chat_events(request: ModelRequest, turn: Turn) -> Iterator[WireEvent]:
    """The stream of a `chat.completion.chunk`: role, pieces, finish reason, usage if asked for, `[DONE]`."""
    head = _envelope(request, turn, "chat.completion.chunk") | _usage_placeholder(request)

    def chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        return _sse(head | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]})

    content = None if _content(turn) is None else ""
    yield WireEvent(chunk({"role": "assistant", "content": content, "refusal": None}), "opening")
    for piece in turn.pieces():
        yield WireEvent(chunk(_chat_delta(request, turn, piece)), "piece")
    yield WireEvent(chunk({}, turn.finish), "framing")
    yield from _stream_end(request, turn, head)


def completion_body(request: ModelRequest, turn: Turn) -> dict[str, Any]:
    """A legacy `text_completion`: the turn's text once for every prompt."""
    prompt = request.body.get("prompt")
    count = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    choices = [_completion_choice(turn.text, index, turn.finish) for index in range(count)]
    return {**_envelope(request, turn, "text_completion"), "choices": choices, **_usage_field(turn.usage)}


def completion_events(request: ModelRequest, turn: Turn) -> Iterator[WireEvent]:
    """The stream of a legacy `text_completion`. It has no tool calls."""
    head = _envelope(request, turn, "text_completion") | _usage_placeholder(request)
    for piece in turn.pieces():
        if piece.call is None:
            yield WireEvent(_sse(head | {"choices": [_completion_choice(piece.text, 0, None)]}), "piece")
    yield WireEvent(_sse(head | {"choices": [_completion_choice("", 0, turn.finish)]}), "framing")
    yield from _stream_end(request, turn, head)


def embedding_body(request: ModelRequest, turn: Turn) -> dict[str, Any]:
    """One vector for every input, as floats or as base64 of little-endian float32."""
    said = request.body["input"]
    inputs = said if isinstance(said, list) and said and not isinstance(said[0], int) else [said]
    as_text = request.body.get("encoding_format") == "base64"
    data = []
    for index, item in enumerate(inputs):
        vector = _vector(item, request.body.get("dimensions")) if turn.embedding is None else turn.embedding
        value = _packed(vector) if as_text else list(vector)
        data.append({"object": "embedding", "index": index, "embedding": value})
    tokens = turn.usage.input_tokens if turn.usage else 0
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": turn.model or request.model, "usage": usage}


def model_body(name: str) -> dict[str, Any]:
    """One model of `GET /v1/models`."""
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "deadstop"}


def _envelope(request: ModelRequest, turn: Turn, kind: str) -> dict[str, Any]:
    prefix = "cmpl" if kind == "text_completion" else "chatcmpl"
    return {
        "id": f"{prefix}-{request.id}",
        "object": kind,
        "created": int(time.time()),
        "model": turn.model or request.model,
        "service_tier": "default",
        "system_fingerprint": "fp_scripted",
    }


def _content(turn: Turn) -> str | None:
    return turn.text or (None if turn.tool_calls else "")


def _function(name: str, arguments: str) -> dict[str, str]:
    return {"name": name, "arguments": arguments}


def _chat_delta(request: ModelRequest, turn: Turn, piece: Piece) -> dict[str, Any]:
    if piece.call is None:
        return {"content": piece.text}
    call: dict[str, Any] = {"index": piece.call, "function": {"arguments": piece.text}}
    if piece.opens:
        call |= {"id": call_id(request, turn, piece.call), "type": "function", "function": _function(piece.text, "")}
    return {"tool_calls": [call]}


def _completion_choice(text: str, index: int, finish: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens, "audio_tokens": 0},
    }


def _usage_field(usage: Usage | None) -> dict[str, Any]:
    return {} if usage is None else {"usage": _usage(usage)}


def _wants_usage(request: ModelRequest) -> bool:
    options = request.body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _usage_placeholder(request: ModelRequest) -> dict[str, None]:
    # With include_usage every chunk but the last has `"usage": null`; without it none has the field.
    return {"usage": None} if _wants_usage(request) else {}


def _stream_end(request: ModelRequest, turn: Turn, head: Mapping[str, Any]) -> Iterator[WireEvent]:
    if turn.usage is not None and _wants_usage(request):
        yield WireEvent(_sse({**head, "choices": [], "usage": _usage(turn.usage)}), "framing")
    yield WireEvent(b"data: [DONE]\n\n", "closing")


def _sse(value: object) -> bytes:
    return b"data: " + encode(value) + b"\n\n"


def _vector(item: object, dimensions: object) -> list[float]:
    size = dimensions if isinstance(dimensions, int) and 1 <= dimensions <= 1 << 16 else _DIMENSIONS
    # Multiples of 1/128 are exact in float32, so both encodings carry the same numbers.
    return [(byte - 128) / 128 for byte in hashlib.shake_256(encode(item)).digest(size)]


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
