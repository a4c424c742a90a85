"""The chat room of examples/chat as people use it: chat.py PROGRAM. Exit status 0 passed, 1 failed, 77 skipped."""
import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "lib"))
import browser

PAGES = HERE.parents[1] / "examples/chat"


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % probe.getsockname()[1]


@contextlib.contextmanager
def room(address):
    """The server. It ends by SIGTERM, within seconds, whoever is in the room."""
    process = subprocess.Popen([sys.argv[1], address, PAGES], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        host, port = address.split(":")
        deadline = time.monotonic() + 20
        while socket.socket().connect_ex((host, int(port))) != 0:
            assert process.poll() is None and time.monotonic() < deadline, "the server does not begin"
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0 and err == "", (process.returncode, err)


def said(page):
    return page.evaluate("[...document.querySelectorAll('#log li')].map((e) => e.textContent)")


def wait_for(page, text):
    page.wait(f"[...document.querySelectorAll('#log li')].some((e) => e.textContent === {json.dumps(text)})")


def enter(page, name):
    page.type("#name", name)
    page.press("Enter", 13)
    page.wait("document.activeElement.id === 'text'")


def say(page, text):
    page.type("#text", text)
    page.press("Enter", 13)


def main():
    if not browser.find():
        print("skipped: no Chromium is installed")
        sys.exit(77)
    with browser.Browser() as chromium:
        address = free_address()
        url = f"http://{address}/"
        with room(address):
            ada, bob = chromium.open(url), chromium.open(url)
            enter(ada, "Ada")
            enter(bob, "Bob")
            for page in ada, bob:
                wait_for(page, "Bob has come")
                assert page.evaluate("document.getElementById('state').textContent") == "in the room"
            say(ada, "hello, <b>Bob</b> \u2615")
            wait_for(bob, "Ada: hello, <b>Bob</b> \u2615")
            wait_for(ada, "hello, <b>Bob</b> \u2615")
            for i in range(5):
                say(bob, f"line {i}")
            wait_for(ada, "Bob: line 4")
            assert said(ada)[-5:] == [f"Bob: line {i}" for i in range(5)], said(ada)
            assert ada.evaluate("document.querySelectorAll('#log b').length") == 0, "markup was taken as such"
            bob.evaluate("socket.send(new Uint8Array([255]))")  # no text: nobody hears it, and nothing has failed
            say(bob, "still here")
            wait_for(ada, "Bob: still here")
            eve = chromium.open(url)
            eve.evaluate("document.getElementById('name').maxLength = 999")
            eve.type("#name", "x" * 41)
            eve.press("Enter", 13)
            eve.wait("document.getElementById('state').textContent.startsWith('a name of')")
            eve.call("Page.close")
            bob.call("Page.navigate", url="about:blank")
            wait_for(ada, "Bob has left")
        ada.wait("document.getElementById('state').textContent.startsWith('not connected')")
        with room(address):
            wait_for(ada, "Ada has come")  # by itself
            ada.wait("[...document.querySelectorAll('#log li')].filter((e) => e.textContent == 'Ada has come').length == 2")
            say(ada, "back again")
            wait_for(ada, "back again")


main()
