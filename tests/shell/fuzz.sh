#!/bin/sh
# Each fuzz target runs over its seeds, and over their parts: no fuzzer is needed for that. tests/fuzz/run.sh fuzzes.
set -eu
root=$(cd -- "$(dirname -- "$0")/../.." && pwd)
for target in "$root"/tests/fuzz/fuzz_*.c; do
    name=${target##*/fuzz_}
    name=${name%.c}
    [ ! -e "$1/tests/fuzz-$name" ] || "$1/tests/fuzz-$name" "$root/tests/fuzz/corpus/$name"/*
done
