/* condition.c: conditions, whose waiters go straight from the condition's list into the lock's.
 *
 * A task that waits has given up its lock. It returns as the owner of the lock, always: a
 * notification or a cancellation makes it the owner when the lock is free, else moves it to the
 * lock's waiters, where no cancellation reaches it any more. So it is woken once, with the lock,
 * and a notification can only go to a task that will return 0.
 */
#include <stdio.h>

#include <coir/condition.h>

#include "sync/sync.h"

_Static_assert(sizeof(void *) != 8 || sizeof(coir_condition) == 40, "part of the ABI");

/* A wait, on the stack of its task; the waiter's slot points here. */
struct waiting {
    coir_lock *lock;
    int result; /* 0 when notified; before, what a cancellation says */
};

static size_t describe_relock(const struct coir_task *task, char *text, size_t size)
{
    return coir__lock_describe(task->wait_object, text, size);
}

static const struct coir__wait relock_wait = {"waits for the lock of a condition,", NULL,
                                              describe_relock};

/* Moves a task that waits for a condition no more to its lock. True: it owns the lock, and can be
 * woken. */
static bool pass_on(struct coir_task *task, coir_lock *lock)
{
    coir__waiter_unlink(&task->waiter);
    if (lock->coir__owner == NULL) {
        coir__lock_give(lock, task);
        return true;
    }
    task->wait = &relock_wait;
    task->wait_object = lock;
    coir__waiter_link(&lock->coir__waiters, &task->waiter);
    return false;
}

static bool abort_wait(struct coir_task *task)
{
    struct waiting *waiting = task->waiter.slot;
    waiting->result = task->pending;
    return pass_on(task, waiting->lock);
}

static size_t describe(const struct coir_task *task, char *text, size_t size)
{
    const coir_condition *condition = task->wait_object;
    return (size_t)snprintf(text, size, "%p (%zu waiting)", task->wait_object,
                            coir__waitlist_count(&condition->coir__waiters));
}

static const struct coir__wait condition_wait = {"waits for condition", abort_wait, describe};

int coir_condition_wait(coir_condition *condition, coir_lock *lock)
{
    struct coir_task *self = coir__self();
    int r = coir__begin(self, &condition->coir__loop);
    if (r < 0)
        return r;
    if (!coir__lock_mine(lock, self))
        return coir_fail(-COIR_ENOTHELD,
                         "waiting for a condition takes its lock, held by this task");
    coir__lock_hand_over(lock);
    struct waiting waiting = {lock, 0};
    (void)coir__wait_in(self, &condition->coir__waiters, &condition_wait, condition, &waiting);
    return waiting.result;
}

int coir_condition_wait_for(coir_condition *condition, coir_lock *lock,
                            bool (*predicate)(void *arg), void *arg)
{
    while (!predicate(arg)) {
        int r = coir_condition_wait(condition, lock);
        if (r < 0)
            return r;
    }
    return 0;
}

int coir_condition_notify(coir_condition *condition, size_t count)
{
    int r = coir__bind(&condition->coir__loop, coir__loop);
    if (r < 0)
        return r;
    int notified = 0;
    for (; count > 0 && condition->coir__waiters.first != NULL; count--, notified++) {
        struct coir__waiter *waiter = condition->coir__waiters.first;
        const struct waiting *waiting = waiter->slot;
        if (pass_on(waiter->task, waiting->lock))
            coir__wake(waiter->task, 0);
    }
    return notified;
}

int coir_condition_notify_all(coir_condition *condition)
{
    return coir_condition_notify(condition, SIZE_MAX);
}
