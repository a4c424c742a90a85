/* coir/limiter.h: how often something may happen: a rate with bursts, or so many in any window.
 *
 * A semaphore bounds how much runs at once; these bound how much begins in a time. A coir_limiter
 * is a bucket of tokens that fills at a rate: after a rest a burst goes at once, then the rate
 * holds. A coir_window remembers when its last calls were, and never lets more than its limit
 * through in any window of its length: what services that count mean by "100 in a minute".
 *
 *     static coir_limiter limiter = {.rate = 100, .per = COIR_SEC(1), .burst = 20};
 *
 *     COIR_TRY(coir_limiter_take(&limiter, 1));
 *     COIR_TRY(ask(server));
 *
 * Both are fair: who waits is served in the order of coming, one that wants much before those
 * behind it that want little. Nothing is taken before it is there, so a cancelled task has taken
 * nothing, and the next in line waits no longer than if it had never come. All is counted in whole
 * numbers: no rate drifts, however long it runs. Each is for the tasks of one loop.
 */
#ifndef COIR_LIMITER_H
#define COIR_LIMITER_H

#include <coir/lock.h>

COIR__BEGIN

/* Who waits for a limiter: the holder of the lock is the first in line. */
struct coir__line {
    coir_lock lock;
    uint64_t taken, waits, refused;
    size_t waiting;
};

/* A bucket of tokens in memory of the caller, full at first. Set rate before it is used. The three
 * fields may be changed between calls; a change counts from when the limiter was last looked at,
 * and for the first in line from its next look. */
typedef struct coir_limiter {
    uint64_t rate;  /* tokens that come in each per */
    coir_time per;  /* nanoseconds; 0: 1 s */
    uint64_t burst; /* the most that it holds, and the most of one call; 0: 1 */
    struct coir__line coir__line;
    uint64_t coir__tokens, coir__part; /* whole tokens, and of the next one so many per-ths */
    coir_time coir__since;             /* when that was so */
    bool coir__begun;
    void *coir__reserved[3];
} coir_limiter;

/* Takes count tokens, waiting behind those that came before until they are there.
 * Returns 0. Errors: -EINVAL for more than burst, no rate or a negative per, -COIR_EWRONGLOOP,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing was taken. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_limiter_take(coir_limiter *limiter, uint64_t count);

/* Takes count tokens if they are there and nobody waits.
 * Returns 0. Errors: -EAGAIN, otherwise as coir_limiter_take. Cancel safety: never waits. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_limiter_try(coir_limiter *limiter, uint64_t count);

/* Reads what went through a limiter, and how it stands. Cancel safety: never waits. Thread safety:
 * the loop's thread. */
struct coir_limiter_stats {
    uint64_t taken;     /* tokens, or places of a window, in all */
    uint64_t waits;     /* calls that got theirs after a wait */
    uint64_t refused;   /* calls that did not want to wait, and would have had to */
    uint64_t waiting;   /* tasks in line now */
    uint64_t available; /* what the first in line could take now */
    uint64_t coir__reserved[3];
};
COIR__PUBLIC void coir_limiter_stats(const coir_limiter *limiter,
                                     struct coir_limiter_stats *ret_stats);

/* At most limit in any window of length per, in memory of the caller, who also lends it room for as
 * many points in time. A window is a stretch of per nanoseconds wherever it begins, its beginning
 * counted and its end not: what was taken at a time has gone from all windows that begin after it.
 * Nothing is approximated. The fields are set before it is used, and stay as they are.
 *
 *     static coir_time last[100];
 *     static coir_window window = {.times = last, .limit = COIR_COUNT(last), .per = COIR_SEC(60)};
 *
 *     COIR_TRY(coir_window_take(&window, 1));
 */
typedef struct coir_window {
    coir_time *times; /* room for limit of them; lent for as long as the window is used */
    uint64_t limit;
    coir_time per; /* nanoseconds; 0: 1 s */
    struct coir__line coir__line;
    uint64_t coir__used, coir__next; /* times that are written; where the next one goes */
    void *coir__reserved[2];
} coir_window;

/* Takes count places in the window, waiting behind those that came before until they are free.
 * Returns 0. Errors: -EINVAL for more than limit, no times or a negative per, -COIR_EWRONGLOOP,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing was taken. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_window_take(coir_window *window, uint64_t count);

/* Takes count places if they are free and nobody waits.
 * Returns 0. Errors: -EAGAIN, otherwise as coir_window_take. Cancel safety: never waits. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_window_try(coir_window *window, uint64_t count);

/* Reads what went through a window, and how it stands. Cancel safety: never waits. Thread safety:
 * the loop's thread. */
COIR__PUBLIC void coir_window_stats(const coir_window *window,
                                    struct coir_limiter_stats *ret_stats);

COIR__END
#endif
