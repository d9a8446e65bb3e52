"""Rows and the classes of rows, made from the engine's descriptions of its tables."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Any

from . import _bureau, errors

Row = _bureau.Row
Column = _bureau.Column
Predicate = _bureau.Predicate


class Choice(enum.StrEnum):
    """One of an enumeration's names. A text, in the order of the declaration: low < high."""

    def _place(self) -> int:
        return list(type(self)).index(self)

    def _compared(self, other: object) -> int | None:
        if isinstance(other, type(self)):
            return self._place() - other._place()
        if isinstance(other, str) and other in list(type(self)):
            return self._place() - type(self)(other)._place()
        return None

    def __lt__(self, other: object) -> Any:  # type: ignore[override]
        found = self._compared(other)
        return NotImplemented if found is None else found < 0

    def __le__(self, other: object) -> Any:  # type: ignore[override]
        found = self._compared(other)
        return NotImplemented if found is None else found <= 0

    def __gt__(self, other: object) -> Any:  # type: ignore[override]
        found = self._compared(other)
        return NotImplemented if found is None else found > 0

    def __ge__(self, other: object) -> Any:  # type: ignore[override]
        found = self._compared(other)
        return NotImplemented if found is None else found >= 0


_enums: dict[str, type[Choice]] = {}
_rows: dict[str, type[Row]] = {}
_own: dict[str, dict[str, Any]] = {}  # descriptions of the host's own tables, by name


def _make_enum(name: str, names: list[str]) -> type[Choice]:
    members = {text.upper() if text.isidentifier() else f"_{text.upper()}": text for text in names}
    functional: Any = Choice
    made: type[Choice] = functional(name, members, module="bureau")
    made.__doc__ = "One of " + ", ".join(names) + "."
    _enums.setdefault(name, made)
    return made


class Money:
    """An amount of a row that the engine keeps in minor units beside a currency: a Decimal."""

    def __init__(self, minor: str) -> None:
        self.minor = minor
        self.__doc__ = f"The amount of {minor} as a Decimal in units of the row's currency."

    def __get__(self, row: Any, owner: Any = None) -> Any:
        if row is None:
            return self
        amount = getattr(row, self.minor)
        if amount is None or not row.currency:
            return None
        return Decimal(amount).scaleb(-_bureau._digits(row.currency))

    def __set__(self, row: Any, value: Any) -> None:
        if isinstance(value, float):
            raise errors.Invalid(
                f"{self.minor}: a Decimal is wanted, not a float: money is exact", self.minor)
        if not isinstance(value, (Decimal, int)) or isinstance(value, bool):
            raise errors.Invalid(
                f"{self.minor}: a Decimal is wanted, not {type(value).__name__}", self.minor)
        if not row.currency:
            raise errors.Invalid("currency: it is set before the amount", "currency")
        minor = Decimal(value).scaleb(_bureau._digits(row.currency))
        if minor != minor.to_integral_value():
            raise errors.Invalid(
                f"{self.minor}: {value} has more digits than {row.currency}", self.minor)
        setattr(row, self.minor, int(minor))


def _singular(table: str) -> str:
    return "".join(part.capitalize() for part in table.split("_"))


def _build(described: dict[str, Any]) -> type[Row]:
    columns: dict[str, Any] = described["columns"]
    body: dict[str, Any] = {
        "__slots__": (), "__module__": "bureau", "_table": described["capsule"],
        "__table__": described["table"], "_prefix": described["prefix"], "__columns__": tuple(columns),
        "__doc__": f"A row of the table {described['table']}: {', '.join(columns)}.",
    }
    body.update(columns)
    if "currency" in columns:
        for name in columns:
            if name.endswith("_minor") and name.removesuffix("_minor") not in columns:
                body[name.removesuffix("_minor")] = Money(name)
    return type(described["entity"] or _singular(described["table"]), (Row,), body)


def row_class(table: str) -> type[Row]:
    """The class of the rows of a table of the library's, or of one that was declared."""
    found = _rows.get(table)
    if found is None:
        described = _own.get(table) or _bureau._describe(table)
        if described is None:
            raise errors.NotFound(f"table: there is no \"{table}\"", "table")
        found = _rows[table] = _build(described)
    return found


_tables: dict[str, str] = {}  # by the class's name


def _table_of_class(name: str) -> str | None:
    if not _tables:
        for table, entity in _bureau._entities():
            if entity:
                _tables[entity] = table
    return _tables.get(name)


def class_named(name: str) -> Any:
    """The class of rows, or of an enumeration, of that name; None when there is none."""
    table = _table_of_class(name)
    if table is not None:
        return row_class(table)
    return _enums.get(name) or _bureau._enum(name)


def names() -> list[str]:
    """What `class_named()` knows."""
    _table_of_class("")
    return [*_tables, *_bureau._enum_names()]


_bureau._set_hooks(errors.by_number, errors.Error, errors.Suspended, _make_enum, row_class)
