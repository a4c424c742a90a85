#!/bin/sh
# run.sh: the tests of a build on another kernel, booted in qemu with nothing but the test program.
#
#   tests/kernels/run.sh BUILD KERNEL [FILTER ...]      KERNEL is 5.10, 6.1 or 6.12
#
# Environment: COIR_SEED, COIR_TEST_TIMEOUT_MULTIPLIER (20), COIR_KERNEL_LIMIT (seconds for all of it). What the machine
# printed from the first test on is shown; the last line is "N passed, N failed, N skipped".
set -eu

build=$1 kernel=$2
shift 2
[ $# -gt 0 ] || set -- 'core_*' 'io_*' 'net_*' 'sync_*'
here=$(cd -- "$(dirname -- "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

# A file system of the test program, the libraries that it wants, and busybox.
make_root() {
    top=$scratch/root
    mkdir -p "$top/bin" "$top/etc"
    cp "$(command -v busybox)" "$top/bin/busybox"
    strip --strip-debug -o "$top/coir-tests" "$build/tests/coir-tests"
    ldd "$build/tests/coir-tests" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$top/$(dirname "$library")"
        cp -L "$library" "$top/$library"
    done
    echo '127.0.0.1 localhost' >"$top/etc/hosts"
    install -m 755 "$here/init.sh" "$top/init"
    {
        printf 'export COIR_TEST_TIMEOUT_MULTIPLIER=%s COIR_SEED=%s\n' \
            "${COIR_TEST_TIMEOUT_MULTIPLIER:-20}" "${COIR_SEED:-$(date +%s)}"
        printf 'set --'
        printf " '%s'" "$@"
        echo
    } >"$top/run.sh"
    (cd "$top" && find . | busybox cpio -o -H newc 2>/dev/null) | gzip -1 >"$scratch/initramfs"
}

# Without a processor that can do it well, emulation: a few ten times slower, and there is always one. That of qemu 7.2
# leaves parts of rax in the flags after a cmpxchg16b, which stops a kernel now and then, so it goes without.
boot() {
    accelerator=tcg processor=max,cx16=off
    if grep -q -w -e vmx -e svm /proc/cpuinfo && [ -w /dev/kvm ]; then accelerator=kvm processor=host; fi
    timeout --foreground -k 10 "${COIR_KERNEL_LIMIT:-3000}" \
        qemu-system-x86_64 -machine "accel=$accelerator" -cpu "$processor" -smp 2 -m 2G \
        -nographic -no-reboot -nodefaults -serial stdio \
        -kernel "$image" -initrd "$scratch/initramfs" -append 'console=ttyS0 panic=-1 quiet' \
        </dev/null 2>"$scratch/qemu" |
        tr -d '\r' >"$scratch/serial"
}

image=$("$here/fetch.sh" "$kernel") || {
    echo "kernel $kernel: $image"
    echo '0 passed, 1 failed'
    exit 1
}
make_root "$@"
boot
sed -n '/^=== begin/,$p' "$scratch/serial"
grep -q '^=== off' "$scratch/serial" || {
    tail -n 20 "$scratch/serial" "$scratch/qemu"
    echo "the machine with kernel $kernel stopped before the end"
    echo '0 passed, 1 failed'
    exit 1
}
sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed\(, \([0-9]*\) skipped\)\{0,1\}$/\1 \2 0\4/p' "$scratch/serial" |
    awk '{ p += $1; f += $2; s += $3 } END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 }'
