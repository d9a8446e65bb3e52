"""The package as mypy sees it, and programs that use it."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

import bureau

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = pathlib.Path(bureau.__file__).parent


@pytest.mark.skipif("BUREAU_SANITIZED" in os.environ, reason="nothing of the library runs in it")
def test_types(tmp_path):
    pytest.importorskip("mypy")
    program = HERE / "typed.py"
    done = subprocess.run([sys.executable, "-P", "-m", "mypy", "--config-file", str(HERE.parent / "pyproject.toml"),
                           "--cache-dir", str(tmp_path), str(PACKAGE), str(program)], capture_output=True, text=True)
    found = [re.match(r"(.*?):(\d+): error: (.*)", line) for line in done.stdout.splitlines()]
    said = {int(one.group(2)): one.group(3) for one in found if one and one.group(1).endswith("typed.py")}
    wanted = {number: line.partition("# error: ")[2] for number, line in enumerate(program.read_text().splitlines(), 1)
              if "# error: " in line}
    elsewhere = [line for line in done.stdout.splitlines() if ": error: " in line and "typed.py" not in line]
    assert elsewhere == [] and set(said) == set(wanted), done.stdout[-3000:] + done.stderr
    for number, words in wanted.items():
        assert words in said[number].replace("Type[", "type["), number


def test_every_column_has_a_type():
    text = (PACKAGE / "_rows.pyi").read_text()
    for table, name in bureau._bureau._entities():
        if not name:
            continue
        body = re.search(rf"^class {name}\(Row\):\n((?:    .*\n)+)", text, re.M).group(1)
        columns = re.findall(r"^    (\w+): _Cell\[", body, re.M)
        assert set(bureau.rows.row_class(table).__columns__) <= set(columns), name


def test_the_reference_is_what_the_docstrings_say(tmp_path):
    made = tmp_path / "python-api.md"
    subprocess.run([sys.executable, "-P", HERE.parent / "make_reference.py", made], check=True)
    kept = HERE.parents[2] / "docs" / "python-api.md"
    assert kept.read_text() == made.read_text(), "run ./dev docs"


def test_what_few_programs_need_is_imported_when_it_is_asked_for():
    code = """
import sys
import bureau
late = {"bureau." + name for name in ("classifier", "desk", "desk_agents", "flow", "housekeeping", "inbox", "migrations", "network", "operating", "workflows")}
assert not late & set(sys.modules), late & set(sys.modules)
from bureau import *
assert Migration is bureau.Migration and verify is bureau.verify and "bureau.desk" not in sys.modules
"""
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
