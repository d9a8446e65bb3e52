"""The help desk's own agents, and the kinds of tasks that they do: a program may do some itself.

    office.add(TriageAgent(classifier, {"card_lost": "urgent"}))
    office.add(RoutingAgent())
    office.add(ResponderAgent(Message.confidence >= classifier.threshold))
    office.enqueue(TriageTicket(ticket.id))
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Mapping

from . import _bureau
from .agents import LibraryAgent, TaskKind
from .domains import _Domain

if TYPE_CHECKING:
    from ._rows import ReplyTemplate
    from .classifier import TextClassifier


@dataclasses.dataclass
class TriageResult:
    """What triage found. One that is unsure has left the ticket's category empty."""

    category: str
    confidence: float
    unsure: bool


@dataclasses.dataclass
class RouteResult:
    """To whom a ticket went, if to anybody."""

    team: str | None = None
    assignee: str | None = None


@dataclasses.dataclass
class DraftResult:
    """The suggestion that was made, None for a ticket that was no longer open, and whether it was
    accepted at once."""

    suggestion: str | None = None
    accepted: bool = False


@dataclasses.dataclass
class TriageTicket:
    """The task that TriageAgent does; its result is a TriageResult."""

    ticket: str


@dataclasses.dataclass
class RouteTicket:
    """The task that RoutingAgent does; its result is a RouteResult."""

    ticket: str


@dataclasses.dataclass
class DraftReply:
    """The task that ResponderAgent does; its result is a DraftResult."""

    ticket: str


for _name, _payload, _result in (("triage_ticket", TriageTicket, TriageResult), ("route_ticket", RouteTicket, RouteResult),
                                 ("draft_reply", DraftReply, DraftResult)):
    _payload.__bureau_kind__ = TaskKind._of(_bureau._desk_kind(_name), _payload, _result)  # type: ignore[attr-defined]


class TriageAgent(LibraryAgent):
    """Classifies a ticket's first message, sets category and priority, and enqueues RouteTicket in
    the same commit. `priorities` has the priority of a category; others keep the ticket's."""

    def __init__(self, classifier: TextClassifier, priorities: Mapping[str, Any] | None = None) -> None:
        self._classifier = classifier
        self._priorities = dict(priorities or {})

    def _add_to(self, office: Any) -> None:
        _bureau._add_triage(office._core, self._classifier._core, self._priorities)


class RoutingAgent(LibraryAgent):
    """Gives a ticket to the team whose skills have its category and there to who has the least to
    do, and enqueues DraftReply in the same commit."""

    def _add_to(self, office: Any) -> None:
        _bureau._add_routing(office._core)


class ResponderAgent(LibraryAgent):
    """Drafts a reply from the category's template (`office.reply_templates`), else from that of "*".

    `accept`, a condition over messages, says which drafts are accepted at once; the rest is left for
    a person. Nothing is sent.
    """

    def __init__(self, accept: Any) -> None:
        self._accept = accept

    def _add_to(self, office: Any) -> None:
        _bureau._add_responder(office._core, self._accept)


class ReplyTemplates(_Domain):
    """Replies as the office words them, one for a category: `office.reply_templates`."""

    def save(self, category: str, body: str) -> ReplyTemplate:
        """Makes it the category's, or replaces the one that it has; "*" is for all that have none.
        The body may name {customer}, {number} and so on."""
        return self._scope.template_save(category, body)


__all__ = ["DraftReply", "DraftResult", "ReplyTemplates", "ResponderAgent", "RouteResult", "RouteTicket", "RoutingAgent",
           "TriageAgent", "TriageResult", "TriageTicket"]
