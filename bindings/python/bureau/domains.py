"""What the domains say of their rows beyond reading and writing them."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Iterable

from . import _bureau, errors
from .agents import kind_of
from .payloads import encode

if TYPE_CHECKING:
    from ._rows import (
        Deal, DealActivity, Message, NotificationChannel, NotificationDelivery, Schedule, ScheduleOccurrence, Ticket, TicketLink, Webhook,
    )
    from .desk import BulkReport
    from .sessions import Page


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


def _each_money(deals: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    for place, deal in enumerate(deals):
        try:
            yield _money(deal) if isinstance(deal, dict) else deal
        except errors.Invalid as wrong:
            raise errors.Invalid(f"deals[{place}]: {wrong.message}", wrong.field) from None


class Tickets(_Domain):
    """Tickets and their conversations: `office.tickets`."""

    def open(self, *, customer: Any, body: str, **fields: Any) -> Ticket:
        """A new ticket with its first message. Also: subject, source, priority, external_id, custom."""
        return self._scope.ticket_open({"customer": customer, "body": body, **fields})

    def open_all(self, tickets: Iterable[dict[str, Any]]) -> list[Ticket]:
        """Many with a few statements, all or none: each a dict of what open() takes."""
        return self._scope.ticket_open_all(tickets)

    def conversation(self, ticket: Any, *, after: int = 0, limit: int = 1000) -> list[Message]:
        """The messages, in order."""
        return self._scope.conversation(ticket, after, limit)

    def add_message(self, ticket: Any, body: str, **fields: Any) -> Message:
        """A message: sender, kind, author, confidence, external_id say what it is."""
        return self._scope.ticket_message(ticket, {"body": body, **fields})

    def reply(self, ticket: Any, body: str) -> Message:
        """A public message of who acts: the ticket's customer, or somebody who works on it."""
        return self._scope.ticket_say("reply", ticket, {"body": body})

    def note(self, ticket: Any, body: str) -> Message:
        """A message of who acts that the customer does not see."""
        return self._scope.ticket_say("note", ticket, {"body": body})

    def suggest(self, ticket: Any, body: str, confidence: float, *, accept: Any = None) -> Message:
        """A draft for a person to accept. With `accept`, a condition over messages, it is decided on at
        once: accepted when that holds, else left for a person."""
        return self._scope.ticket_say("suggest", ticket, {"body": body, "confidence": confidence, "accept": accept})

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

    def view(self, view: Any, *, limit: int = 100, after: str = "") -> Page[Ticket]:
        """The tickets that a saved view shows to who asks, a page at a time."""
        from .sessions import page_of

        return page_of(*self._scope.view_show(view, {"limit": limit, "after": after}))

    def change_all(self, tickets: Iterable[Any], actions: Iterable[dict[str, Any]], *,
                   mode: str = "all_or_none") -> BulkReport:
        """Does actions to tickets, in order, at most 1,000 of them:
        `[{"action": "set_priority", "value": "high"}, {"action": "reply", "canned": "thanks"}]`.

        Actions: set_status, set_priority, set_team, set_assignee, add_tags, remove_tags, reply,
        note, set_field (with "field"). `mode` is all_or_none (one transaction; the first that
        refuses is the error) or each (a transaction a ticket; those that refuse are listed).
        """
        from .desk import BulkReport

        return BulkReport(*self._scope.tickets_change_all(tickets, {"actions": encode(list(actions)), "mode": mode}))

    def change_where(self, where: Any, actions: Iterable[dict[str, Any]], *, mode: str = "all_or_none",
                     **values: Any) -> BulkReport:
        """The same to those in sight for which the condition holds when the call begins."""
        from .desk import BulkReport

        fields = {"actions": encode(list(actions)), "mode": mode}
        return BulkReport(*self._scope.tickets_change_where(where, values, fields))


@dataclasses.dataclass(frozen=True)
class FunnelStep:
    """One stage of a funnel: the deals that came into it, at their value then, and those that came
    into it or a later one, at their value now. `conversion` is the part of these that came to the next."""

    stage: str
    name: str
    category: str
    entered: int
    entered_value: Decimal
    reached: int
    reached_value: Decimal
    conversion: float | None


@dataclasses.dataclass(frozen=True)
class Funnel:
    """The deals of one currency in a pipeline, in the order of its stages; `win_rate` is the part of
    the closed ones that was won."""

    currency: str
    steps: list[FunnelStep]
    won: int
    won_value: Decimal
    lost: int
    lost_value: Decimal
    win_rate: float | None


def _funnel(currency: str, digits: int, steps: Any, won: Any, lost: Any, win_rate: float | None) -> Funnel:
    def both(of: tuple[int, int]) -> tuple[int, Decimal]:
        return of[0], Decimal(of[1]).scaleb(-digits)

    made = [FunnelStep(stage, name, category, *both(entered), *both(reached), conversion)
            for stage, name, category, entered, reached, conversion in steps]
    return Funnel(currency, made, *both(won), *both(lost), win_rate)


class Deals(_Domain):
    """Deals: `office.deals`. Amounts are Decimals with a currency, or texts as "12.50 EUR"."""

    def open(self, *, title: str, **fields: Any) -> Deal:
        """A new deal: value, currency, pipeline, stage, account, contact, product, owner, team,
        expected_close, probability_bp, external_id, custom.

        One that comes from elsewhere has a `past`: pairs of a stage and the moment in which it was
        entered, the last being where it is now, won and lost too, that with a `lost_reason`.
        """
        return self._scope.deal_open(_money({"title": title, **fields}))

    def open_all(self, deals: Iterable[dict[str, Any]]) -> list[Deal]:
        """Many with a few statements, all or none: each a dict of what open() takes."""
        return self._scope.deal_open_all(_each_money(deals))

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

    def set_probability(self, deal: Any, probability_bp: int | None) -> Deal:
        """A probability of its own, in basis points, until it is closed; None: the stage's."""
        return self._scope.deal_change("set_probability", deal, {"probability_bp": probability_bp})

    def add_activity(self, deal: Any, body: str, *, kind: str = "note", **fields: Any) -> DealActivity:
        """What was done about a deal, or with `due_at` is to be done then. Also: contact."""
        return self._scope.deal_activity_add(deal, {"body": body, "kind": kind, **fields})

    def end_activity(self, activity: Any, status: str = "done") -> DealActivity:
        """One that was open is done, or cancelled."""
        return self._scope.deal_activity_end(activity, {"status": status})

    def rotting(self, *, limit: int = 100) -> list[Deal]:
        """Open ones in whose stage nothing has happened for too long, the longest first in each stage."""
        return self._scope.deals_rotting({"limit": limit})

    def funnel(self, pipeline: str = "") -> list[Funnel]:
        """How deals go through a pipeline (the first unless it is named), by currency."""
        return [_funnel(*one) for one in self._scope.deal_funnel(pipeline)[1]]

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

    def channels(self) -> list[NotificationChannel]:
        """Those that there are: the inbox, and what some program of the office has had a Notifier for."""
        return self._scope.notification_channels()

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
