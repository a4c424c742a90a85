#!/bin/sh
# The page comes under the right name; under the other one the program fails, and says why.
set -eu
[ -x "$1" ] && command -v openssl >/dev/null || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=me -addext subjectAltName=DNS:localhost \
    -keyout "$work/key" -out "$work/pem" 2>"$work/log" || { cat "$work/log" && exit 1; }
cat "$work/key" >>"$work/pem"
"$1" "$work/pem" >"$work/printed" 2>"$work/said" && { echo 'it accepts any name' && exit 1; }
printf 'localhost: %s\n' 'HTTP/1.0 200 OK' '' 'hello in secret' >"$work/expected"
diff -u "$work/expected" "$work/printed"
grep "^error: COIR_ECERTIFICATE: tls example.org: certificate 'CN=me' (depth 0): it is for localhost$" "$work/said" \
    >"$work/log" || { cat "$work/said" && exit 1; }
