from __future__ import annotations

import threading

import pytest

from deadstop.testing import FakeClock


def test_time_stands_still_until_it_is_moved() -> None:
    clock = FakeClock(wall=100.0, monotonic=5.0)
    assert (clock.time(), clock.monotonic()) == (100.0, 5.0)
    assert (clock.time(), clock.monotonic()) == (100.0, 5.0)


def test_advance_moves_both_clocks() -> None:
    clock = FakeClock(wall=100.0, monotonic=5.0)
    clock.advance(2.5)
    assert (clock.time(), clock.monotonic()) == (102.5, 7.5)


@pytest.mark.parametrize("epoch", [10.0, 5_000_000_000.0])
def test_a_wall_jump_in_either_direction_leaves_monotonic_time_alone(epoch: float) -> None:
    clock = FakeClock(wall=100.0, monotonic=5.0)
    clock.set_wall(epoch)
    assert (clock.time(), clock.monotonic()) == (epoch, 5.0)
    clock.advance(1)
    assert (clock.time(), clock.monotonic()) == (epoch + 1, 6.0)


def test_neither_clock_starts_at_zero() -> None:
    """A zero that means "not set" must not look like a time."""
    clock = FakeClock()
    assert clock.time() > 0
    assert clock.monotonic() > 0


def test_small_steps_add_up_without_rounding_errors() -> None:
    clock = FakeClock(wall=1.0, monotonic=1.0)
    for _ in range(10):
        clock.advance(0.1)
    assert (clock.time(), clock.monotonic()) == (2.0, 2.0)


@pytest.mark.parametrize("seconds", [-0.1, float("nan"), float("inf")])
def test_advance_refuses_what_no_time_can_do(seconds: float) -> None:
    clock = FakeClock(monotonic=5.0)
    with pytest.raises(ValueError, match=r"backwards|finite"):
        clock.advance(seconds)
    assert clock.monotonic() == 5.0


def test_set_wall_refuses_nan() -> None:
    with pytest.raises(ValueError, match="finite"):
        FakeClock().set_wall(float("nan"))


def test_threads_that_advance_together_lose_no_step() -> None:
    clock = FakeClock(monotonic=1.0)

    def many_steps() -> None:
        for _ in range(5_000):
            clock.advance(0.001)

    threads = [threading.Thread(target=many_steps) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.monotonic() == 21.0
