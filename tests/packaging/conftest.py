"""The wheel under test, an sdist, and fresh interpreters: what a user meets who has just installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from pathlib import PurePath

REPO = Path(__file__).parents[2]


class Python(Protocol):
    """Runs code in a fresh interpreter, away from the checkout, and returns what it hands to `tell(...)`."""

    def __call__(self, code: str, *, path: tuple[Path, ...] = (), env: dict[str, str] | None = None) -> Any: ...


@pytest.fixture
def python(tmp_path: Path) -> Python:
    """Code in an interpreter that has imported nothing; *path* goes before everything on its `sys.path`."""

    def run(code: str, *, path: tuple[Path, ...] = (), env: dict[str, str] | None = None) -> Any:
        before = f"import sys\nsys.path[:0] = {[str(p) for p in path]!r}\n"
        after = "\ndef tell(answer):\n    import json\n    sys.stdout.write(json.dumps(answer))\n"
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        done = subprocess.run(
            [sys.executable, "-c", before + after + textwrap.dedent(code)],
            cwd=tmp_path,
            env={**kept, "XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that tox built and installed here; outside tox, one built now."""
    if built := os.environ.get("TOX_PACKAGE"):
        return Path(built)
    return build("--wheel", REPO, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source distribution of the checkout."""
    return build("--sdist", REPO, tmp_path_factory.mktemp("sdist"))


def build(kind: str, source: Path, target: Path) -> Path:
    """Build the distribution *kind* of the tree *source*, without isolation: nothing is downloaded."""
    command = [sys.executable, "-m", "build", kind, "--no-isolation", "--outdir", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = target.iterdir()
    return made


def source_files() -> set[str]:
    """Return what the wheel must hold of the two source roots, as names inside the wheel."""
    files: set[str] = set()
    for root in (REPO / "core", REPO / "plugins"):
        files |= {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file() and _ships(p)}
    return files


def _ships(path: PurePath) -> bool:
    return "__pycache__" not in path.parts and path.suffix not in {".md", ".pyc"}


def plugin_packages() -> set[str]:
    """Return the import names of the adapters in the checkout."""
    return {path.name for path in (REPO / "plugins").iterdir() if path.is_dir() and path.name.startswith("deadstop_")}


@pytest.fixture(scope="session")
def wheel_names(wheel: Path) -> set[str]:
    """The names of the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())
