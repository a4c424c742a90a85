#!/bin/sh
# WebSocket with the ends of others, both ways, packed and not, with and without TLS: python3-websockets, and ws of Node,
# as far as they are installed; and our own two ends.
set -eu
program=$1/tests/program-ws
certificates=$1/tests/certificates
here=$(cd -- "$(dirname -- "$0")" && pwd)
[ -x "$program" ] || exit 77
NODE_PATH="/usr/share/nodejs:${NODE_PATH:-}"
export NODE_PATH
work=$(mktemp -d)
pids=
stop() {
    # shellcheck disable=SC2086 # they are words to split
    [ -z "$pids" ] || kill $pids 2>/dev/null || :
    rm -rf "$work"
}
trap stop EXIT
failures=0
fail() {
    echo "$*"
    sed 's/^/    /' "$work/out" 2>/dev/null || :
    failures=$((failures + 1))
}

# serve COMMAND...: a server that says PORT n; $port is where.
serve() {
    : >"$work/port"
    "$@" >"$work/port" 2>"$work/server.err" &
    pids="$pids $!"
    tries=0
    while ! grep -q PORT "$work/port"; do
        tries=$((tries + 1))
        [ "$tries" -lt 400 ] || { cat "$work/server.err" >"$work/out"; fail "does not serve: $*"; return; }
        sleep 0.05
    done
    port=$(sed -n 's/^PORT //p' "$work/port")
}

# ask EXPECTED COMMAND...: it prints that.
ask() {
    expected=$1
    shift
    timeout 60 "$@" >"$work/out" 2>&1 || { fail "fails: $*"; return; }
    [ "$(cat "$work/out")" = "$expected" ] || fail "does not say $expected: $*"
}

python=
node=
for python3 in python3 /usr/bin/python3; do # Debian's package is Debian's python3's
    ! "$python3" -c 'import websockets' 2>/dev/null || { python=$here/ws_peer.py && break; }
done
! node -e 'require("ws")' 2>/dev/null || node=$here/ws_peer.js

# ---- our server ----

serve "$program" serve
ours=$port
for path in echo handlers context plain; do
    [ -z "$python" ] || ask good "$python3" "$python" ask "ws://127.0.0.1:$ours/$path"
    [ -z "$python" ] || ask good "$python3" "$python" ask "ws://127.0.0.1:$ours/$path" plain
    for how in '' plain context; do
        [ -z "$node" ] || ask good node "$node" ask "ws://127.0.0.1:$ours/$path" $how
    done
done
for path in echo handlers context; do
    ask 3000 "$program" ask "ws://127.0.0.1:$ours/$path"
done
ask 3000 "$program" ask "ws://127.0.0.1:$ours/plain" plain
ask 3000 "$program" ask "ws://127.0.0.1:$ours/context" context

# ---- our client ----

if [ -n "$python" ]; then
    serve "$python3" "$python" serve
    for how in echo plain context; do
        ask 3000 "$program" ask "ws://127.0.0.1:$port/" $how
    done
fi
if [ -n "$node" ]; then
    for kind in '' context; do
        serve node "$node" serve $kind
        for how in echo plain; do
            ask 3000 "$program" ask "ws://127.0.0.1:$port/" $how
        done
    done
    ask 3000 "$program" ask "ws://127.0.0.1:$port/" context
fi

# ---- TLS ----

if [ -e "$certificates/good.pem" ]; then
    serve "$program" serve "$certificates/good.pem" "$certificates/good.key"
    ask 3000 "$program" ask "wss://localhost:$port/echo" echo "$certificates/root.pem"
    ask 3000 "$program" ask "wss://localhost:$port/handlers" echo "$certificates/root.pem"
    [ -z "$python" ] || ask good "$python3" "$python" ask "wss://localhost:$port/echo" "$certificates/root.pem"
    if [ -n "$python" ]; then
        serve "$python3" "$python" serve "$certificates/good.pem" "$certificates/good.key"
        ask 3000 "$program" ask "wss://localhost:$port/" echo "$certificates/root.pem"
    fi
fi
[ "$failures" -eq 0 ]
