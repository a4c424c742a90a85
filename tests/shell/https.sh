#!/bin/sh
# HTTPS by curl: both versions of TLS, a connection that is kept, a body, whom it trusts, plain HTTP at the same port,
# and an end at once while a client has a connection open.
set -eu
program=$1/tests/program-https
certificates=$1/tests/certificates
[ -x "$program" ] && command -v curl >/dev/null && command -v openssl >/dev/null || exit 77
work=$(mktemp -d)
server=
stop() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || :
    rm -rf "$work"
}
trap stop EXIT
fail() {
    echo "$*"
    sed 's/^/    /' "$work/out" "$work/err" 2>/dev/null || :
    exit 1
}

"$program" "$certificates/good.pem" "$certificates/good.key" >"$work/port" 2>"$work/server.err" &
server=$!
tries=0
while ! grep -q PORT "$work/port"; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || fail 'our server does not begin'
    sleep 0.05
done
port=$(sed -n 's/^PORT //p' "$work/port")

ask() { curl -sS --max-time 20 --cacert "$certificates/root.pem" "$@" >"$work/out" 2>"$work/err"; }
printed() { [ "$(cat "$work/out")" = "$1" ] || fail "curl has got something else than '$1'"; }

for version in --tlsv1.2 --tlsv1.3; do
    ask "$version" --tls-max "${version#--tlsv}" "https://localhost:$port/hello/[1-3]" || fail "curl $version"
    printed 'hello, 1
hello, 2
hello, 3'
done
ask -w '%{num_connects} ' -o "$work/body" "https://localhost:$port/hello/[1-3]" || fail 'curl: three requests'
printed '1 0 0 '
head -c 900000 /dev/zero | tr '\0' x >"$work/big"
ask --data-binary "@$work/big" "https://localhost:$port/echo" || fail 'curl: a body'
cmp "$work/out" "$work/big" || fail 'curl: another body'
if curl -sS --max-time 20 "https://localhost:$port/hello/me" >"$work/out" 2>"$work/err"; then
    fail 'curl trusts whom it does not know'
fi
if ask --resolve "www.example.org:$port:127.0.0.1" "https://www.example.org:$port/hello/me"; then
    fail 'curl takes another name'
fi
if ask "http://localhost:$port/hello/me"; then fail 'curl without TLS'; fi
ask "https://localhost:$port/hello/me" || fail 'curl, after all that'

# A client with an idle connection does not keep the server from ending.
mkfifo "$work/input"
exec 3<>"$work/input" # which has no end
printf 'GET /hello/me HTTP/1.1\r\nHost: localhost\r\n\r\n' >&3
openssl s_client -quiet -connect "localhost:$port" <&3 >"$work/out" 2>"$work/err" &
client=$!
tries=0
until grep -q '^hello, me$' "$work/out"; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || fail 's_client has no answer'
    sleep 0.05
done
kill "$server"
wait "$server" || fail "our server ends with $?"
server=
kill "$client" 2>/dev/null || :
[ ! -s "$work/server.err" ] || fail "our server says: $(cat "$work/server.err")"
