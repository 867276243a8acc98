"""Runs the programs of the guides that lead here from other packages."""

import asyncio
import contextlib
import io
import pathlib
import subprocess
import sys

import libws
import pytest
from libws.asyncio import connect, serve

from shells import async_test
from test_uvicorn import running

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/docs"))

from documents import Page  # noqa: E402 - found by the line before.


def blocks(guide):
    page = Page(TOP / f"docs/guides/{guide}.md")
    return [block.text for block in page.blocks if block.language == "python"]


async def echo(ws):
    async for message in ws:
        await ws.send(message)


IMPORTS = {
    "from libws import ConnectionClosed": "from websockets.exceptions import ConnectionClosed",
    "from libws.asyncio import connect": "from websockets.asyncio.client import connect",
    "from libws.asyncio import serve": "from websockets.asyncio.server import serve",
}


@pytest.mark.parametrize("package", ["libws", "websockets"])
def test_program_for_websockets_runs_with_either(package):
    imports, program = blocks("from-websockets")
    for ours, theirs in IMPORTS.items():
        assert f"{ours}\n" in program
        assert f"{ours}  # Was: {theirs.rpartition(' import')[0]}\n" in imports
        if package == "websockets":
            program = program.replace(ours, theirs)
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "HELLO\n", "")


@async_test
async def test_programs_for_websocket_client():
    app, ask = blocks("from-websocket-client")
    async with serve(echo, "127.0.0.1", 0) as server:
        url = server.urls[0]
        names = {}
        exec(ask, names)
        assert await asyncio.to_thread(names["ask"], url, "question") == "question"

        names = {}
        app = app.replace("wss://example.com/", url).replace("libws.run()\n", "")
        app = app.replace("print(event.data)", 'print(event.data); ws.close(1000, "bye")')
        closed = asyncio.Event()
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(app, names)
            names["ws"].addEventListener("close", lambda event: closed.set())
            await closed.wait()
        assert output.getvalue() == "hello\nclosed 1000 bye\n"


@async_test
async def test_application_for_fastapi():
    names = {}
    exec(blocks("fastapi")[0], names)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        async with running(names["app"]) as (_, host):
            async with connect(f"ws://{host}/echo") as ws:
                await ws.send("x")
                assert await ws.recv() == "x"
            with pytest.raises(libws.InvalidStatus):
                await connect(f"ws://{host}/other")
    assert output.getvalue() == "closed with 1000\n"
