"""What the scripted server says, as the real openai SDK understands it."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import openai
import pytest

from deadstop.events import Usage
from deadstop.testing import Message, ModelRequest, ScriptedModelServer, ToolCallScript, Turn

if TYPE_CHECKING:
    from collections.abc import Iterable

MESSAGES: Any = [{"role": "user", "content": "hi"}]
USAGE = Usage(input_tokens=120, output_tokens=30, cached_tokens=100, cache_write_tokens=7, reasoning_tokens=20)
TOOLS = (ToolCallScript("search", {"q": "x", "n": 3}, id="call_a"), ToolCallScript("add", '{"a": 1}', id="call_b"))


def client_of(server: ScriptedModelServer, max_retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="unused", max_retries=max_retries, timeout=20)


def merged_calls(chunks: Iterable[Any]) -> dict[int, list[str]]:
    """Index -> id, name and the joined arguments of a streamed tool call."""
    calls: dict[int, list[str]] = defaultdict(lambda: ["", "", ""])
    for chunk in chunks:
        for delta in (chunk.choices and chunk.choices[0].delta.tool_calls) or ():
            call = calls[delta.index]
            call[0] += delta.id or ""
            call[1] += delta.function.name or ""
            call[2] += delta.function.arguments or ""
    return dict(calls)


def test_a_chat_completion_carries_text_usage_and_finish_reason() -> None:
    with ScriptedModelServer(Turn("hello", usage=USAGE)) as server, client_of(server) as client:
        answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert answer.model == "gpt-4o"
    assert answer.choices[0].message.content == "hello"
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].finish_reason == "stop"
    usage = answer.usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (120, 30, 150)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 100
    assert usage.prompt_tokens_details.model_dump()["cache_write_tokens"] == 7
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == 20


async def test_the_async_client_gets_the_same_answer() -> None:
    turn = Turn("hello", usage=USAGE, model="gpt-4o-2024-08-06", finish_reason="length")
    with ScriptedModelServer(turn) as server:
        with client_of(server) as client:
            expected = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="unused") as client:
            answer = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert (answer.model, answer.choices[0].finish_reason) == ("gpt-4o-2024-08-06", "length")
    assert answer.choices == expected.choices
    assert answer.usage == expected.usage
    assert answer.id != expected.id


def test_parallel_tool_calls_arrive_whole() -> None:
    with ScriptedModelServer(Turn(tool_calls=TOOLS)) as server, client_of(server) as client:
        choice = client.chat.completions.create(model="m", messages=MESSAGES).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    calls = [call for call in choice.message.tool_calls or () if call.type == "function"]
    assert [(call.id, call.function.name) for call in calls] == [("call_a", "search"), ("call_b", "add")]
    assert [json.loads(call.function.arguments) for call in calls] == [{"q": "x", "n": 3}, {"a": 1}]


def test_tool_calls_without_an_id_get_unique_ones() -> None:
    turn = Turn(tool_calls=(ToolCallScript("t"), ToolCallScript("t")))
    with ScriptedModelServer(turn) as server, client_of(server) as client:
        answers = [client.chat.completions.create(model="m", messages=MESSAGES) for _ in range(2)]
        server.reset()
        answers.append(client.chat.completions.create(model="m", messages=MESSAGES))
    ids = {call.id for answer in answers for call in answer.choices[0].message.tool_calls or ()}
    assert len(ids) == 6
    assert len({answer.id for answer in answers}) == 3


def test_tool_calls_and_text_are_streamed_as_deltas() -> None:
    turn = Turn("let me look", tool_calls=TOOLS)
    with ScriptedModelServer(turn) as server, client_of(server) as client:
        chunks = list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
        assert server.requests[0].chunks_sent == 3 + 2 * 3
    contents = [chunk.choices[0].delta.content for chunk in chunks]
    assert [text for text in contents if text] == ["let ", "me ", "look"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert merged_calls(chunks) == {0: ["call_a", "search", '{"q": "x", "n": 3}'], 1: ["call_b", "add", '{"a": 1}']}
    assert [chunk.choices[0].finish_reason for chunk in chunks][-2:] == [None, "tool_calls"]


def test_broken_arguments_are_sent_as_they_are() -> None:
    turn = Turn(tool_calls=(ToolCallScript("t", '{"q": '),))
    with ScriptedModelServer(turn) as server, client_of(server) as client:
        chunks = list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
    assert merged_calls(chunks)[0][1:] == ["t", '{"q": ']


@pytest.mark.parametrize(("turn", "pieces"), [(Turn("abcdefghij", chunks=4), 4), (Turn("  a b\n\nc "), 3)])
def test_a_text_is_streamed_in_as_many_pieces_as_asked(turn: Turn, pieces: int) -> None:
    with ScriptedModelServer(turn) as server, client_of(server) as client:
        stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        texts = [text for chunk in stream if (text := chunk.choices[0].delta.content)]
    assert len(texts) == pieces
    assert "".join(texts) == turn.text


def test_a_chat_stream_reports_usage_only_when_asked() -> None:
    with ScriptedModelServer(Turn("hello there", usage=USAGE)) as server, client_of(server) as client:
        silent = list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
        options: Any = {"include_usage": True}
        told = list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True, stream_options=options))
    assert [chunk.usage for chunk in silent] == [None] * 4
    assert [chunk.usage for chunk in told[:-1]] == [None] * 4
    assert all("usage" in chunk.model_fields_set for chunk in told), "null, as the API sends it, and not left out"
    assert not any("usage" in chunk.model_fields_set for chunk in silent)
    assert told[-1].choices == []
    assert told[-1].usage is not None
    assert told[-1].usage.total_tokens == 150


async def test_the_async_client_streams_the_same_chunks() -> None:
    with ScriptedModelServer(Turn("one two three", tool_calls=TOOLS)) as server:
        with client_of(server) as client:
            expected = list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="unused") as client:
            stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
            chunks = [chunk async for chunk in stream]
    assert [chunk.choices for chunk in chunks] == [chunk.choices for chunk in expected]


def test_a_turn_without_usage_reports_none() -> None:
    with ScriptedModelServer(Turn("hello", usage=None)) as server, client_of(server) as client:
        assert client.chat.completions.create(model="m", messages=MESSAGES).usage is None
        options: Any = {"include_usage": True}
        stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True, stream_options=options)
        assert [chunk.usage for chunk in stream] == [None] * 3
        assert client.responses.create(model="m", input="hi").usage is None


def test_a_response_carries_text_calls_and_usage() -> None:
    with ScriptedModelServer(Turn("hello", tool_calls=TOOLS, usage=USAGE)) as server, client_of(server) as client:
        answer = client.responses.create(model="gpt-4o", input="hi", instructions="be brief")
    assert (answer.status, answer.model, answer.output_text) == ("completed", "gpt-4o", "hello")
    assert answer.instructions == "be brief"
    assert [item.type for item in answer.output] == ["message", "function_call", "function_call"]
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [(call.call_id, call.name) for call in calls] == [("call_a", "search"), ("call_b", "add")]
    assert json.loads(calls[0].arguments) == {"q": "x", "n": 3}
    usage = answer.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (120, 30, 150)
    assert (usage.input_tokens_details.cached_tokens, usage.output_tokens_details.reasoning_tokens) == (100, 20)


def test_a_response_of_calls_alone_has_no_message() -> None:
    with ScriptedModelServer(Turn(tool_calls=TOOLS)) as server, client_of(server) as client:
        assert [item.type for item in client.responses.create(model="m", input="hi").output] == ["function_call"] * 2


def test_a_response_cut_by_length_is_incomplete() -> None:
    with ScriptedModelServer(Turn("hel", finish_reason="length")) as server, client_of(server) as client:
        whole = client.responses.create(model="m", input="hi")
        events = list(client.responses.create(model="m", input="hi", stream=True))
    assert whole.status == "incomplete"
    assert whole.incomplete_details is not None
    assert whole.incomplete_details.reason == "max_output_tokens"
    assert events[-1].type == "response.incomplete"


def test_a_response_stream_sends_the_events_in_the_api_s_order() -> None:
    turn = Turn("hello there", tool_calls=TOOLS[:1])
    with ScriptedModelServer(turn) as server, client_of(server) as client:
        events = list(client.responses.create(model="m", input="hi", stream=True))
        assert server.requests[0].chunks_sent == 2 + 3
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type.removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]


def test_the_sdk_s_response_stream_builds_the_same_response() -> None:
    with ScriptedModelServer(Turn("hello there", tool_calls=TOOLS, usage=USAGE)) as server, client_of(server) as client:
        whole = client.responses.create(model="m", input="hi")
        with client.responses.stream(model="m", input="hi") as stream:
            deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
            streamed = stream.get_final_response()
    assert deltas == ["hello ", "there"]
    assert streamed.output_text == whole.output_text
    assert streamed.usage == whole.usage
    assert [item.type for item in streamed.output] == [item.type for item in whole.output]
    calls = [(item.call_id, item.name, item.arguments) for item in streamed.output if item.type == "function_call"]
    assert calls == [("call_a", "search", '{"q": "x", "n": 3}'), ("call_b", "add", '{"a": 1}')]


async def test_the_async_client_streams_responses() -> None:
    with ScriptedModelServer(Turn("hello there")) as server:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="unused") as client:
            stream = await client.responses.create(model="m", input="hi", stream=True)
            deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
    assert deltas == ["hello ", "there"]


def test_embeddings_are_the_same_as_floats_and_as_base64() -> None:
    with ScriptedModelServer() as server, client_of(server) as client:
        floats = client.embeddings.create(model="e", input=["a", "b"], encoding_format="float")
        packed = client.embeddings.create(model="e", input=["a", "b"], encoding_format="base64")
        by_default = client.embeddings.create(model="e", input=["a", "b"])
        assert isinstance(packed.data[0].embedding, str)
        assert by_default.data == floats.data
    vectors = [item.embedding for item in floats.data]
    assert [len(vector) for vector in vectors] == [8, 8]
    assert vectors[0] != vectors[1]
    assert floats.usage.prompt_tokens == 10


def test_embeddings_take_every_form_of_input_and_a_size() -> None:
    with ScriptedModelServer() as server, client_of(server) as client:
        assert len(client.embeddings.create(model="e", input="a").data) == 1
        assert len(client.embeddings.create(model="e", input=[1, 2, 3]).data) == 1
        assert len(client.embeddings.create(model="e", input=[[1, 2], [3]]).data) == 2
        assert len(client.embeddings.create(model="e", input="a", dimensions=300).data[0].embedding) == 300


@pytest.mark.parametrize("encoding", ["float", None])
def test_an_embedding_can_be_scripted(encoding: Any) -> None:
    with ScriptedModelServer(Turn(embedding=(0.5, -0.25))) as server, client_of(server) as client:
        answer = client.embeddings.create(model="e", input="a", **({"encoding_format": encoding} if encoding else {}))
    assert answer.data[0].embedding == [0.5, -0.25]


def test_a_legacy_completion_answers_every_prompt() -> None:
    with ScriptedModelServer(Turn("once upon", usage=USAGE)) as server, client_of(server) as client:
        answer = client.completions.create(model="m", prompt=["a", "b"])
    assert [(choice.index, choice.text, choice.finish_reason) for choice in answer.choices] == [
        (0, "once upon", "stop"),
        (1, "once upon", "stop"),
    ]
    assert answer.usage is not None
    assert answer.usage.total_tokens == 150


def test_a_legacy_completion_streams_its_text_and_usage() -> None:
    options: Any = {"include_usage": True}
    with ScriptedModelServer(Turn("once upon a time")) as server, client_of(server) as client:
        chunks = list(client.completions.create(model="m", prompt="a", stream=True, stream_options=options))
        assert server.requests[0].chunks_sent == 4
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "once upon a time"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None


def test_the_models_are_listed_and_cost_no_turn() -> None:
    script = (Turn("first"), Turn("second"))
    with ScriptedModelServer(script, models=("a", "org/b")) as server, client_of(server) as client:
        assert [model.id for model in client.models.list()] == ["a", "org/b"]
        assert client.models.retrieve("a").id == "a"
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            client.models.retrieve("zzz")
        answer = client.chat.completions.create(model="m", messages=MESSAGES)
        assert server.count() == 4
        assert server.count(path="/v1/models") == 1
    assert answer.choices[0].message.content == "first"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (529, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_status_becomes_the_sdk_s_error(status: int, error: type[openai.APIStatusError], stream: bool) -> None:
    turn = Turn(status=status, error_message="no luck", headers={"x-shard": "7"})
    with ScriptedModelServer(turn) as server, client_of(server) as client:
        with pytest.raises(error, match="no luck") as caught:
            client.chat.completions.create(model="m", messages=MESSAGES, stream=stream)
        assert server.requests[0].status == status
    assert caught.value.response.headers["x-shard"] == "7"
    assert (caught.value.code == "rate_limit_exceeded") == (status == 429)


def test_each_retry_of_the_sdk_is_a_request_of_its_own() -> None:
    script = (
        Turn(status=500, headers={"retry-after-ms": "1"}),
        Turn(status=429, headers={"retry-after-ms": "1"}),
        Turn(),
    )
    with ScriptedModelServer(script) as server, client_of(server, max_retries=2) as client:
        client.chat.completions.create(model="m", messages=MESSAGES)
        assert [entry.status for entry in server.requests] == [500, 429, 200]
        assert [entry.headers["x-stainless-retry-count"] for entry in server.requests] == ["0", "1", "2"]


def test_a_script_function_reads_messages_alike_on_every_endpoint() -> None:
    seen: list[tuple[Message, ...]] = []

    def script(request: ModelRequest) -> Turn:
        seen.append(request.messages)
        return Turn(f"{request.model} said {request.messages[-1].text}")

    system_and_user: Any = [
        {"role": "system", "content": "rules"},
        {"role": "user", "content": [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]},
    ]
    result: Any = [
        {"role": "user", "content": [{"type": "input_text", "text": "hello"}]},
        {"type": "function_call", "call_id": "c", "name": "t", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "42"},
    ]
    with ScriptedModelServer(script) as server, client_of(server) as client:
        answer = client.chat.completions.create(model="m", messages=system_and_user)
        client.responses.create(model="m", input="hello", instructions="rules")
        client.responses.create(model="m", input=result)
        client.completions.create(model="m", prompt="hello")
    assert answer.choices[0].message.content == "m said hello"
    both = (Message("system", "rules"), Message("user", "hello"))
    assert seen[:2] == [both, both]
    assert seen[2] == (Message("user", "hello"), Message("assistant", ""), Message("tool", "42"))
    assert seen[3] == (Message("user", "hello"),)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"delay": -1}, "delay"),
        ({"chunk_delay": float("nan")}, "chunk_delay"),
        ({"status": 302}, "status"),
        ({"error_message": "x"}, "error_message"),
        ({"headers": {"Content-Length": "3"}}, "headers"),
        ({"headers": {"x-a": "b\r\nx-c: d"}}, "headers"),
        ({"text": "abc", "chunks": 4}, "chunks"),
        ({"text": "abc", "chunks": 0}, "chunks"),
        ({"text": "a b", "silent_after": 3}, "never comes"),
        ({"text": "a b", "disconnect_after": -1}, "never comes"),
        ({"silent_after": 0, "disconnect_after": 0}, "not both"),
    ],
)
def test_a_turn_that_cannot_be_is_refused_where_it_is_made(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Turn(**fields)


def test_arguments_that_json_cannot_hold_are_refused_where_they_are_made() -> None:
    with pytest.raises(TypeError, match="JSON"):
        ToolCallScript("t", {"q": object()})
