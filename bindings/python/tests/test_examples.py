"""Each example as its reader runs it, and the package as mypy sees it."""

import os
import pathlib
import signal
import subprocess
import sys

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

    path = tmp_path / "o.db"
    kills = 0
    for pause in (0.3, 0.5, 0.7, 0.9, 1.1):
        process = subprocess.Popen([sys.executable, "-P", EXAMPLES / "helpdesk.py", path], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            process.wait(pause)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    last = run("helpdesk.py", path)
    assert last.returncode == 0, last.stderr
    with bureau.open(path) as office:
        tickets = office["tickets"].count()
        assert tickets > 200 and office["tasks"].count("status = \"completed\"") == 2 * tickets
        assert office["messages"].count("kind = \"suggestion\"") == tickets
        numbers = office["tickets"].columns(only=["number"], order="number")["number"]
        assert list(numbers) == list(range(1, tickets + 1))
    print(kills, "kills")


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


@pytest.mark.skipif("BUREAU_SANITIZED" in os.environ, reason="nothing of the library runs in it")
def test_types(tmp_path):
    pytest.importorskip("mypy")
    done = subprocess.run([sys.executable, "-P", "-m", "mypy", "--config-file",
                           str(ROOT / "bindings" / "python" / "pyproject.toml"), "--cache-dir", str(tmp_path), str(ROOT / "bindings" / "python" / "bureau")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
