import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from datetime import timezone
from decimal import Decimal

import pytest

import bureau
from bureau import Priority, Tenant, Ticket, User


def emails(rows):
    return [row.email for row in rows]


@pytest.fixture
def people(office):
    return office[User].insert_all(
        User(email=f"u{i:03}@example.com", role="customer", name=f"N{i % 3}") for i in range(25))


def test_a_row_goes_there_and_back(office, ada):
    assert ada.id.startswith("usr_") and ada.version == 1
    again = office[User].get(ada.id)
    assert again == ada and again.created_at.tzinfo is timezone.utc
    ada.name = "Ada"
    office[User].update(ada)
    assert ada.version == 2 and office[User].get(ada).name == "Ada"
    with pytest.raises(bureau.Conflict):
        office[User].update(again)
    assert office.get(ada.id).name == "Ada"
    office[User].remove(ada)
    with pytest.raises(bureau.NotFound):
        office[User].get(ada)


def test_insert_all_is_all_or_none(office, people):
    with pytest.raises(bureau.Exists) as caught:
        office[User].insert_all([
            User(email="new@example.com", role="customer"), User(email="u001@example.com", role="customer")])
    assert "taken" in str(caught.value)
    assert office[User].count() == 25


def test_pages_and_orders(office, people):
    users = office[User]
    page = users.page(order=User.email.desc(), limit=10)
    assert emails(page)[0] == "u024@example.com" and page.next
    last = users.page(order=User.email.desc(), limit=20, after=users.page(order=User.email.desc(), limit=10).next)
    assert len(last) == 15 and last.next == ""
    assert emails(users.iter(order="email", page=7)) == emails(people)
    assert emails(users.list(order=["name desc", "-email"], limit=1)) == ["u023@example.com"]
    assert users.list(limit=0) == []
    with pytest.raises(bureau.Invalid):
        users.list(limit=-1)
    with pytest.raises(bureau.Error):
        users.page(after="nonsense", order="email")


def test_conditions_of_columns_and_of_text_say_the_same(office, people):
    users = office[User]
    pairs = [
        (User.name == "N1", "name = \"N1\""),
        ((User.name != "N1") & (User.email < "u010@example.com"), "name != \"N1\" and email < \"u010@example.com\""),
        (User.name.in_(["N0", "N2"]) | (User.email == "u001@example.com"),
         "name in (\"N0\", \"N2\") or email = \"u001@example.com\""),
        (~User.email.startswith("u00"), "not email begins \"u00\""),
        (User.email.contains("5@"), "email contains \"5@\""),
    ]
    for made, text in pairs:
        expected = emails(users.list(made, order="email"))
        assert 0 < len(expected) < 25
        if "begins" not in text:
            assert emails(users.list(text, order="email")) == expected
        assert emails(users.list(str(made), order="email")) == expected
    assert users.count(User.name.in_([])) == 0
    assert users.count(User.name.not_in([])) == 25
    assert users.count("name = $n", n="N1") == 8
    assert users.count("name in ($n)", n=["N1", "N2"]) == 16


def test_a_condition_on_a_member_of_json(office, ada):
    office.tickets.open(customer=ada, body="x", custom={"region": "eu", "n": 3})
    office.tickets.open(customer=ada, body="y", custom={"region": "us", "n": 5})
    assert [t.subject for t in office[Ticket].list(Ticket.custom["region"] == "eu")] == ["x"]
    assert [t.subject for t in office[Ticket].list(Ticket.custom["n"] > 3)] == ["y"]
    with pytest.raises(bureau.Invalid, match="JSON"):
        Ticket.subject["x"]


def test_bad_questions_are_told(office):
    tickets = office[Ticket]
    for ask, words in [
        (lambda: tickets.list("stat = 3"), "state"),
        (lambda: tickets.list(User.email == "x"), "email"),
        (lambda: tickets.list("number = $n"), r"\$n"),
        (lambda: tickets.list("number = $n", n="x"), "number"),
        (lambda: tickets.list("number = 1", n=2), r"\$n"),
        (lambda: tickets.list(3), "condition"),
        (lambda: tickets.list(order="numbr"), "the nearest are number"),
        (lambda: tickets.list(order=User.email), "another table"),
        (lambda: tickets.aggregate(x=("median", Ticket.number)), "median"),
        (lambda: tickets.columns(only=["nope"]), "nope"),
        (lambda: tickets.insert(User()), "users"),
        (lambda: tickets.insert("x"), "rows"),
        (lambda: office[User].get("usr_zzz"), "length"),
        (lambda: office[3], "table"),
    ]:
        with pytest.raises(bureau.Invalid, match=words):
            ask()
    with pytest.raises(bureau.NotFound, match="did you mean \"tickets\""):
        office["ticket"].count()
    with pytest.raises(TypeError, match="parentheses"):
        (Ticket.number == 1) and (Ticket.number == 2)


def test_aggregates(office, people):
    groups = office[User].aggregate(by=User.name, n="count", last=("max", User.email))
    assert groups == [
        {"name": "N0", "n": 9, "last": "u024@example.com"},
        {"name": "N1", "n": 8, "last": "u022@example.com"},
        {"name": "N2", "n": 8, "last": "u023@example.com"},
    ]
    assert office[User].aggregate() == [{"count": 25}]


def test_columns_say_what_rows_say(office, ada):
    numpy = pytest.importorskip("numpy")
    for i in range(5):
        office.tickets.open(customer=ada, body=f"b{i}", priority="high" if i % 2 else "low")
    office.tickets.classify(office[Ticket].first(Ticket.number == 2), "cards", confidence=0.5)
    rows = office[Ticket].list(order="number")
    columns = office[Ticket].columns(order="number")
    assert set(columns) == set(rows[0].to_dict())
    for i, row in enumerate(rows):
        assert columns["subject"][i] == row.subject and columns["id"][i] == row.id
        assert columns["priority"][i] == row.priority
        at = columns["created_at"][i].astype("M8[us]").astype("i8")
        assert at == round(row.created_at.timestamp() * 1e6)
        assert bool(numpy.ma.getmaskarray(columns["confidence"])[i]) == (row.confidence is None)
    assert list(office[Ticket].columns(only=[Ticket.number], order="number")["number"]) == [1, 2, 3, 4, 5]


def test_a_frame_has_types(office, ada):
    pandas = pytest.importorskip("pandas")
    for i in range(3):
        office.tickets.open(customer=ada, body=f"b{i}", priority="urgent")
    frame = office[Ticket].frame(order="number")
    assert list(frame["number"]) == [1, 2, 3]
    assert frame["priority"].max() == "urgent" and frame["priority"].cat.ordered
    assert str(frame["created_at"].dtype) == "datetime64[ns, UTC]"
    assert frame["closed_at"].isna().all()
    assert frame["created_at"][0] == office[Ticket].first(Ticket.number == 1).created_at
    assert len(office[Ticket].frame("number > 3")) == 0
    assert isinstance(frame, pandas.DataFrame)


def test_tickets(office, ada):
    ticket = office.tickets.open(customer=ada, body="My grinder howls.\nLoudly.", priority=Priority.HIGH)
    assert (ticket.number, ticket.subject, ticket.state) == (1, "My grinder howls.", "new")
    office.tickets.reply(ticket, "We have your message.")
    office.tickets.note(ticket, "Third time.")
    draft = office.tickets.suggest(ticket, "Try oil.", 0.7)
    assert office.tickets.review(draft, "accepted").review == "accepted"
    assert [m.kind for m in office.tickets.conversation(ticket)] == [
        "public", "public", "internal_note", "suggestion"]
    assert office.tickets.tag(ticket, ["vip", "vip"]).tags == ["vip"]
    assert office.tickets.move(ticket, "resolved").state == "resolved"
    with pytest.raises(bureau.Invalid, match="customer"):
        office.tickets.open(customer=None, body="x")
    with pytest.raises(bureau.Invalid, match="did you mean \"subject\""):
        office.tickets.open(customer=ada, body="x", subjekt="y")
    with pytest.raises(bureau.NotFound):
        office.tickets.move(ticket, "nowhere")


def test_deals(office):
    office.deals.create_pipeline()
    deal = office.deals.open(title="Roastery", value=Decimal("1200.50"), currency="EUR")
    assert deal.value == Decimal("1200.50")
    office.deals.open(title="Cafe", value="300 USD")
    won = office.deals.win(deal, Decimal(1300), "EUR")
    assert won.state == "won" and won.value == 1300
    lines = {line["currency"]: line for line in office.deals.forecast()}
    assert lines["EUR"]["won"] == Decimal(1300) and lines["EUR"]["won_count"] == 1
    assert lines["USD"]["open"] == Decimal(300) and lines["USD"]["won"] == 0
    assert [line["month"] for line in office.deals.forecast("month") if line["currency"] == "EUR"] != [None]
    for bad in ({"value": 12.5, "currency": "EUR"}, {"value": Decimal(1)}, {"value": Decimal("1.005"), "currency": "EUR"},
                {"value": Decimal("NaN"), "currency": "EUR"}):
        with pytest.raises(bureau.Invalid):
            office.deals.open(title="x", **bad)


# Transactions -----------------------------------------------------------------------------------------


def test_a_write_is_all_or_nothing(office, ada):
    def work(unit):
        unit[User].insert(User(email="b@example.com", role="customer"))
        unit.tickets.open(customer=ada, body="x")
        raise KeyError("no")

    with pytest.raises(KeyError, match="no"):
        office.write(work)
    assert office[User].count() == 1 and office[Ticket].count() == 0
    assert office.write(lambda unit: unit.tickets.open(customer=ada, body="x").number) == 1


def test_an_exception_keeps_its_traceback(office):
    def inner(unit):
        raise RuntimeError("here")

    with pytest.raises(RuntimeError) as caught:
        office.write(inner)
    assert any(entry.name == "inner" for entry in caught.traceback)


def test_a_unit_is_over_when_its_block_is(office, ada):
    with office.unit() as unit:
        unit[User].insert(User(email="b@example.com", role="customer"))
        assert unit[User].count() == 2
        assert office[User].count() == 1  # nobody else sees it yet
    assert office[User].count() == 2
    with pytest.raises(bureau.Invalid, match="ended"):
        unit[User].count()
    with pytest.raises(ZeroDivisionError):
        with office.unit() as unit:
            unit[User].insert(User(email="c@example.com", role="customer"))
            1 / 0
    assert office[User].count() == 2
    kept = []
    office.write(kept.append)
    with pytest.raises(bureau.Invalid, match="ended"):
        kept[0][User].count()


def test_a_write_inside_a_write_is_refused(office):
    for block in (lambda: office.write(lambda unit: office.write(lambda inner: None)),
                  lambda: office.write(lambda unit: office.unit().__enter__())):
        with pytest.raises(bureau.Invalid, match="this thread is in a write"):
            block()
    with office.unit():
        with pytest.raises(bureau.Invalid, match="this thread is in a write"):
            office.write(lambda unit: None)
        with pytest.raises(bureau.Invalid, match="this thread is in a write"):
            office[User].insert(User(email="x@example.com"))
    office.write(lambda unit: None)


def test_a_snapshot_stands_still(office, ada):
    def look(view):
        before = view[User].count()
        office[User].insert(User(email=f"x{before}@example.com", role="customer"))
        return before, view[User].count()

    assert office.read(look) == (1, 1)
    assert office[User].count() == 2


def test_writers_on_many_threads(office):
    def work(i):
        for j in range(20):
            office[User].insert(User(email=f"{i}-{j}@example.com", role="customer"))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert office[User].count() == 80


# Tenants, users ---------------------------------------------------------------------------------------


def test_tenants_and_users(office, ada):
    other = office.tenant("Other", create=True)
    assert other[User].count() == 0
    assert [tenant.name for tenant in office.tenants()] == ["Larkfield", "Other"]
    assert isinstance(office.tenants()[0], Tenant)
    ticket = office.tickets.open(customer=ada, body="mine")
    bob = office[User].insert(User(email="bob@example.com", role="customer"))
    assert office.user(ada)[Ticket].count() == 1
    assert office.user(bob)[Ticket].count() == 0
    with pytest.raises(bureau.NotFound):
        office.user(bob)[Ticket].get(ticket)
    assert office.user(ada).principal["role"] == "customer"
    with pytest.raises(bureau.NotFound):
        office.tenant("Nobody")


# Looks ------------------------------------------------------------------------------------------------


def test_sql_reads_and_nothing_else(office, ada):
    assert office.sql("select email, cast(1.5 as double precision) as x, null as n from users where email = $1", ada.email) == [
        {"email": "ada@example.com", "x": 1.5, "n": None}]
    with pytest.raises(bureau.Error):
        office.sql("delete from users")
    assert office[User].count() == 1
    assert office.snapshot()["tasks"] == []
    assert "bureau_" in office.metrics()


# Life -------------------------------------------------------------------------------------------------


def test_a_closed_office_refuses(tmp_path):
    office = bureau.open(tmp_path / "o.db", tenant="T")
    users = office[User]
    office.close()
    office.close()
    for call in (users.count, office.tenants, office.snapshot, lambda: office.write(lambda unit: None),
                 lambda: office.unit().__enter__(), lambda: office[User].list()):
        with pytest.raises(bureau.Invalid, match="closed"):
            call()


def test_what_cannot_be_opened(tmp_path):
    with pytest.raises(bureau.Unavailable):
        bureau.open(tmp_path / "nowhere" / "o.db")
    (tmp_path / "x.db").write_text("this is no database, however long one makes it" * 50)
    with pytest.raises(bureau.Corrupt):
        bureau.open(tmp_path / "x.db")
    with pytest.raises(bureau.Invalid, match="durability"):
        bureau.open(tmp_path / "o.db", durability="sometimes")
    with pytest.raises(bureau.Invalid, match="threads"):
        bureau.open(tmp_path / "o.db", threads=0)


def test_memory():
    with bureau.open(":memory:", tenant="T") as office:
        office[User].insert(User(email="a@example.com", role="customer"))
        assert office[User].count() == 1
    assert not os.path.exists(":memory:")


def test_an_office_that_nobody_holds_is_closed(tmp_path):
    office = bureau.open(tmp_path / "o.db", tenant="T")
    office.myself = office
    gone = weakref.ref(office)
    core = office._core
    del office
    gc.collect()
    assert gone() is None and core.closed


def test_a_fork_is_refused(tmp_path):
    code = """
import os, sys, bureau
office = bureau.open(sys.argv[1], tenant="T")
child = os.fork()
if child == 0:
    try:
        office.write(lambda unit: None)
    except bureau.Invalid as error:
        os._exit(7 if "fork" in str(error) else 8)
    os._exit(9)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
office[bureau.User].insert(bureau.User(email="a@example.com", role="customer"))
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "o.db")], check=True, timeout=60)


def test_the_interpreter_ends_with_an_office_open(tmp_path):
    code = "import sys, bureau; office = bureau.open(sys.argv[1], tenant='T'); print(office.tenants()[0].name)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "o.db")], check=True, timeout=60,
                          capture_output=True, text=True)
    assert done.stdout == "T\n" and done.stderr == ""


def test_whoever_opens_an_office_by_sqlite3_is_warned(tmp_path):
    import sqlite3

    path = tmp_path / "o.db"
    with bureau.open(path, tenant="T"):
        with pytest.warns(RuntimeWarning, match="open as an office"):
            sqlite3.connect(path).close()
        sqlite3.connect(tmp_path / "other.db").close()
    sqlite3.connect(path).close()


def test_log_records_go_to_logging(tmp_path, caplog):
    seen = []
    path = tmp_path / "o.db"
    bureau.open(path, tenant="T").close()
    path.chmod(0o666)
    with caplog.at_level("DEBUG", logger="bureau"), bureau.open(path):
        pass
    assert any(record.name.startswith("bureau.") for record in caplog.records)
    with bureau.open(path, log=lambda *record: seen.append(record)):
        pass
    assert seen and isinstance(seen[0][3], dict)


HOLD = """
import sys, bureau
with bureau.open(sys.argv[1]) as office:
    office.write(lambda unit: print("held", flush=True) or sys.stdin.readline())
"""
WAIT = """
import sys, bureau
from bureau import User
office = bureau.open(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
ada = User(email="ada@example.com", role="customer")
def unit():
    with office.unit() as unit:
        unit[User].insert(ada)
try:
    {"insert": lambda: office[User].insert(ada), "write": lambda: office.write(lambda unit: unit[User].insert(ada)),
     "unit": unit}[sys.argv[2]]()
    print("written")
except KeyboardInterrupt:
    print("interrupted", office[User].count())
"""


@pytest.mark.parametrize("way", ["insert", "write", "unit"])
@pytest.mark.parametrize("interrupted", [True, False])
def test_a_write_that_waits_for_another_process_hears_ctrl_c(tmp_path, way, interrupted):
    path = tmp_path / "o.db"
    bureau.open(path, tenant="T").close()

    def start(code, *args):
        return subprocess.Popen([sys.executable, "-P", "-c", code, str(path), *args], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)

    waiter = start(WAIT, way)  # whoever opens an office needs the lock for a moment
    assert waiter.stdout.readline() == "ready\n"
    holder = start(HOLD)
    assert holder.stdout.readline() == "held\n"
    waiter.stdin.write("go\n")
    waiter.stdin.flush()
    lock = f":{os.stat(f'{path}-lock').st_ino} "
    while not any("-> " in line and lock in line for line in open("/proc/locks")):
        assert waiter.poll() is None
    if interrupted:
        watchdog = threading.Timer(60, holder.kill)  # so that one that hears nothing goes on
        watchdog.start()
        waiter.send_signal(signal.SIGINT)
        assert waiter.stdout.readline() == "interrupted 0\n"  # the other one still writes
        watchdog.cancel()
    holder.communicate("go\n", timeout=60)
    out, _ = waiter.communicate(timeout=60)
    assert (holder.returncode, waiter.returncode) == (0, 0)
    assert out == ("" if interrupted else "written\n")
    with bureau.open(path) as office:
        assert office[User].count() == (0 if interrupted else 1)
