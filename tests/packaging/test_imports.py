"""Importing us costs next to nothing and changes nothing: asked of fresh interpreters that watch what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .conftest import plugin_packages

if TYPE_CHECKING:
    from .conftest import Python

PACKAGES = ", ".join(sorted(plugin_packages()))
FIRST_LINES = f"import {PACKAGES}; from deadstop import AgentEvent, AgentStopped, Monitor, StepKind, Verdict, hookimpl"
"""What nearly every program imports."""
EVERYTHING = f"import {PACKAGES}; from deadstop import *"
"""Every public name. `KillState` and `load_config` need parts of the standard library that take their time."""

FRAMEWORKS = {
    "langchain", "langchain_core", "langchain_openai", "langgraph", "llama_index", "crewai", "autogen_core",
    "autogen_agentchat", "autogen", "agents", "semantic_kernel", "dify_plugin", "graphon",
    "openai", "anthropic", "httpx", "requests", "pydantic", "rich", "redis", "opentelemetry",
}  # fmt: skip
HEAVY = {
    "asyncio", "concurrent.futures.thread", "sqlite3", "http.client", "http.server", "email", "ssl", "socket", "uuid",
    "yaml", "multiprocessing", "logging.config", "logging.handlers", "importlib.metadata", "urllib.request", "decimal",
    "argparse", "subprocess", "unittest", "xml", "zipfile",
}  # fmt: skip
ALLOWED_VARIABLES = {"DEADSTOP_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "NO_COLOR"}

WATCH_IMPORTS = """
    import sys
    class Spy:
        def find_spec(self, name, path=None, target=None):
            asked.add(name)
    asked = set()
    sys.meta_path.insert(0, Spy())
"""

WATCH_DEEDS = """
    import _thread, os, sys, threading
    deeds = []
    def spy(module, name):
        original = getattr(module, name, None)
        if original is not None:
            setattr(module, name, lambda *a, **k: (deeds.append(f"{name} {a}"), original(*a, **k))[1])
    for module in (_thread, threading):
        for name in ("start_new_thread", "start_joinable_thread", "_start_new_thread", "_start_joinable_thread"):
            spy(module, name)
    def watch(event, args):
        if event == "open":
            path, mode, flags = args
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if not writes and str(path).endswith((".py", ".pyc", ".so")):
                return
            deeds.append(f"open {path} {mode}")
        elif event.startswith(("socket.", "sqlite3.", "subprocess.", "os.fork", "os.posix_spawn", "os.system",
                               "mmap.", "signal.", "urllib.", "os.mkdir", "os.remove", "os.rename",
                               "os.putenv", "os.unsetenv", "os.chdir", "fcntl.", "sys.setprofile", "sys.settrace")):
            deeds.append(f"{event} {args}")
"""

WATCH_ENVIRONMENT = """
    import os, sys
    reads = set()
    class Environ(type(os.environ)):
        def __getitem__(self, key):
            frame = sys._getframe(1)
            while frame.f_globals.get("__name__") in {"os", "_collections_abc", "collections.abc"}:
                frame = frame.f_back
            if str(frame.f_globals.get("__name__")).startswith("deadstop"):
                reads.add(key)
            return super().__getitem__(key)
        def __iter__(self):
            if str(sys._getframe(1).f_globals.get("__name__")).startswith("deadstop"):
                reads.add("all of them")
            return super().__iter__()
        def __contains__(self, key):
            if str(sys._getframe(1).f_globals.get("__name__")).startswith("deadstop"):
                reads.add(key)
            return super().__contains__(key)
    os.environ.__class__ = Environ
"""

REMEMBER_ATTRIBUTES = """
    import asyncio, builtins, concurrent.futures, http.client, io, logging, os, signal, socket, sqlite3, ssl
    import subprocess, sys, threading, time, warnings, weakref, atexit, contextvars, gc

    WATCHED = (asyncio, builtins, concurrent.futures, http.client, io, logging, os, signal, socket, sqlite3, ssl,
               subprocess, sys, threading, time, warnings, weakref, contextvars)
    MOVING = {"sys": {"modules", "path_importer_cache", "last_value", "last_exc"}, "builtins": {"_"}}

    def attributes():
        seen = {}
        for module in WATCHED:
            for name, value in vars(module).items():
                if name in MOVING.get(module.__name__, ()) or name == "__warningregistry__":
                    continue
                seen[f"{module.__name__}.{name}"] = id(value)
                if isinstance(value, type) and value.__module__.startswith(module.__name__):
                    for attribute, inner in vars(value).items():
                        if attribute not in {"__doc__", "__dict__", "__weakref__", "__abstractmethods__", "_abc_impl"}:
                            seen[f"{module.__name__}.{name}.{attribute}"] = id(inner)
        seen["handlers"] = [id(h) for h in logging.getLogger().handlers]
        seen["signals"] = [str(signal.getsignal(s)) for s in sorted(signal.valid_signals())]
        seen["filters"] = [str(f) for f in warnings.filters]
        seen["switch"] = [sys.getswitchinterval(), sys.getrecursionlimit(), str(sys.gettrace()), gc.get_threshold()]
        return seen
"""


def test_importing_us_looks_for_no_framework(python: Python) -> None:
    """Nor for an optional library: where one is missing an attempt would not show in `sys.modules`."""
    asked = python(f"{WATCH_IMPORTS}\n    {EVERYTHING}\n    tell(sorted(asked))")
    assert "deadstop.monitor" in asked
    assert {name.partition(".")[0] for name in asked} & FRAMEWORKS == set()


def test_importing_us_imports_no_heavy_part_of_the_standard_library(python: Python) -> None:
    """Beyond what our two libraries import themselves."""
    bare, ours = python("import msgspec, pluggy\ntell([*sys.modules])"), python(f"{FIRST_LINES}\ntell([*sys.modules])")
    assert (set(ours) - set(bare)) & HEAVY == set()


def test_importing_us_imports_no_other_library_than_the_core_s_own(python: Python) -> None:
    bare, ours = (
        python(
            f"""
    {imports}
    tell(sorted({{
        name.partition(".")[0] for name, module in list(sys.modules.items())
        if "site-packages" in str(getattr(module, "__file__", ""))
    }}))"""
        )
        for imports in ("import msgspec, pluggy", EVERYTHING)
    )
    assert {name for name in set(ours) - set(bare) if not name.startswith("deadstop")} == set()


@pytest.mark.parametrize(
    "deed", ["open('/dev/null', 'w')", "threading.Thread(target=int).start()", "__import__('socket').socket()"]
)
def test_the_watcher_sees_what_it_is_there_for(python: Python, deed: str) -> None:
    seen = python(f"{WATCH_DEEDS}\n    sys.addaudithook(watch)\n    {deed}\n    tell(deeds)")
    assert seen


def test_importing_us_opens_and_starts_nothing(python: Python) -> None:
    """No file but modules, no socket, no thread, no process, no signal handler."""
    assert python(f"{WATCH_DEEDS}\n    sys.addaudithook(watch)\n    {EVERYTHING}\n    tell(deeds)") == []


def test_importing_us_reads_no_environment_variable(python: Python) -> None:
    assert python(f"{WATCH_ENVIRONMENT}\n    {EVERYTHING}\n    tell(sorted(reads))") == []


def test_importing_us_patches_nothing(python: Python) -> None:
    changed = python(
        f"""{REMEMBER_ATTRIBUTES}
    before = attributes()
    {EVERYTHING}
    after = attributes()
    tell(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))"""
    )
    assert changed == []


def test_the_patch_finder_sees_what_it_is_there_for(python: Python) -> None:
    changed = python(
        f"""{REMEMBER_ATTRIBUTES}
    before = attributes()
    threading.Thread.start = lambda self: None
    after = attributes()
    tell(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))"""
    )
    assert changed == ["threading.Thread.start"]


def test_a_running_monitor_reads_no_other_environment_variable_than_its_home(python: Python) -> None:
    """A Monitor that runs a step, and the commands: DEADSTOP_HOME, XDG_* and NO_COLOR, nothing else."""
    reads = python(
        f"""{WATCH_ENVIRONMENT}
    import contextlib, io
    from deadstop import Monitor, StepKind
    from deadstop.cli import main
    with Monitor() as monitor, monitor.step(StepKind.TOOL, "search"):
        pass
    for line in (["status"], ["kill", "a"], ["revive", "a"], ["events"], ["plugins"], ["version"]):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            main(line)
    tell(sorted(reads))"""
    )
    assert "DEADSTOP_HOME" in reads
    assert set(reads) <= ALLOWED_VARIABLES
