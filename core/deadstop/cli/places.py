"""Which homes a command is about, and what they say, without leaving a trace in them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from deadstop.control.home import find_home, listed_homes
from deadstop.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from deadstop.control.table import Row

BESIDE_CONFIG = ".deadstop"
"""What a home beside a config file is called (see `find_home`)."""

_BYTES = 16  # of the control word: its generation, and the one that killed everything


class Standing(NamedTuple):
    """What is in force on one home. `problem` says why that can't be read, "" where it can."""

    generation: int
    rows: tuple[Row, ...]
    problem: str


def given_home(home: str | None) -> Path | None:
    """Return the home that `--home` or `$DEADSTOP_HOME` names, None where neither is given."""
    return find_home(home) if home is not None or os.environ.get("DEADSTOP_HOME") else None


def default_home() -> Path:
    """Return the home that a Monitor made here would use."""
    home = find_home()
    if os.environ.get("DEADSTOP_HOME") or home.name != BESIDE_CONFIG:
        return home
    from deadstop.cli.config import configured_home  # there is a deadstop.yaml: it may name another home

    return find_home(config_home=configured_home())


def homes_to_show(home: str | None) -> list[Path]:
    """Return the given home, else every listed one and the one that belongs to the working directory."""
    if (given := given_home(home)) is not None:
        return [given]
    homes = [default_home(), *listed_homes()]
    return list({os.path.realpath(place): place for place in reversed(homes)}.values())[::-1]


def existing_homes(home: str | None) -> list[Path]:
    """Return `homes_to_show`. Raises ConfigError where `--home` names none: that is a slip."""
    homes = homes_to_show(home)
    if home is not None and not homes[0].is_dir():
        raise ConfigError(f"there is no home at {homes[0]}")
    return homes


def standing(home: Path) -> Standing:
    """Read what is in force on *home*. Makes no file there; a home without any has nothing in force."""
    from deadstop.control.reader import Reader

    if not ((home / "control.db").exists() or (home / "kills.json").exists()):
        return Standing(0, (), "")
    reader = Reader(home, require_control=False, note=lambda _place, _error: None)
    state = reader.read()
    return Standing(state.generation, (*state.rows, *_word_kill(home, state.rows)), reader.problem)


def _word_kill(home: Path, rows: tuple[Row, ...]) -> tuple[Row, ...]:
    from deadstop.control.word import GLOBAL
    from deadstop.control.writer import word_row

    try:
        with (home / "control.gen").open("rb") as file:
            slots = memoryview(file.read(_BYTES).ljust(_BYTES, b"\0")).cast("Q")
    except OSError:
        return ()
    known = any(row.action == "kill" and row.scope == "global" for row in rows)
    return (word_row(slots[GLOBAL]),) if slots[GLOBAL] and not known else ()
