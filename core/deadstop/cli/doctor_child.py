"""The process that `doctor` kills: `python -m deadstop.cli.doctor_child HOME AGENT`."""

from __future__ import annotations

import json
import sys
import time

from deadstop.config import AgentTrackConfig, MonitorConfig
from deadstop.errors import AgentStopped
from deadstop.monitor import Monitor
from deadstop.verdicts import StepKind

_LONGEST = 60.0  # seconds: nobody waits longer, and a forgotten child must end


def main(home: str, agent: str) -> int:
    """Run guarded steps until killed; print when that was, and how many events were stored. Return the exit code."""
    quiet = MonitorConfig(agents={agent: AgentTrackConfig(enabled=False)})  # only the refusal is stored
    with Monitor(quiet, home=home, discover=False) as monitor:
        print(json.dumps({"ready": True}), flush=True)
        stopped_at = _work(monitor, agent)
        monitor.drain()
        print(json.dumps({"stopped_at": stopped_at, "stored": monitor.status()["events_stored"]}), flush=True)
    return 0 if stopped_at else 1


def _work(monitor: Monitor, agent: str) -> float:
    deadline = time.monotonic() + _LONGEST
    try:
        with monitor.agent(agent):
            while time.monotonic() < deadline:
                with monitor.step(StepKind.TOOL, "doctor's step"):
                    time.sleep(0.002)
    except AgentStopped:
        return time.time()
    return 0.0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
