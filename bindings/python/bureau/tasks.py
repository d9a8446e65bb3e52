"""Tasks and runs from outside, and what runs ask of people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import errors
from .agents import span
from .domains import _Domain
from .payloads import encode

if TYPE_CHECKING:
    from ._rows import Approval, RunSignal, RunStep, Task


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

    def redrive_all(self, where: Any = None, *, limit: int = 1000, **values: Any) -> int:
        """The same for the dead ones for which the condition holds, the oldest first, all or none;
        how many. More than `limit` are left for the next call."""
        return self._scope.task_redrive_all(where, values, {"limit": limit})

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

    def signals(self, task: Any) -> list[RunSignal]:
        """What was said to a run."""
        return self._scope.run_signals(task)

    def resolve_step(self, task: Any, result: Any, reason: str) -> Task:
        """Says what an unsafe step came to that is in doubt; the run goes on."""
        return self._scope.run_change("resolve_step", task, {"result": encode(result), "reason": reason})

    def probe_again(self, task: Any) -> Task:
        """Has the step's probe asked once more what it came to."""
        return self._scope.run_change("probe_again", task, {})

    def retry_from(self, task: Any, position: int) -> Task:
        """Has a run done again from that step on; what was recorded from there is forgotten."""
        return self._scope.run_change("retry_from", task, {"position": position})

    def fork_from(self, task: Any, position: int) -> Task:
        """A second run that has the steps before that one behind it, and the same payload."""
        return self._scope.run_change("fork_from", task, {"position": position})


class Approvals(_Domain):
    """What runs ask of people: `office.approvals`."""

    def list(self) -> list[Approval]:
        """Those that are open, the first first."""
        return self._scope.approvals()

    def claim(self, approval: Any) -> Approval:
        """Takes it for oneself while one looks at it."""
        return self._scope.hold_approval("claim", approval)

    def release(self, approval: Any) -> Approval:
        """Gives it back."""
        return self._scope.hold_approval("release", approval)

    def decide(self, approval: Any, approve: bool, comment: str = "") -> Approval:
        """Decides, and has the run go on."""
        return self._scope.decide(approval, approve, comment)

    def use(self, approval: Any, subject: Any) -> None:
        """Uses it once, in the unit of the effect that it is for."""
        self._scope.use_approval(approval, subject)


__all__ = ["Approvals", "Tasks"]
