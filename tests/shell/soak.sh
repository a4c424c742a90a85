#!/bin/sh
# soak.sh BUILD [SECONDS]: churn in real time on the backends that reach a kernel, side by side: the counters and the
# resident memory must stay where the beginning had them (tests/programs/soak.c). What it printed is shown when one
# fails, or when it went on for long.
set -eu
program=$1/tests/program-soak seconds=${2:-5}
[ -x "$program" ] || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
started=
for backend in uring epoll; do
    "$1/tests/coir-tests" --backend "$backend" --works >"$work/$backend" 2>&1 || continue
    COIR_BACKEND=$backend timeout -k 10 "$((seconds + 60))" "$program" "$seconds" >"$work/$backend" 2>&1 &
    started="$started $backend:$!"
done
[ -n "$started" ] || exit 77
failures=0
for one in $started; do
    code=0
    wait "${one#*:}" || code=$?
    [ "$code" -eq 0 ] || failures=$((failures + 1))
    if [ "$code" -ne 0 ] || [ "$seconds" -gt 60 ]; then cat "$work/${one%:*}"; fi
done
exit "$((failures > 0))"
