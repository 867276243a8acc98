"""chat_server.py - rooms in which everybody hears everybody.

    python chat_server.py [PORT]

The path of the URL is the room: all that come to ws://127.0.0.1:8080/tea are
together. The first message of a client is its name, all others are said to the
room. A room is a topic: a message is framed once, however many hear it.
"""

import asyncio
import sys

from libws.asyncio import ServerConnection, route

MAX_NAME = 31


async def visit(ws: ServerConnection, room: str) -> None:
    name = await ws.recv(decode=True)
    if not 0 < len(name) <= MAX_NAME:
        await ws.close(1008, "a name first, please")
        return
    ws.subscribe(room)
    ws.server.publish(room, f"{name} has come")
    try:
        async for line in ws:
            if isinstance(line, str):
                ws.server.publish(room, f"{name}: {line}")
    finally:
        ws.server.publish(room, f"{name} has gone")


async def main(port: int) -> None:
    async with route({"/{room}": visit}, "127.0.0.1", port, max_size=2048) as server:
        print("listening on", server.urls[0], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8080))
    except KeyboardInterrupt:
        pass  # serve_forever() was cancelled, and has closed everything.
