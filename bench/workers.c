/* coir's side of the benchmark workers/: how much more two loops do than one. Each worker has two
 * tasks that send a message of 64 bytes to and fro over a pair of Unix sockets for half a second;
 * there is no load generator that could be the limit, and nothing that the workers share but the
 * kernel. Prints `RESULT workers/2/speedup`: round trips of two pinned workers by those of one; and
 * `RESULT by_cpu_time`, the same by the CPU time that they took, which other programs on the
 * machine do not change: 2 is that nothing is in the way of a second one. It takes all processors,
 * whatever it was started on. */
#define _GNU_SOURCE
#include "measure.h"

#include <coir/coir.h>
#include <sched.h>
#include <stdatomic.h>

static atomic_long trips;

static int send_back(void *arg)
{
    char data[64];
    size_t n;
    int r;
    while ((r = coir_stream_read(arg, data, sizeof data, &n)) > 0)
        COIR_TRY(coir_stream_write(arg, data, n));
    return r;
}

static int work(unsigned index, void *arg)
{
    (void)index, (void)arg;
    COIR_AUTO(coir_stream) *here = NULL;
    COIR_AUTO(coir_stream) *there = NULL;
    COIR_TRY(coir_unix_pair(&here, &there));
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, send_back, there, NULL));
    char data[64] = "";
    long count = 0;
    for (coir_time end = coir_now() + COIR_MS(500); coir_now() < end; count++) {
        COIR_TRY(coir_stream_write(here, data, sizeof data));
        COIR_TRY(coir_stream_read_exactly(here, data, sizeof data));
    }
    atomic_fetch_add(&trips, count);
    return 0;
}

/* Round trips, and how many there were in each second of CPU time. */
static double measure(unsigned workers, double *ret_by_cpu)
{
    double cpu = measure_cpu_s();
    atomic_store(&trips, 0);
    int r = coir_workers_with(workers, work, NULL, &(coir_workers_opts){.pin = true});
    *ret_by_cpu = (double)atomic_load(&trips) / (measure_cpu_s() - cpu);
    return r < 0 ? 0 : (double)atomic_load(&trips);
}

static int app(void *arg)
{
    (void)arg;
    double by_cpu[2];
    double one = measure(1, &by_cpu[0]), two = measure(2, &by_cpu[1]);
    if (one == 0 || two == 0)
        return -EIO;
    measure_result("workers/2/speedup", two / one, "x");
    measure_result("by_cpu_time", 2 * by_cpu[1] / by_cpu[0], "x");
    return 0;
}

int main(void)
{
    cpu_set_t all;
    CPU_ZERO(&all);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        CPU_SET(cpu, &all);
    (void)sched_setaffinity(0, sizeof all, &all);
    return coir_processors() < 2 ? 2 : coir_main(app, NULL);
}
