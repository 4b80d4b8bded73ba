"""Public fakes and the adapter suite, for tests of agents and for authors of adapters.

- `FakeClock`: wall and monotonic time that a test moves by hand.
- `ScriptedModelServer`: an HTTP server on 127.0.0.1 that answers as OpenAI's API would, from a script of `Turn`s, and
  logs when each request arrived and what became of it.
- `AdapterContract`: the suite that every adapter must pass.

Importing this package imports none of them: each name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deadstop.testing.clock import FakeClock as FakeClock
    from deadstop.testing.contract import AdapterContract as AdapterContract
    from deadstop.testing.model_script import Message as Message
    from deadstop.testing.model_script import ModelRequest as ModelRequest
    from deadstop.testing.model_script import Script as Script
    from deadstop.testing.model_script import ToolCallScript as ToolCallScript
    from deadstop.testing.model_script import Turn as Turn
    from deadstop.testing.model_server import ScriptedModelServer as ScriptedModelServer
    from deadstop.testing.request_log import RequestLog as RequestLog

# The public name -> the module that holds it. A new fake or suite is one line here, and one above for type checkers.
_LAZY = {
    "AdapterContract": "deadstop.testing.contract",
    "FakeClock": "deadstop.testing.clock",
    "Message": "deadstop.testing.model_script",
    "ModelRequest": "deadstop.testing.model_script",
    "RequestLog": "deadstop.testing.request_log",
    "Script": "deadstop.testing.model_script",
    "ScriptedModelServer": "deadstop.testing.model_server",
    "ToolCallScript": "deadstop.testing.model_script",
    "Turn": "deadstop.testing.model_script",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
