#!/bin/sh
# Thousands of clients that send and take hardly anything, beside one who is served as if they were not there.
set -eu
program=$1/tests/program-http
[ -x "$program" ] && command -v python3 >/dev/null || exit 77
here=$(cd -- "$(dirname -- "$0")" && pwd)
. "$here/lib/scratch.sh"
# shellcheck disable=SC3045 # dash and others have it
ulimit -n 8192 2>/dev/null || ulimit -n "$(ulimit -H -n)" || :

mkdir "$work/site"
head -c 5000000 /dev/zero >"$work/site/large"
for backend in epoll uring; do
    : >"$work/port"
    (cd "$work/site" && COIR_BACKEND=$backend exec "$program" >"$work/port" 2>"$work/err") &
    pids="$pids $!"
    until_true grep -q PORT "$work/port" || fail "the server does not start on $backend"
    timeout 120 python3 "$here/http_slow.py" "$(sed -n 's/^PORT //p' "$work/port")" >"$work/out" 2>&1 || fail "on $backend"
    [ ! -s "$work/err" ] || fail "the server on $backend has said something"
done
[ "$failures" -eq 0 ]
