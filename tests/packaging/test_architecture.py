"""The import contracts cover what is there: a new folder or module can't slip past them."""

from __future__ import annotations

import ast
import configparser
import sys
from typing import TYPE_CHECKING

import pytest

from .conftest import REPO, plugin_packages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CORE = REPO / "core" / "deadstop"
PUBLIC = {"adapters", "by_hand", "control", "events", "sli", "specs", "storage", "testing"}
"""Modules that adapters may use besides `deadstop` itself; CONTRIBUTING.md describes them."""
LIBRARIES = {"deadstop", "msgspec", "pluggy", "yaml"}
ALSO_IN = {"cli": {"rich"}, "testing": {"pytest"}}
"""Rooms that may import something more: where it is missing they do without, or say what is missing."""


def contract(name: str) -> configparser.SectionProxy:
    """One contract of .importlinter, or its head."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(REPO / ".importlinter")
    return parser[f"importlinter:contract:{name}" if name else "importlinter"]


def lines(text: str) -> list[str]:
    """The lines of a list in .importlinter."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def imports_of(path: Path) -> Iterator[str]:
    """The top-level names that the file at *path* imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield str(node.module).partition(".")[0]


def test_the_contracts_are_about_every_package() -> None:
    assert lines(contract("")["root_packages"]) == sorted({"deadstop", *plugin_packages()})


def test_every_adapter_is_forbidden_to_the_core() -> None:
    assert plugin_packages() <= set(lines(contract("core-knows-no-framework")["forbidden_modules"]))


def test_every_adapter_is_held_to_the_public_names() -> None:
    assert set(lines(contract("public-names-only")["source_modules"])) == plugin_packages()


def test_every_module_of_the_core_is_public_or_forbidden_to_adapters() -> None:
    modules = {path.stem for path in CORE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    forbidden = {name.removeprefix("deadstop.") for name in lines(contract("public-names-only")["forbidden_modules"])}
    assert forbidden | PUBLIC == modules - {"__init__"}
    assert not forbidden & PUBLIC


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: path.relative_to(CORE).as_posix())
def test_the_core_imports_its_three_libraries_and_nothing_else(path: Path) -> None:
    """Lazily or for type checkers only: a framework's name in the core is the beginning of a special case."""
    more = ALSO_IN.get(path.relative_to(CORE).parts[0], set())
    assert set(imports_of(path)) - set(sys.stdlib_module_names) <= LIBRARIES | more
