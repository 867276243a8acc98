"""Takes the picture of the chat page that stands in the documentation.

    screenshot.py PREFIX FILE
"""

import sys
from pathlib import Path

from support.chat import conversation
from support.chromium import Chromium
from support.foreign import find
from support.libws import Programs


def main():
    prefix, path = map(Path, sys.argv[1:])
    programs = Programs(prefix, probe=None)
    browser = Chromium(find("chromium"))
    try:
        with conversation(browser, programs.serve("--chat").url) as page:
            page.screenshot(path)
    finally:
        browser.close()
        programs.finish()


if __name__ == "__main__":
    main()
