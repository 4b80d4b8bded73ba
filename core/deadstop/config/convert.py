"""From nodes to typed values: strict, and it goes on after a mistake, so that one run finds them all."""

from __future__ import annotations

import math
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from deadstop.config.durations import DURATION, EXAMPLES, parse_duration
from deadstop.config.nodes import Broken, Mapping, Node, Scalar, Sequence, describe, is_null, resolve, value_of
from deadstop.config.problems import nearest, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Mapping as MappingOf

    from deadstop.config.problems import Report, Where

_LOST = object()  # there is no value: a problem is reported, or nothing is written; the default stands in


def fill(node: Mapping, known: MappingOf[str, Any], where: Where, report: Report) -> dict[str, Any]:
    """Return the entries of *node* converted to the types of *known*; an unknown key is a problem.

    A value that can't be had is left out.
    """
    values: dict[str, Any] = {}
    for key, (line, child) in node.entries.items():
        place = (*where, key)
        if key not in known:
            report.add(line, place, f"unknown key{nearest(key, known)}")
        elif (value := convert(child, known[key], place, report)) is not _LOST:
            values[key] = value
    return values


def convert(node: Node, wanted: Any, where: Where, report: Report) -> Any:
    """Return the value of *node* as the type *wanted*: a struct, list, dict, scalar, Literal, or what msgspec knows.

    What is wrong is added to *report* with its line.
    """
    report.lines[where] = node.line
    if isinstance(node, Broken):
        return _LOST
    origin, args = get_origin(wanted), get_args(wanted)
    if origin is Annotated:
        return _annotated(node, wanted, where, report)
    if origin in (Union, UnionType):
        return _optional(node, wanted, where, report)
    if origin is Literal:
        return _one_of(node, args, where, report)
    if (origin or wanted) in (list, dict) or _is_struct(wanted):
        return _container(node, wanted, where, report)
    read = _SCALARS.get(wanted)
    return _as_msgspec(node, wanted, where, report) if read is None else read(node, where, report)


def _is_struct(wanted: Any) -> bool:
    return isinstance(wanted, type) and issubclass(wanted, msgspec.Struct)


def _wrong(node: Node, expected: str, where: Where, report: Report) -> Any:
    report.add(node.line, where, f"expected {expected}, got {describe(node)}")
    return _LOST


# --- text, numbers, booleans ------------------------------------------------------------------------------------------


def _text(node: Node, where: Where, report: Report) -> Any:
    if not isinstance(node, Scalar):
        return _wrong(node, "text", where, report)
    if node.plain and node.source is None and not isinstance(value := resolve(node.text), str):
        hint = "text" if value is None else f'text (in quotes: "{node.text}")'
        return _wrong(node, hint, where, report)
    return node.text


def _flag(node: Node, where: Where, report: Report) -> Any:
    value = value_of(node) if isinstance(node, Scalar) else None
    return value if isinstance(value, bool) else _wrong(node, "true or false", where, report)


def _whole(node: Node, where: Where, report: Report) -> Any:
    value = value_of(node) if isinstance(node, Scalar) else None
    if isinstance(value, bool) or not isinstance(value, int):
        return _wrong(node, "a whole number", where, report)
    return value


def _number(node: Node, where: Where, report: Report) -> Any:
    value = value_of(node) if isinstance(node, Scalar) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return _wrong(node, "a number", where, report)
    return float(value)


def _duration(node: Node, where: Where, report: Report) -> Any:
    value = value_of(node) if isinstance(node, Scalar) else None
    if isinstance(node, Scalar) and value is not None:
        try:
            return parse_duration(value)
        except ValueError as error:
            if node.source is None:  # else the message would show what came from the environment
                report.add(node.line, where, str(error))
                return _LOST
    return _wrong(node, f"a duration such as {EXAMPLES}", where, report)


def _untyped(node: Node, where: Where, report: Report) -> Any:
    """Return plain data: what the file says, with nothing expected of it except finite numbers."""
    report.lines[where] = node.line
    if isinstance(node, Sequence):
        return [_or_none(_untyped(item, (*where, index), report)) for index, item in enumerate(node.items)]
    if isinstance(node, Mapping):
        return {key: _or_none(_untyped(child, (*where, key), report)) for key, (_, child) in node.entries.items()}
    if isinstance(node, Broken):
        return _LOST
    value = resolve(node.text) if node.plain else node.text
    if isinstance(value, float) and not math.isfinite(value):
        return _wrong(node, "a finite number", where, report)
    return value


def _or_none(value: Any) -> Any:
    return None if value is _LOST else value


_SCALARS: dict[Any, Callable[[Node, Where, Report], Any]] = {
    str: _text,
    bool: _flag,
    int: _whole,
    float: _number,
    object: _untyped,
    Any: _untyped,
}


# --- types made of others ---------------------------------------------------------------------------------------------


def _annotated(node: Node, wanted: Any, where: Where, report: Report) -> Any:
    inner, *marks = get_args(wanted)
    value = _duration(node, where, report) if DURATION in marks else convert(node, inner, where, report)
    if value is _LOST:
        return _LOST
    try:
        return msgspec.convert(value, wanted)  # the constraints of msgspec.Meta
    except msgspec.ValidationError as error:
        return _msgspec_fault(error, node, where, report)


def _optional(node: Node, wanted: Any, where: Where, report: Report) -> Any:
    kinds = [kind for kind in get_args(wanted) if kind is not NoneType]
    if len(kinds) < len(get_args(wanted)) and is_null(node):
        return None
    if len(kinds) == 1:
        return convert(node, kinds[0], where, report)
    return _as_msgspec(node, wanted, where, report)


def _one_of(node: Node, names: Iterable[Any], where: Where, report: Report) -> Any:
    known = [str(name) for name in names]
    value = _text(node, where, report)
    if value is _LOST or value in known:
        return value
    report.add(node.line, where, f"unknown value {shown(value)}{nearest(value, known)}")
    return _LOST


def _as_msgspec(node: Node, wanted: Any, where: Where, report: Report) -> Any:
    value = _untyped(node, where, report)
    if value is _LOST:
        return _LOST
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        return _msgspec_fault(error, node, where, report)


def _msgspec_fault(error: Exception, node: Node, where: Where, report: Report) -> Any:
    report.add(node.line, where, str(error).replace("`", ""))
    return _LOST


def _container(node: Node, wanted: Any, where: Where, report: Report) -> Any:
    """Convert a list, a dict or a struct. Written but empty (`alerts:`) counts as not written."""
    kind, args = get_origin(wanted) or wanted, get_args(wanted)
    if kind is list:
        if isinstance(node, Sequence):
            return _list(node, args[0] if args else object, where, report)
        return _LOST if is_null(node) else _wrong(node, "a list", where, report)
    if not isinstance(node, Mapping) and not is_null(node):
        return _wrong(node, "a mapping", where, report)
    mapping = node if isinstance(node, Mapping) else Mapping(node.line)
    if kind is dict:
        return _LOST if is_null(node) else _dict(mapping, args[1] if args else object, where, report)
    return _struct(mapping, kind, where, report)


def _list(node: Sequence, wanted: Any, where: Where, report: Report) -> list[Any]:
    values = [convert(item, wanted, (*where, index), report) for index, item in enumerate(node.items)]
    return [_stand_in(wanted) if value is _LOST else value for value in values]  # so that places keep their numbers


def _dict(node: Mapping, wanted: Any, where: Where, report: Report) -> dict[str, Any]:
    values = {key: convert(child, wanted, (*where, key), report) for key, (_, child) in node.entries.items()}
    return {key: _stand_in(wanted) if value is _LOST else value for key, value in values.items()}


def _struct(node: Mapping, wanted: type[msgspec.Struct], where: Where, report: Report) -> Any:
    fields = {field.encode_name: field for field in msgspec.structs.fields(wanted)}
    values = fill(node, {key: field.type for key, field in fields.items()}, where, report)
    for key, field in fields.items():
        if field.required and key not in values:
            if key not in node.entries:
                report.add(node.line, (*where, key), "is required")
            values[key] = _stand_in(field.type)
    try:
        return wanted(**{fields[key].name: value for key, value in values.items()})
    except (TypeError, ValueError) as error:  # its __post_init__ refuses
        report.add(node.line, where, str(error))
        return _LOST


def _stand_in(wanted: Any) -> Any:
    """Return something for a value that is missing and reported, so that what is beside it can still be checked."""
    kind = get_origin(wanted) or wanted
    if _is_struct(wanted):
        return wanted(
            **{field.name: _stand_in(field.type) for field in msgspec.structs.fields(wanted) if field.required}
        )
    return kind() if kind in (str, int, float, bool, list, dict) else None
