"""What the programs of the peers share: arguments, loops, and how to measure.

A program has some of three functions, by the names of what they are for:

    receive(options, meter)  a client that counts what it is sent
    echo(options, meter)     a client that sends a message, waits for its echo,
                             and sends the next one
    serve(options)           a server that sends back what it gets

which are coroutine functions, or for the loop `own` plain ones that block.
"""

import argparse
import asyncio
import json
import os
import ssl
import threading
import time

HOST = "127.0.0.1"


class Meter:
    """Reads the count twice, in a thread that sleeps otherwise, and prints what
    came between; then the program is over."""

    def __init__(self, options):
        self._options = options

    def start(self, read):
        """Begins to measure; `read()` returns how many messages there were."""
        threading.Thread(target=self._run, args=(read,), daemon=True).start()

    def _run(self, read):
        time.sleep(self._options.warm_up)
        begin = self._look(read)
        time.sleep(self._options.seconds)
        end = self._look(read)
        count, seconds, busy = (b - a for a, b in zip(begin, end))
        if count == 0:
            os._exit(1)
        print(
            json.dumps(
                {"rate": count / seconds, "cpu_ns": busy / count * 1e9, "busy": busy / seconds}
            ),
            flush=True,
        )
        os._exit(0)

    @staticmethod
    def _look(read):
        return read(), time.perf_counter(), time.process_time()


def client_context(options):
    """For wss; the certificate is one that nobody has signed."""
    if not options.url.startswith("wss"):
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def server_context(options):
    if not options.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.tls_cert, options.tls_key)
    return context


def announce(port):
    print(f"listening on ws://{HOST}:{port}", flush=True)


async def for_ever():
    await asyncio.get_running_loop().create_future()


def _arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=("receive", "echo", "serve"))
    parser.add_argument("--loop", choices=("asyncio", "uvloop", "own"), default="asyncio")
    parser.add_argument("--url")
    parser.add_argument("--size", type=int, default=0)
    parser.add_argument("--warm-up", type=float, default=0.2)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--tls-cert")
    parser.add_argument("--tls-key")
    return parser.parse_args()


def main(**roles):
    options = _arguments()
    role = roles[options.role]
    arguments = (options,) if options.role == "serve" else (options, Meter(options))
    if options.loop == "own":
        role(*arguments)
    elif options.loop == "uvloop":
        import uvloop

        uvloop.run(role(*arguments))
    else:
        asyncio.run(role(*arguments))
