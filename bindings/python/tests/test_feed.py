import asyncio
import gc
import subprocess
import sys
import threading

import pytest

import bureau
from bureau import Team, User
from bureau.testing import ScriptedModel, crash_everywhere, office as memory_office

pytest_plugins = ["bureau.testing"]


def test_a_feed_gives_each_change_once_in_order(office):
    feed = office.feed(Team, Team.name != "hidden")
    team = office[Team].insert(Team(name="one"))
    team.name = "two"
    office[Team].update(team)
    office[Team].insert(Team(name="hidden"))
    office[Team].remove(team)
    events = [feed.next(5), feed.next(5), feed.next(5)]
    assert [e.kind for e in events] == ["insert", "update", "remove"]
    assert events[0].after.name == "one" and events[1].after.name == "two"
    assert "name" in events[1].changed and events[2].id == team.id
    assert events[0].sequence < events[1].sequence < events[2].sequence
    assert feed.next(0) is None
    again = office.feed(Team, after=events[0].sequence)
    assert again.next(5).kind == "update"


def test_a_feed_waits_for_a_commit(office):
    feed = office.feed("teams")
    threading.Timer(0.05, lambda: office[Team].insert(Team(name="late"))).start()
    assert next(iter(feed)).after.name == "late"
    feed.close()
    assert list(feed) == []


def test_a_feed_is_awaited(office):
    async def main():
        async for event in office.feed(Team):
            return event.after.name

    async def both():
        waiting = asyncio.create_task(main())
        await asyncio.sleep(0)
        made = 0
        while not waiting.done():  # the feed begins where it is first asked
            await asyncio.to_thread(office[Team].insert, Team(name=f"x{made}"))
            made += 1
            await asyncio.sleep(0.01)
        return await waiting

    assert asyncio.run(asyncio.wait_for(both(), 60)).startswith("x")


def test_a_user_hears_of_what_he_sees(office, ada):
    bob = office[User].insert(User(email="bob@example.com", role="customer"))
    feeds = [office.user(one).feed("tickets") for one in (ada, bob)]
    office.tickets.open(customer=ada, body="mine")
    assert feeds[0].next(5).kind == "insert" and feeds[1].next(0) is None


def test_a_subscription_calls_back(office):
    seen, heard = [], threading.Event()

    def hear(event):
        seen.append((event.kind, event.after.name))
        heard.set()
        if event.after.name == "bad":
            raise ValueError("no")

    subscription = office.subscribe(Team, hear)
    office.start()
    office[Team].insert(Team(name="one"))
    assert heard.wait(30) and seen == [("insert", "one")] and subscription.active
    heard.clear()
    office[Team].insert(Team(name="bad"))
    assert heard.wait(30)
    office.stop()
    assert not subscription.active
    subscription.end()


def test_a_subscription_hears_of_another_process(tmp_path):
    path, heard = tmp_path / "o.db", threading.Event()
    with bureau.open(path, tenant="T") as office:
        subscription = office.subscribe(Team, lambda event: heard.set())
        office.start()
        code = "import sys, bureau\nwith bureau.open(sys.argv[1]) as o: o[bureau.Team].insert(bureau.Team(name='x'))"
        subprocess.run([sys.executable, "-P", "-c", code, str(path)], check=True)
        assert heard.wait(30) and subscription.active


def test_a_callback_after_the_end_is_none(office):
    seen = []
    office.subscribe(Team, seen.append)  # nobody holds it: it has ended
    gc.collect()
    office.start_polled()
    office[Team].insert(Team(name="one"))
    office.work()
    assert seen == []
    held = office.subscribe(Team, seen.append)
    office.close()
    held.end()
    with pytest.raises(bureau.Invalid, match="closed"):
        office.subscribe(Team, seen.append)


def test_bad_subscriptions(office):
    with pytest.raises(bureau.Invalid):
        office.feed(Team, User.email == "x")
    with pytest.raises(bureau.Error):
        office.feed("teams", "created_at > now()").next(0)
    with pytest.raises(bureau.NotFound):
        office.feed("taems")


# Models -----------------------------------------------------------------------------------------------


def test_a_conversation_with_tools_and_a_budget():
    model = ScriptedModel().calls("look_up", {"number": 7}, input_tokens=10, output_tokens=5).says(
        "It is on its way.", input_tokens=20, output_tokens=6)
    asked = []
    with memory_office() as desk:
        kind = bureau.TaskKind("support")

        @desk.agent(kind)
        def support(run, payload):
            tool = bureau.Tool("look_up", "Finds an order.", lambda arguments: asked.append(arguments) or {"state": "sent"},
                               {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]})
            answer = run.converse(model, "Where is order 7?", tools=[tool])
            return [answer.text, answer.turns, answer.input_tokens]

        good = desk.enqueue({}, kind=kind, budget=desk.budgets.create("large", tokens=100_000))
        desk.work()
        assert desk.tasks.get(good).result == ["It is on its way.", 2, 30]
        assert asked == [{"number": 7}] and model.requests[1]["messages"][-1]["role"] == "tool"
        poor = desk.enqueue({}, kind=kind, budget=desk.budgets.create("small", tokens=10))
        desk.work()
        row = desk.tasks.get(poor)
        assert (row.status, row.error_code) == ("dead", "exhausted") and "budget" in row.error


def test_a_model_that_raises():
    model = ScriptedModel().fails(bureau.Unavailable("no line")).fails(KeyError("x"))
    with memory_office() as desk:
        kind = bureau.TaskKind("ask")
        desk.agent(kind)(lambda run, payload: run.converse(model, "hm").text)
        tasks = [desk.enqueue({}, kind=kind) for _ in range(3)]
        desk.work()
        rows = [desk.tasks.get(task) for task in tasks]
        assert {row.error_code for row in rows} == {"unavailable", "internal", "exhausted"}


def test_a_recorded_model():
    from bureau.testing import RecordedModel

    first = RecordedModel(ScriptedModel().says("hello"))
    request = {"messages": [{"role": "user", "text": "hi"}], "key": "a"}
    assert first.complete(request) == first.complete({**request, "key": "b"})
    again = RecordedModel(recording=first.text())
    assert again.complete(request)["message"]["text"] == "hello"
    with pytest.raises(bureau.NotFound):
        again.complete({"messages": []})
    with pytest.raises(bureau.Invalid, match="line 1"):
        RecordedModel(recording="x")


# The kit ----------------------------------------------------------------------------------------------


def test_the_fixtures(bureau_office, bureau_clock):
    before = bureau_office.now
    bureau_clock.advance("1h")
    assert (bureau_office.now - before).total_seconds() == 3600
    with pytest.raises(bureau.Invalid):
        bureau_clock.advance(-1)


def test_crashes_at_every_commit():
    outside = []
    kind = bureau.TaskKind("pay", retry=bureau.Retry.fixed(10, 1), effect="external_idempotent")

    def agents(office):
        @office.agent(kind)
        def pay(run, payload):
            run.step("charge", lambda: outside.append(run.idempotency_key), effect="external_idempotent")
            run.sleep("1m")
            return run.step("note", lambda: "paid")

    def begin(office):
        outside.clear()
        office.tenant("T", create=True).enqueue({}, kind=kind)

    def check(office):
        (task,) = office.tenant("T")["tasks"].list()
        assert task.status == "completed" and task.result == "paid", task
        assert len(set(outside)) == 1

    report = crash_everywhere(agents=agents, begin=begin, check=check)
    assert report, report.text
    assert report.commits > 3 and report.crashes >= report.commits


def test_crashes_find_what_does_not_hold():
    done = []
    kind = bureau.TaskKind("count", retry=bureau.Retry.fixed(10, 1))

    def agents(office):
        office.agent(kind)(lambda run, payload: done.append(1))

    def begin(office):
        done.clear()
        office.tenant("T", create=True).enqueue({}, kind=kind)

    def check(office):
        assert len(done) == 1, "it ran twice"

    report = crash_everywhere(agents=agents, begin=begin, check=check)
    assert not report and "it ran twice" in report.text
