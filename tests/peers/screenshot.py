"""Takes the pictures that stand in the documentation: the chat page, and the
command on a terminal.

    screenshot.py PREFIX FOLDER
"""

import sys
from pathlib import Path

from support.chat import conversation
from support.chromium import Chromium
from support.foreign import find
from support.libws import Programs
from support.terminal import picture, running


def show_chat(browser, prefix, path):
    programs = Programs(prefix)
    try:
        with conversation(browser, programs.serve("--chat").url) as page:
            page.screenshot(path)
    finally:
        programs.finish()


def show_command(browser, prefix, path):
    """`serve`, and its clients `connect` and `bench`; at the usual port."""
    program, url = str(prefix / "bin/libws"), "ws://127.0.0.1:8080/"
    with running(program, "serve", "--echo") as serve:
        serve.wait_for("listening on")
        with running(program, "connect", url) as connect:
            for text in ("Hello!", "Mīļā pasaule, sveika ✓"):
                connect.wait_for("> ")
                connect.type(text + "\n")
                connect.wait_for("< " + text)
            connect.type("\x04")
            connect.wait()
            serve.wait_for("2 messages in, 2 out")
            screens = [serve.html(), connect.html()]
        with running(program, "bench", "--seconds", "2", "-c", "8", url) as bench:
            bench.wait()
            screens.append(bench.html())
    with picture(browser, screens) as page:
        page.screenshot(path)


def main():
    prefix, folder = map(Path, sys.argv[1:])
    browser = Chromium(find("chromium"))
    try:
        show_chat(browser, prefix, folder / "chat.png")
        show_command(browser, prefix, folder / "command.png")
    finally:
        browser.close()


if __name__ == "__main__":
    main()
