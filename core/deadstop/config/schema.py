"""The configuration as typed, plain data: what `deadstop.yaml` holds and what code can build just as well.

Every default is what a section means when it is not written. Durations are seconds (in a file `5m` works too), money
is USD. Values made in code are checked when a `Monitor` is built from them, see `deadstop.config.checks`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from deadstop.config.durations import Duration  # noqa: TC001 - msgspec reads the annotations


class MonitorMetadata(msgspec.Struct, forbid_unknown_fields=True):
    """What this configuration is, for people."""

    name: str = ""
    description: str = ""
    author: str = ""


class AgentTrackConfig(msgspec.Struct, forbid_unknown_fields=True):
    """What of one agent is stored and counted; never what is enforced.

    `enabled: false` stores nothing of it. `event_types` names the types that are stored ([]: all of
    `VALID_EVENT_TYPES`). `tags` go onto each of its events. An agent without an entry is stored in full.
    """

    enabled: bool = True
    event_types: list[str] = []
    tags: list[str] = []


class StorageConfig(msgspec.Struct, forbid_unknown_fields=True):
    """Where events are stored (`path`; None: inside the home directory) and for how many days (at least 1)."""

    path: str | None = None
    retention_days: int = 90
    content: bool = False


class MetricsEngineConfig(msgspec.Struct, forbid_unknown_fields=True):
    """The windows of metrics, in seconds: the usual one and the longest that can be asked for."""

    default_window_seconds: Duration = 300.0
    max_window_seconds: Duration = 3600.0


class BaselineConfig(msgspec.Struct, forbid_unknown_fields=True):
    """What is normal for an agent: learned for `metrics`, trusted after `min_samples` samples.

    `storage_path` None: inside the home directory.
    """

    enabled: bool = True
    min_samples: int = 30
    metrics: list[str] = msgspec.field(
        default_factory=lambda: ["denial_rate", "error_count", "cost_per_minute", "avg_latency_ms"]
    )
    storage_path: str | None = None


class AnomalyRuleConfig(msgspec.Struct, forbid_unknown_fields=True):
    """One anomaly rule: alert when `metric` is `z_threshold` standard deviations off, where `condition` holds.

    `cooldown_seconds` is the time in which the rule stays quiet about the same agent.
    """

    name: str
    metric: str
    z_threshold: float = 3.0
    severity: str = "high"
    cooldown_seconds: Duration = 300.0
    condition: str = ""


class AnomalyDetectionConfig(msgspec.Struct, forbid_unknown_fields=True):
    """The anomaly rules."""

    enabled: bool = True
    rules: list[AnomalyRuleConfig] = []


class KillPolicyConfig(msgspec.Struct, forbid_unknown_fields=True):
    """Kill when `metric` `operator` `threshold` holds. `message` becomes the reason of the kill."""

    name: str
    metric: str
    operator: str = ">"
    threshold: float = 0.0
    action: str = "kill_agent"
    severity: str = "critical"
    message: str = ""


class KillSwitchConfig(msgspec.Struct, forbid_unknown_fields=True):
    """The kill policies. `enabled: false` stops the policies, never a kill by hand.

    `state_path` None: inside the home directory.
    """

    enabled: bool = True
    state_path: str | None = None
    policies: list[KillPolicyConfig] = []


class AlertChannelConfig(msgspec.Struct, forbid_unknown_fields=True):
    """Where alerts go: "console", "file" (needs `path`) or "webhook" (needs `url`), from `min_severity` upwards."""

    type: str
    enabled: bool = True
    path: str | None = None
    url: str | None = None
    headers: dict[str, str] = {}
    min_severity: str = "low"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Leave out what is secret, here and in `repr`: the address of a webhook and the values of headers."""
        url = None if self.url is None else "..."
        hidden: dict[str, Any] = {"url": url, "headers": dict.fromkeys(self.headers, "...")}
        return [(name, hidden.get(name, getattr(self, name))) for name in self.__struct_fields__]

    def __repr__(self) -> str:
        return f"AlertChannelConfig({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


class AlertConfig(msgspec.Struct, forbid_unknown_fields=True):
    """The alert channels."""

    channels: list[AlertChannelConfig] = []


class PluginsConfig(msgspec.Struct, forbid_unknown_fields=True):
    """`disable` names the plugins that are not loaded, as `deadstop plugins` lists them."""

    disable: list[str] = []


class MonitorConfig(msgspec.Struct, eq=False, repr_omit_defaults=True, forbid_unknown_fields=True):
    """The whole configuration. `MonitorConfig()` is a complete one.

    `home` is the directory of the control plane and the store (None: found as DESIGN 5 says; see `home_from`).
    `require_control`: refuse every step while the kill state can't be read. `on_member_stop`: whether a stop of a
    nested agent stops the whole run or just that agent's part. `sections` holds what plugins added, by name and typed.
    `source` is the file that this was loaded from; it plays no part in equality.
    """

    version: str = "1.0"
    metadata: MonitorMetadata = msgspec.field(default_factory=MonitorMetadata)
    variables: dict[str, object] = {}
    agents: dict[str, AgentTrackConfig] = {}
    storage: StorageConfig = msgspec.field(default_factory=StorageConfig)
    metrics: MetricsEngineConfig = msgspec.field(default_factory=MetricsEngineConfig)
    baselines: BaselineConfig = msgspec.field(default_factory=BaselineConfig)
    anomaly_detection: AnomalyDetectionConfig = msgspec.field(default_factory=AnomalyDetectionConfig)
    kill_switch: KillSwitchConfig = msgspec.field(default_factory=KillSwitchConfig)
    alerts: AlertConfig = msgspec.field(default_factory=AlertConfig)
    home: str | None = None
    require_control: bool = False
    on_member_stop: Literal["stop", "continue"] = "stop"
    plugins: PluginsConfig = msgspec.field(default_factory=PluginsConfig)
    sections: dict[str, object] = {}
    source: str | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MonitorConfig):
            return NotImplemented
        names = [name for name in self.__struct_fields__ if name != "source"]
        return all(getattr(self, name) == getattr(other, name) for name in names)

    __hash__ = None  # type: ignore[assignment]  # mutable, as the other sections
