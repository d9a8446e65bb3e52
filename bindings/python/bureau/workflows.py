"""Workflows: what people define as data, its runs, and the forms that they ask people to fill in."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .agents import TaskKind, _options
from .domains import _Domain
from .payloads import encode

if TYPE_CHECKING:
    from ._rows import Task, Workflow, WorkflowForm


@dataclasses.dataclass(frozen=True)
class WorkflowWait:
    """Where a run of a workflow rests: `task` is the run's, or that of one of its branches."""

    task: str
    node: str
    step: str
    since: datetime
    until: datetime | None


@dataclasses.dataclass(frozen=True)
class WorkflowStep:
    """One step of a run of a workflow or of one of its branches; `branch` is where that began."""

    task: str
    branch: str
    node: str
    step: str
    open: bool
    result: Any
    error: str | None
    at: datetime


class Workflows(_Domain):
    """What people define as data, and its runs: `office.workflows`. `office.add_workflows()` runs them."""

    def check(self, document: dict[str, Any]) -> None:
        """Whether it could be saved: Invalid names the field and the rule."""
        self._scope.workflow_check(encode(document))

    def save(self, document: dict[str, Any]) -> Workflow:
        """A new draft, or the draft of that name as it is now.

        The document has name, nodes and start, and may have trigger, starters and input.
        """
        return self._scope.workflow_save(encode(document))

    def activate(self, workflow: Any) -> Workflow:
        """Makes a draft what its name means; the version before is retired, and its runs go on."""
        return self._scope.workflow_change("activate", workflow)

    def retire(self, workflow: Any) -> Workflow:
        """Nothing starts it any more."""
        return self._scope.workflow_change("retire", workflow)

    def remove(self, workflow: Any) -> None:
        """Removes a draft. Conflict for another version."""
        self._scope.workflow_remove(workflow)

    def named(self, name: str, number: int | None = None) -> Workflow:
        """The version with that number, else the active one, else the newest."""
        return self._scope.workflow_named(name, {"number": number})

    def document(self, workflow: Any) -> dict[str, Any]:
        """What save() takes."""
        return self._scope.workflow_document(workflow)

    def graph(self, workflow: Any, format: str = "mermaid") -> str:
        """A picture of its nodes, for Mermaid or for Graphviz ("dot")."""
        return self._scope.workflow_graph(workflow, format)

    def start(self, name: str, input: Any = None, **options: Any) -> str:
        """Starts the active version, and gives the run's task. Options as of Session.enqueue()."""
        given = {} if input is None else encode(input)
        return self._scope.workflow_start(name, given, _options(options))

    def raise_event(self, event: str, input: Any = None) -> list[str]:
        """Starts each active workflow that waits for this event, all or none; the runs' tasks."""
        return self._scope.workflow_raise(event, {} if input is None else encode(input))

    def runs(self, name: str, *, limit: int = 100) -> list[Task]:
        """Its runs, the newest first."""
        return self._scope.workflow_runs(name, {"limit": limit})

    def waits(self, run: Any) -> list[WorkflowWait]:
        """Where a run and its branches rest now; empty when it works or has ended."""
        return [WorkflowWait(*one) for one in self._scope.workflow_waits(run)]

    def steps(self, run: Any) -> list[WorkflowStep]:
        """What it and its branches have done, branch after branch."""
        return [WorkflowStep(*one) for one in self._scope.workflow_steps(run)]

    def forms(self) -> list[WorkflowForm]:
        """What who acts is asked to fill in, the first first."""
        return self._scope.workflow_forms()

    def answer(self, form: Any, answer: dict[str, Any]) -> WorkflowForm:
        """Fills a form in, and has the run go on."""
        return self._scope.workflow_answer(form, encode(answer))


_TYPES: dict[Any, str] = {str: "text", int: "integer", float: "real", bool: "boolean", datetime: "timestamp", Decimal: "text"}


def _fields(record: Any) -> list[dict[str, Any]] | None:
    """The fields of a dataclass, as a workflow is checked against them; None: it is no dataclass."""
    if not (isinstance(record, type) and dataclasses.is_dataclass(record)):
        return None
    hints = typing.get_type_hints(record)
    return [_field(field, hints[field.name]) for field in dataclasses.fields(record) if field.init]


def _field(field: Any, hint: Any) -> dict[str, Any]:
    may_miss = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        rest = [one for one in typing.get_args(hint) if one is not type(None)]
        may_miss = may_miss or len(rest) < len(typing.get_args(hint))
        hint = rest[0] if len(rest) == 1 else Any
    out: dict[str, Any] = {"name": field.name, "nullable": may_miss, "type": _TYPES.get(hint, "json")}
    if isinstance(hint, type) and issubclass(hint, enum.Enum) and issubclass(hint, str):
        out.update(type="enumeration", names=[one.value for one in hint], enum=hint)
    return out


def offered(kind: TaskKind) -> tuple[Any, Any, Any]:
    """A kind that workflows may enqueue, with what is known of its payload and its result."""
    return kind._core, _fields(kind.payload), _fields(kind.result)


__all__ = ["WorkflowStep", "WorkflowWait", "Workflows"]
