/* post.c: the inbox: the one way into a loop from other threads and from signal handlers.
 *
 * A lock-free stack that anybody pushes to and the loop takes whole (Treiber, 1986), turned round
 * so that posts are called in their order. The handshake with a loop that is about to sleep: the
 * loop sets asleep, then looks at the inbox once more; a poster pushes, then looks at asleep, and
 * wakes the loop when it finds it set. Both orders are sequentially consistent, so one of the two
 * sees the other. No memory is allocated and no lock is taken, which is what makes it safe in a
 * signal handler.
 */
#include "core/backend.h"
#include "core/core.h"

/* Lies in the inbox of a loop that takes no more. */
static coir_post_node closed;

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
        node->coir__next = first;
    } while (!atomic_compare_exchange_weak_explicit(&loop->inbox, &first, node,
                                                    memory_order_seq_cst, memory_order_relaxed));
    if (atomic_load_explicit(&loop->asleep, memory_order_seq_cst) &&
        atomic_exchange_explicit(&loop->asleep, false, memory_order_seq_cst))
        loop->backend->wake(loop);
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
    const coir_post_node *first = atomic_load_explicit(&loop->inbox, memory_order_seq_cst);
    return first != NULL && first != &closed;
}

void coir__inbox_drain(struct coir_loop *loop)
{
    if (atomic_load_explicit(&loop->inbox, memory_order_relaxed) != NULL &&
        coir__inbox_filled(loop))
        call_all(atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire));
}

void coir__inbox_close(struct coir_loop *loop)
{
    call_all(atomic_exchange_explicit(&loop->inbox, &closed, memory_order_acq_rel));
}
