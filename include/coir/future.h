/* coir/future.h: one value that comes later, once.
 *
 * Any number of tasks may wait for it, and late ones get it at once. It is the bridge from
 * callbacks and other threads into tasks; between tasks a joined task or a channel is usually
 * simpler. The value is a pointer: who owns what it points to is between setter and waiter.
 *
 *     coir_future answer = {0};
 *     void *value;
 *     COIR_TRY(coir_future_wait(&answer, &value));       // in one task
 *     coir_future_set(&answer, reply);                   // in a callback
 */
#ifndef COIR_FUTURE_H
#define COIR_FUTURE_H

#include <coir/loop.h>
#include <coir/wait.h>

COIR__BEGIN

/* A future in memory of the caller; zero is one that is not settled. Private fields. */
typedef struct coir_future {
    struct coir_loop *coir__loop; /* that used it first */
    struct coir__waitlist coir__waiters;
    void *coir__value;
    int coir__code; /* 0 or the failure */
    bool coir__done;
    int coir__posted; /* atomic: a thread has claimed the post */
    int coir__posted_code;
    void *coir__posted_value;
    coir_post_node coir__node;
    void *coir__reserved[2];
} coir_future;

/* Settles future with a value and wakes all that wait. value stays the caller's.
 * Returns 0. Errors: -EALREADY when it is settled; then nothing changed; -COIR_EWRONGLOOP. Cancel
 * safety: never waits. Thread safety: the loop's thread, in a task or not. */
COIR__PUBLIC int coir_future_set(coir_future *future, void *value);

/* Settles future with a failure, a negative code. -ECANCELED and -ETIME, which would speak of the
 * waiter's own scopes, become -COIR_ECANCELEDTASK and -ETIMEDOUT.
 * Returns 0. Errors: -EALREADY, -EINVAL for a code that is not negative, -COIR_EWRONGLOOP. Cancel
 * safety: never waits. Thread safety: the loop's thread, in a task or not. */
COIR__PUBLIC int coir_future_fail(coir_future *future, int code);

/* Settles future with -COIR_ECANCELEDTASK: nobody will produce the value.
 * Returns 0. Errors: -EALREADY, -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the
 * loop's thread, in a task or not. */
COIR__PUBLIC int coir_future_cancel(coir_future *future);

/* Waits until future is settled. ret_value, which may be NULL, is written when there is a value.
 * Returns 0. Errors: what it failed with, -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME.
 * Cancel safety: the future is as it was, others may wait on. Thread safety: the loop's thread. */
COIR__CHECKED int coir_future_wait(coir_future *future, void **ret_value);

/* Whether future is settled.
 * Returns true or false. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC bool coir_future_done(const coir_future *future);

/* What future was settled with. ret_value, which may be NULL, is written when there is a value.
 * Returns 0. Errors: what it failed with, -COIR_ENOTSET. Cancel safety: never waits. Thread safety:
 * the loop's thread. */
COIR__PUBLIC int coir_future_result(const coir_future *future, void **ret_value);

/* Settles future with a value from another thread: loop, the one whose tasks wait for it, does so
 * soon. The first post counts. future must outlive that moment: a task that is cancelled while it
 * waits must not free it before. A loop whose tasks wait only for such posts has to be opened with
 * expects_posts.
 * Returns 0. Errors: -EALREADY when one was posted before, -COIR_ECLOSED when loop is closing.
 * Cancel safety: never waits. Thread safety: any thread. */
COIR__PUBLIC int coir_future_post(coir_loop *loop, coir_future *future, void *value);

/* Settles future with a failure from another thread. Otherwise as coir_future_post and
 * coir_future_fail.
 * Returns 0. Errors: -EALREADY, -COIR_ECLOSED, -EINVAL for a code that is not negative. Cancel
 * safety: never waits. Thread safety: any thread. */
COIR__PUBLIC int coir_future_post_fail(coir_loop *loop, coir_future *future, int code);

COIR__END
#endif
