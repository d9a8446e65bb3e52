"""What mypy says of programs; test_types.py compares it with the comments."""

from decimal import Decimal

import bureau
from bureau import Deal, Priority, Ticket, User
from bureau.testing import Clock, ScriptedEmbedder, Simulation


def good(office: bureau.Office) -> str:
    ada = office[User].insert(User(email="ada@example.com", role="customer"))
    ticket = office.tickets.open(customer=ada, body="My grinder howls.")
    ticket.priority = "high"
    ticket.assignee = ada
    late = office[Ticket].first((Ticket.priority >= Priority.HIGH) & Ticket.team.is_null(), order=Ticket.number.desc())
    if late is not None and late.closed_at is not None:
        return late.closed_at.isoformat() + late.subject.upper()
    deal = office[Deal].get("dea_1")
    deal.value = Decimal("12.50")
    for schedule in office["schedules"]:
        print(schedule.whatever)
    office.write(lambda unit: unit[User].count() + 1)
    page = office.user(ada).inbox.list(unread=True)
    print(page.next, page[0].title.upper(), office.inbox.of(ada).count().unread + 1)
    report = office.tickets.change_where(Ticket.number > 3, [{"action": "add_tags", "value": ["x"]}])
    print([error.field for _, error in report.refused], office.budgets.state("bud_1").spent.time.total_seconds())
    print(office.workflows.start("purchase").upper(), office.back_up("o.bak").at.year, bureau.verify("o.bak").rows + 1)
    classifier = bureau.TextClassifier.train([("a", "x"), ("b", "y")])
    office.add(bureau.TriageAgent(office.classifiers.load("triage").classifier, {classifier.predict("a").label: "high"}))
    office.enqueue(bureau.TriageTicket(ticket.id))
    embedder = ScriptedEmbedder(8).fails(bureau.Unavailable("no line"))
    print(embedder.dimensions + 1, embedder.calls[0][0].upper())
    with Simulation(seed=3) as simulation:
        simulation.run("30d")
    return ticket.id


def bad(office: bureau.Office, ticket: Ticket) -> None:
    ticket.subjekt = "x"  # error: "Ticket" has no attribute "subjekt"
    ticket.subject = 3  # error: Incompatible types in assignment
    ticket.number.upper()  # error: "int" has no attribute "upper"
    ticket.closed_at.isoformat()  # error: Item "None" of
    Ticket(subjekt="x")  # error: Unexpected keyword argument "subjekt"
    Ticket.nothing  # error: "type[Ticket]" has no attribute "nothing"
    Priority.HIGHEST  # error: "type[Priority]" has no attribute "HIGHEST"
    office[Ticket].insert(User())  # error: Argument 1 to "insert"
    office.tickets.open(body="x")  # error: Missing named argument "customer"
    office.user(ticket).inbox.snooze(ticket)  # error: Missing positional argument "until"
    office.views.named("x").ownr  # error: "SavedView" has no attribute "ownr"
    office.add(bureau.ResponderAgent())  # error: Missing positional argument "accept"
    office.network.connect(ticket, ticket).strenght  # error: "AgentConnection" has no attribute "strenght"
    bureau.Tickett  # error: Module has no attribute "Tickett"
    Clock().advance()  # error: Missing positional argument "by"
