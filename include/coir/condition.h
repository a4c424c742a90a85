/* coir/condition.h: waiting for a change of what a lock protects.
 *
 * A waiting task gives the lock up and owns it again when it returns, on every path. A notified
 * task is passed on to the lock: it cannot be cancelled any more, and returns 0. So a notification
 * is never lost to a cancelled task.
 *
 * Declare a group of waiting tasks before the lock is taken: leaving the group joins them, and they
 * need the lock to return.
 *
 *     COIR_LOCK(&store->lock);
 *     COIR_TRY(coir_condition_wait_for(&store->changed, &store->lock, has_stock, store));
 *     store->stock--;
 */
#ifndef COIR_CONDITION_H
#define COIR_CONDITION_H

#include <coir/lock.h>

COIR__BEGIN

/* A condition in memory of the caller; zero has no waiters. Private fields. */
typedef struct coir_condition {
    struct coir_loop *coir__loop; /* that used it first */
    struct coir__waitlist coir__waiters;
    void *coir__reserved[2];
} coir_condition;

/* Releases lock, waits until the condition is notified, and acquires lock again; in between others
 * may change what it protects, so look again. lock must be held by the current task, and is held by
 * it when the call returns, however that is.
 * Returns 0. Errors: -COIR_ENOTHELD, -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel
 * safety: no notification was used up; the lock is acquired again first, which no cancellation cuts
 * short. Thread safety: the loop's thread. */
COIR__CHECKED int coir_condition_wait(coir_condition *condition, coir_lock *lock);

/* Waits, as coir_condition_wait, until predicate(arg) holds. It is called with lock held, at least
 * once, and must not wait.
 * Returns 0. Errors, Cancel safety, Thread safety: as coir_condition_wait. */
COIR__CHECKED int coir_condition_wait_for(coir_condition *condition, coir_lock *lock,
                                          bool (*predicate)(void *arg), void *arg);

/* Wakes count of the tasks that wait, those first that have waited longest. Each returns when it
 * has its lock again. The caller usually holds that lock, but need not.
 * Returns how many were notified. Errors: -COIR_EWRONGLOOP. Cancel safety: never waits. Thread
 * safety: the loop's thread, in a task or not. */
COIR__PUBLIC int coir_condition_notify(coir_condition *condition, size_t count);

/* Wakes all tasks that wait. Otherwise as coir_condition_notify.
 * Returns how many were notified. Errors: -COIR_EWRONGLOOP. Cancel safety: never waits. Thread
 * safety: the loop's thread, in a task or not. */
COIR__PUBLIC int coir_condition_notify_all(coir_condition *condition);

COIR__END
#endif
