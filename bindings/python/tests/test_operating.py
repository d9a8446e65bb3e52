"""Backups, restores, comparisons, moves, the journal's retention, health and migrations."""

import enum
import itertools
import os

import pytest

import bureau
from bureau import Migration, User
from bureau.testing import Clock, exercise_storage

from kinds import Add


def fill(office, names):
    office[User].insert_all([User(email=f"{name}@example.com", role="customer") for name in names])


def emails(path):
    with bureau.open(path, durability="relaxed") as office:
        return sorted(user.email.partition("@")[0] for user in office[User])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "office.db"


@pytest.fixture
def office(path):
    with bureau.open(path, tenant="T", durability="relaxed") as opened:
        yield opened


# Copies -----------------------------------------------------------------------------------------------


def test_a_backup_is_made_while_the_office_works_and_restored(office, tmp_path):
    fill(office, "abc")
    copy, told = tmp_path / "copy.bak", []
    made = office.back_up(copy, share=1.0, progress=lambda *at: told.append(at))
    assert made.sequence > 0 and made.bytes == os.path.getsize(copy) and made == bureau.describe_backup(copy)
    assert told and all(isinstance(what, str) and done <= total for what, done, total in told)
    assert bureau.verify(copy).differences(office.verify()) == []
    fill(office, "d")
    [difference] = [one for one in bureau.verify(copy).differences(office.verify()) if one.startswith("users")]
    assert "4" in difference
    restored = bureau.restore(copy, tmp_path / "again.db")
    assert (restored.backup, restored.sequence, restored.replayed, restored.put_aside) == (made, made.sequence, 0, "")
    assert emails(tmp_path / "again.db") == ["a", "b", "c"]
    with pytest.raises(bureau.Exists):
        office.back_up(copy)
    assert office.back_up(copy, replace=True).sequence > made.sequence


def test_a_journal_is_replayed_onto_a_backup(office, path, tmp_path):
    fill(office, "a")
    copy = tmp_path / "copy.bak"
    office.back_up(copy)
    fill(office, "b")
    moment = office.now
    until = office.sql("select max(id) as last from bureau_journal")[0]["last"]
    fill(office, "c")
    with pytest.raises(bureau.Busy):
        bureau.restore(copy, path, replace=True)  # it is open
    office.close()
    assert bureau.restore(copy, tmp_path / "1.db", history=path).replayed > 0
    assert emails(tmp_path / "1.db") == ["a", "b", "c"]
    assert bureau.restore(copy, tmp_path / "2.db", history=path, to_sequence=until).sequence == until
    assert emails(tmp_path / "2.db") == ["a", "b"]
    bureau.restore(copy, tmp_path / "3.db", history=path, to_moment=moment)
    assert emails(tmp_path / "3.db") == ["a", "b"]
    aside = bureau.restore(copy, path, replace=True).put_aside
    assert emails(path) == ["a"] and emails(aside) == ["a", "b", "c"]
    for options, error, words in [
        ({}, bureau.Exists, "office|there"), ({"history": path, "to_sequence": 10**9}, bureau.Error, "."),
        ({"to_sequence": 1}, bureau.Invalid, "history|sequence"), ({"history": tmp_path / "nowhere"}, bureau.NotFound, "nowhere"),
        ({"to_sequence": "one"}, bureau.Invalid, "to_sequence"), ({"replace": 1}, bureau.Invalid, "replace"),
    ]:
        with pytest.raises(error, match=words):
            bureau.restore(copy, tmp_path / "1.db", **options)


def test_a_long_call_is_ended_by_who_is_told_of_it(office, tmp_path):
    fill(office, "a")
    copy = tmp_path / "copy.bak"
    with pytest.raises(bureau.Cancelled):
        office.back_up(copy, progress=lambda *at: False)

    def interrupted(*at):
        raise KeyboardInterrupt

    for call in (lambda: office.back_up(copy, progress=interrupted), lambda: office.verify(progress=interrupted)):
        with pytest.raises(KeyboardInterrupt):
            call()
    assert not copy.exists()
    for options in ({"share": 0}, {"share": 2}, {"share": "all"}):
        with pytest.raises(bureau.Invalid, match="share"):
            office.back_up(copy, **options)


def test_what_is_no_backup_is_told(office, tmp_path):
    (tmp_path / "text").write_text("no backup\n" * 1000)
    for place, error in [(tmp_path / "nowhere", bureau.NotFound), (tmp_path / "text", (bureau.Invalid, bureau.Corrupt))]:
        for call in (bureau.describe_backup, bureau.verify, lambda place: bureau.restore(place, tmp_path / "o.db")):
            with pytest.raises(error):
                call(place)
    assert not (tmp_path / "nowhere").exists() and not (tmp_path / "o.db").exists()
    with bureau.open(":memory:", tenant="T") as memory, pytest.raises(bureau.Invalid, match="storage|memory"):
        memory.back_up(tmp_path / "copy.bak")


def test_damage_is_found(office, path):
    fill(office, [f"u{i}" for i in range(500)])
    office.close()
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        file.seek(size // 2)
        file.write(b"\xa5" * (size // 4))
    with pytest.raises(bureau.Corrupt):
        bureau.verify(path)


def test_an_office_moves_to_another_file(office, path, tmp_path):
    fill(office, "ab")
    office.close()
    moved = bureau.move(path, tmp_path / "there.db")
    assert (moved.moved, moved.found, moved.left_out) == (moved.office.rows, 0, 0)
    assert moved.office.differences(bureau.verify(path)) == [] and emails(tmp_path / "there.db") == ["a", "b"]
    with pytest.raises(bureau.Exists):
        bureau.move(path, tmp_path / "there.db")
    for target, options, words in [(path, {}, "same"), (tmp_path / "x.db", {"target_schema": "x"}, "schema"),
                                   (tmp_path / "x.db", {"start_over": 1}, "start_over")]:
        with pytest.raises(bureau.Invalid, match=words):
            bureau.move(path, target, **options)
    with pytest.raises(bureau.NotFound):
        bureau.move(tmp_path / "nowhere.db", tmp_path / "x.db")


def test_an_office_moves_to_a_server(office, path, schema):
    fill(office, "ab")
    office.close()
    moved = bureau.move(path, schema["path"], target_schema=schema["schema"])
    assert moved.office.differences(bureau.verify(schema["path"], schema=schema["schema"])) == []
    with bureau.open(**schema) as there:
        assert there[User].count() == 2


# The journal, health ----------------------------------------------------------------------------------


def changes(office):
    return office.sql("select count(*) as n from bureau_journal")[0]["n"]


def test_changes_are_kept_as_long_as_it_is_said():
    for keep, pause in [("1h", "2h"), (None, "40d")]:
        clock = Clock()
        with bureau.open(":memory:", tenant="T", clock=clock, journal=keep) as office:
            fill(office, "abc")
            first = office.feed(User, after=0).next(timeout=0)
            for _ in range(4):
                clock.advance(pause)
                office.work()
            feed = office.feed(User, after=0)
            if keep is None:
                assert feed.next(timeout=0).sequence == first.sequence
            else:
                with pytest.raises(bureau.Gone):
                    feed.next(timeout=0)
    with pytest.raises(bureau.Invalid, match="journal"):
        bureau.open(":memory:", tenant="T", journal="soon")
    with pytest.raises(bureau.Invalid, match="journal"):
        bureau.open(":memory:", tenant="T", journal=-1)


def test_a_journal_is_trimmed(office):
    fill(office, "abc")
    moment = office.now
    fill(office, "d")
    before = changes(office)
    removed = office.trim_journal(moment)
    assert removed > 0 and changes(office) == before - removed > 0
    for moment in ("yesterday", moment.replace(tzinfo=None)):
        with pytest.raises(bureau.Invalid, match="before"):
            office.trim_journal(moment)


def test_health_names_what_is_not_well(office):
    office.agent(Add)(lambda run, payload: 1 / 0)
    health = office.health(little_space_bytes=0, no_space_bytes=0)
    assert health.status in ("ok", "degraded", "failed") and {"writes", "storage"} & {one.name for one in health.components}
    assert all(one.reason for one in health.components) and health.at <= office.now
    office.enqueue_all([Add(1, 1)] * 3)
    office.work()
    bad = office.health(dead_tasks=2, little_space_bytes=0, no_space_bytes=0, dead_within="1h")
    assert bad.status == "degraded"
    [component] = [one for one in bad.components if one.status == "degraded"]
    assert "3" in component.reason
    for limits, words in [({"dead_taks": 1}, "dead_tasks"), ({"dead_tasks": -1}, "dead_tasks"), ({"long_wait": "x"}, "long_wait")]:
        with pytest.raises(bureau.Invalid, match=words):
            office.health(**limits)


# Migrations -------------------------------------------------------------------------------------------


class State(enum.StrEnum):
    NEW = "new"
    USED = "used"


@bureau.entity("machines", "mch")
class First:
    name: str
    condition: str = ""


@bureau.entity("machines", "mch")
class Second:
    name: str
    state: str = ""
    year: int = 0


FIRST = {"tables": [First], "durability": "relaxed"}


def renew(row):
    row["year"] = 2000 + len(row["name"])


def second():
    return Migration(1, "state and year").rename_column(Second, "condition", "state").add_column(
        "machines", "year", 1999).fill("machines", "name != \"\"", "renew", renew)


@pytest.fixture
def machines(path):
    with bureau.open(path, tenant="T", **FIRST) as office:
        office["machines"].insert_all([First(name="mill", condition="good"), First(name="", condition="bad")])
    return path


def test_a_program_comes_to_its_next_version_and_back(machines):
    with bureau.migrator(machines, tables=[Second], migrations=[second()]) as migrator:
        [status] = migrator.status()
        assert (status.number, status.name, status.state, status.known, status.applied_at) == (
            1, "state and year", "pending", True, None)
        assert any("state" in step.text for step in migrator.plan_up())
        assert migrator.up(by="a test") == migrator.plan_up() or migrator.plan_up() == []
        [status] = migrator.status()
        assert (status.state, status.applied_by, status.changed) == ("expanded", "a test", False)
    with bureau.open(machines, tables=[Second], migrations=[second()], durability="relaxed") as office:
        rows = {row.name: (row.state, row.year) for row in office[Second]}
        assert rows == {"mill": ("good", 2004), "": ("bad", 1999)}
    with bureau.migrator(machines, tables=[Second], migrations=[second()]) as migrator:
        assert any(step.lost for step in migrator.plan_down())
        with pytest.raises(bureau.Conflict, match="lost"):
            migrator.down()
        assert migrator.down(may_lose=True) and migrator.status()[0].state == "pending"
        migrator.up()
        migrator.finalize(may_lose=True)
        assert migrator.plan_finalize() == [] and migrator.status()[0].finalized_at is not None
    with pytest.raises(bureau.Invalid, match="closed"):
        migrator.status()
    with pytest.raises(bureau.Upgraded):
        bureau.open(machines, **FIRST)


def test_opening_applies_what_is_pending_unless_it_is_told_not_to(machines):
    options = {"tables": [Second], "migrations": [second()], "durability": "relaxed"}
    with pytest.raises(bureau.Unavailable, match="migrat"):
        bureau.open(machines, on_open="refuse", **options)
    with bureau.open(machines, on_open="finalize", **options) as office:
        assert office[Second].count() == 2
    with bureau.migrator(machines, tables=[Second], migrations=[second()]) as migrator:
        assert migrator.status()[0].state == "finalized"


def test_bad_migrations_are_told(machines, tmp_path):
    kept = []

    def fails(row):
        raise bureau.Conflict("no good", "year")

    def wrong(row):
        kept.append(row)
        row["yaer"] = 1

    mill = "name = \"mill\""
    for migration, words in [(Migration(1, "x").add_column("machines", "yeer"), "yeer"), (Migration(0, "x"), "0|number")]:
        with pytest.raises(bureau.Invalid, match=words):
            with bureau.migrator(machines, tables=[Second], migrations=[migration]) as migrator:
                migrator.up()
    for where, function, error, words in [("nam = 1", renew, bureau.Invalid, "nam"), (mill, fails, bureau.Conflict, "no good"),
                                          (mill, wrong, bureau.Invalid, "yaer")]:
        migration = second().fill("machines", where, "bad", function)
        with bureau.migrator(machines, tables=[Second], migrations=[migration]) as migrator:
            with pytest.raises(error, match=words):
                migrator.up()
            migrator.down(may_lose=True)
            assert migrator.status()[0].state == "pending"
    with pytest.raises(bureau.Invalid, match="ended"):
        kept[0]["year"]
    with pytest.raises(bureau.Invalid, match="on_open"):
        bureau.open(tmp_path / "o.db", tenant="T", on_open="perhaps")
    with pytest.raises(bureau.NotFound):
        bureau.migrator(tmp_path / "nowhere.db")
    assert not (tmp_path / "nowhere.db").exists()


# Places -----------------------------------------------------------------------------------------------


def test_a_place_for_offices_is_exercised(tmp_path):
    numbers = itertools.count()
    names = ["commits_are_hinted", "nodes_are_held_once", "rows_survive_reopening"]
    checks = exercise_storage(lambda: tmp_path / f"{next(numbers)}.db", only=names)
    assert {one.name: one.outcome for one in checks} == dict.fromkeys(names, "passed")
    assert next(numbers) >= len(names)
    in_memory = exercise_storage(":memory:", only=names)
    assert [one.outcome for one in in_memory] == ["passed", "passed", "skipped"]


def test_a_place_that_cannot_be_had_fails(tmp_path):
    with pytest.raises(bureau.Invalid, match="fresh"):
        exercise_storage(tmp_path / "office.db")

    def nowhere():
        raise bureau.Unavailable("the disk is away")

    names = ["commits_are_hinted", "rows_survive_reopening"]
    for fresh, words in [(nowhere, "away"), (lambda: 5, "str"), (lambda: tmp_path / "a" / "b.db", "b.db")]:
        checks = exercise_storage(fresh, only=names)
        assert all(one.outcome == "failed" and words in one.message for one in checks) and len(checks) == 2
