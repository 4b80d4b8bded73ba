"""Reading `deadstop.yaml`: all that is wrong with it in one error, each problem with its line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from deadstop.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from deadstop.config.nodes import Node
    from deadstop.config.problems import Report
    from deadstop.config.schema import MonitorConfig

FILE_NAME = "deadstop.yaml"

_NOT_IN_FILES = ("sections", "source")  # fields of MonitorConfig that no file sets


def load_config(
    path: str | os.PathLike[str],
    *,
    sections: Mapping[str, type] | Callable[[list[str]], Mapping[str, type]] | None = None,
) -> MonitorConfig:
    """Read the YAML file at *path* and return it as a `MonitorConfig`.

    *sections* are further top-level keys with the msgspec type each is read into (what plugins add); they end up in
    `config.sections`. A callable gets the names under `plugins.disable` and returns them. `${VAR}` and `${VAR:default}`
    in values are filled in from the environment first.

    Raises FileNotFoundError where there is no such file, and ConfigError, which lists every problem as
    `deadstop.yaml:12: kill_switch.policies[0].metric: unknown metric 'x'`, for everything else that is wrong.
    """
    from deadstop.config.guarded_yaml import read_tree  # the only place that needs yaml: 20 ms nobody else should pay
    from deadstop.config.interpolation import interpolate
    from deadstop.config.problems import Report

    name = os.fspath(path)
    report = Report(name)
    tree = read_tree(_read(name), report)
    if tree is None:
        raise ConfigError(report.messages())
    tree = interpolate(tree, (), report)
    added = sections(_disabled(tree)) if callable(sections) else sections or {}
    config = _typed(tree, added, report)
    config.source = os.path.abspath(name)  # noqa: PTH100 - pathlib is not needed for the rest
    _check(config, report)
    if problems := report.messages():
        raise ConfigError(problems)
    return config


def _disabled(tree: Node) -> list[str]:
    """Return what the file says under `plugins.disable`: needed before plugins are asked what else it may say."""
    from deadstop.config import nodes

    for key in ("plugins", "disable"):
        if not isinstance(tree, nodes.Mapping) or key not in tree.entries:
            return []
        tree = tree.entries[key][1]
    return [item.text for item in getattr(tree, "items", []) if isinstance(item, nodes.Scalar)]


def find_config(start: str | os.PathLike[str] | None = None) -> Path | None:
    """Return the nearest `deadstop.yaml` in *start* (default: the working directory) or above it, or None."""
    from pathlib import Path

    try:
        here = Path.cwd() if start is None else Path(start).absolute()
    except FileNotFoundError:  # the working directory was deleted
        return None
    return next((file for directory in (here, *here.parents) if _is_file(file := directory / FILE_NAME)), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a directory that we may not look into
        return False


def _read(name: str) -> bytes:
    from deadstop.config.guarded_yaml import MAX_BYTES

    try:
        with open(name, "rb") as file:  # noqa: PTH123 - see load_config
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # a directory, no permission, a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{name}: cannot be read: {reason}") from error


def _typed(tree: Node, sections: Mapping[str, type], report: Report) -> MonitorConfig:
    """Return the config in *tree*; what is wrong with it goes to *report* and is left at its default."""
    import msgspec

    from deadstop.config import nodes
    from deadstop.config.convert import fill
    from deadstop.config.schema import MonitorConfig

    known: dict[str, Any] = {field.name: field.type for field in msgspec.structs.fields(MonitorConfig)}
    if clash := sorted(known.keys() & sections.keys()):
        raise ConfigError(f"a plugin's section has the name of a built-in one: {', '.join(clash)}")
    known = {name: kind for name, kind in known.items() if name not in _NOT_IN_FILES} | dict(sections)
    if nodes.is_null(tree):
        return MonitorConfig()
    if not isinstance(tree, nodes.Mapping):
        if not isinstance(tree, nodes.Broken):
            report.add(tree.line, (), f"expected a mapping of sections, got {nodes.describe(tree)}")
        return MonitorConfig()
    values = fill(tree, known, (), report)
    added = {name: values.pop(name) for name in sections if name in values}
    return MonitorConfig(**values, sections=added)


def _check(config: MonitorConfig, report: Report) -> None:
    from pathlib import Path

    from deadstop.config.checks import value_faults
    from deadstop.config.home import home_faults
    from deadstop.config.not_built import not_built_faults

    report.take(value_faults(config))
    report.take(home_faults(config, Path(config.source or ".").parent))
    report.take(not_built_faults(config))
