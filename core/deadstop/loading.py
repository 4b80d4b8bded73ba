"""`load_config`: reads `deadstop.yaml` with the sections that installed plugins add to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from deadstop.config import MonitorConfig


def load_config(path: str | Path) -> MonitorConfig:
    """Read and check the YAML file at *path*.

    Raises `FileNotFoundError` if it does not exist, and `ConfigError` listing every problem with its line.
    """
    from deadstop.config import load_config as load
    from deadstop.plugins import Plugins
    from deadstop.specs import SettingSpec

    def sections(disabled: list[str]) -> dict[str, type]:
        return {spec.name: spec.type for _, spec in Plugins(blocked=disabled).specs("deadstop_settings", SettingSpec)}

    return load(path, sections=sections)
