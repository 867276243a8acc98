"""Tests of libws with real peers, in both directions.

Python only starts and watches processes here, or plays a peer byte by byte; what
is tested is the command `libws` and the C library through the probe, from an
installed libws (--prefix).
"""

from pathlib import Path

import pytest

from support.certs import Authority
from support.libws import Programs


def pytest_addoption(parser):
    parser.addoption("--prefix", required=True, help="where libws is installed")
    parser.addoption("--probe", required=True, help="the program probe")
    parser.addoption("--out", required=True, help="folder for what the tests make")
    parser.addoption("--node", help="folder with node/ and its packages")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows what the processes of a failed test said."""
    report = yield
    programs = item.funcargs.get("libws")
    if report.failed and programs is not None:
        for process in programs.running:
            report.sections.append(("process", process.transcript()))
    return report


FIGURES = pytest.StashKey()


@pytest.fixture
def show_figure(request):
    """Takes a line with something that was measured, shown at the end."""
    return request.config.stash.setdefault(FIGURES, []).append


def pytest_terminal_summary(terminalreporter, config):
    for figure in config.stash.get(FIGURES, []):
        terminalreporter.write_line(f"measured: {figure}")


@pytest.fixture
def libws(request):
    """Starts the programs under test; see support/libws.py."""
    programs = Programs(request.config.getoption("prefix"), request.config.getoption("probe"))
    yield programs
    programs.finish()


@pytest.fixture(scope="session")
def out(request):
    folder = Path(request.config.getoption("out"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def identity(authority):
    """A certificate with nothing wrong."""
    return authority.issue("good")


@pytest.fixture(scope="session")
def node_folder(request):
    """Where the programs of node/ stand together with npm ws."""
    return request.config.getoption("node")
