/* What every C program of the benchmarks needs: the clock, the process's CPU time and memory, and
 * the line that run.py reads. A program is called with one name and prints `RESULT name value
 * unit` for it, one line per value; `NOTE text` lines are kept beside the results. */
#ifndef COIR_BENCH_MEASURE_H
#define COIR_BENCH_MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline int64_t measure_clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t measure_now_ns(void)
{
    return measure_clock_ns(CLOCK_MONOTONIC);
}

/* User and system time of the whole process. */
static inline double measure_cpu_s(void)
{
    return (double)measure_clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e9;
}

/* A field of /proc/self/status, in KiB: VmRSS, VmHWM, VmPTE. -1 when there is none. */
static inline long measure_status_kb(const char *key)
{
    FILE *file = fopen("/proc/self/status", "r");
    if (!file)
        return -1;
    char line[256];
    size_t length = strlen(key);
    long value = -1;
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, key, length) && line[length] == ':')
            value = strtol(line + length + 1, NULL, 10);
    fclose(file);
    return value;
}

static inline void measure_result(const char *name, double value, const char *unit)
{
    printf("RESULT %s %.4f %s\n", name, value, unit);
}

/* `elapsed` nanoseconds for `count` operations. */
static inline void measure_per_op(const char *name, int64_t elapsed, long count, const char *unit)
{
    measure_result(name, (double)elapsed / (double)count, unit);
}

/* How long sleeper `i` of the sleepers benchmark sleeps: 1..10 s, spread so that neighbours
 * differ. */
static inline int64_t measure_sleep_ms(long i)
{
    return 1000 + (i * 7919) % 9001;
}

/* How far ahead timer `i` of the timer benchmarks is: 10..60 s. */
static inline int64_t measure_timer_ms(long i)
{
    return 10000 + (i * 7919) % 50000;
}

#endif
