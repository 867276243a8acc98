"""websockets: connections that are awaited and iterated over."""

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve as websockets_serve

import common


def _connect(options):
    return connect(options.url, compression=None, ssl=common.client_context(options))


async def receive(options, meter):
    count = 0
    async with _connect(options) as connection:
        meter.start(lambda: count)
        async for _ in connection:
            count += 1


async def echo(options, meter):
    count = 0
    payload = b"x" * options.size
    async with _connect(options) as connection:
        meter.start(lambda: count)
        while True:
            await connection.send(payload)
            await connection.recv()
            count += 1


async def _echo(connection):
    async for message in connection:
        await connection.send(message)


async def serve(options):
    context = common.server_context(options)
    async with websockets_serve(_echo, common.HOST, 0, compression=None, ssl=context) as server:
        common.announce(server.sockets[0].getsockname()[1])
        await server.serve_forever()


common.main(receive=receive, echo=echo, serve=serve)
