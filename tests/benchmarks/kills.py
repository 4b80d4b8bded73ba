"""How long a kill in one process takes to be obeyed in another: real processes, from entering `kill_agent`."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import Row, disk, file_system, fresh_home, spread

from deadstop import Monitor

if TYPE_CHECKING:
    from collections.abc import Iterator

KILLS = 80
MS = 1e3
AGENT = Path(__file__).with_name("stepping_agent.py")


def rows() -> Iterator[Row]:
    """Measure with the home in memory and on a disk."""
    yield from _rows("tmpfs", bar=5, on_disk=False)
    yield from _rows(file_system(disk()), bar=None, on_disk=True)


def _rows(where: str, *, bar: float | None, on_disk: bool) -> Iterator[Row]:
    refused, returned = measure(on_disk=on_disk)
    p50, p95, _ = spread(refused)
    what = f"`kill()` in one process -> refused in another, home on {where}"
    yield Row(f"{what}, p50", MS * p50, "ms")
    yield Row(f"{what}, p95", MS * p95, "ms", bar)
    yield Row(
        f"`kill()` until it returns (durable, with its event), home on {where}, p50", MS * spread(returned)[0], "ms"
    )


def measure(*, on_disk: bool) -> tuple[list[float], list[float]]:
    """Return, for each kill, the seconds until the other process refused a step, and until `kill_agent` returned.

    Both processes read the same CLOCK_MONOTONIC.
    """
    chance = random.Random(7)
    refused, returned = [], []
    with fresh_home(on_disk=on_disk) as home, Monitor(home=home, discover=False) as monitor, _agent(home) as agent:
        assert agent.stdin is not None
        assert agent.stdout is not None
        for _ in range(KILLS):
            agent.stdin.write("work\n")
            agent.stdin.flush()
            assert agent.stdout.readline() == "stepping\n"
            time.sleep(chance.uniform(0.005, 0.03))
            entered = time.monotonic()
            monitor.kill_agent("stepping", reason="benchmark")
            returned.append(time.monotonic() - entered)
            refused.append(float(agent.stdout.readline()) - entered)
            monitor.revive("stepping")
        agent.stdin.close()
        assert agent.wait(20) == 0
    return refused, returned


def _agent(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(AGENT), str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
