"""The office: opened, asked, written to."""

from __future__ import annotations

import atexit
from typing import Any, Callable, Iterable, Iterator, TypeVar

from . import _bureau, errors
from .agents import Agent, Handler, kind_of, span, _options
from .domains import Approvals, Deals, Tasks, Tickets
from .payloads import encode
from .rows import Row, row_class

R = TypeVar("R")
Rows = list[Any]
Dicts = list[dict[str, Any]]
PAGE = 1000

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


class Page(list):  # type: ignore[type-arg]
    """Rows, and where the next ones begin: `next` is "" on the last page."""

    next: str = ""


class Repository:
    """The rows of one table, with a session's rights: `office[Ticket]`.

    A condition is made of columns (`Ticket.priority >= "high"`), or is text with values by name
    (`"priority >= $p", p="high"`).
    """

    def __init__(self, scope: _bureau.Scope, table: str) -> None:
        self._scope = scope
        self.table = table

    def __repr__(self) -> str:
        return f"<Repository {self.table}>"

    def get(self, id: Any) -> Any:
        """The row with that id. NotFound when there is none in sight."""
        return self._scope.find(self.table, id)

    def first(self, where: Any = None, *, order: Any = None, **values: Any) -> Any:
        """The first row for which the condition holds, or None."""
        rows, _ = self._scope.list(self.table, where, values, order, 1, "")
        return rows[0] if rows else None

    def list(self, where: Any = None, *, order: Any = None, limit: int = 100, **values: Any) -> Rows:
        """Rows in an order, at most `limit`."""
        rows, _ = self._scope.list(self.table, where, values, order, _limit(limit), "")
        return rows

    def page(self, where: Any = None, *, order: Any = None, limit: int = 100, after: str = "",
             **values: Any) -> Page:
        """One page; `after` is the `next` of the page before."""
        rows, following = self._scope.list(self.table, where, values, order, _limit(limit), after)
        page = Page(rows)
        page.next = following
        return page

    def iter(self, where: Any = None, *, order: Any = None, page: int = PAGE, **values: Any) -> Iterator[Any]:
        """All rows, read a page at a time; each page is a look of its own."""
        after = ""
        while True:
            rows, after = self._scope.list(self.table, where, values, order, _limit(page), after)
            yield from rows
            if not after:
                return

    def __iter__(self) -> Iterator[Any]:
        return self.iter()

    def count(self, where: Any = None, **values: Any) -> int:
        """How many rows are in sight for which the condition holds."""
        return self._scope.count(self.table, where, values)

    def dicts(self, where: Any = None, *, order: Any = None, limit: int = 100, **values: Any) -> Dicts:
        """The same as list(), as dicts."""
        return [row.to_dict() for row in self.list(where, order=order, limit=limit, **values)]

    def columns(self, where: Any = None, *, order: Any = None, limit: int = 2**32,
                only: Iterable[Any] | None = None, **values: Any) -> dict[str, Any]:
        """Columns instead of rows: numpy arrays where numpy is there, else lists.

        Moments are datetime64[us] in UTC, durations timedelta64[us]; where values may be missing,
        numbers are masked arrays.
        """
        from .columns import arrays

        return arrays(self._scope.columns(self.table, only, where, values, order, limit))

    def frame(self, where: Any = None, *, order: Any = None, limit: int = 2**32,
              only: Iterable[Any] | None = None, **values: Any) -> Any:
        """A pandas.DataFrame; enumerations are ordered categories."""
        from .columns import frame

        return frame(self._scope.columns(self.table, only, where, values, order, limit))

    def aggregate(self, where: Any = None, *, by: Any = (), values: dict[str, Any] | None = None,
                  **measures: Any) -> Dicts:
        """Figures over groups: `aggregate(by=Ticket.state, number="count", last=("max", Ticket.created_at))`."""
        groups = [by] if isinstance(by, (str, _bureau.Column)) else list(by)
        wanted = [(m, None) if isinstance(m, str) else tuple(m) for m in measures.values()]
        if not wanted:
            measures, wanted = {"count": None}, [("count", None)]
        names = [g if isinstance(g, str) else g.name for g in groups] + list(measures)
        rows = self._scope.aggregate(self.table, wanted, groups, where, values or {})
        return [dict(zip(names, row)) for row in rows]

    def insert(self, row: Any) -> Any:
        """Inserts the row, fills in its id, version and times, and returns it."""
        self._scope.insert(self.table, [row])
        return row

    def insert_all(self, rows: Iterable[Any]) -> Rows:
        """Inserts all or none."""
        made = list(rows)
        self._scope.insert(self.table, made)
        return made

    def update(self, row: Any) -> Any:
        """Writes the row back. Conflict when somebody has changed it since it was read."""
        self._scope.update(self.table, row)
        return row

    def remove(self, row: Any) -> None:
        """Removes the row, given by itself or its id."""
        self._scope.remove(self.table, row)


def _limit(limit: int) -> int:
    if limit < 0:
        raise errors.Invalid("limit: it is negative", "limit")
    return limit


class Scope:
    """Where rows are read and written: a session, a transaction or a snapshot."""

    def __init__(self, scope: _bureau.Scope) -> None:
        self._scope = scope

    def __getitem__(self, table: Any) -> Repository:
        """The rows of a table: `office[Ticket]`, or by its name: `office["tickets"]`."""
        if isinstance(table, str):
            return Repository(self._scope, table)
        name = getattr(table, "__table__", None)
        if name is None:
            raise errors.Invalid("table: a class of rows or a table's name is wanted", "table")
        return Repository(self._scope, name)

    @property
    def tickets(self) -> Tickets:
        """Tickets and their conversations."""
        return Tickets(self._scope)

    @property
    def deals(self) -> Deals:
        """Deals, their pipelines and forecasts."""
        return Deals(self._scope)

    @property
    def tasks(self) -> Tasks:
        """Tasks and runs."""
        return Tasks(self._scope)

    @property
    def approvals(self) -> Approvals:
        """What runs ask of people."""
        return Approvals(self._scope)

    @property
    def principal(self) -> dict[str, Any]:
        """Who acts: tenant, user, role, whether it is the system."""
        return self._scope.principal()

    def get(self, id: str) -> Any:
        """Any row by its id, whose prefix names the table."""
        table = _bureau._table_of_id(id)
        return self._scope.find(table, id)

    def enqueue(self, payload: Any, *, kind: Any = None, **options: Any) -> str:
        """Enqueues a task and gives its id. `payload` is a dataclass that was declared as a kind's,
        or anything that JSON has beside `kind=`.

        Options: priority, delay, run_at, unique_key, unique_for, on_conflict, deadline, flow_key,
        budget.
        """
        made = kind_of(payload if kind is None else kind)
        return self._scope.enqueue(made._core, [encode(payload)], _options(options))[0]

    def enqueue_all(self, payloads: Iterable[Any], *, kind: Any = None, **options: Any) -> list[str]:
        """Many tasks of one kind, in one statement."""
        listed = list(payloads)
        if not listed:
            return []
        made = kind_of(listed[0] if kind is None else kind)
        for one in listed:
            if kind is None and kind_of(one) is not made:
                raise errors.Invalid("kind: the payloads are of several kinds", "kind")
        return self._scope.enqueue(made._core, [encode(one) for one in listed], _options(options))

    def budget(self, name: str, **limits: Any) -> Any:
        """A new budget: tokens, calls, time, money as "12.50 EUR"."""
        if limits.get("time") is not None:
            limits["time"] = span(limits["time"], "time")
        return self._scope.create_budget({"name": name, **limits})

    def why(self, task: Any) -> dict[str, Any]:
        """Why a task is not running."""
        return self._scope.why(task)


class Unit(Scope):
    """One transaction: all that is done in it commits together, or none of it."""


class Session(Scope):
    """A principal's view of one tenant. Each call is a transaction of its own."""

    def write(self, work: Callable[[Unit], R]) -> R:
        """Calls `work(unit)` in a transaction that commits when it returns.

        It may be called more than once when others write at the same time, so it must have no
        effect but through the unit; an exception undoes it all. Also a decorator's target.
        """
        return self._scope.write(lambda scope: work(Unit(scope)))

    def read(self, work: Callable[[Scope], R]) -> R:
        """Calls `work(view)` on one snapshot."""
        return self._scope.read(lambda scope: work(Scope(scope)))

    def unit(self) -> UnitBlock:
        """`with office.unit() as unit:` one transaction, which is not tried again.

        Conflict is raised at its end when it would have to be; `write()` does that by itself.
        """
        return UnitBlock(self._scope)

    def feed(self, table: Any, where: Any = None, *, after: int | None = None, **values: Any) -> Any:
        """Changes of a table from now on, or after a number: `for event in office.feed(Ticket):`."""
        from .feed import Feed

        return Feed(self._scope, self[table].table, where, values, after)

    def subscribe(self, table: Any, callback: Callable[[Any], Any], where: Any = None, *,
                  after: int | None = None, **values: Any) -> Any:
        """Calls back with each change, while what this returns is held and the office is started."""
        from .feed import Subscription

        return Subscription(self._scope, self[table].table, callback, where, values, after)

    def user(self, user: Any) -> Session:
        """The view of one of the tenant's users: his rights, his rows."""
        return Session(_bureau._user_session(self._scope, user))


class UnitBlock:
    """What `Session.unit()` gives."""

    def __init__(self, scope: _bureau.Scope) -> None:
        self._unit = _bureau.OpenUnit(scope)

    def __enter__(self) -> Unit:
        return Unit(self._unit.enter())

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        self._unit.exit(kind is None)


class Office(Session):
    """An open office, and its default tenant seen with the system's rights."""

    def __init__(self, core: _bureau.Office, scope: _bureau.Scope | None, path: str = "") -> None:
        self._core = core
        self._path = path
        if path:
            _watch_sqlite()
            _paths[path] = _paths.get(path, 0) + 1
        self._default = scope
        self._handlers: list[Handler] = []
        self._attempts: Any = None  # where coroutines run
        self._kept: list[Any] = []

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

    def add(self, agent: Agent) -> None:
        """Registers an agent that is an object."""
        kind = kind_of(agent.kind)
        self._register(Handler(self, kind, agent.execute, agent.name, agent), agent.role)

    def add_notifiers(self, *notifiers: Any) -> None:
        """Registers who carries messages over channels."""
        _bureau._add_notifiers(self._core, list(notifiers))
        self._kept.extend(notifiers)

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
            threading.Event().wait()
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

    @property
    def now(self) -> Any:
        """The time of the office's clock."""
        return self._core.now()


def open(path: Any = "office.db", *, tenant: str | None = None, threads: int = 4,
         durability: str = "power_safe", clock: Any = None, tables: Iterable[type[Row]] = (),
         log: bool | Callable[..., None] = True, keys: dict[str, bytes] | None = None,
         batch: int | None = None) -> Office:
    """Opens an office: a SQLite file, made if it is not there; ":memory:" is gone with the object.

    `tenant` is the one that the office's own calls are about: made if it is not there, with the
    usual ticket statuses. Without it, the only tenant. `log` goes to `logging`, below "bureau".
    """
    import os

    options: dict[str, Any] = {"threads": threads, "durability": durability}
    if clock is not None:
        options["clock"] = getattr(clock, "_core", clock)
    if log:
        options["log"] = _log if log is True else log
    if keys:
        options["keys"] = keys
    if batch is not None:
        options["batch"] = batch
    own = [table._table for table in tables]
    if own:
        options["tables"] = own
    core = _bureau.Office.open(os.fspath(path), options)
    place = "" if path == ":memory:" else os.path.realpath(os.fspath(path))
    return Office(core, core.system(tenant, True) if tenant else None, place)


__all__ = ["Office", "Page", "Repository", "Scope", "Session", "Unit", "UnitBlock", "open", "row_class"]
