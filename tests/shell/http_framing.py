"""Sends the rows of tests/data/http/framing.txt to our server, and to others that are there, each on a connection.

    http_framing.py FILE OURS [NAME=PORT ...]

Ours must give each row's verdict. Others are there to keep the rows honest: what we take is taken by one of them at
least, and whatever they make of a row, they answer no more than the two requests that were sent.
"""
import codecs
import re
import socket
import sys

NEXT = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
PATIENCE = 60
LARGE = 8192  # others have other limits


def rows(path):
    with open(path, encoding="latin-1") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            if line and not line.startswith("#"):
                section, verdict, text = line.split(" ", 2)
                text = re.sub(r"\{(.)\*(\d+)\}", lambda many: many[1] * int(many[2]), text)
                text = text.replace("HOST", r"Host: a\r\n")
                yield number, section, verdict, codecs.escape_decode(text.encode("latin-1"))[0]


def talk(port, data):
    """All that comes back for data."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
        try:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            while piece := peer.recv(65536):
                got += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
    return got


def take_chunks(got):
    body = b""
    while True:
        line, _, got = got.partition(b"\r\n")
        size = int(line, 16)
        body, got = body + got[:size], got[size + 2:]
        if size == 0:
            return body, got


def replies(got):
    """The status, head and body of each response in got."""
    while got:
        head, _, got = got.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
            body, got = take_chunks(got)
        elif length:
            body, got = got[:int(length[1])], got[int(length[1]):]
        else:
            body, got = (got, b"") if status != 204 else (b"", got)
        yield status, head, body


def judge(verdict, got):
    """Whether our replies are those of a verdict."""
    kind, _, body = verdict.partition("=")
    first, second = (200, body.encode()), (200, b"hello, GET\n")
    said = [(status, text) for status, _, text in got]
    if kind == "ok":
        return said == [first, second]
    if kind == "end":
        return said == [first]
    if kind == "none":
        return said == [] or (len(said) == 1 and said[0][0] == 400)
    return [status for status, _ in said] == [int(kind)] and b"\r\nConnection: close" in got[0][1]


def main(path, ours, *others):
    peers = [(name, int(port)) for name, _, port in (other.partition("=") for other in others)]
    bad, count, lenient = 0, 0, dict.fromkeys([name for name, _ in peers], 0)
    for number, section, verdict, data in rows(path):
        last = verdict.startswith("end")
        data += NEXT if verdict != "none" else b""
        got = list(replies(talk(int(ours), data)))
        count += 1
        if not judge(verdict, got):
            print(f"{path}:{number}: section {section}: not {verdict} but {[(g[0], g[2][:60]) for g in got]}")
            bad += 1
        takers = 0
        for name, port in peers:
            # behind their last reply some leave the next request unread, which resets the connection
            theirs = [status for status, _, _ in replies(talk(port, data.removesuffix(NEXT) if last else data))]
            took = theirs[:1] == [200]
            takers += took
            lenient[name] += took and not verdict.startswith(("ok", "end"))
            if sum(status != 100 for status in theirs) > 2:
                print(f"{path}:{number}: {name} answers {theirs} to two requests")
                bad += 1
        if peers and verdict.startswith(("ok", "end")) and takers == 0 and len(data) < LARGE:
            print(f"{path}:{number}: section {section}: nobody but us takes it")
            bad += 1
    taken = "".join(f"; {name} takes {many} of what must be refused" for name, many in lenient.items())
    print(f"{count} rows, {bad} bad{taken}")
    return bad > 0 or count < 100


sys.exit(main(*sys.argv[1:]))
