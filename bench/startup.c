/* coir-bench-startup: the smallest coir program, for startup/ms: prints the monotonic clock as
 * the first act of its first task. bench/launch.c starts it and subtracts. */
#include "measure.h"

#include <coir/loop.h>

static int first(void *arg)
{
    (void)arg;
    printf("%lld\n", (long long)measure_now_ns());
    return 0;
}

int main(void)
{
    return coir_main(first, NULL);
}
