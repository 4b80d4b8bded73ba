"""Who is acting, where nobody said: `user@host:pid program`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_known: tuple[int, str] = (0, "")


def default_actor() -> str:
    """Return `user@host:pid program` of this process. Worked out once per process; never raises."""
    global _known  # noqa: PLW0603 - a memo
    pid = os.getpid()
    if _known[0] != pid:
        _known = (pid, f"{_user()}@{os.uname().nodename}:{pid} {program()}")
    return _known[1]


def program() -> str:
    """Return the short name of what is running: the script, the module, or "python"."""
    argv = getattr(sys, "argv", None) or [""]
    script = Path(str(argv[0]))
    name = script.parent.name if script.name == "__main__.py" else script.name  # the former: python -m package
    return name[:40] if name not in {"", "-c", "-"} else "python"


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container's arbitrary user id
        return str(os.geteuid())
