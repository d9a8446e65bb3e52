"""Builds the package from the tree, for `pip install bindings/python`: it needs CMake, Ninja, a compiler and
what packages.txt lists for the library, and nothing from an index.

A build that is there already can be named: pip install --config-settings build=build/release bindings/python
"""

import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import wheel  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEFT_OUT = [f"-DBUREAU_{part}=OFF" for part in ("TESTS", "EXAMPLES", "BENCHMARKS", "HTTP", "INSTALL")]


def get_requires_for_build_wheel(config_settings=None):
    return []


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    with tempfile.TemporaryDirectory() as scratch:
        given = (config_settings or {}).get("build")
        build = pathlib.Path(given).resolve() if given else pathlib.Path(scratch) / "build"
        if not given:
            run("cmake", "-S", ROOT, "--preset", "release", "-B", build, f"-DPython3_EXECUTABLE={sys.executable}", *LEFT_OUT)
        run("cmake", "--build", build, "--target", "bureau_python", "--parallel", str(os.cpu_count() or 1))
        folder = pathlib.Path(scratch) / "wheel"
        wheel.copy(build / "bindings" / "python", folder)
        return wheel.write(folder, pathlib.Path(wheel_directory), version(), wheel.platform()).name


def build_sdist(sdist_directory, config_settings=None):
    raise NotImplementedError("the package is built from the whole tree")


def version():
    """As the library's header has it."""
    header = (ROOT / "include" / "bureau" / "core" / "config.hpp").read_text()
    return ".".join(line.split()[-1] for line in header.splitlines() if line.startswith("#define BUREAU_VERSION_"))


def run(*words):
    subprocess.run([str(word) for word in words], check=True)
