import itertools
import os
import pathlib
import subprocess

import pytest

import bureau
from bureau.testing import Simulation, office as memory_office

HERE = pathlib.Path(__file__).resolve().parent
ON_POSTGRES = os.environ.get("BUREAU_TEST_STORAGE") == "postgres"
_schemas = itertools.count()


@pytest.fixture(scope="session")
def server():
    """The URL of a PostgreSQL server, which ends with the tests, also when they are killed."""
    start = HERE.parents[2] / "examples" / "helpdesk" / "on_postgres.sh"
    environment = {**os.environ, "BUREAU_POSTGRES_OPTIONS": "-c fsync=off -c full_page_writes=off"}
    environment.pop("LD_PRELOAD", None)  # a sanitizer's runtime is not the server's
    process = subprocess.Popen([start, HERE / "hold_server.sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env=environment)
    url, password = process.stdout.readline().strip(), process.stdout.readline().strip()
    if not url:
        if process.wait() == 77:
            pytest.skip("no PostgreSQL server is installed")
        pytest.fail("the PostgreSQL server does not start")
    os.environ["PGPASSWORD"] = password
    yield url
    process.stdin.close()
    process.wait()


@pytest.fixture
def schema(server):
    """Where an office of its own is on the server: what bureau.open() takes."""
    return {"path": server, "schema": f"t{next(_schemas)}"}


@pytest.fixture
def office(tmp_path, request):
    place = request.getfixturevalue("schema") if ON_POSTGRES else {"path": tmp_path / "office.db"}
    with bureau.open(**place, tenant="Larkfield", durability="relaxed") as opened:
        yield opened


@pytest.fixture
def ada(office):
    return office[bureau.User].insert(bureau.User(email="ada@example.com", name="Ada", role="customer"))


@pytest.fixture
def ann(office):
    return office[bureau.User].insert(bureau.User(email="ann@example.com", name="Ann", role="manager"))


@pytest.fixture
def simulation():
    with Simulation() as made:
        yield made


@pytest.fixture
def desk(request):
    if not ON_POSTGRES:
        with memory_office() as opened:
            yield opened
        return
    with bureau.open(**request.getfixturevalue("schema"), tenant="Test", durability="relaxed") as opened:
        yield opened
