/* coir/lock.h: mutual exclusion between the tasks of one loop.
 *
 * A lock is needed only where a task waits in the middle of a change: without a wait between, no
 * other task runs. It is fair: whoever releases it hands it to the task that has waited longest,
 * which then owns it before it runs again.
 *
 *     struct counter { coir_lock lock; long value; };
 *
 *     COIR_LOCK(&counter->lock);              // held to the end of this block
 *     long current = counter->value;
 *     COIR_TRY(coir_yield());
 *     counter->value = current + 1;
 */
#ifndef COIR_LOCK_H
#define COIR_LOCK_H

#include <coir/task.h>
#include <coir/wait.h>

COIR__BEGIN

/* A lock in memory of the caller; zero is a free one. Private fields. */
typedef struct coir_lock {
    struct coir_loop *coir__loop;  /* that used it first */
    struct coir_task *coir__owner; /* NULL: free */
    uint64_t coir__owner_id; /* so that a task which ended with it is not taken for its successor */
    struct coir__waitlist coir__waiters;
    uint64_t coir__order; /* what debug mode knows it by */
    void *coir__reserved;
} coir_lock;

/* Acquires lock for the current task, waiting behind those that came before. A free one is acquired
 * without a wait.
 * Returns 0. Errors: -EDEADLK when this task holds it, -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED,
 * -ETIME. Cancel safety: the lock was not acquired. Thread safety: the loop's thread. */
COIR__CHECKED int coir_lock_acquire(coir_lock *lock);

/* Acquires lock if it is free.
 * Returns 0. Errors: -EAGAIN when another task holds it, -EDEADLK when this one does,
 * -COIR_EWRONGLOOP, -COIR_ENOTASK. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_lock_try(coir_lock *lock);

/* Releases lock. The task that has waited longest owns it from now on.
 * Returns 0. Errors: -COIR_ENOTHELD when this task does not hold it. Cancel safety: never waits.
 * Thread safety: the task that acquired it. */
COIR__PUBLIC int coir_lock_release(coir_lock *lock);

/* Whether some task holds lock.
 * Returns true or false. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC bool coir_lock_held(const coir_lock *lock);

/* Holds a lock to the end of the block. When it cannot be acquired, returns the code from the
 * enclosing function, as COIR_TRY does. */
#define COIR_LOCK(lock)                                                                            \
    __attribute__((cleanup(coir__lock_leave), unused)) coir_lock *COIR__UNIQUE(coir__held_) =      \
        (__extension__({                                                                           \
            coir_lock *coir__lock = (lock);                                                        \
            (void)COIR_TRY(coir_lock_acquire(coir__lock));                                         \
            coir__lock;                                                                            \
        }))

COIR__PUBLIC void coir__lock_leave(coir_lock **held);

COIR__END
#endif
