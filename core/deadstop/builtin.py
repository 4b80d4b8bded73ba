"""What deadstop itself brings, through the hooks that a stranger would use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

from deadstop.hookspecs import PROJECT
from deadstop.specs import AdapterSpec, PolicySpec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deadstop.control import ControlStore
    from deadstop.specs import CommandSpec
    from deadstop.storage import EventStore

hookimpl = pluggy.HookimplMarker(PROJECT)


@hookimpl
def deadstop_policies() -> Iterable[PolicySpec]:
    """The judge of kills and pauses."""
    from deadstop.policies import kill

    yield PolicySpec(
        name="kill",
        summary="refuses whoever was killed or paused",
        build=kill.build,
        on_error="closed",
        standing=True,
    )


@hookimpl
def deadstop_adapters() -> Iterable[AdapterSpec]:
    """Scopes for plain threads."""
    yield AdapterSpec(
        name="threading",
        summary="threads and executors inherit agent, session and run",
        load="deadstop.threads:ThreadScopes",
    )


@hookimpl
def deadstop_store(url: str) -> EventStore | None:
    """`sqlite:///directory?retention_days=90`: one SQLite file a day."""
    from urllib.parse import parse_qs, urlsplit

    parts = urlsplit(url)
    if parts.scheme != "sqlite":
        return None
    from deadstop.storage.sqlite import SqliteEventStore

    days = parse_qs(parts.query).get("retention_days", ["90"])[0]
    return SqliteEventStore(Path(parts.path), retention_days=int(days))


@hookimpl
def deadstop_control(url: str) -> ControlStore | None:
    """`file:///directory`: SQLite and a memory-mapped word in the home."""
    from urllib.parse import parse_qs, urlsplit

    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    from deadstop.control.local import open_control

    required = parse_qs(parts.query).get("require_control", ["False"])[0] == "True"
    return open_control(Path(parts.path), require_control=required)


@hookimpl
def deadstop_commands() -> Iterable[CommandSpec]:
    """The built-in commands, one file each in `deadstop.cli`."""
    from deadstop.cli import builtin_commands

    return builtin_commands()
