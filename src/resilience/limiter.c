/* limiter.c: rates: a bucket of tokens, and so many in any window.
 *
 * One line serves both: a fair lock, whose holder is the first in line and sleeps until what it
 * wants is there. Only the first one takes, and only all that it wants at once; so nothing is ever
 * reserved, and nothing has to be given back. What differs is in a struct rule: from when on so
 * much can be had, and what is noted when it is taken.
 *
 * A bucket holds whole tokens and a part of the next one, in units of a per-th of a token: each
 * nanosecond adds rate of them. 128 bits hold every product, so nothing is rounded.
 */
#include <errno.h>

#include <coir/limiter.h>
#include <coir/loop.h>

_Static_assert(sizeof(void *) != 8 || sizeof(coir_limiter) == 168, "part of the ABI");
_Static_assert(sizeof(void *) != 8 || sizeof(coir_window) == 144, "part of the ABI");

typedef unsigned __int128 wide;

struct rule {
    bool (*makes_sense)(const void *limiter, uint64_t count); /* it can be had one day */
    coir_time (*look)(void *limiter, uint64_t count,
                      coir_time now); /* from when on; now: at once */
    void (*take)(void *limiter, uint64_t count, coir_time now);
};

/* ---- the line ---- */

/* Takes count if they are there, for the first in line. Returns 0, or -EAGAIN with *ret_when. */
static int take_now(struct coir__line *line, const struct rule *rule, void *limiter, uint64_t count,
                    coir_time *ret_when)
{
    if (!rule->makes_sense(limiter, count))
        return -EINVAL;
    coir_time now = coir_now();
    *ret_when = rule->look(limiter, count, now);
    if (*ret_when > now)
        return -EAGAIN;
    rule->take(limiter, count, now);
    line->taken += count;
    return 0;
}

static int take_in_line(struct coir__line *line, const struct rule *rule, void *limiter,
                        uint64_t count)
{
    bool waited = coir_lock_held(&line->lock);
    COIR_LOCK(&line->lock);
    coir_time when;
    int r;
    while ((r = take_now(line, rule, limiter, count, &when)) == -EAGAIN) {
        COIR_TRY(coir_sleep_until(when));
        waited = true;
    }
    line->waits += r == 0 && waited;
    return r;
}

static int take(struct coir__line *line, const struct rule *rule, void *limiter, uint64_t count)
{
    if (!rule->makes_sense(limiter, count))
        return -EINVAL; /* now, not at the end of the line */
    line->waiting++;
    int r = take_in_line(line, rule, limiter, count);
    line->waiting--;
    return r;
}

static int try(struct coir__line *line, const struct rule *rule, void *limiter, uint64_t count)
{
    if (!rule->makes_sense(limiter, count))
        return -EINVAL;
    coir_time when;
    int r = coir_lock_try(&line->lock);
    if (r == 0) {
        r = take_now(line, rule, limiter, count, &when);
        (void)coir_lock_release(&line->lock);
    }
    line->refused += r == -EAGAIN;
    return r;
}

static struct coir_limiter_stats figures(const struct coir__line *line, uint64_t available)
{
    return (struct coir_limiter_stats){.taken = line->taken,
                                       .waits = line->waits,
                                       .refused = line->refused,
                                       .waiting = line->waiting,
                                       .available = available};
}

static coir_time length(coir_time per)
{
    return per != 0 ? per : COIR_SEC(1);
}

static coir_time later(coir_time now, wide by)
{
    return by < (wide)(COIR_FOREVER - now) ? now + (coir_time)by : COIR_FOREVER;
}

/* ---- the bucket ---- */

static uint64_t most(const coir_limiter *limiter)
{
    return limiter->burst != 0 ? limiter->burst : 1;
}

/* What came since the bucket was last looked at. A full one keeps no part of a token, but for what
 * came in the nanosecond in which it became full: whoever waited for that moment sleeps to the end
 * of it, and loses nothing by that. */
static void fill(coir_limiter *limiter, coir_time now)
{
    if (!limiter->coir__begun) {
        limiter->coir__begun = true;
        limiter->coir__since = now;
        limiter->coir__tokens = most(limiter);
    }
    wide per = (wide)length(limiter->per);
    wide units = (wide)(now - limiter->coir__since) * limiter->rate + limiter->coir__part;
    wide tokens = limiter->coir__tokens + units / per;
    uint64_t part = (uint64_t)(units % per);
    bool overflows = tokens > most(limiter) || (tokens == most(limiter) && part >= limiter->rate);
    limiter->coir__since = now;
    limiter->coir__tokens = overflows ? most(limiter) : (uint64_t)tokens;
    limiter->coir__part = overflows ? 0 : part;
}

static bool bucket_makes_sense(const void *arg, uint64_t count)
{
    const coir_limiter *limiter = arg;
    return limiter->rate > 0 && limiter->per >= 0 && count <= most(limiter);
}

static coir_time look_at_bucket(void *arg, uint64_t count, coir_time now)
{
    coir_limiter *limiter = arg;
    fill(limiter, now);
    if (count <= limiter->coir__tokens)
        return now;
    wide missing = (wide)(count - limiter->coir__tokens) * (wide)length(limiter->per);
    return later(now, (missing - limiter->coir__part + limiter->rate - 1) / limiter->rate);
}

static void take_tokens(void *arg, uint64_t count, coir_time now)
{
    (void)now;
    coir_limiter *limiter = arg;
    limiter->coir__tokens -= count;
}

static const struct rule bucket_rule = {bucket_makes_sense, look_at_bucket, take_tokens};

int coir_limiter_take(coir_limiter *limiter, uint64_t count)
{
    return take(&limiter->coir__line, &bucket_rule, limiter, count);
}

int coir_limiter_try(coir_limiter *limiter, uint64_t count)
{
    return try(&limiter->coir__line, &bucket_rule, limiter, count);
}

void coir_limiter_stats(const coir_limiter *limiter, struct coir_limiter_stats *ret_stats)
{
    coir_limiter now = *limiter;
    if (now.per >= 0)
        fill(&now, coir_now());
    *ret_stats = figures(&limiter->coir__line, now.coir__tokens);
}

/* ---- the window ---- */

/* The time that has been there longest but n. */
static coir_time oldest(const coir_window *window, uint64_t n)
{
    uint64_t first = window->coir__used < window->limit ? 0 : window->coir__next;
    return window->times[(first + n) % window->limit];
}

static bool window_makes_sense(const void *arg, uint64_t count)
{
    const coir_window *window = arg;
    return window->times != NULL && window->per >= 0 && count <= window->limit;
}

static coir_time look_at_window(void *arg, uint64_t count, coir_time now)
{
    const coir_window *window = arg;
    uint64_t unused = window->limit - window->coir__used;
    if (count <= unused)
        return now;
    coir_time when = later(oldest(window, count - unused - 1), (wide)length(window->per));
    return when > now ? when : now;
}

static void take_places(void *arg, uint64_t count, coir_time now)
{
    coir_window *window = arg;
    for (uint64_t i = 0; i < count; i++) {
        window->times[window->coir__next] = now;
        window->coir__next = (window->coir__next + 1) % window->limit;
        window->coir__used += window->coir__used < window->limit;
    }
}

static const struct rule window_rule = {window_makes_sense, look_at_window, take_places};

int coir_window_take(coir_window *window, uint64_t count)
{
    return take(&window->coir__line, &window_rule, window, count);
}

int coir_window_try(coir_window *window, uint64_t count)
{
    return try(&window->coir__line, &window_rule, window, count);
}

void coir_window_stats(const coir_window *window, struct coir_limiter_stats *ret_stats)
{
    uint64_t available = window->limit - window->coir__used;
    coir_time now = coir_now();
    for (uint64_t i = 0; i < window->coir__used; i++)
        available += oldest(window, i) <= now - length(window->per);
    *ret_stats = figures(&window->coir__line, available);
}
