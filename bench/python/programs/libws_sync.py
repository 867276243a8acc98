"""libws.sync: calls that block."""

import libws
from libws.sync import connect

import common


def _connect(options):
    tls = libws.TLSOptions(insecure_no_verify=True) if options.url.startswith("wss") else None
    return connect(options.url, tls=tls)


def receive(options, meter):
    count = 0
    with _connect(options) as connection:
        meter.start(lambda: count)
        for _ in connection:
            count += 1


def echo(options, meter):
    count = 0
    payload = b"x" * options.size
    with _connect(options) as connection:
        meter.start(lambda: count)
        while True:
            connection.send(payload)
            connection.recv()
            count += 1


common.main(receive=receive, echo=echo)
