#!/bin/busybox sh
# shellcheck shell=dash
# init.sh: the only process that a kernel under test starts. It runs the test program on every backend that the kernel
# has, between marks that tests/kernels/run.sh looks for, and switches the machine off. What it runs stands in /run.sh.
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /proc /sys /dev /tmp /usr/bin
ln -s /bin/env /usr/bin/env
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm
mount -t tmpfs tmp /tmp
mount -t tmpfs shm /dev/shm
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/2 /dev/stderr
ip link set lo up
ulimit -n 4096

# shellcheck source=/dev/null # made by run.sh: the environment and the filters
. /run.sh
echo # the firmware has left its line unfinished
for backend in uring epoll sim; do
    echo "=== begin $backend"
    if ! /coir-tests --backend "$backend" --works 2>&1; then
        echo '0 passed, 0 failed, 1 skipped'
    else
        COIR_BACKEND=$backend /coir-tests --jobs "$(nproc)" "$@" 2>&1 </dev/null
    fi
    echo "=== end $backend $?"
done
echo '=== off'
poweroff -f
