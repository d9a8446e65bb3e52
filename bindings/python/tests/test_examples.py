"""Each example as its reader runs it."""

import csv
import os
import pathlib
import signal
import subprocess
import sys
from random import Random

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples" / "python"


def run(name, *args, **options):
    return subprocess.run([sys.executable, "-P", EXAMPLES / name, *map(str, args)], capture_output=True, text=True,
                          timeout=300, **options)


def test_every_example_is_run_here():
    here = pathlib.Path(__file__).read_text()
    for example in EXAMPLES.glob("*.py"):
        assert f'"{example.name}"' in here


def test_the_main_job(tmp_path):
    assert len((EXAMPLES / "helpdesk.py").read_text().splitlines()) < 120
    first = run("helpdesk.py", tmp_path / "o.db")
    assert first.returncode == 0, first.stderr
    tickets, drafts = (int(line.split()[0]) for line in first.stdout.splitlines())
    assert tickets == drafts > 200
    again = run("helpdesk.py", tmp_path / "o.db")
    assert again.stdout.splitlines() == ["0 tickets", f"{tickets} drafts"]


@pytest.mark.skipif("BUREAU_SANITIZED" in os.environ, reason="the processes live too short under a sanitizer")
def test_the_main_job_is_killed_and_goes_on(tmp_path):
    import bureau

    path, random, kills = tmp_path / "o.db", Random(7), 0
    with bureau.open(path, tenant="Larkfield") as office:
        # At the first change of each, then anywhere in the work.
        moments = [("teams", 1), ("users", 1), ("tickets", 1)] + [("tasks", random.randrange(1, 150)) for _ in range(1000)]
        for table, left in moments:
            feed = office.feed(table)
            process = subprocess.Popen([sys.executable, "-P", EXAMPLES / "helpdesk.py", path], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE)
            while left and process.poll() is None:
                left -= feed.next(timeout=0.1) is not None
            process.kill()
            _, errors = process.communicate()
            if process.returncode == 0:
                break
            assert process.returncode == -signal.SIGKILL, errors
            kills += 1
        assert kills > 0
        last = run("helpdesk.py", path)
        assert last.returncode == 0, last.stderr
        tickets = office["tickets"].count()
        inbox = (EXAMPLES.parent / "helpdesk" / "data" / "inbox.csv").read_text()
        assert tickets == len(list(csv.DictReader(inbox.splitlines(True)))) > 200
        assert office["tasks"].count() == office["tasks"].count("status = \"completed\"") == 3 * tickets
        assert office["messages"].count("kind = \"suggestion\"") == tickets
        numbers = office["tickets"].columns(only=["number"], order="number")["number"]
        assert list(numbers) == list(range(1, tickets + 1))
        answered = {message.ticket for message in office["messages"].iter("kind = \"suggestion\"")}
        assert len(answered) == tickets  # each once
        teams = (EXAMPLES.parent / "helpdesk" / "data" / "teams.csv").read_text()
        assert office["teams"].count() == len(teams.splitlines()) - 1
    print(kills, "kills")


def test_deals_of_another_system(tmp_path):
    sums = "won 11350.00 USD, lost 1, open 11300.50\n"  # as `bureau deals import` has it of the same files
    for told in ("5 deals\n", "0 deals\n"):
        done = run("import_deals.py", tmp_path / "o.db", ROOT / "examples" / "cli" / "data" / "deals")
        assert done.stdout == told + sums, done.stderr


def test_a_loop(tmp_path):
    done = run("asyncio_host.py", tmp_path / "o.db")
    assert done.stdout.splitlines() == ["heard of Team 0", "200 answers"], done.stderr


def test_a_support_agent(tmp_path):
    done = run("support_agent.py", tmp_path / "o.db")
    assert "refund: True" in done.stdout and "232 tokens" in done.stdout, done.stderr


def test_a_graph(tmp_path):
    done = run("graph.py", tmp_path / "o.db")
    assert "'reader': 'Ada'" in done.stdout, done.stderr


def test_a_picture(tmp_path):
    pytest.importorskip("pandas")
    pytest.importorskip("matplotlib")
    done = run("pipeline.py", tmp_path / "o.db", tmp_path / "out.png", env={**os.environ, "MPLCONFIGDIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
