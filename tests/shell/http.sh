#!/bin/sh
# The HTTP server against others: curl with and without TLS, bodies of all sizes, connections that are kept, pipelining
# by a bare socket, files and ranges, nginx as a proxy in front of it, and how it ends.
set -eu
program=$1/tests/program-http
certificates=$1/tests/certificates
[ -x "$program" ] && command -v curl >/dev/null || exit 77
. "$(dirname -- "$0")/lib/scratch.sh"

# serve ARGUMENT...: a server; $port is where, $server who.
serve() {
    : >"$work/port"
    (cd "$work/site" && exec "$program" "$@" >"$work/port" 2>"$work/server.err") &
    server=$!
    pids="$pids $server"
    until_true grep -q PORT "$work/port" || fail "the server does not start: $(cat "$work/server.err")"
    port=$(sed -n 's/^PORT //p' "$work/port")
}

# expect WHAT EXPECTED CURL-ARGUMENT...
expect() {
    what=$1 expected=$2
    shift 2
    got=$(curl -sS --max-time 20 "$@" 2>&1) || fail "$what: curl fails: $got"
    [ "$got" = "$expected" ] || fail "$what: '$got' instead of '$expected'"
}

# All that a client asks of a server at URL $1, with options for curl behind it.
try_all() {
    url=$1
    shift
    expect get 'hello, GET' "$@" "$url/hello"
    expect head '' "$@" -I -o /dev/null "$url/hello"
    for method in POST PUT PATCH DELETE OPTIONS; do
        expect "$method" 'some body' "$@" -X "$method" -d 'some body' "$url/echo"
    done
    expect 'HTTP/1.0' 'hello, GET' "$@" -0 --no-alpn "$url/hello"
    expect missing '404' "$@" -o /dev/null -w '%{http_code}' "$url/nowhere"
    expect kept '1 0 0 ' "$@" -o /dev/null -o /dev/null -o /dev/null -w '%{num_connects} ' \
        "$url/hello" "$url/echo" "$url/pieces"
    expect pieces "$(printf 'piece %d\n' 0 1 2 3 4)" "$@" "$url/pieces"
    expect file 'some text' "$@" "$url/files/text.txt"
    expect range 'me te' "$@" -r 2-6 "$url/files/text.txt"
    expect outside '404' "$@" --path-as-is -o /dev/null -w '%{http_code}' "$url/files/../port"
    for size in 0 1 1000 16384 100000 1000000; do
        head -c "$size" /dev/urandom >"$work/body"
        curl -sS --max-time 20 "$@" --data-binary "@$work/body" -o "$work/back" "$url/echo" || fail "a body of $size"
        cmp -s "$work/body" "$work/back" || fail "a body of $size does not come back"
        curl -sS --max-time 20 "$@" -H 'Transfer-Encoding: chunked' --data-binary "@$work/body" -o "$work/back" \
            "$url/echo" || fail "a chunked body of $size"
        cmp -s "$work/body" "$work/back" || fail "a chunked body of $size does not come back"
    done
    head -c 2000000 /dev/zero >"$work/body"
    expect 'too large' '413' "$@" -o /dev/null -w '%{http_code}' -H 'Expect: 100-continue' \
        --data-binary "@$work/body" "$url/echo"
    curl -sS --max-time 20 "$@" -o "$work/back" "$url/files/large" || fail 'a large file'
    cmp -s "$work/site/large" "$work/back" || fail 'a large file does not come whole'
}

mkdir "$work/site"
printf 'some text' >"$work/site/text.txt"
head -c 5000000 /dev/urandom >"$work/site/large"

# ---- curl ----

serve
try_all "http://127.0.0.1:$port"

# Sixteen requests in one piece, from a socket: as many replies, in order.
python3 - "$port" <<'PYTHON' || fail 'pipelining'
import socket, sys
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
bodies = [b"%d" % i * (i + 1) for i in range(16)]
peer.sendall(b"".join(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(b) + b for b in bodies))
peer.shutdown(socket.SHUT_WR)
got = b"".join(iter(lambda: peer.recv(65536), b""))
replies = [reply.partition(b"\r\n\r\n")[2] for reply in got.split(b"HTTP/1.1 200 OK\r\n")[1:]]
sys.exit(replies != bodies)
PYTHON

# ---- a proxy ----

nginx=$(command -v nginx || command -v /usr/sbin/nginx || :)
if [ -n "$nginx" ]; then
    front=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    cat >"$work/nginx.conf" <<CONF
daemon off; worker_processes 1; pid $work/nginx.pid; error_log $work/nginx.log;
events { }
http {
    access_log off; client_body_temp_path $work/n1; proxy_temp_path $work/n2; fastcgi_temp_path $work/n3;
    uwsgi_temp_path $work/n4; scgi_temp_path $work/n5; client_max_body_size 8m;
    upstream back { server 127.0.0.1:$port; keepalive 8; }
    server {
        listen 127.0.0.1:$front;
        location / {
            proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
            proxy_request_buffering off;
        }
        location ~ ^/(ticks|next) { proxy_pass http://back; } # as nginx does by itself: by HTTP/1.0 it gathers
    }
}
CONF
    "$nginx" -e "$work/nginx.log" -c "$work/nginx.conf" 2>"$work/nginx.err" &
    pids="$pids $!"
    if until_true curl -sS --max-time 5 "http://127.0.0.1:$front/hello"; then
        expect 'through a proxy' 'hello, GET' "http://127.0.0.1:$front/hello"
        expect 'pieces through a proxy' "$(printf 'piece %d\n' 0 1 2 3 4)" "http://127.0.0.1:$front/pieces"
        for size in 1 16384 1000000; do
            head -c "$size" /dev/urandom >"$work/body"
            curl -sS --max-time 20 -H 'Transfer-Encoding: chunked' --data-binary "@$work/body" -o "$work/back" \
                "http://127.0.0.1:$front/echo" || fail "a body of $size through a proxy"
            cmp -s "$work/body" "$work/back" || fail "a body of $size does not come back through a proxy"
        done
        # The server sends the next event when this one has come and not before.
        python3 - "$front" <<'PYTHON' || fail 'events do not come one by one through a proxy'
import http.client, sys
def get(path):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
    connection.request("GET", path)
    return connection.getresponse()
ticks = get("/ticks")
for n in (1, 2, 3):
    while (line := ticks.readline()) != b"data: %d\n" % n:
        if not line: sys.exit("the events end too early")
    get("/next").read()
sys.exit(ticks.read() not in (b"", b"\n"))
PYTHON
    else
        fail "nginx does not start: $(cat "$work/nginx.err" "$work/nginx.log")"
    fi
fi

# ---- the end: what has begun is answered, and then it is over ----

curl -sS --max-time 20 -o "$work/slow" "http://127.0.0.1:$port/slow" &
client=$!
sleep 0.4
kill -TERM "$server"
wait "$client" || fail 'a request that had begun was not answered'
[ "$(cat "$work/slow")" = 'at last' ] || fail "a request that had begun got '$(cat "$work/slow")'"
status=0
wait "$server" || status=$?
[ "$status" = 0 ] || fail "the server ends with $status"
[ ! -s "$work/server.err" ] || fail "the server has said: $(cat "$work/server.err")"

# ---- TLS ----

if [ -e "$certificates/good.pem" ]; then
    serve "$certificates/good.pem" "$certificates/good.key"
    try_all "https://localhost:$port" --cacert "$certificates/root.pem" --resolve "localhost:$port:127.0.0.1"
fi
[ "$failures" -eq 0 ]
