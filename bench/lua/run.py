#!/usr/bin/env python3
"""Measures the Lua side of libws beside its peers; see README.md."""

import argparse
import json
import math
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
KIB, MIB = 1024, 1024 * 1024

# Bytes of a message, messages in flight: what is asked for, as a ratio.
LOOP_ROWS = {
    (16, 1): 2,
    (16, 16): 8,
    (KIB, 1): 5,
    (KIB, 8): 5,
    (16 * KIB, 1): 20,
    (16 * KIB, 8): 20,
    (MIB, 1): 20,
}
NGINX_ROWS = {(16, 1): 1, (16, 8): 1 / 3, (KIB, 8): 1 / 3, (16 * KIB, 8): 1 / 4, (64 * KIB, 8): 1 / 4}


@dataclass(frozen=True)
class Vm:
    name: str
    program: str
    version: str


LUAJIT = Vm("luajit", "luajit", "5.1")
VMS = (Vm("5.1", "lua5.1", "5.1"), Vm("5.2", "lua5.2", "5.2"), Vm("5.3", "lua5.3", "5.3"), Vm("5.4", "lua5.4", "5.4"), LUAJIT)


class Server:
    """A process with one core of its own, which echoes binary messages."""

    def __init__(self, command, environment=None, port=None, folder=None):
        self.process = subprocess.Popen(
            ["taskset", "-c", "0", *map(str, command)],
            env={**os.environ, **(environment or {})},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.name = str(command[-1])
        self.port = port or int(self.process.stdout.readline().rsplit(":", 1)[1].rstrip("/\n"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Bench:
    def __init__(self, options):
        self.options = options
        self.load = Path(options.bin) / "bench_load"
        self.libws = Path(options.bin) / "libws"
        self.folder = Path(tempfile.mkdtemp(prefix="libws-bench-lua-"))

    # -- Servers --

    def tree(self, vm):
        return Path(self.options.trees) / vm.name

    def lua_environment(self, vm):
        share = f"{self.tree(vm)}/share/lua/{vm.version}"
        return {
            "LUA_PATH": f"{share}/?.lua;{share}/?/init.lua;;",
            "LUA_CPATH": f"{self.tree(vm)}/lib/lua/{vm.version}/?.so;;",
        }

    def lua(self, vm, script):
        return Server([vm.program, HERE / "servers" / script], self.lua_environment(vm))

    def c(self):
        return Server([self.libws, "serve", "--echo", "--quiet", "--host", "127.0.0.1", "--port", "0", "--max-message", "16M"])

    def nginx(self, name):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = (HERE / "nginx/nginx.conf").read_text()
        for key, value in (("TREE", self.tree(LUAJIT)), ("PORT", port), ("HERE", HERE), ("NAME", name)):
            config = config.replace(f"@{key}@", str(value))
        (self.folder / "nginx.conf").write_text(config)
        program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        server = Server([program, "-p", self.folder, "-c", "nginx.conf"], port=port)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return server
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    # -- Measuring --

    def measure(self, server, mode, *arguments):
        command = [self.load, mode, "--port", server.port, "--pid", server.process.pid, *arguments]
        if mode == "echo":
            command += ["--seconds", self.options.seconds]
        output = subprocess.run(["taskset", "-c", "1", *map(str, command)], capture_output=True, text=True)
        if output.returncode:
            print(f"{server.name} fails: {output.stderr.strip()}", file=sys.stderr)
            return {}
        return json.loads(output.stdout)

    def compare(self, start, rows, connections, figure):
        """Returns {row: {name: median}}; the peers take turns in each round."""
        found = {row: {name: [] for name in start} for row in rows}
        for _ in range(self.options.rounds):
            for row in rows:
                for name in start:
                    with start[name]() as server:
                        server.name = name
                        result = self.measure(
                            server, "echo", "--size", row[0], "--in-flight", row[1], "--connections", connections
                        )
                    found[row][name].append(result.get(figure, math.nan))
        return {row: {name: statistics.median(all) for name, all in by.items()} for row, by in found.items()}


def number(value, digits=0):
    return "–" if math.isnan(value) else f"{value:,.{digits}f}"


def size_name(size):
    for unit, name in ((MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size // unit} {name}"
    return f"{size} B"


def table(title, head, lines):
    print(f"\n## {title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for line in lines:
        print(f"| {' | '.join(line)} |", flush=True)


# -- The tables -----------------------------------------------------------------


def own_loop(bench):
    start = {
        "libws, LuaJIT": lambda: bench.lua(LUAJIT, "libws_echo.lua"),
        "libws, 5.4": lambda: bench.lua(VMS[3], "libws_echo.lua"),
        "lua-http, LuaJIT": lambda: bench.lua(LUAJIT, "lua_http_echo.lua"),
    }
    found = bench.compare(start, LOOP_ROWS, 64, "rate")
    lines = []
    for row, by in found.items():
        ratio = by["libws, LuaJIT"] / by["lua-http, LuaJIT"]
        lines.append(
            [f"{size_name(row[0])}, {row[1]} in flight"]
            + [number(by[name]) for name in start]
            + [number(ratio, 1), f"{LOOP_ROWS[row]}"]
        )
    table("Own loop, messages per second, 64 connections", ["", *start, "ratio", "mark"], lines)


def beside_c(bench):
    start = {"Lua": lambda: bench.lua(LUAJIT, "libws_echo.lua"), "C": bench.c}
    row = (16 * KIB, 1)
    by = bench.compare(start, [row], 64, "server_ns")[row]
    line = ["16 KiB", *(number(by[name]) for name in start), number(by["Lua"] / by["C"], 2), "1.3"]
    table("Processor time per message beside the C server, ns", ["", *start, "ratio", "mark"], [line])


def in_nginx(bench):
    start = {
        "libws.resty": lambda: bench.nginx("libws"),
        "lua-resty-websocket": lambda: bench.nginx("lua_resty_websocket"),
    }
    found = bench.compare(start, NGINX_ROWS, 16, "server_ns")
    lines = []
    for row, by in found.items():
        ratio = by["libws.resty"] / by["lua-resty-websocket"]
        lines.append(
            [f"{size_name(row[0])}, {row[1]} in flight"]
            + [number(by[name]) for name in start]
            + [number(ratio, 2), f"{NGINX_ROWS[row]:.2f}"]
        )
    table("In nginx, processor time per message, ns", ["", *start, "ratio", "mark"], lines)


def codec(bench):
    lines = []
    for vm in VMS:
        output = subprocess.run(
            [vm.program, HERE / "codec.lua", str(bench.options.seconds)],
            env={**os.environ, **bench.lua_environment(vm)},
            check=True, capture_output=True, text=True,
        ).stdout
        rates = dict(line.split() for line in output.splitlines())
        lines.append([vm.name, rates["send"], rates["receive"], "4"])
    table("libws.codec, 64 KiB, GB/s", ["", "send", "receive", "mark"], lines)


def idle_memory(bench):
    with bench.lua(LUAJIT, "libws_echo.lua") as server:
        result = bench.measure(server, "idle", "--connections", 2000)
    table("An idle connection, LuaJIT, bytes", ["", "bytes", "mark"], [["libws", f"{result['bytes_per_connection']:,.0f}", "2,048"]])


TABLES = {"loop": own_loop, "c": beside_c, "nginx": in_nginx, "codec": codec, "memory": idle_memory}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=TOP / "build/bench-peers/bin", help="where bench_load and libws are")
    parser.add_argument("--trees", default=TOP / "build/lua", help="where tests/lua/run.sh has put the rocks")
    parser.add_argument("--only", default=",".join(TABLES), help="of: %(default)s")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    bench = Bench(parser.parse_args())
    try:
        for name in bench.options.only.split(","):
            TABLES[name](bench)
    finally:
        shutil.rmtree(bench.folder)


if __name__ == "__main__":
    main()
