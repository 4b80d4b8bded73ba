"""A framework that is not installed is told as what it is, with the command to type; a bug of ours is not."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

import pytest

from deadstop import DeadstopError, MissingExtra, Monitor, hookimpl
from deadstop.plugins import Plugins
from deadstop.specs import AdapterSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from .conftest import Python

FRAMEWORK_ADAPTERS = [spec for spec in Plugins().adapters().values() if spec.extra]

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) for spec in FRAMEWORK_ADAPTERS for name in spec.imports),
    reason="a framework is installed here",
)

ANOTHER_MODULE_IS_MISSING = """
    import sys
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "{module}":
                raise ModuleNotFoundError("No module named 'orjson'", name="orjson")
    sys.meta_path.insert(0, Broken())
"""


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    """A Monitor with the installed plugins."""
    with Monitor(home=tmp_path / "home") as monitor:
        yield monitor


@pytest.mark.parametrize("spec", FRAMEWORK_ADAPTERS, ids=lambda s: s.name)
def test_every_public_name_of_an_adapter_works_or_says_what_to_install(spec: AdapterSpec) -> None:
    package = importlib.import_module(f"deadstop_{spec.name}")
    said = []
    for name in package.__all__:
        try:
            getattr(package, name)
        except MissingExtra as missing:
            said.append(str(missing))
    assert said, "without the framework at least the handler can't be there"
    expected = f"{spec.extra!r} needs {spec.needs}. Install it with: pip install 'deadstop[{spec.extra}]'"
    assert set(said) == {expected}


def test_the_handler_of_langchain_names_the_command_that_installs_it() -> None:
    with pytest.raises(MissingExtra) as caught:
        from deadstop_langchain import DeadstopCallbackHandler  # noqa: F401
    assert str(caught.value) == (
        "'langchain' needs langchain-core>=0.3.0,<2. Install it with: pip install 'deadstop[langchain]'"
    )
    assert isinstance(caught.value, ImportError)


@pytest.mark.parametrize("spec", FRAMEWORK_ADAPTERS, ids=lambda s: s.name)
def test_attaching_an_adapter_names_the_command_that_installs_it(monitor: Monitor, spec: AdapterSpec) -> None:
    with pytest.raises(MissingExtra, match="pip install 'deadstop") as caught:
        monitor.attach(spec.name)
    assert caught.value.extra == spec.extra
    assert monitor.status()["attached"] == []


def test_an_unknown_adapter_is_told_the_known_ones(monitor: Monitor) -> None:
    with pytest.raises(DeadstopError, match="there is no adapter 'langchian'; known: ") as caught:
        monitor.attach("langchian")
    assert all(spec.name in str(caught.value) for spec in FRAMEWORK_ADAPTERS)
    assert "threading" in str(caught.value)


@pytest.mark.parametrize("spec", FRAMEWORK_ADAPTERS, ids=lambda s: s.name)
def test_attaching_an_adapter_does_not_disguise_a_bug_of_ours_as_a_missing_extra(
    python: Python, spec: AdapterSpec
) -> None:
    module = spec.load.partition(":")[0]
    told = python(
        f"""{ANOTHER_MODULE_IS_MISSING.format(module=module)}
    from deadstop import Monitor
    with Monitor() as monitor:
        try:
            monitor.attach("{spec.name}")
        except Exception as exc:
            tell([type(exc).__name__, getattr(exc, "name", None)])"""
    )
    assert told == ["ModuleNotFoundError", "orjson"]


def test_the_handler_does_not_disguise_a_bug_of_ours_as_a_missing_extra(python: Python) -> None:
    told = python(
        f"""{ANOTHER_MODULE_IS_MISSING.format(module="deadstop_langchain.handler")}
    try:
        from deadstop_langchain import DeadstopCallbackHandler
    except Exception as exc:
        tell([type(exc).__name__, exc.name])"""
    )
    assert told == ["ModuleNotFoundError", "orjson"]


def test_a_framework_that_is_itself_broken_is_not_called_missing(tmp_path: Path, python: Python) -> None:
    """It is installed: the command to install it would send the reader the wrong way."""
    (tmp_path / "langchain_core").mkdir()
    (tmp_path / "langchain_core" / "__init__.py").write_text("import a_library_that_it_needs\n")
    told = python(
        """
    try:
        from deadstop_langchain import DeadstopCallbackHandler
    except Exception as exc:
        tell([type(exc).__name__, exc.name])""",
        path=(tmp_path,),
    )
    assert told == ["ModuleNotFoundError", "a_library_that_it_needs"]


class NeedsNothing:
    """A stranger's adapter without an extra."""

    @hookimpl
    def deadstop_adapters(self) -> Iterable[AdapterSpec]:
        """One whose module does not exist."""
        yield AdapterSpec(name="strange", summary="", load="a_module_nobody_has:Adapter")


def test_an_adapter_without_an_extra_fails_as_python_says_it(tmp_path: Path) -> None:
    monitor = Monitor(home=tmp_path / "home", plugins=[NeedsNothing()], discover=False)
    with monitor, pytest.raises(ModuleNotFoundError, match="a_module_nobody_has") as caught:
        monitor.attach("strange")
    assert not isinstance(caught.value, MissingExtra)
