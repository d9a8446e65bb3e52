"""The main job: customers' messages become tickets, and agents triage, route and answer them.
    helpdesk.py OFFICE [INBOX.csv]
Run again it adds nothing: a message is known by its id. Killed at any moment, it goes on where it was.
"""

import csv
import hashlib
import pathlib
import sys

import bureau
from bureau import DraftReply, DraftResult, Membership, Message, RoutingAgent, Team, TextClassifier, Ticket, TriageAgent, TriageTicket, User

DATA = pathlib.Path(__file__).resolve().parent.parent / "helpdesk" / "data"


def rows(path):
    return list(csv.DictReader(pathlib.Path(path).read_text("utf-8").splitlines(True)))


def learn(office):
    """The classifier that the office keeps; a new one when that learnt from other examples."""
    examples = [(row["text"], row["category"]) for row in rows(DATA / "train.csv")]
    digest = hashlib.sha256(repr(examples).encode()).hexdigest()
    try:
        kept = office.classifiers.load("triage")
        if kept.digest == digest:
            return kept.classifier
    except bureau.NotFound:
        pass
    made = TextClassifier.train(examples)
    office.classifiers.store("triage", made, examples=len(examples), digest=digest)
    return made


def set_up(unit):
    """Teams and their people, once."""
    if unit[Team].count():
        return
    for row in rows(DATA / "teams.csv"):
        team = unit[Team].insert(Team(name=row["team"], skills=row["skills"].split(";")))
        for name in row["members"].split(";"):
            email = name.lower().replace(" ", ".") + "@larkfield.example"
            person = unit[User].insert(User(email=email, name=name, role="agent"))
            unit[Membership].insert(Membership(team=team, user=person, capacity=1000))


def add_agents(office):
    """The library's own triage and routing; the drafts are this program's."""
    classifier = learn(office)
    priorities = {row["category"]: row["priority"] for row in rows(DATA / "priorities.csv")}
    templates = {row["category"]: row["reply"] for row in rows(DATA / "templates.csv")}
    office.add(TriageAgent(classifier, priorities))
    office.add(RoutingAgent())

    @office.agent(DraftReply)
    def draft(run, payload):
        def effects(unit):
            ticket = unit[Ticket].get(payload.ticket)
            customer = unit[User].get(ticket.customer)
            text = templates.get(ticket.category) or templates["*"]
            text = text.replace("{customer}", customer.name).replace("{number}", str(ticket.number))
            made = unit.tickets.suggest(ticket, text, ticket.confidence if ticket.category else 0.0,
                                        accept=Message.confidence >= classifier.threshold)
            return DraftResult(made.id, made.review == "accepted")
        return run.complete(effects)


def take_in(office, inbox):
    """Each message that is not there yet becomes a ticket with its first task: one commit."""
    def work(unit):
        made = 0
        for row in inbox:
            if unit[Message].count(Message.external_id == row["id"]):
                continue
            customer = unit[User].first(User.email.iequals(row["email"])) or unit[User].insert(
                User(email=row["email"], name=row["customer"], role="customer"))
            ticket = unit.tickets.open(customer=customer, subject=row["subject"], body=row["text"],
                                       source="email", external_id=row["id"])
            unit.enqueue(TriageTicket(ticket.id))
            made += 1
        return made
    return office.write(work)


def main(path, inbox=DATA / "inbox.csv"):
    with bureau.open(path, tenant="Larkfield", threads=2) as office:
        office.write(set_up)
        add_agents(office)
        print(f"{take_in(office, rows(inbox))} tickets")
        office.work()
        print(f"{office[Message].count(Message.kind == 'suggestion')} drafts")


if __name__ == "__main__":
    main(*sys.argv[1:])
