"""Language models and channels that are classes of Python's."""

from __future__ import annotations

import dataclasses
import inspect
import json
from typing import Any, Callable

from . import _bureau, errors
from .agents import span
from .payloads import encode


@dataclasses.dataclass(frozen=True)
class Tool:
    """What a model may call: `work(arguments)`, or `work(unit, arguments)` with `in_unit`, whose
    changes commit with the step that it is."""

    name: str
    description: str
    work: Callable[..., Any]
    parameters: dict[str, Any] = dataclasses.field(default_factory=lambda: {"type": "object"})
    effect: str = "pure"
    in_unit: bool = False

    def _fields(self) -> dict[str, Any]:
        from .sessions import Unit

        work = self.work
        if self.in_unit:
            call: Callable[..., Any] = lambda scope, arguments: encode(work(Unit(scope), arguments))
        else:
            call = lambda arguments: encode(work(arguments))
        return {"name": self.name, "description": self.description, "parameters": self.parameters,
                "effect": self.effect, "work": call, "in_unit": self.in_unit}


class LanguageModel:
    """A model: derive from it and write `complete`. Called from any thread.

    The request is a dict with messages, tools, output, max_output_tokens, temperature, model and
    key; the answer a dict made by `says()` or `calls()`. Raise Unavailable when no answer came and
    nothing was used, Busy, Exhausted, or UnknownOutcome when it may have been answered and paid for.
    """

    identity: str = "python"

    def complete(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answers one request."""
        raise NotImplementedError

    def _complete(self, request: dict[str, Any]) -> dict[str, Any]:
        reply = self.complete(request)
        message = {"role": "assistant", "text": "", "calls": [], "call_id": "", **reply.get("message", {})}
        return {"stop": "finished", "model": self.identity, "usage": {}, **reply, "message": message}


def says(text: str, *, input_tokens: int | None = None, output_tokens: int | None = None) -> dict[str, Any]:
    """An answer that is a text."""
    return _reply({"role": "assistant", "text": text}, "finished", input_tokens, output_tokens)


def calls(tool: str, arguments: dict[str, Any], *, id: str = "call-1", input_tokens: int | None = None,
          output_tokens: int | None = None) -> dict[str, Any]:
    """An answer that asks for a tool."""
    message = {"role": "assistant", "text": "", "calls": [{"id": id, "name": tool, "arguments": arguments}]}
    return _reply(message, "tool_calls", input_tokens, output_tokens)


def _reply(message: dict[str, Any], stop: str, input_tokens: int | None, output_tokens: int | None) -> dict[str, Any]:
    usage = {"input_tokens": input_tokens, "output_tokens": output_tokens}
    return {"message": message, "stop": stop, "usage": {name: one for name, one in usage.items() if one is not None}}


class Embedder:
    """Makes vectors of texts: derive from it, say its `dimensions`, and write `embed`. Called from any
    thread.

    `embed(texts)` gives a vector for each text, in order: lists, arrays, or one array of numpy's; or a
    dict with vectors and input_tokens, where the provider tells how many there were. With a parameter
    `key` it is told the call's, the same when it is made again after a crash. It may be `async def`,
    for handlers that are. Raise Unavailable when no answer came, and so on, as a LanguageModel does.
    """

    identity: str = "python"
    #: How many numbers each vector has.
    dimensions: int = 0

    def embed(self, texts: list[str]) -> Any:
        """Makes a vector of each text."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, eq=False)
class Embedded:
    """What texts came to: `vectors` is an array of numpy's, a row a text, where numpy is there, else a
    list of lists. `input_tokens` is None when a call did not say."""

    vectors: Any
    input_tokens: int | None


def embed(run: _bureau.Run, wrap: Callable[..., Any], embedder: Any, texts: Any, options: dict[str, Any]) -> Embedded:
    """See Run.embed(). `wrap` makes of a call of the embedder one that gives its answer."""
    if options.get("time") is not None:
        options["time"] = span(options["time"], "time")
    for name in ("identity", "dimensions"):
        options[name] = getattr(embedder, name, None)
    wants_key = "key" in inspect.signature(embedder.embed).parameters
    ask = wrap(lambda texts, key: embedder.embed(texts, key=key) if wants_key else embedder.embed(texts))
    data, count, width, tokens = _bureau._embed(run, ask, texts, options)
    try:
        import numpy
    except ImportError:
        from array import array

        numbers = array("f", data).tolist()
        return Embedded([numbers[i * width:(i + 1) * width] for i in range(count)], tokens)
    return Embedded(numpy.frombuffer(data, numpy.float32).reshape(count, width), tokens)


def at_once(ask: Callable[..., Any]) -> Callable[..., Any]:
    """A call of an Embedder in a handler that is no coroutine."""

    def call(texts: list[str], key: str) -> Any:
        made = ask(texts, key)
        if inspect.iscoroutine(made):
            made.close()
            raise errors.Invalid("embedder: its embed() is a coroutine, and the handler is none", "embedder")
        return made

    return call


@dataclasses.dataclass(frozen=True)
class Conversed:
    """What a conversation came to."""

    text: str
    output: Any
    turns: int
    input_tokens: int | None
    output_tokens: int | None
    reply: dict[str, Any]


class Notifier:
    """Carries messages over a channel: derive from it, name the channel, write `deliver`.

    `deliver(message)` gets a dict with key, attempt, event, name, email, title, body and data; it
    returns the status ("sent", "delivered", "failed", ...) or a dict with status, external_id, reason.
    """

    channel: str = ""
    identity: str = "python/1"
    #: Whether the same key twice is one message to the recipient.
    takes_key: bool = False

    def deliver(self, message: dict[str, Any]) -> Any:
        """Sends one message."""
        raise NotImplementedError

    def _deliver(self, message: dict[str, Any]) -> dict[str, Any]:
        made = self.deliver(message)
        return made if isinstance(made, dict) else {"status": made}


class RecordedModel(LanguageModel):
    """Asks a model and remembers what it answers; without one, gives what is remembered."""

    def __init__(self, model: LanguageModel | None = None, recording: str = "") -> None:
        self._model = model
        self._answers: dict[str, dict[str, Any]] = {}
        for number, line in enumerate(recording.splitlines(), 1):
            try:
                entry = json.loads(line)
                self._answers[entry["request"]] = entry["reply"]
            except (ValueError, KeyError, TypeError):
                raise errors.Invalid(f"recording: line {number} is no entry of one", "recording") from None
        self.identity = "recorded " + (model.identity if model else "")

    def complete(self, request: dict[str, Any]) -> dict[str, Any]:
        """What is remembered, else what the model answers."""
        asked = json.dumps({name: one for name, one in request.items() if name != "key"}, sort_keys=True)
        if asked not in self._answers:
            if self._model is None:
                raise errors.NotFound("model: the recording has no answer to this request")
            self._answers[asked] = self._model.complete(request)
        return self._answers[asked]

    def text(self) -> str:
        """The recording: a line for each request."""
        return "".join(json.dumps({"request": asked, "reply": reply}, sort_keys=True) + "\n"
                       for asked, reply in self._answers.items())
