"""What is installed, and what the build says when something is missing."""

import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys

import libws
import pytest
from libws import _core

TOP = pathlib.Path(__file__).resolve().parents[2]


def version_of_header():
    text = (TOP / "libws/include/ws/base.h").read_text()
    return ".".join(re.findall(r"^#define WS_VERSION_\w+ (\d+)", text, re.MULTILINE))


def test_the_version_is_that_of_the_header():
    assert libws.__version__ == _core.__version__ == version_of_header()
    assert importlib.metadata.version("libws") == version_of_header()


@pytest.mark.parametrize(
    "name", ["setup.py", "pyproject.toml", "CMakeLists.txt", "libws-scm-1.rockspec"]
)
def test_the_version_stands_in_one_place(name):
    """Other builds read it there, so none of them has one of its own."""
    assert not re.search(r"(?<![\d.])0\.\d+\.\d+(?![\d.])", (TOP / name).read_text())


@pytest.mark.parametrize("folder", ["python/libws", "lua/libws", "bindings", "cli", "packaging"])
def test_no_source_repeats_the_version(folder):
    files = [
        path
        for path in (TOP / folder).rglob("*")
        if path.suffix in {".py", ".pyi", ".lua", ".c", ".h", ".cmake", ".txt"}
    ]
    assert files
    assert [path for path in files if f'"{version_of_header()}"' in path.read_text()] == []


def symbols(*options):
    """Names of dynamic symbols of the module."""
    run = subprocess.run(
        ["nm", "-D", *options, _core.__file__], capture_output=True, text=True, check=True
    )
    return [line.split()[-1].split("@")[0] for line in run.stdout.splitlines()]


@pytest.mark.skipif(sys.platform != "linux", reason="nm -D is for ELF")
def test_only_the_module_is_exported():
    assert symbols("--defined-only") == ["PyInit__core"]


@pytest.mark.skipif(sys.platform != "linux", reason="nm -D is for ELF")
def test_no_libws_of_the_system_is_needed():
    assert [name for name in symbols("--undefined-only") if name.startswith("ws_")] == []


def test_types_go_with_the_package():
    package = pathlib.Path(libws.__file__).parent
    assert (package / "py.typed").exists()
    assert (package / "_core.pyi").exists()


def test_the_licence_goes_with_the_package():
    metadata = importlib.metadata.metadata("libws")
    assert (metadata["License-Expression"] or metadata["License"]) == "MIT"
    assert metadata.get_all("License-File") == ["LICENSE"]


# -- What is missing


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what the package is built of."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("libws", "python", "bindings/python"):
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
        shutil.copytree(TOP / name, folder / name, ignore=ignore)
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(TOP / name, folder)
    return folder


def build(source, tmp_path, **environment):
    """Builds, and returns what is said in the end; it has to fail."""
    run = subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--build-temp", tmp_path, "--build-lib", tmp_path],
        cwd=source,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    return run.stderr


def without(tmp_path, header):
    """CFLAGS with which a header is as good as not there."""
    path = tmp_path / "include" / header
    path.parent.mkdir(parents=True)
    path.write_text(f"#error {header} is not there\n")
    return f"-I{tmp_path}/include"


@pytest.mark.parametrize(
    ("header", "what", "packages"),
    [
        ("openssl/opensslv.h", "OpenSSL 3", ("libssl-dev", "openssl-devel", "openssl@3")),
        ("zlib.h", "zlib", ("zlib1g-dev", "zlib-devel", "brew install zlib")),
        ("Python.h", "Python", ("python3-dev", "python3-devel", "brew install python")),
    ],
)
def test_a_missing_header_is_named_with_its_packages(source, tmp_path, header, what, packages):
    said = build(source, tmp_path, CFLAGS=without(tmp_path, header))
    assert f"libws cannot be built: the headers of {what} are missing" in said
    for package in packages:
        assert package in said


def test_an_old_openssl_is_as_good_as_none(source, tmp_path):
    path = tmp_path / "include/openssl/opensslv.h"
    path.parent.mkdir(parents=True)
    path.write_text("#define OPENSSL_VERSION_MAJOR 1\n")
    said = build(source, tmp_path, CFLAGS=f"-I{tmp_path}/include")
    assert "the headers of OpenSSL 3 are missing" in said


def test_a_missing_compiler_is_named(source, tmp_path):
    said = build(source, tmp_path, CC="/nonexistent/cc")
    assert "there is no C compiler (/nonexistent/cc does not work)" in said
    for package in ("gcc libc6-dev", "dnf install gcc", "xcode-select"):
        assert package in said
