"""What holds tasks back (pauses, limits, rates), and what they may spend (budgets)."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .agents import kind_of, span
from .domains import _Domain

if TYPE_CHECKING:
    from ._rows import Budget, FlowRule, Spending


def _scope(queue: str, kind: Any, flow_key: str) -> dict[str, Any]:
    name = kind if kind is None or isinstance(kind, str) else kind_of(kind).name
    return {"queue": queue, "kind": name, "flow_key": flow_key}


class Flow(_Domain):
    """What holds tasks back: `office.flow`. A rule is about the tasks of a queue, of a kind (a name or
    the dataclass of its payload), with a flow key, or of all that are named; the next claim keeps to it.

    `office[FlowRule].list()` shows them. Admins and managers keep them.
    """

    def pause(self, *, queue: str = "", kind: Any = None, flow_key: str = "", reason: str = "",
              until: datetime | None = None) -> FlowRule:
        """None of these tasks is begun until resume(), or until then; what runs goes on."""
        return self._scope.flow_pause({**_scope(queue, kind, flow_key), "reason": reason, "until": until})

    def resume(self, *, queue: str = "", kind: Any = None, flow_key: str = "") -> None:
        """Ends the pause of exactly these. NotFound when there is none."""
        self._scope.flow_resume(_scope(queue, kind, flow_key))

    def limit(self, at_most: int, *, queue: str = "", kind: Any = None, flow_key: str = "",
              each_key: bool = False) -> FlowRule:
        """At most so many of these run at a time (without a name: of all), or of each flow key."""
        return self._scope.flow_limit({**_scope(queue, kind, flow_key), "at_most": at_most, "each_key": each_key})

    def rate(self, at_most: int, period: Any = "1s", *, queue: str = "", kind: Any = None, flow_key: str = "",
             each_key: bool = False, burst: int = 0) -> FlowRule:
        """At most so many of these begin in a period; `burst` of them at once after a rest."""
        return self._scope.flow_rate({**_scope(queue, kind, flow_key), "at_most": at_most, "each_key": each_key,
                                      "period": span(period, "period"), "burst": burst})

    def set_weight(self, weight: int) -> None:
        """How much of each batch the tenant gets beside the others, 1 to 1000. For the system."""
        self._scope.flow_set_weight({"weight": weight})

    def remove(self, rule: Any) -> None:
        """Removes a rule."""
        self._scope.flow_remove(rule)


@dataclasses.dataclass(frozen=True)
class Amounts:
    """What is spent or reserved; `money` is None where none is counted, else in `currency`."""

    tokens: int
    calls: int
    time: timedelta
    money: Decimal | None
    currency: str


def _amounts(tokens: int, calls: int, micros: int, minor: int, millionths: int, digits: int, currency: str) -> Amounts:
    exact = Decimal(minor * 10**6 + millionths).scaleb(-digits - 6)
    whole = Decimal(minor).scaleb(-digits)
    money = (exact if millionths else whole) if currency else None
    return Amounts(tokens, calls, timedelta(microseconds=micros), money, currency)


@dataclasses.dataclass(frozen=True)
class BudgetState:
    """What a budget has given in a period, which has no begin and end when it is the only one.

    `waiting` runs rest until there is room; `overrun_at` is when more was spent than the limit.
    """

    budget: Budget
    begins: datetime | None
    ends: datetime | None
    reserved: Amounts
    spent: Amounts
    waiting: int
    overrun_at: datetime | None


def _limits(tokens: int | None, calls: int | None, time: Any, money: str | None) -> dict[str, Any]:
    return {"tokens": tokens, "calls": calls, "time": None if time is None else span(time, "time"), "money": money}


class Budgets(_Domain):
    """What tasks may spend: `office.budgets`, for `enqueue(..., budget=...)`. Money is a text as "12.50 EUR"."""

    def create(self, name: str, *, tokens: int | None = None, calls: int | None = None, time: Any = None,
               money: str | None = None, parent: Any = None, whole_tenant: bool = False, period: str = "none",
               unpriced: str = "refuse", currency: str = "") -> Budget:
        """A new one. What is not given is not limited.

        `parent`: what is spent here is spent there too. `period`: none, day or month, after which it
        begins anew. `unpriced`: refuse or allow calls whose price nobody knows. `currency`: in which
        money is counted without a limit.
        """
        return self._scope.budget_create({
            "name": name, **_limits(tokens, calls, time, money), "parent": parent, "whole_tenant": whole_tenant,
            "period": period, "unpriced": unpriced, "currency": currency})

    def set_limits(self, budget: Any, *, tokens: int | None = None, calls: int | None = None, time: Any = None,
                   money: str | None = None) -> Budget:
        """These limits in place of those that it has; what is spent stays spent."""
        return self._scope.budget_set_limits(budget, _limits(tokens, calls, time, money))

    def set_unpriced(self, budget: Any, unpriced: str) -> Budget:
        """Refuse or allow calls whose price nobody knows."""
        return self._scope.budget_set_unpriced(budget, {"unpriced": unpriced})

    def named(self, name: str) -> Budget:
        """The one of that name. Conflict when several have it."""
        return self._scope.budget_named(name)

    def state(self, budget: Any) -> BudgetState:
        """What it has given in the period that holds this moment."""
        made, begins, ends, reserved, spent, waiting, overrun_at = self._scope.budget_state(budget)
        return BudgetState(made, begins, ends, _amounts(*reserved), _amounts(*spent), waiting, overrun_at)

    def spendings(self, task: Any) -> list[Spending]:
        """What a task has reserved and spent, the oldest first."""
        return self._scope.budget_spendings(task)

    def correct(self, spending: Any, *, tokens: int = 0, calls: int = 0, time: Any = 0, money: str | None = None) -> Spending:
        """Puts right what was presumed of a lost attempt: what was used in truth."""
        return self._scope.budget_correct(spending, _limits(tokens, calls, time, money))

    def remove(self, budget: Any) -> None:
        """Removes one that has none below it."""
        self._scope.budget_remove(budget)


__all__ = ["Amounts", "BudgetState", "Budgets", "Flow"]
