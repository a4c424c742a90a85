"""A Chromium without a screen, driven through its DevTools protocol, for tests of pages: Browser and its Pages.

    with Browser() as browser:
        page = browser.open("http://127.0.0.1:8080/")
        page.wait("document.title == 'Pulse'")

The protocol is JSON over WebSocket, which the standard library does not have: Socket is what a client needs of it.
"""
import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import urllib.request

PATIENCE = 60


def find():
    """The command of an installed Chromium, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Socket:
    """The client's end of a WebSocket that carries texts."""

    def __init__(self, url):
        place, _, path = url.removeprefix("ws://").partition("/")
        host, _, port = place.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), PATIENCE)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /{path} HTTP/1.1\r\nHost: {place}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        self.file = self.socket.makefile("rb")
        if b" 101 " not in self.file.readline():
            raise OSError("the browser does not speak WebSocket")
        while self.file.readline() not in (b"\r\n", b""):
            pass

    def send(self, text):
        data, mask = text.encode(), os.urandom(4)
        length = len(data)
        head = bytes([0x81])
        head += bytes([0x80 | length]) if length < 126 else struct.pack("!BH" if length < 65536 else "!BQ",
                                                                       0xfe if length < 65536 else 0xff, length)
        self.socket.sendall(head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)))

    def receive(self):
        text = b""
        while True:
            first, second = self.file.read(2)
            length = second & 0x7f
            if length > 125:
                length, = struct.unpack("!H" if length == 126 else "!Q", self.file.read(2 if length == 126 else 8))
            data = self.file.read(length)
            if first & 0x0f in (0, 1):
                text += data
                if first & 0x80:
                    return text.decode()
            elif first & 0x0f == 8:
                raise OSError("the browser has closed the connection")

    def close(self):
        self.socket.close()


class Page:
    """A tab."""

    def __init__(self, url):
        self.socket = Socket(url)
        self.number = 0
        self.call("Page.enable")
        self.call("Runtime.enable")

    def call(self, method, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.socket.receive())
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise OSError(f"{method}: {answer['error']}")
                return answer["result"]

    def evaluate(self, expression):
        """What an expression in JavaScript is worth."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, expression, seconds=PATIENCE):
        """Waits until an expression is true, and returns it."""
        deadline = time.monotonic() + seconds
        while True:
            value = self.evaluate(expression)
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"{expression} is {value!r} after {seconds} s; the page says "
                                     f"{self.evaluate('document.body.innerText')!r}")
            time.sleep(0.05)

    def type(self, selector, text):
        """Types into an element, as keys do."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)

    def press(self, key, code):
        """A key, such as Enter, 13."""
        for kind in "rawKeyDown", "char", "keyUp":
            text = {"text": "\r"} if kind == "char" and key == "Enter" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def size(self, width, height, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def picture(self, path):
        pathlib.Path(path).write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


class Browser:
    def __init__(self):
        self.profile = tempfile.mkdtemp()
        flags = ["--headless=new", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                 "--disable-dev-shm-usage", "--remote-debugging-port=0", f"--user-data-dir={self.profile}"]
        if os.getuid() == 0:
            flags.append("--no-sandbox")  # it does not run as root otherwise
        self.process = subprocess.Popen([find(), *flags, "about:blank"], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        self.pages = []
        try:
            self.base = f"http://127.0.0.1:{self.port()}"
        except BaseException:
            self.close()
            raise

    def port(self):
        deadline = time.monotonic() + PATIENCE
        file = pathlib.Path(self.profile) / "DevToolsActivePort"
        while not (file.exists() and file.read_text().count("\n")):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise OSError("the browser does not start")
            time.sleep(0.05)
        return int(file.read_text().split("\n")[0])

    def open(self, url, before=""):
        """A tab with a page; before is a script that runs before those of the page."""
        request = urllib.request.Request(f"{self.base}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            page = Page(json.load(answer)["webSocketDebuggerUrl"])
        self.pages.append(page)
        page.call("Page.addScriptToEvaluateOnNewDocument", source=before)
        page.call("Page.navigate", url=url)
        page.wait("document.readyState == 'complete'")
        return page

    def close(self):
        for page in self.pages:
            page.socket.close()
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.close()
