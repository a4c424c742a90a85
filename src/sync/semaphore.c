/* semaphore.c: semaphores, whose permits go straight to the task that has waited longest.
 *
 * There are free permits, or waiters, never both: a permit that is released while somebody waits is
 * that task's before it runs, and stays so when it is cancelled in between.
 */
#include <stdio.h>

#include <coir/semaphore.h>

#include "sync/sync.h"

_Static_assert(sizeof(void *) != 8 || sizeof(coir_semaphore) == 56, "part of the ABI");

static size_t describe(const struct coir_task *task, char *text, size_t size)
{
    const coir_semaphore *semaphore = task->wait_object;
    return (size_t)snprintf(text, size, "%p (%zu waiting)", task->wait_object,
                            coir__waitlist_count(&semaphore->coir__waiters));
}

static const struct coir__wait semaphore_wait = {"waits for semaphore", coir__abort_waiter,
                                                 describe};

static __attribute__((noinline)) int coir_semaphore_acquire__slowly(coir_semaphore *semaphore)
{
    struct coir_task *self = coir__self();
    int r = coir__begin(self, &semaphore->coir__loop);
    if (coir__unlikely(r < 0))
        return r;
    if (semaphore->value > 0) {
        semaphore->value--;
        return 0;
    }
    return coir__wait_in(self, &semaphore->coir__waiters, &semaphore_wait, semaphore, NULL);
}

/* The short ways call nothing and so need no frame. */
int coir_semaphore_acquire(coir_semaphore *semaphore)
{
    const struct coir_task *self = coir__self();
    if (coir__unlikely(semaphore->value == 0 || self == NULL || self->pending != 0 ||
                       semaphore->coir__loop != self->loop || --self->loop->charges <= 0))
        return coir_semaphore_acquire__slowly(semaphore);
    semaphore->value--;
    return 0;
}

int coir_semaphore_try(coir_semaphore *semaphore)
{
    int r = coir__bind(&semaphore->coir__loop, coir__loop);
    if (r < 0)
        return r;
    if (semaphore->value == 0)
        return -EAGAIN;
    semaphore->value--;
    return 0;
}

static inline int give_back(coir_semaphore *semaphore)
{
    size_t bound = semaphore->bound != 0 ? semaphore->bound : SIZE_MAX;
    if (semaphore->value >= bound)
        return -EOVERFLOW;
    semaphore->value++;
    return 0;
}

static __attribute__((noinline)) int coir_semaphore_release__slowly(coir_semaphore *semaphore)
{
    int r = coir__bind(&semaphore->coir__loop, coir__loop);
    if (r < 0)
        return r;
    if (semaphore->coir__waiters.first == NULL)
        return give_back(semaphore);
    coir__waiter_wake(semaphore->coir__waiters.first, 0);
    return 0;
}

int coir_semaphore_release(coir_semaphore *semaphore)
{
    if (coir__unlikely(semaphore->coir__loop != coir__loop ||
                       semaphore->coir__waiters.first != NULL))
        return coir_semaphore_release__slowly(semaphore);
    return give_back(semaphore);
}

void coir__semaphore_leave(coir_semaphore **held)
{
    (void)coir_semaphore_release(*held);
}
