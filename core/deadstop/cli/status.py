"""`deadstop status`: who is alive, what they did last, who is killed or paused, and what went wrong."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from deadstop.cli import exits
from deadstop.cli.arguments import add_home
from deadstop.cli.text import ago, note, plural, say, say_json, visible

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from deadstop.cli.tables import Table

SUMMARY = "show processes, agents, sessions, kills and failures"
_MOST = 25  # agents, and sessions, that a table shows


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--all", action="store_true", help="also processes that have gone, and every agent and session")
    add_home(parser, "every home in use")


def run(args: argparse.Namespace) -> int:
    """Print what every home tells."""
    from deadstop.cli.places import existing_homes, given_home
    from deadstop.cli.status_facts import home_facts

    reports = [home_facts(home) for home in existing_homes(args.home)]
    if given_home(args.home) is None:
        reports = [report for report in reports if report["processes"] or report["controls"] or report["problem"]]
    if args.json:
        say_json({"at": time.time(), "homes": reports})
        return exits.OK
    for place, report in enumerate(reports):
        if place:
            say()
        _show(report, everything=args.all)
    if not reports:
        say("no process is using deadstop, and nothing is killed or paused")
    return exits.OK


def _show(report: dict[str, Any], *, everything: bool) -> None:
    from deadstop.cli.tables import show

    live = [process for process in report["processes"] if process["state"] != "gone"]
    gone = len(report["processes"]) - len(live)
    facts = [plural(len(live), "live process", "live processes")]
    if gone and not everything:
        facts.append(f"{gone} gone (--all shows them)")
    say(f"{_short(report['home'])}: {', '.join(facts)}")
    if report["problem"]:
        note(f"what is killed can't be read: {visible(report['problem'])}")
    say()
    show(
        _controls(report),
        _processes(report["processes"] if everything else live),
        _who("agent", report["agents"], everything=everything),
        _who("session", report["sessions"], everything=everything),
        _failures(report["processes"]),
    )


def _short(home: Path) -> str:
    from pathlib import Path

    try:
        return f"~/{visible(home.relative_to(Path.home()))}" if isinstance(home, Path) else visible(home)
    except (ValueError, RuntimeError):
        return visible(home)


def _controls(report: dict[str, Any]) -> Table:
    from deadstop.cli.tables import Table

    rows: list[tuple[object, ...]] = [
        (
            row["target"],
            f"{row['action']}{'ed' if row['action'] == 'kill' else 'd'}",
            _until(row),
            ago(row["at"]),
            row["actor"],
            row["reason"],
        )
        for row in report["controls"]
    ]
    return Table("killed and paused", ("target", "state", "until", "since", "by", "reason"), rows)


def _until(row: dict[str, Any]) -> str:
    if row["until"] is None:
        return "revived" if row["action"] == "kill" else "resumed"
    left = row["until"] - time.time()
    return f"{left:.0f} s from now" if left > 0 else "over"


def _processes(processes: list[dict[str, Any]]) -> Table:
    from deadstop.cli.tables import Table

    rows: list[tuple[object, ...]] = [
        (
            process["pid"],
            process["program"],
            process["state"],
            ago(process["started"]),
            ago(process["heartbeat"]),
            "yes" if process["up_to_date"] else "NO",
            process["events_stored"],
            process["events_dropped"],
            process["isolated_errors"],
        )
        for process in processes
    ]
    names = ("pid", "program", "state", "started", "heartbeat", "seen all", "events", "dropped", "errors")
    return Table("processes", names, rows, right=frozenset({"pid", "events", "dropped", "errors"}))


def _who(kind: str, entries: list[dict[str, Any]], *, everything: bool) -> Table:
    from deadstop.cli.tables import Table

    shown = entries if everything else entries[:_MOST]
    rows: list[tuple[object, ...]] = [
        (entry["name"], entry["state"], entry["pid"], entry["steps"], entry["last_step"], ago(entry["last_at"]))
        for entry in shown
    ]
    title = f"{kind}s" if len(shown) == len(entries) else f"{kind}s (the latest {len(shown)} of {len(entries)})"
    return Table(title, (kind, "state", "pid", "steps", "last step", "when"), rows, right=frozenset({"pid", "steps"}))


def _failures(processes: list[dict[str, Any]]) -> Table:
    from deadstop.cli.tables import Table

    rows: list[tuple[object, ...]] = [
        (process["pid"], place, failure.get("count"), failure.get("last"))
        for process in processes
        for place, failure in process["isolated"].items()
    ]
    return Table("isolated failures", ("pid", "where", "count", "last"), rows, right=frozenset({"pid", "count"}))
