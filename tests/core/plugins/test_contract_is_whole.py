"""The plugin contract can't rot: every hook is documented with its exact signature, and tested by name."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

from deadstop import hookspecs

REPO = Path(__file__).parents[3]
HOOKS = sorted(name for name, value in vars(hookspecs).items() if name.startswith("deadstop_") and callable(value))


def signature(hook: str) -> str:
    """The signature as it is written in hookspecs.py."""
    (function,) = (
        node
        for node in ast.walk(ast.parse(inspect.getsource(getattr(hookspecs, hook))))
        if isinstance(node, ast.FunctionDef)
    )
    arguments = ", ".join(ast.unparse(argument) for argument in function.args.args)
    assert function.returns is not None
    return f"{hook}({arguments}) -> {ast.unparse(function.returns)}"


def sections() -> dict[str, str]:
    """The text below each third-level heading of docs/hooks.md."""
    page = (REPO / "docs" / "hooks.md").read_text(encoding="utf-8")
    parts = re.split(r"^### `(.+)`$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_there_are_hooks() -> None:
    assert len(HOOKS) == 17


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_says_when_it_is_called(hook: str) -> None:
    assert len(inspect.getdoc(getattr(hookspecs, hook)) or "") > 20


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_a_heading_of_the_docs_with_its_exact_signature(hook: str) -> None:
    assert signature(hook) in sections()


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_an_example_that_is_python_and_implements_it(hook: str) -> None:
    example = re.search(r"```python\n(.+?)```", sections()[signature(hook)], re.DOTALL)
    assert example is not None
    tree = ast.parse(example[1])
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert hook in names


def test_the_docs_describe_no_hook_that_is_not_there() -> None:
    assert {heading.partition("(")[0] for heading in sections()} == set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_tested_by_name(hook: str) -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert re.search(rf"^(async )?def test_hook_{hook}_", source, re.MULTILINE), f"write a test_hook_{hook}_..."
