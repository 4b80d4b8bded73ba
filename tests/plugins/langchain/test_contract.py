"""The adapter contract on real LangChain chains, LangGraph graphs and LangChain agents."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest
from deadstop.testing import AdapterContract
from deadstop.testing.contract_scenario import modes_for, scenarios_of
from langchain_drivers import ChainDriver

if TYPE_CHECKING:
    from pathlib import Path


class TestChain(AdapterContract):
    """A chain without a graph."""

    driver = ChainDriver()
    kills = 3
    runs = 200


if importlib.util.find_spec("langgraph") is not None:
    from langgraph_drivers import CreateAgentDriver, GraphDriver

    class TestGraph(AdapterContract):
        """A graph made by hand."""

        driver = GraphDriver()

    if importlib.util.find_spec("langchain") is not None and importlib.util.find_spec("langchain.agents.middleware"):

        class TestCreateAgent(AdapterContract):
            """LangChain's own agent."""

            driver = CreateAgentDriver()
            kills = 3
    runs = 200
