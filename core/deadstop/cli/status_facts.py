"""What `status` shows of one home, as plain data: also what its JSON holds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from deadstop.cli.places import standing
from deadstop.control.processes import read_processes
from deadstop.control.table import ControlTable

if TYPE_CHECKING:
    from pathlib import Path

    from deadstop.control.processes import ProcessRow

_STALE = 5.0  # seconds without a heartbeat


def home_facts(home: Path) -> dict[str, Any]:
    """Return `home, generation, problem, controls, processes, agents, sessions` of *home*."""
    found = standing(home)
    table = ControlTable(found.rows, generation=found.generation)
    rows = read_processes(home)
    return {
        "home": str(home),
        "generation": found.generation,
        "problem": found.problem,
        "controls": [{**_plain(row), "target": row.target} for row in table.rows if table.holds(row)],
        "processes": [_process(row, found.generation) for row in rows],
        "agents": _entries("agents", rows, table),
        "sessions": _entries("sessions", rows, table),
    }


def _plain(row: Any) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.structs.asdict(row)
    return plain


def _process(row: ProcessRow, generation: int) -> dict[str, Any]:
    facts = row.facts
    isolated = {
        str(place): failure for place, failure in _mapping(facts.get("isolated")).items() if isinstance(failure, dict)
    }
    return {
        "pid": row.pid,
        "host": row.host,
        "program": row.program,
        "state": _state(row),
        "started": row.started,
        "heartbeat": row.heartbeat,
        "generation": row.generation,
        "up_to_date": row.generation >= generation,
        "events_stored": facts.get("events_stored", 0),
        "events_pending": facts.get("events_pending", 0),
        "events_dropped": facts.get("events_dropped", 0),
        "refused_records": facts.get("refused_records", 0),
        "isolated_errors": sum(_count(failure) for failure in isolated.values()),
        "isolated": isolated,
    }


def _state(row: ProcessRow) -> str:
    if not row.live:
        return "gone"
    return "stale" if time.time() - row.heartbeat > _STALE else "live"


def _entries(kind: str, rows: list[ProcessRow], table: ControlTable) -> list[dict[str, Any]]:
    """Return the agents or sessions of live processes, the one that was active last first."""
    found = [
        _entry(str(name), _mapping(facts), kind, row, table)
        for row in rows
        if row.live
        for name, facts in _mapping(row.facts.get(kind)).items()
    ]
    return sorted(found, key=lambda entry: float(entry["last_at"]), reverse=True)


def _entry(name: str, facts: dict[str, Any], kind: str, row: ProcessRow, table: ControlTable) -> dict[str, Any]:
    stop = table.match((name,), None, None) if kind == "agents" else table.match((), name, None)
    state = "running" if _count(facts, "open_steps") else "idle"
    if stop is not None:
        state = "killed" if stop.action == "kill" else "paused"
    return {
        "name": name,
        "state": state,
        "pid": row.pid,
        "steps": _count(facts, "steps"),
        "open_steps": _count(facts, "open_steps"),
        "last_step": str(facts.get("last_step", "")),
        "last_at": _number(facts.get("last_at")),
    }


def _mapping(value: object) -> dict[str, Any]:
    """Rows are written by other processes, perhaps of another version: nothing in them is taken for granted."""
    if isinstance(value, dict):
        return value
    return {str(key): {} for key in value} if isinstance(value, list) else {}


def _count(facts: dict[str, Any], key: str = "count") -> int:
    return int(_number(facts.get(key)))


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
