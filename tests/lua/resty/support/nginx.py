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
TOP = HERE.parents[2]
MODULES = Path("/usr/lib/nginx/modules")

PROGRAM = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")

CONFIG = """
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
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
  {lua}
  {http}
  server {{
    listen 127.0.0.1:@PORT@;
    {server}
    location /app/ {{
      set $handler "";
      if ($uri ~ "^/app/(.*)$") {{ set $handler $1; }}
      content_by_lua_block {{ require("handlers")[ngx.var.handler]() }}
    }}
  }}
}}
"""


def lua_paths(tree):
    modules = [f"{HERE}/?.lua", f"{tree}/share/lua/5.1/?.lua", "/usr/share/lua/5.1/?.lua"]
    return f"""
  lua_package_path "{';'.join(modules)};;";
  lua_package_cpath "{tree}/lib/lua/5.1/?.so;;";
"""


# Of finding ports that stay free until nginx listens there.
ATTEMPTS = 5


def free_port():
    """nginx cannot say which port it got, so one is chosen for it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nginx:
    """Runs as long as the test; `handlers.lua` answers below /app/."""

    def __init__(self, folder, tree, http="", server="", workers=1):
        config = CONFIG.format(
            modules=MODULES, here=HERE, lua=lua_paths(tree), http=http, server=server, workers=workers
        )
        self._run(folder, config)

    @classmethod
    def of_examples(cls, folder, tree):
        """The one of examples/openresty, in a copy and at another port."""
        shutil.copytree(TOP / "examples/openresty", folder, dirs_exist_ok=True)
        config = (folder / "nginx.conf").read_text()
        config = config.replace("127.0.0.1:8080", "127.0.0.1:@PORT@").replace("http {", "http {" + lua_paths(tree))
        self = cls.__new__(cls)
        self._run(folder, config)
        return self

    def _run(self, folder, config):
        self.folder = folder
        self.expected = []
        self.log_path = folder / "error.log"
        for _ in range(ATTEMPTS):
            self._start(folder, config)
            if self._is_ready():
                return
            self.process.kill()
            self.process.wait()
        raise AssertionError(self.log())

    def _start(self, folder, config):
        self.port, self.tls_port = free_port(), free_port()
        for name, value in (("@PORT@", self.port), ("@TLS@", self.tls_port), ("@HERE@", folder)):
            config = config.replace(name, str(value))
        (folder / "nginx.conf").write_text(config)
        # As root, nginx would have its workers run as somebody who cannot read here.
        user = ["-g", "user root;"] if os.geteuid() == 0 else []
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "-p", str(folder), "-c", "nginx.conf", *user], stderr=log, stdin=subprocess.DEVNULL
            )

    def _is_ready(self):
        """Waits until nginx listens; False if somebody else has taken a port."""
        deadline = time.monotonic() + LIMIT
        while True:
            log = self.log()
            if "Address already in use" in log:
                return False
            if "start worker process" in log:
                return True
            assert self.process.poll() is None, log
            assert time.monotonic() < deadline, log
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
