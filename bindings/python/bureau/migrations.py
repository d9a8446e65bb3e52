"""Migrations: the tables of one version of a program become those of the next, and back."""

from __future__ import annotations

import dataclasses
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any, Callable, Iterable

from . import _bureau
from .operating import Progress
from .payloads import encode

if TYPE_CHECKING:
    from .rows import Row

Fill = Callable[[Any], None]


def _name(table: Any) -> str:
    return getattr(table, "__table__", table)  # type: ignore[no-any-return]


class Migration:
    """What lies between two versions of a program's own tables: `bureau.open(..., migrations=[...])`.

    A number that is above the one before, a name, and operations in order; each returns the
    migration, so that they can follow one another. Once released it is not changed. A table is a
    class of rows or a name; values are as in JSON: an enumeration by its name.
    """

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self._operations: list[dict[str, Any]] = []

    def __repr__(self) -> str:
        return f"<Migration {self.number} {self.name}>"

    def _add(self, kind: str, table: Any, **fields: Any) -> Migration:
        self._operations.append({"kind": kind, "table": _name(table), **fields})
        return self

    def _fields(self) -> tuple[int, str, list[dict[str, Any]]]:
        return self.number, self.name, self._operations

    def add_table(self, table: Any) -> Migration:
        """A table that the program has; named so that going down takes it away."""
        return self._add("add_table", table)

    def add_column(self, table: Any, column: str, value: Any = None) -> Migration:
        """A column that the program has; rows that are there hold the value."""
        return self._add("add_column", table, column=column, value=encode(value))

    def rename_column(self, table: Any, column: str, to: str) -> Migration:
        """Both names are kept in step until it is finalized."""
        return self._add("rename_column", table, column=column, to=to)

    def drop_column(self, table: Any, column: str, stand_in: Any = None) -> Migration:
        """A column that the program has no more; it goes when it is finalized. `stand_in` is what the
        version before reads in rows of this one."""
        return self._add("drop_column", table, column=column, value=encode(stand_in))

    def drop_table(self, table: Any) -> Migration:
        """A table that the program has no more."""
        return self._add("drop_table", table)

    def require(self, table: Any, column: str, value: Any) -> Migration:
        """A column that could be missing and may no longer be; rows without get the value."""
        return self._add("require", table, column=column, value=encode(value))

    def fill(self, table: Any, where: Any, label: str, up: Fill, down: Fill | None = None, down_where: Any = "") -> Migration:
        """Calls `up(row)` for the rows for which the condition holds, while others work: it reads and
        sets `row["column"]`, where enumerations are numbers, ids integers and times microseconds. It
        may be called more than once for one row. `label` stands for the function in the checksum."""
        return self._add("fill", table, where=str(where), label=label, up=up, down=down, down_where=str(down_where))


@dataclasses.dataclass(frozen=True)
class MigrationStatus:
    """How far a migration is: pending, expanding, expanded, finalizing, finalized or reverting.

    One that is not `known` is of a newer program; one that was `changed` is not what was applied.
    """

    number: int
    name: str
    state: str
    known: bool
    changed: bool
    applied_at: datetime | None
    finalized_at: datetime | None
    applied_by: str


@dataclasses.dataclass(frozen=True)
class MigrationStep:
    """What a call would do, or has done, for people; `lost` is what is lost by it, "" if nothing."""

    number: int
    text: str
    lost: str


class Migrator:
    """The migrations of a program and an office, which need not be open: what bureau.migrator() gives.

    While others work: one that was cut off is gone on with by the next call. Conflict when something
    would be lost without `may_lose`; Busy when a program of another version is at work that could not
    go on. It holds the office's file until it is closed or gone.
    """

    def __init__(self, core: _bureau.Migrator) -> None:
        self._core = core

    def __enter__(self) -> Migrator:
        return self

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the office."""
        self._core.close()

    def status(self) -> list[MigrationStatus]:
        """The program's migrations, and those that the office has beyond them."""
        return [MigrationStatus(*one) for one in self._core.status()]

    def plan_up(self) -> list[MigrationStep]:
        """What up() would do now."""
        return [MigrationStep(*one) for one in self._core.plan("up")]

    def plan_down(self) -> list[MigrationStep]:
        """What down() would do now."""
        return [MigrationStep(*one) for one in self._core.plan("down")]

    def plan_finalize(self) -> list[MigrationStep]:
        """What finalize() would do now."""
        return [MigrationStep(*one) for one in self._core.plan("finalize")]

    def _change(self, verb: str, may_lose: bool, by: str, progress: Progress | None) -> list[MigrationStep]:
        fields = {"may_lose": may_lose, "by": by, "progress": progress}
        return [MigrationStep(*one) for one in self._core.change(verb, fields)]

    def up(self, *, may_lose: bool = False, by: str = "", progress: Progress | None = None) -> list[MigrationStep]:
        """Applies what is pending, so that this version and the one before work. `by`: who, for the record."""
        return self._change("up", may_lose, by, progress)

    def down(self, *, may_lose: bool = False, by: str = "", progress: Progress | None = None) -> list[MigrationStep]:
        """Takes the newest applied migration back, which must not be finalized."""
        return self._change("down", may_lose, by, progress)

    def finalize(self, *, may_lose: bool = False, by: str = "", progress: Progress | None = None) -> list[MigrationStep]:
        """Ends the time of the version before: what only that one needs goes."""
        return self._change("finalize", may_lose, by, progress)


def migrator(path: Any, *, tables: Iterable[type[Row]] = (), migrations: Iterable[Migration] = (),
             schema: str = "") -> Migrator:
    """The migrations of a program and of the office at a path or a server's URL (then `schema` names it)."""
    return Migrator(_bureau._migrator(os.fspath(path), {
        "tables": [table._table for table in tables], "migrations": [one._fields() for one in migrations],
        "schema": schema}))


__all__ = ["Migration", "MigrationStatus", "MigrationStep", "Migrator", "migrator"]
