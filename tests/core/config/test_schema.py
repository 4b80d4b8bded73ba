"""The typed configuration, made in code."""

from __future__ import annotations

import copy
import math
import pickle

import pytest

from deadstop.config import (
    AgentTrackConfig,
    AlertChannelConfig,
    AnomalyDetectionConfig,
    AnomalyRuleConfig,
    KillPolicyConfig,
    KillSwitchConfig,
    MetricsEngineConfig,
    MonitorConfig,
    StorageConfig,
    problems_in,
)
from deadstop.events import KillAction, Severity


def test_the_defaults_are_those_documented() -> None:
    """The seeds' documented defaults, and ours; paths are None: inside the home directory."""
    config = MonitorConfig()
    assert (config.version, config.variables, config.agents) == ("1.0", {}, {})
    assert (config.metadata.name, config.metadata.description, config.metadata.author) == ("", "", "")
    assert (config.storage.path, config.storage.retention_days) == (None, 90)
    assert (config.metrics.default_window_seconds, config.metrics.max_window_seconds) == (300, 3600)
    assert (config.baselines.enabled, config.baselines.min_samples, config.baselines.storage_path) == (True, 30, None)
    assert config.baselines.metrics == ["denial_rate", "error_count", "cost_per_minute", "avg_latency_ms"]
    assert (config.anomaly_detection.enabled, config.anomaly_detection.rules) == (True, [])
    assert (config.kill_switch.enabled, config.kill_switch.state_path, config.kill_switch.policies) == (True, None, [])
    assert config.alerts.channels == []
    assert (config.home, config.require_control, config.on_member_stop) == (None, False, "stop")
    assert (config.plugins.disable, config.sections, config.source) == ([], {}, None)


def test_the_defaults_of_list_entries_are_those_documented() -> None:
    rule = AnomalyRuleConfig("r", "error_count")
    assert (rule.z_threshold, rule.severity, rule.cooldown_seconds, rule.condition) == (3.0, "high", 300, "")
    policy = KillPolicyConfig("p", "cost_total")
    assert (policy.operator, policy.threshold, policy.action) == (">", 0, "kill_agent")
    assert (policy.severity, policy.message) == ("critical", "")
    channel = AlertChannelConfig("console")
    assert (channel.enabled, channel.path, channel.url) == (True, None, None)
    assert (channel.headers, channel.min_severity) == ({}, "low")
    agent = AgentTrackConfig()
    assert (agent.enabled, agent.event_types, agent.tags) == (True, [], [])


def test_two_configs_share_no_mutable_default() -> None:
    one, other = MonitorConfig(), MonitorConfig()
    one.agents["a"] = AgentTrackConfig()
    one.storage.retention_days = 1
    one.baselines.metrics.append("event_count")
    one.kill_switch.policies.append(KillPolicyConfig("p", "cost_total"))
    assert other == MonitorConfig()


def test_configs_are_equal_by_value_wherever_they_came_from() -> None:
    config = MonitorConfig(storage=StorageConfig(path="x.db"), source="/etc/deadstop.yaml")
    assert config == MonitorConfig(storage=StorageConfig(path="x.db"))
    assert config != MonitorConfig(storage=StorageConfig(path="y.db"))
    assert config != "x.db"
    assert "source" not in repr(MonitorConfig())


def test_a_config_copies_and_pickles() -> None:
    config = MonitorConfig(agents={"a": AgentTrackConfig(tags=["t"])}, source="s")
    for twin in (copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert twin == config
        assert twin.source == "s"


def test_the_secrets_of_a_channel_are_not_in_its_repr() -> None:
    channel = AlertChannelConfig("webhook", url="https://hooks/SECRET", headers={"Authorization": "Bearer SECRET"})
    for text in (repr(channel), str(channel), str(channel.__rich_repr__())):
        assert "SECRET" not in text
        assert "Authorization" in text


def test_a_good_config_made_in_code_has_no_problems() -> None:
    policy = KillPolicyConfig("p", "cost_total", action=KillAction.KILL_SESSION, severity=Severity.LOW)
    config = MonitorConfig(kill_switch=KillSwitchConfig(policies=[policy]), sections={"x": object()})
    assert problems_in(config) == []
    assert problems_in(MonitorConfig()) == []


def test_a_bad_config_made_in_code_has_the_same_problems_as_a_file() -> None:
    config = MonitorConfig(
        version="2",
        metrics=MetricsEngineConfig(max_window_seconds=math.nan),
        anomaly_detection=AnomalyDetectionConfig(rules=[AnomalyRuleConfig("r", "eror_count", z_threshold=0)]),
    )
    version, window, metric, threshold = problems_in(config)
    assert version.startswith("version: ")
    assert window.startswith("metrics.max_window_seconds: nan")
    assert metric == ("anomaly_detection.rules[0].metric: unknown metric 'eror_count'; did you mean 'error_count'?")
    assert threshold.startswith("anomaly_detection.rules[0].z_threshold: 0")


@pytest.mark.parametrize(
    "config",
    [
        MonitorConfig(storage=StorageConfig(retention_days="90")),  # type: ignore[arg-type]
        MonitorConfig(metrics=MetricsEngineConfig(default_window_seconds=True)),
        MonitorConfig(on_member_stop="go"),  # type: ignore[arg-type]
        MonitorConfig(storage=None),  # type: ignore[arg-type]
        MonitorConfig(variables={"x": object()}),
    ],
)
def test_wrong_types_in_code_are_a_problem(config: MonitorConfig) -> None:
    assert len(problems_in(config)) == 1


def test_variables_that_hold_themselves_are_a_problem_not_a_crash() -> None:
    loop: dict[str, object] = {}
    loop["self"] = loop
    assert len(problems_in(MonitorConfig(variables=loop))) == 1
