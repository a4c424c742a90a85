/* future.c: futures, settled once, by their loop or by a post from another thread.
 *
 * Waiters leave a void ** in their slot; settling writes the value there and wakes them. A post is
 * claimed by an atomic word first, so that only one thread ever writes the fields that the loop
 * then reads; coir_post orders the two.
 */
#include <stdio.h>

#include <coir/future.h>
#include <coir/select.h>

#include "sync/sync.h"

_Static_assert(sizeof(void *) != 8 || sizeof(coir_future) == 104, "part of the ABI");

static void give(const coir_future *future, void **ret_value)
{
    if (ret_value != NULL && future->coir__code == 0)
        *ret_value = future->coir__value;
}

static int settle(coir_future *future, int code, void *value)
{
    int r = coir__bind(&future->coir__loop, coir__loop);
    if (r < 0)
        return r;
    if (future->coir__done)
        return -EALREADY;
    future->coir__done = true;
    future->coir__code = coir__translate(code);
    future->coir__value = value;
    while (future->coir__waiters.first != NULL) {
        give(future, future->coir__waiters.first->slot);
        coir__waiter_wake(future->coir__waiters.first, future->coir__code);
    }
    return 0;
}

int coir_future_set(coir_future *future, void *value)
{
    return coir__stay(settle(future, 0, value));
}

int coir_future_fail(coir_future *future, int code)
{
    return code < 0 ? settle(future, code, NULL) : -EINVAL;
}

int coir_future_cancel(coir_future *future)
{
    return coir__stay(settle(future, -COIR_ECANCELEDTASK, NULL));
}

/* ---- waiting and looking ---- */

static size_t describe(const struct coir_task *task, char *text, size_t size)
{
    const coir_future *future = task->wait_object;
    return (size_t)snprintf(text, size, "%p (%zu waiting)", task->wait_object,
                            coir__waitlist_count(&future->coir__waiters));
}

static const struct coir__wait future_wait = {"waits for future", coir__abort_waiter, describe};

int coir_future_wait(coir_future *future, void **ret_value)
{
    struct coir_task *self = coir__self();
    int r = coir__begin(self, &future->coir__loop);
    if (coir__unlikely(r < 0))
        return r;
    if (future->coir__done)
        return coir_future_result(future, ret_value);
    return coir__wait_in(self, &future->coir__waiters, &future_wait, future, ret_value);
}

bool coir_future_done(const coir_future *future)
{
    return future->coir__done;
}

int coir_future_result(const coir_future *future, void **ret_value)
{
    if (!future->coir__done)
        return -COIR_ENOTSET;
    give(future, ret_value);
    return future->coir__code;
}

/* ---- from other threads ---- */

static void arrive(void *arg)
{
    coir_future *future = arg;
    (void)settle(future, future->coir__posted_code, future->coir__posted_value);
}

static int post(coir_loop *loop, coir_future *future, int code, void *value)
{
    if (__atomic_exchange_n(&future->coir__posted, 1, __ATOMIC_ACQ_REL) != 0)
        return -EALREADY;
    future->coir__posted_code = code;
    future->coir__posted_value = value;
    int r = coir_post(loop, &future->coir__node, arrive, future);
    if (r < 0)
        __atomic_store_n(&future->coir__posted, 0, __ATOMIC_RELEASE);
    return r;
}

int coir_future_post(coir_loop *loop, coir_future *future, void *value)
{
    return post(loop, future, 0, value);
}

int coir_future_post_fail(coir_loop *loop, coir_future *future, int code)
{
    return code < 0 ? post(loop, future, code, NULL) : -EINVAL;
}

/* ---- in coir_select ---- */

static int attempt(coir_case *wanted)
{
    coir_future *future = wanted->coir__object;
    int r = coir__bind(&future->coir__loop, coir__loop);
    if (r < 0 || !future->coir__done)
        return r;
    wanted->result = coir_future_result(future, wanted->coir__slot);
    return 1;
}

static int begin(coir_case *wanted)
{
    coir_future *future = wanted->coir__object;
    wanted->coir__waiter.slot = wanted->coir__slot;
    coir__waiter_link(&future->coir__waiters, &wanted->coir__waiter);
    return 0;
}

static void withdraw(coir_case *wanted)
{
    coir__waiter_unlink(&wanted->coir__waiter);
}

const struct coir__waitable coir__on_future = {"future", attempt, begin, withdraw, NULL};
