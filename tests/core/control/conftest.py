"""Real homes, real second processes, real small file systems."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from deadstop.control.local import LocalControl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROMPT = """
import os, sys, signal, time
from pathlib import Path
from deadstop.control.local import LocalControl, open_control
from deadstop.control.kill_switch import KillSwitch
home = Path(sys.argv[1])
control = open_control(home)
switch = KillSwitch(control)
{setup}
print("ready", flush=True)
for line in sys.stdin:
    print(repr(eval(line)), flush=True)
"""


class Child:
    """Another Python with `control` and `switch` on the same home, that evaluates what it is asked."""

    def __init__(self, home: Path, setup: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROMPT.format(setup=setup), str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert self.line() == "ready"

    @property
    def pid(self) -> int:
        return self.process.pid

    def line(self, timeout: float = 20.0) -> str:
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as ready:
            ready.register(self.process.stdout, selectors.EVENT_READ)
            assert ready.select(timeout), "the child says nothing"
        return self.process.stdout.readline().strip()

    def ask(self, expression: str) -> str:
        """Return the `repr` of *expression*, evaluated there; "" if that ended the child."""
        assert self.process.stdin is not None
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()
        return self.line()

    def end(self) -> int:
        """Let it come to its end in order."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(20)
        self.process.stdout.close()
        return code

    def destroy(self) -> None:
        self.process.kill()
        self.process.wait(20)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the user's state directory out of it, here and in children."""
    monkeypatch.delenv("DEADSTOP_HOME", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "deadstop"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def control(home: Path) -> Iterator[LocalControl]:
    control = LocalControl(home)
    yield control
    control.close()


@pytest.fixture
def spawn(home: Path) -> Iterator[Callable[..., Child]]:
    """Start children; what is left of them is ended after the test."""
    children: list[Child] = []

    def start(setup: str = "", *, at: Path = home) -> Child:
        children.append(Child(at, setup))
        return children[-1]

    yield start
    for child in children:
        child.destroy()


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait until something is true, at most *timeout* seconds."""

    def wait(true: Callable[[], object], timeout: float = 10.0) -> None:
        deadline = time.monotonic() + timeout
        while not true():
            assert time.monotonic() < deadline, "it never became true"
            time.sleep(0.005)

    return wait


class Disk:
    """A file system of one megabyte that can be filled, and made read-only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.home = path / "home"

    def fill(self) -> None:
        fd = os.open(self.path / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for size in (65_536, 4096, 1):
            try:
                while os.write(fd, bytes(size)):
                    pass
            except OSError:
                continue
        os.close(fd)

    def free(self) -> None:
        (self.path / "filler").unlink()

    def read_only(self, *, on: bool = True) -> None:
        subprocess.run(["mount", "-o", f"remount,{'ro' if on else 'rw'}", str(self.path)], check=True)

    @contextlib.contextmanager
    def read_only_view(self) -> Iterator[Path]:
        """The home as a second, read-only mount, while the first can be written."""
        view = self.path.with_name("view")
        view.mkdir()
        subprocess.run(["mount", "--bind", str(self.home), str(view)], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", str(view)], check=True)
            yield view
        finally:
            subprocess.run(["umount", "-l", str(view)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip(f"can't mount a small tmpfs here: {made.stderr.decode().strip()}")
    yield Disk(path)
    subprocess.run(["umount", "-l", str(path)], check=True)
