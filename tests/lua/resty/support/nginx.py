"""A real nginx with the Lua module, for one test."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from .frames import LIMIT

HERE = Path(__file__).resolve().parent.parent
MODULES = Path("/usr/lib/nginx/modules")

PROGRAM = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")

CONFIG = """
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
{user}
daemon off;
worker_processes {workers};
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log stderr info;
events {{ worker_connections 8000; }}
http {{
  access_log access.log;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  lua_package_path "{here}/?.lua;{tree}/share/lua/5.1/?.lua;{tree}/share/lua/5.1/?/init.lua;{extra}/?.lua;/usr/share/lua/5.1/?.lua;;";
  lua_package_cpath "{tree}/lib/lua/5.1/?.so;;";
  {http}
  server {{
    listen 127.0.0.1:{port};
    {server}
    location /app/ {{
      set $handler "";
      if ($uri ~ "^/app/(.*)$") {{ set $handler $1; }}
      content_by_lua_block {{ require("handlers")[ngx.var.handler]() }}
    }}
  }}
}}
"""


def free_port():
    """nginx cannot say which port it got, so one is chosen for it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nginx:
    """Runs as long as the test; `handlers.lua` answers below /app/."""

    def __init__(self, folder, tree, http="", server="", workers=1, extra=""):
        self.folder = folder
        self.expected = []
        self.port, self.tls_port = free_port(), free_port()

        def fill(text):
            return text.replace("@PORT@", str(self.port)).replace("@TLS@", str(self.tls_port)).replace("@HERE@", str(folder))

        config = CONFIG.format(
            modules=MODULES,
            user="user root;" if os.geteuid() == 0 else "",
            here=HERE,
            tree=tree,
            extra=extra,
            port=self.port,
            http=fill(http),
            server=fill(server),
            workers=workers,
        )
        (folder / "nginx.conf").write_text(config)
        self.log_path = folder / "error.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "-p", str(folder), "-c", "nginx.conf"], stderr=log, stdin=subprocess.DEVNULL
            )
        self._wait_until_ready()

    def _wait_until_ready(self):
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), LIMIT).close()
                return
            except ConnectionRefusedError:
                assert self.process.poll() is None, self.log()
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.01)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_for_log(self, text, count=1):
        """Waits until the log has that text so many times."""
        deadline = time.monotonic() + LIMIT
        while self.log().count(text) < count:
            assert time.monotonic() < deadline, f"never logged: {text}\n{self.log()}"
            time.sleep(0.01)

    def errors(self):
        return [line for line in self.log().splitlines() if re.search(r"\[(error|crit|alert|emerg)\]", line)]

    def expect_error(self, text):
        """Waits until nginx has logged an error with that text, which is no fault."""
        self.expected.append(text)
        self.wait_for_log(text)

    def expected_errors(self):
        return [line for line in self.errors() if any(text in line for text in self.expected)]

    def get(self, path):
        """A plain request; returns status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, body

    def workers(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def quit(self):
        """Ends in good order; returns the exit status."""
        self.process.send_signal(signal.SIGQUIT)
        return self.process.wait(LIMIT)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
