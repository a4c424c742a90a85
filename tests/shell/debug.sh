#!/bin/sh
# SIGQUIT to a program of coir_main: it prints all tasks and goes on; one that is stuck in a step says where, in debug
# mode at once, else on the second SIGQUIT. And debug mode with the counter of mutexes preloaded.
set -eu
program=$1/tests/program-debug
[ -x "$program" ] || exit 77
. "$(dirname -- "$0")/lib/scratch.sh"

start() {
    : >"$work/out"
    : >"$work/err"
    env --default-signal=QUIT "$program" "$@" >"$work/out" 2>"$work/err" & # a shell makes it ignored
    pid=$! pids=$!
    until_true grep -q ready "$work/out" || fail "$*: does not begin"
}

shows() {
    until_true grep -q "$1" "$work/err" || fail "does not print: $1"
}

stop() {
    kill -0 "$pid" || fail 'SIGQUIT has ended it'
    kill "-$1" "$pid"
    wait "$pid" || true
    pids=
}

for mode in 0 1; do
    COIR_DEBUG=$mode
    export COIR_DEBUG
    start wait
    kill -QUIT "$pid"
    shows "^  'main' sleeps .*s more ("
    shows '^      keep_waiting$'
    shows "^    group 'visitors' (debug.c:[0-9]*): 1 running$"
    shows "^      'visit' waits for lock held by 'main' (.* s old, spawned at debug.c:[0-9]*)$"
    shows '^          wait_for_the_door$'
    shows '^          visit$'
    kill -QUIT "$pid"
    until_true sh -c "[ \$(grep -c '^loop on ' '$work/err') -eq 2 ]" || fail 'does not print it twice'
    stop TERM
done

COIR_DEBUG=0
start stuck
kill -QUIT "$pid"
sleep 0.1
kill -QUIT "$pid"
shows "^coir: the loop is stuck in a step of task 'main' (.* s old):$"
shows '^    spin$'
shows '^    get_stuck$'
stop KILL

COIR_DEBUG=1
start stuck
sleep 0.3
kill -QUIT "$pid"
shows "^coir: the loop is stuck in a step of task 'main' (.* s old):$"
shows '^    get_stuck$'
stop KILL

# A mutex of the thread that is held across a wait; a sanitizer wants to be the first library.
if ! ldd "$program" | grep -q 'lib[at]san' && ! "$program" sanitized 2>&1 | grep -q Sanitizer; then
    COIR_DEBUG=1 LD_PRELOAD=$1/src/debug/libcoir-mutexes.so "$program" mutex 2>"$work/err" || fail 'mutex: fails'
    shows "^coir: thread lock: 'main' sleeps .* while its thread holds 1 mutex; "
    shows '^    nap_with_it$'
    shows '^  hint: unlock before the wait, or use coir_lock$'
    [ "$(grep -c '^coir: ' "$work/err")" -eq 1 ] || fail 'more than one report'
fi

[ "$failures" -eq 0 ]
