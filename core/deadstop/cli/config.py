"""What commands need to know of the nearest `deadstop.yaml`. A broken one is said, and gone without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadstop.cli.text import note, visible
from deadstop.errors import ConfigError, DeadstopError

if TYPE_CHECKING:
    from pathlib import Path

    from deadstop.config import MonitorConfig


def nearest_config() -> MonitorConfig | None:
    """Return the config at or above the working directory; None where there is none, or none that can be used."""
    from deadstop.config.load import find_config, load_config

    path = find_config()
    if path is None:
        return None
    try:
        try:
            return load_config(path)
        except ConfigError:  # perhaps only for sections of plugins
            from deadstop.loading import load_config as load_with_plugins

            return load_with_plugins(path)
    except (DeadstopError, OSError) as exc:
        lines = str(exc).splitlines()
        note(f"{visible(lines[0])}{f' (and {len(lines) - 1} more)' if len(lines) > 1 else ''}; going on without it")
        return None


def disabled_plugins() -> tuple[str, ...]:
    """Return the plugins that the nearest config disables."""
    config = nearest_config()
    return () if config is None else tuple(config.plugins.disable)


def configured_home() -> Path | None:
    """Return the home that the nearest config names, None where it names none."""
    from pathlib import Path

    config = nearest_config()
    if config is None or config.source is None:
        return None
    from deadstop.config.home import home_from

    return home_from(config, Path(config.source).parent)
