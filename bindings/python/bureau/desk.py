"""What a desk works with beside its tickets: who has one before him, texts and lists under a name,
and what is done to tickets together or by itself."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Iterable

from . import errors
from .domains import _Domain
from .payloads import encode

if TYPE_CHECKING:
    from ._rows import CannedReply, Macro, Presence, SavedView, Trigger


class Presences(_Domain):
    """Who is looking at which ticket: `office.presence`. People who work on tickets see one another."""

    def heartbeat(self, ticket: Any, doing: str = "looking") -> Presence:
        """Who acts has the ticket before him, looking or writing; to be said again well before 30
        seconds have passed."""
        return self._scope.presence_heartbeat(ticket, {"doing": doing})

    def on(self, ticket: Any) -> list[Presence]:
        """Who has it before him now, himself too, in the order in which they came."""
        return self._scope.presence_on(ticket)

    def leave(self, ticket: Any) -> None:
        """He goes."""
        self._scope.presence_leave(ticket)


class CannedReplies(_Domain):
    """Texts that are used again and again: `office.canned_replies`."""

    def save(self, name: str, body: str, *, scope: str = "office", team: Any = None) -> CannedReply:
        """A new one, or in place of the one of that name that the same people share.

        `scope` is personal, team or office. The body may name {customer}, {number} and so on.
        """
        return self._scope.canned_reply_save({"name": name, "body": body, "scope": scope, "team": team})

    def named(self, name: str) -> CannedReply:
        """The nearest of that name: one's own, then a team's, then the office's."""
        return self._scope.canned_reply_named(name)

    def render(self, reply: Any, ticket: Any) -> str:
        """What it says to a ticket."""
        return self._scope.canned_reply_render(reply, ticket)

    def remove(self, reply: Any) -> None:
        """Removes it."""
        self._scope.canned_reply_remove(reply)


def _text(where: Any) -> str | None:
    return None if where is None else str(where)


class SavedViews(_Domain):
    """Lists of tickets under a name: `office.views`. `office.tickets.view()` shows what is in one."""

    def save(self, name: str, *, where: Any = None, order: Any = None, columns: Iterable[Any] = (),
             scope: str = "personal", team: Any = None) -> SavedView:
        """A new one, or in place of the one of that name that the same people share.

        `where` is a condition over tickets, in which $user and $teams are of whoever looks; `scope`
        is personal, team or office.
        """
        return self._scope.view_save({
            "name": name, "where": _text(where), "order": order, "scope": scope, "team": team,
            "columns": [getattr(one, "name", one) for one in columns]})

    def named(self, name: str) -> SavedView:
        """The nearest of that name: one's own, then a team's, then the office's."""
        return self._scope.view_named(name)

    def remove(self, view: Any) -> None:
        """Removes it."""
        self._scope.view_remove(view)


@dataclasses.dataclass(frozen=True)
class BulkReport:
    """What became of a change of many tickets: those that refused, with the error of each."""

    changed: int
    refused: list[tuple[str, errors.Error]]


class Macros(_Domain):
    """Actions under a name, done to tickets when somebody says so: `office.macros`."""

    def save(self, name: str, actions: Iterable[dict[str, Any]], *, scope: str = "office", team: Any = None) -> Macro:
        """A new one, or in place of the one of that name that the same people share. Actions as of
        `office.tickets.change_all()`; `scope` is personal, team or office."""
        return self._scope.macro_save({"name": name, "actions": encode(list(actions)), "scope": scope, "team": team})

    def named(self, name: str) -> Macro:
        """The nearest of that name: one's own, then a team's, then the office's."""
        return self._scope.macro_named(name)

    def apply(self, macro: Any, tickets: Iterable[Any], *, mode: str = "all_or_none") -> BulkReport:
        """Does its actions; `mode` as of `office.tickets.change_all()`."""
        return BulkReport(*self._scope.macro_apply(macro, tickets, {"mode": mode}))

    def remove(self, macro: Any) -> None:
        """Removes it."""
        self._scope.macro_remove(macro)


class Triggers(_Domain):
    """Actions that follow from what happens to tickets, in the same commit: `office.triggers`."""

    def save(self, name: str, events: Iterable[str], actions: Iterable[dict[str, Any]], *, where: Any = None,
             message_where: Any = None, position: int = 0, active: bool = True) -> Trigger:
        """A new one, or in place of the one of that name.

        Events: created, updated, message_added. `where` is about the ticket as the change left it,
        `message_where` about the message that was added. They are asked in order of `position`.
        """
        return self._scope.trigger_save({
            "name": name, "events": list(events), "actions": encode(list(actions)), "where": _text(where),
            "message_where": _text(message_where), "position": position, "active": active})

    def remove(self, trigger: Any) -> None:
        """Removes it."""
        self._scope.trigger_remove(trigger)


__all__ = ["BulkReport", "CannedReplies", "Macros", "Presences", "SavedViews", "Triggers"]
