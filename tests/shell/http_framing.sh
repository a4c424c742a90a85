#!/bin/sh
# What is no HTTP is refused, byte by byte: the rows of tests/data/http/framing.txt, to our server on epoll and uring,
# and to nginx (as a proxy in front of ours) and Node where they are there.
set -eu
program=$1/tests/program-http
[ -x "$program" ] && command -v python3 >/dev/null || exit 77
here=$(cd -- "$(dirname -- "$0")" && pwd)
. "$here/lib/scratch.sh"
nginx=$(command -v nginx || command -v /usr/sbin/nginx || :)

# begin NAME COMMAND...: a server that says PORT n; $port is where.
begin() {
    log=$work/$1
    shift
    "$@" >"$log" 2>"$log.err" &
    pids="$pids $!"
    until_true grep -q PORT "$log" || fail "no server: $(cat "$log.err")"
    port=$(sed -n 's/^PORT //p' "$log")
}

others=
for backend in epoll uring; do
    COIR_BACKEND=$backend begin "$backend" "$program"
    ours=$port
    if [ "$backend" = epoll ] && command -v node >/dev/null; then
        begin node node -e '
            const server = require("http").createServer((request, response) => {
                const pieces = [];
                request.on("data", piece => pieces.push(piece));
                request.on("end", () => response.end(Buffer.concat(pieces)));
            });
            server.listen(0, "127.0.0.1", () => console.log("PORT " + server.address().port));'
        others="$others node=$port"
    fi
    if [ "$backend" = epoll ] && [ -n "$nginx" ]; then
        front=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        cat >"$work/nginx.conf" <<CONF
daemon off; worker_processes 1; pid $work/nginx.pid; error_log $work/nginx.log;
events { }
http {
    access_log off; client_body_temp_path $work/n1; proxy_temp_path $work/n2; fastcgi_temp_path $work/n3;
    uwsgi_temp_path $work/n4; scgi_temp_path $work/n5; large_client_header_buffers 4 64k;
    upstream back { server 127.0.0.1:$ours; keepalive 8; }
    server {
        listen 127.0.0.1:$front;
        location / { proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection ""; }
    }
}
CONF
        "$nginx" -e "$work/nginx.log" -c "$work/nginx.conf" 2>"$work/nginx.err" &
        pids="$pids $!"
        until_true curl -sS --max-time 5 "http://127.0.0.1:$front/hello" ||
            fail "nginx does not start: $(cat "$work/nginx.err" "$work/nginx.log")"
        others="$others nginx=$front"
    fi
    # shellcheck disable=SC2086 # they are words to split
    python3 "$here/http_framing.py" "$here/../data/http/framing.txt" "$ours" $others >"$work/verdict" ||
        fail "on $backend: $(cat "$work/verdict")"
    others=
done
[ "$failures" -eq 0 ]
