"""LIBWS_TRACE: what goes over the wire, as docs/guides/debugging.md says."""

import os
import re
import subprocess
import sys
import textwrap

import pytest

ASYNCIO = """
    import asyncio, libws

    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    async def main():
        async with libws.serve(echo, "127.0.0.1", 0) as server:
            headers = {"Authorization": "Bearer sesame"}
            url = f"ws://127.0.0.1:{server.port}/chat"
            async with libws.connect(url, additional_headers=headers, proxy=None) as ws:
                await ws.send("hello")
                assert await ws.recv() == "hello"

    asyncio.run(main())
"""

BLOCKING = """
    import threading, libws.sync

    def echo(ws):
        for message in ws:
            ws.send(message)

    with libws.sync.serve(echo, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        headers = {"Authorization": "Bearer sesame"}
        url = f"ws://127.0.0.1:{server.port}/chat"
        with libws.sync.connect(url, additional_headers=headers, proxy=None) as ws:
            ws.send("hello")
            assert ws.recv() == "hello"
        server.shutdown()
"""

LINES = [
    "* connected to 127.0.0.1:",
    "* from 127.0.0.1:",
    "> GET /chat HTTP/1.1",
    "< GET /chat HTTP/1.1",
    "> Authorization: (hidden)",
    "< HTTP/1.1 101 Switching Protocols",
    "> text FIN 5 hello",
    "< text FIN 5 hello",
    "> close FIN 2 1000",
    "< close FIN 2 1000",
    "* closed 1000 clean",
]


def run_traced(code, place):
    environment = {**os.environ, "LIBWS_TRACE": place}
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stderr


def assert_traced(text):
    lines = text.splitlines()
    for line in lines:
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z #\d+ [<>*] ", line), line
    for wanted in LINES:
        assert any(f" {wanted}" in line for line in lines), wanted
    assert "sesame" not in text


@pytest.mark.parametrize("code", [ASYNCIO, BLOCKING], ids=["asyncio", "sync"])
def test_a_file_gets_a_line_for_each_frame(code, tmp_path):
    path = tmp_path / "trace"
    assert run_traced(code, str(path)) == ""
    assert_traced(path.read_text())


def test_1_is_the_standard_error():
    assert_traced(run_traced(ASYNCIO, "1"))
