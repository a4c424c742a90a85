#!/bin/sh
# TLS against others: the openssl command as client and as server, in both versions, with and without certificates of
# clients, resumption, protocols, goodbyes, and what each side says when it refuses the other.
set -eu
program=$1/tests/program-tls
certificates=$1/tests/certificates
[ -x "$program" ] && command -v openssl >/dev/null || exit 77
. "$(dirname -- "$0")/lib/scratch.sh"

printed() { grep -q "$1" "$work/out"; }

# ---- others as clients ----

# serve NAME ARGUMENT...: our server with that certificate; $port is where.
serve() {
    : >"$work/port"
    "$program" serve "$certificates/$1.pem" "$certificates/$1.key" ${2+"$2"} >"$work/port" 2>"$work/server.err" &
    pids="$pids $!"
    until_true grep -q PORT "$work/port" || fail 'our server does not begin'
    port=$(sed -n 's/^PORT //p' "$work/port")
}

# say LINE: a line for our server; goes on when its answer, or the end of all, is there.
say() {
    echo "$1"
    until_true grep -q "^you said: $1\|errno=\|:error:" "$work/out" "$work/err" || :
}

# ask ARGUMENT...: a line from the openssl command to our server; it waits for the answer.
ask() {
    : >"$work/out" && : >"$work/err"
    say hello | timeout 20 openssl s_client -connect "127.0.0.1:$port" -CAfile \
        "$certificates/root.pem" -verify_return_error -verify_hostname example.org "$@" >"$work/out" 2>"$work/err"
}

serve good
for version in -tls1_2 -tls1_3; do
    ask $version -quiet -no_ign_eof || fail "s_client $version fails"
    printed '^you said: hello$' || fail "s_client $version has no answer"
    ask $version -sess_out "$work/session" || fail "s_client $version keeps no session"
    ask $version -sess_in "$work/session" || fail "s_client $version fails with a session"
    printed '^Reused, TLS' || fail "s_client $version does not resume"
done
ask -alpn echo || fail 's_client: ALPN'
printed '^ALPN protocol: echo$' || fail 's_client: ALPN'
if ask -alpn other; then fail 's_client: a protocol that is not ours'; fi
if ask -tls1_1 -cipher DEFAULT@SECLEVEL=0; then fail 's_client: TLS 1.1'; fi
: >"$work/out" && : >"$work/err"
{ say hello; echo R; sleep 0.3; } | timeout 20 openssl s_client -connect "127.0.0.1:$port" -tls1_2 \
    >"$work/out" 2>"$work/err" || :
if printed 'verify return.*verify return.*verify return'; then fail 's_client: renegotiated'; fi
: >"$work/out" && : >"$work/err"
{ say hello; echo K; sleep 0.2; say again; } | timeout 20 openssl s_client -connect "127.0.0.1:$port" \
    -tls1_3 >"$work/out" 2>"$work/err" || :
printed '^you said: again$' || fail 's_client: no answer after its key has changed'
[ ! -s "$work/server.err" ] || fail "our server says: $(cat "$work/server.err")"

serve good "$certificates/root.pem"
ask -cert "$certificates/client.pem" -cert_chain "$certificates/client.pem" -key "$certificates/client.key" -quiet -no_ign_eof || fail 's_client with a certificate'
printed '^you said: hello$' || fail 's_client with a certificate has no answer'
if ask -tls1_2; then fail 's_client without a certificate'; fi
if ask -tls1_2 -cert "$certificates/client_unknown.pem" -key "$certificates/client_unknown.key"; then
    fail 's_client with a certificate of a stranger'
fi

# ---- others as servers ----

# s_server NAME ARGUMENT...: the openssl command as a server that sends lines back, reversed; $port is where.
s_server() {
    name=$1
    shift
    openssl s_server -accept 127.0.0.1:0 -cert "$certificates/$name.one" -cert_chain "$certificates/$name.pem" \
        -key "$certificates/$name.key" -rev -naccept 8 "$@" >"$work/s_server" 2>&1 &
    pids="$pids $!"
    until_true grep -q '^ACCEPT 127' "$work/s_server" || fail 's_server does not begin'
    port=$(sed -n 's/^ACCEPT 127.0.0.1://p' "$work/s_server" | head -n 1)
}

# talk NAME TRUST [ARGUMENT...]: our client.
talk() {
    name=$1 trust=$2
    shift 2
    timeout 30 "$program" talk "127.0.0.1:$port" "$name" "$trust" "$@" >"$work/out" 2>"$work/err"
}

root=$certificates/root.pem
for version in 1.2 1.3; do
    s_server good "-tls$(echo $version | tr . _)"
    talk example.org "$root" || fail "our client to s_server, TLS $version"
    [ "$(sed -n 1p "$work/out")" = "TLSv$version  verified: olleh" ] || fail 'our client, first time'
    [ "$(sed -n 2p "$work/out")" = "TLSv$version  verified resumed: olleh" ] || fail 'our client, second time'
    talk 127.0.0.1 "$root" || fail 'our client by address'
    if talk www.example.org "$root"; then fail 'our client under another name'; fi
    grep -q "ECERTIFICATE: tls www.example.org: certificate 'CN=good' (depth 0): it is for" "$work/err" ||
        fail 'our client says something else about another name'
done
s_server good -alpn echo
talk example.org/other,echo "$root" || fail 'our client: ALPN'
printed '^TLSv1.3 echo verified: ' || fail 'our client: ALPN'
if talk example.org/other "$root"; then fail 'our client: no protocol in common'; fi
s_server expired
if talk example.org "$root"; then fail 'our client: expired'; fi
grep -q "ECERTIFICATE: tls example.org: certificate 'CN=expired' (depth 0): certificate has expired" "$work/err" ||
    fail 'our client says something else about an expired certificate'
talk example.org - || fail 'our client with anybody'
printed '^TLSv1.3 : olleh$' || fail 'our client with anybody'
s_server good -Verify 3 -CAfile "$root" -verify_return_error
talk example.org "$root" "$certificates/client.pem" "$certificates/client.key" || fail 'our client with a certificate'
if talk example.org "$root"; then fail 'our client without a certificate'; fi
grep -q 'ETLS: tls example.org: the peer refuses: certificate required' "$work/err" ||
    fail 'our client says something else about its lack of a certificate'
if openssl ciphers -v 'ALL@SECLEVEL=0' | grep -q TLSv1; then
    s_server good -tls1_1 -cipher 'ALL@SECLEVEL=0'
    if talk example.org "$root"; then fail 'our client: TLS 1.1'; fi
fi

# ---- closing ----

# The input of openssl, which has no end; and of our program, which closes when its own one does.
mkfifo "$work/never" "$work/go"
exec 3<>"$work/never"

# begin WAY ARGUMENT...: our program, up to where it has sent everything; $closer is who it is.
begin() {
    : >"$work/out"
    timeout 30 "$program" "$@" <"$work/go" >"$work/out" 2>"$work/err" &
    closer=$!
    exec 4>"$work/go"
}

# closed LEAST MOST: lets it close; that takes so many milliseconds.
closed() {
    until_true printed '^SENT$' || fail 'our program has not sent anything'
    exec 4>&-
    wait "$closer" || fail 'our program fails when it closes'
    took=$(sed -n 's/^closed in \([0-9]*\) ms$/\1/p' "$work/out")
    { [ "${took:-0}" -ge "$1" ] && [ "${took:-99999}" -le "$2" ]; } || fail "closing took ${took:-no} ms, not $1 to $2"
}

# received SIZE: the other side has got all that was sent.
has_received() { [ "$(tr -cd '~' <"$work/received" | wc -c)" -eq "$1" ]; }
received() { until_true has_received "$1" || fail "of $1 bytes some are lost"; }

# receive ARGUMENT...: the openssl command, as a client of ours, or as a server; $receiver is who it is.
receive() {
    openssl "$@" <&3 4>&- >"$work/received" 2>"$work/s_err" &
    receiver=$!
    pids="$pids $receiver"
}

for version in -tls1_2 -tls1_3; do
    for size in 5 300000; do
        begin greet "$size" "$certificates/good.pem" "$certificates/good.key"
        until_true printed PORT || fail 'our server does not begin'
        port=$(sed -n 's/^PORT //p' "$work/out")
        receive s_client -connect "127.0.0.1:$port" -quiet $version
        closed 0 900
        wait "$receiver" || fail "s_client $version does not end well"
        received "$size"
    done
    begin greet 5 "$certificates/good.pem" "$certificates/good.key"
    until_true printed PORT || fail 'our server does not begin'
    port=$(sed -n 's/^PORT //p' "$work/out")
    receive s_client -connect "127.0.0.1:$port" -quiet $version
    until_true printed '^SENT$' || fail 'our server has sent nothing'
    kill -STOP "$receiver"
    closed 1000 3000
    kill -CONT "$receiver"
    wait "$receiver" || :
    received 5
done
for version in -tls1_2 -tls1_3; do
    receive s_server -accept 127.0.0.1:0 -cert "$certificates/good.one" -cert_chain "$certificates/good.pem" \
        -key "$certificates/good.key" $version
    until_true grep -q '^ACCEPT 127' "$work/received" || fail 's_server does not begin'
    port=$(sed -n 's/^ACCEPT 127.0.0.1://p' "$work/received" | head -n 1)
    : >"$work/received"
    for size in 5 300000; do
        begin send "$size" "127.0.0.1:$port" "$root"
        closed 0 900
        received "$size"
        : >"$work/received"
    done
    begin send 5 "127.0.0.1:$port" "$root"
    until_true printed '^SENT$' || fail 'our client has sent nothing'
    kill -STOP "$receiver"
    closed 1000 3000
    kill -CONT "$receiver"
    received 5
    kill "$receiver"
done

[ "$failures" -eq 0 ]
