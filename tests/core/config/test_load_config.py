"""`load_config`: a whole file, all its problems, plugin sections, and finding it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import pytest

from deadstop.config import (
    AgentTrackConfig,
    AlertChannelConfig,
    AlertConfig,
    AnomalyDetectionConfig,
    AnomalyRuleConfig,
    BaselineConfig,
    ConfigError,
    Duration,
    KillPolicyConfig,
    KillSwitchConfig,
    MetricsEngineConfig,
    MonitorConfig,
    MonitorMetadata,
    PluginsConfig,
    StorageConfig,
    find_config,
    load_config,
)

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Load, Problems, Write

FULL = """\
version: "1.0"
metadata: {name: shop, description: the shop's agents, author: ops}
variables: {start: 8, holidays: [a, b]}
agents:
  sales-agent: {enabled: true, event_types: [action, cost], tags: [prod]}
  "team:alice": {enabled: false}
storage: {path: .deadstop/events.db, retention_days: 30}
metrics: {default_window_seconds: 5m, max_window_seconds: 1h}
baselines: {enabled: false, min_samples: 10, metrics: [cost_total], storage_path: .deadstop/baselines.json}
anomaly_detection:
  enabled: true
  rules:
    - name: cost-spike
      metric: cost_per_minute
      z_threshold: 4
      severity: critical
      cooldown_seconds: 10m
      condition: hour >= $start and hour < 18
kill_switch:
  enabled: false
  state_path: .deadstop/kill_state.json
  policies:
    - {name: cost-guard, metric: cost_per_minute, operator: ">=", threshold: 5, action: kill_session, message: too much}
alerts:
  channels:
    - {type: console}
    - {type: file, path: alerts.jsonl, min_severity: medium}
    - {type: webhook, url: "https://example.com/x", headers: {Authorization: "Bearer ${DS_TOKEN}"}, enabled: no}
home: .deadstop
require_control: true
on_member_stop: continue
plugins: {disable: [langgraph]}
"""


def full() -> MonitorConfig:
    """The same in code."""
    return MonitorConfig(
        metadata=MonitorMetadata("shop", "the shop's agents", "ops"),
        variables={"start": 8, "holidays": ["a", "b"]},
        agents={
            "sales-agent": AgentTrackConfig(event_types=["action", "cost"], tags=["prod"]),
            "team:alice": AgentTrackConfig(enabled=False),
        },
        storage=StorageConfig(".deadstop/events.db", 30),
        metrics=MetricsEngineConfig(300, 3600),
        baselines=BaselineConfig(
            enabled=False, min_samples=10, metrics=["cost_total"], storage_path=".deadstop/baselines.json"
        ),
        anomaly_detection=AnomalyDetectionConfig(
            rules=[
                AnomalyRuleConfig("cost-spike", "cost_per_minute", 4, "critical", 600, "hour >= $start and hour < 18")
            ]
        ),
        kill_switch=KillSwitchConfig(
            enabled=False,
            state_path=".deadstop/kill_state.json",
            policies=[KillPolicyConfig("cost-guard", "cost_per_minute", ">=", 5, "kill_session", message="too much")],
        ),
        alerts=AlertConfig(
            [
                AlertChannelConfig("console"),
                AlertChannelConfig("file", path="alerts.jsonl", min_severity="medium"),
                AlertChannelConfig(
                    "webhook", enabled=False, url="https://example.com/x", headers={"Authorization": "Bearer t"}
                ),
            ]
        ),
        home=".deadstop",
        require_control=True,
        on_member_stop="continue",
        plugins=PluginsConfig(["langgraph"]),
    )


@pytest.mark.usefixtures("all_built")
def test_a_file_and_code_give_equal_configs(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DS_TOKEN", "t")
    assert load(FULL) == full()


def test_every_problem_is_listed_with_its_line(problems: Problems) -> None:
    """One run, one list: names, types, ranges, references and YAML's own traps together."""
    assert problems(
        "version: '2'\n"
        "kil_switch: {}\n"
        "storage: {retention_days: abc, pth: x}\n"
        "metrics:\n"
        "  default_window_seconds: 10m\n"
        "  max_window_seconds: 60\n"
        "on: yes\n"
        "kill_switch:\n"
        "  policies:\n"
        "    - name: a\n"
        "      metric: cost_per_minutes\n"
        "    - metric: cost_total\n"
        "      action: kill_agnt\n"
    ) == [
        "1: version: '2' is not supported; write version: \"1.0\"",
        "2: kil_switch: unknown key; did you mean 'kill_switch'?",
        "3: storage.retention_days: expected a whole number, got the text 'abc'",
        "3: storage.pth: unknown key; did you mean 'path'?",
        "6: metrics.max_window_seconds: 60 s is shorter than default_window_seconds, 600 s",
        "7: the key 'on' is a boolean in YAML; put it in quotes: \"on\"",
        "10: kill_switch.policies: threshold policies are not built in this version; remove the section",
        "11: kill_switch.policies[0].metric: unknown metric 'cost_per_minutes'; did you mean 'cost_per_minute'?",
        "12: kill_switch.policies[1].name: is required",
        "13: kill_switch.policies[1].action: unknown action 'kill_agnt'; did you mean 'kill_agent'?",
    ]


def test_a_problem_names_the_file_as_it_was_given(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write("hom: x\n").parent)
    with pytest.raises(ConfigError) as caught:
        load_config("deadstop.yaml")
    assert caught.value.problems == ["deadstop.yaml:1: hom: unknown key; did you mean 'home'?"]


def test_a_consequence_of_a_reported_problem_is_not_reported_again(problems: Problems) -> None:
    found = problems(
        "metrics: {default_window_seconds: 5 miles, max_window_seconds: 60}\n"
        "variables: 5\n"
        "anomaly_detection: {rules: [{name: 5, metric: cost_total, condition: hour > $x}]}\n"
        "storage: x.db\n"
    )
    assert [problem.split(": ")[1] for problem in found] == [
        "metrics.default_window_seconds",
        "variables",
        "anomaly_detection.rules[0].name",
        "anomaly_detection.rules",
        "storage",
    ]


def test_fields_of_the_config_that_no_file_sets_are_unknown_keys(problems: Problems) -> None:
    found = problems("sections: {}\nsource: x\n")
    assert [problem.split(";")[0] for problem in found] == ["1: sections: unknown key", "2: source: unknown key"]


def test_names_in_problems_are_printed_safely(problems: Problems) -> None:
    (problem,) = problems('agents:\n  "a\\e[31m\\nb":\n    enabled: 5\n')
    assert problem == "3: agents['a\\x1b[31m\\nb'].enabled: expected true or false, got the number 5"
    (problem,) = problems(f"{'x' * 5000}: 1\n")
    assert len(problem) < 400


def test_a_missing_file_is_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_config(tmp_path / "nope.yaml")


@pytest.mark.parametrize("name", ["", "deadstop.yaml/x", "a\0b"])
def test_a_path_that_is_no_file_is_a_config_error(write: Write, name: str) -> None:
    directory = write("home: x\n").parent
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(f"{directory}/{name}")


def test_the_config_remembers_its_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("home: x\n")
    monkeypatch.chdir(path.parent)
    assert load_config("deadstop.yaml").source == str(path)
    assert load_config(path).source == str(path)


# --- sections of plugins ----------------------------------------------------------------------------------------------


class Limit(msgspec.Struct):
    """One entry of a plugin's section."""

    name: str
    window: Duration = 60.0
    usd: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    mode: Literal["hard", "soft"] = "hard"
    either: int | list[int] = 0


class Budgets(msgspec.Struct, rename="kebab"):
    """A plugin's section."""

    per_agent: dict[str, Limit] = {}
    limits: list[Limit] = []

    def __post_init__(self) -> None:
        if len(self.limits) > 2:
            raise ValueError("at most two limits")


def test_a_plugins_section_is_typed_and_found_by_name(load: Load) -> None:
    text = "budgets:\n  limits: [{name: a, window: 5m, either: [1]}]\n  per-agent: {x: {name: b, usd: 2}}\n"
    config = load(text, sections={"budgets": Budgets, "other": Budgets})
    assert config.sections == {
        "budgets": Budgets(per_agent={"x": Limit("b", usd=2.0)}, limits=[Limit("a", 300.0, either=[1])])
    }


def test_a_plugins_section_without_its_plugin_is_an_unknown_key(problems: Problems) -> None:
    assert problems("budgets: {}\n")[0].startswith("1: budgets: unknown key")


def test_the_problems_of_a_plugins_section_are_listed_too(problems: Problems) -> None:
    text = (
        "budgets:\n"
        "  limts: []\n"
        "  limits:\n"
        "    - {name: a, usd: 0}\n"
        "    - {window: 5x, mode: hrd, either: x}\n"
        "  per-agent:\n"
        "    x: 5\n"
    )
    found = problems(text, sections={"budgets": Budgets})
    assert found == [
        "2: budgets.limts: unknown key; did you mean 'limits'?",
        "4: budgets.limits[0].usd: Expected float > 0.0",
        "5: budgets.limits[1].window: '5x' is no duration; write 90, '90s', '10m', '1h' or '7d'",
        "5: budgets.limits[1].mode: unknown value 'hrd'; did you mean 'hard'?",
        "5: budgets.limits[1].either: Expected int | array, got str",
        "5: budgets.limits[1].name: is required",
        "7: budgets.per-agent.x: expected a mapping, got the number 5",
    ]


def test_what_a_plugins_section_refuses_itself_is_a_problem(problems: Problems) -> None:
    text = "budgets:\n  limits: [{name: a}, {name: b}, {name: c}]\n"
    assert problems(text, sections={"budgets": Budgets}) == ["2: budgets: at most two limits"]


def test_a_plugins_section_cannot_take_a_built_in_name(load: Load) -> None:
    with pytest.raises(ConfigError, match="name of a built-in one: storage"):
        load("home: x\n", sections={"storage": Budgets})


# --- finding the file -------------------------------------------------------------------------------------------------


def test_the_nearest_file_above_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (tmp_path / "deadstop.yaml").touch()
    assert find_config(deep) == tmp_path / "deadstop.yaml"
    (tmp_path / "a" / "deadstop.yaml").touch()
    assert find_config(deep) == tmp_path / "a" / "deadstop.yaml"
    monkeypatch.chdir(deep)
    assert find_config() == tmp_path / "a" / "deadstop.yaml"
    (deep / "deadstop.yaml").mkdir()
    assert find_config() == tmp_path / "a" / "deadstop.yaml"


def test_no_file_above_is_none() -> None:
    assert find_config("/proc/self") is None


def test_a_deleted_working_directory_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert find_config() is None


def test_who_adds_sections_is_told_first_which_plugins_are_disabled(tmp_path: Path) -> None:
    path = tmp_path / "deadstop.yaml"
    path.write_text("plugins: {disable: [one, two]}\n")
    told: list[list[str]] = []

    def sections(disabled: list[str]) -> dict[str, type]:
        told.append(disabled)
        return {}

    assert load_config(path, sections=sections).plugins.disable == told[0] == ["one", "two"]
