"""Any Python value as plain, bounded data that JSON can hold: str, int, float, bool, None, list, dict with str keys.

Everything is cut before it is copied or encoded, so that a payload of 50 MB costs microseconds. Nothing here raises,
and making plain data of plain data changes nothing.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping
from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from deadstop.names import MAX_NAME, replace_surrogates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_TEXT: Final = 4096
"""Characters, as JSON roughly counts them, that one field of `data` may hold."""
MAX_FIELDS: Final = 64
"""Fields of one `data`."""
MAX_DEPTH: Final = 10
"""Containers within containers."""
TOO_MUCH: Final = 1 << 30
"""What `weigh` answers for a value that is not plain or not small."""

BIG_INT: Final = 1 << 63
"""From here on an int is no JSON number: readers, msgspec's included, make a float of it."""

KNOWN_KEYS: set[str] = set()
"""Keys that were found plain: the first few thousand, so that ids used as keys push none out."""

_MAX_KEYS: Final = 4096
_MARK_ROOM: Final = 32  # of a cut text: for "…[truncated N chars]"
_MARKS_ROOM: Final = 768  # of a cut container: the last field, and one mark on each level above it
_LIST_LIKE: Final = (list, tuple, set, frozenset, deque)
_SAID_BY_STR: Final = frozenset({"datetime", "decimal", "fractions", "ipaddress", "pathlib", "uuid"})


def weigh(value: Any, depth: int = 0) -> int:  # noqa: PLR0911 - one answer for each type
    """Return about how many characters *value* takes as JSON; at least TOO_MUCH if it is not plain data or not small.

    Stops early: a big or circular container costs no more than a small one.
    """
    kind = type(value)
    if kind is str:
        return _weigh_text(value)
    if kind is int:
        return 20 if -BIG_INT <= value < BIG_INT else TOO_MUCH
    if kind is float:
        return 20 if isfinite(value) else TOO_MUCH
    if value is None or kind is bool:
        return 5
    if depth >= MAX_DEPTH:
        return TOO_MUCH
    if kind is dict:
        return _weigh_dict(value, depth)
    return _weigh_list(value, depth) if kind is list else TOO_MUCH


def _weigh_text(text: str) -> int:
    if len(text) > MAX_TEXT:
        return TOO_MUCH
    return len(text) + 3 if text.isascii() or _encodable(text) else TOO_MUCH


def _weigh_dict(value: dict[Any, Any], depth: int) -> int:
    total = 2
    for key, item in value.items():
        if type(key) is not str or (key not in KNOWN_KEYS and not is_plain_key(key)):
            return TOO_MUCH
        if type(item) is int and -BIG_INT <= item < BIG_INT:  # token counts: not worth a call
            total += len(key) + 24
        else:
            total += len(key) + 4 + weigh(item, depth + 1)
        if total > MAX_TEXT:
            return TOO_MUCH
    return total


def _weigh_list(value: list[Any], depth: int) -> int:
    total = 2
    for item in value:
        total += 1 + weigh(item, depth + 1)
        if total > MAX_TEXT:
            return TOO_MUCH
    return total


def is_plain_key(key: object) -> bool:
    """Whether *key* can name a field as it is."""
    if type(key) is not str or len(key) > MAX_NAME or not (key.isascii() or _encodable(key)):
        return False
    if len(KNOWN_KEYS) < _MAX_KEYS:
        KNOWN_KEYS.add(key)
    return True


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def cut(text: str, most: int = MAX_TEXT) -> str:
    """Return *text* without lone surrogates and with at most *most* characters, a cut marked at its end."""
    length = str.__len__(text)  # of a subclass too, whatever it has made of its methods
    if length <= most:
        return replace_surrogates(str.__getitem__(text, slice(most)))
    kept = max(0, most - _MARK_ROOM)
    return replace_surrogates(f"{str.__getitem__(text, slice(kept))}…[truncated {length - kept} chars]")


def describe(value: object, most: int = MAX_NAME) -> str:
    """Return *value* as text of at most *most* characters: its repr, or "[unprintable]" if that raises."""
    try:
        return cut(_describe(value, most), most)
    except Exception:  # a stranger's __repr__, __len__ or __str__
        return "[unprintable]"


def _describe(value: Any, most: int) -> str:
    if isinstance(value, str):
        return cut(value, most)
    if isinstance(value, (bytes, bytearray, memoryview)):
        more = f"…[{len(value)} bytes]" if len(value) > most // 4 else ""
        return repr(bytes(value[: most // 4])) + more
    if hasattr(type(value), "__len__") and len(value) > MAX_FIELDS:
        return f"[{type(value).__name__} of {len(value)} items]"  # its repr may be 50 MB
    if isinstance(value, int) and value.bit_length() > 512:
        return f"[an int of {value.bit_length()} bits]"
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {_describe(value.args[0], most) if value.args else ''}"
    return str(value) if type(value).__module__ in _SAID_BY_STR else repr(value)


class Plain:
    """Makes plain data of one field's value, and counts in `corrections` what was lost or replaced on the way.

    Lists of tuples, sets and the like, dicts of structs and dataclasses lose nothing and are not counted.
    """

    def __init__(self) -> None:
        self.corrections = 0
        self._room = MAX_TEXT - _MARKS_ROOM
        self._around: list[int] = []  # ids of the containers around the present value: finds self-reference

    def field(self, value: object) -> object:
        """Return *value* as the value of a field."""
        if weigh(value) < TOO_MUCH:
            return value
        try:
            return self._text(value, MAX_TEXT) if isinstance(value, str) else self._value(value)
        except Exception:  # an enum member or a str with methods that raise
            return self._corrected("[unprintable]")

    def key(self, key: object) -> str:
        """Return *key* as the name of a field: a str of at most 200 characters without lone surrogates."""
        if is_plain_key(key):
            return key  # type: ignore[return-value]  # a str, as just seen
        self.corrections += 1
        key = key.value if isinstance(key, Enum) else key
        return replace_surrogates(str.__getitem__(key, slice(MAX_NAME))) if isinstance(key, str) else describe(key)

    def _corrected(self, value: str | None) -> str | None:
        self.corrections += 1
        self._room -= 5 if value is None else len(value) + 3
        return value

    def _value(self, value: object) -> object:
        if isinstance(value, Enum):
            value = value.value
        if isinstance(value, str):
            return self._text(value, min(MAX_TEXT, max(2 * _MARK_ROOM, self._room)))
        if value is None or isinstance(value, (bool, int, float)):
            return self._number(value)
        if (walk := self._walk_of(value)) is None:
            return self._corrected(describe(value, min(MAX_TEXT, max(2 * _MARK_ROOM, self._room))))
        return self._container(value, walk)

    def _text(self, value: str, most: int) -> str:
        kept = cut(value, most)
        self._room -= len(kept) + 3
        self.corrections += str.__ne__(kept, value)
        return kept

    def _number(self, value: float | None) -> object:
        if value is None or isinstance(value, bool):
            self._room -= 5
            return value
        if isinstance(value, float):
            self._room -= 20
            return float.__add__(value, 0.0) if isfinite(value) else self._corrected(None)
        if not -BIG_INT <= value < BIG_INT:
            return self._corrected(describe(value, 2 * _MARK_ROOM))
        self._room -= 20
        return int.__add__(value, 0)

    def _walk_of(self, value: Any) -> Callable[[Any], object] | None:
        """Return what walks *value* as a dict or a list; None if it is no container."""
        if isinstance(value, Mapping):
            return lambda v: self._fields(v.items(), len(v))
        if isinstance(value, _LIST_LIKE):
            return self._items
        names = getattr(type(value), "__struct_fields__", None) or getattr(type(value), "__dataclass_fields__", None)
        if names and not isinstance(value, type):
            return lambda v: self._fields(((n, getattr(v, n, None)) for n in names), len(names))
        return None

    def _container(self, value: object, walk: Callable[[Any], object]) -> object:
        if id(value) in self._around:
            return self._corrected("[circular]")
        if len(self._around) >= MAX_DEPTH:
            return self._corrected("[too deep]")
        self._around.append(id(value))
        self._room -= 2
        try:
            return walk(value)
        finally:
            self._around.pop()

    def _items(self, value: Any) -> list[object]:
        kept: list[object] = []
        for item in value:
            self._room -= 1
            if self._room <= 0:
                kept.append(self._corrected(f"…[truncated {len(value) - len(kept)} items]"))
                break
            kept.append(self._inner(item))
        return kept

    def _fields(self, pairs: Iterable[tuple[object, object]], count: int) -> dict[str, object]:
        kept: dict[str, object] = {}
        for done, (key, item) in enumerate(pairs):
            if self._room <= 0:
                kept["…"] = self._corrected(f"[truncated {count - done} fields]")
                break
            name = self.key(key)
            self._room -= len(name) + 4
            kept[name] = self._inner(item)
        return kept

    def _inner(self, item: object) -> object:
        try:
            return self._value(item)
        except Exception:  # a subclass with methods that raise, a container that was changed meanwhile
            return self._corrected("[unprintable]")


def plain_fields(data: Mapping[Any, Any], reserved: int) -> tuple[dict[str, object], int]:
    """Return *data* as at most `MAX_FIELDS - reserved` plain fields, and how many corrections that took."""
    most = MAX_FIELDS - reserved
    over = len(data) > most
    kept: dict[str, object] = {}
    corrections = int(over)
    for key, value in itertools.islice(data.items(), most - over):
        plain = Plain()
        kept[plain.key(key)] = plain.field(value)
        corrections += plain.corrections
    if over:
        kept["fields_dropped"] = len(data) - len(kept)
    return kept, corrections
