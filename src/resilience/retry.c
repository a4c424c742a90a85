/* retry.c: calling again what failed.
 *
 * Everything that changes from call to call is in a coir_retry_state; the policy is only read.
 * coir_retry_next decides and pauses, coir_retry_run is the loop around it, with a scope for each
 * of the two bounds.
 */
#include <errno.h>

#include <coir/loop.h>
#include <coir/retry.h>

_Static_assert(sizeof(void *) != 8 || sizeof(coir_retry) == 112, "part of the ABI");
_Static_assert(sizeof(void *) != 8 || sizeof(coir_retry_state) == 48, "part of the ABI");

/* The policy with its defaults filled in. */
static coir_retry complete(const coir_retry *retry)
{
    coir_retry full = retry != NULL ? *retry : (coir_retry){0};
    if (full.attempts == 0)
        full.attempts = 5;
    if (full.base == 0)
        full.base = COIR_MS(100);
    if (full.cap == 0)
        full.cap = COIR_SEC(30);
    if (full.factor == 0)
        full.factor = 2;
    if (full.each == 0)
        full.each = COIR_FOREVER;
    if (full.total == 0)
        full.total = COIR_FOREVER;
    return full;
}

static bool makes_sense(const coir_retry *retry)
{
    return retry->base > 0 && retry->cap > 0 && retry->each > 0 && retry->total > 0 &&
           retry->factor >= 1 && (unsigned)retry->jitter <= COIR_JITTER_DECORRELATED;
}

static bool is_retryable(const coir_retry *retry, int code)
{
    if (code == -ECANCELED || code == -ETIME)
        return false;
    if (retry->retryable != NULL)
        return retry->retryable(code, retry->arg);
    return code != -EINVAL && code != -COIR_EWRONGLOOP && code != -COIR_ENOTASK;
}

/* ---- pauses ---- */

/* A number of at least 0 and below 1 (splitmix64: Steele, Lea, Flood 2014). */
static double draw(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    x ^= x >> 31;
    return (double)(x >> 11) * 0x1p-53;
}

/* A time between low and high, at most most. */
static coir_time between(double low, double high, coir_time most, uint64_t *state)
{
    double drawn = low + draw(state) * (high - low);
    return drawn < (double)most ? (coir_time)drawn : most;
}

/* What the pause after the attempt-th failure is without chance. */
static coir_time grown(const coir_retry *retry, unsigned attempt)
{
    double pause = (double)retry->base;
    for (unsigned i = 1; i < attempt && pause < (double)retry->cap; i++)
        pause *= retry->factor;
    return pause < (double)retry->cap ? (coir_time)pause : retry->cap;
}

static coir_time next_pause(const coir_retry *retry, coir_retry_state *state)
{
    coir_time pause = grown(retry, state->attempt);
    coir_time before = state->pause > retry->base ? state->pause : retry->base;
    uint64_t *random = &state->coir__random;
    switch (retry->jitter) {
    case COIR_JITTER_FULL: return between(0, (double)pause, pause, random);
    case COIR_JITTER_EQUAL: return between((double)pause / 2, (double)pause, pause, random);
    case COIR_JITTER_DECORRELATED:
        return between((double)retry->base, 3 * (double)before, retry->cap, random);
    case COIR_JITTER_NONE: break;
    }
    return pause;
}

/* ---- the public calls ---- */

static void start(const coir_retry *retry, coir_retry_state *state)
{
    if (state->started == 0)
        state->started = coir_now();
    if (state->attempt == 0)
        state->coir__random = retry->seed != 0 ? retry->seed : (uint64_t)state->started;
}

/* Pauses after a failure. Returns 0 for one more call, or the code that ends it all. */
static int advance(const coir_retry *retry, coir_retry_state *state, int code, coir_time at_least)
{
    start(retry, state);
    state->attempt++;
    if (!is_retryable(retry, code) || state->attempt >= retry->attempts)
        return code;
    state->pause = next_pause(retry, state);
    coir_time pause = state->pause > at_least ? state->pause : at_least;
    if (retry->total != COIR_FOREVER && pause > retry->total - (coir_now() - state->started))
        return code;
    if (retry->on_retry != NULL)
        retry->on_retry(state->attempt, code, pause, retry->arg);
    return coir_sleep(pause);
}

int coir_retry_next(const coir_retry *retry, coir_retry_state *state, int code, coir_time at_least)
{
    coir_retry full = complete(retry);
    if (code >= 0 || at_least < 0 || !makes_sense(&full))
        return -EINVAL;
    return advance(&full, state, code, at_least);
}

/* Calls fn once, within retry->each. A time-out of this bound is -ETIMEDOUT. */
static int call(const coir_retry *retry, coir_fn fn, void *arg)
{
    if (retry->each == COIR_FOREVER)
        return fn(arg);
    COIR_SCOPE(each, retry->each);
    int r = fn(arg);
    return r == -ETIME && coir_scope_expired(&each) ? -ETIMEDOUT : r;
}

int coir_retry_run(const coir_retry *retry, coir_fn fn, void *arg)
{
    coir_retry full = complete(retry);
    if (fn == NULL || !makes_sense(&full))
        return -EINVAL;
    COIR_SCOPE(total, full.total);
    coir_retry_state state = {0};
    start(&full, &state);
    for (int failure = -ETIMEDOUT;;) {
        int r = call(&full, fn, arg);
        if (r >= 0 && state.attempt > 0)
            coir_clear_error();
        if (r >= 0)
            return r;
        if (r != -ETIME)
            failure = r;
        r = advance(&full, &state, r, 0);
        if (r == -ETIME && coir_scope_expired(&total))
            return failure;
        if (r < 0)
            return r;
    }
}
