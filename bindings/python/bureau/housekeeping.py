"""Which agents an office means to have and which of them work; and what it does for itself."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Iterable

from .domains import _Domain
from .payloads import encode

if TYPE_CHECKING:
    from ._rows import Schedule


@dataclasses.dataclass(frozen=True)
class AgentInfo:
    """An agent from outside its process: how many live nodes run it, and its tasks in the tenant."""

    name: str
    squad: str
    role: str
    configured: bool
    kinds: tuple[str, ...]
    nodes: int
    running: int
    completed: int
    dead: int

    @property
    def operational(self) -> bool:
        """Whether a live node runs it."""
        return self.nodes > 0

    @property
    def efficiency(self) -> float | None:
        """The part of its tasks that it completed; None when none has ended."""
        ended = self.completed + self.dead
        return self.completed / ended if ended else None


@dataclasses.dataclass(frozen=True)
class RosterReport:
    """What became of a roster."""

    added: int
    changed: int
    unchanged: int


class Roster(_Domain):
    """The agents that the office means to have: `office.roster`."""

    def save(self, entries: str | Iterable[dict[str, Any]]) -> RosterReport:
        """Makes these the office's configured agents, by name, all or none; others stay as they are.

        Each has name, and may have squad, role and kinds; or the text of a file with them, JSON or CSV.
        """
        return RosterReport(*self._scope.roster_save(entries if isinstance(entries, str) else encode(list(entries))))

    def agents(self) -> list[AgentInfo]:
        """Every agent that is configured or ever ran in this office, by name. `office.agents()` is
        what those of this process do."""
        return [AgentInfo(*one) for one in self._scope.roster_agents()]


class Housekeeping(_Domain):
    """What an office does for itself: `office.housekeeping`. `office.add_housekeeping()` does it."""

    def on(self, *, heartbeat: str | None = "*/5 * * * *", metrics: str | None = "*/10 * * * *",
           processor: str | None = "*/3 * * * *", cleanup: str | None = "0 2 * * *", gap_minutes: int = 15, days: int = 30,
           dead_days: int | None = None, kinds: dict[str, Any] | None = None) -> list[Schedule]:
        """Has the jobs recur: a look at each agent, measurements of the machine, a look at the queues,
        and the clean-up; None leaves a job alone. The schedules are named like their jobs.

        The clean-up removes tasks that ended and histories after so many `days`, tasks that were given
        up after `dead_days` (None: they stay), and those of some kinds when `kinds` says:
        `{"send_out": {"completed": 7, "dead": 365}}`. Looks that lie further apart than `gap_minutes`
        begin a new stretch.
        """
        return self._scope.housekeeping_on({
            "heartbeat": heartbeat, "metrics": metrics, "processor": processor, "cleanup": cleanup,
            "gap_minutes": gap_minutes, "days": days, "dead_days": dead_days, "kinds": encode(kinds)})

    def off(self) -> int:
        """Removes those schedules; how many there were. What they noted stays."""
        return self._scope.housekeeping_off()


__all__ = ["AgentInfo", "Housekeeping", "Roster", "RosterReport"]
