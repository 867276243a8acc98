"""websocket-client: calls that block."""

import ssl

import websocket

import common


def _connect(options):
    return websocket.create_connection(options.url, sslopt={"cert_reqs": ssl.CERT_NONE})


def receive(options, meter):
    count = 0
    connection = _connect(options)
    meter.start(lambda: count)
    while True:
        connection.recv()
        count += 1


def echo(options, meter):
    count = 0
    payload = b"x" * options.size
    connection = _connect(options)
    meter.start(lambda: count)
    while True:
        connection.send_binary(payload)
        connection.recv()
        count += 1


common.main(receive=receive, echo=echo)
