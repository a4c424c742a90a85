/* timer.c: the timers of a loop, exact to the nanosecond, in constant time.
 *
 * A radix wheel: a timer lies in the bucket that is named by the highest group of six bits in which
 * its time differs from the wheel's (the level) and by the value of that group (the slot). The
 * wheel's time only moves forward; when it reaches the begin of a bucket, the bucket's timers move
 * to lower levels, at most nine times in a timer's life, until those of one nanosecond share a
 * bucket. Starting and stopping touch one list; lists are in order of starting, so equal times
 * expire in that order. Compared with a heap: no comparison depends on how many timers there are
 * (Varghese and Lauck, SOSP 1987).
 *
 * Called by loop.c at each turn, and by whoever waits with a limit.
 */
#include <string.h>

#include "core/core.h"

#define LEVELS 10
#define HEADS (9 * 64 + 1024)
#define WORDS (HEADS / 64)

/* Where the bits of a level begin. Each has six, but for the fifth: its ten, of 17 ms each, hold
 * the timers of the next 17 s, which most are. So those of a million tasks, each in a page of its
 * own, move only once before they are due. */
static const uint8_t shift_of[LEVELS + 1] = {0, 6, 12, 18, 24, 34, 40, 46, 52, 58, 64};

/* The first of a level's heads; a word of marks for each 64 of them. */
static const uint16_t heads_of[LEVELS + 1] = {0,    64,   128,  192,  256,  1280,
                                              1344, 1408, 1472, 1536, HEADS};

/* A level by the highest bit of a difference, with what else placing a timer asks for. */
static const struct place {
    uint16_t heads, slot_mask, shift, level;
} place_of[64] = {
    [0 ... 5] = {0, 63, 0, 0},        [6 ... 11] = {64, 63, 6, 1},
    [12 ... 17] = {128, 63, 12, 2},   [18 ... 23] = {192, 63, 18, 3},
    [24 ... 33] = {256, 1023, 24, 4}, [34 ... 39] = {1280, 63, 34, 5},
    [40 ... 45] = {1344, 63, 40, 6},  [46 ... 51] = {1408, 63, 46, 7},
    [52 ... 57] = {1472, 63, 52, 8},  [58 ... 63] = {1536, 63, 58, 9},
};

struct coir__timers {
    coir_time now; /* of the wheel: no timer lies before it, but for those that were started late */
    /* Two counts, of which the difference lives: a timer that is started and stopped again and
     * again would wait for its own stores to the only one. */
    uint64_t started, stopped;
    uint32_t levels;       /* bit l: level l may have timers */
    uint64_t marks[WORDS]; /* a bit for each bucket: its list is valid, and may have timers */
    /* Heads of circular lists. A head's coir__when is a time before which none of its timers
     * expires. */
    coir_timer heads[HEADS];
};

struct bucket {
    coir_timer *head;
    unsigned level, slot;
};

struct coir__timers *coir__timers_open(coir_time now)
{
    struct coir__timers *timers = coir__alloc_own(sizeof *timers);
    if (timers == NULL)
        return NULL;
    timers->now = now;
    timers->started = timers->stopped = 0;
    timers->levels = 0;
    memset(timers->marks, 0, sizeof timers->marks);
    return timers;
}

void coir__timers_close(struct coir__timers *timers)
{
    coir__free_own(timers);
}

uint64_t coir__timers_live(const struct coir__timers *timers)
{
    return timers->started - timers->stopped;
}

static inline void unlink_timer(coir_timer *timer)
{
    timer->coir__next->coir__previous = timer->coir__previous;
    timer->coir__previous->coir__next = timer->coir__next;
    timer->coir__next = NULL;
}

/* The index of the bucket of a time, which is not before now. */
static inline size_t index_of(coir_time now, coir_time when, const struct place **ret_place)
{
    uint64_t difference = (uint64_t)when ^ (uint64_t)now;
    const struct place *level = &place_of[(unsigned)__builtin_clzll(difference | 1) ^ 63];
    *ret_place = level;
    return level->heads + ((size_t)when >> level->shift & level->slot_mask);
}

static inline bool is_marked(const struct coir__timers *timers, size_t index)
{
    return timers->marks[index / 64] >> index % 64 & 1;
}

static inline void append(coir_timer *head, coir_timer *timer, coir_time when)
{
    timer->coir__next = head;
    if (head->coir__next == head) { /* without reading links that stopping may just have stored */
        head->coir__when = when;
        timer->coir__previous = head;
        head->coir__next = head->coir__previous = timer;
        return;
    }
    if (when < head->coir__when)
        head->coir__when = when;
    timer->coir__previous = head->coir__previous;
    head->coir__previous->coir__next = timer;
    head->coir__previous = timer;
}

/* Puts a timer into the bucket of its time. */
static inline void place(struct coir__timers *timers, coir_timer *timer)
{
    coir_time when = timer->coir__when < timers->now ? timers->now : timer->coir__when;
    const struct place *level;
    size_t index = index_of(timers->now, when, &level);
    coir_timer *head = &timers->heads[index];
    if (coir__unlikely(!is_marked(timers, index))) {
        timers->marks[index / 64] |= UINT64_C(1) << index % 64;
        timers->levels |= 1u << level->level;
        head->coir__next = head->coir__previous = head;
    }
    append(head, timer, when);
}

static inline void set(coir_timer *timer, coir_time when, void (*fn)(void *arg), void *arg)
{
    timer->coir__when = when;
    timer->coir__fn = fn;
    timer->coir__arg = arg;
}

static inline void stop(struct coir__timers *timers, coir_timer *timer)
{
    if (timer->coir__next == NULL)
        return;
    unlink_timer(timer);
    timers->stopped++;
}

/* Starts a timer that has what it needs. */
static __attribute__((noinline)) void start(struct coir__timers *timers, coir_timer *timer)
{
    stop(timers, timer);
    timers->started++;
    place(timers, timer);
}

static __attribute__((noinline)) void coir_timer_start__slowly(coir_loop *loop, coir_timer *timer,
                                                               coir_time when,
                                                               void (*fn)(void *arg), void *arg)
{
    if (coir__elsewhere(loop, NULL))
        return;
    set(timer, when, fn, arg);
    start(loop->timers, timer);
}

static __attribute__((noinline)) void coir_timer_stop__slowly(coir_loop *loop, coir_timer *timer)
{
    if (!coir__elsewhere(loop, NULL))
        stop(loop->timers, timer);
}

/* Takes no frame and no call where a timer that stands still goes into a bucket that is in use. */
void coir_timer_start(coir_loop *loop, coir_timer *timer, coir_time when, void (*fn)(void *arg),
                      void *arg)
{
    if (coir__unlikely(coir__any_debugs())) {
        coir_timer_start__slowly(loop, timer, when, fn, arg);
        return;
    }
    set(timer, when, fn, arg);
    struct coir__timers *timers = loop->timers;
    coir_time from = when < timers->now ? timers->now : when;
    const struct place *level;
    size_t index = index_of(timers->now, from, &level);
    if (coir__likely(timer->coir__next == NULL && is_marked(timers, index))) {
        timers->started++;
        append(&timers->heads[index], timer, from);
    } else {
        start(timers, timer);
    }
}

void coir_timer_stop(coir_loop *loop, coir_timer *timer)
{
    if (coir__likely(!coir__any_debugs()))
        stop(loop->timers, timer);
    else
        coir_timer_stop__slowly(loop, timer);
}

/* The first bucket of a level that has timers. Marks of buckets that were emptied by stopping are
 * cleared on the way. */
static bool first_of_level(struct coir__timers *timers, unsigned level, struct bucket *ret_bucket)
{
    for (unsigned word = heads_of[level] / 64; word < heads_of[level + 1] / 64; word++) {
        while (timers->marks[word] != 0) {
            unsigned bit = (unsigned)__builtin_ctzll(timers->marks[word]);
            unsigned index = word * 64 + bit;
            coir_timer *head = &timers->heads[index];
            if (head->coir__next != head) {
                *ret_bucket = (struct bucket){head, level, index - heads_of[level]};
                return true;
            }
            timers->marks[word] &= timers->marks[word] - 1;
        }
    }
    return false;
}

/* The first bucket that has timers: the lowest slot of the lowest level. */
static bool first_bucket(struct coir__timers *timers, struct bucket *ret_bucket)
{
    while (timers->levels != 0) {
        if (first_of_level(timers, (unsigned)__builtin_ctz(timers->levels), ret_bucket))
            return true;
        timers->levels &= timers->levels - 1;
    }
    return false;
}

/* The time at which a bucket begins. */
static coir_time begin_of(const struct coir__timers *timers, const struct bucket *bucket)
{
    unsigned end = shift_of[bucket->level + 1];
    uint64_t above = end >= 64 ? 0 : (uint64_t)timers->now >> end << end;
    return (coir_time)(above | (uint64_t)bucket->slot << shift_of[bucket->level]);
}

coir_time coir__timers_next(struct coir__timers *timers)
{
    struct bucket bucket;
    if (coir__timers_live(timers) == 0 || !first_bucket(timers, &bucket))
        return COIR_FOREVER;
    coir_time begin = begin_of(timers, &bucket);
    return bucket.head->coir__when > begin ? bucket.head->coir__when : begin;
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

/* Reads a list from both ends to its middle. Timers that were not looked at for long lie in no
 * cache, and each tells where the next one is: so two of them come at a time. */
static void fetch(const coir_timer *head)
{
    const coir_timer *first = head->coir__next, *last = head->coir__previous;
    while (first != last && first->coir__next != last) {
        first = first->coir__next;
        last = last->coir__previous;
        __asm__ volatile("" ::"r"(first), "r"(last));
    }
}

/* Moves the timers of a bucket that has begun to lower levels. */
static void move_down(struct coir__timers *timers, coir_timer *head)
{
    fetch(head);
    coir_timer bucket = {.coir__next = &bucket, .coir__previous = &bucket};
    take_all(head, &bucket);
    while (bucket.coir__next != &bucket) {
        coir_timer *timer = bucket.coir__next;
        unlink_timer(timer);
        place(timers, timer);
    }
}

/* Collects what is due at now, in order, into due. */
static void collect(struct coir__timers *timers, coir_time now, coir_timer *due)
{
    struct bucket bucket;
    while (first_bucket(timers, &bucket)) {
        coir_time begin = begin_of(timers, &bucket);
        if (begin > now)
            break;
        timers->now = begin > timers->now ? begin : timers->now;
        unsigned index = heads_of[bucket.level] + bucket.slot;
        timers->marks[index / 64] &= ~(UINT64_C(1) << (index % 64));
        if (bucket.level == 0)
            take_all(bucket.head, due);
        else
            move_down(timers, bucket.head);
    }
    if (timers->now < now)
        timers->now = now;
}

void coir__timers_expire(struct coir_loop *loop, coir_time now)
{
    struct coir__timers *timers = loop->timers;
    if (coir__timers_live(timers) == 0) { /* nothing lies in the wheel, so it can jump */
        timers->now = now > timers->now ? now : timers->now;
        return;
    }
    coir_timer due = {.coir__next = &due, .coir__previous = &due};
    collect(timers, now, &due);
    while (due.coir__next != &due) {
        coir_timer *timer = due.coir__next; /* a callback may stop or restart those behind it */
        unlink_timer(timer);
        timers->stopped++;
        timer->coir__fn(timer->coir__arg);
    }
}

bool coir_timer_running(const coir_timer *timer)
{
    return timer->coir__next != NULL;
}
