#!/usr/bin/env python3
"""Makes a wheel of the built package with the libraries that it needs inside: wheel.py BUILD OUT

What every Debian and every manylinux has stays outside; the others are copied, renamed by their
content (so that a process may hold the system's SQLite beside the wheel's) and found beside the module.
"""

import base64
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile

SYSTEM = re.compile(r"(lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+)|ld-linux[\w-]*)\.so")


def run(*words):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


def needed(library):
    return run("patchelf", "--print-needed", library).split()


def paths_of(module):
    """Where the loader finds each library, by its name."""
    found = {}
    for line in run("ldd", module).splitlines():
        match = re.match(r"\s*(\S+) => (\S+)", line)
        if match:
            found[match.group(1)] = pathlib.Path(match.group(2))
    return found


def bundle(module, folder):
    """Copies what the module needs beside it; returns the new names."""
    where = paths_of(module)
    names = {}
    todo = [name for name in needed(module) if not SYSTEM.match(name)]
    while todo:
        name = todo.pop()
        if name in names:
            continue
        content = where[name].read_bytes()
        stem, _, rest = name.partition(".so")
        names[name] = f"{stem}-{hashlib.sha256(content).hexdigest()[:8]}.so{rest}"
        target = folder / names[name]
        target.write_bytes(content)
        target.chmod(0o755)
        todo += [one for one in needed(target) if not SYSTEM.match(one)]
    for name, new in names.items():
        target = folder / new
        run("patchelf", "--set-soname", new, "--set-rpath", "$ORIGIN", target)
        for one in needed(target):
            if one in names:
                run("patchelf", "--replace-needed", one, names[one], target)
    for one in needed(module):
        if one in names:
            run("patchelf", "--replace-needed", one, names[one], module)
    run("patchelf", "--set-rpath", f"$ORIGIN/{folder.name}", module)
    return names


def glibc():
    return "_".join(os.confstr("CS_GNU_LIBC_VERSION").split()[1].split(".")[:2])


def platform(many=False):
    """The tag of this machine, or of all with its C library or a newer one."""
    here = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return here.replace("linux", f"manylinux_{glibc()}", 1) if many else here


def copy(built, folder):
    """The package from the build folder, its module without symbols; the module's path."""
    shutil.copytree(built / "bureau", folder / "bureau", ignore=shutil.ignore_patterns("__pycache__"))
    (module,) = (folder / "bureau").glob("_bureau*.so")
    run("strip", "--strip-unneeded", module)
    return module


def write(folder, out, version, platform):
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    name = f"bureau-{version}-{tag}-{tag}-{platform}.whl"
    info = folder / f"bureau-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: bureau\nVersion: {version}\nSummary: The back office in a library\n"
        "License: MIT\nRequires-Python: >=3.11\n")
    (info / "WHEEL").write_text(
        f"Wheel-Version: 1.0\nGenerator: bureau\nRoot-Is-Purelib: false\nTag: {tag}-{tag}-{platform}\n")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    record = ""
    for path in files:
        digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
        record += f"{path.relative_to(folder)},sha256={digest},{path.stat().st_size}\n"
    record += f"{info.name}/RECORD,,\n"
    (info / "RECORD").write_text(record)
    out.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path in [*files, info / "RECORD"]:
            wheel.write(path, path.relative_to(folder))
    return out / name


def main(build, out):
    built = pathlib.Path(build)
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        module = copy(built, folder)
        (folder / "bureau" / "_libs").mkdir()
        bundle(module, folder / "bureau" / "_libs")
        version = run(sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(built)!r}); import bureau; "
                                                  "print(bureau.__version__)").strip()
        print(write(folder, pathlib.Path(out), version, platform(many=True)))


if __name__ == "__main__":
    main(*sys.argv[1:])
