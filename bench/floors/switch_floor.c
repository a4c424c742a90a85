/* Floor of switch and spawn_join: bare contexts without any scheduler. switch/2 goes back and
 * forth between two stacks; switch/1000 goes round a ring of 1,000, whose stack tops are offset
 * by cache lines as the library's are; spawn_join makes a context on one warm stack, runs it and
 * comes back; spawn_join/1000 makes 1,000 that are there at the same time, each on its own warm
 * stack, runs them one after the other and then looks at each one's result. Owns its stacks until
 * the process ends. */
#define _GNU_SOURCE
#include "../measure.h"
#include "context.h"

#include <sys/mman.h>

enum { RING = 1000, STACK = 8192 };

static void *main_context, *other_context;
static void *ring[RING];
static long ring_left;
static volatile long sink;

static void go_back(void *arg)
{
    (void)arg;
    for (;;)
        context_switch(&other_context, main_context);
}

static void go_round(void *arg)
{
    long me = (long)arg;
    for (;;) {
        long next = me + 1 == RING ? 0 : me + 1;
        if (--ring_left <= 0)
            context_switch(&ring[me], main_context);
        context_switch(&ring[me], ring[next]);
    }
}

static void run_once(void *arg)
{
    void *dropped;
    sink += (long)arg;
    context_switch(&dropped, main_context);
}

static void bench_pair(const char *name, char *stacks)
{
    long n = 20000000;
    other_context = context_make(stacks + STACK, go_back, NULL);
    context_switch(&main_context, other_context);
    int64_t start = measure_now_ns();
    for (long i = 0; i < n; i++)
        context_switch(&main_context, other_context);
    measure_per_op(name, measure_now_ns() - start, 2 * n, "ns/switch");
}

static void bench_ring(const char *name, char *stacks)
{
    for (long i = 0; i < RING; i++)
        ring[i] = context_make(stacks + (i + 1) * STACK - i % 32 * 64, go_round, (void *)i);
    ring_left = RING + 1; /* once round, and stop at the first one */
    context_switch(&main_context, ring[0]);
    long n = 20000000;
    ring_left = n;
    int64_t start = measure_now_ns();
    context_switch(&main_context, ring[0]);
    measure_per_op(name, measure_now_ns() - start, n, "ns/switch");
}

static void bench_spawn(const char *name, char *stacks)
{
    long n = 20000000;
    int64_t start = measure_now_ns();
    for (long i = 0; i < n; i++)
        context_switch(&main_context, context_make(stacks + STACK, run_once, (void *)1));
    measure_per_op(name, measure_now_ns() - start, n, "ns/task");
}

/* Leaves its result at the top of its stack, as a task's record does. */
static void leave_result(void *arg)
{
    void *dropped;
    *(long *)arg = 1;
    context_switch(&dropped, main_context);
}

static void bench_spawn_many(const char *name, char *stacks)
{
    long rounds = 20000, *results[RING];
    for (long i = 0; i < RING; i++)
        results[i] = (long *)(stacks + (i + 1) * STACK - i % 32 * 64) - 8;
    int64_t start = measure_now_ns();
    for (long round = 0; round < rounds; round++) {
        for (long i = 0; i < RING; i++)
            ring[i] = context_make((char *)results[i], leave_result, results[i]);
        for (long i = 0; i < RING; i++)
            context_switch(&main_context, ring[i]);
        for (long i = 0; i < RING; i++)
            sink += *results[i];
    }
    measure_per_op(name, measure_now_ns() - start, rounds * RING, "ns/task");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "switch/2";
    char *stacks = mmap(NULL, (size_t)RING * STACK, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stacks == MAP_FAILED)
        return 1;
    if (!strcmp(name, "switch/2"))
        bench_pair(name, stacks);
    else if (!strcmp(name, "switch/1000"))
        bench_ring(name, stacks);
    else if (!strcmp(name, "spawn_join/1000"))
        bench_spawn_many(name, stacks);
    else
        bench_spawn(name, stacks);
    return 0;
}
