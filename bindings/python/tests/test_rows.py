import copy
import gc
import json
import pickle
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

import bureau
from bureau import Deal, Message, Priority, Task, Ticket, User


def test_every_table_has_a_class_of_its_own_name():
    found = {}
    # Those whose structs no public header has are the engine's own business.
    own = {"flow_buckets", "workflow_cursors", "reward_credits", "point_usage", "reward_cursors"}
    for table, entity in bureau._bureau._entities():
        if table in own:
            continue
        assert entity, f"{table}: names.cpp does not list its struct"
        found[entity] = getattr(bureau, entity)
        assert found[entity].__table__ == table
    assert {"Ticket", "Deal", "Task", "DealStageHistory"} <= set(found)
    assert set(found) <= set(dir(bureau))


def test_a_row_is_made_by_keywords_and_shows_itself():
    ticket = Ticket(subject="My card", priority="high", tags=["vip"])
    assert ticket.subject == "My card"
    assert ticket.priority is Priority.HIGH
    assert repr(ticket) == "Ticket(subject='My card', priority='high', tags=['vip'])"
    assert ticket == Ticket(subject="My card", priority=Priority.HIGH, tags=["vip"])
    assert ticket != Ticket(subject="My card")
    assert json.loads(ticket.to_json())["priority"] == "high"
    assert ticket.to_dict()["tags"] == ["vip"]
    with pytest.raises(TypeError):
        hash(ticket)
    with pytest.raises(TypeError):
        Ticket("My card")


def test_a_copy_is_its_own_row():
    ticket = Ticket(subject="one", tags=["a"])
    other = copy.copy(ticket)
    other.subject = "two"
    other.tags.append("b")
    assert (ticket.subject, ticket.tags) == ("one", ["a"])


def test_what_is_changed_in_place_is_written(office, ada):
    team = office["teams"].insert(bureau.Team(name="Repairs", skills=["grinders"]))
    team.skills.append("kettles")
    office["teams"].update(team)
    assert office["teams"].get(team).skills == ["grinders", "kettles"]


def test_enumerations_are_texts_in_their_order():
    assert Priority.LOW < Priority.NORMAL < Priority.HIGH < "urgent"
    assert Priority.HIGH == "high" and f"{Priority.HIGH}" == "high"
    assert max(Priority) is Priority.URGENT
    assert pickle.loads(pickle.dumps(Priority.HIGH)) is Priority.HIGH


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"subject": 3}, ["subject", "str", "int"]),
        ({"subject": "\ud800"}, ["subject", "surrogate"]),
        ({"subject": "a\0b"}, ["subject"]),
        ({"subject": "x" * 501}, ["subject", "500"]),
        ({"subject": None}, ["subject", "None"]),
        ({"number": 1.0}, ["number", "float"]),
        ({"number": 2**63}, ["number", "64 bits"]),
        ({"number": True}, ["number", "bool"]),
        ({"confidence": float("nan")}, ["confidence"]),
        ({"priority": "hihg"}, ["priority", "did you mean \"high\""]),
        ({"created_at": datetime(2026, 1, 1)}, ["created_at", "naive", "time zone"]),
        ({"customer": "tkt_0000000000001"}, ["customer", "usr"]),
        ({"customer": Deal()}, ["customer", "deals"]),
        ({"customer": User()}, ["customer", "no id yet"]),
        ({"custom": {1: 2}}, ["key", "str"]),
        ({"custom": {"x": float("inf")}}, ["finite"]),
        ({"custom": {"x": object()}}, ["JSON"]),
        ({"subjct": "x"}, ["subjct", "the nearest are subject"]),
    ],
)
def test_bad_input_names_field_value_and_rule(fields, words):
    with pytest.raises(bureau.Invalid) as caught:
        Ticket(**fields)
    for word in words:
        assert word in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_a_typing_error_in_an_assignment_is_told(ada):
    with pytest.raises(bureau.Invalid, match="the nearest are email"):
        ada.emial = "x"
    with pytest.raises(AttributeError):
        ada.emial
    with pytest.raises(bureau.Invalid, match="deleted"):
        del ada.email


def test_json_that_nests_too_deeply_or_in_a_circle_is_refused():
    deep: list = []
    deep.append(deep)
    with pytest.raises(bureau.Invalid, match="levels"):
        Ticket(custom={"x": deep})


def test_moments_keep_their_instant(office, ada):
    at = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=timezone(timedelta(hours=-7)))
    for moment in (at, datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc),
                   datetime(1, 1, 1, tzinfo=timezone.utc), datetime(9999, 12, 31, tzinfo=timezone.utc)):
        task = Task(deadline=moment)
        assert task.deadline == moment
        assert task.deadline.tzinfo is timezone.utc
    for span in (timedelta(0), timedelta(days=-1, microseconds=3), timedelta(weeks=400)):
        assert Task(time_limit=span).time_limit == span


def test_money_is_a_decimal():
    deal = Deal(currency="EUR", value_minor=1250)
    assert deal.value == Decimal("12.50")
    deal.value = Decimal("7.05")
    assert deal.value_minor == 705
    assert Deal(value=Decimal("12.50"), currency="EUR") == Deal(currency="EUR", value=Decimal("12.50"))
    assert Deal(currency="JPY", value_minor=1200).value == Decimal(1200)
    for bad in (7.05, Decimal("7.055"), "7.05", True):
        with pytest.raises(bureau.Invalid):
            deal.value = bad
    assert deal.value_minor == 705


def test_a_row_in_a_circle_is_collected():
    class Marker:
        pass

    import weakref

    ticket = Ticket(subject="x")
    gone = weakref.ref(ticket)
    custom = {"a": 1}
    ticket.custom = custom
    custom["row"] = ticket  # kept by the row itself
    del ticket, custom
    gc.collect()
    assert gone() is None


def test_rows_outlive_their_office(tmp_path):
    with bureau.open(tmp_path / "o.db", tenant="T") as office:
        user = office[User].insert(User(email="a@example.com", role="customer"))
    del office
    gc.collect()
    assert user.email == "a@example.com" and user.id.startswith("usr_")


def test_columns_are_no_values():
    with pytest.raises(TypeError, match="not with a column"):
        Ticket.subject == Ticket.status
    with pytest.raises(bureau.Invalid):
        bureau.Row()
    assert repr(Message.body) == "<column messages.body>"
