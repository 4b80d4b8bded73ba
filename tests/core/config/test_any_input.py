"""Whatever is in the file: a config or a ConfigError, never anything else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import deadstop.config.guarded_yaml as guarded
from deadstop.config import ConfigError, MonitorConfig, load_config, problems_in

if TYPE_CHECKING:
    from pathlib import Path

KEYS = sorted({*MonitorConfig.__struct_fields__, "rules", "policies", "channels", "path", "name", "metric", "type"})
WORDS = st.sampled_from(
    [*KEYS, "cost_total", "kill_agent", "high", "webhook", "5m", "${X}", "${X:5}", "$x", "~", "yes"]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), WORDS)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=12
)
PUNCTUATION = [
    ": ",
    ":",
    "\n",
    "\n  ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "'",
    '"',
    "|\n",
    "? ",
    "#",
    "---\n",
    "%YAML 1.1\n",
]
TRAPS = [
    "&a ",
    "*a",
    "!!x ",
    "${X}",
    "${X",
    "$${",
    "\t",
    "12:30:45",
    ".nan",
    "1e999",
    "\\ud800",
    "\ud800",
    "\x00",
    "\u2028",
]
PIECES = st.sampled_from([*KEYS, *PUNCTUATION, *TRAPS])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any") / "deadstop.yaml"


def problems_of(file: Path) -> list[str]:
    """What loading refuses; a config that loads has no problems in code either."""
    try:
        config = load_config(file)
    except ConfigError as error:
        return error.problems or ["refused without a problem"]
    return problems_in(config)


def assert_read_or_refused(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    for loader in {yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)}:
        guarded._LOADER = loader
        assert all(problem.startswith(f"{file}:") and problem.isprintable() for problem in problems_of(file))


@pytest.fixture(autouse=True)
def _restore_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "_LOADER", guarded._LOADER)


QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes(file: Path, data: bytes) -> None:
    assert_read_or_refused(file, data)


@QUICK
@given(pieces=st.lists(PIECES, max_size=30))
def test_arbitrary_pieces_of_yaml(file: Path, pieces: list[str]) -> None:
    assert_read_or_refused(file, "".join(pieces).encode(errors="surrogatepass"))


@QUICK
@given(tree=st.dictionaries(st.sampled_from(KEYS), TREES, max_size=5))
def test_arbitrary_values_in_known_sections(file: Path, tree: dict[str, Any]) -> None:
    assert_read_or_refused(file, yaml.safe_dump(tree, allow_unicode=True).encode(errors="surrogatepass"))


def test_the_stack_is_never_exhausted(file: Path) -> None:
    """Even with little of it left."""
    file.write_text("variables:\n  x: " + "[" * 29 + "]" * 29 + "\n")

    def deep(levels: int) -> MonitorConfig:
        return load_config(file) if levels == 0 else deep(levels - 1)

    assert deep(sys.getrecursionlimit() // 2).variables
