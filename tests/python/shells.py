"""For the tests of libws.asyncio and libws.sync: loops, limits, certificates."""

import asyncio
import contextlib
import inspect
import shutil
import subprocess

import pytest
import uvloop

from core_peers import Peer

LIMIT = 60  # Seconds; more than any test here takes.

RUNNERS = {"asyncio": asyncio.run, "uvloop": uvloop.run}


def async_test(test):
    """Runs a coroutine function as a test, on asyncio's loop and on uvloop.

    Whatever the loop's exception handler is told of fails it, unless the test
    takes it out of `asyncio.get_running_loop().reported`.
    """

    async def limited(arguments):
        reported = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: reported.append(context))
        if "reported" in inspect.signature(test).parameters:
            arguments["reported"] = reported
        await asyncio.wait_for(test(**arguments), LIMIT)
        assert reported == []

    def run(loop_kind, **arguments):
        RUNNERS[loop_kind](limited(arguments))

    signature = inspect.signature(test)
    kind = inspect.Parameter("loop_kind", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    others = [one for name, one in signature.parameters.items() if name != "reported"]
    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    run.__signature__ = signature.replace(parameters=[kind, *others])
    return pytest.mark.parametrize("loop_kind", RUNNERS)(run)


async def turns(count=20):
    """Lets the loop turn, so that what can happen at once has happened."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition):
    """Lets the loop turn until the condition holds."""
    while not condition():
        await asyncio.sleep(0.001)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Files of a certificate for localhost and 127.0.0.1, and of its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    )
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    subprocess.run(
        [shutil.which("openssl"), *command.split(), "-addext", names, "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    return str(cert), str(key)


@contextlib.asynccontextmanager
async def peering(*scripts):
    """A Peer whose end is waited for while the loop turns."""
    peer = Peer(*scripts)
    peer.__enter__()
    try:
        yield peer
    except BaseException as error:
        await asyncio.to_thread(peer.__exit__, type(error), error, None)
        raise
    await asyncio.to_thread(peer.__exit__, None, None, None)
