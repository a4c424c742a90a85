#!/bin/sh
# gdb sees the whole stack of a task, of one that runs and of one that waits, and knows where it ends.
set -eu
program=$1/tests/program-parked
command -v gdb >/dev/null || exit 77
[ -x "$program" ] && [ "$(uname -m)" = x86_64 ] || exit 77
. "$(dirname -- "$0")/lib/scratch.sh"

# What coir__switch_raw keeps below the stack pointer of a context that does not run.
cat >"$work/commands" <<'END'
set pagination off
set confirm off
set debuginfod enabled off
break all_parked
run
echo === running\n
backtrace
set $kept = (unsigned long *)parked_task->context.sp
set $rbp = $kept[6]
set $rbx = $kept[5]
set $rsp = (unsigned long)($kept + 7)
set $rip = $kept[0]
echo === parked\n
backtrace
kill
quit
END
timeout -k 5 60 gdb -q -batch -nx -x "$work/commands" "$program" >"$work/output" 2>&1 </dev/null || :
if grep -q 'ptrace: Operation not permitted\|Could not trace the inferior' "$work/output"; then exit 77; fi

# functions SECTION: the names in the backtrace of a section.
functions() {
    sed -n "/^=== $1\$/,/^===\$/p" "$work/output" | sed -n '2,${/^===/q;p}' |
        sed -n 's/^#[0-9]* *\(0x[0-9a-f]* in \)\{0,1\}\([A-Za-z_.]*\).*/\2/p' | tr '\n' ' '
}

running=$(functions running)
parked=$(functions parked)
[ "$running" = 'all_parked look coir__task_main coir.task_entry ' ] ||
    [ "$running" = 'all_parked look coir__task_main coir__task_entry ' ] || fail "running: $running"
case $parked in
*'parked_inner parked_middle parked_outer coir__task_main coir'[._]*'task_entry ') ;;
*) fail "parked: $parked" ;;
esac
if grep -q 'Backtrace stopped\|corrupt stack\|?? ()' "$work/output"; then fail 'a backtrace does not end cleanly'; fi
[ "$failures" -eq 0 ] || sed 's/^/    /' "$work/output"
[ "$failures" -eq 0 ]
