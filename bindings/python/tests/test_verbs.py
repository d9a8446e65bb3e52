"""What is said of tickets and deals: who writes, and what comes from elsewhere."""

from datetime import timedelta
from decimal import Decimal

import pytest

import bureau
from bureau import Deal, Ticket

from kinds import Add


def test_a_message_is_of_who_acts(office, ann, ada):
    ticket = office.tickets.open(customer=ada, body="b0")
    office.user(ada).tickets.reply(ticket, "b1")
    office.user(ann).tickets.reply(ticket, "b2")
    office.user(ann).tickets.note(ticket, "b3")
    office.tickets.note(ticket, "b4")

    @office.agent(Add, name="an AI agent")
    def suggest(run, payload):
        def effects(unit):
            sure = [unit.tickets.suggest(ticket.id, "b", one, accept="confidence >= 0.8").review for one in (0.7, 0.8)]
            return [*sure, unit.tickets.suggest(ticket.id, "b", 0.9).review]

        return run.complete(effects)

    task = office.enqueue(Add(1, 1))
    office.work()
    assert office.tasks.result(task) == ["left_for_person", "accepted", "proposed"]
    told = office.tickets.conversation(ticket)
    assert [one.sender for one in told] == ["customer", "customer", "agent", "agent", "system", "ai", "ai", "ai"]
    for call, words in [(lambda: office.tickets.suggest(ticket, "b", None), "confidence"),
                        (lambda: office.tickets.suggest(ticket, "b", 2.0), "confidence"),
                        (lambda: office.tickets.suggest(ticket, "b", 0.5, accept=Deal.title == "x"), "another table"),
                        (lambda: office.tickets.suggest(ticket, "b", 0.5, accept="sender = $who"), "who"),
                        (lambda: office.tickets.note(ticket, ""), "body")]:
        with pytest.raises(bureau.Invalid, match=words):
            call()


def test_many_tickets_are_opened_together(office, ada):
    made = office.tickets.open_all({"customer": ada, "body": f"b{i}", "external_id": f"m{i}"} for i in range(3))
    assert [ticket.number for ticket in made] == [1, 2, 3] and office.tickets.open_all([]) == []
    for more, words in [([{"customer": ada, "body": "x"}, {"customer": ada}], "body"),
                        ([{"customer": ada, "body": "x"}, {"body": "x"}], r"tickets\[1\]: customer"),
                        ([{"customer": ada, "body": "x", "subjekt": "y"}], r"tickets\[0\]:.*did you mean \"subject\""),
                        ([3], r"tickets\[0\]: a dict is wanted, not int")]:
        with pytest.raises(bureau.Invalid, match=words):
            office.tickets.open_all(more)
    with pytest.raises(bureau.Exists):
        office.tickets.open_all([{"customer": ada, "body": "x"}, {"customer": ada, "body": "y", "external_id": "m1"}])
    assert office[Ticket].count() == 3


def test_deals_come_with_their_past(office):
    office.deals.create_pipeline()
    begun, ended = (office.now - timedelta(days=days) for days in (30, 10))
    won, lost = office.deals.open_all([
        {"title": "Won", "value": Decimal("12.50"), "currency": "EUR", "past": [("Engaging", begun), ("Won", ended)]},
        {"title": "Lost", "past": [("Lost", ended)], "lost_reason": "price", "value": "0.00 EUR"}])
    assert (won.state, won.value, won.closed_at, lost.state, lost.lost_reason) == ("won", Decimal("12.50"), ended, "lost", "price")
    stays = office["deal_stage_history"].list("deal = $d", d=won, order="sequence")
    assert [stay.entered_at for stay in stays] == [begun, ended]
    here = office.deals.open(title="Here", value="0.00 EUR", past=[("Engaging", begun)])
    assert here.state == "open"
    for bad, words in [({"past": [("Engaging", ended), ("Won", begun)]}, "past"), ({"past": ["Engaging"]}, "past"),
                       ({"past": [("Engaging", "today")]}, "past"), ({"past": 3}, "iterable|past"), ({"value": 1.5}, r"deals\[1\]: value"),
                       ({"past": [("Lost", ended)]}, "lost_reason"), ({"titel": "x"}, r"deals\[1\].*did you mean \"title\"")]:
        with pytest.raises((bureau.Invalid, TypeError), match=words):
            office.deals.open_all([{"title": "Good", "value": "1.00 EUR"}, {"title": "Bad", "value": "1.00 EUR", **bad}])
    assert office[Deal].count() == 3
