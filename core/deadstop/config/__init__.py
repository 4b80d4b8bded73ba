"""The configuration: typed sections, the guarded YAML loader, durations.

`load_config` reads a file; `MonitorConfig(...)` builds the same in code.
"""

from __future__ import annotations

from deadstop.config.checks import problems_in
from deadstop.config.durations import Duration, parse_duration
from deadstop.config.home import home_from
from deadstop.config.load import find_config, load_config
from deadstop.config.not_built import not_built
from deadstop.config.schema import (
    AgentTrackConfig,
    AlertChannelConfig,
    AlertConfig,
    AnomalyDetectionConfig,
    AnomalyRuleConfig,
    BaselineConfig,
    KillPolicyConfig,
    KillSwitchConfig,
    MetricsEngineConfig,
    MonitorConfig,
    MonitorMetadata,
    PluginsConfig,
    StorageConfig,
)
from deadstop.errors import ConfigError

__all__ = [
    "AgentTrackConfig",
    "AlertChannelConfig",
    "AlertConfig",
    "AnomalyDetectionConfig",
    "AnomalyRuleConfig",
    "BaselineConfig",
    "ConfigError",
    "Duration",
    "KillPolicyConfig",
    "KillSwitchConfig",
    "MetricsEngineConfig",
    "MonitorConfig",
    "MonitorMetadata",
    "PluginsConfig",
    "StorageConfig",
    "find_config",
    "home_from",
    "load_config",
    "not_built",
    "parse_duration",
    "problems_in",
]
