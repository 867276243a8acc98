"""The programs that are compared, and where they take part: on the loop of their
library, in nginx, or without any I/O."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build/bench-lua"
ROCKS = ROOT / "build/lua"  # What tests/lua/run.sh has built.
SERVERS = ROOT / "build/bench-peers/bin"  # What tools/bench.sh has built.
LOAD = SERVERS / "bench_load"
LIBWS = SERVERS / "libws"
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")

LOOP, BESIDE_C, IN_NGINX, CODEC = "loop", "beside C", "nginx", "codec"


@dataclass(frozen=True)
class Lua:
    """An interpreter, and what is built for it."""

    name: str
    program: str
    version: str = "5.1"

    @property
    def rock(self):
        return ROCKS / self.name

    @property
    def environment(self):
        share, lib = self.rock / "share/lua" / self.version, self.rock / "lib/lua" / self.version
        return {
            **os.environ,
            "LUA_PATH": f"{share}/?.lua;{share}/?/init.lua;;",
            "LUA_CPATH": f"{lib}/?.so;;",
        }

    def command(self, script, *arguments):
        return [self.program, HERE / script, *arguments]


LUAJIT = Lua("luajit", "luajit")
LUA_54 = Lua("5.4", "lua5.4", "5.4")
LUAS = (
    Lua("5.1", "lua5.1"),
    Lua("5.2", "lua5.2", "5.2"),
    Lua("5.3", "lua5.3", "5.3"),
    LUA_54,
    LUAJIT,
)


@dataclass(frozen=True)
class Peer:
    name: str
    title: str
    places: tuple
    lua: Lua = None
    script: str = ""  # A server, or what nginx runs for a request.
    package: str = ""  # Of Debian; else it is this libws.
    is_main: bool = True

    def can(self, row):
        return row.place in self.places

    @cached_property
    def version(self):
        """None if it is not there."""
        if self.package:
            done = subprocess.run(
                ["dpkg-query", "-W", "-f", "${Version}", self.package], capture_output=True, text=True
            )
            return re.sub(r"[+~-].*", "", done.stdout) if done.returncode == 0 else None
        there = self.lua.rock / "lib" if self.lua else LIBWS
        return "" if there.exists() else None


OURS = Peer("libws", "libws, LuaJIT", (LOOP, BESIDE_C), LUAJIT, "servers/libws_echo.lua")
LUA_HTTP = Peer(
    "lua-http", "lua-http, LuaJIT", (LOOP,), LUAJIT, "servers/lua_http_echo.lua", "lua-http"
)
IN_C = Peer("serve", "libws serve (C)", (BESIDE_C,))
RESTY = Peer("resty", "libws.resty", (IN_NGINX,), LUAJIT, "nginx/echo_libws.lua")
LUA_RESTY = Peer(
    "lua-resty-websocket",
    "lua-resty-websocket",
    (IN_NGINX,),
    LUAJIT,
    "nginx/echo_lua_resty_websocket.lua",
    "lua-nginx-websocket",
)
PEERS = (
    OURS,
    Peer("libws-5.4", "libws, Lua 5.4", (LOOP,), LUA_54, "servers/libws_echo.lua"),
    LUA_HTTP,
    IN_C,
    RESTY,
    LUA_RESTY,
    *(Peer(f"codec-{lua.name}", lua.program, (CODEC,), lua, "codec.lua") for lua in LUAS),
)
