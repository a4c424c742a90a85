/* coir/broadcast.h: every value to every subscriber.
 *
 * One side sends, any number of subscriptions each receive all values that were sent after they
 * subscribed. There is one ring of values for all of them, so a message is stored once, however
 * many listen. What happens when a subscriber is too slow is the broadcast's policy: the sender
 * waits for it, it misses values and is told so, or it is dropped. For one value that everybody
 * should know in its latest state, use coir_watch.
 *
 *     COIR_AUTO(coir_broadcast) *news = NULL;
 *     coir_broadcast_opts opts = {.policy = COIR_BROADCAST_LAG};
 *     COIR_TRY(coir_broadcast_open(struct line, 64, &opts, &news));
 *     COIR_TRY(coir_broadcast_send(news, &line));
 *
 *     COIR_AUTO(coir_subscription) *mine = NULL;       // for each listener
 *     COIR_TRY(coir_broadcast_subscribe(news, &mine));
 *     while ((r = coir_subscription_receive(mine, &line)) != 0)
 *         if (r > 0)
 *             show(&line);
 *         else if (r != -COIR_ELAGGED)                 // some were missed: go on with the next
 *             return r;
 */
#ifndef COIR_BROADCAST_H
#define COIR_BROADCAST_H

#include <coir/select.h>

COIR__BEGIN

/* The sending side of a broadcast. Any task may send. */
typedef struct coir_broadcast coir_broadcast;

/* One that listens. Several tasks may receive from one; then each value goes to one of them. */
typedef struct coir_subscription coir_subscription;

/* What a send does when the ring is full, because a subscriber has not taken the oldest value. */
typedef enum coir_broadcast_policy {
    COIR_BROADCAST_BLOCK, /* waits for the slowest */
    COIR_BROADCAST_LAG,   /* takes the place of the oldest value; who missed it is told */
    COIR_BROADCAST_DROP,  /* closes the subscriptions that are the slowest */
} coir_broadcast_policy;

/* Zero means the default for each field. */
typedef struct coir_broadcast_opts {
    coir_broadcast_policy policy; /* COIR_BROADCAST_BLOCK */
    size_t coir__reserved[4];
} coir_broadcast_opts;

/* Opens a broadcast for values of type (a C type, as in sizeof), of which the ring holds capacity;
 * opts may be NULL.
 * Returns 0, and writes *ret_broadcast, which is the caller's to close. Errors: -EINVAL for a type
 * without size, no capacity or an unknown policy, -EOVERFLOW for too large a capacity, -ENOMEM,
 * -COIR_ENOTASK where no loop runs. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
#define coir_broadcast_open(type, capacity, opts, ret_broadcast)                                   \
    coir_broadcast_open_at(sizeof(type), (capacity), (opts), (ret_broadcast), COIR_SITE(#type))
COIR__CHECKED int coir_broadcast_open_at(size_t size, size_t capacity,
                                         const coir_broadcast_opts *opts,
                                         coir_broadcast **ret_broadcast, const coir_site *site);

/* Closes the sending side; NULL is accepted. Subscriptions get what is left and then 0; tasks that
 * wait to send return -COIR_ECLOSED. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__PUBLIC void coir_broadcast_close(coir_broadcast *broadcast);

COIR_CLOSER(coir_broadcast, coir_broadcast_close);

/* Sends a copy of *value to all subscriptions there are now; none is fine. With
 * COIR_BROADCAST_BLOCK it waits while the ring is full, behind those that wait already; otherwise
 * it never does.
 * Returns 0. Errors: -COIR_ECLOSED when the broadcast is closed meanwhile, -EINVAL for a value of
 * the wrong size, -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: the value was
 * not sent. Thread safety: the loop's thread. */
#define coir_broadcast_send(broadcast, value)                                                      \
    coir__broadcast_send((broadcast), (value), sizeof(*(value)))
COIR__CHECKED int coir__broadcast_send(coir_broadcast *broadcast, const void *value, size_t size);

/* Sends a copy of *value if that needs no wait.
 * Returns 0. Errors: -EAGAIN when it would wait, -EINVAL, -COIR_EWRONGLOOP. Cancel safety: never
 * waits. Thread safety: the loop's thread, in a task or not. */
#define coir_broadcast_try_send(broadcast, value)                                                  \
    coir__broadcast_try_send((broadcast), (value), sizeof(*(value)))
COIR__CHECKED int coir__broadcast_try_send(coir_broadcast *broadcast, const void *value,
                                           size_t size);

/* Subscribes to what is sent from now on.
 * Returns 0, and writes *ret_subscription, which is the caller's to close, before or after the
 * broadcast. Errors: -ENOMEM, -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the
 * loop's thread. */
COIR__CHECKED int coir_broadcast_subscribe(coir_broadcast *broadcast,
                                           coir_subscription **ret_subscription);

/* Ends a subscription; NULL is accepted. Tasks that wait with it return -COIR_ECLOSED; a sender
 * that waited for it alone goes on. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__PUBLIC void coir_subscription_close(coir_subscription *subscription);

COIR_CLOSER(coir_subscription, coir_subscription_close);

/* Receives the next value into *ret_value, waiting until there is one.
 * Returns 1, or 0 when the broadcast was closed and everything received. Errors: -COIR_ELAGGED when
 * values were missed (coir_subscription_missed says how many; the next call gets the oldest that
 * there is), -COIR_ECLOSED when the subscription was dropped for being slow, or is closed by
 * another task meanwhile, -EINVAL for a value of the wrong size, -COIR_EWRONGLOOP, -COIR_ENOTASK,
 * -ECANCELED, -ETIME. Cancel safety: no value was taken. Thread safety: the loop's thread. */
#define coir_subscription_receive(subscription, ret_value)                                         \
    coir__subscription_receive((subscription), (ret_value), sizeof(*(ret_value)))
COIR__CHECKED int coir__subscription_receive(coir_subscription *subscription, void *ret_value,
                                             size_t size);

/* Receives the next value if there is one.
 * Returns 1, or 0 at the end. Errors: -EAGAIN when there is none now, -COIR_ELAGGED, -COIR_ECLOSED,
 * -EINVAL, -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's thread, in a
 * task or not. */
#define coir_subscription_try_receive(subscription, ret_value)                                     \
    coir__subscription_try_receive((subscription), (ret_value), sizeof(*(ret_value)))
COIR__CHECKED int coir__subscription_try_receive(coir_subscription *subscription, void *ret_value,
                                                 size_t size);

/* How many values the last -COIR_ELAGGED of this subscription stood for.
 * Returns the number. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC uint64_t coir_subscription_missed(const coir_subscription *subscription);

/* How many values this subscription has not received yet, those that it has missed not counted.
 * Returns the number. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC size_t coir_subscription_behind(const coir_subscription *subscription);

/* Reads how a broadcast stands. Cancel safety: never waits. Thread safety: the loop's thread. */
struct coir_broadcast_stats {
    size_t capacity;
    size_t held;          /* values that some subscription has still to take */
    size_t subscriptions; /* open ones, those that were dropped not counted */
    size_t sending;       /* tasks that wait to send */
    uint64_t sent;        /* values in all */
    uint64_t missed;      /* by subscriptions that lagged, in all, once they were told */
    uint64_t dropped;     /* subscriptions, in all */
    void *coir__reserved[4];
};
COIR__PUBLIC void coir_broadcast_stats(const coir_broadcast *broadcast,
                                       struct coir_broadcast_stats *ret_stats);

COIR__PUBLIC extern const struct coir__waitable coir__on_subscription;

/* A case of coir_select: a value arrives, as coir_subscription_receive into ret_value. Its result
 * is 1, 0 at the end, -COIR_ELAGGED, or -COIR_ECLOSED. */
#define COIR_ON_SUBSCRIPTION(subscription, ret_value)                                              \
    {                                                                                              \
        .coir__kind = &coir__on_subscription,                                                      \
        .coir__object = COIR__OF_TYPE(coir_subscription, subscription), .coir__slot = (ret_value), \
        .coir__number = (int64_t)sizeof(*(ret_value)),                                             \
    }

COIR__END
#endif
