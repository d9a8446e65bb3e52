#!/usr/bin/env python3
"""Writes the types of all rows for mypy, as the engine describes its tables: make_stubs.py FILE

The module that was just built is asked, so that there is no second description.
"""

import pathlib
import sys

from bureau import _bureau
from bureau.rows import row_class

HEAD = '''# The rows of the library's tables and their enumerations, as the engine describes them.
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Generic, TypeVar, overload

from ._bureau import Column, Row
from .rows import Choice

_Read = TypeVar("_Read", covariant=True)
_Written = TypeVar("_Written", contravariant=True)

class _Cell(Generic[_Read, _Written]):
    @overload
    def __get__(self, row: None, owner: Any) -> Column: ...
    @overload
    def __get__(self, row: object, owner: Any) -> _Read: ...
    def __set__(self, row: object, value: _Written) -> None: ...
'''
PLAIN = {"text": "str", "integer": "int", "real": "float", "boolean": "bool", "bytes": "bytes", "timestamp": "datetime",
         "duration": "timedelta"}


def types_of(type, nullable, enum):
    """What a column is read as, and what may be written to it."""
    read = enum or PLAIN.get(type, "str" if type in ("id", "enumeration") else "Any")
    written = {"id": "str | Row", "enumeration": f"{read} | str", "real": "float"}.get(type, read)
    written = "str" if type == "enumeration" and not enum else written
    missing = " | None" if nullable and read != "Any" else ""
    return read + missing, written + missing


def row_stub(name, table):
    described = _bureau._describe(table)
    cells, words = [], []
    for column, type, nullable, _secret, enum, _references in described["details"]:
        read, written = types_of(type, nullable, enum)
        cells.append(f"    {column}: _Cell[{read}, {written}]")
        words.append(f"{column}: {written} = ...")
    made = row_class(table)
    for money in sorted(set(vars(made)) - set(described["columns"])):
        if hasattr(vars(made)[money], "minor"):
            cells.append(f"    {money}: _Cell[Decimal | None, Decimal | int]")
    body = ",\n                 ".join(words)
    return [f"\nclass {name}(Row):", *cells, f"    def __init__(self, *, {body}) -> None: ..."]


def enum_stub(name):
    made = _bureau._enum(name)
    return [f"\nclass {name}(Choice):", *(f'    {one.name} = "{one.value}"' for one in made)]


def main(target):
    lines = HEAD.splitlines()
    for name in sorted(_bureau._enum_names()):
        if name:
            lines += enum_stub(name)
    for table, name in sorted(_bureau._entities(), key=lambda one: one[1]):
        if name:
            lines += row_stub(name, table)
    pathlib.Path(target).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
