"""A server and a client of an installed libws, in each of its styles."""

import asyncio

import libws
import libws.asyncio
import libws.sync


async def main():
    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    async with libws.asyncio.serve(echo, "127.0.0.1", 0, compression=True) as server:
        async with libws.asyncio.connect(server.urls[0], compression="deflate") as ws:
            for message in ("text: é", b"bytes", "long " * 10_000):
                await ws.send(message)
                assert await ws.recv() == message


def events():
    def onconnection(ws, request):
        ws.onmessage = lambda e: ws.send(e.data)

    server = libws.WebSocketServer("127.0.0.1", 0, onconnection=onconnection)
    got = []
    ws = libws.WebSocket(server.urls[0])
    ws.onopen = lambda e: ws.send("hi")
    ws.onmessage = lambda e: (got.append(e.data), ws.close(1000))
    ws.onclose = lambda e: server.close()
    libws.run()
    assert got == ["hi"]


def names_of_other_scripts():
    """There is libidn2 in the package, wherever it is installed."""
    ws = libws.WebSocket("ws://天気の良い日.example/")
    assert ws.url == "ws://xn--n8j6ds53lwwkrqhv28a.example/"


asyncio.run(main())
events()
names_of_other_scripts()
print(libws.__version__, libws.__file__)
