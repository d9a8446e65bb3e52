#!/usr/bin/env python3
"""The rules of the tree that neither compiler nor formatter can see.

    tidy.py ROOT [--build FOLDER]   check a tree; with a build folder, also what is built and tested
    tidy.py --canaries FOLDER       check that each rule reports what it must, and nothing else

A finding is one line on stdout, `file:line: rule: what to do`; the exit code is 1 when there are any.
A line that has a reason to break a rule says so, on itself or on the line above:
    // tidy: allow RULE, because REASON
"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from typing import Dict, Iterator, List, NamedTuple


class Finding(NamedTuple):
    path: str
    line: int
    rule: str
    text: str


Tree = Dict[str, str]  # path from the root, with slashes -> text

# --- layers: each includes only those above it in docs and in this list -----------------------------

BASE = ["core", "store", "access", "work"]
DOMAINS = ["support", "sales", "projects", "rewards", "finance", "social", "knowledge", "files",
           "notify"]
LAYERS = {layer: set(BASE[:i + 1]) for i, layer in enumerate(BASE)}
LAYERS["ai"] = set(BASE) | {"ai"}  # models are asked within runs
for domain in DOMAINS:
    LAYERS[domain] = set(BASE) | {"ai", domain}
LAYERS["http"] = set(BASE) | {"notify", "http"}  # a component: nothing else knows it
LAYERS["engine"] = set(BASE) | {"ai", "engine"} | set(DOMAINS)
LAYERS["testing"] = LAYERS["engine"] | {"testing"}
POSTGRES = ("src/store/postgres/", "src/access/postgres/")  # the folders of a component's library
COMPONENT_HEADERS = {"libpq-fe.h": "src/store/postgres/"}  # of a component's library: nobody else's
UMBRELLA = "include/bureau/bureau.hpp"  # includes all that a host needs


def layer_of(path: str) -> str:
    """The layer of a path such as include/bureau/core/id.hpp or src/engine.cpp, or of an include."""
    parts = path.split("/")
    if parts[:2] == ["include", "bureau"]:
        parts = parts[2:]
    elif parts[0] in ("src", "bureau"):
        parts = parts[1:]
    return parts[0].rsplit(".", 1)[0] if parts else ""


INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def check_layers(path: str, text: str) -> Iterator[Finding]:
    if not path.startswith(("include/", "src/")) or path == UMBRELLA:
        return
    layer = layer_of(path)
    if layer not in LAYERS:
        yield Finding(path, 1, "layer", f"'{layer}' is no layer; they are {', '.join(LAYERS)}")
        return
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        included = match.group(2)
        component = COMPONENT_HEADERS.get(included)
        if component and not path.startswith((component, "include/")):  # public ones: see `hidden`
            yield Finding(path, number, "layer", f"only {component} includes {included}")
        if included.startswith("store/postgres/") and not path.startswith(POSTGRES):
            yield Finding(path, number, "layer", f"{included} is the component's own")
        own = match.group(1) == '"' and "/" in included
        if not (included.startswith("bureau/") or own and layer_of(included) in LAYERS):
            continue
        target = layer_of(included)
        if target not in LAYERS[layer]:
            yield Finding(path, number, "layer",
                          f"{layer} may not include {target} ({included}); "
                          f"it knows {', '.join(sorted(LAYERS[layer]))}")


# --- banned calls -------------------------------------------------------------------------------------


class Ban(NamedTuple):
    pattern: str
    instead: str
    where: tuple  # path prefixes that the ban covers
    allowed: tuple = ()  # path prefixes that are the replacement's own body


LIBRARY = ("include/", "src/")
BANS = [
    Ban(r"\b(?:system_clock|steady_clock|high_resolution_clock|utc_clock)::now\b",
        "bureau::Clock, which is injected", LIBRARY + ("tests/",), ("src/core/clock",)),
    Ban(r"\b(?:gettimeofday|clock_gettime|localtime|gmtime)(?:_r)?\s*\(",
        "bureau::Clock and core/civil.hpp", LIBRARY + ("tests/",), ("src/core/clock",)),
    Ban(r"(?<![\w:.>])(?:std::)?time\s*\(\s*(?:nullptr|NULL|0|&)", "bureau::Clock",
        LIBRARY + ("tests/",)),
    Ban(r"\brandom_device\b|\bgetrandom\s*\(|\brandombytes_\w+\s*\(", "bureau::Random, which is injected",
        LIBRARY + ("tests/",), ("src/core/random",)),
    Ban(r"(?<![\w:.>])(?:std::)?s?rand\s*\(", "bureau::Random, which is injected",
        LIBRARY + ("tests/",)),
    Ban(r"\bsleep_(?:for|until)\s*\(|(?<![\w:.>])(?:(?:::)?(?:u|nano)sleep|::sleep)\s*\(",
        "Clock::wait_until, or wait for the event itself", LIBRARY + ("tests/",)),
    Ban(r"\bstd::(?:cout|cerr|clog)\b|(?<![\w:.>])(?:std::)?(?:printf|puts|putchar)\s*\("
        r"|\b(?:fprintf|fputs|fputc)\s*\((?:[^;]*\b(?:stdout|stderr)\b)?",
        "the log sink, or a Result", LIBRARY),
    Ban(r"\b(?:secure_)?getenv\s*\(|\bsetlocale\s*\(|\bsetenv\s*\(|\bputenv\s*\(",
        "an option: a library reads no process globals", LIBRARY),
    Ban(r"(?<![\w:.>])(?:std::|::)?(?:signal|sigaction)\s*\(\s*SIG|\bstd::(?:quick_)?exit\s*\("
        r"|(?<![\w:.>])_?exit\s*\(", "a Result: signals and the process are the host's", LIBRARY),
]

_TOKENS = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^\s()\\]{0,16})\(.*?\)(?P=tag)"'
    r"|\"(?:\\.|[^\"\\\n])*\"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.S)


def code_only(text: str) -> str:
    """The text with comments and literals blanked; lines and columns stay."""
    return _TOKENS.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def check_bans(path: str, text: str) -> Iterator[Finding]:
    code = code_only(text)
    for ban in BANS:
        if not path.startswith(ban.where) or path.startswith(ban.allowed or ("\0",)):
            continue
        for match in re.finditer(ban.pattern, code):
            yield Finding(path, code.count("\n", 0, match.start()) + 1, "banned",
                          f"`{' '.join(match.group().split())}`: use {ban.instead}")


# --- headers ------------------------------------------------------------------------------------------

HIDDEN = re.compile(r"^(sqlite3(ext)?\.h|SQLiteCpp/|libpq-fe\.h|nlohmann/|pybind11/|fmt/|date/|curl/"
                    r"|sodium\b|rapidcheck|doctest)")


def check_headers(path: str, text: str) -> Iterator[Finding]:
    if path.endswith(".hpp") and not re.search(r"^#pragma once$", text, re.M):
        yield Finding(path, 1, "pragma", "a header begins with #pragma once")
    if not path.startswith("include/"):
        return
    adapter = path.startswith("include/bureau/testing/")
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match and HIDDEN.match(match.group(2)):
            if adapter and match.group(2).startswith(("doctest", "rapidcheck")):
                continue
            yield Finding(path, number, "hidden",
                          f"{match.group(2)} stays inside the library: a host must not need it")
    for match in re.finditer(r"^\s*using\s+namespace\b", code_only(text), re.M):
        yield Finding(path, code_only(text).count("\n", 0, match.end()) + 1, "using",
                      "a public header opens no namespace for its includers")


def check_own_header(tree: Tree) -> Iterator[Finding]:
    """src/x/y.cpp includes bureau/x/y.hpp first: that is how the header is shown to stand alone."""
    for path, text in tree.items():
        if not (path.startswith("src/") and path.endswith(".cpp")):
            continue
        own = f"bureau/{path[len('src/'):-len('.cpp')]}.hpp"
        if f"include/{own}" not in tree:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            match = INCLUDE.match(line)
            if match:
                if match.group(2) != own:
                    yield Finding(path, number, "own-header", f"include {own} before all else")
                break


NAMESPACE = re.compile(r"^\s*(?:inline\s+)?namespace\s+bureau\b", re.M)


def check_namespace(path: str, text: str) -> Iterator[Finding]:
    if not path.startswith(LIBRARY) or path == "include/bureau/core/config.hpp":
        return
    code = code_only(text)
    for match in NAMESPACE.finditer(code):
        yield Finding(path, code.count("\n", 0, match.end()) + 1, "namespace",
                      "open it with BUREAU_BEGIN_NAMESPACE, which carries the ABI version")


# --- texts of all kinds -------------------------------------------------------------------------------

UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|HA" r"CK)\b")
MACHINE_PATH = re.compile(r"(?:^|[\s\"'`=(,:\[])(/(?:work|root|home)/[\w.-]+)")


def check_texts(path: str, text: str) -> Iterator[Finding]:
    for number, line in enumerate(text.splitlines(), 1):
        match = UNFINISHED.search(line)
        if match:
            yield Finding(path, number, "unfinished",
                          f"{match.group()}: do it, or say in plain words what is not there and why")
        match = MACHINE_PATH.search(line)
        if match:
            yield Finding(path, number, "machine-path",
                          f"{match.group(1)} is a path of one machine")


# --- code in the docs -------------------------------------------------------------------------------

CPP_BLOCK = re.compile(r"^```cpp\n(.*?)^```$", re.M | re.S)


def bare_lines(text: str) -> List[str]:
    """Its lines without indentation, the empty ones left out."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def check_docs_code(tree: Tree) -> Iterator[Finding]:
    """C++ that a page shows stands in an example, line for line: what is shown is what compiles."""
    examples = ["\n".join([""] + bare_lines(text) + [""]) for path, text in tree.items()
                if path.startswith("examples/") and path.endswith((".cpp", ".hpp"))]
    for path, text in tree.items():
        if not path.endswith(".md"):
            continue
        for block in CPP_BLOCK.finditer(text):
            wanted = "\n".join([""] + bare_lines(block.group(1)) + [""])
            if not any(wanted in example for example in examples):
                yield Finding(path, text.count("\n", 0, block.start()) + 2, "docs-code",
                              "no file of examples/ has these lines: cut them from one that does")


# --- what is built and tested -------------------------------------------------------------------------

# Sources that this build is not to know: they are compiled by a test of their own, or by the
# sanitizer build alone.
APART = ("tests/tidy/fixtures/", "tests/package/misuse/", "tests/package/consumer/", "tests/fuzz/")


def check_test_names(tree: Tree) -> Iterator[Finding]:
    for path in tree:
        parts = path.split("/")
        if parts[0] != "tests" or len(parts) < 3 or not path.endswith(".cpp"):
            continue
        if path.startswith(APART) or f"tests/{parts[1]}/CMakeLists.txt" in tree:
            continue
        if len(parts) > 3:
            yield Finding(path, 1, "unregistered", "a deeper folder needs a CMakeLists.txt that builds it")
        elif not path.endswith("_test.cpp"):
            yield Finding(path, 1, "unregistered", "only *_test.cpp is built here: rename it")


def check_build(tree: Tree, root: pathlib.Path, build: pathlib.Path) -> Iterator[Finding]:
    """Every source is compiled by the build, and every program with tests is run by CTest."""
    compiled = set()
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = (pathlib.Path(entry["directory"]) / entry["file"]).resolve()
        compiled.add(source)
        if source.is_relative_to(build.resolve()) and source.name.startswith("unity_"):
            for included in re.findall(r'^#include "(.+)"$', source.read_text(), re.MULTILINE):
                compiled.add((source.parent / included).resolve())
    left_out = build / "left_out.txt"  # folders whose library is not on this machine
    apart = APART + tuple(left_out.read_text().split() if left_out.exists() else ())
    for path in tree:
        if path.endswith(".cpp") and not path.startswith(apart):
            if (root / path).resolve() not in compiled:
                yield Finding(path, 1, "unregistered", "no target compiles it")
    listing = subprocess.run([shutil.which("ctest") or "ctest", "--show-only=json-v1"], cwd=build,
                             check=True, capture_output=True, text=True).stdout
    run = {pathlib.Path(word).name for test in json.loads(listing)["tests"]
           for word in test.get("command", [])}
    for folder in sorted({path.split("/")[1] for path in tree
                          if re.fullmatch(r"tests/[^/]+/[^/]+_test\.cpp", path)}):
        if f"tests/{folder}/CMakeLists.txt" not in tree and f"{folder}_tests" not in run:
            first = min(path for path in tree if path.startswith(f"tests/{folder}/")
                        and path.endswith("_test.cpp"))
            yield Finding(first, 1, "unregistered", f"CTest does not run {folder}_tests")


# --- the whole ----------------------------------------------------------------------------------------

ALLOW = re.compile(r"(?://|#)\s*tidy: allow ([\w-]+), because \S+")


def allowed(tree: Tree, finding: Finding) -> bool:
    lines = tree.get(finding.path, "").splitlines()
    near = lines[max(0, finding.line - 2):finding.line]
    return any(match.group(1) == finding.rule for line in near for match in ALLOW.finditer(line))


def check(tree: Tree) -> List[Finding]:
    findings = list(check_test_names(tree)) + list(check_own_header(tree))
    findings += check_docs_code(tree)
    for path, text in tree.items():
        findings += check_texts(path, text)
        if path.endswith((".cpp", ".hpp")):
            for rule in (check_layers, check_bans, check_headers, check_namespace):
                findings += rule(path, text)
    return [finding for finding in findings if not allowed(tree, finding)]


TEXTS = (".cpp", ".hpp", ".c", ".h", ".py", ".md", ".txt", ".cmake", ".in", ".json", ".sh", ".yml")
FOLDERS = ("include", "src", "tests", "examples", "benchmarks", "bindings", "cmake", "docs", ".ci")


def read_tree(root: pathlib.Path) -> Tree:
    """The texts of the project's own folders and of its root; what else lies there is not ours."""
    files = [path for path in root.iterdir() if path.is_file()]
    for folder in FOLDERS:
        files += [path for path in (root / folder).rglob("*") if path.is_file()]
    tree = {}
    for path in sorted(files):
        name = path.relative_to(root).as_posix()
        if "/fixtures/" in name or "/build/" in name or name.startswith("build/"):
            continue
        if path.suffix in TEXTS or path.name in ("dev", "run"):
            tree[name] = path.read_text(encoding="utf-8")
    return tree


def check_canaries(fixtures: pathlib.Path) -> int:
    """A fixture marks the lines to be reported with `expect: RULE`. Every rule needs one."""
    tree = read_tree(fixtures)
    expected = {(path, number, rule) for path, text in tree.items()
                for number, line in enumerate(text.splitlines(), 1)
                for rule in re.findall(r"\bexpect: ([\w-]+)", line)}
    with tempfile.TemporaryDirectory() as folder:  # CTest leaves its logs where it looks
        build = pathlib.Path(folder)
        commands = (fixtures / "built/commands.json").read_text()
        (build / "compile_commands.json").write_text(
            commands.replace("@root@", str(fixtures.resolve())))
        shutil.copy(fixtures / "built/CTestTestfile.cmake", build)
        findings = check(tree) + list(check_build(tree, fixtures, build))
    found = {(finding.path, finding.line, finding.rule) for finding in findings}
    for path, number, rule in sorted(expected - found):
        print(f"{path}:{number}: the rule '{rule}' does not report this")
    for path, number, rule in sorted(found - expected):
        print(f"{path}:{number}: the rule '{rule}' reports this and should not")
    rules = set(re.findall(r'Finding\((?:path|first),[^"]*"([\w-]+)"', pathlib.Path(__file__).read_text()))
    untested = rules - {rule for _, _, rule in expected}
    for rule in sorted(untested):
        print(f"the rule '{rule}' has no fixture")
    return 1 if expected != found or untested or not expected else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--build", type=pathlib.Path)
    parser.add_argument("--canaries", action="store_true")
    arguments = parser.parse_args()
    if arguments.canaries:
        return check_canaries(arguments.root)
    tree = read_tree(arguments.root)
    findings = check(tree)
    if arguments.build:
        findings += check_build(tree, arguments.root, arguments.build)
    for finding in sorted(findings):
        print(f"{finding.path}:{finding.line}: {finding.rule}: {finding.text}")
    print(f"tidy: {len(tree)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
