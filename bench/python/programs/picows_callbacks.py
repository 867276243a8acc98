"""picows: a listener whose method is called with each frame."""

import picows

import common


class Receiver(picows.WSListener):
    def __init__(self):
        super().__init__()
        self.count = 0

    def on_ws_frame(self, transport, frame):
        frame.get_payload_as_bytes()
        self.count += 1


class Echoing(picows.WSListener):
    def __init__(self, payload):
        super().__init__()
        self.count = 0
        self.payload = payload

    def on_ws_connected(self, transport):
        transport.send(picows.WSMsgType.BINARY, self.payload)

    def on_ws_frame(self, transport, frame):
        frame.get_payload_as_bytes()
        self.count += 1
        transport.send(picows.WSMsgType.BINARY, self.payload)


class Server(picows.WSListener):
    def on_ws_frame(self, transport, frame):
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())


async def _run(options, meter, make):
    _, listener = await picows.ws_connect(
        make, options.url, ssl_context=common.client_context(options)
    )
    meter.start(lambda: listener.count)
    await common.for_ever()


async def receive(options, meter):
    await _run(options, meter, Receiver)


async def echo(options, meter):
    payload = b"x" * options.size
    await _run(options, meter, lambda: Echoing(payload))


async def serve(options):
    server = await picows.ws_create_server(
        lambda request: Server(), common.HOST, 0, ssl=common.server_context(options)
    )
    common.announce(server.sockets[0].getsockname()[1])
    await server.serve_forever()


common.main(receive=receive, echo=echo, serve=serve)
