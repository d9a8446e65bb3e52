"""Workflows from Python: saved, activated, started, run beside Python's own agents."""

import dataclasses
import enum
from datetime import timedelta

import pytest

import bureau
from bureau import User


class Speed(enum.StrEnum):
    SLOW = "slow"
    FAST = "fast"


@dataclasses.dataclass
class Placed:
    supplier: str


@bureau.task(name="place_order", result=Placed)
class PlaceOrder:
    cents: int
    reason: str = "because"
    speed: Speed = Speed.SLOW
    tags: list[str] | None = None


PURCHASE = {
    "name": "purchase", "input": {"cents": {"type": "integer"}},
    "nodes": [
        {"id": "size", "kind": "condition", "if": "input.cents > 1000", "then": "ask", "else": "order"},
        {"id": "ask", "kind": "human_input", "title": "Who pays?", "fields": {"who": {"type": "text"}},
         "assignee": "ann@example.com", "next": "order"},
        {"id": "order", "kind": "task", "task": "place_order", "payload": {"cents": {"$": "input.cents"}, "speed": "fast"},
         "next": "done"},
        {"id": "done", "kind": "end", "output": {"from": {"$": "order.supplier"}}},
    ]}


def order(**payload):
    """PURCHASE with another payload."""
    nodes = [{**node, "payload": payload} if node["id"] == "order" else node for node in PURCHASE["nodes"]]
    return {**PURCHASE, "nodes": nodes}


@pytest.fixture
def office(simulation):
    office = simulation.office
    office.add_workflows(PlaceOrder)

    @office.agent(PlaceOrder)
    def place(run, payload):
        assert payload.speed is Speed.FAST
        return Placed(f"Mill & Sons, {payload.reason}")

    return office


def test_a_workflow_runs_beside_agents_of_python(simulation, office, ann):
    draft = office.workflows.save(PURCHASE)
    assert (draft.status, draft.number) == ("draft", 1)
    assert office.workflows.activate(draft).status == "active"
    small = office.workflows.start("purchase", {"cents": 10})
    simulation.run("1h")
    assert office.tasks.result(small) == {"end": "done", "output": {"from": "Mill & Sons, because"}}
    assert [step.node for step in office.workflows.steps(small)][:2] == ["size", "order"]
    large = office.workflows.start("purchase", {"cents": 5000}, priority="high")
    simulation.run("1h")
    [wait] = office.workflows.waits(large)
    assert (wait.task, wait.node, wait.until) == (large, "ask", None) and wait.since <= office.now
    [form] = office.user(ann).workflows.forms()
    assert (form.title, form.status) == ("Who pays?", "open")
    with pytest.raises(bureau.Invalid, match="who"):
        office.user(ann).workflows.answer(form, {"whom": "Ann"})
    assert office.user(ann).workflows.answer(form, {"who": "Ann"}).answered_by == ann.id
    simulation.run("1h")
    assert office.tasks.get(large).status == "completed" and office.workflows.waits(large) == []
    assert [run.id for run in office.workflows.runs("purchase")] == [large, small]
    assert [run.id for run in office.workflows.runs("purchase", limit=1)] == [large]
    steps = office.workflows.steps(large)
    assert all(not step.open and step.error is None and step.task == large for step in steps)
    assert any(step.node == "ask" and "Ann" in str(step.result) for step in steps)


def test_versions(simulation, office, ann):
    flows = office.workflows
    first = flows.activate(flows.save(PURCHASE))
    second = flows.save(order(cents=1))
    assert (second.number, second.status, flows.named("purchase").id) == (2, "draft", first.id)
    assert flows.named("purchase", 2).id == second.id
    assert flows.document(second)["nodes"] == order(cents=1)["nodes"]
    assert "size" in flows.graph(first) and flows.graph(first, "dot").startswith("digraph")
    flows.activate(second)
    assert flows.named("purchase", 1).status == "retired"
    with pytest.raises(bureau.Conflict):
        flows.remove(second)
    third = flows.save(PURCHASE)
    flows.remove(third)
    assert office["workflows"].count() == 2
    assert flows.retire(second).status == "retired"
    with pytest.raises(bureau.NotFound):
        flows.start("purchase", {"cents": 1})
    with pytest.raises(bureau.NotFound):
        flows.named("purchace")


def test_events_and_changes_start_them(simulation, office, ann):
    done = {"nodes": [{"id": "done", "kind": "end", "output": {"$": "input"}}]}
    flows = office.workflows
    flows.activate(flows.save({"name": "paid", "trigger": {"on": "event", "event": "paid"}, "input": {"n": {"type": "integer"}}, **done}))
    flows.activate(flows.save({"name": "hired", "trigger": {"on": "change", "table": "users", "changes": ["insert"]}, **done}))
    [run] = flows.raise_event("paid", {"n": 3})
    assert flows.raise_event("lost") == []
    bob = office[User].insert(User(email="bob@example.com", role="agent"))
    simulation.run("1h")
    assert office.tasks.result(run)["output"]["n"] == 3
    [hired] = flows.runs("hired")
    assert hired.result["output"]["id"] == bob.id


def test_what_cannot_be_saved_is_told(office):
    flows = office.workflows
    flows.check(PURCHASE)
    flows.check(order(cents=1, tags=["a", "b"], reason={"$text": "{input.cents}"}))
    for document, words in [
        ({**PURCHASE, "nodes": []}, "nodes"), ({"nodes": PURCHASE["nodes"]}, "name"), ([], "document|object"),
        ({**PURCHASE, "nods": []}, "nods"), (order(reason="x"), "cents"), (order(cents="x"), "cents"),
        (order(cents=1, reson="x"), "reason"), (order(cents=1, speed="quick"), "speed"), (order(cents=None), "cents"),
        ({**PURCHASE, "name": "Two Words"}, "name"),
        ({**PURCHASE, "nodes": [{"id": "order", "kind": "task", "task": "place_oder", "payload": {}}]}, "place_order"),
    ]:
        with pytest.raises(bureau.Invalid, match=words):
            flows.save(document)
    with pytest.raises(bureau.Invalid, match="supplier"):  # what the result has
        flows.save({**PURCHASE, "nodes": [*PURCHASE["nodes"][:3], {"id": "done", "kind": "end", "output": {"$": "order.suplier"}}]})
    with pytest.raises(bureau.Invalid, match="format"):
        flows.graph(flows.save(PURCHASE), "svg")
    flows.activate(flows.named("purchase"))
    for call, words in [(lambda: flows.start("purchase", {"cents": "x"}), "cents"),
                        (lambda: flows.start("purchase", {"cents": 1}, prority="high"), "priority"),
                        (lambda: flows.named("purchase", "first"), "number")]:
        with pytest.raises(bureau.Invalid, match=words):
            call()
    with pytest.raises(bureau.Invalid, match="started|workflow"):
        office.add_workflows(PlaceOrder)


def test_a_kind_without_a_dataclass_takes_what_it_is_given(simulation):
    office, seen = simulation.office, []
    office.add_workflows("tell")
    office.agent("tell")(lambda run, payload: seen.append(payload))
    document = {"name": "telling", "nodes": [{"id": "say", "kind": "task", "task": "tell", "payload": {"a": [1]}, "next": "done"},
                                             {"id": "done", "kind": "end", "output": {"$": "say.anything", "default": 1}}]}
    office.workflows.activate(office.workflows.save(document))
    office.workflows.start("telling")
    simulation.run(timedelta(hours=1))
    assert seen == [{"a": [1]}]
