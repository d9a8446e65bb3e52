"""Agents: what they do, how often, and what their handlers see."""

from __future__ import annotations

import dataclasses
import inspect
import re
from datetime import timedelta
from typing import Any, Callable, Iterable

from . import _bureau, errors
from .payloads import decoder, encode

_UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "min": 60_000_000, "h": 3_600_000_000,
          "d": 86_400_000_000}


def span(value: Any, name: str = "duration") -> timedelta:
    """A span of time: a timedelta, seconds, or text as "2m", "1h 30m", "250ms"."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return timedelta(seconds=value)
    if isinstance(value, str):
        parts = re.fullmatch(r"\s*(\d+(?:\.\d+)?\s*[a-z]+\s*)+", value)
        found = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]+)", value)
        if parts and all(unit in _UNITS for _, unit in found):
            return timedelta(microseconds=sum(float(number) * _UNITS[unit] for number, unit in found))
    raise errors.Invalid(f"{name}: a span is a timedelta, seconds or text as \"2m\" or \"1h 30m\", not {value!r}", name)


@dataclasses.dataclass(frozen=True)
class Retry:
    """How often an attempt is made, and how long it waits in between.

    An error of code invalid or forbidden is never repeated.
    """

    attempts: int = 1
    pause: Any = 0
    pause_max: Any = None
    factor: float = 1.0
    jitter: bool = False

    @staticmethod
    def never() -> Retry:
        """One attempt."""
        return Retry()

    @staticmethod
    def fixed(attempts: int, pause: Any) -> Retry:
        """So many attempts, and the same pause between them."""
        return Retry(attempts, pause)

    @staticmethod
    def exponential(attempts: int, pause: Any = 1, pause_max: Any = "1h") -> Retry:
        """Each pause is twice as long as the one before, with some luck taken off."""
        return Retry(attempts, pause, pause_max, 2.0, True)

    def _fields(self) -> dict[str, Any]:
        pause = span(self.pause, "pause")
        most = pause if self.pause_max is None else span(self.pause_max, "pause_max")
        return {"attempts": self.attempts, "pause": pause, "pause_max": most, "factor": self.factor,
                "jitter": self.jitter}


class TaskKind:
    """A kind of task: its name, what it takes and gives, what its handler may touch."""

    def __init__(self, name: str, payload: Any = None, *, result: Any = None, effect: str = "pure",
                 retry: Retry | None = None, queue: str = "default", timeout: Any = "2m",
                 run_as: str = "agent", encrypted: bool = False) -> None:
        self.name = name
        self.payload = payload
        self.result = result
        fields = {"effect": effect, "queue": queue, "timeout": span(timeout, "timeout"), "run_as": run_as,
                  "encrypted": encrypted, **(retry or Retry())._fields()}
        self._core = _bureau.Kind(name, fields)
        self._decode = decoder(payload) if payload is not None else None
        self._decode_result = decoder(result) if result is not None else None

    @classmethod
    def _of(cls, core: _bureau.Kind, payload: Any, result: Any) -> TaskKind:
        """One of the library's."""
        made = cls.__new__(cls)
        made.name, made.payload, made.result, made._core = core.name, payload, result, core
        made._decode, made._decode_result = decoder(payload), decoder(result)
        return made

    def __repr__(self) -> str:
        return f"<TaskKind {self.name}>"


def _name_of(kind: type) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__).lower()


def task(*, name: str | None = None, **options: Any) -> Callable[[type], type]:
    """Makes a dataclass the payload of a kind of task: `@bureau.task(effect="database", timeout="2m")`.

    The kind is named as the class is, in lower case: ReplyToCustomer is reply_to_customer.
    """

    def declare(kind: type) -> type:
        if not dataclasses.is_dataclass(kind):
            kind = dataclasses.dataclass(kind)
        kind.__bureau_kind__ = TaskKind(name or _name_of(kind), kind, **options)  # type: ignore[attr-defined]
        return kind

    return declare


def kind_of(what: Any, **options: Any) -> TaskKind:
    """The kind that a TaskKind, a payload, its class or a name stands for."""
    if isinstance(what, TaskKind):
        if options:
            raise errors.Invalid(f"kind \"{what.name}\": its options are its own", "kind")
        return what
    if isinstance(what, str):
        return TaskKind(what, **options)
    cls = what if isinstance(what, type) else type(what)
    known = cls.__dict__.get("__bureau_kind__")
    if known is not None and not options:
        return known  # type: ignore[no-any-return]
    if known is not None:
        raise errors.Invalid(f"kind \"{known.name}\": its options are its own", "kind")
    if not dataclasses.is_dataclass(cls):
        raise errors.Invalid(f"kind: {cls.__name__} is no TaskKind, no dataclass and no name", "kind")
    made = TaskKind(_name_of(cls), cls, **options)
    cls.__bureau_kind__ = made  # type: ignore[attr-defined]
    return made


class Agent:
    """Does tasks of one kind: derive from it, name the kind, and write `execute`.

    `execute` may be `async def`: then it runs on the loop in which the office was started.
    """

    #: A TaskKind, or the dataclass of its payload.
    kind: Any = None
    #: The name of its role in each tenant.
    role: str = "agent"

    @property
    def name(self) -> str:
        """By which it is known; the kind's unless it says otherwise."""
        return kind_of(self.kind).name

    def execute(self, run: Any, payload: Any) -> Any:
        """Does a task; what it returns is the task's result."""
        raise NotImplementedError

    def on_start(self) -> None:
        """Before its first task."""

    def on_stop(self) -> None:
        """After its last."""


class LibraryAgent:
    """An agent that the library brings, for `office.add()`."""

    def _add_to(self, office: Any) -> None:
        raise NotImplementedError


def _call_work(work: Callable[..., Any]) -> Callable[[], Any]:
    return lambda: encode(work())


class Run:
    """One attempt at a task, as its handler sees it. It is over when the handler returns.

    With step() and what is below it a handler is durable: what they did is recorded, and the next
    attempt gets it without doing it again. Between them a handler must do the same every time.
    `Suspended` is raised where it has to rest; a handler lets it through.
    """

    def __init__(self, core: _bureau.Run, office: Any) -> None:
        self._core = core
        self._office = office

    @property
    def task(self) -> Any:
        """The task's row, as it was when the attempt began."""
        return self._core.task

    @property
    def id(self) -> str:
        """The task's id."""
        return self._core.task_id

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self._core.attempt

    @property
    def idempotency_key(self) -> str:
        """The same in every attempt; inside a step, that step's own."""
        return self._core.idempotency_key

    @property
    def stop_requested(self) -> bool:
        """Whether somebody wants the handler to return."""
        return self._core.stop_requested

    def read(self, work: Callable[[Any], Any]) -> Any:
        """Calls `work(view)` on one snapshot, with the rights of the run."""
        from .sessions import Scope

        return self._core.read(lambda scope: work(Scope(scope)))

    def complete(self, work: Callable[[Any], Any]) -> Any:
        """Ends the task with what `work(unit)` does and returns: one commit, both or neither."""
        from .sessions import Unit

        return self._core.complete(lambda scope: encode(work(Unit(scope))))

    def complete_later(self, work: Callable[[Any], Any]) -> None:
        """The same once the handler has returned, in a commit shared with other tasks: the fastest
        end for short tasks. `work` runs on any thread."""
        from .sessions import Unit

        self._core.complete_later(lambda scope: encode(work(Unit(scope))))

    def step(self, name: str, work: Callable[[], Any], *, effect: str | None = None, result: Any = None) -> Any:
        """Does `work()` unless it is recorded, and records what it returns.

        An exception is not recorded: the next attempt does it again. `effect` says what it touches;
        one that is external_unsafe is never repeated blindly. `result`: the type to read it back as.
        """
        return _read(result, self._core.step(name, effect, _call_work(work)), name)

    def write(self, name: str, work: Callable[[Any], Any], *, result: Any = None) -> Any:
        """A step whose changes, made by `work(unit)`, and whose record are one commit."""
        from .sessions import Unit

        return _read(result, self._core.write(name, lambda scope: encode(work(Unit(scope)))), name)

    def sleep(self, how_long: Any, name: str = "sleep") -> None:
        """Rests so long, or until a moment: no thread and no memory is held."""
        self._core.sleep(how_long if hasattr(how_long, "utcoffset") else span(how_long), name)

    def wait_for(self, signal: str, *, timeout: Any = None, type: Any = None) -> Any:
        """Waits for a signal of that name; what came with it, or None after the timeout."""
        fits = None if type is None else (lambda payload: decoder(type)(payload, signal))
        came, payload = self._core.wait_for(signal, None if timeout is None else span(timeout, "timeout"), fits)
        return _read(type, payload, signal) if came else None

    def approval(self, title: str, subject: Any = None, *, name: str = "approval", **options: Any) -> Verdict:
        """Asks a person, and rests until it is decided, expires or is void.

        Options: assignee, team, about (a row: when it changes, the approval is void), within,
        escalate_after, escalate_to.
        """
        for key in ("within", "escalate_after"):
            if options.get(key) is not None:
                options[key] = span(options[key], key)
        return Verdict(**self._core.approval(name, {"title": title, "subject": encode(subject), **options}))

    def spawn(self, payload: Any, *, kind: Any = None, name: str = "", **options: Any) -> Child:
        """Enqueues a child. Options as of Session.enqueue()."""
        made = kind_of(payload if kind is None else kind)
        return Child(made, self._core.spawn(made._core, encode(payload), _options(options), name))

    def join(self, child: Child) -> Any:
        """Waits for a child's end; its result, or the error with which it ended."""
        return self.join_all([child])[0]

    def join_all(self, children: Iterable[Child], *, return_exceptions: bool = False) -> list[Any]:
        """The same for all of them, when the last has ended."""
        listed = list(children)
        out = []
        for child, (result, error) in zip(listed, self._core.join([one.task for one in listed], "join")):
            if error is not None and not return_exceptions:
                raise error
            out.append(error if error is not None else _read(child.kind.result, result, child.kind.name))
        return out

    def join_any(self, children: Iterable[Child]) -> int:
        """Waits for the first of them to end, and says which it was."""
        return self._core.join_any([one.task for one in children], "join")

    def call(self, payload: Any, **options: Any) -> Any:
        """A child that does a part of the work: spawn() and join()."""
        return self.join(self.spawn(payload, **options))

    def hand_off(self, payload: Any, *, kind: Any = None, **options: Any) -> None:
        """Ends this task and lets a new one go on in its place. Does not return."""
        made = kind_of(payload if kind is None else kind)
        self._core.hand_off(made._core, encode(payload), _options(options))

    def converse(self, model: Any, messages: Any, *, tools: Iterable[Any] = (), output: Any = None,
                 **options: Any) -> Any:
        """Asks a model, with tools, until it has answered: each answer and each call of a tool is a
        recorded step, within the run's budgets.

        `messages`: a text, or dicts with role and text. Options: max_turns, repairs, effect,
        max_output_tokens, temperature, model, price_input and price_output ("3.00 USD" for a
        million tokens), exhausted ("fail" or "wait").
        """
        from .models import Conversed

        listed = [{"role": "user", "text": messages}] if isinstance(messages, str) else list(messages)
        fields = {"messages": listed, "tools": [tool._fields() for tool in tools], "output": output, **options}
        return Conversed(**_bureau._converse(self._core, model, fields))

    def embed(self, embedder: Any, texts: Any, **options: Any) -> Any:
        """Has an Embedder make a vector of each text, a batch at a time: each batch is a recorded step,
        asked for and paid for once, within the run's budgets. An Embedded.

        An answer that is none (too few vectors, other dimensions, a NaN) is Invalid. Options: batch
        (64), effect, price ("0.02 USD" for a million tokens), price_per, time ("1m"), exhausted ("fail"
        or "wait").
        """
        from .models import at_once, embed

        return embed(self._core, at_once, embedder, texts, options)

    def patched(self, name: str) -> bool:
        """False for a run that has passed this point before the code had it, else true."""
        return self._core.patched(name)

    def progress(self, fraction: float, note: str = "") -> None:
        """How far it is, from 0 to 1, for those who watch."""
        self._core.progress(fraction, note)

    def log(self, message: str, level: str = "info") -> None:
        """A line in the office's log."""
        levels = ["debug", "info", "warning", "error", "critical"]
        if level not in levels:
            raise errors.Invalid(f"level: \"{level}\" is none of {', '.join(levels)}", "level")
        self._core.log(levels.index(level), message)


def _read(kind: Any, value: Any, where: str) -> Any:
    return value if kind is None else decoder(kind)(value, where)


@dataclasses.dataclass(frozen=True)
class Child:
    """A task that a run has spawned."""

    kind: TaskKind
    task: str


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What came of an approval."""

    approval: str
    status: str
    by: str | None
    comment: str

    @property
    def approved(self) -> bool:
        """Whether it was."""
        return self.status == "approved"


def _options(options: dict[str, Any]) -> dict[str, Any]:
    for key in ("delay", "unique_for"):
        if options.get(key) is not None:
            options[key] = span(options[key], key)
    return options


class Handler:
    """What the engine calls: a handler of Python's, with its kind."""

    def __init__(self, office: Any, kind: TaskKind, work: Callable[..., Any], name: str, agent: Agent | None) -> None:
        import weakref

        self.kind = kind
        self.work = work
        self.name = name
        self.agent = agent
        self._office = weakref.ref(office)
        self.is_async = inspect.iscoroutinefunction(work)

    def _payload(self, payload: Any) -> Any:
        return payload if self.kind._decode is None else self.kind._decode(payload, self.kind.name)

    def _handle(self, core: _bureau.Run, payload: Any) -> Any:
        return encode(self.work(Run(core, self._office()), self._payload(payload)))

    def _begin(self, core: _bureau.Run, payload: Any) -> None:
        from .loop import begin

        begin(self, core, payload)

    def _on_start(self) -> None:
        if self.agent is not None:
            self.agent.on_start()

    def _on_stop(self) -> None:
        if self.agent is not None:
            self.agent.on_stop()
