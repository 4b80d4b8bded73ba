"""What is in the wheel: everything of the two source roots, typed, and nothing else."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

import pytest

import deadstop

from .conftest import REPO, build, plugin_packages, source_files


def packages(names: set[str]) -> set[str]:
    """The import packages among *names*, without the metadata folder."""
    return {top for top in (name.partition("/")[0] for name in names) if not top.endswith(".dist-info")}


def hashes(wheel: Path) -> dict[str, int]:
    """What *wheel* holds, by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist()}


def test_the_wheel_holds_the_core_and_every_adapter(wheel_names: set[str]) -> None:
    assert packages(wheel_names) == {"deadstop", *plugin_packages()}


def test_the_wheel_holds_every_source_file_and_no_other(wheel_names: set[str]) -> None:
    assert {name for name in wheel_names if ".dist-info/" not in name} == source_files()


def test_the_wheel_holds_no_test_and_no_page(wheel_names: set[str]) -> None:
    assert not [name for name in wheel_names if name.endswith(".md") or "tests/" in name or "__pycache__" in name]


def test_every_package_says_that_it_is_typed(wheel_names: set[str]) -> None:
    assert {f"{package}/py.typed" for package in packages(wheel_names)} <= wheel_names


def test_the_licence_is_in_the_wheel(wheel: Path, wheel_names: set[str]) -> None:
    (name,) = (name for name in wheel_names if name.endswith(".dist-info/licenses/LICENSE"))
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read(name) == (REPO / "LICENSE").read_bytes()


def test_neither_source_root_is_itself_a_package() -> None:
    """`import core` would work from the checkout and nowhere else."""
    assert not [root for root in ("core", "plugins") if (REPO / root / "__init__.py").exists()]


def test_a_wheel_built_from_the_sdist_is_the_same_as_one_built_from_the_checkout(
    wheel: Path, sdist: Path, tmp_path: Path
) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (unpacked,) = (tmp_path / "source").iterdir()
    (tmp_path / "built").mkdir()
    assert hashes(build("--wheel", unpacked, tmp_path / "built")) == hashes(wheel)


def test_the_sdist_holds_what_a_packager_needs(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "tox.ini", "tests/conftest.py"} <= names
    assert not [name for name in names if name.startswith((".tox", ".git/", ".venv"))]


@pytest.mark.skipif("TOX_PACKAGE" not in os.environ, reason="outside tox the checkout itself is under test")
def test_what_is_tested_is_the_installed_wheel_and_not_the_checkout(wheel_names: set[str]) -> None:
    package = Path(deadstop.__file__).parent
    site = package.parent
    assert REPO / "core" not in package.parents
    installed = {p.relative_to(site).as_posix() for p in package.rglob("*") if p.suffix != ".pyc" and p.is_file()}
    assert installed == {name for name in wheel_names if name.startswith("deadstop/")}
