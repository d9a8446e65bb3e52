"""Durable runs: steps, rests, signals, approvals and children."""

import asyncio
import threading

import pytest

import bureau
from bureau import Retry
from bureau.testing import Clock, office as memory_office

from kinds import Add, Total, last


def test_a_step_is_done_once():
    clock = Clock()
    with memory_office(clock=clock) as desk:
        done = []
        kind = bureau.TaskKind("flow", retry=Retry.fixed(5, 0), effect="external_idempotent")

        @desk.agent(kind)
        def flow(run, payload):
            a = run.step("one", lambda: done.append("one") or Total(1), result=Total)
            assert a == Total(1)
            run.sleep("1h")
            try:
                b = run.step("two", lambda: done.append("two") or (1 / 0 if len(done) < 3 else 2))
            except ZeroDivisionError:
                done.append("caught")
                raise
            return a.value + b

        task = desk.enqueue({}, kind=kind)
        desk.work()
        assert last(desk, task).status == "waiting" and done == ["one"]
        clock.advance("1h")
        desk.work()
        clock.advance("1s")
        desk.work()
        assert done == ["one", "two", "caught", "two"]
        assert last(desk, task).result == 3
        assert [s.name for s in desk.tasks.steps(task)][:2] == ["one", "sleep"]


def test_suspension_passes_by_except_exception(desk):
    seen = []

    @desk.agent(Add)
    def add(run, payload):
        try:
            return run.wait_for("go")
        except Exception:
            seen.append("swallowed")
            raise
        except BaseException as stop:
            assert isinstance(stop, bureau.Suspended) and not isinstance(stop, asyncio.CancelledError)
            seen.append("passed on")
            raise

    task = desk.enqueue(Add(1, 2))
    desk.work()
    assert seen == ["passed on"] and last(desk, task).status == "waiting"
    assert desk.tasks.signal(task, "go", {"x": 1}, key="k")
    assert not desk.tasks.signal(task, "go", {"x": 2}, key="k")
    desk.work()
    assert last(desk, task).result == {"x": 1}


def test_a_suspension_that_is_swallowed_changes_nothing(desk):
    @desk.agent(Add)
    def add(run, payload):
        try:
            run.wait_for("go")
        except BaseException:
            pass
        return "never"

    task = desk.enqueue(Add(1, 2))
    desk.work()
    assert last(desk, task).status == "waiting"


def test_signals_have_types_and_timeouts():
    clock = Clock()
    with memory_office(clock=clock) as desk:
        @desk.agent(Add)
        def add(run, payload):
            return [run.wait_for("sum", type=Total), run.wait_for("never", timeout="1m")]

        task = desk.enqueue(Add(1, 2))
        desk.work()
        desk.tasks.signal(task, "sum", {"value": "x"})
        desk.work()
        assert last(desk, task).status == "waiting"
        desk.tasks.signal(task, "sum", {"value": 3})
        desk.work()
        clock.advance("1m")
        desk.work()
        assert last(desk, task).result == [{"value": 3}, None]


def test_an_approval(desk):
    @desk.agent(Add)
    def add(run, payload):
        verdict = run.approval("Pay back?", {"amount": "12.50 EUR"}, within="1d")
        return verdict.comment if verdict.approved else "no"

    tasks = [desk.enqueue(Add(1, 2)), desk.enqueue(Add(1, 2))]
    desk.work()
    asked = desk.approvals.list()
    assert [one.title for one in asked] == ["Pay back?"] * 2 and asked[0].subject == {"amount": "12.50 EUR"}
    for one in asked:
        desk.approvals.decide(one, one.task == tasks[0], "fine")
    desk.work()
    assert [last(desk, task).result for task in tasks] == ["fine", "no"]


def test_children(desk):
    kind = bureau.TaskKind("parent")

    @desk.agent(Add)
    def add(run, payload):
        if payload.a < 0:
            raise bureau.NotFound("no such number")
        return Total(payload.a + payload.b)

    @desk.agent(kind)
    def parent(run, payload):
        children = [run.spawn(Add(i, i)) for i in range(3)] + [run.spawn(Add(-1, 0))]
        results = run.join_all(children, return_exceptions=True)
        assert isinstance(results[3], bureau.NotFound)
        try:
            run.join(children[3])
        except bureau.NotFound:
            pass
        return [one["value"] for one in results[:3]]

    task = desk.enqueue({}, kind=kind)
    desk.work()
    assert last(desk, task).result == [0, 2, 4]
    assert len(desk.tasks.children(task)) == 4


def test_a_run_is_over_when_its_handler_is(desk):
    kept = []
    desk.agent(Add)(lambda run, payload: kept.append(run))
    desk.enqueue(Add(1, 2))
    desk.work()
    for call in (lambda: kept[0].step("x", lambda: 1), lambda: kept[0].attempt, lambda: kept[0].progress(0.5)):
        with pytest.raises(bureau.Invalid, match="over"):
            call()


def test_a_handler_that_returns_waits_for_a_call_on_another_thread(desk):
    inside, returned, over, told, threads = threading.Event(), threading.Event(), threading.Event(), [], []

    class Local:
        def __del__(self):
            returned.set()

    def slow():
        inside.set()
        assert returned.wait(60)
        return 7

    def elsewhere(run):
        told.append(run.step("slow", slow))
        assert over.wait(60)
        try:
            run.step("late", lambda: 8)
        except bureau.Invalid as error:
            told.append(error)

    @desk.agent(Add)
    def add(run, payload):
        local = Local()
        threads.append(threading.Thread(target=elsewhere, args=(run,)))
        threads[0].start()
        assert inside.wait(60) and local

    task = desk.enqueue(Add(1, 2))
    desk.work()
    over.set()
    threads[0].join(60)
    assert last(desk, task).status == "completed" and [step.name for step in desk.tasks.steps(task)] == ["slow"]
    assert told[0] == 7 and "over" in str(told[1])


def test_a_coroutine_that_returns_leaves_no_call_behind(tmp_path):
    """What it began and did not await is ended first; the loop is not held up meanwhile."""

    async def main():
        with bureau.open(tmp_path / "o.db", tenant="T", durability="relaxed") as desk:
            kept = []

            @desk.agent(Add)
            async def add(run, payload):
                began, go = asyncio.Event(), asyncio.Event()

                async def slow():
                    began.set()
                    await go.wait()
                    return 7

                kept.append((asyncio.create_task(run.step("slow", slow)), go))
                await began.wait()

            task = desk.enqueue(Add(1, 2))
            serving = asyncio.create_task(desk.serve())
            while not kept or not kept[0][0]:
                await asyncio.sleep(0)
            step, go = kept[0]
            for _ in range(100):
                await asyncio.sleep(0)
            assert last(desk, task).status == "running"
            go.set()
            assert await asyncio.wait_for(step, 60) == 7
            while last(desk, task).status == "running":
                await asyncio.sleep(0)
            assert last(desk, task).status == "completed"
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving

    asyncio.run(asyncio.wait_for(main(), 120))
