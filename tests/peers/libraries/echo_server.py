"""The WebSocket libraries of PyPI as echo servers.

    echo_server.py LIBRARY [--cert FILE --key FILE] [--compression]

Prints the port it listens on, then sends every message back with its type until
it is ended.
"""

import argparse
import asyncio
import ssl

MAX_SIZE = 1 << 25


async def serve_websockets(tls, compression):
    from websockets.asyncio.server import serve

    async def echo(connection):
        async for message in connection:
            await connection.send(message)

    server = await serve(echo, "127.0.0.1", 0, ssl=tls, max_size=MAX_SIZE,
                         compression="deflate" if compression else None)
    return server.sockets[0].getsockname()[1], server


async def serve_aiohttp(tls, compression):
    from aiohttp import WSMsgType, web

    async def echo(request):
        socket = web.WebSocketResponse(compress=compression, max_msg_size=MAX_SIZE)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    application = web.Application()
    application.router.add_get("/", echo)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    return runner.addresses[0][1], runner


async def serve_picows(tls, compression):
    from picows import WSListener, WSMsgType, ws_create_server

    assert not compression, "picows has none"

    class Echo(WSListener):
        """picows hands out frames; a test sends it messages of one frame."""

        def on_ws_frame(self, transport, frame):
            if frame.msg_type is WSMsgType.CLOSE:
                transport.send_close(frame.get_close_code(), frame.get_close_message())
                transport.disconnect()
            elif frame.msg_type is WSMsgType.PING:
                transport.send_pong(frame.get_payload_as_bytes())
            else:
                transport.send(frame.msg_type, frame.get_payload_as_bytes())

    server = await ws_create_server(lambda _: Echo(), "127.0.0.1", 0, ssl=tls)
    return server.sockets[0].getsockname()[1], server


SERVERS = {"websockets": serve_websockets, "aiohttp": serve_aiohttp, "picows": serve_picows}


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library", choices=SERVERS)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--compression", action="store_true")
    arguments = parser.parse_args()

    tls = None
    if arguments.cert:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(arguments.cert, arguments.key)
    port, server = await SERVERS[arguments.library](tls, arguments.compression)
    print(port, flush=True)
    # The server lives as long as there is a reference to it.
    await asyncio.Event().wait()
    del server


if __name__ == "__main__":
    asyncio.run(main())
