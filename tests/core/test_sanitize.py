"""Events as they can be stored: corrected on the caller's thread, never raised, never changed in place."""

from __future__ import annotations

import copy
import time
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deadstop.events import AgentEvent, EventType, Usage
from deadstop.plain import MAX_FIELDS, MAX_TEXT
from deadstop.sanitize import MAX_TAGS, approximate_size, own_copy, sanitize


def event(**fields: Any) -> AgentEvent:
    """Return an event that is clean but for *fields*."""
    made = AgentEvent(time.time(), "a", "action")
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def fixed(**fields: Any) -> AgentEvent:
    return sanitize(event(**fields))[0]


def stored_data(value: object) -> object:
    """Return what `{"v": value}` is after sanitizing, encoding and reading back."""
    return msgspec.json.decode(msgspec.json.encode(fixed(data={"v": value}).data))["v"]


class Loud:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Wild(str):
    __slots__ = ()

    def __len__(self) -> int:
        raise RuntimeError("no")

    def __str__(self) -> str:
        raise RuntimeError("no")


class Level(Enum):
    HIGH = 3


@dataclass
class Place:
    city: str
    zip: int


def test_a_clean_event_comes_back_as_it_is() -> None:
    clean = AgentEvent(time.time(), "a", "cost", {"n": 1, "deep": {"l": [1, "x", None]}}, "s", "u", 0.5, 3.5, ["t"])
    sanitize(clean)
    assert sanitize(clean)[0] is clean
    assert sanitize(clean)[1] == 0


def test_members_of_event_type_are_no_mistake() -> None:
    clean, corrections = sanitize(event(event_type=EventType.KILL))
    assert (clean.event_type, type(clean.event_type), corrections) == ("kill", str, 0)


def test_whole_numbers_are_no_mistake() -> None:
    clean, corrections = sanitize(event(timestamp=1_700_000_000, cost_usd=1, latency_ms=20))
    assert (clean.timestamp, clean.cost_usd, clean.latency_ms, corrections) == (1_700_000_000.0, 1.0, 20.0, 0)


@pytest.mark.parametrize("stamp", [float("nan"), float("inf"), "now", None, True, -1.0, [], time.time() * 1000])
def test_a_timestamp_that_is_none_becomes_now_and_is_marked(stamp: object) -> None:
    clean, corrections = sanitize(event(timestamp=stamp))
    assert abs(clean.timestamp - time.time()) < 60
    assert clean.data == {"timestamp_corrected": True}
    assert corrections == 1


def test_a_minute_ahead_is_let_pass_and_more_counts_as_now() -> None:
    now = 1_000_000.0
    assert sanitize(event(timestamp=now + 59), now=now)[0].timestamp == now + 59
    assert sanitize(event(timestamp=now + 61), now=now)[0].timestamp == now


@pytest.mark.parametrize(
    ("cost", "kept", "given"),
    [
        ("0.5", 0.5, None),
        (Decimal("0.25"), 0.25, None),
        ("$1", None, "$1"),
        (float("nan"), None, "nan"),
        (float("inf"), None, "inf"),
        (-1, None, "-1"),
        (True, None, "True"),
        ("nan", None, "nan"),
        (Decimal("sNaN"), None, "sNaN"),
        (Decimal("1e999999"), None, "1E+999999"),
        ("9" * 5_000, None, "9" * 168 + "…[truncated 4832 chars]"),
        ([], None, "[]"),
        (Loud(), None, "[unprintable]"),
    ],
)
def test_an_amount_is_a_finite_number_or_unknown(cost: object, kept: float | None, given: str | None) -> None:
    clean, corrections = sanitize(event(cost_usd=cost, latency_ms=cost))
    assert (clean.cost_usd, clean.latency_ms, corrections) == (kept, kept, 2)
    assert clean.data == ({} if given is None else {"cost_given": given, "latency_given": given})


@pytest.mark.parametrize(("given_type", "said"), [("purchase", "purchase"), (None, "None"), (7, "7"), (Loud(), None)])
def test_an_unknown_type_is_an_action_that_says_what_was_given(given_type: object, said: str | None) -> None:
    clean, corrections = sanitize(event(event_type=given_type))
    assert (clean.event_type, clean.data, corrections) == ("action", {"event_type_given": said or "[unprintable]"}, 1)


@pytest.mark.parametrize("agent", ["", None, "\n \x00"])
def test_an_agent_without_a_name_is_the_default_agent(agent: object) -> None:
    assert fixed(agent=agent).agent == "default"


def test_names_are_clean_everywhere() -> None:
    session = uuid.UUID(int=5)
    clean = fixed(
        agent="a\nb", session_id=session, user=" u ", name="x" * 999, kind="tool", agents=("o\n", "a b"), run_id=7
    )
    assert (clean.agent, clean.session_id, clean.user, clean.name) == ("a b", str(session), "u", "x" * 200)
    assert (clean.agents, clean.run_id, clean.step_id) == (("o", "a b"), "7", None)


def test_tags_are_a_list_of_clean_names() -> None:
    assert fixed(tags=("a", " b\n", 3, None, "")).tags == ["a", "b", "3"]
    assert fixed(tags="prod").tags == ["prod"]
    assert fixed(tags=None).tags == []
    assert fixed(tags=5).tags == ["5"]
    assert len(fixed(tags=[f"t{n}" for n in range(1000)]).tags) == MAX_TAGS


def test_more_than_64_fields_are_dropped_and_counted() -> None:
    data = fixed(data={f"k{n}": n for n in range(1000)}, cost_usd="x").data
    assert len(data) == MAX_FIELDS
    assert data["fields_dropped"] == 1000 - 62
    assert data["cost_given"] == "x"


def test_long_text_is_cut_and_says_how_much() -> None:
    kept = stored_data("x" * 50_000_000)
    assert isinstance(kept, str)
    assert len(kept) <= MAX_TEXT
    assert kept == "x" * 4064 + "…[truncated 49995936 chars]"


def test_a_huge_container_is_cut_before_it_is_walked() -> None:
    rows = [{"text": "y" * 100, "n": n} for n in range(200_000)]
    kept = stored_data({"rows": rows, "more": 1})
    assert isinstance(kept, dict)
    assert kept["rows"][0] == {"text": "y" * 100, "n": 0}
    assert kept["rows"][-1] == f"…[truncated {200_000 - len(kept['rows']) + 1} items]"
    assert len(msgspec.json.encode(kept)) <= MAX_TEXT + 100


def test_self_reference_is_told_not_followed() -> None:
    loop: dict[str, Any] = {"name": "x"}
    loop["self"] = loop
    ring: list[Any] = [1]
    ring.append({"ring": ring})
    assert stored_data(loop) == {"name": "x", "self": "[circular]"}
    assert stored_data(ring) == [1, {"ring": "[circular]"}]


def test_the_same_object_twice_is_not_circular() -> None:
    shared = {"a": 1}
    assert stored_data([shared, shared, {1, 2}]) == [{"a": 1}, {"a": 1}, [1, 2]]


def test_deep_nesting_ends() -> None:
    deep: Any = "bottom"
    for _ in range(100_000):
        deep = [deep]
    assert "[too deep]" in str(stored_data(deep))


def test_what_json_does_not_know_becomes_what_says_it() -> None:
    assert stored_data(float("nan")) is None
    assert stored_data([float("inf"), 1.5]) == [None, 1.5]
    assert stored_data((1, (2,))) == [1, [2]]
    assert stored_data({3}) == [3]
    assert stored_data(deque([1])) == [1]
    assert stored_data(b"ab") == "b'ab'"
    assert stored_data("x\ud800y") == "x\ufffdy"
    assert stored_data({"k\ud800": 1, 7: 2}) == {"k\ufffd": 1, "7": 2}
    assert stored_data(2**70) == str(2**70)
    assert stored_data(2**100_000) == "[an int of 100001 bits]"
    assert stored_data(Level.HIGH) == 3
    assert stored_data(Decimal("1.5")) == "1.5"
    assert stored_data(datetime(2026, 1, 2, tzinfo=timezone.utc)) == "2026-01-02 00:00:00+00:00"
    assert stored_data(Place("Ulm", 89)) == {"city": "Ulm", "zip": 89}
    assert stored_data(ValueError("bad")) == "ValueError: bad"
    assert stored_data(Loud()) == "[unprintable]"
    assert stored_data([Loud(), 1]) == ["[unprintable]", 1]
    assert stored_data(Wild("wild")) == "wild"
    assert stored_data(type) == "<class 'type'>"


def test_usage_given_as_an_object_is_readable() -> None:
    kept = stored_data(Usage(input_tokens=3, output_tokens=4, model="m"))
    assert isinstance(kept, dict)
    assert (kept["input_tokens"], kept["output_tokens"], kept["model"]) == (3, 4, "m")


@pytest.mark.parametrize(("data", "kept"), [(None, {}), ([1], {"value": [1]}), ("text", {"value": "text"})])
def test_data_that_is_no_dict_is_kept_in_one(data: object, kept: dict[str, object]) -> None:
    assert fixed(data=data).data == kept


def test_the_callers_event_and_data_are_never_changed() -> None:
    data: dict[str, Any] = {"bad": float("nan"), "list": [1, {2}], "big": "x" * 9999}
    before = copy.deepcopy({key: value for key, value in data.items() if key != "bad"})
    given_event = event(data=data, agent="a\nb", cost_usd="x")
    clean, corrections = sanitize(given_event)
    assert clean is not given_event
    assert corrections == 4
    assert given_event.data is data
    assert {key: value for key, value in data.items() if key != "bad"} == before
    assert (given_event.agent, str(given_event.cost_usd)) == ("a\nb", "x")


def test_what_is_no_event_is_an_event_that_says_so() -> None:
    for nonsense in (None, 5, "x", {"agent": "a"}, object()):
        clean, corrections = sanitize(nonsense)  # type: ignore[arg-type]
        assert (clean.agent, clean.event_type, corrections) == ("default", "action", 1)
        assert clean.data == {"unreadable_event": "AttributeError"}


def test_a_copy_shares_nothing_with_the_event() -> None:
    clean = fixed(data={"a": {"b": [1]}, "n": 1}, tags=["t"])
    copied = own_copy(clean)
    assert copied == clean
    copied.data["n"] = 2
    copied.data["a"]["b"].append(2)  # type: ignore[index]
    copied.tags.append("u")
    assert (clean.data, clean.tags) == ({"a": {"b": [1]}, "n": 1}, ["t"])


def test_the_size_grows_with_the_payload_and_is_found_at_once() -> None:
    small, big = approximate_size(event()), approximate_size(event(data={"x": "y" * 100_000}))
    assert 100 < small < 1000
    assert big - small >= 100_000
    loop: list[Any] = []
    loop.extend([loop, loop])
    for data in ({"x": loop}, {"x": [[0] * 1000] * 100_000}, None, 7):
        assert approximate_size(event(data=data)) > 0


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.text(st.characters(categories=["Cs", "Cc", "Lu"]), max_size=20)
    | st.binary(max_size=20)
    | st.decimals()
    | st.datetimes()
    | st.uuids()
    | st.builds(Loud)  # built each time: hypothesis prints what it samples from, and this can't be
    | st.builds(Wild, st.text(max_size=5))
    | st.sampled_from([Level.HIGH, Place("x", 1), Usage(), EventType.KILL, object, 1j, "x" * 5000]),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.tuples(inner, inner)
        | st.frozensets(st.integers() | st.text(), max_size=5)
        | st.dictionaries(st.text(max_size=9) | st.integers() | st.none() | st.floats(), inner, max_size=6)
    ),
    max_leaves=40,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # of a loaded machine
@given(fields=st.fixed_dictionaries({}, optional=dict.fromkeys(AgentEvent.__struct_fields__, ANYTHING)))
def test_anything_at_all_can_be_stored_and_reads_back_equal(fields: dict[str, Any]) -> None:
    clean, _ = sanitize(event(**fields))
    back = msgspec.json.decode(msgspec.json.encode(clean), type=AgentEvent)
    assert back == clean
    again, corrections = sanitize(clean)
    assert again is clean
    assert corrections == 0


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.dictionaries(st.text(), ANYTHING, max_size=70))
def test_any_data_can_be_stored_within_its_bounds_and_reads_back_equal(data: dict[str, Any]) -> None:
    clean, _ = sanitize(event(data=data))
    encoded = msgspec.json.encode(clean.data)
    assert msgspec.json.decode(encoded) == clean.data
    assert len(clean.data) <= MAX_FIELDS
    assert sanitize(clean) == (clean, 0)
