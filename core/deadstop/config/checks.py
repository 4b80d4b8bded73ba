"""What types can't say: names, ranges, uniqueness. The same for a file and for a config made in code."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import msgspec

from deadstop.config.conditions import condition_faults
from deadstop.config.durations import LONGEST
from deadstop.config.problems import Fault, nearest, shown, spell
from deadstop.config.schema import AlertChannelConfig, MonitorConfig
from deadstop.events import VALID_ALERT_CHANNELS, VALID_EVENT_TYPES, VALID_KILL_ACTIONS, VALID_METRICS, VALID_SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadstop.config.problems import Where
    from deadstop.config.schema import AnomalyRuleConfig, KillPolicyConfig

VERSION = "1.0"
OPERATORS = frozenset({">", "<", ">=", "<=", "=="})

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def problems_in(config: MonitorConfig) -> list[str]:
    """Return what is wrong with a config made in code, as `place: problem`: first its types, else its values.

    `load_config` has done all of this for a config that came from a file.
    """
    try:
        plain = msgspec.to_builtins(msgspec.structs.replace(config, sections={}))
        msgspec.convert(plain, MonitorConfig)
    except (msgspec.ValidationError, TypeError, ValueError, RecursionError) as error:
        return [f"MonitorConfig: {error}"]
    return [str(fault) for fault in value_faults(config)]


def value_faults(config: MonitorConfig) -> Iterator[Fault]:
    """Yield what is wrong with the values of a config whose types are right."""
    if config.version != VERSION:
        yield Fault(("version",), f'{shown(config.version)} is not supported; write version: "{VERSION}"')
    yield from _agent_faults(config)
    yield from _storage_faults(config)
    yield from _window_faults(config)
    yield from _baseline_faults(config)
    yield from _rule_list_faults(config)
    yield from _policy_list_faults(config)
    for index, channel in enumerate(config.alerts.channels):
        yield from _channel_faults(channel, ("alerts", "channels", index))


def _agent_faults(config: MonitorConfig) -> Iterator[Fault]:
    for name, agent in config.agents.items():
        if not name.strip():
            yield Fault(("agents", name), "an agent needs a name")
        for index, event_type in enumerate(agent.event_types):
            place = ("agents", name, "event_types", index)
            yield from _name_fault(place, "event type", event_type, VALID_EVENT_TYPES)


def _storage_faults(config: MonitorConfig) -> Iterator[Fault]:
    yield from _range_fault(("storage", "retention_days"), config.storage.retention_days, least=1, most=36_500)
    paths: tuple[tuple[Where, str | None], ...] = (
        (("home",), config.home),
        (("storage", "path"), config.storage.path),
        (("kill_switch", "state_path"), config.kill_switch.state_path),
        (("baselines", "storage_path"), config.baselines.storage_path),
    )
    for place, path in paths:
        if path is not None and not path.strip():
            yield Fault(place, "is empty; leave it out or name a path")


def _window_faults(config: MonitorConfig) -> Iterator[Fault]:
    usual, longest = config.metrics.default_window_seconds, config.metrics.max_window_seconds
    yield from _range_fault(("metrics", "default_window_seconds"), usual, least=1, most=LONGEST)
    yield from _range_fault(("metrics", "max_window_seconds"), longest, least=1, most=LONGEST)
    if 1 <= longest < usual:
        text = f"{longest:g} s is shorter than default_window_seconds, {usual:g} s"
        yield Fault(("metrics", "max_window_seconds"), text, needs=(("metrics", "default_window_seconds"),))


def _baseline_faults(config: MonitorConfig) -> Iterator[Fault]:
    yield from _range_fault(("baselines", "min_samples"), config.baselines.min_samples, least=1)
    for index, metric in enumerate(config.baselines.metrics):
        yield from _name_fault(("baselines", "metrics", index), "metric", metric, VALID_METRICS)


def _rule_list_faults(config: MonitorConfig) -> Iterator[Fault]:
    place: Where = ("anomaly_detection", "rules")
    rules = config.anomaly_detection.rules
    yield from _unique_faults(place, [rule.name for rule in rules])
    for index, rule in enumerate(rules):
        yield from _rule_faults(rule, (*place, index), config.variables)


def _rule_faults(rule: AnomalyRuleConfig, place: Where, variables: dict[str, object]) -> Iterator[Fault]:
    yield from _name_fault((*place, "metric"), "metric", rule.metric, VALID_METRICS)
    yield from _name_fault((*place, "severity"), "severity", rule.severity, VALID_SEVERITIES)
    if not (math.isfinite(rule.z_threshold) and rule.z_threshold > 0):
        yield Fault((*place, "z_threshold"), f"{shown(rule.z_threshold)} is not a finite number above 0")
    yield from _range_fault((*place, "cooldown_seconds"), rule.cooldown_seconds, least=0, most=LONGEST)
    for text in condition_faults(rule.condition, variables):
        yield Fault((*place, "condition"), text, needs=(("variables",),))


def _policy_list_faults(config: MonitorConfig) -> Iterator[Fault]:
    place: Where = ("kill_switch", "policies")
    policies = config.kill_switch.policies
    yield from _unique_faults(place, [policy.name for policy in policies])
    for index, policy in enumerate(policies):
        yield from _policy_faults(policy, (*place, index))


def _policy_faults(policy: KillPolicyConfig, place: Where) -> Iterator[Fault]:
    yield from _name_fault((*place, "metric"), "metric", policy.metric, VALID_METRICS)
    yield from _name_fault((*place, "operator"), "operator", policy.operator, OPERATORS)
    yield from _name_fault((*place, "action"), "action", policy.action, VALID_KILL_ACTIONS)
    yield from _name_fault((*place, "severity"), "severity", policy.severity, VALID_SEVERITIES)
    if not math.isfinite(policy.threshold):
        yield Fault((*place, "threshold"), f"{policy.threshold} is not a finite number")


def _channel_faults(channel: AlertChannelConfig, place: Where) -> Iterator[Fault]:
    yield from _name_fault((*place, "type"), "channel type", channel.type, VALID_ALERT_CHANNELS)
    yield from _name_fault((*place, "min_severity"), "severity", channel.min_severity, VALID_SEVERITIES)
    if channel.path is not None:
        yield from _file_fault((*place, "path"), channel.path)
    elif channel.type == "file":
        yield Fault((*place, "path"), "is required for a file channel", needs=((*place, "type"),))
    if channel.url is not None:
        yield from _url_fault((*place, "url"), channel.url)
    elif channel.type == "webhook":
        yield Fault((*place, "url"), "is required for a webhook channel", needs=((*place, "type"),))
    for name, value in channel.headers.items():
        if not _HEADER.fullmatch(name) or re.search(r"[\r\n\0]", value):
            yield Fault(
                (*place, "headers", name), "is no HTTP header: a name of letters and dashes, a value of one line"
            )


# --- one value --------------------------------------------------------------------------------------------------------


def _name_fault(place: Where, what: str, name: str, names: frozenset[str]) -> Iterator[Fault]:
    if name not in names:
        yield Fault(place, f"unknown {what} {shown(str(name))}{nearest(name, names)}")


def _unique_faults(place: Where, names: list[str]) -> Iterator[Fault]:
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        here: Where = (*place, index, "name")
        if not name.strip():
            yield Fault(here, "is empty; a name is needed")
        elif (first := seen.setdefault(name, index)) < index:
            yield Fault(here, f"{shown(name)} is the name of {spell((*place, first))} already; names must be unique")


def _range_fault(place: Where, value: float, *, least: float, most: float = math.inf) -> Iterator[Fault]:
    if not value >= least:  # NaN as well
        yield Fault(place, f"{shown(value)} is too small; at least {least:g}")
    elif value > most or math.isinf(value):
        yield Fault(place, f"{shown(value)} is too large; at most {most:g}")


def _file_fault(place: Where, path: str) -> Iterator[Fault]:
    if not path.strip() or "\0" in path:
        yield Fault(place, f"{shown(path)} is no path of a file")


def _url_fault(place: Where, url: str) -> Iterator[Fault]:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port or an IPv6 address that is none
        good = False
    if not good or re.search(r"[\s\0]", url):
        yield Fault(place, "is no web address; it starts with https:// and names a host")
