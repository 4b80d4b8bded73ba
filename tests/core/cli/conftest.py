"""The real command in real subprocesses, real agents in others, and a state directory that is the test's own."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAKE_DISTRIBUTION = Path(__file__).parents[2] / "data" / "fake_distribution"
SOON = 20.0  # seconds that anything may take before the test fails

# A plain Python loop: argv is the agent's name and, as JSON, the home, session, tags, and seconds to live after a stop.
AGENT = """
import json, sys, time
from deadstop import AgentStopped, Monitor, StepKind
name, facts = sys.argv[1], json.loads(sys.argv[2])
monitor = Monitor(home=facts.get("home"), discover=False)
work = lambda: monitor.agent(name, session_id=facts.get("session"), tags=facts.get("tags", ()))
print("ready", flush=True)
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    try:
        with work():
            while time.monotonic() < deadline:
                with monitor.step(StepKind.TOOL, "work"):
                    time.sleep(0.005)
    except AgentStopped as stop:
        print(json.dumps([type(stop).__name__, str(stop)]), flush=True)
        if not facts.get("again"):
            time.sleep(facts.get("linger", 0))
            break
        time.sleep(0.05)
monitor.close()
"""


def _listens_to_control_c() -> None:
    """A run in the background ignores SIGINT, and hands that down: the process under test must not inherit it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Result(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its stdout as JSON."""
        return json.loads(self.out)


class Cli(Protocol):
    """Runs `python -m deadstop` with the arguments."""

    def __call__(self, *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> Result: ...


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of every process of the test."""
    (tmp_path / "elsewhere").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DEADSTOP", "NO_COLOR", "FORCE"))}
    return {**kept, "XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path), "TERM": "xterm-256color"}


@pytest.fixture
def cli(tmp_path: Path, environment: dict[str, str]) -> Cli:
    """The command, run to its end in a directory where nothing is."""

    def run(*arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "deadstop", *arguments],
            cwd=cwd or tmp_path / "elsewhere",
            env={**environment, **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


class Process:
    """A process whose lines are read with a deadline."""

    def __init__(self, command: list[str], *, cwd: Path, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=_listens_to_control_c,  # noqa: PLW1509 - one call of signal(), no lock
        )
        self._rest = b""

    def line(self, seconds: float = SOON) -> str:
        """The next line of stdout; the test fails if none comes."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + seconds
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            got = os.read(self.process.stdout.fileno(), 65_536) if ready else b""
            if not got:
                error = self.process.stderr.read() if self.process.poll() is not None and self.process.stderr else b""
                pytest.fail(f"no line came: {self._rest!r} {error.decode()}")
            self._rest += got
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def end(self, seconds: float = SOON) -> tuple[int, str]:
        """The exit code and stderr, once it has ended by itself."""
        code = self.process.wait(seconds)
        assert self.process.stderr is not None
        return code, self.process.stderr.read().decode()

    def close(self) -> None:
        """End it, whatever it is doing."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(SOON)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class Start(Protocol):
    """Starts `python -m deadstop` and leaves it running."""

    def __call__(self, *arguments: str) -> Process: ...


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Start]:
    """The command, left running; ended with the test."""
    started: list[Process] = []

    def run(*arguments: str) -> Process:
        command = [sys.executable, "-m", "deadstop", *arguments]
        started.append(Process(command, cwd=tmp_path / "elsewhere", env=environment))
        return started[-1]

    yield run
    for process in started:
        process.close()


class Agent(Process):
    """An agent that works in a process of its own."""

    def stopped(self) -> list[str]:
        """The class and the text of the stop that reached it."""
        told: list[str] = json.loads(self.line())
        return told


class StartAgent(Protocol):
    """Starts an agent; returns once its process tells others of it, unless `told` is False."""

    def __call__(self, name: str, *, told: bool = True, **facts: Any) -> Agent: ...


@pytest.fixture
def agent(tmp_path: Path, environment: dict[str, str], until: Callable[..., None]) -> Iterator[StartAgent]:
    """Agents in processes of their own, working in a directory of theirs; ended with the test."""
    started: list[Agent] = []
    where = tmp_path / "agents"
    where.mkdir()

    def run(name: str, *, told: bool = True, **facts: Any) -> Agent:
        command = [sys.executable, "-c", AGENT, name, json.dumps(facts)]
        process = Agent(command, cwd=where, env=environment)
        started.append(process)
        assert process.line() == "ready"
        home = Path(facts.get("home") or tmp_path / "state" / "deadstop" / "home")
        if told:
            until(lambda: any(b"tool work" in row for row in _rows(home, process.process.pid)))
        return process

    yield run
    for process in started:
        process.close()


def _rows(home: Path, pid: int) -> list[bytes]:
    return [path.read_bytes() for path in (home / "processes").glob(f"{pid}-*.json")]


@pytest.fixture
def until() -> Callable[..., None]:
    """Poll with a deadline."""

    def wait(condition: Callable[[], Any], *, seconds: float = SOON) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.01)

    return wait


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home that is used where none is named."""
    return tmp_path / "state" / "deadstop" / "home"


class OnTerminal(Protocol):
    """Runs the command on a terminal; returns the exit code and everything it wrote there."""

    def __call__(self, *arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]: ...


@pytest.fixture
def on_terminal(tmp_path: Path, environment: dict[str, str]) -> OnTerminal:
    """The command on a pseudo-terminal."""

    def run(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "deadstop", *arguments],
            cwd=tmp_path / "elsewhere",
            env={**environment, "COLUMNS": "120", **(env or {})},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        written = b""
        with contextlib.suppress(OSError):  # Linux says that the other side was closed with an error
            while got := os.read(ours, 65_536):
                written += got
        os.close(ours)
        return process.wait(SOON), written.decode()

    return run


def without_colour(text: str) -> str:
    """*text* without the sequences that set colours, and with the line ends of files."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r\n", "\n")


@pytest.fixture
def hide_rich(tmp_path: Path) -> dict[str, str]:
    """An environment in which rich is not installed."""
    folder = tmp_path / "no_rich" / "rich"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text('raise ImportError("not installed")\n')
    return {"PYTHONPATH": str(folder.parent)}


@pytest.fixture
def install(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Install fake plugins: `install(name="source")` returns the environment in which they are found."""

    def fake(**sources: str) -> dict[str, str]:
        folder = tmp_path / "site"
        info = folder / "fake_plugins-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-plugins\nVersion: 1.0\n")
        lines = [f"{name} = fake_{name}" for name in sources]
        (info / "entry_points.txt").write_text("\n".join(["[deadstop]", *lines, ""]))
        for name, source in sources.items():
            (folder / f"fake_{name}.py").write_text(source)
        return {"PYTHONPATH": str(folder)}

    return fake
