"""`AdapterContract`: the suite that every adapter must pass, with real agents, real HTTP and real kills.

```python
from deadstop.testing import AdapterContract

class TestMyFramework(AdapterContract):
    driver = MyDriver()          # see `deadstop.testing.contract_driver.AdapterDriver`: about 100 lines
```

The suite is a class of pytest tests; pytest is imported here and nowhere else in deadstop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from deadstop.monitor import Monitor
from deadstop.testing import contract_scenario
from deadstop.testing.contract_case import Case, ContractServer, state_home
from deadstop.testing.contract_driver import AdapterDriver, AgentPlan, Detached, Mode
from deadstop.testing.contract_harmless import HarmlessScenarios
from deadstop.testing.contract_stops import StopScenarios

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["AdapterContract", "AdapterDriver", "AgentPlan", "DetachedContract", "Mode"]


class AdapterContract(StopScenarios, HarmlessScenarios):
    """Inherit, name the class `Test...`, and set `driver`. Every scenario runs in each mode and way of the driver.

    A request counts as made *after* a kill when the server logged its arrival later than the return of `kill()` plus
    5 ms (see `Case.expect_nothing_after`). Kills come at random but repeatable moments, and at least one request has to
    come before them. A run that does not end within 20 s fails. `DetachedContract` checks the suite itself.
    """

    driver: ClassVar[AdapterDriver]
    server: ClassVar[ContractServer]

    def make_monitor(self, home: Path, plugins: Sequence[object]) -> Monitor:
        """Return a Monitor that keeps its state in *home*. Installed plugins are left out: only *plugins* count."""
        return Monitor(home=home, plugins=plugins, discover=False)

    @classmethod
    def setup_class(cls) -> None:
        """Start the scripted model behind all scenarios of the class."""
        cls.server = ContractServer()
        cls.server.start()

    @classmethod
    def teardown_class(cls) -> None:
        """Stop it."""
        cls.server.stop()

    @pytest.fixture
    def case(self, mode: Mode, way: str, tmp_path: Path) -> Iterator[Case]:
        """One scenario in one mode and way."""
        with state_home(tmp_path / "state"):
            case = self.new_case(mode, way, self.server, tmp_path / "home")
            yield case
            case.close()

    def new_case(self, mode: Mode, way: str, server: ContractServer, home: Path, *, detached: bool = False) -> Case:
        """Return a case, which its user closes; with *detached* the adapter is never attached."""
        driver: Any = Detached(self.driver) if detached else self.driver
        return Case(driver, mode, way, home=home, server=server, make_monitor=self.make_monitor)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give each scenario its modes and ways."""
        facts = getattr(metafunc.function, "scenario", None)
        if facts is None:
            return
        contract_scenario.check_names(type(self), self.driver)
        name = metafunc.function.__name__.removeprefix("test_")
        metafunc.parametrize(("mode", "way"), contract_scenario.cases(name, facts, self.driver))


_AS_IT_SHOULD = "the stop was swallowed|no AgentStopped|hangs|after the kill|of a killed agent"


class DetachedContract:
    """The check of a suite: with the adapter never attached, every scenario that stops something has to fail.

    Inherit, name the class `Test...`, and set `suite` to the class of your `AdapterContract`. One mode is enough where
    a failure takes long: `every_mode = False`.
    """

    suite: ClassVar[type[AdapterContract]]
    every_mode: ClassVar[bool] = True

    @classmethod
    def setup_class(cls) -> None:
        """Start the scripted model of the suite."""
        cls.suite.setup_class()

    @classmethod
    def teardown_class(cls) -> None:
        """Stop it."""
        cls.suite.teardown_class()

    def test_scenario_fails_detached(self, name: str, mode: Mode, tmp_path: Path) -> None:
        """A scenario that passes without an adapter shows nothing."""
        suite = self.suite()
        with state_home(tmp_path / "state"):
            case = suite.new_case(mode, "attach", self.suite.server, tmp_path / "home", detached=True)
            try:
                with pytest.raises(AssertionError, match=_AS_IT_SHOULD):
                    getattr(suite, f"test_{name}")(case)
            finally:
                case.close()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Every scenario that stops something, in the modes that it has."""
        driver = self.suite.driver
        stops = {name: facts for name, facts in contract_scenario.scenarios_of(self.suite).items() if facts.stops}
        pairs = [
            pytest.param(name, mode, id=f"{name}-{mode.name}")
            for name, facts in stops.items()
            if name not in driver.absent
            for mode in contract_scenario.modes_for(facts, driver)[: None if self.every_mode else 1]
        ]
        metafunc.parametrize(("name", "mode"), pairs)
