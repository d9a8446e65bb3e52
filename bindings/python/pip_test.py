#!/usr/bin/env python3
"""Installs the sources by pip into a clean virtual environment, without an index: pip_test.py [BUILD]

With a build folder what is built there is installed; without one all is built.
"""

import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CODE = r"""
import bureau
from bureau import User
assert "site-packages" in bureau.__file__, bureau.__file__
with bureau.open("office.db", tenant="T") as office:
    ada = office[User].insert(User(email="ada@example.com", role="customer"))
    assert office.tickets.open(customer=ada, body="My grinder howls.").number == 1
print(bureau.__version__)
"""


def main(build=None):
    with tempfile.TemporaryDirectory() as folder:
        clean = {"PATH": "/usr/bin:/bin", "HOME": folder, "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run([sys.executable, "-m", "venv", f"{folder}/venv"], check=True, env=clean)
        settings = ["--config-settings", f"build={pathlib.Path(build).resolve()}"] if build else []
        subprocess.run([f"{folder}/venv/bin/pip", "install", "--quiet", "--no-index", "--disable-pip-version-check",
                        *settings, HERE], check=True, env=clean)
        files = sorted(path.name for path in pathlib.Path(folder).glob("venv/lib/*/site-packages/bureau/*"))
        assert "_rows.pyi" in files and "py.typed" in files, files
        subprocess.run([f"{folder}/venv/bin/python", "-I", "-c", CODE], cwd=folder, env=clean, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
