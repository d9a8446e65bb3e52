"""bureau: the back office in a library.

Tickets, deals, people, AI agents and durable work on one SQLite file, in your process:

    import bureau
    from bureau import Ticket, User

    with bureau.open("office.db", tenant="Larkfield") as office:
        ada = office[User].insert(User(email="ada@example.com", role="customer"))
        ticket = office.tickets.open(customer=ada, body="My grinder howls.")
        for ticket in office[Ticket].iter(Ticket.state == "open", order=Ticket.number):
            print(ticket.subject)

The classes of rows (`Ticket`, `User`, `Deal`, ...) and of their enumerations (`Priority`,
`TaskStatus`, ...) are made from the engine's own descriptions when they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _bureau
from .errors import (
    Busy, Cancelled, Conflict, Corrupt, Deadline, Error, Exhausted, Exists, Forbidden, Gone, Internal,
    Invalid, NotFound, Suspended, Unavailable, UnknownOutcome, Upgraded,
)
from .agents import Agent, Child, Retry, Run, TaskKind, Verdict, task
from .entities import column, entity
from .hosted import Clock, HiddenColumns, Policy, Runner, Scheduler
from .models import Conversed, Embedded, Embedder, LanguageModel, Notifier, Tool
from .rows import Choice, Column, Predicate, Row, class_named as _class_named, names as _names
from .sessions import Page, Repository, Scope, Session, Unit
from .office import Office, open

if TYPE_CHECKING:  # the rows as make_stubs.py writes them
    from ._rows import *
    from .classifier import CrossValidation, Prediction, StoredClassifier, TextClassifier
    from .desk_agents import (
        DraftReply, DraftResult, ResponderAgent, RouteResult, RouteTicket, RoutingAgent, TriageAgent, TriageResult, TriageTicket,
    )
    from .migrations import Migration, MigrationStatus, MigrationStep, Migrator, migrator
    from .operating import (
        Backup, Health, HealthComponent, Moved, OfficeDigest, Restored, TableDigest, describe_backup, move, restore, verify,
    )

__version__: str = _bureau.__version__

__all__ = [
    "Agent", "Backup", "Busy", "Cancelled", "Child", "Choice", "Clock", "Column", "Conflict", "Conversed", "Corrupt",
    "CrossValidation", "Deadline", "DraftReply", "DraftResult", "Embedded", "Embedder", "Error", "Exhausted", "Exists", "Forbidden", "Gone",
    "Health", "HealthComponent", "HiddenColumns", "Internal", "Invalid", "LanguageModel", "Migration",
    "MigrationStatus", "MigrationStep", "Migrator", "Moved", "NotFound", "Notifier", "Office", "OfficeDigest", "Page",
    "Policy", "Predicate", "Prediction", "Repository", "ResponderAgent", "Restored", "Retry", "RouteResult",
    "RouteTicket", "RoutingAgent", "Row", "Run", "Runner", "Scheduler", "Scope", "Session", "StoredClassifier",
    "Suspended", "TableDigest", "TaskKind", "TextClassifier", "Tool", "TriageAgent", "TriageResult", "TriageTicket",
    "Unavailable", "Unit", "UnknownOutcome", "Upgraded", "Verdict", "column", "describe_backup", "entity", "migrator",
    "move", "open", "restore", "task", "verify",
]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in __all__:  # of what is imported when it is first asked for
            from . import classifier, desk_agents, migrations, operating

            home = next(one for one in (classifier, desk_agents, migrations, operating) if name in one.__all__)
            globals()[name] = found = getattr(home, name)
            return found
        if not name.startswith("_"):
            found = _class_named(name)
            if found is not None:
                globals()[name] = found
                return found
        raise AttributeError(f"module 'bureau' has no attribute '{name}'", name=name, obj=None)


def __dir__() -> list[str]:
    return sorted({*__all__, *_names()})
