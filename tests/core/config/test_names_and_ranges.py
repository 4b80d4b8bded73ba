"""Every rule about a single value, in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deadstop.events import VALID_ALERT_CHANNELS, VALID_EVENT_TYPES, VALID_KILL_ACTIONS, VALID_METRICS, VALID_SEVERITIES

if TYPE_CHECKING:
    from .conftest import Load, Problems

pytestmark = pytest.mark.usefixtures("all_built")

POLICY = "kill_switch: {{policies: [{{name: a, metric: cost_total, {}}}]}}"
RULE = "anomaly_detection: {{rules: [{{name: a, metric: cost_total, {}}}]}}"
CHANNEL = "alerts: {{channels: [{{{}}}]}}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("version: '2'", "version: '2' is not supported; write version: \"1.0\""),
        ("version: 1.0", 'version: expected text (in quotes: "1.0"), got the number 1.0'),
        ("version:", "version: expected text, got nothing"),
        ("on_member_stop: halt", "on_member_stop: unknown value 'halt'; known are continue, stop"),
        ("require_control: 1", "require_control: expected true or false, got the number 1"),
        ("require_control: 'yes'", "require_control: expected true or false, got the text 'yes'"),
        ("home: ''", "home: is empty; leave it out or name a path"),
        ("home: [a]", "home: expected text, got a list"),
        ("home: yes", 'home: expected text (in quotes: "yes"), got the boolean yes'),
        ("agents: [a]", "agents: expected a mapping, got a list"),
        ("agents: {a: {event_types: [acton]}}", "unknown event type 'acton'; did you mean 'action'?"),
        ("agents: {a: {event_types: action}}", "agents.a.event_types: expected a list, got the text 'action'"),
        ("agents: {a: {tags: [{}]}}", "agents.a.tags[0]: expected text, got a mapping"),
        ("agents: {' ': {}}", "agents[' ']: an agent needs a name"),
        ("agents: {a: {enabld: true}}", "agents.a.enabld: unknown key; did you mean 'enabled'?"),
        ("storage: {retention_days: 0}", "storage.retention_days: 0 is too small; at least 1"),
        ("storage: {retention_days: 99999999}", "storage.retention_days: 99999999 is too large; at most 36500"),
        ("storage: {retention_days: 1.5}", "storage.retention_days: expected a whole number, got the number 1.5"),
        ("storage: {retention_days: true}", "storage.retention_days: expected a whole number, got the boolean true"),
        ("storage: {retention_days: '30'}", "storage.retention_days: expected a whole number, got the text '30'"),
        ("metrics: {default_window_seconds: 0}", "metrics.default_window_seconds: 0.0 is too small; at least 1"),
        ("metrics: {default_window_seconds: -5}", "metrics.default_window_seconds: -5 is no duration; write 90"),
        ("metrics: {default_window_seconds: .nan}", "metrics.default_window_seconds: nan is no duration"),
        ("metrics: {default_window_seconds: yes}", "metrics.default_window_seconds: True is no duration"),
        ("metrics: {default_window_seconds: }", "metrics.default_window_seconds: expected a duration such as"),
        ("metrics: {max_window_seconds: .inf}", "metrics.max_window_seconds: inf is longer than 100 years"),
        ("metrics: {max_window_seconds: 1m}", "60 s is shorter than default_window_seconds, 300 s"),
        ("baselines: {min_samples: 0}", "baselines.min_samples: 0 is too small; at least 1"),
        ("baselines: {metrics: [latency_avg]}", "baselines.metrics[0]: unknown metric 'latency_avg'"),
        ("variables: {x: .inf}", "variables.x: expected a finite number, got .inf, which is no finite number"),
        (RULE.format("z_threshold: 0"), "rules[0].z_threshold: 0.0 is not a finite number above 0"),
        (RULE.format("z_threshold: '3'"), "rules[0].z_threshold: expected a number, got the text '3'"),
        (RULE.format("z_threshold: .inf"), "rules[0].z_threshold: expected a number, got .inf"),
        (RULE.format("severity: hihg"), "rules[0].severity: unknown severity 'hihg'; did you mean 'high'?"),
        (RULE.format("cooldown_seconds: -1"), "rules[0].cooldown_seconds: -1 is no duration"),
        (RULE.format("treshold: 1"), "rules[0].treshold: unknown key; did you mean 'z_threshold'?"),
        (POLICY.format("operator: '=>'"), "policies[0].operator: unknown operator '=>'"),
        (
            POLICY.format("action: kill"),
            "policies[0].action: unknown action 'kill'; known are kill_agent, kill_global, kill_session",
        ),
        (POLICY.format("threshold: .nan"), "policies[0].threshold: expected a number, got .nan"),
        (POLICY.format("threshold: yes"), "policies[0].threshold: expected a number, got the boolean yes"),
        (POLICY.format("severity: 5"), 'policies[0].severity: expected text (in quotes: "5"), got the number 5'),
        ("kill_switch: {policies: [{name: '', metric: cost_total}]}", "policies[0].name: is empty; a name is needed"),
        ("kill_switch: {policies: [{name: a}]}", "policies[0].metric: is required"),
        ("kill_switch: {policies: [5]}", "policies[0]: expected a mapping, got the number 5"),
        (CHANNEL.format("type: file"), "channels[0].path: is required for a file channel"),
        (CHANNEL.format("type: file, path: ''"), "channels[0].path: '' is no path of a file"),
        (CHANNEL.format('type: file, path: "a\\0"'), "channels[0].path: 'a\\x00' is no path of a file"),
        (CHANNEL.format("type: webhook"), "channels[0].url: is required for a webhook channel"),
        (CHANNEL.format("type: webhook, url: 'ftp://x'"), "channels[0].url: is no web address"),
        (CHANNEL.format("type: webhook, url: 'https://'"), "channels[0].url: is no web address"),
        (CHANNEL.format("type: webhook, url: 'https://[x'"), "channels[0].url: is no web address"),
        (CHANNEL.format("type: webhook, url: 'https://x:99999'"), "channels[0].url: is no web address"),
        (
            CHANNEL.format("type: slak"),
            "channels[0].type: unknown channel type 'slak'; known are console, file, webhook",
        ),
        (CHANNEL.format("type: console, min_severity: loud"), "channels[0].min_severity: unknown severity 'loud'"),
        (CHANNEL.format('type: console, headers: {X: "a\\nb"}'), "channels[0].headers.X: is no HTTP header"),
        (CHANNEL.format("type: console, headers: {X: 5}"), "channels[0].headers.X: expected text"),
        (CHANNEL.format("url: 'https://x'"), "channels[0].type: is required"),
    ],
)
def test_one_mistake_is_one_problem_that_says_what_and_where(problems: Problems, text: str, problem: str) -> None:
    (found,) = problems(text)
    assert found.startswith("1: ")
    assert problem in found


def test_rule_and_policy_names_are_unique(problems: Problems) -> None:
    entry = "{name: a, metric: cost_total}"
    found = problems(
        f"anomaly_detection:\n  rules:\n    - {entry}\n    - {entry}\n"
        f"kill_switch:\n  policies:\n    - {entry}\n    - {entry}\n"
    )
    assert found == [
        f"{line}: {place}[1].name: 'a' is the name of {place}[0] already; names must be unique"
        for line, place in ((4, "anomaly_detection.rules"), (8, "kill_switch.policies"))
    ]


def test_the_loader_accepts_exactly_the_valid_names(load: Load) -> None:
    """S1-41: the `VALID_*` sets are what the loader accepts."""
    for metric in VALID_METRICS:
        load(f"baselines: {{metrics: [{metric}]}}")
    for event_type in VALID_EVENT_TYPES:
        load(f"agents: {{a: {{event_types: [{event_type}]}}}}")
    for severity in VALID_SEVERITIES:
        load(RULE.format(f"severity: {severity}"))
    for action in VALID_KILL_ACTIONS:
        load(POLICY.format(f"action: {action}"))
    for channel in VALID_ALERT_CHANNELS:
        load(CHANNEL.format(f"type: {channel}, path: x, url: 'https://x'"))
    for operator in (">", "<", ">=", "<=", "=="):
        load(POLICY.format(f"operator: '{operator}'"))


@pytest.mark.parametrize(
    "condition",
    [
        "",
        "hour >= $start and hour < 18",
        "(hour in [1, 2, $start])",
        "agent == '$nobody and ('",
        'name matches "it\'s"',
        "day_of_week not in ['a', 'b']",
    ],
)
def test_a_condition_may_use_the_variables(load: Load, condition: str) -> None:
    quoted = condition.replace("'", "''")
    text = "anomaly_detection:\n  rules:\n    - name: a\n      metric: cost_total\n"
    config = load(f"variables: {{start: 8}}\n{text}      condition: '{quoted}'\n")
    assert config.anomaly_detection.rules[0].condition == condition


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("hour >= $strt", ["$strt is not among the variables; did you mean 'start'?"]),
        ("hour >= $a or hour < $b", ["$a is not among", "$b is not among"]),
        ("hour >= $", ["$ is not among"]),
        ("hour >", ["it breaks off after an operator"]),
        ("hour > 5 and", ["it breaks off after an operator"]),
        ("(hour > 5", ["its brackets do not match"]),
        ("hour in [1, 2)", ["its brackets do not match"]),
        ("agent == 'a", ["a quote is opened and never closed"]),
        ('agent == "a', ["a quote is opened and never closed"]),
    ],
)
def test_a_broken_condition_is_a_problem(problems: Problems, condition: str, found: list[str]) -> None:
    """d24: elsewhere these raise per event, or are accepted and always false."""
    quoted = condition.replace("'", "''")
    text = "variables: {start: 8}\nanomaly_detection:\n  rules:\n    - name: a\n      metric: cost_total\n"
    lines = problems(f"{text}      condition: '{quoted}'\n")
    assert len(lines) == len(found)
    for line, expected in zip(lines, found, strict=True):
        assert line.startswith("6: anomaly_detection.rules[0].condition: ")
        assert expected in line
