"""What the domains say beyond tickets and deals: links, schedules, notifications, rewards, policies."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

import bureau
from bureau import Deal, HiddenColumns, Policy, Ticket, User
from bureau.testing import Simulation, exercise_notifier

from kinds import Add


# Tickets ----------------------------------------------------------------------------------------------


def test_tickets_are_linked(office, ada):
    parent, child, other = (office.tickets.open(customer=ada, body=f"b{i}") for i in range(3))
    link = office.tickets.link(parent, child, "parent")
    assert (link.a, link.type, link.b) == (parent.id, "parent", child.id)
    assert office.tickets.link(child, parent, "child").id == link.id
    office.tickets.link(child, other)
    assert [one.type for one in office.tickets.links(child)] == ["parent", "related"]
    with pytest.raises(bureau.Conflict):
        office.tickets.link(child, parent, "parent")
    with pytest.raises(bureau.Invalid, match="did you mean|none of|parent"):
        office.tickets.link(child, parent, "parnt")
    office.tickets.unlink(link)
    assert [one.type for one in office.tickets.links(child)] == ["related"]


def test_tickets_are_merged_and_split(office, ada):
    kept, merged = (office.tickets.open(customer=ada, body=body) for body in ("first", "second"))
    assert office.tickets.merge(merged, kept).id == kept.id
    assert office[Ticket].get(merged).state == "merged"
    conversation = office.tickets.conversation(kept)
    assert [message.body for message in conversation if message.kind == "public"] == ["first", "second"]
    second = next(message for message in conversation if message.body == "second")
    new = office.tickets.split(kept, [second], "Another thing")
    assert new.subject == "Another thing" and [m.body for m in office.tickets.conversation(new)][:1] == ["second"]
    with pytest.raises(bureau.Invalid):
        office.tickets.merge(kept, kept)
    with pytest.raises(bureau.Invalid):
        office.tickets.split(kept, [])


# Schedules --------------------------------------------------------------------------------------------


def test_a_schedule_fires_as_it_says():
    with Simulation() as simulation:
        office = simulation.office
        seen = []
        office.agent(Add)(lambda run, payload: seen.append(office.now))
        schedule = office.schedules.save("nightly", "30 2 * * *", Add(1, 2), zone="Europe/Berlin")
        upcoming = office.schedules.upcoming(schedule, 2)
        simulation.run("3d")
        assert len(seen) == 3 and seen[:2] == upcoming
        assert [one.outcome for one in office.schedules.history(schedule)] == ["fired"] * 3
        assert office.schedules.pause(schedule).status == "paused"
        simulation.run("3d")
        assert len(seen) == 3
        assert office.schedules.resume(schedule).status == "active"
        task = office.schedules.run_now(schedule)
        simulation.run("1h")
        assert office.tasks.get(task).status == "completed"
        assert office.schedules.named("nightly").id == schedule.id
        office.schedules.remove(schedule)
        with pytest.raises(bureau.NotFound):
            office.schedules.named("nightly")


def test_bad_schedules_are_told(office):
    for fields, words in [({"expression": "61 * * * *"}, "minute"), ({"zone": "Europe/Bärlin"}, "zone"),
                          ({"catch_up": "all"}, "catch_up|overlap"), ({"overlapp": "skip"}, "did you mean")]:
        with pytest.raises(bureau.Invalid, match=words):
            office.schedules.save(**{"name": "x", "expression": "@daily", "payload": Add(1, 2), **fields})
    assert office["schedules"].count() == 0


# Notifications ----------------------------------------------------------------------------------------


class Letters(bureau.Notifier):
    channel = "letter"
    identity = "letters/1"
    takes_key = True

    def __init__(self):
        self.sent = {}

    def deliver(self, message):
        if message["title"] == "refused":
            raise bureau.Invalid("letter: there is no such street")
        if message["title"] == "down" and message["attempt"] == 1:
            raise bureau.Unavailable("letter: the post office is closed")
        self.sent.setdefault(message["key"], message)
        return {"status": "sent", "external_id": f"letter-{len(self.sent)}"}


def test_a_notifier_of_python_carries_messages():
    with Simulation() as simulation:
        office, letters = simulation.office, Letters()
        office.add_notifiers(letters)
        ada = office[User].insert(User(email="ada@example.com", name="Ada", role="customer"))
        told = {title: office.notifications.notify("greeting", user=ada, title=title, key=title, channels=["letter"],
                                                   body="Hello", data={"n": 1}) for title in ("good", "down", "refused")}
        assert not office.notifications.notify("greeting", user=ada, title="good", key="good", channels=["letter"]).made
        simulation.run("1d")
        sent = {message["title"]: message for message in letters.sent.values()}
        assert set(sent) == {"good", "down"} and sent["down"]["attempt"] == 2
        good = sent["good"]
        assert (good["name"], good["email"], good["body"], good["data"]) == ("Ada", "ada@example.com", "Hello", {"n": 1})
        assert (good["user"], good["webhook"], good["notification"]) == (ada.id, None, told["good"].id)
        states = {title: office.notifications.deliveries(one.id)[0] for title, one in told.items()}
        assert {title: one.status for title, one in states.items()} == {"good": "sent", "down": "sent", "refused": "failed"}
        news = office.notifications.receipt("letter", states["good"].external_id, "delivered")
        assert news.status == "delivered"
        assert office.notifications.resolve(states["refused"], "sent", "by hand").status == "sent"


def test_what_is_told_without_a_channel_is_in_the_inbox(office, ada):
    told = office.notifications.notify("greeting", user=ada, title="Hello", key="1")
    assert told.made and [item.notification for item in office["inbox_items"].list()] == [told.id]
    with pytest.raises(bureau.Invalid, match="channel"):
        office.notifications.notify("greeting", user=ada, title="Hello", key="2", channels=["pigeon"])


def test_a_flag_is_true_or_false_and_nothing_like_it(office, ada, tmp_path):
    with pytest.raises(bureau.Invalid, match="critical"):
        office.notifications.notify("greeting", user=ada, title="Hello", key="1", critical=1)
    assert office["inbox_items"].count() == 0
    hidden = bureau.HiddenColumns("private", "users", personal="yes", roles=["agent"])
    with pytest.raises(bureau.Invalid, match="personal"):
        bureau.open(tmp_path / "other.db", policies=[hidden])


def test_a_notifier_is_exercised():
    checks = exercise_notifier(Letters)
    assert len(checks) > 5 and [one for one in checks if one.outcome == "failed"] == []

    class Silent(Letters):
        def deliver(self, message):
            return "none"

    assert [one for one in exercise_notifier(Silent) if one.outcome == "failed"]


def test_webhooks(office):
    seen = []

    class Post(bureau.Notifier):
        channel = "webhook"
        takes_key = True

        def deliver(self, message):
            seen.append((message["webhook"], message["event"], message["data"]))
            return "sent"

    hook = office.webhooks.add("crm", "https://crm.example.com/in", events=["deal.won"])
    assert len(hook.secret) >= 16 and office["webhooks"].get(hook).url == hook.url
    assert office.webhooks.renew_secret(hook).secret != hook.secret
    office.add_notifiers(Post())
    assert len(office.notifications.publish("deal.won", title="Won", key="1", data={"value": 3})) == 1
    assert office.notifications.publish("deal.lost", title="Lost", key="1") == []
    office.work()
    assert seen == [(hook.id, "deal.won", {"value": 3})]
    assert not office.webhooks.disable(hook, "enough").enabled
    assert office.webhooks.enable(hook).enabled
    with pytest.raises(bureau.Invalid):
        office.webhooks.add("x", "ftp://example.com")
    office.webhooks.remove(hook)
    assert office["webhooks"].count() == 0


# Rewards ----------------------------------------------------------------------------------------------


def test_rewards_follow_rows(office, ann):
    office.deals.create_pipeline()
    won = {"table": Deal, "where": Deal.state == "won", "user": "owner"}
    office.achievements.save("closer", "Closer", target=2, points=100, rarity="rare", **won)
    office.points.save_rule("won", "A deal was won", points=10, cooldown=0, **won)
    office.add_rewards()
    deals = [office.deals.open(title=f"d{i}", value="1 EUR", owner=ann) for i in range(2)]
    for deal in deals:
        office.deals.win(deal)
    office.work()
    assert office.points.of(ann).points == 120
    assert [(one.state, one.progress) for one in office.achievements.of(ann)] == [("unlocked", 2)]
    assert [one.user for one in office.achievements.holders("closer")] == [ann.id]
    board = office.leaderboards.board("month")
    assert [(line.rank, line.user, line.points) for line in board.lines] == [(1, ann.id, 120)]
    assert isinstance(board.start, date) and board.start.day == 1 and not board.frozen
    office.deals.reopen(deals[0])
    office.evaluate_rewards()
    assert office.points.of(ann).points == 10 and office.achievements.of(ann)[0].state == "revoked"
    assert office.achievements.named("closer").rarity == "rare"


def test_rewards_by_hand(office, ann):
    office.achievements.save("helper", "Helper", points=5)
    office.achievements.award("helper", ann)
    entry = office.points.give(ann, 7, "a good day")
    assert office.points.of(ann).points == 12
    office.points.reverse(entry, "not so good")
    office.achievements.revoke("helper", ann)
    assert office.points.of(ann).points == 0 and len(office.points.entries(ann)) == 4
    streak = office.streaks.uphold(ann)
    assert (streak.days, streak.today) == (1, True) == (office.streaks.of(ann).days, True)
    office.streaks.set_zone(ann, "Asia/Tokyo")
    office.streaks.add_freezes(ann, 2)
    assert office.streaks.of(ann).freezes == 2 and len(office.streaks.days(ann)) == 1
    for call, words in [(lambda: office.achievements.save("Bad Key", "x"), "key"),
                        (lambda: office.points.save_rule("x", "x", points=1, table="deals", where="stat = 1"), "state"),
                        (lambda: office.leaderboards.board("fortnight"), "period"),
                        (lambda: office.streaks.set_zone(ann, "Mars/Base"), "zone")]:
        with pytest.raises(bureau.Invalid, match=words):
            call()


# Policies ---------------------------------------------------------------------------------------------


@bureau.entity("notes", "nte")
class Note:
    owner: User | None = None
    text: str = ""
    salary: int = 0


def test_policies_say_who_sees_what(tmp_path):
    policies = [Policy("own", Note, Note.text != "", command="select", roles=["customer"]),
                Policy("mine", "notes", "owner = $user", mode="restrictive"),
                HiddenColumns("pay", Note, [Note.salary], excepted=["manager"])]
    with bureau.open(tmp_path / "o.db", tenant="T", tables=[Note], policies=policies, durability="relaxed") as office:
        ada, bob = (office[User].insert(User(email=f"{name}@example.com", role="customer")) for name in ("ada", "bob"))
        office[Note].insert_all([Note(owner=ada, text="a", salary=5), Note(owner=ada, text=""), Note(owner=bob, text="b")])
        assert [(note.text, note.salary) for note in office.user(ada)[Note].list()] == [("a", 0)]
        assert office[Note].count() == 3
        with pytest.raises(bureau.Forbidden):
            office.user(ada)[Note].insert(Note(owner=ada, text="c"))


def test_bad_policies_are_told(tmp_path):
    for policy, words in [(Policy("x", Note, "text = "), "text|expected"), (Policy("x", Note, True, command="drop"), "command"),
                          (Policy("x", "nots", True), "nots"), (Policy("", Note, True), "name"),
                          (HiddenColumns("x", Note, ["sallary"]), "sallary"), (HiddenColumns("x", Note), "columns")]:
        with pytest.raises(bureau.Error, match=words):
            bureau.open(tmp_path / "o.db", tenant="T", tables=[Note], policies=[policy])


# What an office knows of its agents, and does for itself ---------------------------------------------


def test_a_roster_says_which_agents_are_meant_to_be(office):
    assert office.roster.save([{"name": "adder", "squad": "sums", "kinds": ["add"]}, {"name": "idler"}]).added == 2
    report = office.roster.save("name,squad\nadder,figures\nidler,\n")
    assert (report.added, report.changed, report.unchanged) == (0, 1, 1)
    office.agent(Add, name="adder")(lambda run, payload: payload.a + payload.b)
    office.enqueue(Add(1, 2))
    office.work()
    known = {agent.name: agent for agent in office.roster.agents()}
    adder, idler = known["adder"], known["idler"]
    assert (adder.squad, adder.configured, adder.operational, adder.completed, adder.efficiency) == ("figures", True, True, 1, 1.0)
    assert (idler.nodes, idler.operational, idler.efficiency, idler.kinds) == (0, False, None, ())
    for entries, words in [([{"name": ""}], "name"), ([{"nme": "x"}], "name"), ([{"name": "x"}, {"name": "x"}], "x"), ("{", ".")]:
        with pytest.raises(bureau.Invalid, match=words):
            office.roster.save(entries)
    assert office["configured_agents"].count() == 2


def test_housekeeping_recurs():
    with Simulation() as simulation:
        office = simulation.office
        office.add_housekeeping()
        office.agent(Add)(lambda run, payload: payload.a)
        jobs = office.housekeeping.on(metrics=None, days=1)
        assert [job.name for job in jobs] == ["agent-heartbeat", "task-processor", "cleanup-logs"]
        office.enqueue(Add(1, 2))
        simulation.run("3d")
        assert office["tasks"].count("kind = \"add\"") == 0  # it ended two days ago
        assert office["agent_heartbeats"].count() > 0
        assert office.housekeeping.off() == 3 and office["schedules"].count() == 0
        for options, words in [({"days": 0}, "days"), ({"heartbeat": "now"}, "."), ({"kinds": {"add": 3}}, "kinds|add"),
                               ({"gap_minutes": "x"}, "gap_minutes")]:
            with pytest.raises(bureau.Invalid, match=words):
                office.housekeeping.on(**options)
        assert office["schedules"].count() == 0


# Deals ------------------------------------------------------------------------------------------------


def test_deals_go_through_a_funnel(office, ann):
    office.deals.create_pipeline("sales", [{"name": "lead"}, {"name": "offer", "probability_bp": 5000, "rot_after": timedelta(days=1)},
                                           {"name": "won", "category": "won"}, {"name": "lost", "category": "lost"}])
    first, second, third = (office.deals.open(title=f"d{i}", value="10 EUR", owner=ann) for i in range(3))
    assert office.deals.set_probability(first, 2500).probability_bp == 2500
    assert office.deals.set_probability(first, None).probability_bp != 2500
    for deal in (first, second):
        office.deals.move(deal, "offer")
    office.deals.win(first, value=Decimal("12.50"), currency="EUR")
    office.deals.lose(third, "too dear")
    [funnel] = office.deals.funnel("sales")
    assert (funnel.currency, funnel.won, funnel.won_value, funnel.lost, funnel.win_rate) == ("EUR", 1, Decimal("12.50"), 1, 0.5)
    steps = {step.name: step for step in funnel.steps}
    assert list(steps) == ["lead", "offer", "won"]
    assert (steps["lead"].entered, steps["lead"].entered_value, steps["offer"].reached) == (3, Decimal("30.00"), 2)
    assert steps["offer"].conversion == 0.5 and steps["won"].conversion is None
    call = office.deals.add_activity(second, "Ask again", kind="call", due_at=office.now + timedelta(days=2))
    assert (call.kind, call.status) == ("call", "open")
    assert office.deals.end_activity(call).status == "done"
    with pytest.raises(bureau.Conflict):
        office.deals.end_activity(call, "cancelled")
    assert office.deals.rotting() == []
    for wrong, words in [(lambda: office.deals.add_activity(second, "x", kind="cal"), "call"),
                         (lambda: office.deals.set_probability(second, 20_000), "probability"),
                         (lambda: office.deals.end_activity(call, "open"), "status|open"),
                         (lambda: office.deals.rotting(limit=-1), "limit")]:
        with pytest.raises(bureau.Invalid, match=words):
            wrong()
    with pytest.raises(bureau.NotFound):
        office.deals.funnel("nowhere")


def test_a_deal_in_which_nothing_happens_rots():
    with Simulation() as simulation:
        office = simulation.office
        office.deals.create_pipeline("sales", [{"name": "lead", "rot_after": timedelta(days=1)}, {"name": "won", "category": "won"},
                                               {"name": "lost", "category": "lost"}])
        deal = office.deals.open(title="slow", value="10 EUR")
        assert office.deals.rotting() == []
        simulation.run("2d")
        assert [one.id for one in office.deals.rotting()] == [deal.id]
