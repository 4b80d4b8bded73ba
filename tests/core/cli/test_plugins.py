"""`plugins`, and the commands that plugins add."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .conftest import FAKE_DISTRIBUTION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Cli

COMMAND = """
from deadstop import hookimpl
from deadstop.specs import CommandSpec
@hookimpl
def deadstop_commands():
    def configure(parser): parser.add_argument("word")
    def run(args):
        print("{name} says", args.word, args.json)
        return 7
    yield CommandSpec(name="{name}", summary="a stranger's command", configure=configure, run=run)
"""


def test_it_tells_what_became_of_each_and_what_it_registers(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "deadstop.yaml").write_text("plugins:\n  disable: [blocked]\n")
    env = {"PYTHONPATH": str(FAKE_DISTRIBUTION)}
    told = cli("plugins", env=env)
    assert told.code == 0, told
    lines = {line.split()[0]: line for line in told.out.splitlines() if line.strip()}
    assert "active" in lines["deadstop"]
    assert "active" in lines["success"]
    assert "failed" in lines["importerror"]
    assert "this plugin needs a library that is not there" in lines["importerror"]
    assert "blocked" in lines["blocked"]
    found = {plugin["name"]: plugin for plugin in cli("plugins", "--json", env=env).json["plugins"]}
    assert found["success"]["registers"] == {"setting": ["fake"], "adapter": ["fake"]}
    assert found["importerror"]["status"] == "failed"
    assert "kill" in found["deadstop"]["registers"]["command"]
    assert found["deadstop"]["registers"]["policy"] == ["kill"]


def test_a_plugin_adds_a_command(cli: Cli, install: Callable[..., dict[str, str]]) -> None:
    env = install(hello=COMMAND.format(name="hello"))
    done = cli("hello", "world", "--json", env=env)
    assert (done.code, done.out) == (7, "hello says world True\n")
    assert "a stranger's command" in cli("--help", env=env).out
    assert cli("hello", env=env).code == 2


def test_a_command_of_the_name_of_a_built_in_one_is_an_error_that_names_both(
    cli: Cli, install: Callable[..., dict[str, str]]
) -> None:
    env = install(thief=COMMAND.format(name="status"))
    for told in (cli("plugins", env=env), cli("anything", env=env)):
        assert told.code == 1
        assert "both register 'status'" in told.err
        assert "'deadstop'" in told.err
        assert "'thief'" in told.err
    assert cli("doctor", env=env).code == 1
    assert cli("status", env=env).code == 0  # the built-in one, which needs no plugin
    overview = cli("--help", env=env)
    assert overview.code == 0
    assert "kill" in overview.out
    assert "'thief'" in overview.err


def test_a_plugin_that_ends_the_process_or_raises_says_so(cli: Cli, install: Callable[..., dict[str, str]]) -> None:
    env = install(rude="raise SystemExit('go away')", broken="1 / 0")
    done = cli("plugins", env=env)
    assert done.code == 1
    assert "go away" in done.err
    assert "Traceback" not in done.err
