#!/bin/sh
# Each public header compiles alone, without warnings, as C11 and as C++17, with gcc and, where it is installed, clang.
set -eu
root=$(cd -- "$(dirname -- "$0")/../.." && pwd)
failures=0

# try COMPILER LANGUAGE HEADER FLAG...
try() {
    compiler=$1 language=$2 header=$3
    shift 3
    command -v "$compiler" >/dev/null || return 0
    printf '#include <coir/%s>\n' "$header" |
        "$compiler" -x "$language" -fsyntax-only -Wall -Wextra -Werror -I "$root/include" "$@" - && return 0
    echo "$header: $compiler $* refuses it"
    failures=$((failures + 1))
}

for path in "$root"/include/coir/*.h; do
    name=${path##*/}
    for cc in gcc clang-14; do
        try "$cc" c "$name" -std=c11 -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    done
    for cxx in g++ clang++-14; do
        try "$cxx" c++ "$name" -std=c++17 -Wshadow
    done
done
[ "$failures" -eq 0 ]
