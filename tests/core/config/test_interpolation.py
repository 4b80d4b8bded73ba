"""`${VAR}` and `${VAR:default}`: filled in before values get their types."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Load, Problems


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DS_")]:
        monkeypatch.delenv(name)


def test_numbers_and_booleans_work_quoted_or_not(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """d15: elsewhere the first is a ValueError and `enabled` is true for "false"."""
    monkeypatch.setenv("DS_KS", "false")
    monkeypatch.setenv("DS_DAYS", "7")
    for quote in ("", '"'):
        config = load(
            f"metrics: \n  default_window_seconds: {quote}${{DS_WIN:60}}{quote}\n"
            f"storage:\n  retention_days: {quote}${{DS_DAYS}}{quote}\n"
            f"kill_switch:\n  enabled: {quote}${{DS_KS}}{quote}\n"
        )
        assert config.metrics.default_window_seconds == 60
        assert config.storage.retention_days == 7
        assert config.kill_switch.enabled is False


def test_the_environment_wins_over_the_default(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DS_WIN", "5m")
    assert load("metrics:\n  default_window_seconds: ${DS_WIN:60}\n").metrics.default_window_seconds == 300


def test_text_around_and_several_in_one_value(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DS_A", "x")
    assert load('home: "${DS_A}/${DS_B:y}-${DS_C:}"\n').home == "x/y-"


def test_a_text_field_takes_what_looks_like_a_number(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DS_NAME", "007")
    monkeypatch.setenv("DS_TAG", "1")
    config = load("metadata:\n  name: ${DS_NAME}\nagents:\n  a:\n    tags:\n      - ${DS_TAG}\n")
    assert config.metadata.name == "007"
    assert config.agents["a"].tags == ["1"]


def test_untyped_values_are_typed_as_yaml_would(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DS_N", "5")
    config = load('variables:\n  a: ${DS_N}\n  b: "${DS_N}"\n  c: ${DS_N}x\n  d: ${DS_B:true}\n')
    assert config.variables == {"a": 5, "b": "5", "c": "5x", "d": True}


def test_an_unset_variable_is_a_problem_with_its_line(problems: Problems) -> None:
    assert problems("version: '1.0'\nhome: ${DS_NOPE}\nstorage:\n  retention_days: ${DS_NO2}\n") == [
        "2: home: the environment variable DS_NOPE is not set; set it, or write ${DS_NOPE:default}",
        "4: storage.retention_days: the environment variable DS_NO2 is not set; set it, or write ${DS_NO2:default}",
    ]


def test_a_variable_that_is_set_but_empty_is_empty(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DS_E", "")
    config = load("home: ${DS_E:x}\nmetadata:\n  name: ${DS_E:x}\n")
    assert config.home is None
    assert config.metadata.name == ""


def test_what_is_filled_in_is_not_filled_in_again(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DS_A", "${DS_B}")
    assert load("home: ${DS_A}/x\n").home == "${DS_B}/x"


def test_two_dollars_escape(load: Load) -> None:
    assert load("home: a$${DS_X}b\n").home == "a${DS_X}b"
    assert load("variables:\n  a: $${DS_X:5}\n").variables == {"a": "${DS_X:5}"}


def test_a_single_dollar_is_left_alone(load: Load) -> None:
    assert load("home: $HOME/a$\n").home == "$HOME/a$"


@pytest.mark.parametrize("value", ["${", "${}", "${1X}", "${A B}", "${A-x}", "${A", "${${A}}"])
def test_a_broken_interpolation_is_a_problem(problems: Problems, value: str) -> None:
    (problem,) = problems(f"home: '{value}'\n")
    assert problem.startswith("1: home: `${` must start `${NAME}`")


def test_keys_are_not_filled_in_and_say_so(problems: Problems) -> None:
    assert problems("agents:\n  ${DS_A}:\n    enabled: false\n") == [
        "2: agents: the key '${DS_A}': ${...} is filled in in values only"
    ]


def test_a_bad_value_from_the_environment_is_not_shown(problems: Problems, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be a secret that went into the wrong field."""
    monkeypatch.setenv("DS_S", "hunter2")
    found = problems(
        "storage:\n  retention_days: ${DS_S}\nrequire_control: ${DS_S}\nmetrics:\n  max_window_seconds: ${DS_S}\n"
        "alerts:\n  channels:\n    - {type: webhook, url: '${DS_S}', headers: {A b: '${DS_S}'}}\n"
    )
    assert len(found) == 6
    assert "2: storage.retention_days: expected a whole number, got the value of '${DS_S}'" in found
    assert "hunter2" not in "\n".join(found)


def test_an_environment_value_that_is_not_utf8_is_a_problem(
    problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DS_S", "caf\udce9")
    assert problems("home: ${DS_S}\n") == ["1: home: the environment variable DS_S holds bytes that are not UTF-8"]


def test_only_the_named_variables_are_read(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Watched(dict[str, str]):
        def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
            asked.append(key)
            return super().get(key, default)

        def __getitem__(self, key: str) -> str:
            asked.append(key)
            return super().__getitem__(key)

    monkeypatch.setattr(os, "environ", Watched(DS_A="x"))
    assert load("home: ${DS_A}\n").home == "x"
    monkeypatch.undo()
    assert set(asked) == {"DS_A"}
