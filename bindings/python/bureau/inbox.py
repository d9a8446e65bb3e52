"""What one user was told, and what he wants to be told of."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import TYPE_CHECKING, Any

from . import _bureau
from .domains import _Domain

if TYPE_CHECKING:
    from ._rows import InboxItem, NotificationPreference
    from .sessions import Page


class _Own(_Domain):
    def __init__(self, scope: _bureau.Scope, user: Any = None) -> None:
        super().__init__(scope)
        self._user = user


@dataclasses.dataclass(frozen=True)
class InboxCount:
    """How many items are in sight and not read, and how many of these were not seen."""

    unread: int
    unseen: int


class Inbox(_Own):
    """The inbox of one user: `office.user(ada).inbox`, or for the system `office.inbox.of(ada)`.

    He sees and changes his own, and nobody else's. A snoozed item comes back by itself.
    """

    def of(self, user: Any) -> Inbox:
        """That of this user: for the system. Forbidden for anybody but himself."""
        return Inbox(self._scope, user)

    def list(self, *, unread: bool = False, archived: bool = False, snoozed: bool = False, limit: int = 50,
             after: str = "") -> Page[InboxItem]:
        """The newest first, a page at a time: only what was not read; what was archived, or what is
        out of sight, instead of what is in sight."""
        from .sessions import page_of

        return page_of(*self._scope.inbox_list(self._user, {
            "unread": unread, "archived": archived, "snoozed": snoozed, "limit": limit, "after": after}))

    def get(self, item: Any) -> InboxItem:
        """The item. NotFound when it is another's."""
        return self._scope.inbox_find(self._user, item)

    def count(self) -> InboxCount:
        """How many are in sight and wait for him."""
        return InboxCount(*self._scope.inbox_count(self._user))

    def mark_seen(self, item: Any) -> InboxItem:
        """He has seen that it is there."""
        return self._scope.inbox_change(self._user, "mark_seen", item)

    def mark_read(self, item: Any) -> InboxItem:
        """He has read it."""
        return self._scope.inbox_change(self._user, "mark_read", item)

    def mark_unread(self, item: Any) -> InboxItem:
        """Seen, but not read. Conflict for an archived one."""
        return self._scope.inbox_change(self._user, "mark_unread", item)

    def archive(self, item: Any) -> InboxItem:
        """Out of the way."""
        return self._scope.inbox_change(self._user, "archive", item)

    def unarchive(self, item: Any) -> InboxItem:
        """As it was before it was archived."""
        return self._scope.inbox_change(self._user, "unarchive", item)

    def snooze(self, item: Any, until: datetime | None) -> InboxItem:
        """Out of sight until then; None: back into sight. Conflict for an archived one."""
        return self._scope.inbox_snooze(self._user, item, until)

    def mark_all(self, state: str) -> int:
        """All that is in sight, in one commit: seen, read or archived; how many changed."""
        return self._scope.inbox_mark_all(self._user, {"state": state})


class Preferences(_Own):
    """What one user wants to be told of: `office.user(ada).preferences`, or for the system
    `office.preferences.of(ada)`.

    The most exact one counts: event and channel, then the event on every channel, then the channel
    for every event, then everything. Without any he is told; what is critical asks none.
    """

    def of(self, user: Any) -> Preferences:
        """Those of this user: for the system. Forbidden for anybody but himself."""
        return Preferences(self._scope, user)

    def set(self, event: str, channel: str, enabled: bool) -> NotificationPreference:
        """Whether he is told of the event on the channel; "*" stands for every one."""
        return self._scope.preference_set(self._user, {"event": event, "channel": channel, "enabled": enabled})

    def clear(self, event: str, channel: str) -> None:
        """Back to what the next more general one says."""
        self._scope.preference_clear(self._user, event, channel)

    def list(self) -> list[NotificationPreference]:
        """All that he has said."""
        return self._scope.preferences(self._user)


__all__ = ["Inbox", "InboxCount", "Preferences"]
