"""One way to clean names: what comes out is on one line, short, and the same when cleaned again."""

from __future__ import annotations

import unicodedata
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deadstop.names import KNOWN_CLEAN, MAX_NAME, clean_name


class Team(Enum):
    SALES = "sales"


class Rude:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("given_name", "clean"),
    [
        ("sales-agent", "sales-agent"),
        ("  sales \t agent\r\n", "sales agent"),
        ("a\nb\x00c\x1b[31m", "a b c [31m"),
        ("cafe\u0301", "caf\u00e9"),
        ("[red]x[/foo]/y:z", "[red]x[/foo]/y:z"),
        ("admin\u202egnp.exe", "admingnp.exe"),
        ("zero\u200bwidth", "zerowidth"),
        ("x\ud800y", "x\ufffdy"),
        ("", ""),
        ("   ", ""),
        (None, ""),
        (7, "7"),
        (Team.SALES, "sales"),
        (Rude(), "Rude"),
    ],
)
def test_names_become_clean(given_name: object, clean: str) -> None:
    assert clean_name(given_name) == clean


def test_a_long_name_is_cut_at_200_characters() -> None:
    assert clean_name("x" * 10_000) == "x" * MAX_NAME


def test_a_name_of_50_mb_is_not_remembered() -> None:
    clean_name("y" * 50_000_000)
    assert max(map(len, KNOWN_CLEAN)) <= MAX_NAME


def test_many_names_leave_a_bounded_memory() -> None:
    for number in range(20_000):
        clean_name(f"session {number}")
    assert len(KNOWN_CLEAN) <= 10_000


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zs", "Zl", "Mn", "Lu"])))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = clean_name(text)
    assert clean_name(once) == once
    assert len(once) <= MAX_NAME
    assert unicodedata.is_normalized("NFC", once)
    assert not any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} for c in once)
    once.encode()
