"""The nearest known name, for whoever mistypes one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def suggest(name: str, known: Iterable[str]) -> str | None:
    """Return the name in *known* that *name* was probably meant to be; None if it is known, or nothing is near."""
    import difflib

    names = sorted(set(known))
    if name in names:
        return None
    folded = {candidate.casefold(): candidate for candidate in reversed(names)}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None
