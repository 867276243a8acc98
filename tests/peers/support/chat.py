"""The chat page of `libws serve --chat`, used as a person does."""

import contextlib

# The narrowest phones there are, and usual ones.
PHONES = {"width": 320, "height": 568}, {"width": 375, "height": 667}


class Chatter:
    """Somebody with the page open, who has joined."""

    def __init__(self, page):
        self.page = page
        page.wait_for("chat.you !== null")

    def say(self, text):
        """Types it and presses Enter."""
        self.page.call("Page.bringToFront")
        self.page.evaluate("document.getElementById('text').focus()")
        self.page.call("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            self.page.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter",
                           windowsVirtualKeyCode=13, text="\r" if kind == "keyDown" else "")

    def sees(self, text):
        """Waits until the list of messages shows a text."""
        self.page.wait_for(f"document.getElementById('list').innerText.includes({text!r})")


@contextlib.contextmanager
def chatter(browser, url, name, **size):
    """Opens the page of a server (its ws URL) and joins."""
    page_url = url.replace("ws", "http", 1)
    with browser.page(f"{page_url}?name={name}&auto=1", **size) as page:
        yield Chatter(page)


@contextlib.contextmanager
def conversation(browser, url):
    """A small talk, for a picture. Gives the page of the one who sees it all."""
    with chatter(browser, url, "Ada", width=900, height=720) as ada, \
            chatter(browser, url, "Grace") as grace, chatter(browser, url, "Edsger") as edsger:
        for who, text in (
                (grace, "Does one server give us the page and the WebSocket?"),
                (ada, "One process and one port: libws serve --chat"),
                (edsger, "And who frames a message for all of us?"),
                (ada, "It is framed once, and everybody gets the same bytes."),
                (grace, "Then I shall invite some more people.")):
            who.say(text)
            ada.sees(text)
        ada.page.call("Page.bringToFront")
        ada.page.evaluate("document.activeElement.blur()")
        yield ada.page
