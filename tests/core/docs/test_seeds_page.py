"""docs/seeds.md maps names of other systems to ours: every mapped name exists."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "seeds.md"
NAMES = re.findall(r"^\| .+? \| `([\w.]+):([\w.]+)` \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_the_page_maps_names() -> None:
    assert len(NAMES) > 40


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_every_mapped_name_exists(module: str, name: str) -> None:
    if module == "deadstop_langchain" and importlib.util.find_spec("langchain_core") is None:
        pytest.skip("needs langchain-core")
    assert functools.reduce(getattr, name.split("."), importlib.import_module(module)) is not None
