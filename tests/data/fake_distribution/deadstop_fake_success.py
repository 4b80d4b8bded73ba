"""A plugin that works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from deadstop import hookimpl
from deadstop.specs import AdapterSpec, SettingSpec

if TYPE_CHECKING:
    from collections.abc import Iterable


class FakeSection(msgspec.Struct, forbid_unknown_fields=True):
    """The section `fake:` of deadstop.yaml."""

    colour: str = "grey"
    size: int = 1


@hookimpl
def deadstop_settings() -> Iterable[SettingSpec]:
    """The section."""
    yield SettingSpec(name="fake", type=FakeSection)


@hookimpl
def deadstop_adapters() -> Iterable[AdapterSpec]:
    """An adapter that nobody loads."""
    yield AdapterSpec(name="fake", summary="a fake", load="deadstop_fake_success:Adapter")
