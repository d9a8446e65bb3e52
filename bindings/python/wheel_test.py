#!/usr/bin/env python3
"""Installs a wheel into a clean virtual environment and uses it there: wheel_test.py WHEEL

The environment sees neither the tree nor the build; what the module loads must come from the wheel or
from what every system has.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

CODE = r"""
import sqlite3, sys, warnings
import bureau
from bureau import Ticket, User
from bureau.testing import Clock, office as memory_office
assert "site-packages" in bureau.__file__, bureau.__file__
with bureau.open("office.db", tenant="T") as office:
    ada = office[User].insert(User(email="ada@example.com", role="customer"))
    office.agent(bureau.TaskKind("add"))(lambda run, payload: payload["a"] + 1)
    task = office.enqueue({"a": 1}, kind=bureau.TaskKind("add"))
    office.start()
    assert office.tasks.result(task) == 2
    office.stop()
    # The interpreter's own SQLite is another copy in this process: it must not be let at the file.
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        other = sqlite3.connect("office.db")
    assert any("open as an office" in str(one.message) for one in told), told
    other.execute("select count(*) from users").fetchall()
    other.close()  # it takes the locks of the whole process with it: the engine must see that
    try:
        office[User].insert(User(email="b@example.com", role="customer"))
    except bureau.Error as error:
        assert "another copy of SQLite in this process" in str(error), error
    else:
        raise AssertionError("the lost locks were not seen")
with bureau.open("office.db") as office:
    assert office[User].get(ada).email == "ada@example.com"
    assert office[User].insert(User(email="c@example.com", role="customer")).version == 1
own = sorted({line.split()[-1] for line in open("/proc/self/maps") if ".so" in line})
outside = [one for one in own if "site-packages/bureau" not in one and "/python3" not in one]
print("\n".join(outside))
"""
# PostgreSQL's client library is not in the wheel: where the system has none that can be loaded, an office on a
# server says so, and all else goes on.
ON_SERVER = r"""
import bureau
try:
    bureau.open("postgresql://desk@127.0.0.1:1/office", connect_timeout=5)
except bureau.Unavailable as error:
    print(error.field, error)
bureau.open(":memory:", tenant="T").close()
"""
ALLOWED = ("libc.so", "libm.so", "libstdc++.so", "libgcc_s.so", "ld-linux", "libpthread.so", "libdl.so", "librt.so",
           "libsqlite3.so", "libz.so", "libexpat.so", "libcrypto", "libssl", "libffi", "libbz2", "liblzma", "libuuid")


def main(wheel):
    with tempfile.TemporaryDirectory() as folder:
        clean = {"PATH": "/usr/bin:/bin", "HOME": folder, "LC_ALL": "C.UTF-8"}
        subprocess.run([sys.executable, "-m", "venv", f"{folder}/venv"], check=True, env=clean)
        subprocess.run([f"{folder}/venv/bin/pip", "install", "--quiet", "--no-index", "--disable-pip-version-check",
                        os.path.abspath(wheel)], check=True, env=clean)
        done = subprocess.run([f"{folder}/venv/bin/python", "-I", "-c", CODE], cwd=folder, env=clean, capture_output=True,
                              text=True)
        assert done.returncode == 0, done.stderr
        # What is left beside the wheel is the interpreter's own and the system's.
        strange = [line for line in done.stdout.split() if not pathlib.Path(line).name.startswith(ALLOWED)]
        assert not strange, f"the module loads from outside the wheel: {strange}"
        pathlib.Path(folder, "libpq.so.5").write_text("no library")
        told = subprocess.run([f"{folder}/venv/bin/python", "-I", "-c", ON_SERVER], cwd=folder, capture_output=True, text=True,
                              env={**clean, "LD_LIBRARY_PATH": folder})
        assert told.stdout.startswith("libpq ") and told.returncode == 0, told.stdout + told.stderr
        print(f"{os.path.basename(wheel)}: installed and used in a clean environment")


if __name__ == "__main__":
    main(*sys.argv[1:])
