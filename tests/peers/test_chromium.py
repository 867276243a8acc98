"""Headless Chromium: a page's own WebSocket, and the chat page."""

from pathlib import Path

import pytest

from support.chat import PHONES, chatter, conversation
from support.chromium import Chromium
from support.foreign import find
from support.libws import ABNORMAL, LARGE, MIB, SIZES

pytestmark = pytest.mark.heavy

PAGES = Path(__file__).parent / "pages"


@pytest.fixture(scope="module")
def browser():
    chromium = Chromium(find("chromium"))
    yield chromium
    chromium.close()


def page_of(url):
    """The page that a server shows beside its WebSocket."""
    return url.replace("ws", "http", 1)


# -- libws serve ---------------------------------------------------------------


def test_messages_come_back_as_they_are(libws, browser):
    """Row 153: text and binary, from empty to 16 MiB."""
    server = libws.serve("--root", PAGES, "--max-message", LARGE)
    with browser.page(page_of(server.url)) as page:
        seen = page.evaluate(f"echo({server.url!r}, {[*SIZES, MIB, LARGE]})")
    assert seen == ["", 'close 1000 "" true']


def test_compression_is_negotiated(libws, browser):
    """Rows 113 and 306."""
    server = libws.serve("--root", PAGES, "--max-message", LARGE, "--compression")
    with browser.page(page_of(server.url)) as page:
        extensions, closed = page.evaluate(f"echo({server.url!r}, {[*SIZES, MIB]})")
    assert extensions.startswith("permessage-deflate")
    assert closed == 'close 1000 "" true'


def test_messages_come_back_over_tls(libws, browser, identity):
    server = libws.serve("--root", PAGES, "--tls-cert", identity.cert, "--tls-key", identity.key)
    assert server.url.startswith("wss://")
    with browser.page(page_of(server.url)) as page:
        seen = page.evaluate(f"echo({server.url!r}, {list(SIZES)})")
    assert seen == ["", 'close 1000 "" true']


def test_an_origin_that_is_not_ours_is_refused(libws, browser):
    """A-41: a page may connect to where it came from only."""
    server = libws.serve("--root", PAGES)
    other = libws.serve("--root", PAGES)
    with browser.page(page_of(other.url)) as page:
        seen = page.evaluate(f"listen({server.url!r})")
    assert seen == ["error at 3", f'close {ABNORMAL} "" false']


def test_an_origin_that_is_allowed_may_connect(libws, browser):
    page_server = libws.serve("--root", PAGES)
    server = libws.serve("--origin", page_of(page_server.url).rstrip("/"))
    with browser.page(page_of(page_server.url)) as page:
        seen = page.evaluate(f"echo({server.url!r}, [5])")
    assert seen == ["", 'close 1000 "" true']


# -- Who closes ----------------------------------------------------------------


@pytest.fixture
def probe(libws):
    """A server of which the test sees the events."""
    probe = libws.probe()
    probe.url = probe.listen(root=PAGES)
    return probe


@pytest.mark.parametrize("code, reason", [(1000, "done"), (3001, "x"), (4999, "é" * 61)])
def test_the_browser_closes(browser, probe, code, reason):
    """Rows 205 and 206."""
    with browser.page(page_of(probe.url)) as page:
        seen = page.evaluate(f"openAndClose({probe.url!r}, {code}, {reason!r})")
    assert seen == [f'close {code} "{reason}" true']
    probe.expect("open", id=1)
    probe.expect_close(1, code, reason)


def test_the_browser_closes_without_a_code(browser, probe):
    """Row 204."""
    with browser.page(page_of(probe.url)) as page:
        seen = page.evaluate(f"openAndClose({probe.url!r})")
    assert seen == ['close 1005 "" true']
    probe.expect("open", id=1)
    probe.expect_close(1, 1005)


@pytest.mark.parametrize("code, reason", [(1000, "done"), (1001, ""), (4000, "enough")])
def test_the_server_closes(browser, probe, code, reason):
    """Row 379."""
    with browser.page(page_of(probe.url)) as page:
        page.evaluate(f"void (window.seen = listen({probe.url!r}))")
        probe.expect("open", id=1)
        probe.command("close-with", 1, code, reason)
        assert page.evaluate("seen") == ["open", f'close {code} "{reason}" true']
    probe.expect_close(1, code, reason)


def test_a_page_that_goes_away_says_so(browser, probe):
    """RFC 6455 section 7.4.1: 1001 is "a browser having navigated away from a
    page"."""
    with browser.page(page_of(probe.url)) as page:
        page.evaluate(f"open({probe.url!r}).then(() => null)")
        probe.expect("open", id=1)
        page.open("about:blank")
    probe.expect_close(1, 1001)


def test_a_subprotocol_is_chosen(libws, browser):
    """Row 369: the first that the browser offers and the server speaks."""
    probe = libws.probe()
    url = probe.listen(root=PAGES, protocol=["two", "one"])
    with browser.page(page_of(url)) as page:
        protocol = page.evaluate(f"open({url!r}, ['zero', 'one', 'two']).then((s) => s.protocol)")
        assert protocol == "one"
        probe.expect("open", id=1, protocol="one")
        page.evaluate("null")
    probe.expect_close(1, 1001)


# -- The chat page -------------------------------------------------------------


def test_two_people_chat(libws, browser):
    """Each sees what both say, as it was typed."""
    server = libws.serve("--chat")
    with chatter(browser, server.url, "Ann") as ann, chatter(browser, server.url, "Bob") as bob:
        ann.sees("Bob has joined.")
        ann.say("Hello Bob")
        bob.say("<b>Hello</b> Ann & \\'all\\' \u2764")
        for person in (ann, bob):
            person.sees("Hello Bob")
            person.sees("<b>Hello</b> Ann & \\'all\\' \u2764")
        assert bob.page.evaluate("document.querySelectorAll('#list b').length") == 0


def test_files_go_to_all(libws, browser):
    server = libws.serve("--chat")
    with chatter(browser, server.url, "Ann") as ann, chatter(browser, server.url, "Bob") as bob:
        bob.page.evaluate("chat.sendFile(new File([new Uint8Array(1234)], 'x'))")
        ann.sees("File of 1.2 kB")


def test_who_leaves_is_missed(libws, browser):
    server = libws.serve("--chat")
    with chatter(browser, server.url, "Ann") as ann:
        with chatter(browser, server.url, "Bob"):
            ann.sees("Bob has joined.")
        ann.sees("Bob has left.")


def test_the_page_comes_back_when_the_server_does(libws, browser):
    server = libws.serve("--chat")
    with chatter(browser, server.url, "Ann") as ann:
        assert server.stop() == 0, server.transcript()
        ann.sees("The server is going away.")
        libws.serve("--chat", "--port", server.port)
        ann.page.wait_for("document.getElementById('state').dataset.state === 'open'")


# What is shown of the page and reaches beyond the right edge.
CUT_OFF = """
[...document.querySelectorAll("body *")]
    .filter(e => e.getClientRects().length > 0 && e.getBoundingClientRect().right > innerWidth)
    .map(e => e.id || e.tagName)
"""


@pytest.mark.parametrize("phone", PHONES, ids=lambda phone: str(phone["width"]))
def test_the_chat_is_as_wide_as_a_phone(libws, browser, out, phone):
    server = libws.serve("--chat")
    with chatter(browser, server.url, "Ann", **phone) as ann:
        ann.say("A long word: " + "x" * 500)
        ann.sees("A long word")
        assert ann.page.evaluate(CUT_OFF) == []
        ann.page.screenshot(out / f"chat-phone-{phone['width']}.png")
        server.stop()
        ann.sees("The server is going away.")
        assert ann.page.evaluate(CUT_OFF) == []


def test_a_picture_of_the_chat(libws, browser, out):
    """What run.sh --screenshot makes for the documentation."""
    server = libws.serve("--chat")
    with conversation(browser, server.url) as page:
        page.screenshot(out / "chat.png")
    assert (out / "chat.png").read_bytes().startswith(b"\x89PNG")
