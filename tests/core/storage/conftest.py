"""What the storage tests share: stores in a fresh directory, events, and Python processes of their own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from deadstop.events import AgentEvent
from deadstop.storage.sqlite import SqliteEventStore
from deadstop.storage.writer import EventWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from deadstop.storage import EventStore

    MakeStore = Callable[..., SqliteEventStore]
    MakeWriter = Callable[..., EventWriter]
    Script = Callable[..., subprocess.CompletedProcess[str]]
    StartScript = Callable[..., subprocess.Popen[str]]

PRELUDE = """
import os, signal, sys, threading, time
from deadstop.events import AgentEvent
from deadstop.storage.sqlite import SqliteEventStore
from deadstop.storage.writer import EventWriter
from deadstop.storage.decisions import DecisionLog

def event(name, number=0, **more):
    return AgentEvent(time.time(), name, "action", {"n": number}, **more)

directory = sys.argv[1]
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "home" / "events"


@pytest.fixture
def make_store(directory: Path) -> Iterator[MakeStore]:
    with contextlib.ExitStack() as stack:

        def make(where: Path = directory, **options: Any) -> SqliteEventStore:
            store = SqliteEventStore(where, **options)
            stack.callback(store.close)
            return store

        yield make


@pytest.fixture
def store(make_store: MakeStore) -> SqliteEventStore:
    return make_store()


@pytest.fixture
def make_writer() -> Iterator[MakeWriter]:
    with contextlib.ExitStack() as stack:

        def make(store: EventStore, **options: Any) -> EventWriter:
            writer = EventWriter(store, **options)
            stack.callback(writer.close)
            return writer

        yield make


@pytest.fixture
def event() -> Callable[..., AgentEvent]:
    """Makes an event of now: `event("agent", "cost", {"n": 1}, id="x")`."""

    def make(
        agent: str = "a", event_type: str = "action", data: dict[str, object] | None = None, **fields: Any
    ) -> AgentEvent:
        return AgentEvent(fields.pop("timestamp", time.time()), agent, event_type, data or {}, **fields)

    return make


@pytest.fixture
def run_script() -> Script:
    """Runs Python code in a process of its own, after PRELUDE, and returns it when it has ended well."""

    def run(code: str, *arguments: object, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", PRELUDE + code, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture
def start_script() -> Iterator[StartScript]:
    """Starts Python code in a process of its own, after PRELUDE; its output is a pipe."""
    with contextlib.ExitStack() as stack:

        def start(code: str, *arguments: object) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", PRELUDE + code, *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Waits until something is true, at most 10 s."""

    def wait(true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    return wait
