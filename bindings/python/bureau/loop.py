"""Handlers that are coroutines, and offices that live on a loop of asyncio."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import Any, Callable, Iterable

from . import _bureau, errors
from .agents import Child, Handler, Run, Verdict
from .payloads import encode

_LOOK = 0.05  # how often handlers are asked whether somebody wants them to stop, in seconds
_SOON = 0.001  # what is due at once waits so long for the loop's other work
_POOL = 32


class Attempts:
    """The coroutines of one office on one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.running: dict[asyncio.Task[Any], _bureau.Run] = {}
        self.pool = concurrent.futures.ThreadPoolExecutor(_POOL, "bureau-step")
        self._watch: asyncio.TimerHandle | None = None

    def launch(self, handler: Handler, core: _bureau.Run, payload: Any) -> None:
        """Begins a handler; on the loop's thread."""
        task = self.loop.create_task(self._drive(handler, core, payload))
        self.running[task] = core
        task.add_done_callback(self._ended)
        if self._watch is None:
            self._watch = self.loop.call_later(_LOOK, self._look)

    async def _drive(self, handler: Handler, core: _bureau.Run, payload: Any) -> Any:
        run = AsyncRun(core, handler._office(), self)
        return encode(await handler.work(run, handler._payload(payload)))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        core = self.running.pop(task)
        if task.cancelled():
            core.finish(None, errors.Cancelled("the handler was cancelled"))
        else:
            error = task.exception()
            core.finish(None if error is not None else task.result(), error)

    def _look(self) -> None:
        self._watch = None
        for task, core in list(self.running.items()):
            if core.stop_requested:
                task.cancel()
        if self.running:
            self._watch = self.loop.call_later(_LOOK, self._look)

    def end(self) -> None:
        self.pool.shutdown(wait=False)


def begin(handler: Handler, core: _bureau.Run, payload: Any) -> None:
    """Hands an attempt to the office's loop, from whatever thread claimed it."""
    office = handler._office()
    attempts = getattr(office, "_attempts", None)
    if attempts is None or attempts.loop.is_closed():
        raise errors.Unavailable("the office was not started in a running loop: its async handlers have none")
    attempts.loop.call_soon_threadsafe(attempts.launch, handler, core, payload)


class AsyncRun(Run):
    """A run as an `async def` handler sees it: what writes or waits is awaited."""

    def __init__(self, core: _bureau.Run, office: Any, attempts: Attempts) -> None:
        super().__init__(core, office)
        self._attempts = attempts

    async def _off(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return await self._attempts.loop.run_in_executor(self._attempts.pool, lambda: call(*args, **options))

    def _work(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            made = work(*args)
            if asyncio.iscoroutine(made):
                return asyncio.run_coroutine_threadsafe(made, self._attempts.loop).result()
            return made

        return call

    async def read(self, work: Callable[[Any], Any]) -> Any:  # type: ignore[override]
        return await self._off(super().read, work)

    async def complete(self, work: Callable[[Any], Any]) -> Any:  # type: ignore[override]
        return await self._off(super().complete, work)

    async def step(self, name: str, work: Callable[[], Any], *, effect: str | None = None,  # type: ignore[override]
                   result: Any = None) -> Any:
        """As Run.step(); `work` may be a coroutine function, which runs on the loop."""
        return await self._off(super().step, name, self._work(work), effect=effect, result=result)

    async def write(self, name: str, work: Callable[[Any], Any], *, result: Any = None) -> Any:  # type: ignore[override]
        return await self._off(super().write, name, work, result=result)

    async def sleep(self, how_long: Any, name: str = "sleep") -> None:  # type: ignore[override]
        await self._off(super().sleep, how_long, name)

    async def wait_for(self, signal: str, *, timeout: Any = None, type: Any = None) -> Any:  # type: ignore[override]
        return await self._off(super().wait_for, signal, timeout=timeout, type=type)

    async def approval(self, title: str, subject: Any = None, *, name: str = "approval",  # type: ignore[override]
                       **options: Any) -> Verdict:
        verdict: Verdict = await self._off(super().approval, title, subject, name=name, **options)
        return verdict

    async def spawn(self, payload: Any, *, kind: Any = None, name: str = "", **options: Any) -> Child:  # type: ignore[override]
        child: Child = await self._off(super().spawn, payload, kind=kind, name=name, **options)
        return child

    async def join(self, child: Child) -> Any:  # type: ignore[override]
        return (await self.join_all([child]))[0]

    async def join_all(self, children: Iterable[Child], *, return_exceptions: bool = False) -> list[Any]:  # type: ignore[override]
        out: list[Any] = await self._off(super().join_all, children, return_exceptions=return_exceptions)
        return out

    async def join_any(self, children: Iterable[Child]) -> int:  # type: ignore[override]
        place: int = await self._off(super().join_any, children)
        return place

    async def call(self, payload: Any, **options: Any) -> Any:  # type: ignore[override]
        return await self.join(await self.spawn(payload, **options))

    async def hand_off(self, payload: Any, *, kind: Any = None, **options: Any) -> None:  # type: ignore[override]
        await self._off(super().hand_off, payload, kind=kind, **options)

    async def converse(self, model: Any, messages: Any, *, tools: Iterable[Any] = (),  # type: ignore[override]
                       output: Any = None, **options: Any) -> Any:
        return await self._off(super().converse, model, messages, tools=tools, output=output, **options)

    async def embed(self, embedder: Any, texts: Any, **options: Any) -> Any:  # type: ignore[override]
        from .models import embed

        return await self._off(embed, self._core, self._work, embedder, texts, options)

    async def progress(self, fraction: float, note: str = "") -> None:  # type: ignore[override]
        await self._off(super().progress, fraction, note)


async def serve(office: Any) -> None:
    """See Office.serve()."""
    loop = asyncio.get_running_loop()
    core = office._core
    office._attempts = Attempts(loop)
    core.start(True)
    handle = core.wake_handle()
    rung = asyncio.Event()
    loop.add_reader(handle, rung.set)
    try:
        while True:
            rung.clear()
            ran, due = core.poll(64, 0.01)
            if ran:
                await asyncio.sleep(0)
                continue
            alarm = None if due is None else loop.call_later(max(due, _SOON), rung.set)
            try:
                await rung.wait()
            finally:
                if alarm is not None:
                    alarm.cancel()
    finally:
        loop.remove_reader(handle)
        await asyncio.shield(stop(office, 10.0))


async def stop(office: Any, timeout: float) -> None:
    """Stops the office while the loop goes on, so that its coroutines can end."""
    loop = asyncio.get_running_loop()
    attempts = office._attempts
    try:
        await loop.run_in_executor(None, office._core.stop, timeout)
    finally:
        if attempts is not None:
            attempts.end()
