"""What programs test themselves with: a clock that is moved, a model that is scripted, an office in
memory, whole months in virtual time, crashes at every commit, and what a Notifier and a place for
offices must keep to.

    pytest_plugins = ["bureau.testing"]     # gives the fixtures `bureau_clock` and `bureau_office`
"""

from __future__ import annotations

import dataclasses
import os
from datetime import datetime, timedelta
from typing import Any, Callable, Iterable, Iterator

from . import _bureau, errors
from .agents import span
from .models import Embedder, LanguageModel, Notifier, RecordedModel, calls, says
from .office import Office, _open, open
from .rows import Row

__all__ = ["Check", "Clock", "CrashReport", "RecordedModel", "ScriptedEmbedder", "ScriptedModel", "Simulation", "crash_everywhere",
           "exercise_notifier", "exercise_storage", "office"]


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
        """The next of its script."""
        self.requests.append(request)
        if not self._script:
            raise errors.Exhausted("model: the script is over")
        answer = self._script.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[no-any-return]


class ScriptedEmbedder(Embedder):
    """An Embedder that needs no network and gives the same always: vectors of length 1, made of the
    hashes of words. Texts that share words are near one another; it knows nothing of what words mean.
    What its script says comes first."""

    identity = "scripted"

    def __init__(self, dimensions: int = 64) -> None:
        self.dimensions = dimensions
        self._script: list[Any] = []
        #: The texts of each call.
        self.calls: list[list[str]] = []

    def gives(self, answer: Any) -> ScriptedEmbedder:
        """Then it gives this, whatever it was asked."""
        self._script.append(answer)
        return self

    def fails(self, error: BaseException) -> ScriptedEmbedder:
        """Then it fails so."""
        self._script.append(error)
        return self

    def embed(self, texts: list[str]) -> Any:
        """The next of its script, else what the texts' words come to."""
        self.calls.append(texts)
        if not self._script:
            vectors, tokens = _bureau._scripted_embedder(texts, self.dimensions)
            return {"vectors": vectors, "input_tokens": tokens}
        answer = self._script.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


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
                     check: Callable[[Office], Any], seed: int = 1, tables: Iterable[type[Row]] = ()) -> CrashReport:
    """Runs a scenario in virtual time, and again for each of its commits with a process that dies there.

    `agents(office)` registers agents, in each life of the process; `begin(office)` makes rows and
    tasks, once a trial; `check(office)` raises when something does not hold in the end.
    """
    own: list[Any] = [table._table for table in tables]
    return CrashReport(**_bureau._crash_everywhere(agents, begin, check, seed, _wrap, own))


def _wrap(core: _bureau.Office) -> Office:
    class Lent(Office):
        def __del__(self) -> None:  # its engine is somebody else's
            pass

    return Lent(core, None)  # of no file


class Simulation:
    """An office in memory and in virtual time: a month of it takes as long as its handlers do.

        with Simulation(seed=7) as simulation:
            simulation.office.agent(Remind)(remind)
            simulation.office.schedules.save("daily", "@daily", Remind())
            simulation.run("30d")

    Tasks run one at a time, on the thread that calls run(); where nothing is due, the time moves on
    to when something is. The same program with the same seed has the same history.
    """

    def __init__(self, *, seed: int = 1, start: datetime | None = None, tenant: str = "Test",
                 tables: Iterable[type[Row]] = (), policies: Iterable[Any] = ()) -> None:
        self.clock = Clock(start)
        self.office = _open(":memory:", tenant, {
            "clock": self.clock._core, "seed": seed, "batch": 1, "heartbeat": timedelta(hours=1),
            "tables": [table._table for table in tables], "policies": [one._fields() for one in policies]})

    def run(self, span_of_time: Any = "31d") -> int:
        """Lets so much time pass; how many pieces of work were done in it."""
        core = self.office._core
        try:
            core.start(True)
        except errors.Conflict:
            pass  # it runs on
        end = self.clock.now + span(span_of_time, "span_of_time")
        total = 0
        while True:
            ran, due = core.poll(1, -1.0)
            total += ran
            if ran:
                continue
            left = end - self.clock.now
            pause = left if due is None else max(timedelta(seconds=due), timedelta(microseconds=1))
            if pause >= left or not self._has_work():
                self.clock.advance(left)
                return total
            self.clock.advance(pause)

    def _has_work(self) -> bool:
        """Whether anything will happen by itself."""
        for tenant in self.office.tenants():
            session = self.office.tenant(tenant.id)
            if session["tasks"].first("status < \"in_doubt\""):
                return True
            if session["schedules"].first("status = \"active\""):
                return True
        return False

    def close(self) -> None:
        """Ends it."""
        self.office.close()

    def __enter__(self) -> Simulation:
        return self

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        self.close()


@dataclasses.dataclass(frozen=True)
class Check:
    """One of the checks of a suite: its outcome is passed, failed or skipped."""

    name: str
    outcome: str
    message: str


def exercise_notifier(fresh: Callable[[], Notifier]) -> list[Check]:
    """Checks all that a notifier must keep to. It sends some forty messages to ada@example.com, so
    `fresh()` makes one that may send, such as one of the provider's sandbox."""
    return [Check(*one) for one in _bureau._exercise_notifier(fresh)]


def exercise_storage(fresh: Callable[[], Any] | str, *, seed: int = 1, only: Iterable[str] = ()) -> list[Check]:
    """Checks that where offices are kept does all that bureau relies on: a file system, a server, a
    pooler in front of it. `fresh()` names a new, empty place for each of some hundred storages: a
    path, or `(url, schema)` on a server; or it is ":memory:". What is made is left there. `only`
    names the checks to run."""
    names = [only] if isinstance(only, str) else list(only)
    if not callable(fresh):
        if fresh != ":memory:":
            raise errors.Invalid("fresh: it is a function that names a new place each time, or \":memory:\"", "fresh")
        return [Check(*one) for one in _bureau._exercise_storage(None, seed, names)]
    name_one: Callable[[], Any] = fresh

    def place() -> tuple[str, str]:
        named = name_one()
        where, schema = named if isinstance(named, tuple) else (named, "")
        return os.fspath(where), schema

    return [Check(*one) for one in _bureau._exercise_storage(place, seed, names)]


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
