#!/bin/sh
# libcoir-dns asks a real name server: dnsmasq, with records of each kind, a name with more addresses than a datagram
# holds, and names that are not there; on each backend that has sockets.
set -eu
program=$1/tests/program-dns
[ -x "$program" ] || exit 77
dnsmasq=$(PATH=$PATH:/usr/sbin command -v dnsmasq) || exit 77
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT
failures=0

number=1
while [ "$number" -le 120 ]; do
    echo "198.51.100.$number many.example"
    number=$((number + 1))
done >"$work/hosts"

serve() {
    : >"$work/log"
    "$dnsmasq" --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --addn-hosts="$work/hosts" \
        --listen-address=127.0.0.1 --bind-interfaces --port="$1" --user="$(id -un)" --pid-file= --local=/example/ \
        --host-record=a.example,192.0.2.1,2001:db8::1,300 --cname=alias.example,a.example,60 \
        --mx-host=example,mail.example,10 --srv-host=_x._tcp.example,a.example,8080,1,5 \
        --txt-record=txt.example,"v=one two" --local-ttl=77 >"$work/log" 2>&1 &
    pid=$!
    tries=0
    until grep -q started "$work/log"; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] && kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.05
    done
    # it says so before it is told that the port is taken
    "$program" "127.0.0.1:$1" a.example 2>/dev/null | grep -q ttl
}

port=$((20000 + $$ % 20000)) last=$((port + 21000))
until serve "$port"; do
    wait "$pid" 2>/dev/null || true
    port=$((port + 1000))
    [ "$port" -lt "$last" ] || { cat "$work/log" && exit 1; }
done

cat >"$work/expected" <<END
1 ipv4 1 ipv6 ttl 300
1 ipv4 1 ipv6 ttl 60
16 ipv4 0 ipv6 ttl 77
COIR_ENONAME
COIR_ENONAME
10 0 0 mail.example
1 5 8080 a.example
0 0 0 v=one two
a.example
a.example
COIR_ENONAME
COIR_EADDRESS
END

for backend in uring epoll; do
    "$1/tests/coir-tests" --backend "$backend" --works >/dev/null 2>&1 || continue
    COIR_BACKEND=$backend timeout 60 "$program" "127.0.0.1:$port" a.example ALIAS.example. many.example nobody.example \
        txt.example example/mx _x._tcp.example/srv txt.example/txt =192.0.2.1:0 '=[2001:db8::1]:0' nobody.example/mx \
        'not a name' >"$work/printed" 2>&1 || echo "exit status $?" >>"$work/printed"
    sed 's/ last .*//' "$work/printed" | diff -u "$work/expected" - || failures=$((failures + 1))
done
[ "$failures" -eq 0 ]
