"""What a model call used, from wherever its provider hides it, and what happens when nobody tells."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel, chat_models
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_drivers import chat_model
from langchain_events import steps

from deadstop.events import Usage
from deadstop.testing import Turn
from deadstop_langchain import DeadstopCallbackHandler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadstop import Monitor
    from deadstop.testing.contract_case import ContractServer


class Telling(BaseChatModel):
    """A model that tells its usage where the test wants it."""

    message: dict[str, Any] = {}
    info: dict[str, Any] = {}
    output: dict[str, Any] = {}

    @property
    def _llm_type(self) -> str:
        return "telling"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        generation = ChatGeneration(message=AIMessage("hi", **self.message), generation_info=self.info)
        return ChatResult(generations=[generation], llm_output=self.output)


OPENAI = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "prompt_tokens_details": {"cached_tokens": 7},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
PLACES = {
    "the message's usage_metadata": {
        "message": {
            "usage_metadata": {
                "input_tokens": 100,
                "output_tokens": 20,
                "total_tokens": 120,
                "input_token_details": {"cache_read": 7},
                "output_token_details": {"reasoning": 3},
            }
        }
    },
    "llm_output token_usage": {"output": {"token_usage": OPENAI}},
    "llm_output usage": {"output": {"usage": OPENAI}},
    "generation_info usage_metadata": {"info": {"usage_metadata": OPENAI}},
    "response_metadata token_usage": {"message": {"response_metadata": {"token_usage": OPENAI}}},
    "response_metadata usage": {"message": {"response_metadata": {"usage": OPENAI}}},
}
TOLD = {"input_tokens": 100, "output_tokens": 20, "cached_tokens": 7, "reasoning_tokens": 3}


@pytest.mark.parametrize("place", PLACES)
def test_usage_is_read_from_each_place(place: str, monitor: Monitor) -> None:
    """Six places for the same numbers."""
    Telling(**PLACES[place]).invoke("hi", {"callbacks": [DeadstopCallbackHandler(monitor)]})
    assert [row["data"]["usage"] for row in steps(monitor, "model")] == [TOLD]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({"input_tokens": 5, "output_tokens": 6, "cache_creation_input_tokens": 2}, (5, 6)),
        ({"inputTokens": 5, "outputTokens": 6}, (5, 6)),
        ({"prompt_token_count": 5, "candidates_token_count": 6}, (5, 6)),
        ({"prompt_tokens": 0, "completion_tokens": 6}, (0, 6)),
    ],
    ids=["anthropic", "bedrock", "vertex", "nothing asked"],
)
def test_providers_call_the_same_numbers_differently(
    raw: dict[str, int], told: tuple[int, int], monitor: Monitor
) -> None:
    """Each provider's own names."""
    Telling(output={"usage": raw}).invoke("hi", {"callbacks": [DeadstopCallbackHandler(monitor)]})
    usage = steps(monitor, "model")[0]["data"]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == told


@pytest.mark.parametrize("bad", [-5, float("nan"), "many", None, 10**30, {"a": 1}])
def test_numbers_that_make_no_sense_hurt_nobody(bad: object, monitor: Monitor) -> None:
    """A provider's nonsense is counted as nothing; the caller gets the answer."""
    usage = {"prompt_tokens": bad, "completion_tokens": 6}
    answer = Telling(output={"usage": usage}).invoke("hi", {"callbacks": [DeadstopCallbackHandler(monitor)]})
    assert answer.content == "hi"
    assert steps(monitor, "model")[0]["data"]["usage"] == {"input_tokens": 0, "output_tokens": 6}


def test_the_model_that_answered_is_told_beside_the_one_that_was_asked(
    monitor: Monitor, server: ContractServer
) -> None:
    """Providers answer with dated versions of what was asked for."""
    server.says(Turn("hi", model="scripted-model-2026-11-01"))
    chat_model(server.base_url).invoke("hi", {"callbacks": [DeadstopCallbackHandler(monitor)]})
    row = steps(monitor, "model")[0]
    assert (row["name"], row["data"]["response_model"]) == ("scripted-model", "scripted-model-2026-11-01")
    assert row["data"]["provider"] == "openai"


def test_a_stream_without_usage_is_estimated_from_its_chunks(monitor: Monitor, server: ContractServer) -> None:
    """With a base_url of one's own langchain-openai asks for no usage in streams."""
    server.says(Turn("one two three four five"))
    model = chat_model(server.base_url, stream_usage=False)
    text = "".join(
        str(chunk.content) for chunk in model.stream("hi", {"callbacks": [DeadstopCallbackHandler(monitor)]})
    )
    assert text == "one two three four five"
    row = steps(monitor, "model")[0]
    assert (row["data"]["usage"]["output_tokens"], row["data"]["usage_estimated"]) == (5, True)


def test_a_stream_with_usage_is_told_as_the_provider_counts(monitor: Monitor, server: ContractServer) -> None:
    """Chunks are counted too, but what the provider says wins."""
    server.says(Turn("one two three", usage=Usage(input_tokens=11, output_tokens=12)))
    list(chat_model(server.base_url).stream("hi", {"callbacks": [DeadstopCallbackHandler(monitor)]}))
    data = steps(monitor, "model")[0]["data"]
    assert data["usage"] == {"input_tokens": 11, "output_tokens": 12}
    assert data["chunks"] >= 3
    assert "usage_estimated" not in data


@pytest.fixture
def cache() -> Iterator[None]:
    """LangChain's cache of generations, for this test."""
    set_llm_cache(InMemoryCache())
    yield
    set_llm_cache(None)


@pytest.mark.usefixtures("cache")
@pytest.mark.skipif("total_cost" not in inspect.getsource(chat_models), reason="this langchain-core does not tell hits")
def test_a_cached_generation_is_not_billed_twice(monitor: Monitor, server: ContractServer) -> None:
    """The second call is answered from the cache: told as a call, with no tokens and no cost."""
    handler = DeadstopCallbackHandler(monitor, cost_per_1k_input=1.0, cost_per_1k_output=1.0)
    server.says(Turn("hi", usage=Usage(input_tokens=500, output_tokens=500)))
    model = chat_model(server.base_url)
    for _ in range(3):
        model.invoke("hi", {"callbacks": [handler]})
    assert server.count() == 1
    told = [(row["data"]["usage"]["output_tokens"], row["cost_usd"]) for row in steps(monitor, "model")]
    assert told == [(500, 1.0), (0, 0.0), (0, 0.0)]
    assert handler.total_cost_usd == pytest.approx(1.0)


def test_usage_is_copied_before_anybody_changes_it(monitor: Monitor) -> None:
    """LangChain changes results later: what was told stays told."""
    metadata = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    answer = Telling(message={"usage_metadata": metadata}).invoke(
        "hi", {"callbacks": [DeadstopCallbackHandler(monitor)]}
    )
    answer.usage_metadata["output_tokens"] = 999
    assert steps(monitor, "model")[0]["data"]["usage"] == {"input_tokens": 1, "output_tokens": 2}
