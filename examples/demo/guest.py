"""guest.py - a guest of `libws serve --chat`, written in Python.

    python guest.py URL NAME

It joins, says hello, and answers whoever says @NAME. guest.c and guest.lua are
the same program.
"""

import json
import platform
import sys

import libws

url, name = sys.argv[1:]
heard = 0

ws = libws.WebSocket(url)


def send(**message):
    ws.send(json.dumps(message))


def on_open(event):
    send(type="join", name=name)
    send(type="say", text=f"Hello from Python {platform.python_version()}. Say @{name} and I answer.")


def on_message(event):
    global heard
    if not isinstance(event.data, str):
        return  # A picture or a file.
    message = json.loads(event.data)
    if message["type"] != "said" or message["name"] == name:
        return
    heard += 1
    if f"@{name}" in message["text"]:
        send(type="say", text=f"{message['name']}, I have heard {heard} messages so far.")


def on_error(event):
    print(f"guest.py: {event.message}", file=sys.stderr)


ws.onopen = on_open
ws.onmessage = on_message
ws.onerror = on_error
libws.run()  # Until the server closes.
