"""Headless Chromium over the DevTools protocol through a pipe.

The browser reads commands from descriptor 3 and writes answers and events to 4,
each a JSON object that ends in a NUL byte.
"""

import base64
import contextlib
import json
import os
import select
import subprocess
import tempfile
import time

from .process import TIMEOUT, clean_environment

# As root there is no sandbox. The others keep it from looking for its maker's
# hosts, which cannot be reached from where tests run.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--no-proxy-server", "--hide-scrollbars",
    "--ignore-certificate-errors", "--remote-debugging-pipe",
)


class ChromiumError(AssertionError):
    """The browser, or a script in a page, failed."""


class Chromium:
    """A browser process."""

    def __init__(self, program):
        self._profile = tempfile.TemporaryDirectory(prefix="libws-chromium-")
        self._log = tempfile.TemporaryFile()
        commands_in, self._commands = os.pipe()
        self._answers, answers_out = os.pipe()

        # The browser wants them as 3 and 4. They are moved out of the way first,
        # as one of them may stand where the other has to go.
        def take_pipes():
            ends = [os.dup(commands_in), os.dup(answers_out)]
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self._process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
            close_fds=False, preexec_fn=take_pipes,
            env=clean_environment(HOME=self._profile.name))
        os.close(commands_in)
        os.close(answers_out)
        self._buffer = b""
        self._last_id = 0

    def call(self, method, session=None, timeout=TIMEOUT, **params):
        """Sends a command and waits for its answer. Events are passed over."""
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._commands, data):]

        deadline = time.monotonic() + timeout
        while True:
            answer = json.loads(self._read_message(deadline, method))
            if answer.get("id") == self._last_id:
                break
        if "error" in answer:
            raise ChromiumError(f"{method}: {answer['error']}")
        return answer["result"]

    def _read_message(self, deadline, method):
        while b"\0" not in self._buffer:
            left = max(0, deadline - time.monotonic())
            if not select.select([self._answers], [], [], left)[0]:
                raise ChromiumError(f"no answer to {method}\n{self._said()}")
            chunk = os.read(self._answers, 1 << 16)
            if not chunk:
                raise ChromiumError(f"the browser ended\n{self._said()}")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return message

    def _said(self):
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-5000:]

    @contextlib.contextmanager
    def page(self, url, width=1000, height=700):
        """A page in a tab of its own, loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=2, mobile=False)
        page.open(url)
        try:
            yield page
        finally:
            self.call("Target.closeTarget", targetId=target)

    def close(self):
        try:
            self.call("Browser.close")
            self._process.wait(TIMEOUT)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            os.close(self._commands)
            os.close(self._answers)
            self._log.close()
            # Its helper processes may still write there for a moment.
            with contextlib.suppress(OSError):
                self._profile.cleanup()


class Page:
    def __init__(self, browser, session):
        self._browser = browser
        self._session = session

    def call(self, method, **params):
        return self._browser.call(method, session=self._session, **params)

    def open(self, url):
        result = self.call("Page.navigate", url=url)
        if "errorText" in result:
            raise ChromiumError(f"{url}: {result['errorText']}")
        self.evaluate("""new Promise((done) => {
          if (document.readyState === 'complete') done()
          else addEventListener('load', () => done())
        })""")

    def evaluate(self, script, timeout=TIMEOUT):
        """The value of an expression; of a promise, what it comes to."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True,
                           returnByValue=True, timeout=timeout)
        if "exceptionDetails" in result:
            raise ChromiumError(json.dumps(result["exceptionDetails"], indent=1))
        return result["result"].get("value")

    def wait_for(self, condition, timeout=TIMEOUT):
        """Waits until an expression is true, looking at each change of the
        page."""
        self.evaluate("""new Promise((done, fail) => {
          const look = () => { if (%s) { watch.disconnect(); done() } }
          const watch = new MutationObserver(look)
          watch.observe(document, { subtree: true, childList: true,
                                    attributes: true, characterData: true })
          setTimeout(() => fail(new Error('not in time')), %d)
          look()
        })""" % (condition, timeout * 1000), timeout=timeout)

    def screenshot(self, path):
        """A picture of the page at rest."""
        self.evaluate("Promise.all(document.getAnimations().map((a) => a.finished)).then(() => 0)")
        image = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(image))
