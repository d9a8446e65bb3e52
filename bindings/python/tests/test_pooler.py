"""Offices on a PostgreSQL server behind PgBouncer, which gives each transaction another session of the server's."""

import contextlib
import os
import pathlib
import socket
import subprocess
import tempfile
import threading
import urllib.parse

import pytest

import bureau
from bureau import User

from kinds import Add

PROGRAM = os.environ.get("BUREAU_PGBOUNCER", "/usr/sbin/pgbouncer")
# It ends with the tests, also when they are killed: then what is read here ends.
HOLD = '"$1" "$2" & cat >/dev/null; kill $!'

pytestmark = pytest.mark.skipif(not os.access(PROGRAM, os.X_OK), reason="no pgbouncer is installed (or set BUREAU_PGBOUNCER)")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def started(folder, server, mode, port):
    """The process, or None: the port was taken meanwhile."""
    (folder / "users").write_text(f'"{server.username}" "{os.environ["PGPASSWORD"]}"\n')
    (folder / "ini").write_text(
        f"[databases]\n* = host={server.hostname} port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        f"unix_socket_dir =\nauth_type = trust\nauth_file = {folder / 'users'}\npool_mode = {mode}\ndefault_pool_size = 20\n"
        + ("user = postgres\n" if os.geteuid() == 0 else ""))
    environment = {**os.environ, "LD_PRELOAD": ""}  # a sanitizer's runtime is not the pooler's
    process = subprocess.Popen(["sh", "-c", HOLD, "sh", PROGRAM, folder / "ini"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, env=environment)
    for line in process.stdout:
        if "process up" in line:
            threading.Thread(target=process.stdout.read, daemon=True).start()  # it waits for whoever reads what it says
            return process
        if "FATAL" in line or "ERROR" in line:
            break
    process.stdin.close()
    process.wait()
    return None


@contextlib.contextmanager
def pooler(server, mode):
    """The URL that leads through it."""
    there = urllib.parse.urlsplit(server)
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)  # it gives up being root
        for _ in range(20):
            port = free_port()
            process = started(pathlib.Path(name), there, mode, port)
            if process:
                break
        else:
            pytest.fail("pgbouncer does not start")
        try:
            yield there._replace(netloc=f"{there.username}@127.0.0.1:{port}").geturl()
        finally:
            process.stdin.close()
            process.wait()


def test_the_desk_works_through_a_pooler(server, schema):
    with pooler(server, "transaction") as url:
        place = {"path": url, "schema": schema["schema"], "tenant": "T", "durability": "relaxed"}
        for direct in (None, url):
            with pytest.raises(bureau.Invalid) as told:
                bureau.open(**place, direct=direct)
            assert told.value.field == "direct"
        with bureau.open(**place, direct=server) as desk, bureau.open(**place, direct=server, connections=2) as other:
            feed = other.feed(User)
            desk.write(lambda unit: [unit[User].insert(User(email=f"{i}@example.com", role="customer")) for i in range(3)])
            assert [feed.next(timeout=60).after.email for _ in range(3)] == [f"{i}@example.com" for i in range(3)]
            other.agent(Add)(lambda run, payload: run.step("add", lambda: payload.a + payload.b))
            other.start()
            tasks = desk.enqueue_all([Add(i, i) for i in range(20)])
            assert [desk.tasks.result(task) for task in tasks] == [2 * i for i in range(20)]
            with pytest.raises(ZeroDivisionError):
                desk.write(lambda unit: unit[User].insert(User(email="x@example.com", role="customer")) and 1 / 0)
            assert other[User].count() == 3


def test_a_pooler_may_keep_sessions(server, schema):
    with pooler(server, "session") as url:
        with bureau.open(url, schema=schema["schema"], tenant="T", pooler_keeps_sessions=True, connections=4) as office:
            assert office[User].insert(User(email="ada@example.com", role="customer")).version == 1
        with bureau.open(**schema, tenant="T") as office:
            assert office[User].count() == 1
