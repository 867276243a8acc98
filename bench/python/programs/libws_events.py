"""libws.WebSocket and libws.WebSocketServer, as in a browser."""

import libws

import common


def _socket(options):
    tls = libws.TLSOptions(insecure_no_verify=True) if options.url.startswith("wss") else None
    return libws.WebSocket(options.url, tls=tls)


def _start_receiving(options, meter):
    count = 0

    def on_message(event):
        nonlocal count
        event.data
        count += 1

    socket = _socket(options)
    socket.onmessage = on_message
    meter.start(lambda: count)
    return socket


def _start_echoing(options, meter):
    count = 0
    payload = b"x" * options.size

    def on_message(event):
        nonlocal count
        event.data
        count += 1
        socket.send(payload)

    socket = _socket(options)
    socket.onopen = lambda event: socket.send(payload)
    socket.onmessage = on_message
    meter.start(lambda: count)
    return socket


def _on_message(event):
    event.target.send(event.data)


def _on_connection(socket, request):
    socket.onmessage = _on_message


def _start_serving(options):
    tls = options.tls_cert and libws.TLSOptions(certfile=options.tls_cert, keyfile=options.tls_key)
    server = libws.WebSocketServer(common.HOST, 0, onconnection=_on_connection, tls=tls or None)
    common.announce(server.port)
    return server


def _role(start):
    """In the loop of libws, or in the one that runs."""

    def role(*arguments):
        if arguments[0].loop == "own":
            kept = start(*arguments)
            libws.run()
            return kept
        return drive(*arguments)

    async def drive(*arguments):
        kept = start(*arguments)
        await common.for_ever()
        return kept

    return role


common.main(
    receive=_role(_start_receiving), echo=_role(_start_echoing), serve=_role(_start_serving)
)
