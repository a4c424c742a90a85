#!/bin/sh
# Every example does what it says: examples/NAME.out is what build/examples/NAME prints, or examples/NAME.sh (called
# with the program) tries it. An example with neither is a failure. Time is virtual, so that none takes the time that it
# says.
set -eu
export COIR_VIRTUAL_CLOCK=1
root=$(cd -- "$(dirname -- "$0")/../.." && pwd)
. "$(dirname -- "$0")/lib/scratch.sh"

for source in "$root"/examples/*.c; do
    [ -e "$source" ] || exit 77
    expected=${source%.c}
    name=${expected##*/}
    program=$1/examples/$name
    if [ -e "$expected.sh" ]; then
        timeout -k 5 60 sh "$expected.sh" "$program" || fail "$name: examples/$name.sh failed"
    elif [ -e "$expected.out" ]; then
        timeout -k 5 60 "$program" >"$work/printed" 2>&1 </dev/null || fail "$name: exit status $?"
        diff -u "$expected.out" "$work/printed" || fail "$name: prints something else than examples/$name.out"
    else
        fail "$name: neither examples/$name.out nor examples/$name.sh says what it does"
    fi
done
[ "$failures" -eq 0 ]
