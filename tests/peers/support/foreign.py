"""Programs of others as peers: nginx, tinyproxy and microsocks, each with its
configuration in a folder of the test."""

import contextlib
import os
import shutil
import socket

from .process import can_connect, clean_environment, reserved_port, wait_until

NGINX_CONFIGURATION = """
daemon off;
worker_processes 1;
error_log stderr warn;
pid {folder}/nginx.pid;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port}{ssl};
    {certificate}
    location / {{
      proxy_pass {target};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_set_header Host $http_host;
      proxy_read_timeout 60s;
    }}
  }}
}}
"""


def find(program):
    """The path of a program; servers are not always on the PATH of users."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


@contextlib.contextmanager
def nginx(programs, folder, target, identity=None):
    """nginx in front of `target` ("http://127.0.0.1:8080"), with TLS if there is
    a certificate. Gives its port.

    It takes over a socket that listens already, as it does when its program is
    replaced by a newer one; so there is no port to guess and nothing to wait
    for."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        certificate = "" if identity is None else (
            f"ssl_certificate {identity.cert}; ssl_certificate_key {identity.key};")
        configuration = folder / "nginx.conf"
        configuration.write_text(NGINX_CONFIGURATION.format(
            folder=folder, port=port, target=target, certificate=certificate,
            ssl="" if identity is None else " ssl"))
        descriptor = listener.fileno()
        programs.foreign(find("nginx"), "-p", folder, "-c", configuration,
                         pass_fds=[descriptor],
                         env=clean_environment(NGINX=f"{descriptor};"))
        yield port


@contextlib.contextmanager
def tinyproxy(programs, folder, credentials):
    """An HTTP CONNECT proxy with Basic credentials. Gives its port."""
    with reserved_port() as port:
        configuration = folder / "tinyproxy.conf"
        configuration.write_text(
            f"Port {port}\nListen 127.0.0.1\nTimeout 60\nLogLevel Info\nMaxClients 20\n"
            f"BasicAuth {' '.join(credentials)}\n")
        proxy = programs.foreign(find("tinyproxy"), "-d", "-c", configuration)
        wait_until(lambda: can_connect(port), f"tinyproxy\n{proxy.transcript()}")
        yield port


@contextlib.contextmanager
def microsocks(programs, credentials):
    """A SOCKS5 proxy with a password. Gives its port."""
    with reserved_port() as port:
        user, password = credentials
        proxy = programs.foreign(find("microsocks"), "-i", "127.0.0.1", "-p", port,
                                 "-u", user, "-P", password)
        wait_until(lambda: can_connect(port), f"microsocks\n{proxy.transcript()}")
        yield port
