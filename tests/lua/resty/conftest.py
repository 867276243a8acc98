"""Tests of libws.resty in a real nginx with the Lua module.

run.sh builds the rock and calls pytest. Each test starts its own nginx, whose
handlers stand in handlers.lua, and fails if nginx logs an error that the test
did not expect.
"""

import subprocess

import pytest

from support.frames import Client
from support.nginx import Nginx

def pytest_addoption(parser):
    parser.addoption("--tree", required=True, help="where the rock for LuaJIT is installed")
    parser.addoption("--libws", help="the command libws")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows nginx's log of a failed test."""
    report = yield
    start = item.funcargs.get("start")
    if report.failed and start is not None:
        for nginx in start.running:
            report.sections.append(("nginx", nginx.log()))
    return report


@pytest.fixture
def start(request, tmp_path):
    """Starts an nginx: start(http="", server="", workers=1)."""

    def starter(make=Nginx, **options):
        folder = tmp_path / f"nginx{len(starter.running)}"
        folder.mkdir()
        nginx = make(folder, request.config.getoption("tree"), **options)
        starter.running.append(nginx)
        return nginx

    starter.running = []
    yield starter
    for nginx in starter.running:
        nginx.stop()
    for nginx in starter.running:
        assert nginx.errors() == nginx.expected_errors()


@pytest.fixture
def nginx(start):
    return start()


@pytest.fixture
def connect(nginx):
    """Opens a WebSocket to a handler: connect("echo")."""
    clients = []

    def connector(name, *args, **options):
        clients.append(Client(nginx.port, "/app/" + name, *args, **options))
        return clients[-1]

    yield connector
    for client in clients:
        client.socket.close()


@pytest.fixture
def libws(request):
    """The command libws."""
    program = request.config.getoption("libws")
    if not program:
        pytest.skip("--libws PROGRAM was not given")
    return program


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """(certificate, key) for localhost and 127.0.0.1; it is its own authority."""
    folder = tmp_path_factory.mktemp("certificate")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        + ["-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )
    return cert, key
