#!/bin/sh
# What a loop gets without being told differs between machines, but not what it is told to take.
set -eu
work=$(mktemp)
trap 'rm -f "$work" "$work.wanted"' EXIT
for backend in epoll sim; do
    COIR_BACKEND=$backend "$1" >"$work"
    cat >"$work.wanted" <<END
Loop: none runs yet
Loop: <epoll, 1 task, running>
Loop: <sim, 1 task, running>
Loop: <$backend, 1 task, running>
END
    diff -u "$work.wanted" "$work"
done
env -u COIR_BACKEND "$1" | tail -n 1 | grep -Eqx 'Loop: <(uring|epoll), 1 task, running>'
