"""What holds tasks back, what they may spend, and what is done to tasks and runs in trouble."""

from datetime import timedelta
from decimal import Decimal

import pytest

import bureau
from bureau import FlowRule, Task, User
from bureau.testing import ScriptedModel

from kinds import Add


@pytest.fixture
def office(simulation):
    return simulation.office


@pytest.fixture
def seen(office):
    """When each task was begun."""
    made = []
    office.agent(Add)(lambda run, payload: made.append(office.now))
    return made


# Flow control -----------------------------------------------------------------------------------------


def test_a_pause_holds_tasks_back(simulation, office, seen):
    rule = office.flow.pause(kind=Add, reason="the moon")
    assert (rule.type, rule.kind, rule.reason, rule.until) == ("pause", "add", "the moon", None)
    task = office.enqueue(Add(1, 2))
    simulation.run("1h")
    assert seen == [] and "the moon" in str(office.why(task))
    office.flow.resume(kind="add")
    simulation.run("1h")
    assert len(seen) == 1
    until = office.now + timedelta(hours=2)
    assert office.flow.pause(queue="default", until=until).until == until
    office.enqueue(Add(1, 2))
    simulation.run("3h")
    assert seen[1] >= until
    with pytest.raises(bureau.NotFound):
        office.flow.resume(kind=Add)


def test_rates_and_limits(simulation, office, seen):
    rate = office.flow.rate(2, "1h", kind=Add, burst=1)
    assert (rate.type, rate.at_most, rate.period, rate.burst) == ("rate", 2, timedelta(hours=1), 1)
    office.enqueue_all([Add(i, 1) for i in range(3)])
    simulation.run("1d")
    assert len(seen) == 3
    assert all(timedelta(minutes=29) <= b - a <= timedelta(minutes=45) for a, b in zip(seen, seen[1:]))
    office.flow.remove(rate)
    limit = office.flow.limit(3, flow_key="customer:1")
    assert (limit.type, limit.flow_key, limit.at_most) == ("concurrency", "customer:1", 3)
    assert office.flow.limit(1, each_key=True).each_key
    assert office[FlowRule].count() == 2
    office.flow.set_weight(5)
    assert [share.weight for share in office["tenant_shares"].list()] == [5]


def test_bad_rules_are_told(office):
    ann = office[User].insert(User(email="ann@example.com", role="agent"))
    for call, words in [(lambda: office.flow.pause(), "."), (lambda: office.flow.limit(-1, kind=Add), "at_most"),
                        (lambda: office.flow.limit("many", kind=Add), "at_most"), (lambda: office.flow.rate(1, "soon"), "period"),
                        (lambda: office.flow.rate(0, "1s"), "at_most"), (lambda: office.flow.rate(1, 0), "period"),
                        (lambda: office.flow.pause(kind=3), "kind"), (lambda: office.flow.set_weight(0), "weight"),
                        (lambda: office.flow.limit(1, kind=Add, each_key=1), "each_key"), (lambda: office.flow.remove(ann), "rule")]:
        with pytest.raises(bureau.Invalid, match=words):
            call()
    with pytest.raises(bureau.Forbidden):
        office.user(ann).flow.pause(kind=Add)
    assert office[FlowRule].count() == 0


# Budgets ----------------------------------------------------------------------------------------------


def test_what_a_model_costs_is_spent_from_its_budget(simulation, office):
    year = office.budgets.create("all", money="100.00 EUR", period="month")
    budget = office.budgets.create("support", tokens=10_000, calls=5, parent=year, currency="EUR")
    model = ScriptedModel().says("yes", input_tokens=200, output_tokens=50)

    @office.agent("ask", effect="external_idempotent")
    def ask(run, payload):
        return run.converse(model, "Well?", price_input="3.00 EUR", price_output="15.00 EUR").text

    task = office.enqueue({}, kind="ask", budget=budget)
    simulation.run("1h")
    assert office.tasks.result(task) == "yes"
    state = office.budgets.state(budget)
    assert (state.budget.id, state.spent.tokens, state.spent.calls, state.spent.currency) == (budget.id, 250, 1, "EUR")
    assert state.spent.money == Decimal("0.00135") and state.reserved.money == 0
    assert (state.begins, state.ends, state.waiting, state.overrun_at) == (None, None, 0, None)
    above = office.budgets.state(year)
    assert above.begins <= office.now < above.ends and above.spent.tokens == 250
    [spending] = office.budgets.spendings(task)
    assert (spending.status, spending.spent_tokens) == ("settled", 250)
    with pytest.raises(bureau.Conflict):
        office.budgets.correct(spending, tokens=1)
    assert office.budgets.set_limits(budget, calls=9, time="2h").tokens is None
    assert office.budgets.named("support").time == timedelta(hours=2)
    assert office.budgets.set_unpriced(budget, "allow").unpriced == "allow"
    with pytest.raises(bureau.Conflict):
        office.budgets.remove(year)
    office.budgets.remove(budget)
    office.budgets.remove(year)
    assert office["budgets"].count() == 0


def test_bad_budgets_are_told(office):
    budget = office.budgets.create("one", tokens=1)
    assert office.budgets.state(budget).spent.money is None
    for call, words in [(lambda: office.budgets.create("x", tokens=-1), "tokens"), (lambda: office.budgets.create("x", money=12.5), "money"),
                        (lambda: office.budgets.create("x", money="12.345 EUR"), "money|EUR|digits"),
                        (lambda: office.budgets.create("x", period="week"), "period"), (lambda: office.budgets.create("x", time="x"), "time"),
                        (lambda: office.budgets.set_limits(budget, tokens="a"), "tokens"),
                        (lambda: office.budgets.set_unpriced(budget, "maybe"), "unpriced"),
                        (lambda: office.budgets.create("x", parent="one"), "parent")]:
        with pytest.raises(bureau.Invalid, match=words):
            call()
    with pytest.raises(TypeError):
        office.budgets.create("x", tokns=1)
    with pytest.raises(bureau.NotFound):
        office.budgets.named("two")
    assert office["budgets"].count() == 1


# Tasks and runs in trouble ----------------------------------------------------------------------------


def test_dead_tasks_are_driven_again(simulation, office):
    good = []

    @office.agent(Add)
    def add(run, payload):
        if not good:
            raise RuntimeError("not yet")
        return payload.a

    office.enqueue_all([Add(i, 1) for i in range(5)])
    simulation.run("1h")
    assert office[Task].count("status = \"dead\"") == 5
    good.append(True)
    assert office.tasks.redrive_all("kind = $kind", kind="subtract") == 0
    assert office.tasks.redrive_all(Task.kind == "add", limit=2) == 2
    assert office.tasks.redrive_all() == 3
    simulation.run("1h")
    assert sorted(task.result for task in office[Task]) == list(range(5))
    for call, words in [(lambda: office.tasks.redrive_all("kin = 1"), "kind"), (lambda: office.tasks.redrive_all(limit=-1), "limit")]:
        with pytest.raises(bureau.Invalid, match=words):
            call()


def test_a_run_is_done_again_from_a_step(simulation, office):
    done = []

    @office.agent("steps")
    def steps(run, payload):
        first = run.step("first", lambda: done.append("first") or len(done))
        second = run.step("second", lambda: done.append("second") or len(done))
        said = run.wait_for("go")
        if len(done) < 4:
            raise bureau.Invalid("no good")
        return [first, second, said]

    task = office.enqueue({}, kind="steps")
    simulation.run("1h")
    office.tasks.signal(task, "go", "now")
    assert [one.payload for one in office.tasks.signals(task)] == ["now"]
    simulation.run("1h")
    assert office.tasks.get(task).status == "dead"
    second = next(step for step in office.tasks.steps(task) if step.name == "second")
    fork = office.tasks.fork_from(task, second.position)
    office.tasks.retry_from(task, second.position)
    office.tasks.signal(fork, "go", "too")
    simulation.run("1h")
    assert done == ["first", "second", "second", "second"]
    ended = {one.id: one.status for one in office[Task]}
    assert set(ended.values()) <= {"completed", "dead"} and "completed" in ended.values()
    with pytest.raises(bureau.Conflict):
        office.tasks.probe_again(task)
    with pytest.raises(bureau.Conflict):
        office.tasks.resolve_step(task, {"a": 1}, "seen")
    with pytest.raises(bureau.Invalid, match="position"):
        office.tasks.retry_from(task, "first")


def test_an_approval_is_claimed(simulation, office):
    ann = office[User].insert(User(email="ann@example.com", role="manager"))
    office.agent("ask")(lambda run, payload: run.approval("Pay?", {"a": 1}).approved)
    task = office.enqueue({}, kind="ask")
    simulation.run("1h")
    approvals = office.user(ann).approvals
    [asked] = approvals.list()
    assert approvals.claim(asked).claimed_by == ann.id
    assert approvals.release(asked).claimed_by is None
    approvals.decide(asked, True)
    simulation.run("1h")
    assert office.tasks.result(task) is True
    with pytest.raises(bureau.Conflict):
        approvals.claim(asked)
