"""Builds what the benchmark needs, under build/bench-python: the flooding server,
and an environment with the peers of requirements.txt and this libws."""

import filecmp
import shutil
import subprocess
import sys
import venv

from peers import BUILD, CERTIFICATE, ECHO, FLOOD, HERE, LOAD, ROOT, VENV

PACKAGE = (
    "libws", "python", "bindings/python", "setup.py", "pyproject.toml", "MANIFEST.in",
    "README.md", "LICENSE",
)  # fmt: skip


def _pip(*arguments):
    options = ["install", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run([VENV / "bin/pip", *options], check=True)


def _install_peers():
    wanted, had = HERE / "requirements.txt", BUILD / "requirements.txt"
    if not had.exists() or not filecmp.cmp(wanted, had, shallow=False):
        venv.create(VENV, clear=True, with_pip=True)
        _pip("--requirement", wanted)
        shutil.copy(wanted, had)


def _install_libws():
    """From a copy: setuptools leaves its products beside the sources."""
    copy = BUILD / "source"
    shutil.rmtree(copy, ignore_errors=True)
    for name in PACKAGE:
        source, target = ROOT / name, copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    _pip("--force-reinstall", "--no-deps", copy)
    shutil.rmtree(copy)


def prepare():
    for path in (LOAD, ECHO, CERTIFICATE):
        if not path.exists():
            sys.exit(f"{path.name} is missing; tools/bench.sh --quick --only libws builds it.")
    BUILD.mkdir(parents=True, exist_ok=True)
    command = ["cc", "-O2", "-Wall", "-Wextra", "-o", FLOOD, HERE / "flood.c", "-lcrypto"]
    subprocess.run(command, check=True)
    _install_peers()
    _install_libws()
