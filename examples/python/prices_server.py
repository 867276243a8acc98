"""prices_server.py - an exchange whose prices change all the time.

    python prices_server.py [PORT]

    ws://127.0.0.1:8080/prices          all prices
    ws://127.0.0.1:8080/prices/ACME     those of one share
    ws://127.0.0.1:8080/status          one message, for people who look after it

Handlers are found by the path, and broadcasts go to topics. Whoever reads too
slowly is dropped before much is kept for them: see max_send_queue.
"""

import asyncio
import json
import random
import sys

from libws.asyncio import Server, ServerConnection, route

SHARES = ("ACME", "HOOLI", "UMBRELLA")
INTERVAL = 0.01
ALL = "all"


async def all_prices(ws: ServerConnection) -> None:
    ws.subscribe(ALL)
    await ws.wait_closed()


async def one_price(ws: ServerConnection, share: str) -> None:
    if share not in SHARES:
        await ws.close(4004, "no such share")
        return
    ws.subscribe(share)
    await ws.wait_closed()


async def status(ws: ServerConnection) -> None:
    await ws.send(json.dumps(ws.server.stats()))


async def trade(server: Server) -> None:
    prices = dict.fromkeys(SHARES, 100.0)
    while True:
        for share in SHARES:
            prices[share] = round(prices[share] * random.uniform(0.99, 1.01), 2)
            message = json.dumps({"share": share, "price": prices[share]})
            server.publish(share, message)
            server.publish(ALL, message)
        await asyncio.sleep(INTERVAL)


async def main(port: int) -> None:
    serving = route(
        {"/prices": all_prices, "/prices/{share}": one_price, "/status": status},
        "127.0.0.1",
        port,
        max_send_queue=256 * 1024,
    )
    async with serving as server:
        print("listening on", server.urls[0], flush=True)
        trading = asyncio.create_task(trade(server))
        try:
            await server.serve_forever()
        finally:
            trading.cancel()


if __name__ == "__main__":
    try:
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8080))
    except KeyboardInterrupt:
        pass
