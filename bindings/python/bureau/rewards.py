"""Achievements, points, streaks and leaderboards.

What gives them is a rule over the rows of a table; `office.add_rewards()` has an agent evaluate
what the journal says of those tables.
"""

from __future__ import annotations

import dataclasses
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from .agents import span
from .domains import _Domain

if TYPE_CHECKING:
    from ._rows import Achievement, PointEntry, PointRule, StreakDay, UserAchievement, UserStats


def _criteria(table: Any, where: Any) -> dict[str, Any]:
    name = getattr(table, "__table__", table)
    return {"table": name, "where": None if where is None else str(where)}


class Achievements(_Domain):
    """What there is to achieve, and who has it: `office.achievements`."""

    def save(self, key: str, name: str, *, table: Any = None, where: Any = None, **options: Any) -> Achievement:
        """A new one, or the one with that key as it is described now.

        `table` and `where` say which rows count; without a table it is awarded by hand. Options:
        user (the column that names who earns it), change ("any", "insert", "update", "remove"),
        target (how many rows), description, category, rarity, points, secret, repeatable, active,
        history (changes before now count too).
        """
        return self._scope.achievement_save({"key": key, "name": name, **_criteria(table, where), **options})

    def named(self, key: str) -> Achievement:
        """The one with that key. NotFound when there is none."""
        return self._scope.achievement_named(key)

    def of(self, user: Any, *, limit: int = 1000) -> list[UserAchievement]:
        """How far a user is, the last unlocked first."""
        return self._scope.achievements_of(user, limit)

    def holders(self, key: str, *, limit: int = 1000) -> list[UserAchievement]:
        """Who has it, the first to unlock it first."""
        return self._scope.achievement_holders(key, limit)

    def award(self, key: str, user: Any) -> UserAchievement:
        """Gives one that has no criteria."""
        return self._scope.achievement_change("award", key, user)

    def revoke(self, key: str, user: Any) -> UserAchievement:
        """Takes it back, and the points that it gave."""
        return self._scope.achievement_change("revoke", key, user)


class Points(_Domain):
    """The ledger of points: `office.points`."""

    def save_rule(self, key: str, name: str, *, table: Any, points: int, where: Any = None, **options: Any) -> PointRule:
        """What gives points: a new rule, or the one with that key as it is described now.

        Options: user, change, cap_per_day, cooldown, active, history.
        """
        if options.get("cooldown") is not None:
            options["cooldown"] = span(options["cooldown"], "cooldown")
        return self._scope.point_rule_save(
            {"key": key, "name": name, "points": points, **_criteria(table, where), **options})

    def of(self, user: Any) -> UserStats:
        """What a user's entries come to, and his level."""
        return self._scope.points_of(user)

    def entries(self, user: Any, *, limit: int = 100) -> list[PointEntry]:
        """The lines of his ledger, the newest first."""
        return self._scope.points_entries(user, limit)

    def give(self, user: Any, points: int, reason: str) -> PointEntry:
        """By hand, for a reason."""
        return self._scope.points_give(user, points, reason)

    def reverse(self, entry: Any, reason: str) -> PointEntry:
        """Takes back what an entry gave that was given by hand."""
        return self._scope.points_reverse(entry, reason)


@dataclasses.dataclass(frozen=True)
class Streak:
    """How many days of a user follow one another; `today` says whether today counts already."""

    days: int
    longest: int
    freezes: int
    today: bool


class Streaks(_Domain):
    """Days that follow one another: `office.streaks`."""

    def of(self, user: Any) -> Streak:
        """As of now."""
        return Streak(**self._scope.streak_of(user))

    def days(self, user: Any, *, limit: int = 100) -> list[StreakDay]:
        """His days, the newest first."""
        return self._scope.streak_days(user, limit)

    def uphold(self, user: Any) -> Streak:
        """Today counts."""
        return Streak(**self._scope.streak_uphold(user))

    def set_zone(self, user: Any, zone: str | None) -> None:
        """The zone by which his days go; None: the tenant's."""
        self._scope.streak_zone(user, zone)

    def add_freezes(self, user: Any, days: int) -> None:
        """So many more days may be missed."""
        self._scope.streak_freezes(user, days)


@dataclasses.dataclass(frozen=True)
class LeaderboardLine:
    """A user's place; as many have a smaller rank as have more points."""

    rank: int
    user: str
    points: int
    reached_at: datetime


@dataclasses.dataclass(frozen=True)
class Leaderboard:
    """Who has how many points in a period, from `start` to the day before `end`. A period that is
    over is `frozen`; `users` is how many have points, shown or not."""

    start: date
    end: date
    frozen: bool
    users: int
    lines: list[LeaderboardLine]


class Leaderboards(_Domain):
    """Who has how many points: `office.leaderboards`."""

    def board(self, period: str = "all_time", day: date | None = None, *, limit: int = 100) -> Leaderboard:
        """The board of the day, week, month, year or all_time that a day is in; None: of now."""
        made = self._scope.leaderboard(period, "" if day is None else f"{day:%Y-%m-%d}", limit)
        return Leaderboard(date.fromisoformat(made["start"]), date.fromisoformat(made["end"]), made["frozen"], made["users"],
                           [LeaderboardLine(*line) for line in made["lines"]])


__all__ = ["Achievements", "Leaderboard", "LeaderboardLine", "Leaderboards", "Points", "Streak", "Streaks"]
