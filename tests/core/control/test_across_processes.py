"""A kill holds everywhere, at once, over restarts, and nobody's is lost."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

from deadstop.names import clean_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deadstop.control.local import LocalControl

WRITER = """
import sys
from pathlib import Path
from deadstop.control.local import LocalControl
control, who = LocalControl(Path(sys.argv[1])), sys.argv[2]
last = 0
for i in range(50):
    row = control.set("kill", "agent", f"{who}-{i}")
    assert row.durable and row.generation > last, row
    assert control.is_killed(f"{who}-{i}")
    last = row.generation
    if i % 2:
        lifted = control.clear("kill", "agent", f"{who}-{i}")
        assert lifted is not None and lifted.durable, lifted
        assert control.generation > last
        last = control.generation
"""


def test_a_kill_in_one_process_is_seen_in_another_by_its_next_check(
    control: LocalControl, spawn: Callable[..., Any]
) -> None:
    other = spawn()
    assert other.ask("control.is_killed('sales')") == "False"
    control.set("kill", "agent", "sales", reason="burning money")
    assert other.ask("control.is_killed('sales')") == "True"
    assert other.ask("control.current().match(('boss', 'sales'), None, None).reason") == "'burning money'"
    control.clear("kill", "agent", "sales")
    assert other.ask("control.is_killed('sales')") == "False"


def test_a_kill_holds_over_restarts_until_it_is_revived(spawn: Callable[..., Any]) -> None:
    first = spawn()
    first.ask("switch.kill_session('s1', 'stop')")
    first.destroy()
    second = spawn()
    assert second.ask("control.is_killed('any', 's1')") == "True"
    second.ask("switch.revive(session_id='s1')")
    second.end()
    assert spawn().ask("control.is_killed('any', 's1')") == "False"


def test_two_kills_at_once_are_both_kept(spawn: Callable[..., Any], control: LocalControl) -> None:
    """The neighbours' last writer wins and the first kill is gone (peers d29)."""
    one, two = spawn(), spawn()
    for child, name in ((one, "x"), (two, "y")):
        child.process.stdin.write(f"switch.kill_agent({name!r})\n")
    one.line()
    two.line()
    assert {row.name for row in control.current().rows} == {"x", "y"}


def test_eight_writers_lose_nothing_and_generations_only_rise(home: Path, control: LocalControl) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(home), f"w{n}"]) for n in range(8)]
    assert [writer.wait(100) for writer in writers] == [0] * 8
    expected = {f"w{n}-{i}" for n in range(8) for i in range(0, 50, 2)}
    assert {row.name for row in control.current().rows} == expected
    assert len({row.generation for row in control.current().rows}) == len(expected)
    assert control.generation == 8 * 75
    assert len(control.history(10_000)) == 8 * 75


def test_a_kill_of_everything_stops_agents_nobody_has_seen(control: LocalControl, spawn: Callable[..., Any]) -> None:
    other = spawn()
    control.set("kill", "global", reason="fire")
    assert other.ask("control.is_killed('never seen')") == "True"
    control.set("kill", "agent", "one")
    control.clear("kill", "global")
    assert other.ask("[control.is_killed(name) for name in ('never seen', 'one')]") == "[False, True]"


def test_revive_leaves_a_pause_and_resume_leaves_a_kill(control: LocalControl) -> None:
    for action in ("kill", "pause"):
        control.set(action, "agent", "a")
    control.clear("kill", "agent", "a")
    assert [row.action for row in control.current().rows] == ["pause"]
    control.set("kill", "agent", "a")
    control.clear("pause", "agent", "a")
    assert [row.action for row in control.current().rows] == ["kill"]


def test_clear_lifts_every_policys_kill_or_the_one_policy_asked_for(control: LocalControl) -> None:
    control.set("kill", "agent", "a")
    control.set("kill", "agent", "a", policy="cost_guard", reason="too dear")
    control.set("kill", "agent", "b")
    lifted = control.clear("kill", "agent", "a", policy="cost_guard")
    assert lifted is not None
    assert lifted.reason == "too dear"
    assert control.is_killed("a")
    control.set("kill", "agent", "a", policy="cost_guard")
    control.clear("kill", "agent", "a")
    assert (control.is_killed("a"), control.is_killed("b")) == (False, True)


def test_clear_of_what_is_not_there_changes_nothing(control: LocalControl) -> None:
    before = control.generation
    assert control.clear("kill", "agent", "nobody") is None
    assert control.generation == before
    assert control.history() == []


def test_the_history_says_who_did_what_when_and_why(control: LocalControl) -> None:
    control.set("kill", "agent", "a", reason="why", actor="ann")
    control.set("pause", "session", "s", until=2e9)
    control.clear("kill", "agent", "a", reason="fine again", actor="bob")
    third, second, first = control.history()
    assert (first.verb, first.scope, first.name, first.reason, first.actor) == ("set", "agent", "a", "why", "ann")
    assert (second.action, second.until, second.policy) == ("pause", 2e9, "pause")
    assert (third.verb, third.reason, third.actor) == ("clear", "fine again", "bob")
    assert first.generation < second.generation < third.generation
    assert control.history(1) == [third]
    assert str(__import__("os").getpid()) in second.actor


def test_hostile_names_and_reasons_are_stored_and_matched(control: LocalControl, spawn: Callable[..., Any]) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError

    for name in ("a:b/c", "<b>", "x\ny", "\0x", "'; DROP TABLE controls; --", "é", "z" * 200):
        assert control.set("kill", "agent", name, reason="\ud800" * 3000).durable
        assert control.is_killed(clean_name(name))
    control.set("kill", "agent", "odd", reason=Unprintable())  # type: ignore[arg-type]
    other = spawn()
    assert other.ask(r"[control.is_killed(n) for n in ('a:b/c', 'x y', 'x', 'odd')]") == "[True, True, True, True]"
    assert all(len(row.reason) <= 2000 for row in control.current().rows)
