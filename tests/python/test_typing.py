"""The types and docstrings of the package: complete, and taken by mypy and pyright."""

import importlib
import inspect
import json
import os
import pathlib
import pkgutil
import subprocess
import sys

import libws
import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = pathlib.Path(libws.__file__).parent
EXAMPLES = TOP / "examples/python"

# The oldest version that the package runs with.
OLDEST = "3.10"


def check(*command, cwd):
    # The package is found as those find it who use it: by its py.typed.
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def pyright_project(tmp_path):
    settings = {
        "include": [os.path.relpath(path, tmp_path) for path in (PACKAGE, EXAMPLES)],
        "extraPaths": [str(PACKAGE.parent)],
        "pythonVersion": OLDEST,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    return tmp_path


def test_mypy_finds_nothing(tmp_path):
    cache = f"--cache-dir={tmp_path}"
    check("mypy", "--strict", f"--python-version={OLDEST}", cache, "-p", "libws", cwd=tmp_path)
    check("mypy", "--strict", f"--python-version={OLDEST}", cache, EXAMPLES, cwd=tmp_path)


def test_pyright_finds_nothing(pyright_project):
    check("pyright", "--pythonpath", sys.executable, "-p", ".", cwd=pyright_project)


def test_every_public_name_has_a_type(pyright_project):
    options = ("--pythonpath", sys.executable, "--ignoreexternal", "-p", ".")
    check("pyright", *options, "--verifytypes", "libws", cwd=pyright_project)


# Every error stands where one is due: an ignored line without one is an error, too.
MISTAKES = """
import libws
from libws import Event, MessageEvent, WebSocket
from libws.asyncio import connect

class Mine(WebSocket):
    pass

ws: WebSocket = Mine("ws://h/", max_message=5)
ws.url = "x"  # type: ignore
ws.send(5)  # type: ignore
ws.onmessage = 5  # type: ignore
libws.WebSocket("ws://h/", max_mesage=5)  # type: ignore
libws.asyncio.serve(5)  # type: ignore
libws.sync.connect(5)  # type: ignore
libws.Websocket  # type: ignore
Event(5)  # type: ignore
connect("ws://h/", max_message=5)  # type: ignore
"""


def test_checkers_see_mistakes_of_users(tmp_path):
    (tmp_path / "mistakes.py").write_text(MISTAKES)
    cache = f"--cache-dir={tmp_path}/cache"
    check("mypy", "--strict", cache, "mistakes.py", cwd=tmp_path)
    settings = {
        "include": ["mistakes.py"],
        "extraPaths": [str(PACKAGE.parent)],
        "reportUnnecessaryTypeIgnoreComment": "error",
        "reportUnusedExpression": False,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    check("pyright", "--pythonpath", sys.executable, "-p", ".", cwd=tmp_path)


def test_stubs_are_what_the_c_module_shows(tmp_path):
    """Names, arguments, defaults. Kinds of dictionaries are for type checkers only."""
    allowed = tmp_path / "allowed"
    names = ("LoopStats", "ServerStats", "SocketStats", "TLSInfo")
    allowed.write_text("".join(f"libws._core.{name}\n" for name in names))
    options = ("--concise", "--ignore-disjoint-bases", "--allowlist", allowed)
    check("mypy.stubtest", *options, "libws._core", cwd=tmp_path)


# -- Docstrings --------------------------------------------------------------


def modules():
    yield libws
    for found in pkgutil.walk_packages(libws.__path__, "libws."):
        if found.name != "libws.__main__":
            yield importlib.import_module(found.name)


def is_public(name):
    return not name.startswith("_")


def inherits_docstring(owner, name):
    """Whether an attribute has the docstring of one in a base class."""
    found = (vars(base).get(name) for base in owner.__mro__[1:])
    return any(getattr(one, "__doc__", None) for one in found)


def undocumented_members(owner):
    for name, member in vars(owner).items():
        member = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
        is_code = inspect.isroutine(member) or isinstance(member, property)
        is_code = is_code or inspect.isdatadescriptor(member)
        if not is_public(name) or not is_code or inspect.ismemberdescriptor(member):
            continue
        if not member.__doc__ and not inherits_docstring(owner, name):
            yield f"{owner.__module__}.{owner.__qualname__}.{name}"


def undocumented(module):
    """Public classes, functions and members without a docstring, in a module."""
    if not module.__doc__:
        yield module.__name__
    for name, value in vars(module).items():
        is_own = getattr(value, "__module__", "").startswith("libws")
        if not is_public(name) or not is_own or not (
            inspect.isclass(value) or inspect.isroutine(value)
        ):
            continue
        if not value.__doc__:
            yield f"{module.__name__}.{name}"
        if inspect.isclass(value):
            yield from undocumented_members(value)


@pytest.mark.parametrize("module", list(modules()), ids=lambda module: module.__name__)
def test_everything_has_a_docstring(module):
    assert sorted(set(undocumented(module))) == []


@pytest.mark.parametrize("owner", (libws.WebSocket, libws.EventTarget, libws.Event), ids=repr)
def test_signatures_can_be_inspected(owner):
    assert "self" not in inspect.signature(owner).parameters
    for name in filter(is_public, dir(owner)):
        if inspect.isroutine(member := getattr(owner, name)):
            assert "self" in inspect.signature(member).parameters


@pytest.mark.parametrize("name", libws._core.__all__)
def test_names_of_the_c_module_have_docstrings(name):
    value = getattr(libws, name)
    assert value.__doc__
    if inspect.isclass(value):
        assert list(undocumented_members(value)) == []

