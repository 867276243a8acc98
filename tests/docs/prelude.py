"""Runs a snippet of the documentation, which is on stdin, with what it may use
without having said where it comes from; see test_docs.py.

    prelude.py ECHO_SERVER_URL

What is checked is that names, arguments and options exist: functions that the
snippet defines are not called.
"""

import asyncio
import io
import selectors
import sys
import threading

import libws


def onconnection(ws, request):
    pass


async def handler(ws):
    pass


url = sys.argv[1]
ws = libws.WebSocket(url)
ws.onopen = lambda event: libws.stop()
libws.run()
ws.onopen = None

names = {
    "libws": libws,
    "asyncio": asyncio,
    "selectors": selectors,
    "sys": sys,
    "threading": threading,
    "url": url,
    "ws": ws,
    "server": libws.WebSocketServer("127.0.0.1", 0),
    "tls": libws.TLSOptions(certfile="example.com.pem", keyfile="example.com.key"),
    "file": io.BytesIO(b"some data"),
    "onconnection": onconnection,
    "handler": handler,
}
exec(compile(sys.stdin.read(), "snippet", "exec"), names)
