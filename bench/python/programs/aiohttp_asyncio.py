"""aiohttp: its WebSockets, of client and server."""

from aiohttp import ClientSession, WSMsgType, web

import common


def _connect(session, options):
    return session.ws_connect(options.url, ssl=common.client_context(options) or True, max_msg_size=0)


async def receive(options, meter):
    count = 0
    async with ClientSession() as session, _connect(session, options) as connection:
        meter.start(lambda: count)
        async for _ in connection:
            count += 1


async def echo(options, meter):
    count = 0
    payload = b"x" * options.size
    async with ClientSession() as session, _connect(session, options) as connection:
        meter.start(lambda: count)
        while True:
            await connection.send_bytes(payload)
            await connection.receive_bytes()
            count += 1


async def _echo(request):
    connection = web.WebSocketResponse(compress=False, max_msg_size=0)
    await connection.prepare(request)
    async for message in connection:
        if message.type == WSMsgType.TEXT:
            await connection.send_str(message.data)
        else:
            await connection.send_bytes(message.data)
    return connection


async def serve(options):
    application = web.Application()
    application.router.add_get("/{path:.*}", _echo)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, common.HOST, 0, ssl_context=common.server_context(options))
    await site.start()
    common.announce(runner.addresses[0][1])
    await common.for_ever()


common.main(receive=receive, echo=echo, serve=serve)
