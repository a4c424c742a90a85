/* post.c: the inbox: the one way into a loop from other threads and from signal handlers.
 *
 * A lock-free stack that anybody pushes to and the loop takes whole (Treiber, 1986), turned round
 * so that posts are called in their order. A loop that is about to sleep puts a mark into the empty
 * inbox; who replaces the mark wakes the loop. One word decides, so none is lost. No memory is
 * allocated and no lock is taken, which is what makes it safe in a signal handler.
 *
 * A post may be called, and what it says may be that the loop closes, while its poster is still in
 * here. So a poster touches nothing of the loop after its push; only who has to wake it does, and
 * is counted before. The close waits for that.
 */
#include "core/backend.h"
#include "core/core.h"

/* Lie in the inbox of a loop that takes no more, and of one that sleeps. */
static coir_post_node closed, sleeping;

/* Pushes node onto an inbox where first was seen last. Returns false when another one is there;
 * then *first is that. */
static bool push(coir_loop *loop, coir_post_node *node, coir_post_node **first)
{
    bool wakes = *first == &sleeping;
    node->coir__next = wakes ? NULL : *first;
    if (wakes)
        (void)atomic_fetch_add_explicit(&loop->wakers, 1, memory_order_relaxed);
    bool pushed = atomic_compare_exchange_weak_explicit(&loop->inbox, first, node,
                                                        memory_order_acq_rel, memory_order_relaxed);
    if (wakes && pushed)
        loop->backend->wake(loop);
    if (wakes)
        (void)atomic_fetch_sub_explicit(&loop->wakers, 1, memory_order_release);
    return pushed;
}

int coir_post(coir_loop *loop, coir_post_node *node, void (*fn)(void *arg), void *arg)
{
    if (fn == NULL)
        return -EINVAL;
    if (__atomic_exchange_n(&node->coir__queued, 1, __ATOMIC_ACQ_REL) != 0)
        return -EALREADY;
    node->coir__fn = fn;
    node->coir__arg = arg;
    coir_post_node *first = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    do {
        if (first == &closed) {
            __atomic_store_n(&node->coir__queued, 0, __ATOMIC_RELEASE);
            return -COIR_ECLOSED;
        }
    } while (!push(loop, node, &first));
    return 0;
}

/* Calls what was posted, newest first in the list, in the order of posting. */
static void call_all(coir_post_node *node)
{
    coir_post_node *first = NULL;
    while (node != NULL) {
        coir_post_node *next = node->coir__next;
        node->coir__next = first;
        first = node;
        node = next;
    }
    while (first != NULL) {
        node = first;
        first = node->coir__next;
        void (*fn)(void *arg) = node->coir__fn;
        void *arg = node->coir__arg;
        __atomic_store_n(&node->coir__queued, 0,
                         __ATOMIC_RELEASE); /* from here it is the poster's again */
        fn(arg);
    }
}

bool coir__inbox_filled(const struct coir_loop *loop)
{
    const coir_post_node *first = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    return first != NULL && first != &closed && first != &sleeping;
}

bool coir__inbox_sleep(struct coir_loop *loop)
{
    coir_post_node *first = NULL;
    return atomic_compare_exchange_strong_explicit(&loop->inbox, &first, &sleeping,
                                                   memory_order_acq_rel, memory_order_relaxed) ||
           first == &closed;
}

void coir__inbox_awake(struct coir_loop *loop)
{
    coir_post_node *first = &sleeping;
    (void)atomic_compare_exchange_strong_explicit(&loop->inbox, &first, NULL, memory_order_acq_rel,
                                                  memory_order_relaxed);
}

void coir__inbox_drain(struct coir_loop *loop)
{
    if (coir__inbox_filled(loop))
        call_all(atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire));
}

bool coir__inbox_close_empty(struct coir_loop *loop)
{
    coir_post_node *first = NULL;
    return atomic_compare_exchange_strong_explicit(&loop->inbox, &first, &closed,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

void coir__inbox_close(struct coir_loop *loop)
{
    call_all(atomic_exchange_explicit(&loop->inbox, &closed, memory_order_acq_rel));
}
