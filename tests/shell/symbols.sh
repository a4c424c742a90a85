#!/bin/sh
# What libcoir and the libraries beside it export and how they are linked: only coir_ symbols, versioned; no executable
# stack, full RELRO, no text relocations. The static libraries define no global symbol without the prefix either, but
# for the test kit's weak main, and llhttp's, which libcoir-http has in it.
set -eu
failures=0
fail() {
    echo "$*"
    failures=$((failures + 1))
}

# check NAME: of a library, shared and static.
check() {
    name=$1
    library=$2/src/$name.so
    archive=$2/src/$name.a
    exported=$(nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }')
    [ -n "$exported" ] || fail "$library exports nothing"
    strangers=$(printf '%s\n' "$exported" | grep -v '^coir_[a-z_][a-z0-9_]*@@COIR_0$' || :)
    [ -z "$strangers" ] || fail "exported, but not coir_…@@COIR_0: $strangers"

    strangers=$(nm -g --defined-only "$archive" | awk 'NF == 3 { print $3 }' |
        grep -v -e '^coir_' -e '^main$' -e '^llhttp_' -e '^__x86.get_pc_thunk' -e '^DW.ref.' || :)
    [ -z "$strangers" ] || fail "global in the static library without coir_: $strangers"

    segments=$(readelf -W -l "$library")
    printf '%s\n' "$segments" | grep -q 'GNU_STACK .* RW ' || fail "$name: the stack is executable"
    printf '%s\n' "$segments" | grep -q GNU_RELRO || fail "$name: no RELRO segment"
    dynamic=$(readelf -W -d "$library")
    printf '%s\n' "$dynamic" | grep -q 'NOW' || fail "$name: lazy binding: RELRO is not full"
    if printf '%s\n' "$dynamic" | grep -q TEXTREL; then fail "$name: text relocations"; fi
    printf '%s\n' "$dynamic" | grep -q "SONAME.*\[$name\.so\.0\]" || fail "the soname is not $name.so.0"
}

check libcoir "$1"
for further in "$1"/src/libcoir-*.a; do
    [ -e "${further%.a}.so" ] || continue
    further=${further##*/}
    check "${further%.a}" "$1"
done
[ "$failures" -eq 0 ]
