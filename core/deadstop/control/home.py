"""Where the control plane lives: finding the home, making it, and listing it so that any terminal can find it."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path

from deadstop.control.files import write_atomic
from deadstop.errors import ConfigError

CONFIG_FILE = "deadstop.yaml"
FORGET_AFTER = 7 * 86_400.0  # seconds: a home that is gone this long after it was listed is no longer remembered


def find_home(explicit: Path | str | None = None, config_home: Path | None = None, start: Path | None = None) -> Path:
    """Return the absolute path of the home, made or not.

    The first that is given: *explicit*, `$DEADSTOP_HOME`, *config_home* (the `home:` of a loaded config), `.deadstop/`
    beside the nearest `deadstop.yaml` at or above *start* (default: the working directory), the user's state
    directory. Never the bare working directory. Raises ConfigError where not even a user directory is known.
    """
    if explicit is not None:
        return _absolute(explicit)
    if from_environment := os.environ.get("DEADSTOP_HOME"):
        return _absolute(from_environment)
    if config_home is not None:
        return _absolute(config_home)
    if (beside := _beside_config(start)) is not None:
        return beside
    return state_directory() / "home"


def state_directory() -> Path:
    """Return the user's state directory of deadstop: `$XDG_STATE_HOME/deadstop` or `~/.local/state/deadstop`."""
    given = os.environ.get("XDG_STATE_HOME", "")
    if given and Path(given).is_absolute():  # the XDG specification: a relative path is to be ignored
        return Path(given) / "deadstop"
    try:
        return Path.home() / ".local" / "state" / "deadstop"
    except RuntimeError as exc:
        raise ConfigError("this user has no home directory: set DEADSTOP_HOME to a directory for deadstop") from exc


def ensure_home(path: Path) -> bool:
    """Make the directory *path*, mode 0700, and tighten a looser one that is ours. Return whether it is there.

    False on a read-only or forbidden place: agents go on there, kills are then in force in their process only.
    Raises ConfigError where *path*, or what should be a directory above it, is a file.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as exc:
        raise ConfigError(f"the home {path} is not a directory: name another one, or remove the file") from exc
    except OSError:
        return False
    with contextlib.suppress(OSError):
        found = path.stat()
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & 0o077:
            path.chmod(0o700)
    return True


def register_home(path: Path) -> bool:
    """List *path* in the user's state directory, once. Return whether it is listed now; never raises."""
    try:
        entry = _entry(path)
        content = os.fsencode(os.path.realpath(path))
        if entry.exists() and entry.read_bytes() == content:
            return True
        entry.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(entry, content, durable=False)
    except (OSError, ConfigError):
        return False
    return True


def forget_home(path: Path) -> None:
    """Take *path* off the list: a temporary home that is about to be deleted. Never raises."""
    with contextlib.suppress(OSError, ConfigError):
        _entry(path).unlink()


def listed_homes() -> list[Path]:
    """Return the listed homes that exist, in the order of their paths. Never raises."""
    try:
        entries = sorted((state_directory() / "homes").iterdir())
    except (OSError, ConfigError):
        return []
    return sorted({home for entry in entries if (home := _listed(entry)) is not None})


def _listed(entry: Path) -> Path | None:
    if entry.name.startswith("."):
        return None
    try:
        home = Path(os.fsdecode(entry.read_bytes()))
        if home.is_absolute() and home.is_dir():
            return home
        if time.time() - entry.stat().st_mtime > FORGET_AFTER:  # not at once: it may be an unmounted disk
            entry.unlink()
    except (OSError, ValueError):
        pass
    return None


def _entry(home: Path) -> Path:
    import hashlib  # late: it loads OpenSSL

    digest = hashlib.sha256(os.fsencode(os.path.realpath(home))).hexdigest()
    return state_directory() / "homes" / digest[:20]


def _absolute(path: Path | str) -> Path:
    try:
        return Path(path).expanduser().absolute()
    except (OSError, RuntimeError, ValueError, TypeError) as exc:
        raise ConfigError(f"the home {path!r} is no usable path: {exc}") from exc


def _beside_config(start: Path | None) -> Path | None:
    try:
        folder = (Path.cwd() if start is None else start).resolve()
    except (OSError, RuntimeError):  # the working directory was deleted under us
        return None
    for place in (folder, *folder.parents):
        with contextlib.suppress(OSError):
            if (place / CONFIG_FILE).is_file():
                return place / ".deadstop"
    return None
