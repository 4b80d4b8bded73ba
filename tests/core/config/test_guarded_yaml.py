"""The guarded YAML reader, with libyaml and with PyYAML's own parser."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from deadstop.config import load_config

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Load, Problems


@pytest.fixture(autouse=True, params=["libyaml", "pure Python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers: libyaml is missing on some platforms."""
    import deadstop.config.guarded_yaml as guarded

    if request.param == "libyaml" and not hasattr(yaml, "CSafeLoader"):
        pytest.skip("this PyYAML has no libyaml")
    monkeypatch.setattr(guarded, "_LOADER", yaml.CSafeLoader if request.param == "libyaml" else yaml.SafeLoader)


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# only a comment\n", "---\n", "--- ~\n", "\ufeff# with a byte order mark\n"]
)
def test_an_empty_file_means_the_defaults(load: Load, text: str) -> None:
    from deadstop.config import MonitorConfig

    assert load(text) == MonitorConfig()


def test_a_section_that_is_written_but_empty_means_its_defaults(load: Load) -> None:
    from deadstop.config import MonitorConfig

    assert load("alerts:\nbaselines:\n  metrics:\nagents:\nkill_switch:\n  policies:\n") == MonitorConfig()


def test_the_alias_bomb_is_refused_and_every_line_of_it_named(problems: Problems) -> None:
    """306 bytes that expand to two million nodes elsewhere."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 7)]
    found = problems("\n".join(lines))
    assert sum("the alias *" in problem for problem in found) == 6 * 9
    assert sum("the anchor &" in problem for problem in found) == 7
    assert {problem.split(":")[0] for problem in found} == {str(n) for n in range(1, 8)}


def test_merge_keys_are_no_back_door(problems: Problems) -> None:
    found = problems("base: &b {path: x}\nstorage:\n  <<: *b\n")
    assert "3: storage.<<: the alias *b is not allowed; write the value out".replace(".<<", "['<<']") in found


@pytest.mark.parametrize("text", ["[" * 3000, "{" * 3000, "- " * 3000, "a: " + "[" * 100 + "]" * 100, "? " * 3000])
def test_deep_nesting_is_refused_without_recursion(problems: Problems, text: str) -> None:
    (problem,) = problems(text)
    assert problem == "1: nested deeper than 32 levels"


def test_a_file_above_the_size_limit_is_refused(problems: Problems) -> None:
    (problem,) = problems("#" * (1024 * 1024) + "\nhome: x\n")
    assert problem.startswith("1: larger than 1,048,576 bytes")


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    from deadstop.config import ConfigError

    with pytest.raises(ConfigError, match="larger than"):
        load_config("/dev/zero")


def test_duplicate_keys_are_an_error_at_every_level(problems: Problems) -> None:
    found = problems("metadata:\n  name: x\n  name: y\nhome: a\nhome: b\nalerts: {channels: [], channels: []}\n")
    assert found[:2] == [
        "3: metadata: the key 'name' appears twice; first on line 2",
        "5: the key 'home' appears twice; first on line 4",
    ]
    assert found[-1] == "6: alerts: the key 'channels' appears twice; first on line 6"


@pytest.mark.parametrize(
    ("key", "kind"), [("on", "a boolean"), ("No", "a boolean"), ("1", "a number"), ("1.5", "a number"), ("~", "null")]
)
def test_a_key_that_is_not_text_is_told_to_be_quoted(problems: Problems, key: str, kind: str) -> None:
    assert problems(f"home: x\n{key}: yes\n") == [f"2: the key '{key}' is {kind} in YAML; put it in quotes: \"{key}\""]


def test_a_quoted_key_may_look_like_anything(load: Load) -> None:
    config = load('agents:\n  "on": {enabled: false}\n  "7": {}\n')
    assert list(config.agents) == ["on", "7"]


@pytest.mark.parametrize("text", ["? [a, b]\n: 1\n", "? {a: b}\n: {c: d}\n", "{[a]: 1}"])
def test_a_list_or_mapping_as_a_key_is_an_error(problems: Problems, text: str) -> None:
    assert problems(text) == ["1: a key must be text, not a list or a mapping"]


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system ['x']", "!!str 5", "!custom 5", "!!binary aGk=", "! 5"]
)
def test_tags_are_an_error(problems: Problems, tag: str) -> None:
    assert any(problem.startswith("2: home: the tag ") for problem in problems(f"version: '1.0'\nhome: {tag}\n"))


def test_a_second_document_is_an_error(problems: Problems) -> None:
    assert problems("home: x\n---\nhome: y\n") == ["2: a second document starts here; a config file holds one"]


def test_a_file_that_is_not_utf8_is_named_with_line_and_byte(problems: Problems) -> None:
    (problem,) = problems(b"# ok\nhome: caf\xe9\n")
    assert problem == "2: not UTF-8: the byte 0xe9 at 14; save the file as UTF-8"
    (problem,) = problems("home: x\n".encode("utf-16"))
    assert problem.startswith("1: not UTF-8")


def test_control_characters_are_named_with_their_line(problems: Problems) -> None:
    assert problems("home: x\nversion: \x1b[31m\n") == ["2: not valid YAML: the character '\\x1b' is not allowed"]


@pytest.mark.parametrize("escape", ["\\ud800", "\\U99999999", "\\xZZ"])
def test_escapes_that_are_no_character_are_an_error(problems: Problems, escape: str) -> None:
    assert len(problems(f'home: "{escape}"\n')) == 1


@pytest.mark.parametrize("text", ["5", "hello", "[1, 2]", "yes", "- home: x"])
def test_the_top_level_must_be_a_mapping(problems: Problems, text: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith("1: expected a mapping of sections, got ")


def test_a_syntax_error_names_its_line(problems: Problems) -> None:
    (problem,) = problems("home: x\nstorage: {path: x\nalerts: y\n")
    assert problem.startswith(("2: not valid YAML: ", "3: not valid YAML: "))


def test_a_syntax_error_made_by_an_interpolation_says_to_quote_it(problems: Problems) -> None:
    (problem,) = problems("agents:\n  a: {tags: [${TAG}]}\n")
    assert problem.startswith("2: not valid YAML: ")
    assert problem.endswith("; put text with ${...} in quotes")


def test_times_and_dates_are_text_not_numbers(load: Load, problems: Problems) -> None:
    """YAML 1.1 reads 12:30:45 as 45045."""
    assert load("variables: {start: 12:30:45, day: 2026-01-01, oct: 010}").variables == {
        "start": "12:30:45",
        "day": "2026-01-01",
        "oct": "010",
    }
    (problem,) = problems("metrics:\n  default_window_seconds: 12:30:45\n")
    assert problem == (
        "2: metrics.default_window_seconds: '12:30:45' is no duration; write 90, '90s', '10m', '1h' or '7d'"
    )


def test_plain_values_mean_what_yaml_says(load: Load) -> None:
    text = "variables: {a: 1, b: -2.5, c: yes, d: off, e: ~, f: 1e3, g: 1_000, h: '1', i: [1, x], j: {k: true}, l: -}"
    assert load(text).variables == {
        "a": 1,
        "b": -2.5,
        "c": True,
        "d": False,
        "e": None,
        "f": 1000.0,
        "g": 1000,
        "h": "1",
        "i": [1, "x"],
        "j": {"k": True},
        "l": "-",
    }


def test_a_number_of_a_thousand_digits_is_no_number(problems: Problems) -> None:
    (problem,) = problems(f"storage:\n  retention_days: {'9' * 5000}\n")
    assert problem.startswith("2: storage.retention_days: expected a whole number, got the text '999")
    assert len(problem) < 200


def test_yaml_is_imported_only_when_a_file_is_loaded(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "deadstop.yaml").write_text("home: x\n")
    code = (
        "import sys, deadstop.config as c; assert 'yaml' not in sys.modules; c.MonitorConfig(); c.parse_duration('5m');"
        "assert 'yaml' not in sys.modules; c.load_config('deadstop.yaml'); assert 'yaml' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=60)
