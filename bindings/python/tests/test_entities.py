import enum
from datetime import datetime

import pytest

import bureau
from bureau import User


class Stage(enum.StrEnum):
    IDEA = "idea"
    BUILT = "built"


@bureau.entity("gadgets", "gdg", unique=["code"], indexes=[("stage", "owner")])
class Gadget:
    code: str = bureau.column(max_length=10)
    stage: Stage = Stage.IDEA
    owner: User | None = None
    price_minor: int = 0
    currency: str = "EUR"
    parts: list
    shipped_at: datetime | None = None


def test_a_host_has_entities_of_its_own(tmp_path):
    with bureau.open(tmp_path / "o.db", tenant="T", tables=[Gadget], durability="relaxed") as office:
        ada = office[User].insert(User(email="ada@example.com", role="customer"))
        feed = office.feed(Gadget)
        made = office[Gadget].insert(Gadget(code="a1", owner=ada, parts=["x"]))
        assert made.id.startswith("gdg_") and made.version == 1 and made.owner == ada.id
        assert made.stage is Stage.IDEA
        made.stage = "built"
        made.price = 3
        office[Gadget].update(made)
        assert office[Gadget].first(Gadget.stage == Stage.BUILT).price_minor == 300
        assert [e.kind for e in (feed.next(5), feed.next(5))] == ["insert", "update"]
        assert "gadgets" in office.tables
        with pytest.raises(bureau.Exists):
            office[Gadget].insert(Gadget(code="a1"))
        with pytest.raises(bureau.Invalid, match="code"):
            Gadget(code="x" * 11)
        with pytest.raises(bureau.Invalid, match="stage"):
            Gadget(stage="sold")
        assert repr(Gadget(code="z")) == "Gadget(code='z')"
        assert office.get(ada.id).email == "ada@example.com"


def test_descriptions_that_are_wrong_are_told(tmp_path):
    with pytest.raises(bureau.Invalid, match="version"):
        @bureau.entity("things", "thg")
        class Bad:
            version: int

    with pytest.raises(bureau.Invalid, match="cannot hold"):
        @bureau.entity("things", "thg")
        class Worse:
            what: complex

    @bureau.entity("tickets", "txx")
    class Taken:
        name: str

    try:
        with pytest.raises(bureau.Invalid, match="tickets"):
            bureau.open(tmp_path / "o.db", tables=[Taken])
    finally:
        bureau.rows._own.pop("tickets")
        bureau.rows._rows.pop("tickets")
