"""chat_client.py - talks in a room of chat_server.py.

    python chat_client.py ws://127.0.0.1:8080/tea NAME

Lines that are typed are said; what others say is printed. Two tasks share one
connection: one receives, the other sends.
"""

import asyncio
import sys

from libws.asyncio import ClientConnection, connect


async def print_all(ws: ClientConnection) -> None:
    async for line in ws:
        print(line, flush=True)


async def say_lines(ws: ClientConnection) -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        await ws.send(line.rstrip("\n"))
    await ws.close()


async def main(url: str, name: str) -> None:
    async with connect(url) as ws:
        await ws.send(name)
        await asyncio.gather(print_all(ws), say_lines(ws))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: chat_client.py URL NAME")
    asyncio.run(main(*sys.argv[1:]))
