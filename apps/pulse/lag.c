/* lag.c: the histogram of how late checks begin, see lag.h. */
#include "lag.h"

/* Eight buckets for each power of two. */
static size_t bucket_of(coir_time late)
{
    uint64_t value = late < 8 ? 8 : (uint64_t)late;
    unsigned power = 63 - (unsigned)__builtin_clzll(value);
    size_t bucket = (power - 3) * 8 + (value >> (power - 3) & 7);
    return bucket < LAG_BUCKETS ? bucket : LAG_BUCKETS - 1;
}

/* The least value that is above a bucket. */
static coir_time end_of(size_t bucket)
{
    return (coir_time)((8 + bucket % 8 + 1) << bucket / 8);
}

void lag_add(struct lag *lag, coir_time late)
{
    lag->count++;
    lag->counts[bucket_of(late)]++;
    lag->most = late > lag->most ? late : lag->most;
}

coir_time lag_quantile(const struct lag *lag, double share)
{
    double wanted = share * (double)lag->count;
    uint64_t sum = 0;
    if (lag->count == 0)
        return 0;
    for (size_t i = 0; i < LAG_BUCKETS; i++) {
        sum += lag->counts[i];
        if ((double)sum >= wanted)
            return end_of(i) < lag->most ? end_of(i) : lag->most;
    }
    return lag->most;
}
