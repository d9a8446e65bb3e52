"""Dataclasses as JSON and back: what payloads, results and signals are made of."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Callable

from . import _bureau, errors

Decode = Callable[[Any, str], Any]
_PLAIN = (str, int, bool, type(None))
_decoders: dict[Any, Decode] = {}


def encode(value: Any) -> Any:
    """What JSON has for the value: dataclasses by their fields, moments and Decimals as text."""
    kind = type(value)
    if kind in _PLAIN or kind is float:
        return value
    if dataclasses.is_dataclass(kind):
        return {field: encode(getattr(value, field)) for field in kind.__dataclass_fields__}
    if kind is dict:
        return {key: encode(one) for key, one in value.items()}
    if kind in (list, tuple, set, frozenset):
        return [encode(one) for one in value]
    if isinstance(value, enum.Enum):
        return encode(value.value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, timedelta):
        return value // timedelta(microseconds=1)
    if isinstance(value, _bureau.Row) and value.id is None:
        raise errors.Invalid(f"{kind.__name__}: the row has no id yet: insert it first")
    return value  # the engine says what is wrong with it


def _wrong(where: str, wanted: str, value: Any) -> errors.Invalid:
    return errors.Invalid(f"{where}: {wanted} is wanted, not {value!r:.60}", where)


def _exactly(kind: type, name: str) -> Decode:
    def decode(value: Any, where: str) -> Any:
        if type(value) is not kind:
            raise _wrong(where, name, value)
        return value

    return decode


def _float(value: Any, where: str) -> Any:
    if type(value) not in (float, int):
        raise _wrong(where, "a number", value)
    return float(value)


def _datetime(value: Any, where: str) -> Any:
    try:
        made = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _wrong(where, "a moment", value) from None
    return made.astimezone(timezone.utc) if made.tzinfo else made.replace(tzinfo=timezone.utc)


def _decimal(value: Any, where: str) -> Any:
    if type(value) is not str:
        raise _wrong(where, "a decimal number as text", value)
    try:
        return Decimal(value)
    except ArithmeticError:
        raise _wrong(where, "a decimal number as text", value) from None


def _timedelta(value: Any, where: str) -> Any:
    if type(value) is not int:
        raise _wrong(where, "microseconds", value)
    return timedelta(microseconds=value)


def _any(value: Any, where: str) -> Any:
    return value


_SIMPLE: dict[Any, Decode] = {
    str: _exactly(str, "a text"), int: _exactly(int, "a whole number"), bool: _exactly(bool, "true or false"),
    float: _float, datetime: _datetime, Decimal: _decimal, timedelta: _timedelta, Any: _any, object: _any,
    dict: _exactly(dict, "an object"), list: _exactly(list, "a list"),
    type(None): _exactly(type(None), "null"), None: _exactly(type(None), "null"),
}


def decoder(kind: Any) -> Decode:
    """The function that makes a value of this type of JSON: (value, where) -> value."""
    try:
        found = _decoders.get(kind)
    except TypeError:
        return _any
    if found is None:
        found = _decoders[kind] = _make(kind)
    return found


def _make(kind: Any) -> Decode:
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _union([decoder(one) for one in args])
    if origin in (list, tuple, set, frozenset):
        if origin is tuple and not (len(args) == 2 and args[1] is Ellipsis):
            raise errors.Invalid(f"payload: {kind} cannot be read back; use tuple[T, ...] or a dataclass")
        return _sequence(origin, decoder(args[0]))
    if origin is dict:
        return _mapping(decoder(args[1]))
    if origin is typing.Annotated:
        return decoder(args[0])
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _dataclass(kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _enum(kind)
    if isinstance(kind, type) and issubclass(kind, date):
        return lambda value, where: kind.fromisoformat(value)
    if isinstance(kind, typing.TypeVar) or not isinstance(kind, type):
        return _any
    raise errors.Invalid(f"payload: no value of {kind.__name__} can be read back from JSON")


def _union(options: list[Decode]) -> Decode:
    def decode(value: Any, where: str) -> Any:
        problem: errors.Invalid | None = None
        for option in options:
            try:
                return option(value, where)
            except errors.Invalid as error:
                problem = problem or error
        assert problem is not None
        raise problem

    return decode


def _sequence(kind: Any, item: Decode) -> Decode:
    def decode(value: Any, where: str) -> Any:
        if type(value) is not list:
            raise _wrong(where, "a list", value)
        return kind(item(one, f"{where}[{i}]") for i, one in enumerate(value))

    return decode


def _mapping(item: Decode) -> Decode:
    def decode(value: Any, where: str) -> Any:
        if type(value) is not dict:
            raise _wrong(where, "an object", value)
        return {key: item(one, f"{where}.{key}") for key, one in value.items()}

    return decode


def _enum(kind: Any) -> Decode:
    def decode(value: Any, where: str) -> Any:
        try:
            return kind(value)
        except ValueError:
            raise _wrong(where, "one of " + ", ".join(str(one.value) for one in kind), value) from None

    return decode


def _dataclass(kind: Any) -> Decode:
    hints = typing.get_type_hints(kind)
    fields = {field.name: decoder(hints[field.name]) for field in dataclasses.fields(kind) if field.init}
    needed = [field.name for field in dataclasses.fields(kind) if field.init
              and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING]

    def decode(value: Any, where: str) -> Any:
        if type(value) is kind:
            return value
        if type(value) is not dict:
            raise _wrong(where, "an object", value)
        made = {}
        for name, one in value.items():
            field = fields.get(name)
            if field is None:
                import difflib

                near = difflib.get_close_matches(name, fields, 1)
                raise errors.Invalid(f"{where}: {kind.__name__} has no field \"{name}\"" + (
                    f"; did you mean \"{near[0]}\"?" if near else ""), name)
            made[name] = field(one, name)
        for name in needed:
            if name not in made:
                raise errors.Invalid(f"{name}: it is missing", name)
        return kind(**made)

    return decode
