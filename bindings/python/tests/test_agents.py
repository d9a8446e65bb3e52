import asyncio
import dataclasses
import enum
import gc
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest

import bureau
from bureau import Retry, User
from bureau.testing import Clock, office as memory_office

from kinds import Add, Greet, Total, last


# Handlers ---------------------------------------------------------------------------------------------


def test_a_function_does_tasks(desk):
    @desk.agent(Add)
    def add(run, payload):
        assert isinstance(payload, Add) and run.attempt == 1 and run.id == run.task.id
        return Total(payload.a + payload.b)

    task = desk.enqueue(Add(20, 22))
    assert desk.work() > 0
    assert last(desk, task).status == "completed"
    assert last(desk, task).result == {"value": 42}
    assert desk.agents()[0]["completed"] == 1
    assert desk.tasks.result(task) == {"value": 42}


def test_the_options_of_a_kind_may_stand_at_its_agent(desk):
    @dataclasses.dataclass
    class SendReport:
        to: str

    @desk.agent(kind=SendReport, effect="external_idempotent", timeout="1m 30s", retry=Retry.exponential(3), queue="mail")
    def send(run, payload):
        return payload.to

    row = last(desk, desk.enqueue(SendReport("ada")))
    assert (row.kind, row.effect, row.queue, row.max_attempts) == ("send_report", "external_idempotent", "mail", 3)
    assert row.time_limit == timedelta(seconds=90)


def test_a_class_is_an_agent_with_a_life(desk):
    seen = []

    class Adder(bureau.Agent):
        kind = Add

        def on_start(self):
            seen.append("start")

        def on_stop(self):
            seen.append("stop")

        def execute(self, run, payload):
            seen.append(payload.a)

    desk.add(Adder())
    desk.enqueue(Add(1, 2))
    desk.work()
    desk.stop()
    assert seen == ["start", 1, "stop"]


@pytest.mark.parametrize("later", [False, True])
def test_effects_of_complete(desk, later):
    kind = bureau.TaskKind("greet", Greet, effect="database", run_as="enqueuer")
    ada = desk[User].insert(User(email="ada@example.com", role="customer"))
    ticket = desk.tickets.open(customer=ada, body="x")

    @desk.agent(kind)
    def greet(run, payload):
        def reply(unit):
            unit.tickets.reply(payload.ticket, payload.text)
            if payload.text == "bad":
                raise ValueError("no such words")
            return Total(7)

        return run.complete_later(reply) if later else run.complete(reply)

    good, bad = desk.enqueue(Greet(ticket.id), kind=kind), desk.enqueue(Greet(ticket.id, "bad"), kind=kind)
    desk.work()
    assert last(desk, good).result == {"value": 7}
    assert last(desk, bad).status == "dead" and "no such words" in last(desk, bad).error
    assert [m.body for m in desk.tickets.conversation(ticket)] == ["x", "We have your message."]


def test_an_exception_is_the_tasks_error_with_its_traceback(desk):
    @desk.agent(Add)
    def add(run, payload):
        def deeper():
            raise KeyError("beans")

        if payload.a == 1:
            deeper()
        if payload.a == 2:
            raise bureau.Unavailable("no water", "water")
        if payload.a == 3:
            sys.exit(3)
        return object()

    tasks = [desk.enqueue(Add(i, 0)) for i in (1, 2, 3, 4)]
    desk.work()
    rows = [last(desk, task) for task in tasks]
    assert [row.status for row in rows] == ["dead"] * 4
    assert [row.error_code for row in rows] == ["internal", "unavailable", "internal", "invalid"]
    assert "KeyError: 'beans'" in rows[0].error and "in deeper" in rows[0].error
    assert rows[1].error == "no water" and "SystemExit" in rows[2].error and "JSON" in rows[3].error
    with pytest.raises(bureau.Unavailable, match="no water"):
        desk.tasks.result(tasks[1])


def test_a_payload_that_is_none_goes_to_the_dead_letters(desk):
    @desk.agent(Add)
    def add(run, payload):
        raise AssertionError("it is not called")

    kind = bureau.TaskKind("add", retry=Retry.fixed(5, 0))
    tasks = [desk.enqueue(payload, kind=kind) for payload in ({"a": 1}, {"a": 1, "b": "x"}, {"a": 1, "b": 2, "cc": 3}, [])]
    desk.work()
    for task, words in zip(tasks, ("b: it is missing", "whole number", "no field \"cc\"", "object")):
        row = last(desk, task)
        assert (row.status, row.error_code) == ("dead", "invalid") and words in row.error


def test_retries_wait_as_they_say():
    clock = Clock()
    with memory_office(clock=clock) as desk:
        kind = bureau.TaskKind("flaky", retry=Retry.fixed(3, "10s"))
        seen = []

        @desk.agent(kind)
        def flaky(run, payload):
            seen.append(run.attempt)
            if run.attempt < 3:
                raise bureau.Busy("later")

        task = desk.enqueue({}, kind=kind)
        for _ in range(3):
            desk.work()
            clock.advance("10s")
        assert seen == [1, 2, 3] and last(desk, task).status == "completed"


def test_bad_agents_and_kinds_are_told(desk):
    with pytest.raises(bureau.Invalid, match="external_unsafe"):
        bureau.TaskKind("x", effect="external_unsafe", retry=Retry.fixed(2, 1))
    with pytest.raises(bureau.Invalid, match="effect"):
        bureau.TaskKind("x", effect="databse")
    with pytest.raises(bureau.Invalid, match="timeout"):
        bureau.TaskKind("x", timeout="2 fortnights")
    with pytest.raises(bureau.Invalid, match="did you mean"):
        desk.enqueue(Add(1, 2), prioritty="high")
    with pytest.raises(bureau.Invalid, match="several kinds"):
        desk.enqueue_all([Add(1, 2), Greet("x")])
    with pytest.raises(bureau.Invalid, match="no dataclass"):
        desk.enqueue(3)
    desk.agent(Add)(lambda run, payload: None)
    with pytest.raises(bureau.Invalid, match="another agent"):
        desk.agent(Add)(lambda run, payload: None)
    desk.start_polled()
    with pytest.raises(bureau.Conflict):
        desk.agent(Greet)(lambda run, payload: None)


def test_payloads_keep_their_types():
    class Colour(enum.Enum):
        RED = "red"

    @dataclasses.dataclass
    class Inner:
        at: datetime
        price: Decimal

    @bureau.task(name="typed")
    class Typed:
        inner: list[Inner]
        colour: Colour
        span: timedelta
        words: dict[str, int]
        maybe: str | None = None
        ratio: float = 0.5

    given = Typed([Inner(datetime(2026, 1, 1, tzinfo=timezone.utc), Decimal("1.10"))], Colour.RED,
                  timedelta(milliseconds=3), {"a": 1}, None, 2)
    with memory_office() as desk:
        seen = []
        desk.agent(Typed)(lambda run, payload: seen.append(payload))
        desk.enqueue(given)
        desk.work()
        assert seen == [given] and type(seen[0].ratio) is float


def test_many_at_once(desk):
    seen = []
    desk.agent(Add)(lambda run, payload: seen.append(payload.a))
    tasks = desk.enqueue_all((Add(i, 0) for i in range(500)), priority="high")
    assert len(set(tasks)) == 500
    desk.work()
    assert sorted(seen) == list(range(500))
    assert desk.enqueue_all([]) == []


def test_unique_keys(desk):
    first = desk.enqueue(Add(1, 1), unique_key="k")
    assert desk.enqueue(Add(2, 2), unique_key="k") == first
    assert desk.why(first)["reasons"]
    assert desk.tasks.cancel(first, "enough").status == "cancelled"


# Threads ----------------------------------------------------------------------------------------------


def test_handlers_on_the_engines_threads(tmp_path):
    with bureau.open(tmp_path / "o.db", tenant="T", threads=4, durability="relaxed") as desk:
        both = threading.Barrier(3, timeout=30)
        seen = set()

        @desk.agent(Add)
        def add(run, payload):
            seen.add(threading.get_ident())
            both.wait()  # only when three are in it at a time
            return payload.a

        tasks = desk.enqueue_all(Add(i, 0) for i in range(3))
        desk.start()
        assert sorted(desk.tasks.result(task, timeout=30) for task in tasks) == [0, 1, 2]
        assert len(seen) == 3 and threading.get_ident() not in seen
        desk.stop()


def test_stop_names_a_handler_that_does_not_return(tmp_path):
    desk = bureau.open(tmp_path / "o.db", tenant="T", durability="relaxed")
    go, began = threading.Event(), threading.Event()

    @desk.agent(Add)
    def add(run, payload):
        began.set()
        go.wait()

    desk.enqueue(Add(1, 2))
    desk.start()
    assert began.wait(30)
    with pytest.raises(bureau.Deadline, match="add"):
        desk.close(timeout=0.05)
    assert not desk.closed
    go.set()
    desk.close()
    assert desk.closed


def test_an_office_with_agents_is_collected(tmp_path):
    class Marker:
        pass

    marker = Marker()
    gone = weakref.ref(marker)

    def build():
        desk = bureau.open(tmp_path / "o.db", tenant="T", durability="relaxed")

        @desk.agent(Add)
        def add(run, payload, kept=(desk, marker)):  # a circle through the callback
            return 1

        desk.start()
        task = desk.enqueue(Add(1, 2))
        assert desk.tasks.result(task) == 1
        return desk._core

    core = build()
    del marker
    gc.collect()
    assert gone() is None and core.closed


def run_script(code, *args, timeout=60):
    return subprocess.Popen([sys.executable, "-P", "-c", textwrap.dedent(code), *map(str, args)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def sleeps(pid):
    """Whether the main thread waits for something."""
    return Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(") ")[2][0] == "S"


def test_ctrl_c_ends_a_wait_and_the_office(tmp_path):
    for wait in ("office.run()", "office.tasks.wait(task, 600)", "next(iter(office.feed('teams')))"):
        path = tmp_path / f"{len(wait)}.db"
        process = run_script(f"""
            import sys, bureau
            office = bureau.open(sys.argv[1], tenant="T", durability="relaxed")
            kind = bureau.TaskKind("nobody")
            task = office.enqueue({{}}, kind=kind)
            print("ready", flush=True)
            try:
                {wait}
            except KeyboardInterrupt:
                pass
            office.close()
            print("closed", flush=True)
        """, path)
        assert process.stdout.readline() == "ready\n"
        while not sleeps(process.pid):
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        if "closed" not in out:
            assert "KeyboardInterrupt" in err
        assert process.returncode in (0, 130, -signal.SIGINT, 1), err


def test_the_interpreter_ends_with_agents_at_work(tmp_path):
    process = run_script("""
        import sys, threading, bureau
        office = bureau.open(sys.argv[1], tenant="T", durability="relaxed", threads=3)
        began = threading.Event()
        @office.agent(bureau.TaskKind("spin"))
        def spin(run, payload):
            began.set()
            while not run.stop_requested:
                sum(range(1000))
        office.enqueue_all([{}] * 20, kind=bureau.TaskKind("spin"))
        office.start()
        began.wait()
        print("leaving", flush=True)
    """, tmp_path / "o.db")
    out, err = process.communicate(timeout=60)
    assert out == "leaving\n" and process.returncode == 0 and "Fatal" not in err, err


# Coroutines -------------------------------------------------------------------------------------------


def test_two_hundred_awaits_are_one_thread():
    async def main():
        with memory_office() as desk:
            threads, together = set(), asyncio.Event()
            inside = 0

            @desk.agent(Add)
            async def add(run, payload):
                nonlocal inside
                threads.add(threading.get_ident())
                inside += 1
                if inside == 200:
                    together.set()
                await together.wait()
                return payload.a

            tasks = desk.enqueue_all(Add(i, 0) for i in range(200))
            living = asyncio.create_task(desk.serve())
            await asyncio.wait_for(together.wait(), 60)
            assert threads == {threading.get_ident()}
            while desk["tasks"].count("status < \"completed\""):
                await asyncio.sleep(0.01)
            assert sorted(desk.tasks.result(task) for task in tasks) == list(range(200))
            living.cancel()
            with pytest.raises(asyncio.CancelledError):
                await living

    asyncio.run(asyncio.wait_for(main(), 120))


def test_a_coroutine_has_durable_calls():
    async def main():
        async with memory_office() as desk:
            kind = bureau.TaskKind("flow", retry=Retry.fixed(3, 0))
            done = []

            @desk.agent(Add)
            async def add(run, payload):
                return Total(payload.a + payload.b)

            @desk.agent(kind)
            async def flow(run, payload):
                async def work():
                    await asyncio.sleep(0)
                    done.append("step")
                    return 1

                one = await run.step("one", work)
                two = await run.call(Add(1, 1))
                what = await run.wait_for("go")
                return [one, two["value"], what]

            task = desk.enqueue({}, kind=kind)
            desk.start()
            while last(desk, task).status != "waiting" or not desk["run_steps"].count(
                    "name = \"go\""):
                await asyncio.sleep(0.01)
            desk.tasks.signal(task, "go", 3)
            while last(desk, task).status != "completed":
                await asyncio.sleep(0.01)
            assert last(desk, task).result == [1, 2, 3] and done == ["step"]

    asyncio.run(asyncio.wait_for(main(), 120))


def test_a_coroutine_that_fails_or_is_cancelled():
    async def main():
        async with memory_office() as desk:
            began = asyncio.Event()

            @desk.agent(Add)
            async def add(run, payload):
                if payload.a == 1:
                    raise KeyError("beans")
                began.set()
                await asyncio.sleep(600)

            bad, long = desk.enqueue(Add(1, 0)), desk.enqueue(Add(2, 0))
            desk.start()
            await began.wait()
            desk.tasks.cancel(long, "enough")
            while desk["tasks"].count("status < \"completed\""):
                await asyncio.sleep(0.01)
            assert "KeyError: 'beans'" in last(desk, bad).error
            assert last(desk, long).status == "cancelled"

    asyncio.run(asyncio.wait_for(main(), 120))


def test_coroutines_need_a_loop(desk):
    @desk.agent(Add)
    async def add(run, payload):
        return 1

    with pytest.raises(bureau.Invalid, match="loop"):
        desk.start()
