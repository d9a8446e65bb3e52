"""What a program brings of its own: the time, the threads, the rules of who may do what."""

from __future__ import annotations

import dataclasses
import time
from datetime import datetime, timezone
from typing import Any, Iterable

from . import _bureau

Runner = _bureau.Runner


class Clock:
    """The time that an office goes by: derive from it and say what time it is.

    Called from any thread and often, inside the engine's calls too: it answers at once and calls
    nothing of the office. What it raises is told of as an unraisable exception, and the time stands
    still for that call. `bureau.testing.Clock` is one that is moved.
    """

    def now(self) -> datetime:
        """The time of day, with its zone. It may step in either direction."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Seconds of a clock that only goes forward."""
        return time.monotonic()

    def pause(self, seconds: float) -> float:
        """How long to wait, in real seconds, before the clock is looked at again when so many of its
        own are to pass. A clock that runs ahead may say less than this does."""
        return min(seconds, 0.05)


class Scheduler:
    """When, and on which thread, an office's work is done: for a loop of the program's own.

    The office calls `start` and `stop`; the scheduler calls `runner.poll()` when something is due,
    which says when there is more, and earlier when `wake` was called or `runner.wake_handle()` is
    readable (then it calls `runner.on_wake()` as well). `office.serve()` is asyncio's.
    """

    def start(self, runner: Runner) -> None:
        """Begins to call `runner.poll()`."""
        raise NotImplementedError

    def wake(self) -> None:
        """Something may be due now. From any thread; it only says so to whoever polls."""
        raise NotImplementedError

    def stop(self, timeout: float) -> None:
        """Polls no more, and returns when no poll runs; Deadline when one still does by then."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Policy:
    """Who may do what with the rows of a table: `bureau.open(..., policies=[Policy(...)])`.

    A user may do what a permission of his role allows, at least one permissive policy allows and no
    restrictive one forbids. `using` is about the row as it is, `check` about the row as it becomes
    (else `using`): a condition of columns, its text, or True for every row. Its variables are $user,
    $tenant, $role and $teams.
    """

    name: str
    table: Any
    using: Any = None
    check: Any = None
    command: str | None = None
    mode: str = "permissive"
    roles: Iterable[str] = ()
    of: str | None = None

    def _fields(self) -> dict[str, Any]:
        return {**vars(self), "table": _table(self.table), "roles": list(self.roles)}


@dataclasses.dataclass(frozen=True)
class HiddenColumns:
    """Columns that some roles do not see: they read them as missing or zero, and hear of no change
    of theirs. `personal`: also all that are declared personal; `excepted`: roles that do see them."""

    name: str
    table: Any
    columns: Iterable[Any] = ()
    personal: bool = False
    roles: Iterable[str] = ()
    excepted: Iterable[str] = ()

    def _fields(self) -> dict[str, Any]:
        return {**vars(self), "table": _table(self.table), "roles": list(self.roles), "excepted": list(self.excepted),
                "columns": [getattr(column, "name", column) for column in self.columns]}


def _table(table: Any) -> Any:
    return getattr(table, "__table__", table)
