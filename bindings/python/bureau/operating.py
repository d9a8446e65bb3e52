"""Copies of a whole office (backup, restore, verify, move), and how one does (health)."""

from __future__ import annotations

import dataclasses
import os
from datetime import datetime
from typing import Any, Callable

from . import _bureau

#: Is told now and then how far a long call has come: (at what, done, of how many; 0: not known).
#: The call ends with Cancelled when it returns False, and with what it raises.
Progress = Callable[[str, int, int], Any]


@dataclasses.dataclass(frozen=True)
class Backup:
    """The moment that a backup holds: `sequence` is the number of its newest change."""

    sequence: int
    at: datetime
    bytes: int


@dataclasses.dataclass(frozen=True)
class Restored:
    """What became of a restore: the newest change in the office now, how many were replayed.

    `erased_since` persons were erased after the backup: erase them again. `put_aside` is where the
    office is that was there; "" when there was none.
    """

    backup: Backup
    sequence: int
    replayed: int
    erased_since: int
    put_aside: str


@dataclasses.dataclass(frozen=True)
class TableDigest:
    """What a table holds: the same rows give the same checksum on every storage."""

    table: str
    rows: int
    checksum: str


@dataclasses.dataclass(frozen=True)
class OfficeDigest:
    """What an office holds at one moment, by table."""

    sequence: int
    tables: list[TableDigest]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(one.rows for one in self.tables)

    def differences(self, other: OfficeDigest) -> list[str]:
        """A sentence for each table in which the two differ; none: they are the same."""
        return _bureau._compare(dataclasses.astuple(self), dataclasses.astuple(other))


def digest_of(sequence: int, tables: list[tuple[str, int, str]]) -> OfficeDigest:
    """As the engine says it."""
    return OfficeDigest(sequence, [TableDigest(*one) for one in tables])


@dataclasses.dataclass(frozen=True)
class Moved:
    """What arrived, as it was read back; `moved` rows were written, `found` ones were there from a
    move that was cut off, and `left_out` changes were made in the source meanwhile and did not move."""

    office: OfficeDigest
    moved: int
    found: int
    left_out: int


def describe_backup(path: Any) -> Backup:
    """What a backup says of itself. Invalid for a file that is none."""
    return Backup(*_bureau._describe_backup(os.fspath(path)))


def restore(backup: Any, office: Any, *, replace: bool = False, history: Any = None, to_sequence: int | None = None,
            to_moment: datetime | None = None, progress: Progress | None = None) -> Restored:
    """Makes an office, in a file, of a backup.

    `history` is an office or a later backup whose journal goes on where the backup ends; it is
    replayed through a change or a moment, or as far as it reaches. With `replace` an office that is
    there is put aside; it must be closed. The file appears when it is whole.
    """
    made, *rest = _bureau._restore(os.fspath(backup), os.fspath(office), {
        "replace": replace, "history": None if history is None else os.fspath(history), "to_sequence": to_sequence,
        "to_moment": to_moment, "progress": progress})
    return Restored(Backup(*made), *rest)


def verify(place: Any, *, schema: str = "", progress: Progress | None = None) -> OfficeDigest:
    """Looks through an office or a backup for damage, and sums up every table. Corrupt says what it
    found. `place` is a file, or the URL of a server; `schema` is of that."""
    return digest_of(*_bureau._verify(os.fspath(place), schema, progress))


def move(source: Any, target: Any, *, start_over: bool = False, source_schema: str = "", target_schema: str = "",
         progress: Progress | None = None) -> Moved:
    """Copies a whole office, or a backup, to another storage, which holds none: files, or URLs of
    servers. All rows are read back and compared. Nobody should write the source meanwhile. A move
    that was cut off goes on when it is called again; with `start_over` it begins anew."""
    arrived, *rest = _bureau._move(os.fspath(source), os.fspath(target), {
        "start_over": start_over, "from_schema": source_schema, "to_schema": target_schema, "progress": progress})
    return Moved(digest_of(*arrived), *rest)


@dataclasses.dataclass(frozen=True)
class HealthComponent:
    """How one part does (ok, degraded or failed), and what was found."""

    name: str
    status: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Health:
    """How an office does: ok, degraded or failed, as its worst component."""

    at: datetime
    status: str
    components: list[HealthComponent]


__all__ = ["Backup", "Health", "HealthComponent", "Moved", "OfficeDigest", "Restored", "TableDigest", "describe_backup",
           "move", "restore", "verify"]
