"""What a scripted model says: turns, tool calls, and the request that a script function gets to see."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, NamedTuple, TypeAlias

from deadstop.events import Usage

# A word with the white space after it, roughly what a tokenizer makes of text.
_WORD = re.compile(r"\s*\S+\s*|\s+")
_FRAMING_HEADERS = frozenset({"content-length", "transfer-encoding", "connection"})


@dataclass(frozen=True, slots=True)
class ToolCallScript:
    """One tool call that the model asks for.

    `arguments` is a mapping that JSON can hold, or a string that is sent as it is (for broken JSON). Without an `id`
    the call gets one that is unique to the request.
    """

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    _: KW_ONLY
    id: str | None = None

    def __post_init__(self) -> None:
        self.arguments_text()  # a TypeError here names the test's line, one in the server would not

    def arguments_text(self) -> str:
        """The arguments as the API sends them: a JSON text."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(dict(self.arguments))


class Piece(NamedTuple):
    """One streamed chunk of an answer. `call` is the place of its tool call, or None for text."""

    call: int | None
    text: str
    opens: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of the model, and how it is delivered.

    A *chunk* is a piece of the answer that is streamed: a piece of the text, the name of a tool call, a piece of its
    arguments (each call is its name and at most two pieces). What frames them (role, finish reason, usage, `[DONE]`,
    the Responses API's `created`, `added`, `done` ...) counts as no chunk: a number means the same on every endpoint.

    - `text`, `tool_calls`, `usage` (None: the server reports none), `finish_reason` ("stop", "length",
      "content_filter", "tool_calls"; None: what fits), `model` (None: the name that was asked for).
    - `embedding`: the vector for every input of an embeddings request; None: one derived from the input.
    - `delay`: seconds before the first byte. `chunk_delay`: seconds between two streamed chunks.
    - `chunks`: in how many pieces the text is streamed; None: word by word.
    - `status`, `error_message`, `headers`: a status of 400 or more sends OpenAI's error JSON instead of an answer;
      headers are added to any answer.
    - `silent_after`: after so many chunks send nothing more and hold the connection until the client leaves or the
      server stops. `disconnect_after`: after so many chunks close the connection. With 0, only what frames the start is
      sent. An answer that is not streamed stops after its HTTP head, at whatever number.
    - `accept_only`: take the request and never answer.

    What does not fit together is a ValueError where the turn is made.
    """

    text: str = ""
    _: KW_ONLY
    tool_calls: Sequence[ToolCallScript] = ()
    usage: Usage | None = field(default_factory=lambda: Usage(input_tokens=10, output_tokens=5))
    finish_reason: str | None = None
    model: str | None = None
    embedding: Sequence[float] | None = None
    delay: float = 0.0
    chunk_delay: float = 0.0
    chunks: int | None = None
    status: int = 200
    error_message: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    silent_after: int | None = None
    disconnect_after: int | None = None
    accept_only: bool = False

    def __post_init__(self) -> None:
        _check_delivery(self)
        _check_cut(self)

    @property
    def finish(self) -> str:
        """The finish reason that is reported."""
        return self.finish_reason or ("tool_calls" if self.tool_calls else "stop")

    @property
    def cut(self) -> int | None:
        """After how many chunks the delivery is cut, by silence or by a disconnect; None: never."""
        return self.silent_after if self.silent_after is not None else self.disconnect_after

    def pieces(self) -> Iterator[Piece]:
        """The chunks of a streamed answer: the text, then one tool call after the other."""
        for part in _WORD.findall(self.text) if self.chunks is None else split(self.text, self.chunks):
            yield Piece(None, part)
        for place, call in enumerate(self.tool_calls):
            yield Piece(place, call.name, opens=True)
            for part in split(call.arguments_text(), 2):
                yield Piece(place, part)


class Message(NamedTuple):
    """One message of a request, whichever endpoint it came to. `role` is "user", "system", "assistant", "tool" ..."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A well-formed request, as a script function sees it.

    `index` is its place in `ScriptedModelServer.requests`, `turn` its place among the requests that a turn answers,
    `id` is part of the answer's id. Names of `headers` are lower-case. `arrived` is `time.monotonic()` when the head
    was read.
    """

    id: str
    index: int
    turn: int
    path: str
    body: dict[str, Any]
    headers: dict[str, str]
    arrived: float

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return str(self.body.get("model"))

    @property
    def messages(self) -> tuple[Message, ...]:
        """The text of every message, alike for chat completions, responses, completions and embeddings."""
        said: Any = next((self.body[key] for key in ("messages", "input", "prompt") if key in self.body), [])
        items = said if isinstance(said, list) else [said]
        instructions = self.body.get("instructions")
        head = [Message("system", instructions)] if isinstance(instructions, str) else []
        return (*head, *map(_message, items))


# A turn for every request, turns in order, or a function that is called for each request (in the server's threads,
# several at once; it may block without holding up any other connection).
Script: TypeAlias = Turn | Sequence[Turn] | Callable[[ModelRequest], Turn]


def script_function(script: Script, *, repeat_last: bool) -> Callable[[ModelRequest], Turn]:
    """One function for every kind of script. An empty sequence is a ValueError."""
    if isinstance(script, Turn):
        script = (script,)
    if not isinstance(script, Sequence):
        return script
    turns = tuple(script)
    if not turns:
        raise ValueError("a script needs at least one Turn")

    def in_order(request: ModelRequest) -> Turn:
        if request.turn < len(turns):
            return turns[request.turn]
        if repeat_last:
            return turns[-1]
        message = f"the script is exhausted: it has {len(turns)} turns, this is request {request.turn + 1}"
        return Turn(status=500, error_message=message)

    return in_order


def split(text: str, count: int) -> list[str]:
    """`text` in at most `count` pieces of nearly equal length, none of them empty."""
    marks = [len(text) * place // count for place in range(count + 1)]
    return [text[start:end] for start, end in itertools.pairwise(marks) if start < end]


def _message(item: Any) -> Message:
    if not isinstance(item, dict):
        return Message("user", item if isinstance(item, str) else "")
    role = item.get("role") or ("tool" if item.get("type") == "function_call_output" else "assistant")
    return Message(str(role), _text(item.get("content", item.get("output"))))


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _check_delivery(turn: Turn) -> None:
    for name, seconds in (("delay", turn.delay), ("chunk_delay", turn.chunk_delay)):
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(f"Turn({name}={seconds!r}): seconds must be finite and not negative")
    if turn.status != 200 and not 400 <= turn.status <= 599:
        raise ValueError(f"Turn(status={turn.status!r}): 200, or 400 to 599")
    if turn.error_message is not None and turn.status == 200:
        raise ValueError("Turn(error_message=...) needs a status of 400 or more")
    for name, value in turn.headers.items():
        if name.lower() in _FRAMING_HEADERS or not re.fullmatch(r"[\w-]+", name) or re.search(r"[\r\n]", value):
            raise ValueError(f"Turn(headers=...): {name!r} cannot be set")


def _check_cut(turn: Turn) -> None:
    if turn.chunks is not None and not 1 <= turn.chunks <= len(turn.text):
        raise ValueError(
            f"Turn(chunks={turn.chunks!r}): a text of {len(turn.text)} characters has 1 to that many pieces"
        )
    if turn.silent_after is not None and turn.disconnect_after is not None:
        raise ValueError("Turn: silent_after or disconnect_after, not both")
    total = 0 if turn.cut is None else sum(1 for _ in turn.pieces())
    if turn.cut is not None and not 0 <= turn.cut <= total:
        raise ValueError(f"Turn: a cut after {turn.cut!r} chunks never comes, the answer has {total}")
