"""libws.asyncio: connections that are awaited and iterated over."""

import libws

import common


def _connect(options):
    tls = libws.TLSOptions(insecure_no_verify=True) if options.url.startswith("wss") else None
    return libws.connect(options.url, tls=tls)


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
    tls = options.tls_cert and libws.TLSOptions(certfile=options.tls_cert, keyfile=options.tls_key)
    async with libws.serve(_echo, common.HOST, 0, tls=tls or None) as server:
        common.announce(server.port)
        await common.for_ever()


common.main(receive=receive, echo=echo, serve=serve)
