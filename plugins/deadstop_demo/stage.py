"""The stage of the demo: server, home, agent and, where it is guarded, the Monitor; all of it gone afterwards."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deadstop import Monitor
from deadstop.control import open_control
from deadstop.control.home import forget_home
from deadstop.testing import ScriptedModelServer
from deadstop_demo.agent import NAME, AgentThread, build
from deadstop_demo.script import Script
from deadstop_langchain import DeadstopCallbackHandler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadstop.control import Decision

_FOREIGN = ("OPENAI_", "LANGCHAIN_", "LANGSMITH_", "LANGGRAPH_")
REASON = "burning money"


class Stage:
    """Everything that runs.

    `in_force_since` is the epoch time from which every process must obey the kill, `said` what the command that killed
    has said.
    """

    def __init__(self, *, guard: bool, home: Path, server: ScriptedModelServer, script: Script) -> None:
        self.guard = guard
        self.home = home
        self.server = server
        self.script = script
        self.monitor = Monitor(home=home, discover=False) if guard else None
        self.control = open_control(home)
        self.since = time.time()
        callbacks = [] if self.monitor is None else [DeadstopCallbackHandler(self.monitor)]
        self.agent = AgentThread(build(server.base_url, script), callbacks)
        self.said = ""
        self._killer: subprocess.Popen[str] | None = None
        self._decision: Decision | None = None
        self.in_force_since = math.inf

    @property
    def decision(self) -> Decision | None:
        """The kill of the agent, from the history of decisions, whoever made it."""
        if self._decision is None:
            kills = [
                d for d in self.control.history(20) if (d.verb, d.action) == ("set", "kill") and d.at >= self.since
            ]
            self._decision = next((d for d in kills if d.scope == "global" or d.name == NAME), None)
            if self._decision is not None:
                self.in_force_since = self._told_at(self._decision)
        return self._decision

    def _told_at(self, decision: Decision) -> float:
        """Return the moment from which every process must obey *decision*.

        `decision.at` is when somebody pressed the key; writing it down durably takes the disk some milliseconds. The
        mirror of all kills is written right after every process was told, and before the command returns.
        """
        try:
            return max(decision.at, (self.home / "kills.json").stat().st_mtime)
        except OSError:
            return decision.at

    def is_known(self) -> bool:
        """Whether another terminal can find the agent by its name: processes tell of their agents once a second."""
        return any(NAME in row.agents for row in self.control.processes())

    def kill(self) -> None:
        """Type the command, as it were, in another terminal: another process, in another directory."""
        where = [] if self.guard else ["--home", str(self.home)]  # without deadstop nothing tells where the agent is
        command = [sys.executable, "-m", "deadstop", "kill", NAME, "--reason", REASON, *where]
        environment = {name: value for name, value in os.environ.items() if name != "DEADSTOP_HOME"}
        self._killer = subprocess.Popen(  # noqa: S603 - our own command, our own words
            command, cwd="/", env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def hear(self, patience: float = 0.0) -> None:
        """Note what the command that killed has said, if it ends within *patience* seconds."""
        if self._killer is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            out, err = self._killer.communicate(timeout=patience)
            self.said, self._killer = (out.strip() or err.strip()), None

    def close(self) -> None:
        """Let the agent end, revive what was killed, and give everything back."""
        with contextlib.ExitStack() as last:  # each of them happens, whatever becomes of the others
            if self.monitor is not None:
                last.callback(self.monitor.close)
            last.callback(self.control.close)
            last.callback(self._revive)
            self.script.over.set()
            self.agent.join(5.0)
            self.hear(5.0)

    def _revive(self) -> None:
        if self.decision is not None:
            self.control.clear("kill", self.decision.scope, self.decision.name, reason="the demo is over")


@contextlib.contextmanager
def set_up(*, guard: bool, home: str | None, most_calls: int) -> Iterator[Stage]:
    """Build the stage; take it down again. Without a *home* a temporary one is used, listed and forgotten."""
    directory = Path(tempfile.mkdtemp(prefix="deadstop-demo-")) if home is None else Path(home)
    script = Script(most_calls)
    try:
        with _no_foreign_settings(), ScriptedModelServer(script.answer, models=("scripted-model",)) as server:
            stage = Stage(guard=guard, home=directory, server=server, script=script)
            try:
                yield stage
            finally:
                stage.close()
    finally:
        if home is None:
            forget_home(directory)
            shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def _no_foreign_settings() -> Iterator[None]:
    """Keep keys, proxies and tracing of this terminal away from the demo: it talks to its own server and to nobody."""
    foreign = [name for name in os.environ if name.startswith(_FOREIGN) or name.lower().endswith("_proxy")]
    kept = {name: os.environ.pop(name) for name in foreign}
    try:
        yield
    finally:
        os.environ.update(kept)
