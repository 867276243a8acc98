"""Processes whose output is read line by line.

Every wait has a deadline and waits for the thing itself (a line, an end, a
connection), never for time to pass. A process is ended by its pid.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import tempfile
import time

# Seconds that anything may take. What happens takes far less, but Chromium on a
# machine that is busy takes its time. Under sanitizers or valgrind set a larger
# scale.
TIMEOUT = 60 * float(os.environ.get("WS_PEERS_TIME_SCALE", "1"))

# Of the output of a process, in characters.
MAX_SHOWN = 4000

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")

# What would change how the programs under test connect.
_SCRUBBED = ("_proxy", "_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "NO_COLOR")


def clean_environment(**changes):
    """The environment without proxies and trust, with `changes` added."""
    env = {name: value for name, value in os.environ.items()
           if not name.endswith(_SCRUBBED)}
    env.update(changes)
    return env


class ProcessError(AssertionError):
    """A process ended, was silent, or said something else than expected."""


class Process:
    """A child process. Its output is kept to be shown when a test fails."""

    def __init__(self, args, *, env=None, pass_fds=(), preexec_fn=None, cwd=None):
        self.args = [str(arg) for arg in args]
        self.lines = []
        self._buffer = b""
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self.args, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._stderr, env=env or clean_environment(),
            pass_fds=pass_fds, preexec_fn=preexec_fn, cwd=cwd)

    @property
    def pid(self):
        return self._process.pid

    @property
    def stderr(self):
        """What it has written to standard error so far."""
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")

    def transcript(self):
        """Everything it said, for a person."""
        out = "\n".join(self.lines + [self._buffer.decode(errors="replace")])
        code = self._process.poll()
        status = "running" if code is None else f"ended with {code}"
        return (f"$ {' '.join(self.args)}\n{out[-MAX_SHOWN:]}\n"
                f"-- stderr\n{self.stderr[-MAX_SHOWN:]}\n-- {status}")

    # -- Input and output ----------------------------------------------------

    def write_line(self, line):
        self.write(line.encode() + b"\n")

    def write(self, data):
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def end_input(self):
        self._process.stdin.close()

    def read_line(self, timeout=TIMEOUT):
        """The next line of standard output, without its end."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            chunk = self._read(deadline)
            if not chunk:
                raise ProcessError(f"no further line:\n{self.transcript()}")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        self.lines.append(line.decode(errors="replace"))
        return self.lines[-1]

    def read_rest(self, timeout=TIMEOUT):
        """All lines up to the end of standard output."""
        deadline = time.monotonic() + timeout
        while chunk := self._read(deadline):
            self._buffer += chunk
        rest, self._buffer = self._buffer, b""
        lines = rest.decode(errors="replace").splitlines()
        self.lines += lines
        return lines

    def _read(self, deadline):
        fd = self._process.stdout.fileno()
        left = max(0, deadline - time.monotonic())
        if not select.select([fd], [], [], left)[0]:
            raise ProcessError(f"nothing came in time:\n{self.transcript()}")
        return os.read(fd, 1 << 16)

    # -- The end -------------------------------------------------------------

    def is_running(self):
        return self._process.poll() is None

    def send_signal(self, number):
        self._process.send_signal(number)

    def wait(self, timeout=TIMEOUT):
        """Waits for the end and returns the exit code. What it prints
        meanwhile is read, so that it does not block."""
        if not self._process.stdout.closed:
            self.read_rest(timeout)
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ProcessError(f"still runs:\n{self.transcript()}") from None

    def stop(self, number=signal.SIGTERM):
        """Asks it to end and returns the exit code. One that does not obey is
        killed, and that is an error."""
        try:
            if self.is_running():
                self.send_signal(number)
            return self.wait()
        finally:
            self.kill()

    finish = stop  # What happens to one that still runs after its test.

    def kill(self):
        """Ends it in any case."""
        if self.is_running():
            self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        # What could not be written to a process that is gone is no matter.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    # -- What it uses --------------------------------------------------------

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def memory(self):
        """Bytes of its own memory that are in RAM."""
        with open(f"/proc/{self.pid}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Private_Dirty:"):
                    return int(line.split()[1]) * 1024
        raise ProcessError("no Private_Dirty in smaps_rollup")

    def descriptors(self):
        """How many descriptors it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def wait_until(condition, what, timeout=TIMEOUT, interval=0.005):
    """Waits until `condition()` is true, for things that cannot be waited for
    otherwise: it is asked again and again."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not in time: {what}")
        select.select([], [], [], interval)


def can_connect(port, host="127.0.0.1"):
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


@contextlib.contextmanager
def reserved_port(host="127.0.0.1"):
    """A port for a server that cannot be told to take any. It stays bound, so
    that nobody else is given it, and a server with SO_REUSEADDR, as all have,
    may still listen there."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((host, 0))
        yield holder.getsockname()[1]
