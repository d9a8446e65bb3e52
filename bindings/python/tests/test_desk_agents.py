"""The classifier and the desk's own agents, alone and beside a program's."""

import csv
import pathlib
import pickle
import threading
import time

import pytest

import bureau
from bureau import (
    CrossValidation, DraftReply, DraftResult, Membership, Message, Prediction, Priority, ResponderAgent, ReplyTemplate, RouteResult,
    RouteTicket, RoutingAgent, Task, Team, TextClassifier, Ticket, TrainedModel, TriageAgent, TriageResult, TriageTicket, User,
)
from bureau.testing import crash_everywhere

DATA = pathlib.Path(__file__).resolve().parents[3] / "examples" / "helpdesk" / "data"
EXAMPLES = [(f"{text} {i}", label) for i in range(12) for text, label in [
    ("my card is lost and I cannot find it", "card"), ("somebody stole the card", "card"),
    ("the money has not arrived yet", "transfer"), ("my transfer is still pending", "transfer")]]


@pytest.fixture(scope="module")
def classifier():
    return TextClassifier.train(EXAMPLES, threshold=0.6)


@pytest.fixture
def team(desk):
    team = desk[Team].insert(Team(name="Cards", skills=["card"]))
    bob = desk[User].insert(User(email="bob@example.com", name="Bob", role="agent"))
    desk[Membership].insert(Membership(team=team, user=bob, capacity=10))
    return team


@pytest.fixture
def tickets(desk):
    ann = desk[User].insert(User(email="ann@example.com", name="Ann", role="customer"))
    return desk.tickets.open_all([{"customer": ann, "body": body} for body in ("I lost my card", "qwzx vbnm")])


# The classifier ---------------------------------------------------------------------------------------


def test_a_classifier_learns_and_judges(classifier):
    seen = classifier.predict("where is my card")
    assert isinstance(seen, Prediction) and (seen.label, seen.unsure) == ("card", False) and 0.6 <= seen.confidence <= 1
    assert classifier.predict("qwzx vbnm").unsure
    best = classifier.top("where is my card", 9)
    assert [one.label for one in best] == ["card", "transfer"] and best[0] == seen and len(classifier.top("x", 1)) == 1
    assert classifier.labels == ["card", "transfer"] and classifier.threshold == 0.6
    found = classifier.cross_validation
    assert isinstance(found, CrossValidation) and found.texts == len(EXAMPLES) and found.accuracy > 0.9
    assert classifier.with_threshold(1.0).predict("where is my card").unsure


def test_it_depends_on_the_seed_alone(classifier):
    same = TextClassifier.train(reversed(EXAMPLES), threshold=0.6, threads=2)
    assert same.to_bytes() == classifier.to_bytes() != TextClassifier.train(EXAMPLES, threshold=0.6, seed=2).to_bytes()
    for copy in (TextClassifier.from_bytes(classifier.to_bytes()), pickle.loads(pickle.dumps(classifier))):
        assert copy.predict("where is my card") == classifier.predict("where is my card")


@pytest.mark.parametrize("examples, options, words", [
    (EXAMPLES[:1], {}, "label"), ([], {}, "label|example"), ([("a", "b"), ("c",)], {}, "examples: 1 is no pair"),
    (["ab", "cd"], {}, "examples: 0 is no pair"), ([(1, "b")], {}, "text"), ([("a", None)], {}, "label"),
    ([("\udce9", "b")], {}, "text"), ([("a", "b"), (" ", "c")], {}, "text"), (EXAMPLES, {"threshold": 2.0}, "threshold"),
    (EXAMPLES, {"threshold": "x"}, "threshold"), (EXAMPLES, {"target_accuracy": -1.0}, "target_accuracy"),
    (EXAMPLES, {"seed": -1}, "seed"), (EXAMPLES, {"threads": 0}, "threads"), (EXAMPLES, {"threads": 2**40}, "threads"),
])
def test_what_it_cannot_learn_from(examples, options, words):
    with pytest.raises(bureau.Invalid, match=words):
        TextClassifier.train(examples, **options)


def test_what_it_cannot_do(classifier):
    for call, kind in [(lambda: classifier.predict(3), bureau.Invalid), (lambda: classifier.top("a", -1), bureau.Invalid),
                       (lambda: classifier.with_threshold(1.5), bureau.Invalid), (lambda: classifier.predict("\ud800"), bureau.Invalid),
                       (lambda: TextClassifier.from_bytes(b"nothing"), bureau.Corrupt),
                       (lambda: TextClassifier.from_bytes(classifier.to_bytes()[:-1]), bureau.Corrupt)]:
        with pytest.raises(kind):
            call()


def test_python_goes_on_while_it_learns():
    rows = list(csv.DictReader((DATA / "train.csv").read_text("utf-8").splitlines(True)))

    def ran_in_its_first_half():
        taken, moments = threading.Event(), []
        other = threading.Thread(target=lambda: (taken.wait(), moments.append(time.monotonic())))

        def examples():
            yield from ((row["text"], row["category"]) for row in rows)
            moments.append(time.monotonic())
            taken.set()

        other.start()
        TextClassifier.train(examples())
        end = time.monotonic()
        other.join()
        begin, ran = moments
        return ran < (begin + end) / 2

    assert any(ran_in_its_first_half() for _ in range(10))


def test_an_office_keeps_classifiers(desk, classifier):
    with pytest.raises(bureau.NotFound, match="triage"):
        desk.classifiers.load("triage")
    assert desk.classifiers.store("triage", classifier, examples=len(EXAMPLES), digest="d1") == 1
    assert desk.classifiers.store("triage", classifier.with_threshold(0.9)) == 2
    kept = desk.classifiers.load("triage")
    assert (kept.version, kept.digest, kept.classifier.threshold) == (2, "", 0.9)
    first = desk[TrainedModel].first(TrainedModel.model_version == 1)
    assert (first.examples, first.digest) == (len(EXAMPLES), "d1")
    for call, words in [(lambda: desk.classifiers.store("", classifier), "name"),
                        (lambda: desk.classifiers.store("x", classifier, examples=-1), "examples"),
                        (lambda: desk.write(lambda unit: unit.classifiers.store("x", classifier)), "write")]:
        with pytest.raises(bureau.Invalid, match=words):
            call()


# The agents -------------------------------------------------------------------------------------------


def test_the_desks_agents_do_the_main_job(desk, team, tickets, classifier):
    desk.reply_templates.save("card", "We block it, {customer}.")
    general = desk.reply_templates.save("*", "We have it as {number}.")
    assert desk.reply_templates.save("*", "We have it as {number}.") == general
    desk.add(TriageAgent(classifier, {"card": "urgent"}))
    desk.add(RoutingAgent())
    desk.add(ResponderAgent(Message.confidence >= classifier.threshold))
    tasks = desk.enqueue_all([TriageTicket(ticket.id) for ticket in tickets])
    assert desk.work() >= 6
    first, second = (desk[Ticket].get(ticket) for ticket in tickets)
    assert (first.category, first.priority, first.team) == ("card", Priority.URGENT, team.id)
    assert (second.category, second.priority, second.team) == (None, Priority.NORMAL, None)
    drafts = {message.ticket: message for message in desk[Message].iter(Message.kind == "suggestion")}
    assert drafts[first.id].body == "We block it, Ann." and drafts[first.id].review == "accepted"
    assert drafts[second.id].body == f"We have it as {second.number}." and drafts[second.id].review == "left_for_person"
    assert desk.tasks.result(tasks[0])["category"] == "card" and desk.tasks.result(tasks[1])["unsure"] is True
    assert {task.kind for task in desk[Task].list()} == {"triage_ticket", "route_ticket", "draft_reply"}
    assert {task.queue for task in desk[Task].list()} == {"desk"}


def test_a_program_does_a_part_itself(desk, team, tickets, classifier):
    """Its own triage in front of the library's routing, and its own drafts after it."""

    @desk.agent(TriageTicket)
    def triage(run, payload):
        text = run.read(lambda view: view.tickets.conversation(payload.ticket))[0].body
        seen = classifier.predict(text)

        def effects(unit):
            unit.tickets.classify(payload.ticket, "card", confidence=1.0, priority="low")
            unit.enqueue(RouteTicket(payload.ticket))
            return TriageResult("card", seen.confidence, seen.unsure)

        return run.complete(effects)

    @desk.agent(DraftReply)
    def draft(run, payload):
        return run.complete(lambda unit: DraftResult(unit.tickets.suggest(payload.ticket, "Hello.", 0.1).id))

    desk.add(RoutingAgent())

    @desk.agent(kind="desk_run")
    def whole(run, payload):
        triaged = run.call(TriageTicket(payload["ticket"]))
        return [triaged.category, run.join(run.spawn(RouteTicket(payload["ticket"]))).team]

    assert type(whole) is not None
    run = desk.enqueue({"ticket": tickets[0].id}, kind="desk_run")
    desk.work()
    assert desk.tasks.result(run) == ["card", team.id]
    assert desk[Message].count(Message.kind == "suggestion") == 2  # routed twice
    assert TriageTicket.__bureau_kind__.result is TriageResult and RouteTicket.__bureau_kind__.result is RouteResult


def test_a_process_that_dies_anywhere_leaves_one_draft(classifier):
    def agents(office):
        for agent in (TriageAgent(classifier, {"card": "urgent"}), RoutingAgent(), ResponderAgent("confidence > 0.5")):
            office.add(agent)

    def begin(office):
        desk = office.tenant("T", create=True)
        desk.reply_templates.save("card", "We block it.")
        ann = desk[User].insert(User(email="ann@example.com", name="Ann", role="customer"))
        desk.write(lambda unit: unit.enqueue(TriageTicket(unit.tickets.open(customer=ann, body="I lost my card").id)))

    def check(office):
        assert [task.status for task in office[Task]] == ["completed"] * 3
        [draft] = office[Message].list(Message.kind == "suggestion")
        assert (draft.body, draft.review, office[Ticket].first().priority) == ("We block it.", "accepted", "urgent")

    report = crash_everywhere(agents=agents, begin=begin, check=check)
    assert report and report.crashes > 3, report.text


def test_an_agent_that_cannot_be(desk, classifier):
    for call, words in [(lambda: desk.add(TriageAgent(classifier, {"card": "highest"})), "priorities.*high"),
                        (lambda: desk.add(TriageAgent(classifier, {3: "high"})), "priorities"),
                        (lambda: desk.add(ResponderAgent(None)), "accept"), (lambda: desk.add(ResponderAgent(3)), "where"),
                        (lambda: desk.add(ResponderAgent("confidense > 0.5")), "confidence"),
                        (lambda: desk.add(ResponderAgent("created_at < now()")), "accept"),
                        (lambda: desk.add(ResponderAgent(Ticket.number > 3)), "another table"),
                        (lambda: desk.reply_templates.save("card", "Dear {custmer}"), "customer"),
                        (lambda: desk.reply_templates.save("", "x"), "category")]:
        with pytest.raises(bureau.Invalid, match=words):
            call()
    assert desk[ReplyTemplate].count() == 0
    desk.add(RoutingAgent())
    with pytest.raises(bureau.Error):
        desk.add(RoutingAgent())
    task = desk.enqueue({"tiket": "x"}, kind=TriageTicket)
    desk.add(TriageAgent(classifier))
    desk.work()
    assert (desk.tasks.get(task).status, desk.tasks.get(task).error_code) == ("dead", "invalid")
    desk.close()
    with pytest.raises(bureau.Invalid, match="closed"):
        desk.add(TriageAgent(classifier))
