"""One event as one line for people."""

from __future__ import annotations

from typing import Any

from deadstop.cli.text import columns, visible, when


def line_of(event: dict[str, Any]) -> str:
    """Return time, type, agent, step and what else matters of *event*, on one line."""
    head = (
        f"{when(float(event['timestamp']))}  {_padded(event['event_type'], 12)}  {_padded(event['agent'] or '-', 20)}"
    )
    return f"{head}  {'  '.join(_details(event))}".rstrip()


def _padded(value: object, width: int) -> str:
    text = visible(value, width)
    return text + " " * (width - columns(text))


def _details(event: dict[str, Any]) -> list[str]:
    data = event["data"] if isinstance(event["data"], dict) else {}
    details = []
    if event["kind"]:
        details.append(f"{event['kind']} {visible(event['name'], 40)}")
    elif "target" in data:
        details.append(visible(data["target"], 60))
    usage = data.get("usage")
    if isinstance(usage, dict):
        details.append(f"{visible(usage.get('input_tokens', 0))} in {visible(usage.get('output_tokens', 0))} out")
    if event["cost_usd"] is not None:
        details.append(f"${float(event['cost_usd']):.6f}".rstrip("0").rstrip("."))
    if event["latency_ms"] is not None:
        details.append(f"{float(event['latency_ms']):.0f} ms")
    details += [visible(data[key], 80) for key in ("reason", "error", "actor") if data.get(key)]
    if event["session_id"]:
        details.append(f"session {visible(event['session_id'], 40)}")
    return details
