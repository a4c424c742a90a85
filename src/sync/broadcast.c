/* broadcast.c: broadcasts: one ring of values, and how far each subscription is in it.
 *
 * Values are numbered. The ring holds those from oldest up to next, each with the number of
 * subscriptions that have still to take it; where that is nobody, the oldest leave. A subscription
 * knows the number of the value that it takes next. One that waits is level with the ring and gets
 * a value straight from the send; only for the others is it stored. So these hold between calls:
 * tasks wait to receive only with subscriptions that have everything, and to send only while the
 * ring is full. Who is woken has the value, or has sent it.
 *
 * The record lives until the broadcast and every subscription are closed.
 */
#include <stdio.h>
#include <string.h>

#include <coir/broadcast.h>

#include "sync/sync.h"

struct coir_subscription {
    struct coir_subscription *next, *previous;
    struct coir_broadcast *broadcast;
    uint64_t at;     /* the value that it takes next; older than all there are: it has lagged */
    uint64_t missed; /* when it last did */
    struct coir__waitlist receiving;
    bool dropped;
};

struct coir_broadcast {
    struct coir_loop *loop;
    size_t size; /* of a value */
    size_t capacity;
    uint64_t oldest, next; /* values */
    struct coir_subscription *first, *last;
    struct coir__waitlist sending;
    size_t subscriptions; /* that were not dropped */
    size_t *wanted;       /* for each place of the ring: how many have still to take its value */
    uint64_t missed, dropped;
    coir_broadcast_policy policy;
    bool closed;
    const coir_site *site;
    _Alignas(max_align_t) char values[];
};

/* ---- the ring ---- */

static inline size_t place_of(const coir_broadcast *broadcast, uint64_t number)
{
    return (size_t)(number % broadcast->capacity);
}

static inline char *value_at(coir_broadcast *broadcast, uint64_t number)
{
    return broadcast->values + place_of(broadcast, number) * broadcast->size;
}

static inline bool is_full(const coir_broadcast *broadcast)
{
    return broadcast->next - broadcast->oldest == broadcast->capacity;
}

/* Gives a value to those who wait, and keeps it for the others. There is room. */
static void publish(coir_broadcast *broadcast, const void *value)
{
    uint64_t number = broadcast->next++;
    size_t wanted = 0;
    for (struct coir_subscription *each = broadcast->first; each != NULL; each = each->next) {
        struct coir__waiter *waiter = each->receiving.first;
        if (waiter != NULL) {
            memcpy(waiter->slot, value, broadcast->size);
            each->at = broadcast->next;
            coir__waiter_wake(waiter, 1);
        } else if (!each->dropped) {
            wanted++;
        }
    }
    broadcast->wanted[place_of(broadcast, number)] = wanted;
    if (wanted > 0)
        memcpy(value_at(broadcast, number), value, broadcast->size);
    else if (broadcast->oldest == number)
        broadcast->oldest = broadcast->next;
}

/* Lets go of values that nobody wants any more, and lets in the senders that wait for room. */
static void advance(coir_broadcast *broadcast)
{
    while (broadcast->oldest < broadcast->next &&
           broadcast->wanted[place_of(broadcast, broadcast->oldest)] == 0)
        broadcast->oldest++;
    while (broadcast->sending.first != NULL && !is_full(broadcast)) {
        struct coir__waiter *sender = broadcast->sending.first;
        publish(broadcast, sender->slot);
        coir__waiter_wake(sender, 0);
    }
}

/* Takes a subscription out of the counts of all values that it has not taken. */
static void renounce(struct coir_subscription *subscription)
{
    coir_broadcast *broadcast = subscription->broadcast;
    uint64_t from = subscription->at;
    if (from < broadcast->oldest)
        from = broadcast->oldest;
    for (; from < broadcast->next; from++)
        broadcast->wanted[place_of(broadcast, from)]--;
    subscription->at = broadcast->next;
    broadcast->subscriptions--;
}

static void drop_slowest(coir_broadcast *broadcast)
{
    for (struct coir_subscription *each = broadcast->first; each != NULL; each = each->next)
        if (!each->dropped && each->at == broadcast->oldest) {
            renounce(each);
            each->dropped = true;
            broadcast->dropped++;
        }
}

/* Makes room for a value as the policy says. False: it has to be waited for. */
static bool make_room(coir_broadcast *broadcast)
{
    if (broadcast->policy == COIR_BROADCAST_BLOCK)
        return false;
    if (broadcast->policy == COIR_BROADCAST_DROP)
        drop_slowest(broadcast);
    else
        broadcast->wanted[place_of(broadcast, broadcast->oldest)] = 0;
    advance(broadcast);
    return true;
}

/* ---- waiting ---- */

static size_t describe_broadcast(const coir_broadcast *broadcast, char *text, size_t size)
{
    const coir_site *site = broadcast->site;
    return (size_t)snprintf(text, size, "of %s opened at %s:%d, %zu subscription%s", site->what,
                            coir__file_name(site->file), site->line, broadcast->subscriptions,
                            broadcast->subscriptions == 1 ? "" : "s");
}

static size_t describe_send(const struct coir_task *task, char *text, size_t size)
{
    return describe_broadcast(task->wait_object, text, size);
}

static size_t describe_receive(const struct coir_task *task, char *text, size_t size)
{
    const coir_subscription *subscription = task->wait_object;
    return describe_broadcast(subscription->broadcast, text, size);
}

static const struct coir__wait send_wait = {"waits to send to broadcast", coir__abort_waiter,
                                            describe_send};
static const struct coir__wait receive_wait = {"waits to receive from broadcast",
                                               coir__abort_waiter, describe_receive};

/* Whether a call with a value of size bytes from loop is meant for broadcast. */
static int check(const coir_broadcast *broadcast, const struct coir_loop *loop, size_t size)
{
    if (coir__unlikely(broadcast->loop != loop))
        return coir__refuse(broadcast->loop, NULL, -COIR_EWRONGLOOP);
    return broadcast->size == size ? 0 : -EINVAL;
}

int coir__broadcast_try_send(coir_broadcast *broadcast, const void *value, size_t size)
{
    int r = check(broadcast, coir__loop, size);
    if (r < 0)
        return r;
    if (is_full(broadcast) && !make_room(broadcast))
        return -EAGAIN;
    publish(broadcast, value);
    return 0;
}

int coir__broadcast_send(coir_broadcast *broadcast, const void *value, size_t size)
{
    struct coir_task *self = coir__self();
    int r = coir__look_at(self, broadcast->loop);
    if (coir__unlikely(r < 0))
        return r;
    r = coir__broadcast_try_send(broadcast, value, size);
    if (r != -EAGAIN)
        return coir__charge(self, r);
    return coir__wait_in(self, &broadcast->sending, &send_wait, broadcast,
                         (void *)(uintptr_t)value);
}

/* Takes the next value of a subscription that is not level with the ring. */
static int take(struct coir_subscription *subscription, void *ret_value)
{
    coir_broadcast *broadcast = subscription->broadcast;
    uint64_t number = subscription->at;
    if (number < broadcast->oldest) {
        subscription->missed = broadcast->oldest - number;
        subscription->at = broadcast->oldest;
        broadcast->missed += subscription->missed;
        return -COIR_ELAGGED;
    }
    memcpy(ret_value, value_at(broadcast, number), broadcast->size);
    subscription->at++;
    if (--broadcast->wanted[place_of(broadcast, number)] == 0 && number == broadcast->oldest)
        advance(broadcast);
    return 1;
}

int coir__subscription_try_receive(coir_subscription *subscription, void *ret_value, size_t size)
{
    const coir_broadcast *broadcast = subscription->broadcast;
    int r = check(broadcast, coir__loop, size);
    if (r < 0)
        return r;
    if (subscription->dropped)
        return -COIR_ECLOSED;
    if (subscription->at < broadcast->next)
        return take(subscription, ret_value);
    return broadcast->closed ? 0 : -EAGAIN;
}

int coir__subscription_receive(coir_subscription *subscription, void *ret_value, size_t size)
{
    struct coir_task *self = coir__self();
    int r = coir__look_at(self, subscription->broadcast->loop);
    if (coir__unlikely(r < 0))
        return r;
    r = coir__subscription_try_receive(subscription, ret_value, size);
    if (r != -EAGAIN)
        return coir__charge(self, r);
    return coir__wait_in(self, &subscription->receiving, &receive_wait, subscription, ret_value);
}

/* ---- opening and closing ---- */

int coir_broadcast_open_at(size_t size, size_t capacity, const coir_broadcast_opts *opts,
                           coir_broadcast **ret_broadcast, const coir_site *site)
{
    coir_broadcast_policy policy = opts != NULL ? opts->policy : COIR_BROADCAST_BLOCK;
    bool known = policy == COIR_BROADCAST_BLOCK || policy == COIR_BROADCAST_LAG ||
                 policy == COIR_BROADCAST_DROP;
    if (size == 0 || capacity == 0 || !known)
        return -EINVAL;
    size_t bytes;
    if (__builtin_mul_overflow(size, capacity, &bytes) || bytes > PTRDIFF_MAX / 2)
        return -EOVERFLOW;
    if (coir__loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    coir_broadcast *broadcast = coir__alloc(sizeof *broadcast + bytes);
    size_t *wanted = broadcast != NULL ? coir__calloc(capacity, sizeof *wanted) : NULL;
    if (wanted == NULL) {
        coir__free(broadcast);
        return -ENOMEM;
    }
    *broadcast = (coir_broadcast){
        .loop = coir__loop,
        .size = size,
        .capacity = capacity,
        .wanted = wanted,
        .policy = policy,
        .site = site,
    };
    *ret_broadcast = broadcast;
    return 0;
}

static void free_unused(coir_broadcast *broadcast)
{
    if (!broadcast->closed || broadcast->first != NULL)
        return;
    coir__free(broadcast->wanted);
    coir__free(broadcast);
}

void coir_broadcast_close(coir_broadcast *broadcast)
{
    if (broadcast == NULL || coir__elsewhere(broadcast->loop, NULL))
        return;
    broadcast->closed = true;
    coir__wake_all(&broadcast->sending, -COIR_ECLOSED);
    for (struct coir_subscription *each = broadcast->first; each != NULL; each = each->next)
        coir__wake_all(&each->receiving, 0);
    free_unused(broadcast);
}

int coir_broadcast_subscribe(coir_broadcast *broadcast, coir_subscription **ret_subscription)
{
    if (broadcast->loop != coir__loop)
        return coir__refuse(broadcast->loop, NULL, -COIR_EWRONGLOOP);
    struct coir_subscription *subscription = coir__alloc(sizeof *subscription);
    if (subscription == NULL)
        return -ENOMEM;
    *subscription = (struct coir_subscription){
        .broadcast = broadcast,
        .at = broadcast->next,
        .previous = broadcast->last,
    };
    *(broadcast->last != NULL ? &broadcast->last->next : &broadcast->first) = subscription;
    broadcast->last = subscription;
    broadcast->subscriptions++;
    *ret_subscription = subscription;
    return 0;
}

void coir_subscription_close(coir_subscription *subscription)
{
    if (subscription == NULL || coir__elsewhere(subscription->broadcast->loop, NULL))
        return;
    coir_broadcast *broadcast = subscription->broadcast;
    struct coir_subscription *next = subscription->next, *previous = subscription->previous;
    *(next != NULL ? &next->previous : &broadcast->last) = previous;
    *(previous != NULL ? &previous->next : &broadcast->first) = next;
    coir__wake_all(&subscription->receiving, -COIR_ECLOSED);
    if (!subscription->dropped)
        renounce(subscription);
    coir__free(subscription);
    advance(broadcast);
    free_unused(broadcast);
}

/* ---- looking ---- */

uint64_t coir_subscription_missed(const coir_subscription *subscription)
{
    return subscription->missed;
}

size_t coir_subscription_behind(const coir_subscription *subscription)
{
    const coir_broadcast *broadcast = subscription->broadcast;
    uint64_t at = subscription->at;
    if (subscription->dropped)
        return 0;
    return (size_t)(broadcast->next - (at < broadcast->oldest ? broadcast->oldest : at));
}

void coir_broadcast_stats(const coir_broadcast *broadcast, struct coir_broadcast_stats *ret_stats)
{
    *ret_stats = (struct coir_broadcast_stats){0};
    if (coir__elsewhere(broadcast->loop, NULL))
        return;
    *ret_stats = (struct coir_broadcast_stats){
        .capacity = broadcast->capacity,
        .held = (size_t)(broadcast->next - broadcast->oldest),
        .subscriptions = broadcast->subscriptions,
        .sending = coir__waitlist_count(&broadcast->sending),
        .sent = broadcast->next,
        .missed = broadcast->missed,
        .dropped = broadcast->dropped,
    };
}

/* ---- in coir_select ---- */

static int attempt(coir_case *wanted)
{
    int r = coir__subscription_try_receive(wanted->coir__object, wanted->coir__slot,
                                           (size_t)wanted->coir__number);
    if (r == -EAGAIN)
        return 0;
    if (r < 0 && r != -COIR_ELAGGED && r != -COIR_ECLOSED)
        return r;
    wanted->result = r;
    return 1;
}

static int begin(coir_case *wanted)
{
    coir_subscription *subscription = wanted->coir__object;
    wanted->coir__waiter.slot = wanted->coir__slot;
    coir__waiter_link(&subscription->receiving, &wanted->coir__waiter);
    return 0;
}

static void withdraw(coir_case *wanted)
{
    coir__waiter_unlink(&wanted->coir__waiter);
}

static size_t describe_case(const coir_case *wanted, char *text, size_t size)
{
    const coir_subscription *subscription = wanted->coir__object;
    return describe_broadcast(subscription->broadcast, text, size);
}

const struct coir__waitable coir__on_subscription = {"receive from broadcast", attempt, begin,
                                                     withdraw, describe_case};
