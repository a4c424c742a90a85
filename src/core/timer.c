/* timer.c: the timers of a loop, exact to the nanosecond, in constant time.
 *
 * A radix wheel: a timer lies in the bucket that is named by the highest group of six bits in which
 * its time differs from the wheel's (the level) and by the value of that group (the slot). The
 * wheel's time only moves forward; when it reaches the begin of a bucket, the bucket's timers move
 * to lower levels, at most eleven times in a timer's life, until those of one nanosecond share a
 * bucket. Starting and stopping touch one list; lists are in order of starting, so equal times
 * expire in that order. Compared with a heap: no comparison depends on how many timers there are
 * (Varghese and Lauck, SOSP 1987).
 *
 * Called by loop.c at each turn, and by whoever waits with a limit.
 */
#include <string.h>

#include "core/core.h"

#define BITS 6
#define SLOTS (1 << BITS)
#define LEVELS 11 /* 11 times 6 bits hold a 64-bit time */

struct coir__timers {
    coir_time now; /* of the wheel: no timer lies before it, but for those that were started late */
    uint64_t live;
    uint32_t levels; /* bit l: level l may have timers */
    uint64_t slots[LEVELS];
    /* Heads of circular lists. A head's coir__when is a time before which none of its timers
     * expires. */
    coir_timer heads[LEVELS][SLOTS];
};

struct coir__timers *coir__timers_open(coir_time now)
{
    struct coir__timers *timers = coir__alloc_own(sizeof *timers);
    if (timers == NULL)
        return NULL;
    memset(timers, 0, sizeof *timers);
    timers->now = now;
    for (int level = 0; level < LEVELS; level++) {
        for (int slot = 0; slot < SLOTS; slot++) {
            coir_timer *head = &timers->heads[level][slot];
            head->coir__next = head->coir__previous = head;
        }
    }
    return timers;
}

void coir__timers_close(struct coir__timers *timers)
{
    coir__free_own(timers);
}

uint64_t coir__timers_live(const struct coir__timers *timers)
{
    return timers->live;
}

static inline void unlink_timer(coir_timer *timer)
{
    timer->coir__next->coir__previous = timer->coir__previous;
    timer->coir__previous->coir__next = timer->coir__next;
    timer->coir__next = NULL;
}

/* Puts a timer into the bucket of its time. */
static inline void place(struct coir__timers *timers, coir_timer *timer)
{
    coir_time when = timer->coir__when < timers->now ? timers->now : timer->coir__when;
    uint64_t difference = (uint64_t)when ^ (uint64_t)timers->now;
    unsigned level = difference == 0 ? 0 : (63u - (unsigned)__builtin_clzll(difference)) / BITS;
    unsigned slot = (unsigned)((uint64_t)when >> (level * BITS)) & (SLOTS - 1);
    coir_timer *head = &timers->heads[level][slot];
    if (head->coir__next == head || when < head->coir__when)
        head->coir__when = when;
    timer->coir__previous = head->coir__previous;
    timer->coir__next = head;
    head->coir__previous->coir__next = timer;
    head->coir__previous = timer;
    timers->slots[level] |= UINT64_C(1) << slot;
    timers->levels |= 1u << level;
}

void coir__timer_start(struct coir_loop *loop, coir_timer *timer, coir_time when,
                       void (*fn)(void *arg), void *arg)
{
    struct coir__timers *timers = loop->timers;
    if (timer->coir__next != NULL)
        unlink_timer(timer);
    else
        timers->live++;
    timer->coir__when = when < 0 ? 0 : when;
    timer->coir__fn = fn;
    timer->coir__arg = arg;
    place(timers, timer);
}

void coir__timer_stop(struct coir_loop *loop, coir_timer *timer)
{
    if (timer->coir__next == NULL)
        return;
    unlink_timer(timer);
    loop->timers->live--;
}

/* The first bucket that has timers: the lowest slot of the lowest level. NULL when there are none.
 * Marks of buckets that were emptied by stopping are cleared on the way. */
static coir_timer *first_bucket(struct coir__timers *timers, unsigned *ret_level,
                                unsigned *ret_slot)
{
    while (timers->levels != 0) {
        unsigned level = (unsigned)__builtin_ctz(timers->levels);
        while (timers->slots[level] != 0) {
            unsigned slot = (unsigned)__builtin_ctzll(timers->slots[level]);
            coir_timer *head = &timers->heads[level][slot];
            if (head->coir__next != head) {
                *ret_level = level;
                *ret_slot = slot;
                return head;
            }
            timers->slots[level] &= timers->slots[level] - 1;
        }
        timers->levels &= timers->levels - 1;
    }
    return NULL;
}

/* The time at which a bucket begins. */
static coir_time bucket_begin(const struct coir__timers *timers, unsigned level, unsigned slot)
{
    unsigned shift = level * BITS;
    uint64_t above =
        shift + BITS >= 64 ? 0 : (uint64_t)timers->now >> (shift + BITS) << (shift + BITS);
    return (coir_time)(above | (uint64_t)slot << shift);
}

coir_time coir__timers_next(struct coir__timers *timers)
{
    unsigned level, slot;
    coir_timer *head = first_bucket(timers, &level, &slot);
    if (head == NULL)
        return COIR_FOREVER;
    coir_time begin = bucket_begin(timers, level, slot);
    return head->coir__when > begin ? head->coir__when : begin;
}

/* Moves all timers of a list behind those of another. */
static void take_all(coir_timer *from, coir_timer *to)
{
    if (from->coir__next == from)
        return;
    from->coir__next->coir__previous = to->coir__previous;
    to->coir__previous->coir__next = from->coir__next;
    from->coir__previous->coir__next = to;
    to->coir__previous = from->coir__previous;
    from->coir__next = from->coir__previous = from;
}

/* Collects what is due at now, in order, into due. */
static void collect(struct coir__timers *timers, coir_time now, coir_timer *due)
{
    unsigned level, slot;
    coir_timer *head;
    while ((head = first_bucket(timers, &level, &slot)) != NULL) {
        coir_time begin = bucket_begin(timers, level, slot);
        if (begin > now)
            break;
        timers->now = begin > timers->now ? begin : timers->now;
        timers->slots[level] &= ~(UINT64_C(1) << slot);
        if (level == 0) {
            take_all(head, due);
            continue;
        }
        coir_timer bucket = {.coir__next = &bucket, .coir__previous = &bucket};
        take_all(head, &bucket);
        while (bucket.coir__next != &bucket) {
            coir_timer *timer = bucket.coir__next;
            unlink_timer(timer);
            place(timers, timer);
        }
    }
    if (timers->now < now)
        timers->now = now;
}

void coir__timers_expire(struct coir_loop *loop, coir_time now)
{
    struct coir__timers *timers = loop->timers;
    if (timers->live == 0) { /* nothing lies in the wheel, so it can jump */
        timers->now = now > timers->now ? now : timers->now;
        return;
    }
    coir_timer due = {.coir__next = &due, .coir__previous = &due};
    collect(timers, now, &due);
    while (due.coir__next != &due) {
        coir_timer *timer = due.coir__next; /* a callback may stop or restart those behind it */
        unlink_timer(timer);
        timers->live--;
        timer->coir__fn(timer->coir__arg);
    }
}

void coir_timer_start(coir_loop *loop, coir_timer *timer, coir_time when, void (*fn)(void *arg),
                      void *arg)
{
    coir__timer_start(loop, timer, when, fn, arg);
}

void coir_timer_stop(coir_loop *loop, coir_timer *timer)
{
    coir__timer_stop(loop, timer);
}

bool coir_timer_running(const coir_timer *timer)
{
    return timer->coir__next != NULL;
}
