#!/bin/sh
# The HTTP client against nginx, with TLS and without: connections that are kept, files, ranges, gzip, chunks, redirects,
# what is too large, large bodies both ways; and through nginx to the HTTP server, as a proxy that buffers nothing.
set -eu
client=$1/tests/program-http-client
server=$1/tests/program-http
certificates=$1/tests/certificates
nginx=$(command -v nginx || command -v /usr/sbin/nginx || :)
[ -x "$client" ] && [ -n "$nginx" ] && [ -e "$certificates/good.pem" ] || exit 77
. "$(dirname -- "$0")/lib/scratch.sh"

# expect WHAT SAYS FILE ARGUMENT...: a request whose end says SAYS, and whose body is FILE.
expect() {
    what=$1 says=$2 file=$3
    shift 3
    "$client" "$@" >"$work/got" 2>"$work/err" || fail "$what: the client fails"
    [ "$(cat "$work/err")" = "$says" ] || fail "$what: '$(cat "$work/err")' instead of '$says'"
    [ "$file" = - ] || cmp -s "$file" "$work/got" || fail "$what: the body is another one"
}

chmod 711 "$work" # nginx does its work as nobody
mkdir "$work/site"
printf 'some text' >"$work/site/text.txt"
printf 'me te' >"$work/part"
head -c 5000000 /dev/urandom >"$work/site/large"
seq 100000 >"$work/site/numbers.txt"
printf 'piece %d\n' 0 1 2 3 4 >"$work/pieces"
head -c 1000000 /dev/urandom >"$work/body"
head -c 2000000 /dev/zero >"$work/too_large"

"$server" >"$work/port" 2>"$work/server.err" &
pids="$pids $!"
until_true grep -q PORT "$work/port" || { fail "the server does not start: $(cat "$work/server.err")"; exit 1; }
back=$(sed -n 's/^PORT //p' "$work/port")
ports=$(python3 -c 'import socket
sockets = [socket.socket() for _ in range(2)]
for s in sockets: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))')
plain=${ports% *} secure=${ports#* }
cat >"$work/nginx.conf" <<CONF
daemon off; worker_processes 1; pid $work/nginx.pid; error_log $work/nginx.log;
events { }
http {
    access_log off; client_body_temp_path $work/n1; proxy_temp_path $work/n2; fastcgi_temp_path $work/n3;
    uwsgi_temp_path $work/n4; scgi_temp_path $work/n5; client_max_body_size 1m; types { text/plain txt; }
    upstream back { server 127.0.0.1:$back; keepalive 8; }
    server {
        listen 127.0.0.1:$plain; listen 127.0.0.1:$secure ssl; root $work/site;
        ssl_certificate $certificates/good.pem; ssl_certificate_key $certificates/good.key;
        gzip on; gzip_types text/plain; gzip_min_length 100;
        location /old { return 301 /older; }
        location /older { return 308 /text.txt; }
        location /moved { return 307 /echo; }
        location /round { return 302 /round; }
        location ~ ^/(hello|echo|pieces) {
            proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
            proxy_request_buffering off;
        }
    }
}
CONF
"$nginx" -e "$work/nginx.log" -c "$work/nginx.conf" 2>"$work/nginx.err" &
pids="$pids $!"
until_true "$client" 1 - GET "http://127.0.0.1:$plain/text.txt" ||
    { fail "nginx does not start: $(cat "$work/nginx.err" "$work/nginx.log")"; exit 1; }

# try URL ROOT: all of it.
try() {
    url=$1 root=$2
    once='0 redirects, 1 connections'
    expect file "200 OK, $once" "$work/site/text.txt" 1 "$root" GET "$url/text.txt"
    expect kept "200 OK, $once" "$work/site/text.txt" 5 "$root" GET "$url/text.txt"
    expect head "200 OK, $once" /dev/null 3 "$root" HEAD "$url/large"
    expect range "206 Partial Content, $once" "$work/part" 1 "$root" GET "$url/text.txt" Range=bytes=2-6
    expect 'no range' "416 Requested Range Not Satisfiable, $once" - 1 "$root" GET "$url/text.txt" Range=bytes=20-
    expect gzip "200 OK, $once" "$work/site/numbers.txt" 2 "$root" GET "$url/numbers.txt"
    expect 'a large file' "200 OK, $once" "$work/site/large" 2 "$root" GET "$url/large"
    expect missing "404 Not Found, $once" - 2 "$root" GET "$url/nowhere"
    expect redirects '200 OK, 2 redirects, 1 connections' "$work/site/text.txt" 2 "$root" GET "$url/old"
    expect 'through a proxy' "200 OK, $once" - 5 "$root" GET "$url/hello"
    expect pieces "200 OK, $once" "$work/pieces" 2 "$root" GET "$url/pieces"
    for size in 1 16384 1000000; do
        head -c "$size" "$work/body" >"$work/some"
        expect "a body of $size" "200 OK, $once" "$work/some" 2 "$root" POST "$url/echo" "@$work/some"
        expect "a chunked body of $size" "200 OK, $once" "$work/some" 1 "$root" POST "$url/echo" "@@$work/some"
    done
    expect 'a body that moves on' '200 OK, 1 redirects, 1 connections' "$work/body" 1 "$root" POST "$url/moved" \
        "@$work/body"
    "$client" 1 "$root" GET "$url/round" >/dev/null 2>"$work/err" && fail 'redirects without end have an end'
    grep -q 'more than 10 redirects' "$work/err" || fail 'redirects without end are not told'
    expect 'too large' "413 Request Entity Too Large, $once" - 1 "$root" POST "$url/echo" "@$work/too_large"
}

try "http://127.0.0.1:$plain" -
try "https://localhost:$secure" "$certificates/root.pem"

# Who answers is checked.
"$client" 1 - GET "https://localhost:$secure/text.txt" >/dev/null 2>"$work/err" && fail 'a stranger was believed'
grep -q 'ECERTIFICATE' "$work/err" || fail 'a stranger is not told'
"$client" 1 "$certificates/root.pem" GET "https://127.0.0.2:$secure/text.txt" >/dev/null 2>"$work/err" &&
    fail 'another name was believed'
[ ! -s "$work/server.err" ] || fail "the server has said: $(cat "$work/server.err")"
[ "$failures" -eq 0 ]
