"""blocking_client.py - asks questions and waits for the answers.

    python blocking_client.py ws://127.0.0.1:8080/ "How are you?" "And now?"

For scripts and threads: no event loop, and no thread in the background.
"""

import sys

from libws import ConnectionClosed, WebSocketError
from libws.sync import connect

PATIENCE = 10.0


def main(url: str, *questions: str) -> int:
    try:
        with connect(url, open_timeout=PATIENCE) as ws:
            for question in questions:
                ws.send(question)
                print(ws.recv(timeout=PATIENCE))
    except TimeoutError:
        print("blocking_client: there is no answer", file=sys.stderr)
    except ConnectionClosed as error:
        print("blocking_client: the server has closed:", error, file=sys.stderr)
    except (WebSocketError, ValueError) as error:
        print("blocking_client:", error, file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: blocking_client.py URL QUESTION...")
    sys.exit(main(*sys.argv[1:]))
