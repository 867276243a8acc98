"""prices_client.py - follows prices, and never works on old ones.

    python prices_client.py ws://127.0.0.1:8080/prices [ROUNDS]

What came while the program was busy is taken all at once, and of each share only
the latest price counts. When the connection is lost, it is made again: after a
random time that grows with each failure.
"""

import asyncio
import json
import sys

from libws import ConnectionClosed
from libws.asyncio import ClientConnection, connect


async def follow(ws: ClientConnection, rounds: int | None) -> None:
    count = 0
    while rounds is None or count < rounds:
        latest: dict[str, float] = {}
        messages = await ws.recv_many()
        for message in messages:
            tick = json.loads(message)
            latest[tick["share"]] = tick["price"]
        print(f"{len(messages):4} messages:", latest, flush=True)
        await asyncio.sleep(0.1)  # What takes its time.
        count += 1


async def main(url: str, rounds: int | None = None) -> None:
    # More messages may wait than by default, as they are wanted all at once.
    async for ws in connect(url, max_queue=1000):
        try:
            await follow(ws, rounds)
            return
        except ConnectionClosed as error:
            print(f"lost ({error}), connecting again", file=sys.stderr, flush=True)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: prices_client.py URL [ROUNDS]")
    try:
        asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
    except KeyboardInterrupt:
        pass
