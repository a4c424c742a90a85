/* lag.h: how late checks begin: a histogram of the time from when a check was due to its start.
 *
 * Each bucket is a twelfth wider than the one before, so a quantile is right to 9 %. scheduler.c
 * adds to it, web.c shows it.
 */
#ifndef PULSE_LAG_H
#define PULSE_LAG_H

#include <coir/base.h>

enum { LAG_BUCKETS = 48 * 8 };

struct lag {
    uint64_t count, counts[LAG_BUCKETS];
    coir_time most;
};

/* Takes in one. */
void lag_add(struct lag *lag, coir_time late);

/* What that share of all, 0.99, was not above; 0 when there was none. */
coir_time lag_quantile(const struct lag *lag, double share);

#endif
