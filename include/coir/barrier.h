/* coir/barrier.h: a point where a number of tasks wait for each other.
 *
 * The last one to arrive lets all of them go at once, and the barrier can be used again
 * immediately. A task that is cancelled while it waits just leaves: the barrier is not broken, it
 * needs one more.
 *
 *     coir_barrier barrier = {.parties = 3};
 *
 *     int index = COIR_TRY(coir_barrier_wait(&barrier));
 *     if (index == 0)
 *         publish();                          // one of the three does it
 */
#ifndef COIR_BARRIER_H
#define COIR_BARRIER_H

#include <coir/task.h>
#include <coir/wait.h>

COIR__BEGIN

/* A barrier in memory of the caller. Set parties before it is used. */
typedef struct coir_barrier {
    size_t parties;               /* how many tasks pass it together, at least 1 */
    struct coir_loop *coir__loop; /* that used it first */
    struct coir__waitlist coir__waiters;
    size_t coir__waiting;
    bool coir__broken;
    void *coir__reserved[2];
} coir_barrier;

/* Waits until as many tasks as the barrier has parties wait. They pass in the order in which they
 * came.
 * Returns this task's place in that order, 0 to parties - 1. Errors: -COIR_EBROKENBARRIER when it
 * is broken or is reset or aborted while this task waits, -EINVAL without parties,
 * -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: this task was not counted.
 * Thread safety: the loop's thread. */
COIR__CHECKED int coir_barrier_wait(coir_barrier *barrier);

/* Empties the barrier, and mends it: tasks that wait return -COIR_EBROKENBARRIER, those that come
 * find it new. Tasks that the last arrival has let go are not concerned, even if they have not run
 * yet.
 * Returns 0. Errors: -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's
 * thread, in a task or not. */
COIR__PUBLIC int coir_barrier_reset(coir_barrier *barrier);

/* Breaks the barrier: tasks that wait, and those that come before a reset, return
 * -COIR_EBROKENBARRIER.
 * Returns 0. Errors: -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's
 * thread, in a task or not. */
COIR__PUBLIC int coir_barrier_abort(coir_barrier *barrier);

/* Whether barrier is broken.
 * Returns true or false. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC bool coir_barrier_broken(const coir_barrier *barrier);

/* How many tasks wait now.
 * Returns the number. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC size_t coir_barrier_waiting(const coir_barrier *barrier);

COIR__END
#endif
