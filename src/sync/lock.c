/* lock.c: locks, handed over to the task that has waited longest.
 *
 * A lock is free, or has an owner and perhaps waiters: never waiters without an owner. Releasing
 * makes the first waiter the owner before it runs, so nobody can steal the lock in between, and a
 * waiter that is cancelled after that holds it all the same. condition.c puts its waiters into the
 * same list.
 */
#include <stdio.h>

#include <coir/lock.h>

#include "sync/sync.h"

_Static_assert(sizeof(void *) != 8 || sizeof(coir_lock) == 56, "part of the ABI");

void coir__lock_give(coir_lock *lock, struct coir_task *task)
{
    lock->coir__owner = task;
    lock->coir__owner_id = task->id;
    if (coir__debugs(task->loop))
        coir__debugger.lock_taken(task, &lock->coir__order);
}

void coir__lock_hand_over(coir_lock *lock)
{
    struct coir__waiter *next = lock->coir__waiters.first;
    if (coir__debugs(lock->coir__loop))
        coir__debugger.lock_left(lock->coir__owner, lock->coir__order);
    if (next == NULL) {
        lock->coir__owner = NULL;
        return;
    }
    coir__lock_give(lock, next->task);
    coir__waiter_wake(next, 0);
}

bool coir__lock_mine(const coir_lock *lock, const struct coir_task *self)
{
    return self != NULL && lock->coir__owner == self && lock->coir__owner_id == self->id;
}

/* ---- who holds it ---- */

/* Finds the owner among the tasks that live: its record is gone when it has ended with the lock. */
static int is_owner(coir_task *task, void *arg)
{
    const coir_lock *lock = arg;
    return lock->coir__owner == task && lock->coir__owner_id == task->id;
}

size_t coir__lock_describe(const coir_lock *lock, char *text, size_t size)
{
    const char *name = "a task that has ended";
    if (coir_task_each(is_owner, (void *)(uintptr_t)lock) == 1)
        name = coir_task_name(lock->coir__owner);
    return (size_t)snprintf(text, size, "held by '%s'", name);
}

static size_t describe(const struct coir_task *task, char *text, size_t size)
{
    return coir__lock_describe(task->wait_object, text, size);
}

static const struct coir__wait lock_wait = {"waits for lock", coir__abort_waiter, describe};

/* ---- the public calls ---- */

/* An acquisition that waits, is refused, or that debug mode wants to see. */
static __attribute__((noinline)) int coir_lock_acquire__slowly(coir_lock *lock)
{
    struct coir_task *self = coir__self();
    int r = coir__begin(self, &lock->coir__loop);
    if (coir__unlikely(r < 0))
        return r;
    if (coir__lock_mine(lock, self))
        return coir_fail(-EDEADLK, "the lock is held by this task already");
    if (coir__debugs(self->loop))
        coir__debugger.lock_wanted(self, &lock->coir__order);
    if (lock->coir__owner == NULL) {
        coir__lock_give(lock, self);
        return 0;
    }
    return coir__wait_in(self, &lock->coir__waiters, &lock_wait, lock, NULL);
}

/* The short way, to a lock that is free, calls nothing and so needs no frame. */
int coir_lock_acquire(coir_lock *lock)
{
    struct coir_task *self = coir__self();
    if (coir__unlikely(self == NULL || self->pending != 0 || lock->coir__loop != self->loop ||
                       lock->coir__owner != NULL || self->loop->slow != 0 ||
                       --self->loop->charges <= 0))
        return coir_lock_acquire__slowly(lock);
    lock->coir__owner = self;
    lock->coir__owner_id = self->id;
    return 0;
}

int coir_lock_try(coir_lock *lock)
{
    struct coir_task *self = coir__self();
    if (self == NULL)
        return coir__refuse(lock->coir__loop, NULL, -COIR_ENOTASK);
    int r = coir__bind(&lock->coir__loop, self->loop);
    if (r < 0)
        return r;
    if (lock->coir__owner == NULL) {
        coir__lock_give(lock, self);
        return 0;
    }
    return coir__lock_mine(lock, self) ? -EDEADLK : -EAGAIN;
}

static __attribute__((noinline)) int coir_lock_release__slowly(coir_lock *lock)
{
    if (!coir__lock_mine(lock, coir__self()))
        return -COIR_ENOTHELD;
    coir__lock_hand_over(lock);
    return 0;
}

int coir_lock_release(coir_lock *lock)
{
    const struct coir_task *self = coir__self();
    if (coir__unlikely(!coir__lock_mine(lock, self) || lock->coir__waiters.first != NULL ||
                       self->loop->slow != 0))
        return coir_lock_release__slowly(lock);
    lock->coir__owner = NULL;
    return 0;
}

bool coir_lock_held(const coir_lock *lock)
{
    return lock->coir__owner != NULL;
}

void coir__lock_leave(coir_lock **held)
{
    (void)coir_lock_release(*held);
}
