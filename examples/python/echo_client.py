"""echo_client.py - sends messages to an echo server and prints what comes back.

    python echo_client.py ws://127.0.0.1:8080/ hello world

The browser's object: handlers, and a loop that calls them.
"""

import sys

import libws


def main(url: str, *messages: str) -> int:
    answers: list[str] = []
    ws = libws.WebSocket(url)

    def on_open(event: libws.Event) -> None:
        for message in messages:
            ws.send(message)  # Never waits; what the network does not take is kept.

    def on_message(event: libws.MessageEvent) -> None:
        print(event.data)
        answers.append(event.data)
        if len(answers) == len(messages):
            ws.close(1000)

    def on_error(event: libws.ErrorEvent) -> None:
        print("echo_client:", event.message, file=sys.stderr)

    ws.onopen = on_open
    ws.onmessage = on_message
    ws.onerror = on_error
    libws.run()  # Until nothing is left that an event could come from.
    return 0 if len(answers) == len(messages) else 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: echo_client.py URL MESSAGE...")
    sys.exit(main(*sys.argv[1:]))
