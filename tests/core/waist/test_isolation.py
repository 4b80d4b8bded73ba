"""Failures of ours: counted by place, said once, never raised."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from deadstop.isolation import Isolation

if TYPE_CHECKING:
    import pytest


class Unprintable(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise RuntimeError("no text")


def failing(isolation: Isolation, place: str) -> None:
    try:
        raise OSError("disk full")
    except OSError as exc:
        isolation.note(place, exc)


def test_the_first_of_a_place_is_said_with_where_it_happened(caplog: pytest.LogCaptureFixture) -> None:
    isolation = Isolation()
    for _ in range(5):
        failing(isolation, "store")
    (said,) = caplog.records
    assert "store: OSError: disk full (test_isolation.py:" in said.getMessage()
    assert said.exc_info is None
    assert isolation.report() == {"store": {"count": 5, "last": "OSError: disk full"}}


def test_the_traceback_comes_with_debug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="deadstop"):
        failing(Isolation(), "store")
    assert caplog.records[0].exc_info is not None


def test_an_error_without_text_is_counted_all_the_same() -> None:
    isolation = Isolation()
    isolation.note("judge", Unprintable())
    assert isolation.counts["judge"] == 1
    assert isolation.last["judge"] == "Unprintable"
