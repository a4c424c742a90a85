/* sync.h: what the objects of this room share: their loop, and their waiters.
 *
 * An object belongs to the loop that uses it first. Calls that may wait find the loop in the
 * running task, the others in the thread. Who ends a wait has delivered what was waited for (the
 * lock, the permit, the item), so that a cancellation which comes later finds a finished operation,
 * and nothing can be lost between waker and woken.
 */
#ifndef COIR_SYNC_SYNC_H
#define COIR_SYNC_SYNC_H

#include "core/core.h"

/* Ties an object to the loop that uses it first; refuses all others. */
static inline int coir__bind(struct coir_loop **bound, struct coir_loop *loop)
{
    if (coir__likely(*bound == loop))
        return 0;
    if (*bound != NULL)
        return coir__refuse(*bound, NULL, loop != NULL ? -COIR_EWRONGLOOP : -COIR_ENOTASK);
    *bound = loop;
    return 0;
}

/* How a suspending call of an object begins: the task may wait, and the object is of its loop. */
static inline int coir__begin(struct coir_task *self, struct coir_loop **bound)
{
    if (coir__unlikely(self == NULL))
        return coir__refuse(*bound, NULL, -COIR_ENOTASK);
    int r = coir__enter(self);
    if (coir__unlikely(r < 0))
        return r;
    return coir__bind(bound, self->loop);
}

/* Ends the wait of all that wait in list, with the same result. */
static inline void coir__wake_all(struct coir__waitlist *list, int result)
{
    while (list->first != NULL)
        coir__waiter_wake(list->first, result);
}

static inline size_t coir__waitlist_count(const struct coir__waitlist *list)
{
    size_t count = 0;
    for (const struct coir__waiter *waiter = list->first; waiter != NULL; waiter = waiter->next)
        count++;
    return count;
}

struct coir_lock;

/* Makes task, which waits no more or never did, the owner of a lock that is free (lock.c). */
void coir__lock_give(struct coir_lock *lock, struct coir_task *task);

/* Releases a lock that the running task holds (lock.c). */
void coir__lock_hand_over(struct coir_lock *lock);

/* Whether the running task holds lock (lock.c). */
bool coir__lock_mine(const struct coir_lock *lock, const struct coir_task *self);

/* Writes "held by 'name'", or less when there is no such task, as snprintf (lock.c). */
size_t coir__lock_describe(const struct coir_lock *lock, char *text, size_t size);

#endif
