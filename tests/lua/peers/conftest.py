"""Tests of the Lua rock with real peers, in both directions.

Python only starts and watches processes here. What is tested are echo_server.lua
and echo_client.lua, with the rock of tests/lua/run.sh; the support is that of
tests/peers.
"""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TOP = HERE.parents[2]
sys.path.insert(0, str(TOP / "tests" / "peers"))

from support.certs import Authority  # noqa: E402
from support.libws import Programs, Server  # noqa: E402
from support.process import Process  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--prefix", required=True, help="where the C library is installed")
    parser.addoption("--lua", required=True, help="the interpreter")
    parser.addoption("--node", required=True, help="folder with node/ and its packages")
    parser.addoption("--libws-python", help="a Python that has the package libws")


class LuaPrograms(Programs):
    def __init__(self, prefix, lua):
        super().__init__(prefix, "no probe")
        self._lua = lua

    def lua_server(self, *words):
        server = self._start(Server, self._lua, HERE / "echo_server.lua", *words)
        server.read_address()
        # It runs until it is told to end, by a signal that Lua does not catch.
        server.is_foreign = True
        return server

    def lua_client(self, url, *words):
        """Runs the client to its end. Returns the extensions it has seen."""
        client = self._start(Process, self._lua, HERE / "echo_client.lua", url, *words)
        lines = client.read_rest(60)
        assert client.wait() == 0, client.transcript()
        name, _, extensions = lines[-1].partition(": ")
        assert name == "extensions"
        return extensions


@pytest.fixture
def libws(request):
    option = request.config.getoption
    programs = LuaPrograms(option("prefix"), option("lua"))
    yield programs
    programs.finish()


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def identity(authority):
    return authority.issue("server")


@pytest.fixture
def node_folder(request):
    return request.config.getoption("node")
