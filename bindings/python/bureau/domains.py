"""What the domains say of their rows beyond reading and writing them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any, Iterable

from . import _bureau, errors


class _Domain:
    def __init__(self, scope: _bureau.Scope) -> None:
        self._scope = scope


def _money(fields: dict[str, Any]) -> dict[str, Any]:
    """`value` and `currency` as the one text that the engine reads: "12.50 EUR"."""
    value = fields.get("value")
    if value is None or isinstance(value, str):
        return fields
    if isinstance(value, float):
        raise errors.Invalid("value: a Decimal is wanted, not a float: money is exact", "value")
    if not isinstance(value, (Decimal, int)) or isinstance(value, bool):
        raise errors.Invalid(f"value: a Decimal is wanted, not {type(value).__name__}", "value")
    currency = fields.get("currency")
    if not currency:
        raise errors.Invalid("currency: it is required beside a value", "currency")
    rest = {name: one for name, one in fields.items() if name != "currency"}
    return {**rest, "value": f"{Decimal(value):f} {currency}"}


class Tickets(_Domain):
    """Tickets and their conversations: `office.tickets`."""

    def open(self, *, customer: Any, body: str, **fields: Any) -> Any:
        """A new ticket with its first message. Also: subject, source, priority, external_id, custom."""
        return self._scope.ticket_open({"customer": customer, "body": body, **fields})

    def conversation(self, ticket: Any, *, after: int = 0, limit: int = 1000) -> list[Any]:
        """The messages, in order."""
        return self._scope.conversation(ticket, after, limit)

    def add_message(self, ticket: Any, body: str, **fields: Any) -> Any:
        """A message: sender, kind, author, confidence, external_id say what it is."""
        return self._scope.ticket_message(ticket, {"body": body, **fields})

    def reply(self, ticket: Any, body: str) -> Any:
        """A public message of who acts."""
        return self.add_message(ticket, body)

    def note(self, ticket: Any, body: str) -> Any:
        """A message that the customer does not see."""
        return self.add_message(ticket, body, kind="internal_note")

    def suggest(self, ticket: Any, body: str, confidence: float) -> Any:
        """A draft for a person to accept."""
        return self.add_message(ticket, body, kind="suggestion", confidence=confidence)

    def review(self, message: Any, verdict: str) -> Any:
        """Decides on a suggestion: accepted, left_for_person or rejected."""
        return self._scope.ticket_review(message, {"verdict": verdict})

    def move(self, ticket: Any, status: str) -> Any:
        """To a status, by its name."""
        return self._scope.ticket_change("move", ticket, {"status": status})

    def assign(self, ticket: Any, *, team: Any = None, assignee: Any = None) -> Any:
        """To a team, and to one of its people."""
        return self._scope.ticket_change("assign", ticket, {"team": team, "assignee": assignee})

    def prioritize(self, ticket: Any, priority: str) -> Any:
        """Gives it another priority."""
        return self._scope.ticket_change("prioritize", ticket, {"priority": priority})

    def tag(self, ticket: Any, tags: Iterable[str]) -> Any:
        """Replaces its tags."""
        return self._scope.ticket_change("tag", ticket, {"tags": list(tags)})

    def classify(self, ticket: Any, category: str, *, confidence: float = 1.0, priority: str = "normal") -> Any:
        """What triage found."""
        return self._scope.ticket_change(
            "classify", ticket, {"category": category, "confidence": confidence, "priority": priority})

    def route(self, ticket: Any) -> Any:
        """To the team of its category, and there to who has the least to do."""
        return self._scope.ticket_change("route", ticket, {})


class Deals(_Domain):
    """Deals: `office.deals`. Amounts are Decimals with a currency, or texts as "12.50 EUR"."""

    def open(self, *, title: str, **fields: Any) -> Any:
        """A new deal: value, currency, pipeline, stage, account, contact, product, owner, team, ..."""
        return self._scope.deal_open(_money({"title": title, **fields}))

    def move(self, deal: Any, stage: str) -> Any:
        """To another open stage."""
        return self._scope.deal_change("move", deal, {"stage": stage})

    def win(self, deal: Any, value: Any = None, currency: str | None = None) -> Any:
        """Won, at this value where it is another one."""
        return self._scope.deal_change("win", deal, _some(_money({"value": value, "currency": currency})))

    def lose(self, deal: Any, reason: str, stage: str = "") -> Any:
        """Lost, for a reason."""
        return self._scope.deal_change("lose", deal, {"reason": reason, "stage": stage})

    def reopen(self, deal: Any, stage: str = "") -> Any:
        """Into an open stage; the one that it was closed from."""
        return self._scope.deal_change("reopen", deal, {"stage": stage})

    def assign(self, deal: Any, *, team: Any = None, owner: Any = None) -> Any:
        """To a team and an owner."""
        return self._scope.deal_change("assign", deal, {"team": team, "owner": owner})

    def set_value(self, deal: Any, value: Any, currency: str | None = None) -> Any:
        """What it is worth."""
        return self._scope.deal_change(
            "set_value", deal, _some(_money({"value": value, "currency": currency})))

    def expect(self, deal: Any, close: Any) -> Any:
        """When it is expected to close."""
        return self._scope.deal_change("expect", deal, {"close": close})

    def forecast(self, by: str = "") -> list[dict[str, Any]]:
        """What the deals come to, by currency and by month, stage or owner.

        Each of won, lost, open, weighted, commit and best_case is a Decimal; `won_count` and so on
        say how many deals.
        """
        out = []
        for line in self._scope.forecast(by):
            digits = line.pop("digits")
            for name in ("won", "lost", "open", "weighted", "commit", "best_case"):
                count, minor = line.pop(name)
                line[name] = Decimal(minor).scaleb(-digits)
                line[name + "_count"] = count
            out.append(line)
        return out

    def create_pipeline(self, name: str = "", stages: Iterable[dict[str, Any]] = ()) -> None:
        """A pipeline with its stages; without a name the usual one, if there is none yet."""
        self._scope.create_pipeline(name, list(stages))


def _some(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in fields.items() if one is not None}


class Tasks(_Domain):
    """Tasks and runs from outside: `office.tasks`."""

    def get(self, task: Any) -> Any:
        """The task's row."""
        return self._scope.find("tasks", task)

    def cancel(self, task: Any, reason: str = "") -> Any:
        """Ends a task that has not ended; one that runs is asked to stop."""
        return self._scope.task_change("cancel", task, {"reason": reason})

    def snooze(self, task: Any, until: Any) -> Any:
        """Lets a task that has not begun rest until then."""
        return self._scope.task_change("snooze", task, {"until": until})

    def prioritize(self, task: Any, priority: str) -> Any:
        """Gives it another priority, from its next attempt on."""
        return self._scope.task_change("prioritize", task, {"priority": priority})

    def redrive(self, task: Any) -> Any:
        """Drives a dead task again."""
        return self._scope.task_change("redrive", task, {})

    def resolve(self, task: Any, outcome: str, reason: str) -> Any:
        """Says what became of an unsafe effect whose outcome is not known."""
        return self._scope.task_change("resolve", task, {"outcome": outcome, "reason": reason})

    def remove(self, task: Any) -> None:
        """Removes a task that has ended."""
        self._scope.task_remove(task)

    def wait(self, task: Any, timeout: float | timedelta = 60.0) -> Any:
        """Waits until the task has ended and returns its row. Deadline when it has not by then."""
        import time

        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
        end = time.monotonic() + seconds
        while True:  # in short pieces, so that a signal is seen
            left = end - time.monotonic()
            row = self._scope.wait_task(task, max(0.0, min(0.1, left)))
            if row is not None:
                return row
            if left <= 0:
                raise errors.Deadline(f"wait: the task {task} has not ended in {seconds:g} s")

    def result(self, task: Any, timeout: float | timedelta = 60.0) -> Any:
        """Waits as wait() does; what the task came to, or the error with which it ended."""
        row = self.wait(task, timeout)
        if row.status == "completed":
            return row.result
        for kind in errors.by_number:
            if issubclass(kind, errors.Error) and kind.code == row.error_code:
                raise kind(row.error or row.status)
        raise errors.Internal(row.error or f"the task is {row.status}")

    def signal(self, task: Any, name: str, payload: Any = None, *, key: str | None = None) -> bool:
        """Says something to a run; True when it was kept (of one key only the first is)."""
        return self._scope.signal(task, name, payload, key)

    def steps(self, task: Any) -> list[Any]:
        """What a run has recorded, in order."""
        return self._scope.steps(task)

    def children(self, task: Any) -> list[Any]:
        """The tasks that a run has spawned."""
        return self._scope.children(task)


class Approvals(_Domain):
    """What runs ask of people: `office.approvals`."""

    def list(self) -> list[Any]:
        """Those that are open, the first first."""
        return self._scope.approvals()

    def decide(self, approval: Any, approve: bool, comment: str = "") -> Any:
        """Decides, and has the run go on."""
        return self._scope.decide(approval, approve, comment)

    def use(self, approval: Any, subject: Any) -> None:
        """Uses it once, in the unit of the effect that it is for."""
        self._scope.use_approval(approval, subject)
