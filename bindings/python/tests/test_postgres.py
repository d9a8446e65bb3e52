"""Offices on a PostgreSQL server. The other tests run there too, where BUREAU_TEST_STORAGE says so."""

import csv
import os
import pathlib
import subprocess
import sys

import pytest

import bureau
from bureau import User
from bureau.testing import Clock

from kinds import Add

EXAMPLES = pathlib.Path(__file__).resolve().parents[3] / "examples"


@pytest.fixture
def place(schema):
    return {**schema, "durability": "relaxed", "tenant": "T"}


def test_an_office_outlives_its_object(place):
    with bureau.open(**place) as office:
        ada = office[User].insert(User(email="ada@example.com", role="customer"))
    with bureau.open(**place, connections=2, connect_timeout="5s") as office:
        assert office[User].get(ada).email == "ada@example.com"


def test_one_connection_may_go_past_a_pooler(place, server):
    with bureau.open(**place, direct=server, connections=4) as office:
        assert office[User].insert(User(email="ada@example.com", role="customer")).version == 1
    with bureau.open(**place, pooler_keeps_sessions=True) as office:
        assert office[User].count() == 1


def test_a_schema_is_an_office(place, schema):
    other = {**place, "schema": schema["schema"] + "_other"}
    with bureau.open(**place) as one, bureau.open(**other) as two:
        one[User].insert(User(email="ada@example.com", role="customer"))
        assert (one[User].count(), two[User].count()) == (1, 0)


def test_two_offices_on_one_schema_work_and_hear_of_each_other(place):
    with bureau.open(**place) as desk, bureau.open(**place) as other:
        feed = other.feed(User)
        desk[User].insert(User(email="ada@example.com", role="customer"))
        assert feed.next(timeout=60).after.email == "ada@example.com"
        other.agent(Add)(lambda run, payload: payload.a + payload.b)
        other.start()
        assert desk.tasks.result(desk.enqueue(Add(20, 22))) == 42


def test_a_write_that_fails_leaves_nothing(place):
    with bureau.open(**place) as office:
        with pytest.raises(ZeroDivisionError):
            office.write(lambda unit: unit[User].insert(User(email="a@example.com", role="customer")) and 1 / 0)
        with office.unit() as unit:
            unit[User].insert(User(email="b@example.com", role="customer"))
        assert [user.email for user in office[User].list()] == ["b@example.com"]


def test_the_clock_is_the_offices(place):
    clock = Clock()
    with bureau.open(**place, clock=clock) as office:
        assert office[User].insert(User(email="a@example.com", role="customer")).created_at == clock.now


def test_sql_reads(place):
    with bureau.open(**place) as office:
        office[User].insert(User(email="ada@example.com", role="customer"))
        assert office.sql("select email from users where email like $1", "ada%") == [{"email": "ada@example.com"}]
        with pytest.raises(bureau.Error):
            office.sql("delete from users")


def test_what_cannot_be_opened(place, server, tmp_path):
    for change, error, field in [
        ({"schema": "No Schema"}, bureau.Invalid, "schema"),
        ({"connections": 1}, bureau.Invalid, "connections"),
        ({"connections": 0}, bureau.Invalid, "connections"),
        ({"connect_timeout": "soon"}, bureau.Invalid, "connect_timeout"),
        ({"direct": "postgresql://%"}, bureau.Invalid, "direct"),
        ({"direct": server.rpartition("/")[0] + "/template1"}, bureau.Invalid, "direct"),
        ({"path": "postgresql://%"}, bureau.Invalid, "connection"),
        ({"path": server.rpartition("/")[0] + "/nowhere"}, bureau.Unavailable, None),
        ({"path": "postgresql://desk:secret@127.0.0.1:1/x", "connect_timeout": 5}, bureau.Unavailable, None),
    ]:
        with pytest.raises(error) as caught:
            bureau.open(**{**place, **change})
        assert field is None or caught.value.field == field
        assert "secret" not in str(caught.value)
    for name, value in [("schema", "x"), ("connections", 4), ("direct", "x"), ("connect_timeout", 1),
                        ("pooler_keeps_sessions", True)]:
        with pytest.raises(bureau.Invalid, match="on a server"):
            bureau.open(tmp_path / "o.db", **{name: value})
    assert not (tmp_path / "o.db").exists()


def test_the_main_job_on_a_server(server, tmp_path):
    with open(EXAMPLES / "helpdesk" / "data" / "inbox.csv", newline="") as inbox:
        rows = list(csv.reader(inbox))[:21]
    with open(tmp_path / "inbox.csv", "w", newline="") as inbox:
        csv.writer(inbox).writerows(rows)
    job = [sys.executable, "-P", EXAMPLES / "python" / "helpdesk.py", server, tmp_path / "inbox.csv"]
    for told in ("20 tickets\n20 drafts\n", "0 tickets\n20 drafts\n"):
        done = subprocess.run(job, capture_output=True, text=True, timeout=120)
        assert done.stdout == told, done.stderr


def run(code, **environment):
    return subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **environment})


def test_libpq_is_loaded_when_it_is_needed():
    code = """
import bureau
bureau.open(":memory:", tenant="T").close()
assert "libpq" not in open("/proc/self/maps").read()
"""
    done = run(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif("BUREAU_SANITIZED" in os.environ, reason="its runtime is loaded the same way")
def test_where_there_is_no_libpq_an_office_on_a_server_says_so(tmp_path):
    (tmp_path / "libpq.so.5").write_text("no library")
    code = """
import bureau
for _ in range(2):
    try:
        bureau.open("postgresql://desk@127.0.0.1/x")
    except bureau.Unavailable as error:
        print(error.field, error)
bureau.open(":memory:", tenant="T").close()
"""
    done = run(code, LD_LIBRARY_PATH=str(tmp_path))
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and all(line.startswith("libpq ") and "libpq5" in line for line in lines), done.stderr
