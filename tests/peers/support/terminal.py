"""A program on a terminal of its own, and a picture of what stands there."""

import base64
import contextlib
import fcntl
import html
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from .process import TIMEOUT, clean_environment

COLUMNS = 84
WIDTH = 800  # Of the picture, in pixels.

# What the command writes: begin the line anew, and styles.
NEW_LINE = "\r\x1b[K"
STYLE = re.compile(r"\x1b\[(\d+)m")
CLASSES = {"1": "bold", "2": "dim", "31": "red", "32": "green", "36": "cyan"}

PAGE = """<!doctype html><meta charset="utf-8"><style>
  body { margin: 0; padding: 20px; background: #e8eaee; }
  pre { margin: 0 0 16px; padding: 14px 18px; border-radius: 8px; background: #14181f;
        color: #d8dee6; font: 14px/1.45 "DejaVu Sans Mono", monospace; }
  pre:last-child { margin-bottom: 0; }
  .bold { font-weight: bold; color: #fff; } .dim { color: #7d8794; }
  .red { color: #ff7b72; } .green { color: #7ee787; } .cyan { color: #76e3ea; }
</style>"""


class Terminal:
    """A running program; what it gets is typed."""

    def __init__(self, program, *args):
        self.command = " ".join((os.path.basename(program), *args))
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            [program, *args], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env=clean_environment(TERM="xterm"))
        os.close(slave)
        self._output = ""

    def type(self, text):
        os.write(self._master, text.encode())

    def wait_for(self, text):
        """Reads until that has been shown."""
        deadline = time.monotonic() + TIMEOUT
        while text not in STYLE.sub("", self._output):
            left = deadline - time.monotonic()
            assert left > 0 and self._read(left), f"never shown: {text}\n{self._output}"

    def wait(self):
        """Reads until it ends, as it has to in good order."""
        while self._read(TIMEOUT):
            pass
        assert self._process.wait(TIMEOUT) == 0, self._output

    def kill(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._master)

    def _read(self, seconds):
        """False at the end, or when nothing came."""
        ready, _, _ = select.select([self._master], [], [], seconds)
        try:
            data = os.read(self._master, 4096) if ready else b""
        except OSError:  # Nobody has the terminal open any more.
            data = b""
        self._output += data.decode()
        return bool(data)

    def html(self):
        """The command and all that is to be seen of its output."""
        lines = [line.rpartition(NEW_LINE)[2] for line in self._output.split("\r\n")]
        shown = html.escape("\n".join(lines).rstrip())
        shown = STYLE.sub(lambda m: f'<span class="{CLASSES[m[1]]}">' if m[1] != "0" else "</span>",
                          shown)
        prompt = f'<span class="dim">$</span> <span class="bold">{html.escape(self.command)}</span>'
        return f"<pre>{prompt}\n{shown}</pre>"


@contextlib.contextmanager
def running(program, *args):
    terminal = Terminal(program, *args)
    try:
        yield terminal
    finally:
        terminal.kill()


@contextlib.contextmanager
def picture(browser, screens):
    """A page that shows what html() gave, one below the other, and nothing else."""
    url = "data:text/html;base64," + base64.b64encode((PAGE + "".join(screens)).encode()).decode()
    with browser.page(url, width=WIDTH, height=WIDTH) as page:
        height = page.evaluate("document.body.offsetHeight")
        page.call("Emulation.setDeviceMetricsOverride", width=WIDTH, height=height,
                  deviceScaleFactor=2, mobile=False)
        yield page
