"""Finding plugins: a distribution on disk with one that works, one that breaks and one that is switched off."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from deadstop import ConfigError, DeadstopError, Monitor, MonitorConfig, hookimpl, load_config
from deadstop.config import PluginsConfig
from deadstop.plugins import Plugins
from deadstop.specs import AdapterSpec, ChannelSpec, CommandSpec, PolicySpec, SettingSpec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from deadstop import Step, Verdict

    from .conftest import MakeMonitor

FAKE = {"blocked", "importerror", "success"}


def fakes(plugins: Plugins) -> dict[str, str]:
    """The statuses of the fake distribution's plugins."""
    return {found.name: found.status for found in plugins.found if found.distribution == "deadstop-fake"}


@pytest.mark.usefixtures("fake_distribution")
def test_a_plugin_that_fails_to_import_is_reported_and_takes_no_other_along() -> None:
    plugins = Plugins(blocked=["blocked"])
    assert fakes(plugins) == {"blocked": "blocked", "importerror": "failed", "success": "active"}
    (failed,) = (found for found in plugins.found if found.status == "failed")
    assert failed.error == "ImportError: this plugin needs a library that is not there"
    assert "fake" in plugins.adapters()


@pytest.mark.usefixtures("fake_distribution")
def test_a_plugin_that_fails_to_import_is_said_once_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="deadstop"):
        Plugins(blocked=["blocked"])
    (said,) = (record.getMessage() for record in caplog.records)
    assert "'importerror' of deadstop-fake" in said
    assert "needs a library that is not there" in said


@pytest.mark.usefixtures("fake_distribution")
def test_a_disabled_plugin_is_not_even_imported(make_monitor: MakeMonitor) -> None:
    """Importing `blocked` would end this process."""
    config = MonitorConfig(plugins=PluginsConfig(disable=["blocked"]))
    monitor = make_monitor(config=config, discover=True)
    assert fakes(monitor.plugins)["blocked"] == "blocked"
    assert "deadstop_fake_blocked" not in sys.modules
    assert {plugin["name"]: plugin["status"] for plugin in monitor.status()["plugins"]}["blocked"] == "blocked"


@pytest.mark.usefixtures("fake_distribution")
def test_reading_the_file_that_disables_a_plugin_does_not_import_it_either(tmp_path: Path) -> None:
    path = tmp_path / "deadstop.yaml"
    path.write_text("plugins:\n  disable: [blocked]\n")
    assert load_config(path).plugins.disable == ["blocked"]
    assert "deadstop_fake_blocked" not in sys.modules


@pytest.mark.usefixtures("fake_distribution")
def test_without_discovery_no_entry_point_is_loaded() -> None:
    assert fakes(Plugins(discover=False)) == {}
    assert [found.name for found in Plugins(discover=False).found] == ["deadstop"]


def test_hook_deadstop_settings_adds_a_section_to_the_configuration(tmp_path: Path, make_monitor: MakeMonitor) -> None:
    class Section(msgspec.Struct, forbid_unknown_fields=True):
        colour: str = "grey"
        size: int = 1

    class Plugin:
        @hookimpl
        def deadstop_settings(self) -> Iterable[SettingSpec]:
            yield SettingSpec(name="fake", type=Section)

    sections = {spec.name: spec.type for _, spec in Plugins(extra=[Plugin()]).specs("deadstop_settings", SettingSpec)}
    path = tmp_path / "deadstop.yaml"
    path.write_text("fake:\n  colour: red\n")
    from deadstop.config import load_config as load

    monitor = make_monitor(Plugin(), config=load(path, sections=sections))
    assert monitor.config.sections == {"fake": Section(colour="red", size=1)}


@pytest.mark.usefixtures("fake_distribution")
def test_hook_deadstop_settings_of_an_installed_plugin_reaches_load_config(tmp_path: Path) -> None:
    path = tmp_path / "deadstop.yaml"
    path.write_text("plugins:\n  disable: [blocked]\nfake:\n  colour: red\n  size: 3\n")
    section = load_config(path).sections["fake"]
    assert msgspec.to_builtins(section) == {"colour": "red", "size": 3}


@pytest.mark.usefixtures("fake_distribution")
def test_hook_deadstop_settings_a_wrong_value_in_a_plugins_section_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "deadstop.yaml"
    path.write_text("plugins:\n  disable: [blocked]\nfake:\n  size: large\n  colr: red\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert [problem.split(":")[1] for problem in caught.value.problems] == ["4", "5"]


class Adapters:
    """Registers the adapter "same"."""

    @hookimpl
    def deadstop_adapters(self) -> Iterable[AdapterSpec]:
        """One."""
        yield AdapterSpec(name="same", summary="", load="nowhere:Adapter")


class AdaptersAgain(Adapters):
    """Registers it too."""


def test_hook_deadstop_adapters_are_attached_by_name(make_monitor: MakeMonitor) -> None:
    class Plugin:
        @hookimpl
        def deadstop_adapters(self) -> Iterable[AdapterSpec]:
            yield AdapterSpec(name="mine", summary="", load=f"{__name__}:RecordingAdapter")

    monitor = make_monitor(Plugin())
    adapter = monitor.attach("mine", colour="red")
    assert adapter.log == ["made for", monitor, {"colour": "red"}, "attach"]
    assert monitor.attach("mine") is adapter
    monitor.detach("mine")
    assert adapter.log[-1] == "detach"


class RecordingAdapter:
    """An adapter that writes down what happens to it."""

    def __init__(self, monitor: Monitor, **options: object) -> None:
        self.log: list[object] = ["made for", monitor, options]

    def attach(self) -> None:
        """Start."""
        self.log.append("attach")

    def detach(self) -> None:
        """End."""
        self.log.append("detach")


def test_two_plugins_that_register_one_name_are_an_error_that_names_both() -> None:
    with pytest.raises(DeadstopError) as caught:
        Plugins(extra=[Adapters(), AdaptersAgain()], discover=False).adapters()
    said = str(caught.value)
    assert "'Adapters'" in said
    assert "'AdaptersAgain'" in said
    assert said.endswith("both register 'same' in deadstop_adapters")


def test_a_plugin_can_not_take_the_name_of_a_built_in_policy(make_monitor: MakeMonitor) -> None:
    class Plugin:
        @hookimpl
        def deadstop_policies(self) -> Iterable[PolicySpec]:
            yield PolicySpec(name="kill", summary="", build=lambda _monitor: lambda _step: None)

    with pytest.raises(DeadstopError, match="'Plugin' and 'deadstop' both register 'kill'"):
        make_monitor(Plugin())


def test_a_mistyped_hook_is_an_error_that_names_plugin_and_hook(make_monitor: MakeMonitor) -> None:
    class Plugin:
        @hookimpl
        def deadstop_jugde(self, step: Step) -> Verdict | None:
            raise NotImplementedError

    with pytest.raises(DeadstopError, match=r"'Plugin'.*'deadstop_jugde'.*deadstop_judge"):
        make_monitor(Plugin())


def test_a_mistyped_hook_is_found_without_its_marker_too(make_monitor: MakeMonitor) -> None:
    class Plugin:
        def deadstop_jugde(self, step: Step) -> Verdict | None:
            raise NotImplementedError

    with pytest.raises(DeadstopError, match="'deadstop_jugde'"):
        make_monitor(Plugin())


def test_an_argument_that_a_hook_does_not_have_is_an_error_that_names_the_plugin(make_monitor: MakeMonitor) -> None:
    class Plugin:
        @hookimpl
        def deadstop_judge(self, steps: Step) -> Verdict | None:
            raise NotImplementedError

    with pytest.raises(DeadstopError, match=r"'Plugin' does not fit the hooks(.|\n)*\{'steps'\}"):
        make_monitor(Plugin())


def test_a_registration_that_raises_is_an_error_that_names_the_plugin(make_monitor: MakeMonitor) -> None:
    class Plugin:
        @hookimpl
        def deadstop_policies(self) -> Iterable[PolicySpec]:
            raise RuntimeError("no licence")

    with pytest.raises(DeadstopError, match="plugin 'Plugin' failed while registering: RuntimeError: no licence"):
        make_monitor(Plugin())


def test_a_registration_that_breaks_half_way_is_an_error_that_names_the_plugin(make_monitor: MakeMonitor) -> None:
    class Plugin:
        @hookimpl
        def deadstop_policies(self) -> Iterable[PolicySpec]:
            yield PolicySpec(name="first", summary="", build=lambda _monitor: lambda _step: None)
            raise RuntimeError("no licence")

    with pytest.raises(DeadstopError, match="plugin 'Plugin' failed while registering: RuntimeError: no licence"):
        make_monitor(Plugin())


def test_a_registration_that_yields_something_else_is_an_error_that_names_the_plugin(
    make_monitor: MakeMonitor,
) -> None:
    class Plugin:
        @hookimpl
        def deadstop_policies(self) -> Iterable[object]:
            yield "a policy"

    with pytest.raises(DeadstopError, match="plugin 'Plugin': deadstop_policies yielded 'a policy', not a PolicySpec"):
        make_monitor(Plugin())


def test_hook_deadstop_channels_are_listed_by_the_name_of_their_type() -> None:
    class Plugin:
        @hookimpl
        def deadstop_channels(self) -> Iterable[ChannelSpec]:
            yield ChannelSpec(name="pager", summary="rings", build=lambda _options: lambda _alert: None)

    (found,) = Plugins(extra=[Plugin()], discover=False).specs("deadstop_channels", ChannelSpec)
    assert (found[0], found[1].name) == ("Plugin", "pager")


def test_hook_deadstop_commands_built_in_and_strangers_come_the_same_way() -> None:
    class Plugin:
        @hookimpl
        def deadstop_commands(self) -> Iterable[CommandSpec]:
            yield CommandSpec(name="greet", summary="greets", configure=lambda _parser: None, run=lambda _args: 0)

    found = Plugins(extra=[Plugin()], discover=False).specs("deadstop_commands", CommandSpec)
    owners = {spec.name: plugin for plugin, spec in found}
    assert owners["greet"] == "Plugin"
    assert owners["kill"] == "deadstop"
