"""Which directory a config names as home: the one place of the control plane and the store."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from deadstop.config.problems import Fault, shown, spell
from deadstop.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deadstop.config.problems import Where
    from deadstop.config.schema import MonitorConfig


def home_from(config: MonitorConfig, config_dir: Path) -> Path | None:
    """Return the home directory that *config* names, absolute, or None if it names none.

    `home:` names it. Where that is missing, `storage.path`, `kill_switch.state_path` and `baselines.storage_path` do:
    a path that ends in a suffix is a file and its parent is meant, any other (or one that ends in `/`) is the
    directory itself; a `storage.path` that is a URL names no directory. Relative paths are relative to *config_dir*,
    the directory of the config file; `~` is the user's. Raises ConfigError where two of them name different
    directories: there is one home, never a second truth.
    """
    if faults := list(home_faults(config, config_dir)):
        raise ConfigError([str(fault) for fault in faults])
    return next((_directory(place, text, config_dir) for place, text in _settings(config)), None)


def home_faults(config: MonitorConfig, config_dir: Path) -> Iterator[Fault]:
    """Yield a fault for every setting that names another directory than the first one does."""
    first: tuple[Where, Path] | None = None
    for place, text in _settings(config):
        try:
            directory = _directory(place, text, config_dir)
            real = os.path.realpath(directory)
            first = first or (place, directory)
            same = real == os.path.realpath(first[1])
        except (RuntimeError, ValueError) as error:  # `~somebody` who has no home directory; a NUL
            yield Fault(place, f"{shown(text)} is no path: {error}")
            continue
        if not same:
            told = f"names the directory {directory}, but {spell(first[0])} names {first[1]}; there is only one home"
            yield Fault(place, told, needs=(first[0],))
        elif real == os.path.realpath(
            config_dir
        ):  # it is made private (0700), and a project is not deadstop's to close
            yield Fault(place, f"{shown(text)} would make {directory} itself the home; name a directory below it")


def _settings(config: MonitorConfig) -> Iterator[tuple[Where, str]]:
    settings: tuple[tuple[Where, str | None], ...] = (
        (("home",), config.home),
        (("storage", "path"), config.storage.path),
        (("kill_switch", "state_path"), config.kill_switch.state_path),
        (("baselines", "storage_path"), config.baselines.storage_path),
    )
    for place, text in settings:
        if text and "://" not in text:
            yield place, text


def _directory(place: Where, text: str, config_dir: Path) -> Path:
    from pathlib import Path

    path = Path(os.path.abspath(config_dir / Path(text).expanduser()))  # noqa: PTH100 - `..` goes, symlinks stay
    is_file = place != ("home",) and path.suffix and not text.endswith("/")
    return path.parent if is_file else path
