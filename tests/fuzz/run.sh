#!/bin/sh
# Fuzzes each target tests/fuzz/fuzz_NAME.c for so many seconds with libFuzzer, ASan and UBSan, from the seeds in
# tests/fuzz/corpus/NAME. The first paragraph of a target ends with the libraries and the sources of ours that it needs;
# "coir" is libcoir and what it needs, "http" that and the libraries of src/http, and a directory is all its sources.
#
#   tests/fuzz/run.sh SECONDS [NAME]
#
# What is found stays in build/fuzz; put it into the corpus with its mending.
set -eu
root=$(cd -- "$(dirname -- "$0")/../.." && pwd)
seconds=${1:?usage: run.sh SECONDS [NAME]}
compiler=${CC:-clang-14}
work=$root/build/fuzz
coir='build/src/libcoir.a -luring'
http="build/lib*.a build/src/libcoir-tls.a $coir -lssl -lcrypto -lz -lbrotlienc -lbrotlidec"
http="$http -lbrotlicommon -lzstd -lpsl -ljansson -luriparser"
command -v "$compiler" >/dev/null || exit 77
mkdir -p "$work"
cd -- "$root"
for target in tests/fuzz/fuzz_"${2:-}"*.c; do
    name=${target##*/fuzz_}
    name=${name%.c}
    sources=$(sed -n 's/.* Sources: \(.*\)$/\1/p' "$target" | head -n 1)
    libraries=$(sed -n 's/.* Libraries: \(.*\) Sources: .*$/\1/p' "$target" | head -n 1)
    libraries=$(printf '%s\n' "$libraries" | sed "s:^http$:$http:; s:\<coir$:$coir:")
    [ ! -d "$sources" ] || sources=$(find "$sources" -name "*.c")
    mkdir -p "$work/found-$name"
    # shellcheck disable=SC2086 # lists
    "$compiler" -g -O1 -D_GNU_SOURCE= -Iinclude -Isrc -I/usr/share/include -fsanitize=fuzzer,address,undefined \
        -fno-sanitize-recover=all -o "$work/$name" "$target" $sources $libraries
    "$work/$name" -max_total_time="$seconds" -max_len=8192 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="$work/" "$work/found-$name" "tests/fuzz/corpus/$name"
done
