"""What the schema knows and this version does not do yet: asking for it is an error, never silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadstop.config.problems import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deadstop.config.problems import Where
    from deadstop.config.schema import MonitorConfig

# place, whether a config asks for it, what it is. A row goes when the thing is built.
_NOT_BUILT: tuple[tuple[Where, Callable[[MonitorConfig], bool], str], ...] = (
    (("anomaly_detection", "rules"), lambda config: bool(config.anomaly_detection.rules), "anomaly rules"),
    (("kill_switch", "policies"), lambda config: bool(config.kill_switch.policies), "threshold policies"),
    (("storage", "path"), lambda config: _is_jsonl(config.storage.path), "JSONL event files"),
    (("alerts", "channels"), lambda config: bool(config.alerts.channels), "alert channels"),
)


def _is_jsonl(path: str | None) -> bool:
    return path is not None and path.endswith(".jsonl")


def not_built(config: MonitorConfig) -> list[str]:
    """Return one message for each thing that *config* asks for and that is not built; defaults never are."""
    return [str(fault) for fault in not_built_faults(config)]


def not_built_faults(config: MonitorConfig) -> Iterator[Fault]:
    """Yield the same as faults, which know their place."""
    for place, asked, what in _NOT_BUILT:
        if asked(config):
            yield Fault(
                place,
                f"{what} are not built in this version; remove the {'setting' if place[-1] == 'path' else 'section'}",
            )
