"""Which directory a config names as home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deadstop.config import BaselineConfig, ConfigError, KillSwitchConfig, MonitorConfig, StorageConfig, home_from

if TYPE_CHECKING:
    from .conftest import Load, Problems

HERE = Path("/srv/app")


@pytest.mark.parametrize(
    ("config", "home"),
    [
        (MonitorConfig(), None),
        (MonitorConfig(home="state"), "/srv/app/state"),
        (MonitorConfig(home="/var/lib/deadstop"), "/var/lib/deadstop"),
        (MonitorConfig(home="../x.d"), "/srv/x.d"),
        (MonitorConfig(storage=StorageConfig(path=".m/events.jsonl")), "/srv/app/.m"),
        (MonitorConfig(storage=StorageConfig(path="/data/events.db")), "/data"),
        (MonitorConfig(storage=StorageConfig(path="data")), "/srv/app/data"),
        (MonitorConfig(storage=StorageConfig(path="v1.2/")), "/srv/app/v1.2"),
        (MonitorConfig(storage=StorageConfig(path="redis://host/0")), None),
        (MonitorConfig(kill_switch=KillSwitchConfig(state_path=".m/kill_state.json")), "/srv/app/.m"),
        (MonitorConfig(baselines=BaselineConfig(storage_path=".m/baselines.json")), "/srv/app/.m"),
        (MonitorConfig(home=".m", storage=StorageConfig(path=".m/x.db")), "/srv/app/.m"),
        (
            MonitorConfig(
                storage=StorageConfig(path=".m/events.jsonl"),
                baselines=BaselineConfig(storage_path="./.m/baselines.json"),
                kill_switch=KillSwitchConfig(state_path="/srv/app/.m/kill_state.json"),
            ),
            "/srv/app/.m",
        ),
    ],
)
def test_home_comes_from_home_or_else_from_the_paths(config: MonitorConfig, home: str | None) -> None:
    assert home_from(config, HERE) == (None if home is None else Path(home))


def test_a_tilde_is_the_users_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home_from(MonitorConfig(home="~/state"), HERE) == tmp_path / "state"


@pytest.mark.parametrize("path", ["~nobody-of-that-name/x", "a\0b"])
def test_what_is_no_path_is_a_config_error(path: str) -> None:
    with pytest.raises(ConfigError, match=r"home: .* is no path"):
        home_from(MonitorConfig(home=path), HERE)


def test_two_paths_that_disagree_are_an_error_that_names_both() -> None:
    config = MonitorConfig(
        storage=StorageConfig(path="a/events.db"),
        kill_switch=KillSwitchConfig(state_path="b/kill.json"),
        baselines=BaselineConfig(storage_path="c/baselines.json"),
    )
    with pytest.raises(ConfigError) as caught:
        home_from(config, HERE)
    assert caught.value.problems == [
        f"{place}: names the directory {path}, but storage.path names /srv/app/a; there is only one home"
        for place, path in (("kill_switch.state_path", "/srv/app/b"), ("baselines.storage_path", "/srv/app/c"))
    ]


def test_a_path_beside_home_is_an_error_too() -> None:
    with pytest.raises(
        ConfigError, match=r"storage\.path: names the directory /srv/app, but home names /srv/app/state"
    ):
        home_from(MonitorConfig(home="state", storage=StorageConfig(path="events.db")), HERE)


@pytest.mark.parametrize("config", [MonitorConfig(home="."), MonitorConfig(storage=StorageConfig(path="events.db"))])
def test_the_directory_of_the_config_itself_is_never_the_home(config: MonitorConfig) -> None:
    with pytest.raises(ConfigError, match="would make /srv/app itself the home; name a directory below it"):
        home_from(config, HERE)


def test_the_same_directory_by_a_symlink_is_no_conflict(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    config = MonitorConfig(home="link", storage=StorageConfig(path="real/x.db"))
    assert home_from(config, tmp_path) == tmp_path / "link"


def test_loading_finds_the_conflict_with_its_line(problems: Problems, load: Load, tmp_path: Path) -> None:
    text = "storage:\n  path: a/events.db\nkill_switch:\n  state_path: b/kill.json\n"
    (problem,) = problems(text)
    assert problem.startswith("4: kill_switch.state_path: names the directory ")
    assert f"{tmp_path}/b" in problem
    assert f"storage.path names {tmp_path}/a" in problem
    config = load("storage:\n  path: a/events.db\n")
    assert config.source is not None
    assert home_from(config, Path(config.source).parent) == tmp_path / "a"
