"""What a desk works with beside its tickets: inboxes, presence, texts and lists under a name, macros, triggers."""

from datetime import timedelta

import pytest

import bureau
from bureau import Priority, Team, Ticket, User
from bureau.testing import Clock, office as memory_office


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def office(clock):
    with memory_office(clock=clock) as opened:
        yield opened


@pytest.fixture
def bob(office):
    return office[User].insert(User(email="bob@example.com", name="Bob", role="agent"))


@pytest.fixture
def tickets(office, ada):
    return [office.tickets.open(customer=ada, body=f"b{i}", priority="high" if i else "low") for i in range(3)]


# The inbox --------------------------------------------------------------------------------------------


@pytest.fixture
def told(office, ann):
    return [office.notifications.notify("deal.won", user=ann, title=f"t{i}", key=str(i)).id for i in range(3)]


def test_an_inbox_is_its_users(office, ann, bob, told):
    inbox = office.user(ann).inbox
    page = inbox.list(limit=2)
    assert [item.title for item in page] == ["t2", "t1"] and page.next
    assert [item.title for item in inbox.list(limit=2, after=page.next)] == ["t0"]
    assert (inbox.count().unread, inbox.count().unseen) == (3, 3) == (office.inbox.of(ann).count().unread, 3)
    item = inbox.mark_seen(page[0])
    assert (item.state, inbox.count().unseen) == ("seen", 2)
    assert inbox.mark_read(item).state == "read" and inbox.mark_unread(item).state == "seen"
    assert inbox.get(item.id).read_at is None
    with pytest.raises(bureau.NotFound):
        office.user(bob).inbox.get(item)
    with pytest.raises(bureau.Forbidden):
        office.user(bob).inbox.of(ann).list()
    with pytest.raises(bureau.Forbidden):
        office.inbox.list()  # the system has none of its own
    assert office.user(bob).inbox.list() == []


def test_items_are_archived_and_snoozed(office, clock, ann, told):
    inbox = office.user(ann).inbox
    first, second, third = inbox.list()
    inbox.archive(first)
    assert inbox.list(archived=True) == [inbox.get(first)] and len(inbox.list()) == 2
    with pytest.raises(bureau.Conflict):
        inbox.mark_unread(first)
    assert inbox.unarchive(first).state == "seen"
    until = office.now + timedelta(hours=1)
    assert inbox.snooze(second, until).snoozed_until == until
    assert [item.id for item in inbox.list(snoozed=True)] == [second.id]
    clock.advance("2h")
    assert len(inbox.list()) == 3
    inbox.snooze(third, office.now + timedelta(days=1))
    assert inbox.snooze(third, None).snoozed_until is None
    assert inbox.mark_all("read") == 3 and inbox.list(unread=True) == []
    for call, words in [(lambda: inbox.mark_all("unseen"), "unseen"), (lambda: inbox.mark_all("reed"), "state.*read"),
                        (lambda: inbox.list(archived=True, snoozed=True), "archived|snoozed"),
                        (lambda: inbox.list(unread=1), "unread"), (lambda: inbox.list(limit=-1), "limit"),
                        (lambda: inbox.list(after="nowhere"), "cursor"), (lambda: inbox.snooze(first, office.now), "until"),
                        (lambda: inbox.get(ann), "item")]:
        with pytest.raises(bureau.Invalid, match=words):
            call()


def test_preferences_decide_who_is_told(office, ann, bob):
    wants = office.user(ann).preferences
    wants.set("*", "in_app", False)
    wants.set("deal.won", "in_app", True)
    assert {one.event: one.enabled for one in wants.list()} == {"*": False, "deal.won": True}
    for event in ("deal.won", "deal.lost"):
        office.notifications.notify(event, user=ann, title=event, key=event)
    office.notifications.notify("fire", user=ann, title="fire", key="1", critical=True)
    assert {item.event for item in office.user(ann).inbox.list()} == {"deal.won", "fire"}
    office.preferences.of(ann).clear("*", "in_app")
    assert [one.event for one in wants.list()] == ["deal.won"]
    assert [one.name for one in office.notifications.channels()] == ["in_app"]
    with pytest.raises(bureau.Forbidden):
        office.user(bob).preferences.of(ann).set("*", "*", False)
    with pytest.raises(bureau.Invalid, match="channel"):
        wants.set("*", "pigeon", False)
    with pytest.raises(bureau.Invalid, match="enabled"):
        wants.set("*", "*", 0)


# Presence ---------------------------------------------------------------------------------------------


def test_who_has_a_ticket_before_him(office, clock, ann, bob, ada, tickets):
    first, other = tickets[:2]
    assert office.user(ann).presence.heartbeat(first).doing == "looking"
    clock.advance("20s")
    office.user(bob).presence.heartbeat(first, "writing")
    assert [(one.user, one.doing) for one in office.presence.on(first)] == [(ann.id, "looking"), (bob.id, "writing")]
    assert office.presence.on(other) == []
    clock.advance("20s")
    assert [one.user for one in office.presence.on(first)] == [bob.id]
    office.user(bob).presence.leave(first)
    office.user(bob).presence.leave(first)
    assert office.presence.on(first) == []
    with pytest.raises(bureau.Invalid, match="doing"):
        office.user(bob).presence.heartbeat(first, "reading")
    with pytest.raises(bureau.Invalid):
        office.presence.heartbeat(first)  # the system has no account
    stranger = office[User].insert(User(email="eve@example.com", role="customer"))
    with pytest.raises(bureau.NotFound):
        office.user(stranger).presence.on(first)


# Texts and lists under a name -------------------------------------------------------------------------


def test_canned_replies(office, ada, ann, bob, tickets):
    office.canned_replies.save("thanks", "Dear {customer}, this is number {number}.")
    mine = office.user(ann).canned_replies.save("thanks", "Hi!", scope="personal")
    assert office.user(ann).canned_replies.named("thanks").id == mine.id
    reply = office.canned_replies.named("thanks")
    assert office.canned_replies.render(reply, tickets[0]) == f"Dear Ada, this is number {tickets[0].number}."
    office.canned_replies.remove(reply)
    with pytest.raises(bureau.NotFound):
        office.user(bob).canned_replies.named("thanks")
    for fields, words in [({"body": ""}, "body"), ({"body": "{custmer}"}, "custmer"), ({"name": ""}, "name"),
                          ({"scope": "world"}, "scope"), ({"scope": "team"}, "team|scope")]:
        with pytest.raises(bureau.Invalid, match=words):
            office.canned_replies.save(**{"name": "x", "body": "y", **fields})


def test_views_show_what_who_asks_may_see(office, ann, bob, tickets):
    urgent = office.views.save("urgent", where=Ticket.priority >= Priority.HIGH, order=Ticket.number.desc(),
                               columns=[Ticket.number, "subject"], scope="office")
    assert (urgent.sort, urgent.columns) == ("number desc", ["number", "subject"])
    page = office.tickets.view(urgent, limit=1)
    assert [one.id for one in page] == [tickets[2].id] and page.next
    assert [one.id for one in office.tickets.view(urgent, after=page.next)] == [tickets[1].id]
    mine = office.user(bob).views.save("mine", where="assignee = $user", order=[Ticket.priority, "number desc"])
    assert (mine.scope, mine.sort) == ("personal", "priority, number desc")
    office.tickets.assign(tickets[0], assignee=bob)
    assert [one.id for one in office.user(bob).tickets.view(mine)] == [tickets[0].id]
    assert office.user(bob).views.named("mine").id == mine.id
    with pytest.raises(bureau.NotFound):
        office.user(ann).views.named("mine")
    team = office[Team].insert(Team(name="Machines"))
    assert office.views.save("ours", scope="team", team=team).team == team.id
    office.user(bob).views.remove(mine)
    assert office.user(bob)["views"].count() == 1  # of no team
    for fields, words in [({"where": "priorty = 1"}, "priority"), ({"order": "nothing"}, "nothing"),
                          ({"columns": ["nothing"]}, "nothing"), ({"scope": "team"}, "team|scope"), ({"order": User.email}, "users")]:
        with pytest.raises(bureau.Invalid, match=words):
            office.views.save("x", **{"scope": "office", **fields})


# Macros, triggers, bulk changes -----------------------------------------------------------------------


def test_a_macro_does_what_it_says(office, ada, tickets):
    team = office[Team].insert(Team(name="Machines"))
    macro = office.macros.save("hot", [{"action": "set_priority", "value": Priority.URGENT},
                                       {"action": "set_team", "value": team.id}, {"action": "add_tags", "value": ["hot"]},
                                       {"action": "note", "value": "For {customer}."}])
    report = office.macros.apply(macro, tickets[:2])
    assert (report.changed, report.refused) == (2, [])
    changed = office[Ticket].get(tickets[0])
    assert (changed.priority, changed.team, changed.tags) == ("urgent", team.id, ["hot"])
    assert office.tickets.conversation(changed)[-1].body == "For Ada."
    assert office[Ticket].get(tickets[2]).priority == "high"
    assert office.macros.named("hot").id == macro.id
    office.macros.remove(macro)
    assert office["macros"].count() == 0


def test_bulk_changes_are_all_or_none_or_each(office, ada, tickets):
    office.tickets.move(tickets[1], "resolved")
    closed = office.tickets.move(tickets[1], "closed")
    tag = [{"action": "add_tags", "value": ["x"]}, {"action": "note", "value": "seen"}]
    with pytest.raises(bureau.Conflict):
        office.tickets.change_all(tickets, tag)
    assert all(ticket.tags == [] for ticket in office[Ticket])
    report = office.tickets.change_all(tickets, tag, mode="each")
    assert report.changed == 2
    [(refused, error)] = report.refused
    assert refused == closed.id and isinstance(error, bureau.Conflict)
    done = office.tickets.change_where("state = $state", [{"action": "set_priority", "value": "urgent"}], state="closed")
    assert done.changed == 1 and office[Ticket].get(closed).priority == "urgent"
    assert office.tickets.change_where(Ticket.number > 1000, tag).changed == 0
    for call, words in [(lambda: office.tickets.change_all(tickets, [{"action": "set_prority"}]), "action"),
                        (lambda: office.tickets.change_all(tickets, tag, mode="some"), "mode"),
                        (lambda: office.tickets.change_all([ada], tag), "tickets"),
                        (lambda: office.tickets.change_where("stat = 1", tag), "state"),
                        (lambda: office.macros.save("m", [{"action": "set_field", "value": 1}]), "field"),
                        (lambda: office.macros.save("", tag), "name")]:
        with pytest.raises(bureau.Invalid, match=words):
            call()
    with pytest.raises(bureau.NotFound):
        office.macros.save("m", [{"action": "set_status", "value": "nowhere"}])


def test_a_trigger_acts_in_the_same_commit(office, ada, tickets):
    trigger = office.triggers.save("machines", ["created", "message_added"], [{"action": "add_tags", "value": ["fire"]}],
                                   where=Ticket.priority >= Priority.HIGH)
    assert trigger.events == ["created", "message_added"]
    ticket = office.tickets.open(customer=ada, body="It burns!", priority="urgent")
    assert office[Ticket].get(ticket).tags == ["fire"]
    assert office[Ticket].get(office.tickets.open(customer=ada, body="Hello", priority="low")).tags == []
    office.triggers.remove(trigger)
    assert office[Ticket].get(office.tickets.open(customer=ada, body="It burns!", priority="urgent")).tags == []
    for fields, words in [({"events": []}, "event"), ({"events": ["creatd"]}, "created"), ({"where": "x = "}, "."),
                          ({"message_where": "body = 1"}, "message|body"), ({"actions": []}, "action"),
                          ({"active": "yes"}, "active")]:
        with pytest.raises(bureau.Invalid, match=words):
            office.triggers.save(**{"name": "x", "events": ["created"], "actions": [{"action": "note", "value": "n"}], **fields})
