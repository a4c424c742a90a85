"""What Chromium sees of the server at a port: http_browser.py PORT FILE, where FILE is what /files/large is."""
import hashlib
import pathlib
import sys

from browser import Browser

EVENTS = """new Promise((resolve, reject) => {
    const source = new EventSource('/events'), got = [];
    source.addEventListener('tick', event => {
        got.push(event.lastEventId + ':' + event.data);
        if (got.length === 3) { source.close(); resolve(got.join('|')); }
    });
})"""
DOWNLOAD = """fetch('/files/large').then(answer => answer.arrayBuffer())
    .then(body => crypto.subtle.digest('SHA-256', body))
    .then(sum => Array.from(new Uint8Array(sum), byte => byte.toString(16).padStart(2, '0')).join(''))"""


def main(port, file):
    base = f"http://127.0.0.1:{port}"
    bad = 0
    with Browser() as browser:
        page = browser.open(f"{base}/files/")
        for expression, expected in [
            ("document.title", "page"),
            ("getComputedStyle(document.body).color", "rgb(1, 2, 3)"),
            ("loaded", "script"),
            ("fetch('/hello').then(answer => answer.text())", "hello, GET\n"),
            ("fetch('/echo', {method: 'PUT', body: 'x'.repeat(500000)}).then(answer => answer.text())"
             ".then(text => text.length)", 500000),
            ("fetch('/nowhere').then(answer => answer.status)", 404),
            ("fetch('/cookie').then(answer => answer.text())", "no\n"),
            ("fetch('/cookie').then(answer => answer.text())", "yes\n"),
            ("document.cookie", ""),  # scripts may not read it
            ("fetch('/files/large', {headers: {Range: 'bytes=10-19'}}).then(answer => answer.arrayBuffer())"
             ".then(body => body.byteLength)", 10),
            (EVENTS, "|".join(f"{i}:first line\nsecond line" for i in (1, 2, 3))),
            (DOWNLOAD, hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest()),
            ("document.forms[0].submit(), 1", 1),
        ]:
            got = page.evaluate(expression)
            if got != expected:
                print(f"{expression} is {got!r}, not {expected!r}")
                bad += 1
        page.wait("location.pathname == '/form' && document.readyState == 'complete'")
        if (said := page.evaluate("document.body.innerText")) != "a b says: \u00fc&=%\n":
            print(f"the form is answered by {said!r}")
            bad += 1
    return bad > 0


sys.exit(main(*sys.argv[1:]))
