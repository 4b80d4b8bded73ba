"""What the schema knows and this version does not do yet is refused, never ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadstop.config import (
    AlertChannelConfig,
    AlertConfig,
    AnomalyDetectionConfig,
    AnomalyRuleConfig,
    KillPolicyConfig,
    KillSwitchConfig,
    MonitorConfig,
    not_built,
)

if TYPE_CHECKING:
    from .conftest import Load, Problems


def test_asking_for_what_is_not_built_is_an_error(problems: Problems) -> None:
    text = (
        "anomaly_detection:\n  rules: [{name: a, metric: cost_total}]\n"
        "kill_switch:\n  policies: [{name: a, metric: cost_total}]\n"
        "alerts:\n  channels: [{type: console}]\n"
    )
    assert problems(text) == [
        "2: anomaly_detection.rules: anomaly rules are not built in this version; remove the section",
        "4: kill_switch.policies: threshold policies are not built in this version; remove the section",
        "6: alerts.channels: alert channels are not built in this version; remove the section",
    ]


def test_asking_for_it_in_code_is_the_same() -> None:
    config = MonitorConfig(
        anomaly_detection=AnomalyDetectionConfig(rules=[AnomalyRuleConfig("a", "cost_total")]),
        kill_switch=KillSwitchConfig(policies=[KillPolicyConfig("a", "cost_total")]),
        alerts=AlertConfig([AlertChannelConfig("console")]),
    )
    assert [message.split(":")[0] for message in not_built(config)] == [
        "anomaly_detection.rules",
        "kill_switch.policies",
        "alerts.channels",
    ]


def test_defaults_and_empty_lists_ask_for_nothing(load: Load) -> None:
    assert not_built(MonitorConfig()) == []
    load("anomaly_detection: {enabled: true, rules: []}\nkill_switch: {enabled: true, policies: []}\nalerts: {}\n")
