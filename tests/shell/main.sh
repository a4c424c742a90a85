#!/bin/sh
# coir_main as the shell sees it: exit codes, the trace of a failure to the letter, and signals: SIGTERM, SIGINT, a
# second one, and one that was ignored from the start.
set -eu
program=$1/tests/program-main
[ -x "$program" ] || exit 77
. "$(dirname -- "$0")/lib/scratch.sh"

# codes WANTED ARGUMENT...: how it ends.
codes() {
    wanted=$1
    shift
    code=0
    timeout -k 5 20 "$program" "$@" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" -eq "$wanted" ] || fail "$*: exit code $code, not $wanted"
}

codes 0 give 0
[ ! -s "$work/err" ] || fail 'success prints something'
codes 7 give 7
codes 125 give 125
codes 1 give 126
codes 1 give -2
printf 'error: ENOENT: no such file or directory\n' | cmp -s - "$work/err" || fail "give -2: $(cat "$work/err")"

asked=${COIR_BACKEND-}
export COIR_BACKEND=nonsense
codes 1 give 0
grep -q "the backend 'nonsense', asked for by COIR_BACKEND" "$work/err" || fail "a wrong backend: $(cat "$work/err")"
export COIR_BACKEND="$asked"

codes 1 fail
sed 's/main\.c:[0-9]*/main.c:N/g' "$work/err" >"$work/trace"
cat >"$work/wanted" <<'END'
error: ECONNREFUSED: connect 127.0.0.1:6379: connection refused
  connect_to_redis      main.c:N
  listen_to_redis       main.c:N
  task 'redis listener' spawned at main.c:N, joined by 'main' at main.c:N
END
diff -u "$work/wanted" "$work/trace" || fail 'the trace differs'

# The handlers of coir_main are no hope: nothing of the program can go on.
codes 1 deadlock
grep -q "^coir: deadlock: nothing can wake these 1 tasks:" "$work/err" || fail "deadlock: $(cat "$work/err")"
grep -q "^  'main' waits for event" "$work/err" || fail "deadlock: $(cat "$work/err")"

# Wait until the program has printed a line.
said() {
    tries=0
    until grep -q "^$1\$" "$work/out"; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || { fail "never said $1"; return; }
        sleep 0.05
    done
}

# start INT-OPTION ARGUMENT...: in the background, with SIGINT as at a terminal (default) or under nohup (ignore).
start() {
    how=$1
    shift
    : >"$work/out"
    timeout --foreground -k 5 20 env --default-signal=TERM "--$how-signal=INT" \
        "$program" "$@" >"$work/out" 2>"$work/err" &
    outer=$!
    said ready
    pid=$(pgrep -P "$outer" -x program-main || echo "$outer")
}

# ended WANTED WHAT: how it ended; 128 and more is a signal, since coir_main gives at most 125.
ended() {
    code=0
    wait "$outer" || code=$?
    [ "$code" -eq "$1" ] || fail "$2: exit code $code, not $1"
}

if ! env --default-signal=INT true 2>/dev/null || ! command -v pgrep >/dev/null; then
    echo 'signals are not tried: no env --default-signal or no pgrep here'
    [ "$failures" -eq 0 ] && exit 0
    exit 1
fi

start default wait
kill -TERM "$pid"
ended 0 'SIGTERM'
[ ! -s "$work/err" ] || fail "SIGTERM: $(cat "$work/err")"

start default tidy 0
kill -TERM "$pid"
ended 0 'SIGTERM and cleanup'
said 'tidied up'

start default tidy 3
kill -TERM "$pid"
ended 3 'SIGTERM and a code'

start default wait
kill -INT "$pid"
ended 130 'SIGINT'

start default stay
kill -TERM "$pid"
said stays
kill -TERM "$pid"
ended 143 'a second SIGTERM'

start default stay
kill -INT "$pid"
said stays
kill -TERM "$pid"
ended 143 'SIGTERM after SIGINT'

# What was ignored stays ignored.
start ignore tidy 4
kill -INT "$pid"
sleep 0.2
kill -0 "$pid" || fail 'an ignored SIGINT ended it'
kill -TERM "$pid"
ended 4 'SIGTERM after an ignored SIGINT'
[ "$failures" -eq 0 ]
