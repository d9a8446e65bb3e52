import pytest

import bureau
from bureau.testing import office as memory_office


@pytest.fixture
def office(tmp_path):
    with bureau.open(tmp_path / "office.db", tenant="Larkfield", durability="relaxed") as opened:
        yield opened


@pytest.fixture
def ada(office):
    return office[bureau.User].insert(bureau.User(email="ada@example.com", role="customer"))


@pytest.fixture
def desk():
    with memory_office() as opened:
        yield opened
