"""The office: opened, asked, written to."""

from __future__ import annotations

import atexit
from datetime import datetime
from typing import TYPE_CHECKING, Any, Callable, Iterable, TypeVar

from . import _bureau, errors
from .agents import Agent, Handler, LibraryAgent, kind_of, span
from .hosted import HiddenColumns, Policy
from .rows import Row
from .sessions import Session

if TYPE_CHECKING:
    from .migrations import Migration
    from .operating import Backup, Health, OfficeDigest, Progress

R = TypeVar("R")

atexit.register(_bureau._end_all)


_paths: dict[str, int] = {}  # of the files that are open as offices, and how often
_hooked = False


def _watch_sqlite() -> None:
    """Python's own SQLite, when it is another copy than the engine's, would undo the engine's locks
    as it closes the file: whoever opens an office by it is warned."""
    global _hooked
    if _hooked:
        return
    _hooked = True
    import sys

    def hook(event: str, args: Any) -> None:
        if event != "sqlite3.connect" or not _paths:
            return
        import os
        import warnings

        path = args[0]
        if isinstance(path, (str, bytes, os.PathLike)) and os.path.realpath(os.fsdecode(path)) in _paths:
            warnings.warn(f"{os.fsdecode(path)} is open as an office in this process: read it by office.sql() "
                          "instead of sqlite3, which may undo the office's locks", RuntimeWarning, stacklevel=3)

    sys.addaudithook(hook)


def _log(level: int, source: str, message: str, fields: dict[str, Any]) -> None:
    import logging

    logger = logging.getLogger("bureau." + source)
    number = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)[level]
    if logger.isEnabledFor(number):
        rest = "".join(f" {name}={value!r}" for name, value in fields.items())
        logger.log(number, "%s%s", message, rest, extra={"bureau": fields})


class Office(Session):
    """An open office, and its default tenant seen with the system's rights."""

    def __init__(self, core: _bureau.Office, scope: _bureau.Scope | None, path: str = "", kept: Iterable[Any] = ()) -> None:
        self._core = core
        self._path = path
        if path:
            _watch_sqlite()
            _paths[path] = _paths.get(path, 0) + 1
        self._default = scope
        self._handlers: list[Handler] = []
        self._attempts: Any = None  # where coroutines run
        self._kept: list[Any] = list(kept)

    @property
    def _scope(self) -> _bureau.Scope:  # type: ignore[override]
        if self._default is None:
            if self._core.closed:
                raise errors.Invalid("office: it is closed")
            self._default = self._core.system("", False)
        return self._default

    def __enter__(self) -> Office:
        return self

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        self.close()

    def __del__(self) -> None:
        core = getattr(self, "_core", None)
        if core is not None and not core.closed:
            core.abandon(10.0)
        if core is not None:
            self._forget_path()

    def __repr__(self) -> str:
        return f"<Office {'closed' if self.closed else 'open'}>"

    @property
    def closed(self) -> bool:
        """Whether it was closed; every call is refused then."""
        return self._core.closed

    def close(self, timeout: float = 10.0) -> None:
        """Stops what runs and closes. Deadline, and open still, when handlers run on."""
        self._core.close(timeout)
        self._forget_path()

    def _forget_path(self) -> None:
        path, self._path = self._path, ""
        if path:
            _paths[path] -= 1
            if not _paths[path]:
                del _paths[path]

    # Agents

    def agent(self, kind: Any, *, name: str | None = None, role: str = "agent", **options: Any) -> Callable[[R], R]:
        """Makes a function the handler of a kind of task: `handler(run, payload)`.

        `kind` is a TaskKind, the dataclass of its payload, or a name; the options of a kind that is
        made here are those of `TaskKind`: effect, retry, queue, timeout. A coroutine function runs
        on the loop in which the office is started.
        """
        made = kind_of(kind, **options)

        def register(work: R) -> R:
            self._register(Handler(self, made, work, name or made.name, None), role)  # type: ignore[arg-type]
            return work

        return register

    def add(self, agent: Agent | LibraryAgent) -> None:
        """Registers an agent that is an object: one of the program's, or one that the library brings,
        such as a TriageAgent."""
        if isinstance(agent, LibraryAgent):
            return agent._add_to(self)
        kind = kind_of(agent.kind)
        self._register(Handler(self, kind, agent.execute, agent.name, agent), agent.role)

    def add_notifiers(self, *notifiers: Any) -> None:
        """Registers who carries messages over channels."""
        _bureau._add_notifiers(self._core, list(notifiers))
        self._kept.extend(notifiers)

    def add_workflows(self, *kinds: Any) -> None:
        """Registers who runs workflows, which may enqueue tasks of these kinds: each a TaskKind, the
        dataclass of its payload, or a name. A payload or result that is a dataclass is checked when a
        workflow is saved."""
        from .workflows import offered

        _bureau._add_workflows(self._core, [offered(kind_of(kind)) for kind in kinds])

    def add_housekeeping(self) -> None:
        """Registers who does what `office.housekeeping` has recur."""
        _bureau._add_housekeeping(self._core, self._path or ".")

    def add_rewards(self) -> None:
        """Registers who evaluates achievements and points."""
        self._scope.rewards_add()

    def evaluate_rewards(self) -> int:
        """Evaluates at once what the journal has; how many rows began or ceased to count."""
        return self._scope.rewards_catch_up()

    def _register(self, handler: Handler, role: str) -> None:
        _bureau._add_agent(self._core, handler.name, role, handler.kind._core, handler, handler.is_async)
        self._handlers.append(handler)

    def agents(self) -> list[dict[str, Any]]:
        """What each agent does and has done in this process."""
        return self._core.agents()

    def start(self) -> None:
        """Starts the agents on the engine's threads; coroutines run on the loop that runs here."""
        if any(handler.is_async for handler in self._handlers):
            import asyncio

            from .loop import Attempts

            try:
                self._attempts = Attempts(asyncio.get_running_loop())
            except RuntimeError:
                raise errors.Invalid("start: some handlers are coroutines: start the office in their loop") from None
        self._core.start(False)

    def stop(self, timeout: float = 10.0) -> None:
        """Takes no new work and waits for what runs. Deadline names what still ran then."""
        self._core.stop(timeout)

    def start_polled(self) -> None:
        """Starts the agents for a program that calls poll() itself: there are no threads."""
        self._core.start(True)

    def poll(self, tasks: int = 1, seconds: float = -1.0) -> tuple[int, float | None]:
        """Runs what is due on this thread: (how much, seconds until the next is due, or None)."""
        return self._core.poll(tasks, seconds)

    def wake_handle(self) -> int:
        """A file descriptor that is readable when something is due earlier than poll() said."""
        return self._core.wake_handle()

    def work(self) -> int:
        """Starts polled unless it has, and runs all that is due now; how much that was."""
        try:
            self._core.start(True)
        except errors.Conflict:
            pass
        total = 0
        while True:
            ran, _ = self._core.poll(256, -1.0)
            if not ran:
                return total
            total += ran

    def run(self) -> None:
        """Starts, works until Ctrl-C, and stops."""
        import threading

        self.start()
        try:
            # In short pieces: a signal that comes just before a wait is seen after it.
            while not threading.Event().wait(0.2):
                pass
        except KeyboardInterrupt:
            pass
        finally:
            self.stop()

    async def serve(self) -> None:
        """Lives on the loop that runs here, without another thread, until it is cancelled."""
        from .loop import serve

        await serve(self)

    async def aclose(self, timeout: float = 10.0) -> None:
        """close() while the loop goes on, so that its coroutines can end."""
        import asyncio

        await asyncio.get_running_loop().run_in_executor(None, self.close, timeout)
        if self._attempts is not None:
            self._attempts.end()

    async def __aenter__(self) -> Office:
        return self

    async def __aexit__(self, kind: Any, value: Any, trace: Any) -> None:
        await self.aclose()

    def tenant(self, name: str, *, create: bool = False) -> Session:
        """A tenant seen with the system's rights, by its name or id."""
        return Session(self._core.system(name, create))

    def tenants(self) -> list[Any]:
        """All tenants, in the order in which they were made."""
        return self._core.tenants()

    @property
    def tables(self) -> list[str]:
        """The names of all tables."""
        return self._core.tables()

    def sql(self, text: str, *params: Any, limit: int = 10_000, timeout: float = 5.0) -> list[dict[str, Any]]:
        """Read-only SQL over all tenants, never of secret columns: for the host itself."""
        columns, rows, _ = self._core.sql(text, list(params), limit, timeout)
        return [dict(zip(columns, row)) for row in rows]

    def snapshot(self) -> dict[str, Any]:
        """What is going on, and what is stuck."""
        return self._core.snapshot()

    def metrics(self) -> str:
        """Counters and gauges in Prometheus's text format."""
        return self._core.metrics()

    def health(self, **limits: Any) -> Health:
        """Whether all is well, component by component. Reads, and makes one write that changes nothing.

        Limits, where a component stops being ok: slow_write ("1s"), write_patience, wal_bytes,
        little_space_bytes, no_space_bytes, long_wait ("15m"), lost_wait, silence, late_schedule,
        dead_tasks (100), dead_within ("1h"), feed_lag.
        """
        from .operating import Health, HealthComponent

        counts = ("wal_bytes", "little_space_bytes", "no_space_bytes", "dead_tasks", "feed_lag")
        given = {name: one if name in counts or one is None else span(one, name) for name, one in limits.items()}
        at, status, components = self._core.health(given)
        return Health(at, status, [HealthComponent(*one) for one in components])

    def back_up(self, path: Any, *, replace: bool = False, share: float = 0.5, progress: Progress | None = None) -> Backup:
        """Copies an office that is in a file into one other file, of one moment, while all work on.

        `replace`: a backup of that name may go. `share`: of its time in which it copies; the rest it
        leaves the disk to writers.
        """
        import os

        from .operating import Backup

        fields = {"replace": replace, "share": share, "progress": progress}
        return Backup(*self._core.back_up(os.fspath(path), fields))

    def verify(self, *, progress: Progress | None = None) -> OfficeDigest:
        """As bureau.verify(), of this office."""
        from .operating import digest_of

        return digest_of(*self._core.verify(progress))

    def trim_journal(self, before: datetime) -> int:
        """Forgets the changes that were made before then, whoever has still to read them; how many.
        Without it, `bureau.open(..., journal=...)` says how long they are kept."""
        return self._core.trim_journal(before)

    @property
    def now(self) -> Any:
        """The time of the office's clock."""
        return self._core.now()


def open(path: Any = "office.db", *, tenant: str | None = None, threads: int = 4,
         durability: str = "power_safe", clock: Any = None, tables: Iterable[type[Row]] = (),
         log: bool | Callable[..., None] = True, keys: dict[str, bytes] | None = None,
         batch: int | None = None, policies: Iterable[Policy | HiddenColumns] = (), scheduler: Any = None,
         migrations: Iterable[Migration] = (), on_open: str = "expand", journal: Any = "30d",
         schema: str | None = None, connections: int | None = None,
         direct: str | None = None, connect_timeout: Any = None, idle_in_transaction: Any = None,
         pooler_keeps_sessions: bool | None = None) -> Office:
    """Opens an office: a SQLite file, made if it is not there; ":memory:" is gone with the object;
    "postgresql://user@host/database" is a schema of a PostgreSQL database.

    `tenant` is the one that the office's own calls are about: made if it is not there, with the
    usual ticket statuses. Without it, the only tenant. `log` goes to `logging`, below "bureau".
    `tables` are entities of the program's own, `policies` say who may do what, `clock` and
    `scheduler` are a Clock and a Scheduler, `keys` are of kinds of tasks that rest encrypted.
    `migrations` say how the program's tables became what they are; `on_open` what becomes of those
    that are not applied: "expand" applies them, "finalize" finalizes them too, "refuse" raises
    Unavailable. `journal` is how long changes are kept; None: for ever.

    Of an office on a server alone: `schema` ("bureau"; made if it is not there), `connections` (8;
    how many at a time, besides one that listens), `connect_timeout` ("10s"), `idle_in_transaction`
    ("1m"; the server undoes a write in which nothing is asked for so long, because others wait for
    it; 0: never), and behind a pooler `direct` (where the server itself is) or
    `pooler_keeps_sessions`. What the URL leaves out, such as the password, comes from libpq's
    environment and files: PGPASSWORD, ~/.pgpass.
    """
    options: dict[str, Any] = {
        "threads": threads, "durability": durability, "batch": batch, "keys": keys or None,
        "clock": getattr(clock, "_core", clock), "log": _log if log is True else log or None,
        "tables": [table._table for table in tables], "schema": schema, "connections": connections, "direct": direct,
        "connect_timeout": None if connect_timeout is None else span(connect_timeout, "connect_timeout"),
        "idle_in_transaction": (None if idle_in_transaction is None
                                else span(idle_in_transaction, "idle_in_transaction")),
        "pooler_keeps_sessions": pooler_keeps_sessions, "policies": [one._fields() for one in policies],
        "scheduler": scheduler, "migrations": [one._fields() for one in migrations], "on_open": on_open,
        "journal": None if journal is None else span(journal, "journal"), "journal_for_ever": journal is None}
    return _open(path, tenant, options)


def _open(path: Any, tenant: str | None, options: dict[str, Any]) -> Office:
    import os

    path = os.fspath(path)
    core = _bureau.Office.open(path, options)
    on_disk = path != ":memory:" and not path.startswith(("postgresql://", "postgres://"))
    place = os.path.realpath(path) if on_disk else ""
    return Office(core, core.system(tenant, True) if tenant else None, place, [options.get("scheduler")])


__all__ = ["Office", "open"]
