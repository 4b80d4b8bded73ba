"""The command line: `deadstop kill sales-agent`, one file per command.

`main` resolves the built-in commands before it looks for plugins: what stops an agent in an emergency must not depend
on whatever else is installed.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from deadstop.cli import exits
from deadstop.cli.text import note, visible

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

    from deadstop.specs import CommandSpec

BUILT_IN = ("status", "kill", "revive", "pause", "resume", "events", "validate", "plugins", "doctor", "version")
"""The built-in commands, in the order of the help; each is the module of its name in this package."""

_URGENT = frozenset({"kill", "revive", "pause", "resume"})


class _Exited(Exception):  # noqa: N818 - not an error of ours
    """Somebody's code called `sys.exit` with a text."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line in *argv* (default: the process's own) and return the exit code (see `cli.exits`)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _never_fail_on_encoding()
    if argv is None and arguments[:1] and arguments[0] in _URGENT:
        _import_msgspec_alone()
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return exits.PIPE_CLOSED
    except SystemExit as exit_:  # argparse: help (0) or wrong usage (2)
        return exit_.code if isinstance(exit_.code, int) else _failed(_Exited(exit_.code))
    except Exception as exc:
        return _failed(exc)
    return code


def builtin_commands() -> Iterable[CommandSpec]:
    """Yield the built-in commands."""
    return map(load_builtin, BUILT_IN)


def load_builtin(name: str) -> CommandSpec:
    """Import the built-in command *name*."""
    from deadstop.specs import CommandSpec

    module = _module(name)
    return CommandSpec(name=name, summary=module.SUMMARY, configure=module.configure, run=module.run)


def _module(name: str) -> Any:
    import importlib

    return importlib.import_module(f"deadstop.cli.{name}")


def _dispatch(arguments: list[str]) -> int:
    name = arguments[0] if arguments else "--help"
    if name in {"--version", "-V"}:
        name = "version"
    if name in BUILT_IN:
        module = _module(name)  # not its CommandSpec: that module costs 10 ms, and this may be an emergency
        return _run(name, module.SUMMARY, module.configure, module.run, arguments[1:])
    from deadstop.cli.commands import discovered, help_text, unknown

    if name in {"--help", "-h", "help"}:
        print(help_text(), file=sys.stdout if arguments else sys.stderr)
        return exits.OK if arguments else exits.USAGE
    if name.startswith("-"):
        note(f"{visible(name, 60)} is no command; see: deadstop --help")
        return exits.USAGE
    commands = discovered()
    if name not in commands:
        return unknown(name, commands)
    command = commands[name]
    return _run(name, command.summary, command.configure, command.run, arguments[1:])


def _run(
    name: str,
    summary: str,
    configure: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], int],
    arguments: list[str],
) -> int:
    from deadstop.cli.arguments import Parser

    parser = Parser(name, summary)
    configure(parser)
    return run(parser.parse_args(arguments))


def _import_msgspec_alone() -> None:
    """Import msgspec without typing_extensions, of which it makes use where it is installed.

    That takes 20 to 40 ms, a third of all that `deadstop kill` takes, for forms of types that we don't use.
    """
    if "msgspec" in sys.modules or "typing_extensions" in sys.modules:
        return
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # importing it now is an ImportError
    try:
        import msgspec  # noqa: F401
    finally:
        del sys.modules["typing_extensions"]


def _failed(exc: Exception) -> int:
    """Say what is wrong without a traceback, if it is no bug of ours."""
    from deadstop.errors import ConfigError, DeadstopError

    if not isinstance(exc, (DeadstopError, OSError, _Exited)):
        raise exc
    for line in str(exc).splitlines() or [type(exc).__name__]:
        note(visible(line))
    return exits.USAGE if isinstance(exc, ConfigError) else exits.FAILED


def _never_fail_on_encoding() -> None:
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a test may have put something simpler there
            reconfigure(errors="backslashreplace")


def _silence_stdout() -> None:
    """Whoever read our output has gone: the interpreter must not complain about that when it ends."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.close(devnull)
