"""A program's own tables, described by a dataclass."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from datetime import datetime, timedelta
from typing import Any, Callable, Iterable

from . import _bureau, errors, rows

_TYPES: dict[Any, str] = {str: "text", int: "integer", float: "real", bool: "boolean", bytes: "bytes",
                          datetime: "timestamp", timedelta: "duration", dict: "json", list: "json", Any: "json"}
_KEPT = ("id", "tenant", "version", "created_at", "updated_at")


def column(*, default: Any = dataclasses.MISSING, **options: Any) -> Any:
    """A field with options: max_length, secret, personal, searchable, folded, immutable."""
    return dataclasses.field(default=default, metadata={"bureau": options})


def entity(table: str, prefix: str, *, unique: Iterable[Iterable[str]] = (),
           indexes: Iterable[Iterable[str]] = ()) -> Callable[[type], Any]:
    """Makes a class of rows of a dataclass's fields: `bureau.open(..., tables=[Project])`.

    The id, the tenant, the version and the two times are added. A field's type is str, int, float,
    bool, bytes, datetime, timedelta, dict, list, an enumeration of texts, or a class of rows (then
    it holds that row's id); with `| None` it may be missing.
    """

    def declare(cls: type) -> Any:
        plain = cls if dataclasses.is_dataclass(cls) else dataclasses.dataclass(kw_only=True)(cls)
        hints = typing.get_type_hints(plain)
        columns = [_kept("id", "id", prefix, table)]
        columns.append(_kept("tenant", "id", rows.row_class("tenants")._prefix, "tenants"))
        for field in dataclasses.fields(plain):
            if field.name in _KEPT:
                raise errors.Invalid(f"{table}.{field.name}: it is added by itself", field.name)
            columns.append(_column(table, field, hints[field.name]))
        columns += [_kept("version", "integer"), _kept("created_at", "timestamp"), _kept("updated_at", "timestamp")]
        made = [_index(group, True) for group in unique] + [_index(group, False) for group in indexes]
        capsule = _bureau._make_table(table, prefix, columns, made)
        described = _bureau._describe_table(capsule)
        described["entity"] = cls.__name__
        rows._own[table] = described
        rows._rows.pop(table, None)
        return rows.row_class(table)

    return declare


def _kept(name: str, type: str, prefix: str = "", references: str = "") -> dict[str, Any]:
    return {"name": name, "type": type, "prefix": prefix, "references": references}


def _index(group: Iterable[str], unique: bool) -> dict[str, Any]:
    names = [group] if isinstance(group, str) else list(group)
    return {"name": "_".join(names), "columns": names, "unique": unique}


def _column(table: str, field: Any, hint: Any) -> dict[str, Any]:
    nullable = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        args = [one for one in typing.get_args(hint) if one is not type(None)]
        nullable = len(args) < len(typing.get_args(hint))
        if len(args) != 1:
            raise errors.Invalid(f"{table}.{field.name}: one type is wanted, besides None", field.name)
        hint = args[0]
    out: dict[str, Any] = {"name": field.name, "nullable": nullable, **field.metadata.get("bureau", {})}
    hint = typing.get_origin(hint) or hint
    if isinstance(hint, type) and issubclass(hint, rows.Row):
        out.update(type="id", prefix=hint._prefix, references=hint.__table__)
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        if not issubclass(hint, str):
            raise errors.Invalid(f"{table}.{field.name}: the enumeration's values are to be texts", field.name)
        out.update(type="enumeration", names=[one.value for one in hint], enum=hint)
    elif hint in _TYPES:
        out["type"] = _TYPES[hint]
    else:
        raise errors.Invalid(f"{table}.{field.name}: a column cannot hold {hint}", field.name)
    default = field.default
    if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    if default is dataclasses.MISSING and out["type"] == "json" and not nullable:
        default = [] if hint is list else {}
    if default is not dataclasses.MISSING:
        out["default"] = default
    return out
