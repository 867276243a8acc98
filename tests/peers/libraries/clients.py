"""The WebSocket libraries of PyPI as clients: each sends messages one after the
other, returns what came back, and closes with 1000."""

import asyncio

MAX_SIZE = 1 << 25


async def talk_websockets(url, messages, tls, compression):
    from websockets.asyncio.client import connect

    async with connect(url, ssl=tls, max_size=MAX_SIZE,
                       compression="deflate" if compression else None) as connection:
        assert bool(connection.protocol.extensions) == compression
        answers = []
        for message in messages:
            await connection.send(message)
            answers.append(await connection.recv())
    assert connection.close_code == 1000
    return answers


async def talk_aiohttp(url, messages, tls, compression):
    from aiohttp import ClientSession, WSMsgType

    # 0 is "no compression", 15 the largest window.
    compress = 15 if compression else 0
    async with ClientSession() as session:
        async with session.ws_connect(url, ssl=tls or True, compress=compress,
                                      max_msg_size=MAX_SIZE) as socket:
            assert bool(socket.compress) == compression
            answers = []
            for message in messages:
                is_text = isinstance(message, str)
                await (socket.send_str if is_text else socket.send_bytes)(message)
                answer = await socket.receive()
                assert answer.type is (WSMsgType.TEXT if is_text else WSMsgType.BINARY)
                answers.append(answer.data)
        assert socket.close_code == 1000
    return answers


async def talk_picows(url, messages, tls, compression):
    from picows import WSCloseCode, WSListener, WSMsgType, ws_connect

    assert not compression, "picows has none"
    frames = asyncio.Queue()

    class Listener(WSListener):
        def on_ws_frame(self, transport, frame):
            if frame.msg_type is WSMsgType.CLOSE:
                frames.put_nowait(frame.get_close_code())
                transport.disconnect()
            elif frame.msg_type is WSMsgType.TEXT:
                frames.put_nowait(frame.get_payload_as_utf8_text())
            else:
                frames.put_nowait(frame.get_payload_as_bytes())

    transport, _ = await ws_connect(Listener, url, ssl_context=tls, max_frame_size=MAX_SIZE)
    answers = []
    for message in messages:
        if isinstance(message, str):
            transport.send(WSMsgType.TEXT, message.encode())
        else:
            transport.send(WSMsgType.BINARY, message)
        answers.append(await frames.get())
    transport.send_close(WSCloseCode.OK)
    assert await frames.get() == 1000
    await transport.wait_disconnected()
    return answers


CLIENTS = {"websockets": talk_websockets, "aiohttp": talk_aiohttp, "picows": talk_picows}


def talk(library, url, messages, *, tls=None, compression=False, timeout=30):
    async def run():
        return await asyncio.wait_for(
            CLIENTS[library](url, messages, tls, compression), timeout)
    return asyncio.run(run())
