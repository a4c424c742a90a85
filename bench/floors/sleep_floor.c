/* Floor of sleepers/1m: 1,000,000 bare contexts on stacks of 64 KiB in one mapping, a guard page
 * each (MADV_GUARD_INSTALL, none where the kernel has none, which a note says), one touched page
 * each. A sleeping context hangs in a list of its millisecond; the main context sleeps to the
 * next non-empty one and switches to each in it. The node of a context lies in its own stack
 * page. Owns the mapping. */
#define _GNU_SOURCE
#include "../measure.h"
#include "context.h"

#include <sys/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum { SLEEPERS = 1000000, HORIZON_MS = 1 << 16 };
static const size_t STACK = 65536;

struct sleeper {
    void *context;
    struct sleeper *next;
    long index;
};

static struct sleeper *due[HORIZON_MS]; /* by millisecond since the start */
static void *main_context;
static int64_t start_ns;
static long asleep, finished;

static void sleep_once(void *arg)
{
    struct sleeper *self = arg;
    int64_t now_ms = (measure_now_ns() - start_ns) / 1000000;
    int64_t when = now_ms + measure_sleep_ms(self->index) + 1;
    self->next = due[when];
    due[when] = self;
    asleep++;
    context_switch(&self->context, main_context);
    finished++;
    context_switch(&self->context, main_context);
}

static int create_all(char *stacks, struct sleeper **first)
{
    int guard = 1;
    struct sleeper **end = first;
    for (long i = 0; i < SLEEPERS; i++) {
        char *stack = stacks + (size_t)i * STACK;
        if (guard && madvise(stack, 4096, MADV_GUARD_INSTALL))
            guard = 0;
        struct sleeper *s = (struct sleeper *)(stack + STACK - 64 - i % 16 * 64);
        s->index = i;
        s->context = context_make((char *)s, sleep_once, s);
        s->next = NULL;
        *end = s;
        end = &s->next;
    }
    return guard;
}

static void wait_until_ms(int64_t ms)
{
    int64_t at = start_ns + ms * 1000000;
    struct timespec t = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void run_list(struct sleeper *s)
{
    while (s) {
        struct sleeper *next = s->next;
        context_switch(&main_context, s->context);
        s = next;
    }
}

int main(void)
{
    size_t size = STACK * SLEEPERS;
    char *stacks = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stacks == MAP_FAILED)
        return 1;
    madvise(stacks, size, MADV_NOHUGEPAGE);
    memset(due, 0, sizeof due);

    long rss = measure_status_kb("VmRSS"), tables = measure_status_kb("VmPTE");
    double cpu = measure_cpu_s();
    start_ns = measure_now_ns();
    struct sleeper *first = NULL;
    int guard = create_all(stacks, &first);
    double create_s = (double)(measure_now_ns() - start_ns) / 1e9;
    run_list(first);
    for (int64_t ms = 0; ms < HORIZON_MS && finished < SLEEPERS; ms++) {
        if (!due[ms])
            continue;
        wait_until_ms(ms);
        run_list(due[ms]);
    }
    if (finished != SLEEPERS || asleep != SLEEPERS)
        return 1;
    measure_result("sleepers/1m/cpu_s", measure_cpu_s() - cpu, "s");
    measure_result("sleepers/1m/rss_b",
                   (double)(measure_status_kb("VmHWM") - rss) * 1024 / SLEEPERS, "B");
    measure_result("sleepers/1m/create_s", create_s, "s");
    printf("NOTE VmPTE %.0f B per task%s\n",
           (double)(measure_status_kb("VmPTE") - tables) * 1024 / SLEEPERS,
           guard ? "" : ", no guard pages on this kernel");
    return 0;
}
