"""echo_server.py - sends every message back.

    python echo_server.py [PORT]

The smallest server, with handlers. Ctrl-C ends it in good order.
"""

import sys

import libws


def on_connection(ws: libws.WebSocket, request: libws.Request) -> None:
    ws.onmessage = lambda event: ws.send(event.data)


def main(port: int) -> None:
    server = libws.WebSocketServer("127.0.0.1", port, onconnection=on_connection)
    print("listening on", server.urls[0], flush=True)
    try:
        libws.run()
    except KeyboardInterrupt:
        server.close()  # Sends Close to all, and waits for their answers.
        libws.run()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
