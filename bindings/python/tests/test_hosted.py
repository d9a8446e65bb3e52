"""Clocks, schedulers and the tools of models that are Python's; whole months in virtual time."""

import asyncio
import queue
import threading
from datetime import datetime, timedelta, timezone

import pytest

import bureau
from bureau import Retry, Ticket, User
from bureau.testing import ScriptedModel, Simulation, crash_everywhere, office as memory_office

from kinds import Add, last


# Clocks -----------------------------------------------------------------------------------------------


class Shifted(bureau.Clock):
    """As late as one says."""

    shift = timedelta(0)

    def now(self):
        return super().now() + self.shift

    def monotonic(self):
        return super().monotonic() + self.shift.total_seconds()


def test_an_office_goes_by_a_clock_of_pythons():
    clock = Shifted()
    with memory_office(clock=clock) as office:
        before = clock.now()
        office.agent(Add)(lambda run, payload: payload.a)
        office.start()
        assert office.tasks.result(office.enqueue(Add(1, 2))) == 1
        task = office.enqueue(Add(3, 4), delay="10d")
        clock.shift = timedelta(days=10)  # those who wait for it look again by themselves
        assert office.tasks.result(task) == 3
        row = office[User].insert(User(email="a@example.com", role="customer"))
        assert before + clock.shift <= row.created_at <= clock.now()


def test_a_clock_that_goes_wrong_stands_still(monkeypatch):
    class Broken(bureau.Clock):
        answer = datetime(2026, 1, 1, tzinfo=timezone.utc)

        def now(self):
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

    told = []
    monkeypatch.setattr("sys.unraisablehook", lambda one: told.append(one.exc_value))
    clock = Broken()
    with memory_office(clock=clock) as office:
        for wrong in (datetime(2026, 1, 2), ValueError("no battery"), "noon"):
            clock.answer = wrong
            assert office.now == Broken.answer
        assert len(told) == 3 and "no battery" in str(told[1])
        clock.answer = Broken.answer + timedelta(days=1)
        assert office.now == clock.answer
    clock.answer = datetime(2026, 1, 2)
    with pytest.raises(bureau.Invalid, match="now"):
        memory_office(clock=clock)
    with pytest.raises(bureau.Invalid, match="Clock"):
        memory_office(clock=3)


# Schedulers -------------------------------------------------------------------------------------------


class OneThread(bureau.Scheduler):
    """Polls on a thread of its own whenever it is woken."""

    def __init__(self):
        self.bell, self.threads = queue.Queue(), set()

    def start(self, runner):
        self.thread = threading.Thread(target=self.run, args=(runner,))
        self.thread.start()

    def wake(self):
        self.bell.put(True)

    def stop(self, timeout):
        self.bell.put(False)
        self.thread.join(timeout)
        if self.thread.is_alive():
            raise bureau.Deadline("one thread: it still polls")

    def run(self, runner):
        self.threads.add(threading.get_ident())
        going = True
        while going:
            ran, due = runner.poll(tasks=16)
            if ran:
                continue
            try:
                going = self.bell.get(timeout=due)
            except queue.Empty:
                pass


def test_a_scheduler_of_pythons_runs_an_office():
    scheduler = OneThread()
    with memory_office(scheduler=scheduler) as office:
        seen = set()

        @office.agent(Add)
        def add(run, payload):
            seen.add(threading.get_ident())
            return payload.a + payload.b

        office.start()
        assert [office.tasks.result(office.enqueue(Add(i, 1))) for i in range(20)] == list(range(1, 21))
        assert office.tasks.result(office.enqueue(Add(1, 1), delay="50ms")) == 2
        assert seen == scheduler.threads != {threading.get_ident()}
    assert not scheduler.thread.is_alive()


def test_a_scheduler_may_be_a_loop(tmp_path):
    class OnLoop(bureau.Scheduler):
        def start(self, runner):
            self.loop, self.runner, self.timer = asyncio.get_running_loop(), runner, None
            self.handle = runner.wake_handle()
            self.loop.add_reader(self.handle, self.others)
            self.loop.call_soon(self.poll)

        def others(self):
            self.runner.on_wake()
            self.poll()

        def wake(self):
            self.loop.call_soon_threadsafe(self.poll)

        def poll(self):
            if self.timer:
                self.timer.cancel()
            if self.loop.is_closed():
                return
            try:
                ran, due = self.runner.poll(tasks=16)
            except bureau.Cancelled:
                return
            if ran:
                self.loop.call_soon(self.poll)
            elif due is not None:
                self.timer = self.loop.call_later(due, self.poll)

        def stop(self, timeout):
            self.loop.remove_reader(self.handle)

    async def main():
        with bureau.open(tmp_path / "o.db", tenant="T", durability="relaxed", scheduler=OnLoop()) as office:
            ended = asyncio.Event()

            @office.agent(Add)
            async def add(run, payload):
                await asyncio.sleep(0)
                ended.set()
                return threading.get_ident()

            office.start()
            task = office.enqueue(Add(1, 2))
            await asyncio.wait_for(ended.wait(), 60)
            while (row := office.tasks.get(task)).status != "completed":
                await asyncio.sleep(0)
            assert row.result == threading.get_ident()

    asyncio.run(main())


def test_bad_schedulers_are_told():
    with pytest.raises(bureau.Invalid, match="Scheduler"):
        memory_office(scheduler=object())

    class Lazy(bureau.Scheduler):
        def start(self, runner):
            raise bureau.Unavailable("not today")

    with memory_office(scheduler=Lazy()) as office:
        with pytest.raises(bureau.Unavailable, match="not today"):
            office.start()


def test_a_runner_is_over_when_its_office_is():
    class Keeps(bureau.Scheduler):
        def start(self, runner):
            self.runner = runner

        def wake(self):
            pass

        def stop(self, timeout):
            pass

    scheduler = Keeps()
    with memory_office(scheduler=scheduler) as office:
        office.agent(Add)(lambda run, payload: payload.a)
        office.start()
        task = office.enqueue(Add(1, 2))
        while scheduler.runner.poll()[0]:
            pass
        assert last(office, task).status == "completed"
    with pytest.raises(bureau.Cancelled, match="stopped"):
        scheduler.runner.poll()
    assert scheduler.runner.wake_handle() == -1


# Models -----------------------------------------------------------------------------------------------


def test_a_tool_in_a_unit_commits_with_its_step(desk):
    ada = desk[User].insert(User(email="ada@example.com", role="customer"))
    kind = bureau.TaskKind("support", effect="database", run_as="enqueuer", retry=Retry.fixed(2, 0))
    model = ScriptedModel().calls("open", {"body": "My card is gone."}).calls("open", {"body": "bad"}).says("Done.")
    calls = []

    def open_ticket(unit, arguments):
        ticket = unit.tickets.open(customer=ada, body=arguments["body"])
        calls.append(arguments["body"])
        if arguments["body"] == "bad":
            raise bureau.Invalid("body: it says nothing")
        return {"number": ticket.number}

    tool = bureau.Tool("open", "Opens a ticket.", open_ticket, effect="database", in_unit=True)

    @desk.agent(kind)
    def support(run, payload):
        said = run.converse(model, "My card!", tools=[tool])
        if run.attempt == 1:
            raise bureau.Unavailable("after the conversation")
        return said.text

    task = desk.enqueue({}, kind=kind)
    desk.work()
    assert last(desk, task).result == "Done."
    assert [ticket.subject for ticket in desk[Ticket].list()] == ["My card is gone."]
    assert calls.count("My card is gone.") == 1  # the second attempt has it from the record
    assert "says nothing" in str(model.requests[2]["messages"])


# Virtual time -----------------------------------------------------------------------------------------


def history_of(seed):
    with Simulation(seed=seed, start=datetime(2026, 3, 1, tzinfo=timezone.utc)) as simulation:
        office = simulation.office
        kind = bureau.TaskKind("flaky", retry=Retry.exponential(20, "1m", "1h"))
        times = []

        @office.agent(kind)
        def flaky(run, payload):
            times.append(office.now)
            if run.attempt < payload["attempts"]:
                raise bureau.Busy("later")

        for attempts in (1, 3, 8):
            office.enqueue({"attempts": attempts}, kind=kind, delay="1h")
        assert simulation.run("30d") >= 12
        assert simulation.clock.now == datetime(2026, 3, 31, tzinfo=timezone.utc)
        assert all(row.status == "completed" for row in office["tasks"].list())
        return times


def test_a_simulated_month_is_one_of_its_seed():
    assert history_of(1) == history_of(1)
    assert history_of(1) != history_of(2)  # the pauses between attempts are drawn


def test_a_run_sleeps_for_days_in_virtual_time():
    with Simulation() as simulation:
        office = simulation.office
        kind = bureau.TaskKind("patient")

        @office.agent(kind)
        def patient(run, payload):
            run.sleep("10d")
            return run.wait_for("go", timeout="10d")

        task = office.enqueue({}, kind=kind)
        simulation.run("9d")
        assert last(office, task).status == "waiting"
        simulation.run("2d")
        office.tasks.signal(task, "go", 7)
        simulation.run("1m")
        assert last(office, task).result == 7


def test_crashes_with_entities_of_ones_own():
    @bureau.entity("marks", "mrk")
    class Mark:
        text: str = ""

    kind = bureau.TaskKind("mark", effect="database", run_as="enqueuer", retry=Retry.fixed(3, 1))

    def agents(office):
        office.agent(kind)(lambda run, payload: run.complete(lambda unit: unit[Mark].insert(Mark(text="x")).id))

    def begin(office):
        office.tenant("T", create=True).enqueue({}, kind=kind)

    def check(office):
        assert office[Mark].count() == 1

    report = crash_everywhere(agents=agents, begin=begin, check=check, tables=[Mark])
    assert report and report.crashes > 2, report.text
