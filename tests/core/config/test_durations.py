"""One duration parser for config, command line and classes."""

from __future__ import annotations

import pytest

from deadstop.config import parse_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (90, 90.0),
        (0, 0.0),
        (0.5, 0.5),
        ("90", 90.0),
        ("90s", 90.0),
        ("10m", 600.0),
        ("1h", 3600.0),
        ("7d", 604800.0),
        ("1.5h", 5400.0),
        (" 5 m ", 300.0),
    ],
)
def test_durations_are_seconds(written: float | str, seconds: float) -> None:
    result = parse_duration(written)
    assert result == seconds
    assert type(result) is float


@pytest.mark.parametrize(
    "written",
    [
        -1,
        float("nan"),
        float("inf"),
        float("-inf"),
        True,
        "",
        "m",
        "5 minutes",
        "1h30m",
        "-5s",
        "12:30:45",
        "٣s",
        "nan",
    ],
)
def test_what_is_no_duration_is_refused_with_examples(written: float | str) -> None:
    with pytest.raises(ValueError, match="'10m'"):
        parse_duration(written)


@pytest.mark.parametrize("written", [None, [], {}, b"5m", object()])
def test_other_types_are_refused_too(written: object) -> None:
    with pytest.raises(ValueError, match="no duration"):
        parse_duration(written)  # type: ignore[arg-type]


@pytest.mark.parametrize("written", ["999999999d", 10**400, 1e300])
def test_more_than_a_hundred_years_is_refused(written: float | str) -> None:
    with pytest.raises(ValueError, match="100 years"):
        parse_duration(written)


def test_a_huge_text_is_cut_in_the_message() -> None:
    with pytest.raises(ValueError, match="no duration") as caught:
        parse_duration("x" * 10_000)
    assert len(str(caught.value)) < 200
