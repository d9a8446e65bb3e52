"""What the domains say of their rows beyond reading and writing them."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Iterable

from . import _bureau, errors
from .agents import kind_of, span
from .payloads import encode

if TYPE_CHECKING:
    from ._rows import (
        Approval, Deal, Message, NotificationDelivery, RunStep, Schedule, ScheduleOccurrence, Task, Ticket, TicketLink, Webhook,
    )


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

    def open(self, *, customer: Any, body: str, **fields: Any) -> Ticket:
        """A new ticket with its first message. Also: subject, source, priority, external_id, custom."""
        return self._scope.ticket_open({"customer": customer, "body": body, **fields})

    def conversation(self, ticket: Any, *, after: int = 0, limit: int = 1000) -> list[Message]:
        """The messages, in order."""
        return self._scope.conversation(ticket, after, limit)

    def add_message(self, ticket: Any, body: str, **fields: Any) -> Message:
        """A message: sender, kind, author, confidence, external_id say what it is."""
        return self._scope.ticket_message(ticket, {"body": body, **fields})

    def reply(self, ticket: Any, body: str) -> Message:
        """A public message of who acts."""
        return self.add_message(ticket, body)

    def note(self, ticket: Any, body: str) -> Message:
        """A message that the customer does not see."""
        return self.add_message(ticket, body, kind="internal_note")

    def suggest(self, ticket: Any, body: str, confidence: float) -> Message:
        """A draft for a person to accept."""
        return self.add_message(ticket, body, kind="suggestion", confidence=confidence)

    def review(self, message: Any, verdict: str) -> Message:
        """Decides on a suggestion: accepted, left_for_person or rejected."""
        return self._scope.ticket_review(message, {"verdict": verdict})

    def move(self, ticket: Any, status: str) -> Ticket:
        """To a status, by its name."""
        return self._scope.ticket_change("move", ticket, {"status": status})

    def assign(self, ticket: Any, *, team: Any = None, assignee: Any = None) -> Ticket:
        """To a team, and to one of its people."""
        return self._scope.ticket_change("assign", ticket, {"team": team, "assignee": assignee})

    def prioritize(self, ticket: Any, priority: str) -> Ticket:
        """Gives it another priority."""
        return self._scope.ticket_change("prioritize", ticket, {"priority": priority})

    def tag(self, ticket: Any, tags: Iterable[str]) -> Ticket:
        """Replaces its tags."""
        return self._scope.ticket_change("tag", ticket, {"tags": list(tags)})

    def classify(self, ticket: Any, category: str, *, confidence: float = 1.0, priority: str = "normal") -> Ticket:
        """What triage found."""
        return self._scope.ticket_change(
            "classify", ticket, {"category": category, "confidence": confidence, "priority": priority})

    def route(self, ticket: Any) -> Ticket:
        """To the team of its category, and there to who has the least to do."""
        return self._scope.ticket_change("route", ticket, {})

    def link(self, ticket: Any, other: Any, type: str = "related") -> TicketLink:
        """Says that the ticket is parent, child, related, duplicate or causes of the other one."""
        return self._scope.ticket_link(ticket, {"other": other, "type": type})

    def unlink(self, link: Any) -> None:
        """Takes a link away."""
        self._scope.ticket_unlink(link)

    def links(self, ticket: Any) -> list[TicketLink]:
        """The links of a ticket that are in sight, the oldest first."""
        return self._scope.ticket_links(ticket)

    def merge(self, source: Any, target: Any) -> Ticket:
        """Makes an open ticket part of another of the same customer, and returns that one: its
        messages and links go there, and so does what is written to it from then on."""
        return self._scope.ticket_merge(source, target)

    def split(self, ticket: Any, messages: Iterable[Any], subject: str = "") -> Ticket:
        """Makes a new ticket of some messages of another; the first is one of the customer's."""
        return self._scope.ticket_split(ticket, list(messages), subject)


class Deals(_Domain):
    """Deals: `office.deals`. Amounts are Decimals with a currency, or texts as "12.50 EUR"."""

    def open(self, *, title: str, **fields: Any) -> Deal:
        """A new deal: value, currency, pipeline, stage, account, contact, product, owner, team, ..."""
        return self._scope.deal_open(_money({"title": title, **fields}))

    def move(self, deal: Any, stage: str) -> Deal:
        """To another open stage."""
        return self._scope.deal_change("move", deal, {"stage": stage})

    def win(self, deal: Any, value: Any = None, currency: str | None = None) -> Deal:
        """Won, at this value where it is another one."""
        return self._scope.deal_change("win", deal, _some(_money({"value": value, "currency": currency})))

    def lose(self, deal: Any, reason: str, stage: str = "") -> Deal:
        """Lost, for a reason."""
        return self._scope.deal_change("lose", deal, {"reason": reason, "stage": stage})

    def reopen(self, deal: Any, stage: str = "") -> Deal:
        """Into an open stage; the one that it was closed from."""
        return self._scope.deal_change("reopen", deal, {"stage": stage})

    def assign(self, deal: Any, *, team: Any = None, owner: Any = None) -> Deal:
        """To a team and an owner."""
        return self._scope.deal_change("assign", deal, {"team": team, "owner": owner})

    def set_value(self, deal: Any, value: Any, currency: str | None = None) -> Deal:
        """What it is worth."""
        return self._scope.deal_change(
            "set_value", deal, _some(_money({"value": value, "currency": currency})))

    def expect(self, deal: Any, close: Any) -> Deal:
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

    def get(self, task: Any) -> Task:
        """The task's row."""
        return self._scope.find("tasks", task)

    def cancel(self, task: Any, reason: str = "") -> Task:
        """Ends a task that has not ended; one that runs is asked to stop."""
        return self._scope.task_change("cancel", task, {"reason": reason})

    def snooze(self, task: Any, until: Any) -> Task:
        """Lets a task that has not begun rest until then."""
        return self._scope.task_change("snooze", task, {"until": until})

    def prioritize(self, task: Any, priority: str) -> Task:
        """Gives it another priority, from its next attempt on."""
        return self._scope.task_change("prioritize", task, {"priority": priority})

    def redrive(self, task: Any) -> Task:
        """Drives a dead task again."""
        return self._scope.task_change("redrive", task, {})

    def resolve(self, task: Any, outcome: str, reason: str) -> Task:
        """Says what became of an unsafe effect whose outcome is not known."""
        return self._scope.task_change("resolve", task, {"outcome": outcome, "reason": reason})

    def remove(self, task: Any) -> None:
        """Removes a task that has ended."""
        self._scope.task_remove(task)

    def wait(self, task: Any, timeout: Any = 60.0) -> Task:
        """Waits until the task has ended and returns its row. Deadline when it has not by then."""
        import time

        seconds = span(timeout, "timeout").total_seconds()
        end = time.monotonic() + seconds
        while True:  # in short pieces, so that a signal is seen
            left = end - time.monotonic()
            row = self._scope.wait_task(task, max(0.0, min(0.1, left)))
            if row is not None:
                return row
            if left <= 0:
                raise errors.Deadline(f"wait: the task {task} has not ended in {seconds:g} s")

    def result(self, task: Any, timeout: Any = 60.0) -> Any:
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

    def steps(self, task: Any) -> list[RunStep]:
        """What a run has recorded, in order."""
        return self._scope.steps(task)

    def children(self, task: Any) -> list[Task]:
        """The tasks that a run has spawned."""
        return self._scope.children(task)


class Approvals(_Domain):
    """What runs ask of people: `office.approvals`."""

    def list(self) -> list[Approval]:
        """Those that are open, the first first."""
        return self._scope.approvals()

    def decide(self, approval: Any, approve: bool, comment: str = "") -> Approval:
        """Decides, and has the run go on."""
        return self._scope.decide(approval, approve, comment)

    def use(self, approval: Any, subject: Any) -> None:
        """Uses it once, in the unit of the effect that it is for."""
        self._scope.use_approval(approval, subject)


class Schedules(_Domain):
    """Tasks that recur: `office.schedules`. Whichever process works fires them, each moment once."""

    def save(self, name: str, expression: str, payload: Any, *, kind: Any = None, **options: Any) -> Schedule:
        """A new one, or the one with that name as it is described now: "30 9 * * MON-FRI", "@daily".

        Options: zone (the tenant's), catch_up ("none", "last", "all"), overlap ("skip", "queue"),
        priority, days ("either", "both").
        """
        made = kind_of(payload if kind is None else kind)
        return self._scope.schedule_save(
            made._core, encode(payload), {"name": name, "expression": expression, **options})

    def named(self, name: str) -> Schedule:
        """The one with that name. NotFound when there is none."""
        return self._scope.schedule_named(name)

    def upcoming(self, schedule: Any, count: int = 10) -> list[datetime]:
        """When it fires next."""
        return self._scope.schedule_upcoming(schedule, count)

    def history(self, schedule: Any, *, limit: int = 100) -> list[ScheduleOccurrence]:
        """What became of its occurrences, the last first."""
        return self._scope.schedule_history(schedule, limit)

    def pause(self, schedule: Any) -> Schedule:
        """Nothing fires, and nothing is made up for."""
        return self._scope.schedule_change("pause", schedule)

    def resume(self, schedule: Any) -> Schedule:
        """It fires next after now."""
        return self._scope.schedule_change("resume", schedule)

    def run_now(self, schedule: Any) -> str:
        """Enqueues its task now, and gives the task's id."""
        return self._scope.schedule_run_now(schedule)

    def remove(self, schedule: Any) -> None:
        """Removes it."""
        self._scope.schedule_remove(schedule)


@dataclasses.dataclass(frozen=True)
class Notified:
    """What became of a call; `made` is False when the notification was there already."""

    id: str
    made: bool
    status: str


class Notifications(_Domain):
    """What users and webhooks are told: `office.notifications`. Preferences decide who wants it."""

    def notify(self, event: str, *, user: Any, title: str, key: str, **options: Any) -> Notified:
        """Tells a user of a fact, once: the same user, event and key is the same notification.

        Options: body, data, channels (the inbox), critical (whatever preferences say).
        """
        return Notified(**self._scope.notify({"event": event, "user": user, "title": title, "key": key, **options}))

    def publish(self, event: str, *, title: str, key: str, **options: Any) -> list[Notified]:
        """Tells every webhook that wants the event. Options: body, data."""
        return [Notified(**one) for one in self._scope.publish({"event": event, "title": title, "key": key, **options})]

    def deliveries(self, notification: Any) -> list[NotificationDelivery]:
        """What became of it, by channel."""
        return self._scope.notification_deliveries(notification)

    def receipt(self, channel: str, external_id: str, status: str, **options: Any) -> NotificationDelivery:
        """Later news of a channel: sent, delivered, read, bounced or failed. Options: at, reason."""
        return self._scope.notification_receipt(
            {"channel": channel, "external_id": external_id, "status": status, **options})

    def resolve(self, delivery: Any, outcome: str, reason: str) -> NotificationDelivery:
        """What a person found out about one in doubt, or decides about one that failed: sent, failed
        or queued (send it again)."""
        return self._scope.notification_resolve(delivery, {"outcome": outcome, "reason": reason})


class Webhooks(_Domain):
    """Who is told over HTTP: `office.webhooks`. A Notifier of the channel "webhook" carries it."""

    def add(self, name: str, url: str, *, events: Iterable[str] = ("*",), secret: str | None = None) -> Webhook:
        """A new one. Its `secret`, made unless it is given, is shown this once."""
        return self._scope.webhook_add({"name": name, "url": url, "events": list(events), "secret": secret})

    def enable(self, webhook: Any) -> Webhook:
        """Enabled again, its failures forgotten."""
        return self._scope.webhook_enable(webhook)

    def disable(self, webhook: Any, reason: str) -> Webhook:
        """Nothing goes there any more."""
        return self._scope.webhook_disable(webhook, reason)

    def renew_secret(self, webhook: Any) -> Webhook:
        """A new secret, shown this once; the old one is gone."""
        return self._scope.webhook_renew_secret(webhook)

    def remove(self, webhook: Any) -> None:
        """Removes it."""
        self._scope.webhook_remove(webhook)
