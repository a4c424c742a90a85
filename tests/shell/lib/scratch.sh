# shellcheck shell=sh
# scratch.sh: what the scripts beside this folder begin with: a folder of their own ($work), processes that end with
# them ($pids), failures that are told and counted ($failures), and waiting for something to become true.
work=$(mktemp -d)
pids='' failures=0
# shellcheck disable=SC2329 # called when the script ends
leave() {
    # shellcheck disable=SC2086 # they are words to split
    [ -z "$pids" ] || kill $pids 2>/dev/null || :
    rm -rf "$work"
}
trap leave EXIT

# fail TEXT: goes on, and the script fails at its end. What programs said last is shown.
fail() {
    echo "$*"
    sed 's/^/    /' "$work/out" "$work/err" 2>/dev/null || :
    failures=$((failures + 1))
}

# until_true COMMAND...: waits up to 10 s for it to succeed.
until_true() {
    tries=0
    while ! "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || return 1
        sleep 0.05
    done
}
