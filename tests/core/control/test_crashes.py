"""A writer that dies half way: nothing is lost, nothing comes back, and the others mend it within the second."""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from deadstop.control.local import LocalControl
from deadstop.control.mirror import Mirror, State, in_force, read_mirror
from deadstop.control.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable

DIE_BEFORE_BUMP = "control.writer._announce = lambda generation: os.kill(os.getpid(), signal.SIGKILL)"
DIE_BEFORE_MIRROR = "control.writer.mirror = lambda state: os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize("death", [DIE_BEFORE_BUMP, DIE_BEFORE_MIRROR])
def test_a_kill_whose_writer_died_is_in_force_everywhere_within_the_second(
    control: LocalControl, spawn: Callable[..., Any], eventually: Callable[..., None], death: str
) -> None:
    control.start()
    dying = spawn(death)
    assert dying.ask("switch.kill_agent('a')") == ""
    assert dying.process.wait(10) == -signal.SIGKILL
    eventually(lambda: control.is_killed("a"), 3.0)
    eventually(lambda: [row.name for row in read_mirror(control.home / "kills.json").kills] == ["a"], 3.0)
    eventually(lambda: control.view[0] == control.table.generation, 3.0)


@pytest.mark.parametrize("death", [DIE_BEFORE_BUMP, DIE_BEFORE_MIRROR])
def test_a_revive_whose_writer_died_is_not_undone_by_the_mirror(
    control: LocalControl, spawn: Callable[..., Any], death: str
) -> None:
    control.set("kill", "agent", "a")
    dying = spawn(death)
    assert dying.ask("switch.revive('a')") == ""
    assert [row.name for row in read_mirror(control.home / "kills.json").kills] == ["a"]
    assert spawn().ask("control.is_killed('a')") == "False"


def test_a_writer_killed_at_any_moment_leaves_a_home_that_works(
    home: Path, spawn: Callable[..., Any], control: LocalControl
) -> None:
    """Twenty rounds of kill -9 in mid-write: what was acknowledged is there, and the next writer is not held up."""
    endless = (
        "n = [0]\ndef go():\n    while True:\n        n[0] += 1; switch.kill_agent(f'r{n[0]}'); print(n[0], flush=True)"
    )
    for delay in range(20):
        writer = spawn(endless)
        writer.process.stdin.write("go()\n")
        for _ in range(delay % 5 + 1):
            acknowledged = int(writer.line())
        writer.destroy()
        fresh = LocalControl(home)
        assert {f"r{n}" for n in range(1, acknowledged + 1)} <= {row.name for row in fresh.current().rows}
        assert fresh.set("kill", "agent", "next").durable
    assert not list(home.glob("*broken*"))


ROW = Row("kill", "agent", "a", policy="kill")
OTHER = Row("kill", "agent", "b", policy="kill")
PAUSE = Row("pause", "agent", "p", policy="pause")


@pytest.mark.parametrize(
    ("state", "mirror", "names"),
    [
        (None, None, None),
        (State(5, (ROW,)), None, {"a"}),
        (None, Mirror(5, [ROW]), {"a"}),
        (State(5, ()), Mirror(5, [ROW]), set()),
        (State(5, ()), Mirror(4, [ROW]), set()),
        (State(5, (ROW, PAUSE)), Mirror(6, [OTHER]), {"a", "b", "p"}),
        (State(5, (ROW, PAUSE), complete=False), Mirror(6, [OTHER]), {"b", "p"}),
        (State(5, (ROW, PAUSE), complete=False), Mirror(5, [OTHER]), {"a", "p"}),
    ],
)
def test_the_rule_of_database_and_mirror(state: State | None, mirror: Mirror | None, names: set[str] | None) -> None:
    found = in_force(state, mirror)
    assert (None if found is None else {row.name for row in found.rows}) == names


class Died(BaseException):
    """Stands for the end of a process between two of its writes."""


def die(*_: object) -> NoReturn:
    raise Died


class Homes(RuleBasedStateMachine):
    """Sets, clears, deaths between the writes and lost files in any order, held against two plain sets."""

    names = st.sampled_from("abc")
    deaths = st.sampled_from([None, None, "bump", "mirror"])

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.killed: set[str] = set()
        self.mirrored: set[str] = set()
        self.restart()

    def restart(self) -> None:
        """What a new process does first."""
        self.control = LocalControl(self.folder / "home")

    @rule(name=names, kill=st.booleans(), death=deaths)
    def change(self, name: str, kill: bool, death: str | None) -> None:
        after = self.killed | {name} if kill else self.killed - {name}
        if death == "bump":
            self.control.writer._announce = die
        if death == "mirror":
            self.control.writer.mirror = die  # type: ignore[method-assign]
        try:
            (self.control.set if kill else self.control.clear)("kill", "agent", name)
        except Died:
            pass
        else:
            self.mirrored = set(after) if after != self.killed or kill else self.mirrored
        self.killed = after
        if death:
            self.restart()

    @rule()
    def watch(self) -> None:
        self.control.check()
        self.mirrored = set(self.killed)

    @rule()
    def lose_database(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            (self.folder / "home" / f"control.db{suffix}").unlink(missing_ok=True)
        self.killed = set(self.mirrored)
        self.restart()

    @rule()
    def lose_mirror(self) -> None:
        (self.folder / "home" / "kills.json").unlink(missing_ok=True)
        self.watch()

    @rule()
    def lose_word(self) -> None:
        (self.folder / "home" / "control.gen").unlink()
        self.restart()

    @invariant()
    def everybody_sees_what_was_decided(self) -> None:
        seen = LocalControl(self.folder / "home")
        assert {row.name for row in seen.current().rows} == self.killed
        assert {name for name in "abc" if self.control.is_killed(name)} == self.killed

    def teardown(self) -> None:
        with contextlib.suppress(AttributeError):
            shutil.rmtree(self.folder)


class TestHomes(Homes.TestCase):  # type: ignore[misc]
    """Run the machine above."""

    settings = settings(
        max_examples=25,
        stateful_step_count=15,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
