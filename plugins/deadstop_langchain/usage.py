"""Where LangChain hides what a model call used: five places, read at event time because results are changed later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.outputs import LLMResult


def read_usage(response: LLMResult) -> dict[str, Any]:
    """Return the keywords for `Step.usage` that *response* holds; `{}` if it tells nothing.

    A generation from LangChain's cache is reported as zero tokens and zero cost: it was billed before.
    """
    message = _message(response)
    metadata = getattr(message, "usage_metadata", None)
    facts = getattr(message, "response_metadata", None) or {}
    model = facts.get("model_name") or facts.get("model") or (response.llm_output or {}).get("model_name")
    found: dict[str, Any] = {}
    if metadata:
        found = _from_metadata(metadata)
    elif raw := _provider_usage(response, facts):
        found = _from_provider(raw)
    if found and model:
        found["model"] = str(model)
    return found


def _message(response: LLMResult) -> Any:
    try:
        return getattr(response.generations[0][0], "message", None)
    except IndexError:
        return None


def _from_metadata(usage: Mapping[str, Any]) -> dict[str, Any]:
    if usage.get("total_cost") == 0 and "total_cost" in usage:  # langchain-core marks a cache hit this way
        return {"input_tokens": 0, "output_tokens": 0, "cost_usd": 0.0}
    inputs, outputs = usage.get("input_token_details") or {}, usage.get("output_token_details") or {}
    return {
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "cached_tokens": inputs.get("cache_read"),
        "cache_write_tokens": inputs.get("cache_creation"),
        "reasoning_tokens": outputs.get("reasoning"),
        "cost_usd": usage.get("total_cost"),
    }


def _provider_usage(response: LLMResult, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    output = response.llm_output or {}
    try:
        info = response.generations[0][0].generation_info or {}
    except IndexError:
        info = {}
    for place in (output, info, facts):
        for key in ("token_usage", "usage", "usage_metadata"):
            if isinstance(place.get(key), dict) and place[key]:
                raw: Mapping[str, Any] = place[key]
                return raw
    return {}


def _from_provider(raw: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAI says prompt_tokens, Anthropic and Bedrock input_tokens (or inputTokens), Vertex prompt_token_count."""
    inputs = raw.get("prompt_tokens_details") or raw.get("input_tokens_details") or {}
    outputs = raw.get("completion_tokens_details") or raw.get("output_tokens_details") or {}
    return {
        "input_tokens": _first(raw, "prompt_tokens", "input_tokens", "inputTokens", "prompt_token_count"),
        "output_tokens": _first(raw, "completion_tokens", "output_tokens", "outputTokens", "candidates_token_count"),
        "cached_tokens": inputs.get("cached_tokens") or raw.get("cache_read_input_tokens"),
        "cache_write_tokens": raw.get("cache_creation_input_tokens"),
        "reasoning_tokens": outputs.get("reasoning_tokens"),
    }


def _first(raw: Mapping[str, Any], *keys: str) -> Any:
    return next((raw[key] for key in keys if raw.get(key) is not None), None)
