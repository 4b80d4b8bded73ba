"""Which scenarios there are, and in which modes and ways each is run, skipped or expected to fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pytest

from deadstop.testing.contract_driver import REACHES, Mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadstop.testing.contract_driver import AdapterDriver, Reach

F = TypeVar("F", bound="Callable[..., Any]")


class Scenario(NamedTuple):
    """What a scenario needs. `stops`: it shows that something is stopped, and so fails with the adapter detached."""

    stops: bool = False
    streams: bool = False
    every_mode: bool = True
    reach: Reach = "refuse"
    reach_async: Reach = "refuse"


def scenario(
    *,
    stops: bool = False,
    streams: bool = False,
    every_mode: bool = True,
    reach: Reach = "refuse",
    reach_async: Reach | None = None,
) -> Callable[[F], F]:
    """Mark a test method of the contract as a scenario; *streams*: only for streaming modes."""
    facts = Scenario(stops, streams, every_mode, reach, reach_async or reach)

    def mark(method: F) -> F:
        method.scenario = facts  # type: ignore[attr-defined]
        return method

    return mark


def scenarios_of(suite: type) -> dict[str, Scenario]:
    """Return the scenarios of *suite* by name: the test's name without `test_`."""
    members = ((name, getattr(suite, name)) for name in dir(suite) if name.startswith("test_"))
    return {name[5:]: method.scenario for name, method in members if hasattr(method, "scenario")}


def modes_for(facts: Scenario, driver: AdapterDriver) -> list[Mode]:
    """Return the modes in which a scenario is run with *driver*."""
    modes = [mode for mode in driver.modes if mode.streams or not facts.streams]
    return modes if facts.every_mode else modes[:1]


def cases(name: str, facts: Scenario, driver: AdapterDriver) -> list[Any]:
    """Return the parameters (mode, way) of one scenario, with the marks that the driver asks for."""
    modes = modes_for(facts, driver)
    if not modes:
        none = pytest.mark.skip(reason="this framework has no streaming mode")
        return [pytest.param(None, None, marks=none, id="no stream")]
    return [
        pytest.param(mode, way, marks=_marks(name, facts, driver, mode), id=f"{mode.name}-{way}")
        for mode in modes
        for way in driver.ways
    ]


def check_names(suite: type, driver: AdapterDriver) -> None:
    """Raise ValueError if the driver excuses itself from a scenario or a mode that there is not: a slip of the pen."""
    known, modes = scenarios_of(suite), {mode.name for mode in driver.modes}
    for key in (*driver.absent, *driver.later):
        name, _, mode = key.partition("[")
        if name not in known or (mode and mode.rstrip("]") not in modes):
            raise ValueError(f"{type(driver).__name__}: there is no scenario {key!r}; known: {', '.join(known)}")


def _marks(name: str, facts: Scenario, driver: AdapterDriver, mode: Mode) -> list[Any]:
    keys = (name, f"{name}[{mode.name}]")
    if absent := next((driver.absent[key] for key in keys if key in driver.absent), None):
        return [pytest.mark.skip(reason=absent)]
    if later := next((driver.later[key] for key in keys if key in driver.later), None):
        return [pytest.mark.xfail(strict=True, raises=AssertionError, reason=later)]
    needed = facts.reach_async if mode.is_async else facts.reach
    if REACHES.index(needed) > REACHES.index(driver.reach):
        return [pytest.mark.skip(reason=f"this needs the reach {needed!r}; the adapter's is {driver.reach!r}")]
    return []
