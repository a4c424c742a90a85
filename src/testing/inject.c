/* inject.c: counts everything of a run that can be made to fail, and makes one of it fail.
 *
 * Three hooks: the library's allocator, its system calls, and the entry of each suspending call.
 * The first two also see what happens while loops open and close. Threads of the library pass here
 * too, so the counters are atomic; the n-th is one call, whichever thread makes it.
 */
#include <stdlib.h>

#include "core/backend.h"
#include "testing/kit.h"

static struct {
    struct coir__point point;
    atomic_bool reached;
    atomic_bool active;
    atomic_uint_fast64_t parks, allocations;
    atomic_uint_fast64_t calls[COIR__SYS_COUNT], transfers[COIR__SYS_COUNT];
    atomic_int_fast64_t blocks; /* held by the library; goes on over all runs of the process */
} inject;

/* What coir_test_cancel_at_park arranged. */
static struct {
    const struct coir_task *task;
    unsigned left;
} arranged;

static void reached(void)
{
    atomic_store(&inject.reached, true);
}

/* ---- allocations ---- */

/* Whether the allocation that is asked for now fails. */
static bool allocation_fails(void)
{
    if (!atomic_load_explicit(&inject.active, memory_order_relaxed))
        return false;
    uint64_t n = atomic_fetch_add(&inject.allocations, 1) + 1;
    bool fails = (inject.point.kind == COIR__KIND_ALLOC && n == inject.point.n) ||
                 (inject.point.kind == COIR__KIND_ALLOC_FOREVER && n >= inject.point.n);
    if (fails)
        reached();
    return fails;
}

static void *allocate(size_t size, void *arg)
{
    (void)arg;
    void *block = allocation_fails() ? NULL : malloc(size);
    if (block != NULL)
        atomic_fetch_add(&inject.blocks, 1);
    return block;
}

static void *reallocate(void *block, size_t size, void *arg)
{
    (void)arg;
    if (allocation_fails())
        return NULL;
    void *moved = realloc(block, size);
    if (moved != NULL && block == NULL)
        atomic_fetch_add(&inject.blocks, 1);
    return moved;
}

static void release(void *block, void *arg)
{
    (void)arg;
    atomic_fetch_sub(&inject.blocks, 1);
    free(block);
}

int64_t coir__inject_blocks(void)
{
    return atomic_load(&inject.blocks);
}

/* ---- system calls ---- */

static int at_system_call(enum coir__sys_call call, size_t *length)
{
    uint64_t n = atomic_fetch_add(&inject.calls[call], 1) + 1;
    uint64_t transfer = length != NULL ? atomic_fetch_add(&inject.transfers[call], 1) + 1 : 0;
    if (inject.point.call != call)
        return 0;
    if (inject.point.kind == COIR__KIND_SYSCALL && n == inject.point.n) {
        reached();
        return -inject.point.error;
    }
    if (inject.point.kind == COIR__KIND_SHORT && transfer == inject.point.n) {
        reached();
        if (*length > 1)
            *length = 1;
    }
    return 0;
}

/* ---- suspending calls ---- */

static int at_park(struct coir_task *task, void *arg)
{
    (void)arg;
    uint64_t n = atomic_fetch_add(&inject.parks, 1) + 1;
    if (arranged.task == task && --arranged.left == 0) {
        arranged.task = NULL;
        coir_cancel(task, "cancelled by the test at this call");
    }
    if (n != inject.point.n)
        return 0;
    if (inject.point.kind == COIR__KIND_CANCEL) {
        reached();
        coir_cancel(task, "cancelled by the test kit");
    } else if (inject.point.kind == COIR__KIND_TIMEOUT) {
        reached();
        coir__scope_expire(&task->own);
    }
    return 0;
}

void coir__inject_watch(struct coir_loop *loop)
{
    loop->park_hook = at_park;
    loop->park_hook_arg = NULL;
    coir__loop_set_slow(loop, COIR__SLOW_HOOK, true);
}

void coir_test_cancel_at_park(coir_task *task, unsigned call)
{
    if (task == NULL)
        task = coir_current();
    arranged.task = call > 0 ? task : NULL;
    arranged.left = call;
    if (arranged.task != NULL && arranged.task->loop->park_hook == NULL)
        coir__inject_watch(arranged.task->loop);
}

int coir_test_datagrams(unsigned lost, unsigned doubled, unsigned late)
{
    struct coir_loop *loop = coir__loop;
    if (loop == NULL)
        return -COIR_ENOTASK;
    if (lost > 100 || doubled > 100 || late > 100)
        return -EINVAL;
    if (!loop->backend->simulated)
        return -EOPNOTSUPP;
    loop->mishaps.lost = lost;
    loop->mishaps.doubled = doubled;
    loop->mishaps.late = late;
    return 0;
}

int coir_test_descriptors(uint64_t most)
{
    if (coir__loop == NULL)
        return -COIR_ENOTASK;
    if (!coir__loop->backend->simulated)
        return -EOPNOTSUPP;
    coir__loop->mishaps.descriptors = most;
    return 0;
}

/* ---- one run ---- */

void coir__inject_begin(const struct coir__point *point, bool watch)
{
    static const coir_allocator counting = {allocate, reallocate, release, NULL};
    inject.point = *point;
    arranged.task = NULL;
    atomic_store(&inject.reached, false);
    atomic_store(&inject.parks, 0);
    atomic_store(&inject.allocations, 0);
    for (int call = 0; call < COIR__SYS_COUNT; call++) {
        atomic_store(&inject.calls[call], 0);
        atomic_store(&inject.transfers[call], 0);
    }
    /* Refused when an earlier run of this process left memory behind: then this table is set. */
    (void)coir_set_allocator(&counting);
    coir__memory_is_malloc = true;
    atomic_store(&inject.active, true);
    /* Not in ordinary runs: under the hook sendmsg and the like go another way. */
    coir__sys_fault = watch ? at_system_call : NULL;
}

void coir__inject_end(struct coir__outcome *outcome)
{
    coir__sys_fault = NULL;
    atomic_store(&inject.active, false);
    outcome->reached = atomic_load(&inject.reached);
    outcome->counts.parks = atomic_load(&inject.parks);
    outcome->counts.allocations = atomic_load(&inject.allocations);
    for (int call = 0; call < COIR__SYS_COUNT; call++) {
        outcome->counts.calls[call] = atomic_load(&inject.calls[call]);
        outcome->counts.transfers[call] = atomic_load(&inject.transfers[call]);
    }
}
