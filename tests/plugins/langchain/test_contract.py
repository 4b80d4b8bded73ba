"""The adapter contract on real LangChain chains, LangGraph graphs and LangChain agents."""

from __future__ import annotations

import importlib.util

from langchain_drivers import ChainDriver

from deadstop.testing import AdapterContract
from deadstop.testing.contract import DetachedContract

HAS_GRAPHS = importlib.util.find_spec("langgraph") is not None
HAS_AGENTS = HAS_GRAPHS and importlib.util.find_spec("langchain") is not None


class TestChain(AdapterContract):
    """A chain without a graph."""

    driver = ChainDriver()
    kills = 2
    runs = 200


class TestChainDetached(DetachedContract):
    """The suite on a chain, checked."""

    suite = TestChain
    every_mode = False


if HAS_GRAPHS:
    from langgraph_drivers import CreateAgentDriver, GraphDriver

    class TestGraph(AdapterContract):
        """A graph made by hand."""

        driver = GraphDriver()
        kills = 3

    class TestGraphDetached(DetachedContract):
        """The suite on a graph, checked in every mode."""

        suite = TestGraph


if HAS_AGENTS:

    class TestCreateAgent(AdapterContract):
        """LangChain's own agent."""

        driver = CreateAgentDriver()
        kills = 2
        runs = 200

    class TestCreateAgentDetached(DetachedContract):
        """The suite on LangChain's own agent, checked."""

        suite = TestCreateAgent
        every_mode = False
