"""A plain Python agent that has run away, and is stopped from outside: no further model call, whatever it catches.

After a second somebody loses patience. Be faster, in another terminal: deadstop kill researcher
"""

from __future__ import annotations

import threading
import time

from deadstop import AgentKilled, Monitor, StepKind

monitor = Monitor()
model_calls: list[str] = []  # kept by the model itself


def ask_model(prompt: str) -> str:
    with monitor.step(StepKind.MODEL, "gpt-4o") as step:  # who is killed gets no further than this line
        model_calls.append(prompt)
        time.sleep(0.03)  # your client's call
        step.usage(input_tokens=len(prompt.split()), output_tokens=6)
    return "Not sure yet. Let me search once more."


def search(query: str) -> str:
    with monitor.step(StepKind.TOOL, "search", arguments={"query": query}):
        time.sleep(0.01)
    return f"Nothing was found for {query!r}."


@monitor.agent("researcher")
def agent(task: str) -> str:
    for _ in range(1_000):
        try:
            if "once more" not in ask_model(search(task)):
                return "found it"
        except Exception:  # noqa: S112 - many agents do this, and it keeps no killed one alive
            continue
    return "gave up"


def lose_patience() -> None:
    monitor.kill_agent("researcher", reason="burning money")
    print("model calls when it was killed:", len(model_calls))


timer = threading.Timer(1.0, lose_patience)
timer.start()
try:
    print(agent("How do I stop?"))
except AgentKilled as stop:
    print("stopped:", stop)
timer.cancel()
print("model calls in the end:        ", len(model_calls))
print("steps stored:", len(monitor.get_events(agent="researcher", event_type="action")))
monitor.revive("researcher")  # a kill holds over restarts, until somebody lifts it
