"""What is done with rows: in a session, in one transaction or in one snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Generic, Iterable, Iterator, List, TypeVar, overload

from . import _bureau, errors
from .agents import _options, kind_of
from .domains import Deals, Notifications, Schedules, Tickets, Webhooks
from .payloads import encode
from .rewards import Achievements, Leaderboards, Points, Streaks
from .tasks import Approvals, Tasks

if TYPE_CHECKING:  # else when they are first used: most programs need few of them
    from .classifier import Classifiers
    from .desk import CannedReplies, Macros, Presences, SavedViews, Triggers
    from .desk_agents import ReplyTemplates
    from .flow import Budgets, Flow
    from .housekeeping import Housekeeping, Roster
    from .inbox import Inbox, Preferences
    from .network import AgentNetwork
    from .workflows import Workflows

T = TypeVar("T", bound=_bureau.Row)
R = TypeVar("R")
PAGE = 1000


class Page(List[T]):
    """Rows, and where the next ones begin: `next` is "" on the last page."""

    next: str = ""


def page_of(rows: List[T], following: str) -> Page[T]:
    """Rows with where the next ones begin."""
    page: Page[T] = Page(rows)
    page.next = following
    return page


class Repository(Generic[T]):
    """The rows of one table, with a session's rights: `office[Ticket]`.

    A condition is made of columns (`Ticket.priority >= "high"`), or is text with values by name
    (`"priority >= $p", p="high"`).
    """

    def __init__(self, scope: _bureau.Scope, table: str) -> None:
        self._scope = scope
        self.table = table

    def __repr__(self) -> str:
        return f"<Repository {self.table}>"

    def get(self, id: Any) -> T:
        """The row with that id. NotFound when there is none in sight."""
        return self._scope.find(self.table, id)

    def first(self, where: Any = None, *, order: Any = None, **values: Any) -> T | None:
        """The first row for which the condition holds, or None."""
        rows, _ = self._scope.list(self.table, where, values, order, 1, "")
        return rows[0] if rows else None

    def list(self, where: Any = None, *, order: Any = None, limit: int = 100, **values: Any) -> List[T]:
        """Rows in an order, at most `limit`."""
        rows, _ = self._scope.list(self.table, where, values, order, _limit(limit), "")
        return rows

    def page(self, where: Any = None, *, order: Any = None, limit: int = 100, after: str = "",
             **values: Any) -> Page[T]:
        """One page; `after` is the `next` of the page before."""
        return page_of(*self._scope.list(self.table, where, values, order, _limit(limit), after))

    def iter(self, where: Any = None, *, order: Any = None, page: int = PAGE, **values: Any) -> Iterator[T]:
        """All rows, read a page at a time; each page is a look of its own."""
        after = ""
        while True:
            rows, after = self._scope.list(self.table, where, values, order, _limit(page), after)
            yield from rows
            if not after:
                return

    def __iter__(self) -> Iterator[T]:
        return self.iter()

    def count(self, where: Any = None, **values: Any) -> int:
        """How many rows are in sight for which the condition holds."""
        return self._scope.count(self.table, where, values)

    def dicts(self, where: Any = None, *, order: Any = None, limit: int = 100, **values: Any) -> List[Dict[str, Any]]:
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
                  **measures: Any) -> List[Dict[str, Any]]:
        """Figures over groups: `aggregate(by=Ticket.state, number="count", last=("max", Ticket.created_at))`."""
        groups = [by] if isinstance(by, (str, _bureau.Column)) else list(by)
        wanted = [(m, None) if isinstance(m, str) else tuple(m) for m in measures.values()]
        if not wanted:
            measures, wanted = {"count": None}, [("count", None)]
        names = [g if isinstance(g, str) else g.name for g in groups] + list(measures)
        rows = self._scope.aggregate(self.table, wanted, groups, where, values or {})
        return [dict(zip(names, row)) for row in rows]

    def insert(self, row: T) -> T:
        """Inserts the row, fills in its id, version and times, and returns it."""
        self._scope.insert(self.table, [row])
        return row

    def insert_all(self, rows: Iterable[T]) -> List[T]:
        """Inserts all or none."""
        made = list(rows)
        self._scope.insert(self.table, made)
        return made

    def update(self, row: T) -> T:
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

    @overload
    def __getitem__(self, table: str) -> Repository[Any]: ...
    @overload
    def __getitem__(self, table: type[T]) -> Repository[T]: ...
    def __getitem__(self, table: Any) -> Repository[Any]:
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
    def flow(self) -> Flow:
        """What holds tasks back."""
        from .flow import Flow

        return Flow(self._scope)

    @property
    def budgets(self) -> Budgets:
        """What tasks may spend."""
        from .flow import Budgets

        return Budgets(self._scope)

    @property
    def approvals(self) -> Approvals:
        """What runs ask of people."""
        return Approvals(self._scope)

    @property
    def notifications(self) -> Notifications:
        """What users and webhooks are told."""
        return Notifications(self._scope)

    @property
    def inbox(self) -> Inbox:
        """What who acts was told; `inbox.of(user)` for the system."""
        from .inbox import Inbox

        return Inbox(self._scope)

    @property
    def preferences(self) -> Preferences:
        """What who acts wants to be told of; `preferences.of(user)` for the system."""
        from .inbox import Preferences

        return Preferences(self._scope)

    @property
    def presence(self) -> Presences:
        """Who is looking at which ticket."""
        from .desk import Presences

        return Presences(self._scope)

    @property
    def canned_replies(self) -> CannedReplies:
        """Texts that are used again."""
        from .desk import CannedReplies

        return CannedReplies(self._scope)

    @property
    def views(self) -> SavedViews:
        """Lists of tickets under a name."""
        from .desk import SavedViews

        return SavedViews(self._scope)

    @property
    def macros(self) -> Macros:
        """Actions that are done to tickets when somebody says so."""
        from .desk import Macros

        return Macros(self._scope)

    @property
    def triggers(self) -> Triggers:
        """Actions that follow from what happens to tickets."""
        from .desk import Triggers

        return Triggers(self._scope)

    @property
    def reply_templates(self) -> ReplyTemplates:
        """What the desk's own agent answers with."""
        from .desk_agents import ReplyTemplates

        return ReplyTemplates(self._scope)

    @property
    def classifiers(self) -> Classifiers:
        """Classifiers that the office keeps."""
        from .classifier import Classifiers

        return Classifiers(self._scope)

    @property
    def schedules(self) -> Schedules:
        """Tasks that recur."""
        return Schedules(self._scope)

    @property
    def workflows(self) -> Workflows:
        """What people define as data, and its runs."""
        from .workflows import Workflows

        return Workflows(self._scope)

    @property
    def webhooks(self) -> Webhooks:
        """Who is told over HTTP."""
        return Webhooks(self._scope)

    @property
    def achievements(self) -> Achievements:
        """What there is to achieve, and who has it."""
        return Achievements(self._scope)

    @property
    def points(self) -> Points:
        """The ledger of points."""
        return Points(self._scope)

    @property
    def streaks(self) -> Streaks:
        """Days that follow one another."""
        return Streaks(self._scope)

    @property
    def leaderboards(self) -> Leaderboards:
        """Who has how many points."""
        return Leaderboards(self._scope)

    @property
    def roster(self) -> Roster:
        """The agents that the office means to have, and those that work."""
        from .housekeeping import Roster

        return Roster(self._scope)

    @property
    def network(self) -> AgentNetwork:
        """What is between agents."""
        from .network import AgentNetwork

        return AgentNetwork(self._scope)

    @property
    def housekeeping(self) -> Housekeeping:
        """What the office does for itself."""
        from .housekeeping import Housekeeping

        return Housekeeping(self._scope)

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
