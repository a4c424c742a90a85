/* barrier.c: barriers. The last arrival ends all waits at once, each with its place.
 *
 * There is no phase of draining, as asyncio has one: a task that was let go is out of the barrier
 * before it runs, so the next round can fill meanwhile, and a reset does not concern it.
 */
#include <stdio.h>

#include <coir/barrier.h>

#include "sync/sync.h"

_Static_assert(sizeof(void *) != 8 || sizeof(coir_barrier) == 64, "part of the ABI");

static bool abort_wait(struct coir_task *task)
{
    coir_barrier *barrier = task->waiter.slot;
    barrier->coir__waiting--;
    return coir__abort_waiter(task);
}

static size_t describe(const struct coir_task *task, char *text, size_t size)
{
    const coir_barrier *barrier = task->wait_object;
    return (size_t)snprintf(text, size, "%p (%zu of %zu waiting)", task->wait_object,
                            barrier->coir__waiting, barrier->parties);
}

static const struct coir__wait barrier_wait = {"waits at barrier", abort_wait, describe};

int coir_barrier_wait(coir_barrier *barrier)
{
    struct coir_task *self = coir__self();
    int r = coir__begin(self, &barrier->coir__loop);
    if (coir__unlikely(r < 0))
        return r;
    if (barrier->parties == 0 || barrier->parties > INT32_MAX)
        return -EINVAL;
    if (barrier->coir__broken)
        return -COIR_EBROKENBARRIER;
    if (++barrier->coir__waiting < barrier->parties)
        return coir__wait_in(self, &barrier->coir__waiters, &barrier_wait, barrier, barrier);
    barrier->coir__waiting = 0;
    int place = 0;
    while (barrier->coir__waiters.first != NULL)
        coir__waiter_wake(barrier->coir__waiters.first, place++);
    return place;
}

/* Sends away all that wait. */
static int empty(coir_barrier *barrier, bool broken)
{
    int r = coir__bind(&barrier->coir__loop, coir__loop);
    if (r < 0)
        return r;
    barrier->coir__broken = broken;
    barrier->coir__waiting = 0;
    coir__wake_all(&barrier->coir__waiters, -COIR_EBROKENBARRIER);
    return 0;
}

int coir_barrier_reset(coir_barrier *barrier)
{
    return empty(barrier, false);
}

int coir_barrier_abort(coir_barrier *barrier)
{
    return empty(barrier, true);
}

bool coir_barrier_broken(const coir_barrier *barrier)
{
    return barrier->coir__broken;
}

size_t coir_barrier_waiting(const coir_barrier *barrier)
{
    return barrier->coir__waiting;
}
