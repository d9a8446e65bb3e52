"""Live changes: to iterate over, to await, or to be called with."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any, AsyncIterator, Callable, Iterator

from . import _bureau

_SLICE = 0.2  # how long one wait is, in seconds: so that signals and other processes' commits are seen
_PAGE = 500


@dataclasses.dataclass(frozen=True)
class Event:
    """A change: kind is insert, update, remove, resync (read anew, then go on) or gone.

    `after` is the row as it became, `before` as it was; `changed` names the columns of an update.
    """

    kind: str
    sequence: int
    id: str | None
    before: Any
    after: Any
    changed: tuple[str, ...]
    at: datetime


class Feed:
    """Changes of one table, in order, each once: iterate over it, plainly or with `async for`.

    It never ends by itself; `close()` ends it. `position` is where another one would go on.
    """

    def __init__(self, scope: _bureau.Scope, table: str, where: Any, values: dict[str, Any], after: int | None) -> None:
        self._reader = _bureau.FeedReader(scope, table, where, values, after)
        self._closed = False
        self._ready: list[Event] = []

    @property
    def position(self) -> int:
        """The number after which a new feed would go on behind what was read."""
        return self._ready[0].sequence - 1 if self._ready else self._reader.position

    def close(self) -> None:
        """Ends it: iterating stops."""
        self._closed = True

    def take(self, limit: int = _PAGE) -> list[Event]:
        """What there is now, without waiting."""
        ready, self._ready = self._ready, []
        return ready + [Event(*one) for one in self._reader.next(limit)]

    def next(self, timeout: float | None = None) -> Event | None:
        """The next change; None when the time is over."""
        import time

        end = None if timeout is None else time.monotonic() + timeout
        while not self._closed:
            if not self._ready:
                self._ready = self.take()
            if self._ready:
                return self._ready.pop(0)
            left = _SLICE if end is None else min(_SLICE, end - time.monotonic())
            if left <= 0:
                return None
            self._reader.wait(left)
        return None

    def __iter__(self) -> Iterator[Event]:
        while not self._closed:
            event = self.next()
            if event is not None:
                yield event

    async def __aiter__(self) -> AsyncIterator[Event]:
        import asyncio

        loop = asyncio.get_running_loop()
        while not self._closed:
            for event in await loop.run_in_executor(None, self.take):
                yield event
            if not self._closed:
                await loop.run_in_executor(None, self._reader.wait, _SLICE)


class Subscription:
    """Calls back with each change while it is held, on a thread of the started office.

    A callback that raises ends it, and is logged.
    """

    def __init__(self, scope: _bureau.Scope, table: str, callback: Callable[[Event], Any], where: Any,
                 values: dict[str, Any], after: int | None) -> None:
        self._callback = callback
        self._core = _bureau.Subscribed(scope, table, where, values, after, self)

    def _deliver(self, event: tuple[Any, ...]) -> None:
        self._callback(Event(*event))

    @property
    def active(self) -> bool:
        """Whether it still calls back."""
        return self._core.active

    @property
    def position(self) -> int:
        """The number after which another one would go on."""
        return self._core.position

    def end(self) -> None:
        """No callback begins after this returns."""
        self._core.end()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        self.end()
