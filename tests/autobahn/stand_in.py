"""Stands in for Autobahn's wstest, to try the drivers: a few cases over plain TCP,
reported in the same form.

    stand_in.py -m fuzzingserver|fuzzingclient -s CONFIGURATION
"""

import argparse
import json
import pathlib
import socket
import sys
import urllib.parse

sys.path.append(str(pathlib.Path(__file__).parents[1] / "python"))

from core_peers import BINARY, CLOSE, CONTINUATION, PING, TEXT, Wire, close_body  # noqa: E402

# What is sent, and the message that has to come back; None for a connection that
# has to be failed.
CASES = {
    "1.1.2": ([(TEXT, b"*" * 125)], (TEXT, b"*" * 125)),
    "1.2.7": ([(BINARY, b"\xfe" * 65536)], (BINARY, b"\xfe" * 65536)),
    "5.3": ([(TEXT, b"one ", False), (CONTINUATION, b"two")], (TEXT, b"one two")),
    "2.2": ([(PING, b"ping"), (TEXT, b"after")], (TEXT, b"after")),
    "3.1": ([(TEXT, b"reserved", True, 4)], None),
    "6.3.1": ([(TEXT, b"\xce\xba\xed\xa0\x80")], None),
    "9.1.6": ([(TEXT, b"*" * (16 << 20))], (TEXT, b"*" * (16 << 20))),
}


def run(wire, frames, expected):
    """Plays one case; returns what became of it."""
    for one in frames:
        wire.send(*one)
    result = "OK" if expected is None else "FAILED"
    try:
        while True:
            first, payload = wire.receive()
            if first & 0xF == CLOSE:
                break
            if expected is not None and (first & 0xF, payload) == expected:
                result = "OK"
                wire.send(CLOSE, close_body(1000))
    except EOFError:
        return "FAILED", "FAILED"
    is_clean = payload[:2] == close_body(1000)
    return result, "OK" if is_clean == (expected is not None) else "FAILED"


def write(outdir, agents):
    path = pathlib.Path(outdir, "index.json")
    path.write_text(json.dumps(agents, indent=1))


def result_of(wire, case):
    behaviour, close = run(wire, *CASES[case])
    return {"behavior": behaviour, "behaviorClose": close}


def fuzzing_server(config):
    names = list(CASES)
    agents = {}
    host, _, port = config["url"].removeprefix("ws://").partition(":")
    with socket.create_server((host, int(port))) as listener:
        while True:
            sock, _ = listener.accept()
            with sock:
                wire = Wire(sock, masks=False)
                try:
                    target = wire.read_head().split(b" ")[1].decode()
                except EOFError:
                    continue  # Somebody looked whether we listen.
                wire.respond()
                url = urllib.parse.urlsplit(target)
                query = dict(urllib.parse.parse_qsl(url.query))
                if url.path == "/runCase":
                    case = names[int(query["case"]) - 1]
                    agents.setdefault(query["agent"], {})[case] = result_of(wire, case)
                    continue
                if url.path == "/getCaseCount":
                    wire.send(TEXT, str(len(names)).encode())
                else:
                    write(config["outdir"], agents)
                wire.send(CLOSE, close_body(1000))
                wire.receive()


def fuzzing_client(config):
    agents = {}
    for server in config["servers"]:
        url = urllib.parse.urlsplit(server["url"])
        for case in CASES:
            with socket.create_connection((url.hostname, url.port)) as sock:
                wire = Wire(sock, masks=True)
                wire.request(host=url.netloc.encode())
                agents.setdefault(server["agent"], {})[case] = result_of(wire, case)
    write(config["outdir"], agents)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-m", choices=["fuzzingserver", "fuzzingclient"], required=True)
    parser.add_argument("-s", required=True)
    arguments = parser.parse_args()
    configuration = json.loads(pathlib.Path(arguments.s).read_text())
    {"fuzzingserver": fuzzing_server, "fuzzingclient": fuzzing_client}[arguments.m](configuration)
