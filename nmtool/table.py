"""Dataclasses from the tables of a TOML or JSON file, with errors that name the place; and values as TOML has them."""

import dataclasses
import difflib
import json
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from nmtool.errors import UsageError

T = TypeVar("T")


def build(kind: type[T], table: Any, where: str, *, strict: bool = True) -> T:
    """An instance of a dataclass.

    Its fields are numbers, texts, choices, dataclasses, or tuples and lists of these; others are taken as they are.

    Args:
        kind: the dataclass; it checks its values itself.
        table: values by field.
        where: name of the table in the file, for messages.
        strict: refuse keys that are no fields; otherwise they are left out.

    Raises:
        UsageError: a key that is no field, a value of another type, or one that the dataclass refuses.
    """
    if not isinstance(table, Mapping):
        raise UsageError(f"{where} must be a table, not {table!r}")
    hints = typing.get_type_hints(kind)
    fields = {field.name: hints[field.name] for field in dataclasses.fields(typing.cast(Any, kind))}
    if strict:
        require_known(table, fields, where)
    values = {
        name: _value(fields[name], value, f"{where}.{name}", strict) for name, value in table.items() if name in fields
    }
    try:
        return kind(**values)
    except UsageError as error:
        named = where in error.message  # the dataclass may know its name
        raise UsageError(error.message if named else f"{where}: {error.message}", error.hint) from error
    except TypeError as error:
        raise UsageError(f"{where}: {error}") from error


def require_known(table: Mapping[str, Any], known: typing.Iterable[str], where: str) -> None:
    """Refuse keys that are not `known`.

    Raises:
        UsageError: there is another one.
    """
    names = list(known)
    for key in table:
        if key not in names:
            close = difflib.get_close_matches(key, names, n=1)
            hint = f"did you mean {close[0]}?" if close else f"it has: {', '.join(names)}"
            raise UsageError(f"{where} has no parameter {key!r}", hint)


def to_toml(value: Any) -> str:
    """A value in TOML, on one line; what is None in a table is left out."""
    if isinstance(value, bool | int | float):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(to_toml, value))}]"
    if isinstance(value, Mapping):
        entries = [f"{to_key(key)} = {to_toml(each)}" for key, each in value.items() if each is not None]
        return f"{{ {', '.join(entries)} }}" if entries else "{}"
    return json.dumps(str(value), ensure_ascii=False)


def to_key(key: str) -> str:
    """A key in TOML, in quotes where it needs them."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def _value(kind: Any, value: Any, where: str, strict: bool) -> Any:
    origin = typing.get_origin(kind)
    if origin in (tuple, list) and isinstance(value, list):
        element = typing.get_args(kind)[0]
        return origin(_value(element, each, f"{where}[{k}]", strict) for k, each in enumerate(value))
    options = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    if not set(map(_origin, options)) <= {int, float, str, bool, type(None), typing.Literal} | _dataclasses(options):
        return value
    if value is None and type(None) in options:
        return None
    for option in options:
        if dataclasses.is_dataclass(option):
            return build(typing.cast(type[Any], option), value, where, strict=strict)
    for option in options:
        if typing.get_origin(option) is typing.Literal and value in typing.get_args(option):
            return value
        if option in (int, float, str, bool) and type(value) is option:
            return value
        if option is float and type(value) is int:
            return float(value)
    raise UsageError(f"{where} must be {' or '.join(_named(option) for option in options)}, not {value!r}")


def _origin(kind: Any) -> Any:
    return typing.get_origin(kind) or kind


def _dataclasses(options: typing.Iterable[Any]) -> set[Any]:
    return {option for option in options if dataclasses.is_dataclass(option)}


def _named(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(map(repr, typing.get_args(kind)))
    return {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}.get(kind, "left out")
