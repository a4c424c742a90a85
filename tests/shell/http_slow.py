"""Slow clients of the server at a port, up to 4,000, from many addresses: a third with their heads, a third with their
bodies, a third with what they are sent. One that is not slow asks before them and among them.
"""
import resource
import socket
import statistics
import sys
import time

MOST = 4000
ASKED = 300
LONGEST = 5.0  # seconds for any reply, on a machine that has other things to do
LIMIT = 9.0  # seconds; after ten the server has enough of a slow head
HEAD = b"GET /hello HTTP/1.1\r\nHost: a\r\nX: "
BODY = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
TAKE = b"GET /files/large HTTP/1.1\r\nHost: a\r\n\r\n"


def connect(port, number):
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.bind((f"127.1.{number // 200}.{number % 200 + 1}", 0))
    peer.connect(("127.0.0.1", port))
    return peer


def ask(port):
    """How long each reply took, most on one connection, some on new ones."""
    took = []
    peer = None
    for i in range(ASKED):
        start = time.monotonic()
        if i % 10 == 0:
            peer = socket.create_connection(("127.0.0.1", port), LONGEST)
        peer.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        got = b""
        while not got.endswith(b"hello, GET\n"):
            piece = peer.recv(4096)
            if not piece:
                sys.exit(f"reply {i} ended with {got!r}")
            got += piece
        took.append(time.monotonic() - start)
    return took


def main(port):
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    count = min(MOST, (files - 200) // 2)
    before = ask(port)
    start = time.monotonic()
    peers = [connect(port, number) for number in range(count)]
    for number, peer in enumerate(peers):
        peer.sendall((HEAD, BODY, TAKE)[number % 3])
    among = []
    for turn in range(3):
        for number, peer in enumerate(peers):
            if number % 3 < 2 and time.monotonic() - start < LIMIT:
                peer.sendall(b"x")
            elif number % 3 == 2 and turn > 0:
                peer.recv(1)
        among += ask(port)
    alive = 0
    for peer in peers:
        peer.setblocking(False)
        try:
            alive += peer.recv(1) != b""
        except BlockingIOError:
            alive += 1
        except OSError:
            pass
    dropped = alive < count * 9 // 10 and time.monotonic() - start < LIMIT
    usual, now = statistics.median(before), statistics.median(among)
    print(f"{count} slow clients, {alive} alive; a reply takes {usual * 1e6:.0f} us without them and {now * 1e6:.0f} us "
          f"with them, {sorted(among)[len(among) * 99 // 100] * 1e6:.0f} us at p99, {max(among) * 1e6:.0f} us at most")
    return dropped or now > 5 * usual + 0.005 or max(among) > LONGEST


sys.exit(main(int(sys.argv[1])))
