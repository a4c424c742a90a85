#!/bin/sh
# The locale of a program changes nothing of HTTP: in Turkish "I" is not the large form of "i", months have other names,
# and numbers have commas. Where two programs disagree about "TRANSFER-ENCODING", one smuggles requests past the other.
set -eu
program=$1/tests/program-http
[ -x "$program" ] && command -v python3 >/dev/null && command -v localedef >/dev/null || exit 77
here=$(cd -- "$(dirname -- "$0")" && pwd)
. "$here/lib/scratch.sh"

localedef -i tr_TR -f UTF-8 "$work/tr_TR.UTF-8" >/dev/null 2>&1 || exit 77
ACCESS_LOG=1 LOCPATH=$work LC_ALL=tr_TR.UTF-8 "$program" >"$work/log" 2>"$work/access" &
pids="$pids $!"
until_true grep -q PORT "$work/log" || fail "no server"
port=$(sed -n 's/^PORT //p' "$work/log")
python3 - "$port" <<'PYTHON' || fail "a request in large letters"
import socket, sys
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
client.sendall(b"POST /echo HTTP/1.1\r\nHOST: a\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n"
               b"1a\r\nGET /hello HTTP/1.1\r\nHost:\r\n0\r\n\r\n"
               b"POST /echo HTTP/1.1\r\nHOST: a\r\nCONNECTION: CLOSE\r\nCONTENT-LENGTH: 2\r\n\r\nhi")
replies = b""
while True:
    piece = client.recv(65536)
    if not piece:
        break
    replies += piece
assert replies.count(b"HTTP/1.1 200 OK\r\n") == 2, replies
assert b"\r\n\r\nGET /hello HTTP/1.1\r\nHost:" in replies and replies.endswith(b"\r\n\r\nhi"), replies
PYTHON
until_true grep -q 'POST /echo' "$work/access" || fail "no access log"
grep -Eq '^127.0.0.1 - - \[[0-9]{2}/(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)/[0-9]{4}:[0-9:]{8} \+0000\] "POST /echo HTTP/1.1" 200 26 [0-9]+\.[0-9]{6}$' \
    "$work/access" || fail "another log: $(cat "$work/access")"
[ "$failures" -eq 0 ]
