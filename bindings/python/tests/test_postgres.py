"""Offices on a PostgreSQL server. The other tests run there too, where BUREAU_TEST_STORAGE says so."""

import csv
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading

import pytest

import bureau
from bureau import User
from bureau.testing import Clock, exercise_storage

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
        ({"idle_in_transaction": "50d"}, bureau.Invalid, "idle_in_transaction"),
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
                        ("idle_in_transaction", 1), ("pooler_keeps_sessions", True)]:
        with pytest.raises(bureau.Invalid, match="on a server"):
            bureau.open(tmp_path / "o.db", **{name: value})
    assert not (tmp_path / "o.db").exists()


WAITER = """
import sys
import bureau
from bureau import User
url, schema, ada, way = sys.argv[1:]
with bureau.open(url, schema=schema) as office:
    row = office[User].get(ada)
    row.name = "the waiter's"
    def write(unit):
        unit[User].update(row)
    def block():
        with office.unit() as unit:
            write(unit)
    ways = {"update": lambda: write(office), "write": lambda: office.write(write), "unit": block}
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        ways[way]()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    sys.stdin.readline()
    print(office[User].get(ada).name, office[User].count(), flush=True)
"""


def locks_waited_for(url):
    asked = ["psql", url, "-Atc", "select count(*) from pg_locks where not granted"]
    bare = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # a sanitizer's
    return int(subprocess.run(asked, capture_output=True, text=True, check=True, env=bare).stdout)


@pytest.mark.skipif(shutil.which("psql") is None, reason="psql says who waits for a lock")
@pytest.mark.parametrize("way", ["update", "write", "unit"])
def test_a_write_that_waits_for_a_lock_hears_ctrl_c(place, schema, way):
    with bureau.open(**place) as office:
        ada = office[User].insert(User(email="ada@example.com", role="customer"))
        waiter = subprocess.Popen([sys.executable, "-P", "-c", WAITER, schema["path"], schema["schema"], ada.id, way],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        watchdog = threading.Timer(60, waiter.kill)  # so that one that hears nothing ends
        watchdog.start()
        assert waiter.stdout.readline() == "ready\n"
        with office.unit() as unit:
            ada.name = "the holder's"
            unit[User].update(ada)
            print("go", file=waiter.stdin, flush=True)
            while not locks_waited_for(schema["path"]):
                assert waiter.poll() is None
            waiter.send_signal(signal.SIGINT)
            assert waiter.stdout.readline() == "interrupted\n"
        said, _ = waiter.communicate("on\n")
        watchdog.cancel()
        assert (said, waiter.returncode) == ("the holder's 1\n", 0)


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


def test_a_server_is_exercised(schema):
    numbers = itertools.count()
    names = ["commits_are_hinted", "nodes_are_held_once", "rows_survive_reopening"]
    checks = exercise_storage(lambda: (schema["path"], f"{schema['schema']}_{next(numbers)}"), only=names)
    assert {one.name: one.outcome for one in checks} == dict.fromkeys(names, "passed")
