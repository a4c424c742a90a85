/* name_threads.h: for tests that ask the system for names: threads that were left alone by a
 * cancelled lookup still hold memory, which would count as left behind.
 */
#ifndef COIR_TESTS_NAME_THREADS_H
#define COIR_TESTS_NAME_THREADS_H

#include <sched.h>

#include <coir/threads.h>

typedef struct {
    int unused;
} name_threads;

static inline void name_threads_end(name_threads *threads)
{
    (void)threads;
    struct coir_threads_stats stats;
    do {
        (void)sched_yield();
        coir_threads_stats(coir_threads_for_names(), &stats);
    } while (stats.running > 0 || stats.queued > 0);
}

COIR_CLOSER_VALUE(name_threads, name_threads_end);

/* At the end of this block all threads that look names up have ended their jobs. */
#define NAME_THREADS COIR_AUTO(name_threads) all_threads __attribute__((unused)) = {0}

#endif
