"""What the metadata promises: extras, entry points, dependencies, versions."""

from __future__ import annotations

import configparser
import re
from importlib.metadata import distribution, entry_points
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

import deadstop
from deadstop import Monitor
from deadstop.plugins import Plugins

from .conftest import REPO, plugin_packages

if TYPE_CHECKING:
    from deadstop.specs import AdapterSpec

OURS = distribution("deadstop")
FEATURES = {"cli", "demo"}
"""Extras that are no framework's."""


def extras() -> dict[str, list[Requirement]]:
    """The requirements of each extra."""
    names = OURS.metadata.get_all("Provides-Extra") or []
    every = [Requirement(text) for text in OURS.requires or ()]
    return {name: [r for r in every if r.marker is not None and r.marker.evaluate({"extra": name})] for name in names}


def adapters() -> list[AdapterSpec]:
    """The adapters of this distribution."""
    return list(Plugins().adapters().values())


def test_the_core_depends_on_three_libraries() -> None:
    bare = [Requirement(text) for text in OURS.requires or ()]
    assert {r.name.lower() for r in bare if r.marker is None} == {"pluggy", "msgspec", "pyyaml"}


def test_there_is_an_extra_for_every_adapter_and_feature_and_none_for_all() -> None:
    frameworks = {name.removeprefix("deadstop_") for name in plugin_packages()}
    assert set(extras()) == frameworks | FEATURES
    assert "all" not in extras()


@pytest.mark.parametrize("extra", sorted(set(extras()) - FEATURES))
def test_the_extra_of_a_framework_names_the_bare_framework_with_a_floor_and_a_major_cap(extra: str) -> None:
    (requirement,) = extras()[extra]
    bounds = {spec.operator: spec.version for spec in requirement.specifier}
    assert set(bounds) == {">=", "<"}
    assert re.fullmatch(r"\d+", bounds["<"]), "the cap is the next major version"
    assert not requirement.extras
    assert requirement.url is None


@pytest.mark.parametrize("spec", [s for s in adapters() if s.extra], ids=lambda s: s.name)
def test_what_an_adapter_says_it_needs_is_what_its_extra_installs(spec: AdapterSpec) -> None:
    assert spec.extra is not None
    (requirement,) = extras()[spec.extra]
    needs = Requirement(spec.needs)
    assert (needs.name, needs.specifier) == (requirement.name, requirement.specifier)


def test_every_adapter_package_is_an_entry_point_named_after_its_framework() -> None:
    found = {entry.name: entry.value for entry in entry_points(group="deadstop") if entry.dist is not None}
    assert found == {name.removeprefix("deadstop_"): name for name in plugin_packages()}


def test_every_entry_point_loads_without_its_framework() -> None:
    statuses = {found.name: (found.status, found.error) for found in Plugins().found}
    expected = {"deadstop", *(name.removeprefix("deadstop_") for name in plugin_packages())}
    assert statuses == dict.fromkeys(expected, ("active", ""))


def test_there_is_one_command() -> None:
    (script,) = (entry for entry in OURS.entry_points if entry.group == "console_scripts")
    assert (script.name, script.value) == ("deadstop", "deadstop.cli:main")
    assert callable(script.load())


def test_the_version_is_the_same_everywhere() -> None:
    assert deadstop.__version__ == OURS.version
    assert f"## [{OURS.version}]" in (REPO / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_python_that_is_promised_is_tested() -> None:
    """And none other: classifiers, `requires-python` and the tox environments name the same versions."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(REPO / "tox.ini")
    tested = set(re.findall(r"^py3(\d+)$", tox["tox"]["env_list"], re.MULTILINE))
    classifiers = OURS.metadata.get_all("Classifier") or []
    promised = {found[1] for text in classifiers if (found := re.search(r"Python :: 3\.(\d+)$", text))}
    assert tested == promised
    assert OURS.metadata["Requires-Python"] == f">=3.{min(promised)}"


def test_every_public_name_is_there() -> None:
    assert deadstop.__all__ == sorted(deadstop.__all__)
    assert len(deadstop.__all__) <= 30
    for name in deadstop.__all__:
        assert getattr(deadstop, name) is not None
    assert deadstop.Monitor is Monitor


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Monitr'"):
        deadstop.Monitr  # noqa: B018
