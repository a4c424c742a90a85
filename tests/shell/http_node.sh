#!/bin/sh
# HTTP with Node on the other side: its client asks our server, its server answers our client.
set -eu
server=$1/tests/program-http
client=$1/tests/program-fetch
[ -x "$server" ] && [ -x "$client" ] && command -v node >/dev/null || exit 77
here=$(cd -- "$(dirname -- "$0")" && pwd)
. "$here/lib/scratch.sh"

# begin COMMAND...: a server that says PORT n; $port is where.
begin() {
    : >"$work/port"
    (cd "$work/site" && exec "$@" >"$work/port" 2>"$work/err") &
    pids="$pids $!"
    until_true grep -q PORT "$work/port" || fail "no server: $*"
    port=$(sed -n 's/^PORT //p' "$work/port")
}

mkdir "$work/site"
printf 'some text' >"$work/site/text.txt"
head -c 5000000 /dev/urandom >"$work/site/large"

begin "$server"
node "$here/http_node.js" client "$port" >"$work/out" 2>&1 || fail 'a client in Node'

begin node "$here/http_node.js" server
cat >"$work/expected" <<'TEXT'
GET /count: 200, 10 'GET 0 true'
POST /count: 200, 16 'POST 100000 true'
PUT /count: 200, 15 'PUT 100000 true'
GET /gzip: 200, 8000 'packed, packed, packed, packed'
GET /deflate: 200, 8000 'packed, packed, packed, packed'
GET /br: 200, 8000 'packed, packed, packed, packed'
GET /chunks: 200, 100000 '000000000000000000000000000000'
HEAD /large: 200, 0 ''
GET /hints: 200, 11 'after hints'
GET /none: 204, 0 ''
GET /same: 304, 0 ''
GET /moved: 200, 11 'cookie: a=b'
POST /kept: 200, 16 'POST 100000 true'
GET /large: 200, 5000000 'llllllllllllllllllllllllllllll'
GET /nowhere: 404, 7 'nothing'
1 connections
TEXT
# shellcheck disable=SC2046 # they are words to split
"$client" "http://127.0.0.1:$port" $(sed -n 's|^\([A-Z]*\) \(/[a-z]*\):.*|\1 \2|p' "$work/expected") \
    >"$work/out" 2>"$work/err" || fail 'our client'
cmp -s "$work/out" "$work/expected" || fail "our client understands Node in another way: $(diff "$work/expected" "$work/out" || :)"

cat >"$work/expected" <<'TEXT'
GET /last: 200, 12 'the last one'
GET /cut: COIR_EEOF
GET /count: 200, 10 'GET 0 true'
3 connections
TEXT
"$client" "http://127.0.0.1:$port" GET /last GET /cut GET /count >"$work/out" 2>"$work/err" || fail 'our client'
cmp -s "$work/out" "$work/expected" || fail "connections end otherwise: $(diff "$work/expected" "$work/out" || :)"
[ "$failures" -eq 0 ]
