"""The main job: customers' messages become tickets, and agents triage, route and answer them.
    helpdesk.py OFFICE [INBOX.csv]
Run again it adds nothing: a message is known by its id. Killed at any moment, it goes on where it was.
"""

import csv
import pathlib
import re
import sys
from collections import Counter

import bureau
from bureau import Membership, Message, Retry, Team, Ticket, User

DATA = pathlib.Path(__file__).resolve().parent.parent / "helpdesk" / "data"
WORD = re.compile(r"\w{3,}")
DOES = {"effect": "database", "retry": Retry.exponential(5), "run_as": "enqueuer"}


@bureau.task(**DOES)
class Triage:
    ticket: str


@bureau.task(**DOES)
class Draft:
    ticket: str


def rows(path):
    return list(csv.DictReader(pathlib.Path(path).read_text("utf-8").splitlines(True)))


def learn(examples):
    """How often each word stands in messages of each category: a simple judge, and a quick one."""
    seen, of_word = Counter(), {}
    for example in examples:
        category = example["category"]
        for word in set(WORD.findall(example["text"].lower())):
            of_word.setdefault(word, Counter())[category] += 1
        seen[category] += 1
    def judge(text):
        scores = dict.fromkeys(seen, 1e-9)
        for counts in (of_word.get(word, {}) for word in set(WORD.findall(text.lower()))):
            for category, count in counts.items():
                scores[category] += (count / seen[category]) / sum(counts.values())
        best = max(scores, key=scores.__getitem__)
        return best, scores[best] / sum(scores.values())
    return judge


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
    judge = learn(rows(DATA / "train.csv"))
    priorities = {row["category"]: row["priority"] for row in rows(DATA / "priorities.csv")}
    templates = {row["category"]: row["reply"] for row in rows(DATA / "templates.csv")}
    @office.agent(Triage)
    def triage(run, payload):
        messages = run.read(lambda view: view.tickets.conversation(payload.ticket))
        category, sure = judge(messages[0].body)

        priority = priorities.get(category, "normal")
        def effects(unit):
            unit.tickets.classify(payload.ticket, category, confidence=sure, priority=priority)
            unit.tickets.route(payload.ticket)
            unit.enqueue(Draft(payload.ticket))
            return category
        return run.complete(effects)

    @office.agent(Draft)
    def draft(run, payload):
        def effects(unit):
            ticket = unit[Ticket].get(payload.ticket)
            customer = unit[User].get(ticket.customer)
            text = templates.get(ticket.category) or templates["*"]
            text = text.replace("{customer}", customer.name).replace("{number}", str(ticket.number))
            unit.tickets.suggest(ticket, text, ticket.confidence or 0.0)
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
            unit.enqueue(Triage(ticket.id))
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
