/* coir/retry.h: calling again what failed, with growing pauses, randomness against herds, and an
 * end.
 *
 * A coir_retry says how; it is only read, so one can serve all tasks. Two codes are never retried:
 * -ECANCELED and -ETIME, since they speak of a scope that is open in this task. Pauses are
 * coir_sleep: they end with the scope.
 *
 *     static const coir_retry gently = {
 *         .attempts = 5, .base = COIR_SEC(1), .cap = COIR_SEC(60), .jitter = COIR_JITTER_FULL};
 *     COIR_TRY(coir_retry_run(&gently, fetch, &page));    // pauses of up to 1, 2, 4 and 8 s
 *
 * The same in a loop of your own, where the server may say how long to wait (Retry-After):
 *
 *     coir_retry_state state = {0};
 *     while ((r = ask(&reply)) < 0)
 *         COIR_TRY(coir_retry_next(&gently, &state, r, reply.retry_after));
 */
#ifndef COIR_RETRY_H
#define COIR_RETRY_H

#include <coir/task.h>

COIR__BEGIN

/* How chance changes a pause d, which is base, base * factor, base * factor * factor, and so on,
 * never above cap. */
typedef enum coir_jitter {
    COIR_JITTER_NONE,         /* d */
    COIR_JITTER_FULL,         /* between 0 and d: spreads a herd best */
    COIR_JITTER_EQUAL,        /* between d / 2 and d: never almost nothing */
    COIR_JITTER_DECORRELATED, /* between base and three times the pause before, never above cap */
} coir_jitter;

/* How to retry, in memory of the caller. Zero means the default for each field. */
typedef struct coir_retry {
    unsigned attempts; /* calls in all; 0: 5 */
    coir_jitter jitter;
    coir_time base;  /* the first pause, in nanoseconds; 0: 100 ms */
    coir_time cap;   /* the longest pause; 0: 30 s */
    double factor;   /* by which the pause grows, at least 1; 0: 2 */
    coir_time each;  /* bounds one call of coir_retry_run: -ETIMEDOUT, retried; 0: no bound */
    coir_time total; /* bounds everything, from the first call; 0: no bound */
    uint64_t seed;   /* of the randomness; 0: the clock */
    /* Whether a failure is worth another call. NULL: all but -EINVAL, -COIR_EWRONGLOOP and
     * -COIR_ENOTASK. */
    bool (*retryable)(int code, void *arg);
    /* Called before each pause, after the failed call of number attempt (from 1). It must not wait.
     * May be NULL. */
    void (*on_retry)(unsigned attempt, int code, coir_time pause, void *arg);
    void *arg; /* for both */
    void *coir__reserved[4];
} coir_retry;

/* Where a series of calls stands, for coir_retry_next. Zero is before the first call. */
typedef struct coir_retry_state {
    unsigned attempt;  /* failed calls so far */
    coir_time pause;   /* the one before the next call */
    coir_time started; /* when the first call began; 0: taken at the first coir_retry_next */
    uint64_t coir__random;
    void *coir__reserved[2];
} coir_retry_state;

/* Calls fn(arg) until it succeeds, fails in a way that is not retried, or has been called
 * retry->attempts times, with pauses between. retry may be NULL for the defaults. No pause is begun
 * that would not end before retry->total has passed, and the scope around all of it expires then.
 * Returns what fn returned in the end. Errors: its last failure; -ETIMEDOUT when total ended the
 * first call, -EINVAL for no function, a negative time or a factor below 1, -COIR_ENOTASK,
 * -ECANCELED, -ETIME. Cancel safety: as fn; a pause ends at once, and fn is not called again.
 * Thread safety: the loop's thread. */
COIR__CHECKED int coir_retry_run(const coir_retry *retry, coir_fn fn, void *arg);

/* Says that a call failed with code, and pauses before the next one. at_least is how long whoever
 * refused asked to be left alone, in nanoseconds, or 0: it lengthens the pause, also above
 * retry->cap. retry may be NULL for the defaults.
 * Returns 0 when the call should be made again. Errors: code itself when it should not; -EINVAL
 * when code is not negative or retry makes no sense; -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel
 * safety: the pause ends at once. Thread safety: the loop's thread. */
COIR__CHECKED int coir_retry_next(const coir_retry *retry, coir_retry_state *state, int code,
                                  coir_time at_least);

COIR__END
#endif
