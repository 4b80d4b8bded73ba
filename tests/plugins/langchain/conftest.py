"""What the tests of the LangChain and LangGraph adapters share."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadstop import Monitor
    from deadstop.testing.contract_case import ContractServer

pytest.importorskip("langchain_core")
pytest.register_assert_rewrite("deadstop.testing.contract_case", "deadstop.testing.contract_stops")
sys.path.insert(0, str(Path(__file__).parent))  # the drivers beside this file
os.environ["LANGSMITH_TRACING"] = os.environ["LANGCHAIN_TRACING_V2"] = "false"


def pytest_configure(config: pytest.Config) -> None:
    """Two things that LangChain and httpx leave behind whenever a callback raises in an async run, ours or another."""
    # The calls of all handlers are made before the first is awaited: one that stops leaves the others unawaited.
    # A stream that is cut is not closed but collected, its nested generators all at once.
    for ignored in (
        "coroutine 'ahandle_event' was never awaited:RuntimeWarning",
        "Exception ignored in. <coroutine object ahandle_event:pytest.PytestUnraisableExceptionWarning",
        "Exception ignored in. <async_generator object:pytest.PytestUnraisableExceptionWarning",
    ):
        config.addinivalue_line("filterwarnings", f"ignore:{ignored}")


@pytest.fixture
def monitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Monitor]:
    """A Monitor with a home of its own that knows the adapter, installed or not."""
    import deadstop_langchain
    from deadstop import Monitor

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with Monitor(home=tmp_path / "home", plugins=[deadstop_langchain], discover=False) as made:
        yield made


@pytest.fixture(scope="session")
def shared_server() -> Iterator[ContractServer]:
    """One scripted model for the whole session: langchain-openai pools its clients by address."""
    from deadstop.testing.contract_case import ContractServer

    with ContractServer() as server:
        yield server


@pytest.fixture
def server(shared_server: ContractServer) -> ContractServer:
    """The scripted model, with an empty log."""
    from deadstop.testing import Turn

    shared_server.says(Turn("hello"))
    return shared_server
