"""What programs test themselves with: a clock that is moved, a model that is scripted, an office in
memory, and crashes at every commit.

    pytest_plugins = ["bureau.testing"]     # gives the fixtures `bureau_clock` and `bureau_office`
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any, Callable, Iterator

from . import _bureau, errors
from .agents import span
from .models import LanguageModel, RecordedModel, calls, says
from .office import Office, open

__all__ = ["Clock", "CrashReport", "RecordedModel", "ScriptedModel", "crash_everywhere", "office"]


class Clock:
    """A clock that stands still until it is told to move: `bureau.open(..., clock=Clock())`."""

    def __init__(self, start: datetime | None = None) -> None:
        self._core = _bureau.ManualClock(start)

    @property
    def now(self) -> datetime:
        """The time of day."""
        return self._core.now()

    def advance(self, by: Any) -> None:
        """Moves time forward; those whose time has come are awake then."""
        self._core.advance(span(by, "by"))

    def step(self, by: Any) -> None:
        """Moves the time of day alone, either way, as an administrator would."""
        self._core.step(span(by, "by"))


class ScriptedModel(LanguageModel):
    """A model that says what its script says, in order; beyond it every call is Exhausted."""

    identity = "scripted"

    def __init__(self) -> None:
        self._script: list[Any] = []
        #: What it was asked.
        self.requests: list[dict[str, Any]] = []

    def says(self, text: str, **usage: int) -> ScriptedModel:
        """Then it says this."""
        self._script.append(says(text, **usage))
        return self

    def calls(self, tool: str, arguments: dict[str, Any], **usage: int) -> ScriptedModel:
        """Then it asks for a tool."""
        self._script.append(calls(tool, arguments, id=f"call-{len(self._script) + 1}", **usage))
        return self

    def fails(self, error: BaseException) -> ScriptedModel:
        """Then it fails so."""
        self._script.append(error)
        return self

    def complete(self, request: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        if not self._script:
            raise errors.Exhausted("model: the script is over")
        answer = self._script.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[no-any-return]


@dataclasses.dataclass(frozen=True)
class CrashReport:
    """What became of the crashes; true when all was well."""

    commits: int
    crashes: int
    good: bool
    text: str

    def __bool__(self) -> bool:
        return self.good


def crash_everywhere(*, agents: Callable[[Office], Any], begin: Callable[[Office], Any],
                     check: Callable[[Office], Any], seed: int = 1) -> CrashReport:
    """Runs a scenario in virtual time, and again for each of its commits with a process that dies there.

    `agents(office)` registers agents, in each life of the process; `begin(office)` makes rows and
    tasks, once a trial; `check(office)` raises when something does not hold in the end.
    """
    return CrashReport(**_bureau._crash_everywhere(agents, begin, check, seed, _wrap))


def _wrap(core: _bureau.Office) -> Office:
    class Lent(Office):
        def __del__(self) -> None:  # its engine is somebody else's
            pass

    return Lent(core, None)  # of no file


def office(tenant: str = "Test", **options: Any) -> Office:
    """An office in memory."""
    return open(":memory:", tenant=tenant, **options)


try:
    import pytest as _pytest
except ImportError:
    pass
else:

    @_pytest.fixture
    def bureau_clock() -> Clock:
        """A clock that stands still."""
        return Clock()

    @_pytest.fixture
    def bureau_office(bureau_clock: Clock) -> Iterator[Office]:
        """An office in memory, on `bureau_clock`."""
        with office(clock=bureau_clock) as opened:
            yield opened
