"""What is said of an order that was carried out: one line for the user, complaints on stderr, JSON, the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadstop.cli import exits
from deadstop.cli.orders import carry_out, record
from deadstop.cli.places import homes_to_show, standing
from deadstop.cli.targets import names_in
from deadstop.cli.text import note, plural, say, say_json, visible
from deadstop.control.processes import read_processes

if TYPE_CHECKING:
    import argparse

    from deadstop.cli.orders import Order, Outcome


def run_order(order: Order, args: argparse.Namespace) -> int:
    """Carry *order* out as the arguments say, report it, and return the exit code."""
    outcomes = carry_out(order, home=args.home, wait=not args.no_wait)
    if not outcomes:
        return _nothing_to_lift(order, args)
    code = exit_code(order, outcomes)
    named = order.sets and order.target.scope in {"agent", "session"}
    known = not named or any(outcome.known for outcome in outcomes)
    near = None if known else _did_you_mean(order, args.home)
    if args.json:
        say_json({**_as_json(order, outcomes, code), "known": known, "did_you_mean": near})
    elif not all(outcome.lost for outcome in outcomes):
        say(_sentence(order, outcomes))
    for outcome in outcomes:
        _complain(order, outcome)
    if not known:
        hint = "" if near is None else f"; did you mean {visible(near, 80)!r}?"
        note(f"no live process tells of {order.target.label!r}{hint}")
    _record(order, [outcome for outcome in outcomes if not outcome.lost])
    return code


def _record(order: Order, outcomes: list[Outcome]) -> None:
    """Store the event last, when everything that matters is done; the decision itself is kept by the control plane."""
    try:
        record(order, outcomes)
    except Exception as exc:  # a full disk, a store of a newer version: the order holds all the same
        note(f"no event of this could be stored: {visible(exc)}")


def exit_code(order: Order, outcomes: list[Outcome]) -> int:
    """Return the code for what became of *order*: the worst of its homes, and whether anybody saw it."""
    if any(outcome.lost for outcome in outcomes):
        return exits.FAILED
    if order.sets and not all(outcome.row.durable for outcome in outcomes):
        return exits.NOT_DURABLE
    if not _waited(outcomes):
        return exits.OK
    seen, live = _totals(outcomes)
    nobody = seen == 0 and (live > 0 or order.sets)  # lifting something needs nobody to be alive
    return exits.UNSEEN if nobody else exits.OK


def _waited(outcomes: list[Outcome]) -> bool:
    return all(outcome.live is not None for outcome in outcomes)


def _totals(outcomes: list[Outcome]) -> tuple[int, int]:
    return sum(outcome.seen or 0 for outcome in outcomes), sum(outcome.live or 0 for outcome in outcomes)


def _sentence(order: Order, outcomes: list[Outcome]) -> str:
    seen, live = _totals(outcomes)
    what = f"{order.done} {order.target.label}{order.span}"
    if not _waited(outcomes):
        return f"{what}: recorded"
    if live:
        ms = max(outcome.ms for outcome in outcomes)
        return f"{what}: seen by {seen} of {plural(live, 'live process', 'live processes')} ({ms:.0f} ms)"
    return f"{what}: recorded; no process is alive to see it" if order.sets else what


def _complain(order: Order, outcome: Outcome) -> None:
    where = visible(outcome.home)
    if outcome.lost:
        all_works = order.sets and order.action == "kill"
        hint = "; `deadstop kill --all` works without writing" if all_works else ""
        note(f"NOT {order.done}: nothing could be written in {where}{hint}")
    elif order.sets and not outcome.row.durable:
        note(f"in effect, but not durable: {where} could not be written")
    if outcome.live and outcome.seen != outcome.live:
        for process in read_processes(outcome.home):
            if process.live and process.generation < outcome.generation:
                note(f"process {process.pid} ({visible(process.program, 40)}) has not seen it: stopped, or stuck")


def _did_you_mean(order: Order, home: str | None) -> str | None:
    """Return the nearest name that any process has told of: an order to somebody unknown may be a slip."""
    rows = [row for place in homes_to_show(home) for row in read_processes(place)]
    return _nearest(order, {name for row in rows for name in names_in(row, order.target.scope)})


def _nearest(order: Order, known: set[str]) -> str | None:
    from deadstop.control.nearest import suggest

    return suggest(order.target.name, known)


def _nothing_to_lift(order: Order, args: argparse.Namespace) -> int:
    """Say that there was nothing to lift, and what does hold."""
    state = "killed" if order.action == "kill" else "paused"
    rows = [row for place in homes_to_show(args.home) for row in standing(place).rows if row.action == order.action]
    near = _nearest(order, {row.name for row in rows if row.scope == order.target.scope != "global"})
    if args.json:
        say_json({**_as_json(order, [], exits.FAILED), "known": False, "did_you_mean": near})
    note(f"{order.target.label} is not {state}")
    if near is not None:
        note(f"{visible(near, 80)!r} is; did you mean that?")
    if any(row.scope == "global" for row in rows):
        note(f"everything is {state}; to lift that: deadstop {order.command} --all")
    return exits.FAILED


def _as_json(order: Order, outcomes: list[Outcome], code: int) -> dict[str, object]:
    seen, live = _totals(outcomes)
    rows = [outcome.row for outcome in outcomes] if order.sets else []
    return {
        "command": order.command,
        "target": str(order.target),
        "reason": order.reason,
        "actor": rows[0].actor if rows else order.actor,
        "at": rows[0].at if rows else None,
        "until": order.until,
        "seen": seen if _waited(outcomes) else None,
        "live": live if _waited(outcomes) else None,
        "ms": max((outcome.ms for outcome in outcomes), default=None),
        "homes": [_home_as_json(outcome) for outcome in outcomes],
        "exit": code,
    }


def _home_as_json(outcome: Outcome) -> dict[str, object]:
    return {
        "home": str(outcome.home),
        "generation": outcome.generation,
        "durable": outcome.row.durable,
        "seen": outcome.seen,
        "live": outcome.live,
        "ms": outcome.ms,
    }
