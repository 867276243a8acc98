"""The client of libws in Python for Autobahn's fuzzing server.

    client.py ws://127.0.0.1:9001 AGENT

Asks how many cases there are, sends back what comes in each, and has the report
written. client.c and client.lua are the same.
"""

import sys

import libws


def converse(url, onmessage):
    """Talks until the connection has ended."""
    ws = libws.WebSocket(url, max_message=None, proxy=False)
    ws.onmessage = lambda event: onmessage(ws, event.data)
    libws.run()


def main(server, agent):
    answers = []
    converse(f"{server}/getCaseCount", lambda ws, data: answers.append(int(data)))
    if not answers:
        sys.exit(f"client.py: no answer from {server}")
    (count,) = answers
    for case in range(1, count + 1):
        converse(f"{server}/runCase?case={case}&agent={agent}", lambda ws, data: ws.send(data))
    converse(f"{server}/updateReports?agent={agent}", lambda ws, data: None)
    print(f"{agent}: {count} cases")


if __name__ == "__main__":
    main(*sys.argv[1:])
