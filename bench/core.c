/* coir-bench-core: coir's own side of the core benchmarks. usage: coir-bench-core NAME. Runs one
 * benchmark in the main task of a loop and prints `RESULT name value unit`. Uses public headers
 * only, as a user's program does; what it measures is linked from the shared library. Sizes are
 * chosen so that one run takes a fraction of a second, except for sleepers. NAME may be
 * `backend`: says which one runs. */
#include "measure.h"

#include <errno.h>

#include <coir/channel.h>
#include <coir/debug.h>
#include <coir/group.h>
#include <coir/loop.h>
#include <coir/process.h>
#include <coir/task.h>
#include <coir/threads.h>

enum { SLEEPERS = 1000000, TIMERS = 1000000, SPAWN_BATCH = 1000 };

struct bench {
    const char *name;
    int (*run)(const struct bench *bench);
    long n;    /* how many operations */
    long size; /* tasks at once, or the capacity of the channel */
};

/* switch: tasks that do nothing but yield to each other. */

static int yield_often(void *arg)
{
    long turns = *(long *)arg;
    for (long i = 0; i < turns; i++)
        COIR_TRY(coir_yield());
    return 0;
}

static int bench_switch(const struct bench *bench)
{
    long turns = bench->n / bench->size;
    COIR_GROUP(tasks);
    for (long i = 0; i < bench->size; i++)
        COIR_TRY(coir_spawn(&tasks, yield_often, &turns, NULL));
    int64_t start = measure_now_ns();
    COIR_TRY(coir_group_wait(&tasks));
    measure_per_op(bench->name, measure_now_ns() - start, turns * bench->size, "ns/switch");
    return 0;
}

/* spawn_join: start tasks that return at once, and join each. */

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int spawn_and_join(const struct bench *bench, int64_t *ret_elapsed)
{
    static coir_task *tasks[SPAWN_BATCH];
    COIR_GROUP(group);
    int64_t start = measure_now_ns();
    for (long done = 0; done < bench->n; done += bench->size) {
        for (long i = 0; i < bench->size; i++)
            COIR_TRY(coir_spawn(&group, do_nothing, NULL, &tasks[i]));
        for (long i = 0; i < bench->size; i++)
            COIR_TRY(coir_join(tasks[i], NULL));
    }
    *ret_elapsed = measure_now_ns() - start;
    return 0;
}

static int bench_spawn(const struct bench *bench)
{
    int64_t elapsed;
    COIR_TRY(spawn_and_join(bench, &elapsed));
    measure_per_op(bench->name, elapsed, bench->n, "ns/task");
    return 0;
}

/* debug_ratio: the same with debug mode on, against off, in many short turns, of which the best
 * count: a long one would be interrupted on a machine that has other work. */

static int bench_debug(const struct bench *bench)
{
    enum { TURNS = 250 };
    struct bench turn = {.n = bench->n / TURNS, .size = bench->size};
    int64_t best[2] = {INT64_MAX, INT64_MAX};
    for (int i = 0; i < 2 * TURNS; i++) {
        int64_t elapsed;
        bool on = i % 2 != 0;
        COIR_TRY(coir_debug_set(NULL, on));
        coir_debug_set_slow_step(NULL, COIR_FOREVER); /* others may hold it up */
        COIR_TRY(spawn_and_join(&turn, &elapsed));
        best[on] = elapsed < best[on] ? elapsed : best[on];
    }
    measure_result(bench->name, (double)best[1] / (double)best[0], "x");
    return 0;
}

/* channel: one task sends numbers, another receives them. */

struct sending {
    coir_sender *out;
    long n;
};

static int send_all(void *arg)
{
    struct sending *sending = arg;
    COIR_AUTO(coir_sender) *out = sending->out;
    for (long i = 0; i < sending->n; i++)
        COIR_TRY(coir_send(out, &i));
    return 0;
}

static int bench_channel(const struct bench *bench)
{
    COIR_AUTO(coir_receiver) *in = NULL;
    struct sending sending = {.n = bench->n};
    COIR_TRY(coir_channel_open(long, (size_t)bench->size, &sending.out, &in));
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, send_all, &sending, NULL));

    int64_t start = measure_now_ns();
    long item, sum = 0;
    int r;
    while ((r = coir_receive(in, &item)) > 0)
        sum += item;
    measure_per_op(bench->name, measure_now_ns() - start, bench->n, "ns/item");
    if (r == 0 && sum != bench->n * (bench->n - 1) / 2)
        r = coir_fail(-EPROTO, "items were lost");
    return coir_group_finish(&group, r);
}

/* timers: embedded ones started and stopped; none of them ever fires. */

static void never(void *arg)
{
    (void)arg;
}

static int bench_timers(const struct bench *bench)
{
    coir_loop *loop = coir_loop_current();
    coir_time now = coir_loop_time(loop);
    coir_timer *timers = malloc(sizeof *timers * TIMERS);
    if (!timers)
        return -ENOMEM;
    memset(timers, 0, sizeof *timers * TIMERS);

    int64_t start = measure_now_ns();
    for (long i = 0; i < TIMERS; i++)
        coir_timer_start(loop, &timers[i], now + measure_timer_ms(i) * 1000000, never, NULL);
    for (long i = 0; i < TIMERS; i++)
        coir_timer_stop(loop, &timers[i]);
    measure_per_op(bench->name, measure_now_ns() - start, TIMERS, "ns/op");
    free(timers);
    return 0;
}

static int bench_churn(const struct bench *bench)
{
    coir_loop *loop = coir_loop_current();
    coir_timer timer = {0};
    int64_t start = measure_now_ns();
    for (long i = 0; i < bench->n; i++) {
        coir_timer_start(loop, &timer, coir_loop_time(loop) + COIR_SEC(10), never, NULL);
        coir_timer_stop(loop, &timer);
    }
    measure_per_op(bench->name, measure_now_ns() - start, bench->n, "ns/op");
    return 0;
}

/* sleepers: a million tasks, each asleep for 1..10 s on a stack of 64 KiB. */

static long fell_asleep, woke_up;

static int sleep_once(void *arg)
{
    fell_asleep++;
    int r = coir_sleep(measure_sleep_ms((long)(intptr_t)arg) * 1000000);
    woke_up++;
    return r;
}

static int bench_sleepers(const struct bench *bench)
{
    long rss = measure_status_kb("VmRSS"), tables = measure_status_kb("VmPTE");
    double cpu = measure_cpu_s();
    int64_t start = measure_now_ns();
    COIR_GROUP(group);
    const coir_spawn_opts opts = {.stack_size = 65536};
    for (long i = 0; i < bench->n; i++)
        COIR_TRY(coir_spawn_with(&group, sleep_once, (void *)(intptr_t)i, &opts, NULL));
    double create_s = (double)(measure_now_ns() - start) / 1e9;

    while (fell_asleep < bench->n)
        COIR_TRY(coir_yield());
    long up = woke_up;
    double asleep_b = (double)(measure_status_kb("VmRSS") - rss) * 1024 / (double)bench->n;
    double tables_b = (double)(measure_status_kb("VmPTE") - tables) * 1024 / (double)bench->n;
    COIR_TRY(coir_group_wait(&group));

    double peak_b = (double)(measure_status_kb("VmHWM") - rss) * 1024 / (double)bench->n;
    measure_result("sleepers/1m/cpu_s", measure_cpu_s() - cpu, "s");
    measure_result("sleepers/1m/rss_b", peak_b, "B");
    measure_result("sleepers/1m/create_s", create_s, "s");
    printf("NOTE VmPTE %.0f B per task; rss_b is VmHWM, VmRSS with %ld asleep %.0f B per task\n",
           tables_b, bench->n - up, asleep_b);
    return 0;
}

static int show_backend(const struct bench *bench)
{
    (void)bench;
    printf("BACKEND %s\n", coir_info()->backend);
    return 0;
}

/* job: functions that do nothing, on threads, one after the other in each of some tasks. */

static int run_jobs(void *arg)
{
    long jobs = *(long *)arg;
    for (long i = 0; i < jobs; i++)
        COIR_TRY(coir_blocking(do_nothing, NULL));
    return 0;
}

static int bench_job(const struct bench *bench)
{
    long jobs = 100;
    COIR_TRY(run_jobs(&jobs));
    jobs = bench->n / bench->size;
    COIR_GROUP(tasks);
    int64_t start = measure_now_ns();
    for (long i = 0; i < bench->size; i++)
        COIR_TRY(coir_spawn(&tasks, run_jobs, &jobs, NULL));
    COIR_TRY(coir_group_wait(&tasks));
    measure_per_op(bench->name, measure_now_ns() - start, jobs * bench->size, "ns/job");
    return 0;
}

/* process_spawn: programs that do nothing, one after the other. */
static int bench_processes(const struct bench *bench)
{
    int64_t start = measure_now_ns();
    for (long i = 0; i < bench->n; i++) {
        COIR_AUTO(coir_process) *process = NULL;
        COIR_TRY(
            coir_process_start(&(coir_process_opts){.argv = COIR_ARGV("/bin/true")}, &process));
        COIR_TRY(coir_process_wait(process, NULL));
    }
    double seconds = (double)(measure_now_ns() - start) / 1e9;
    measure_result(bench->name, (double)bench->n / seconds, "/s");
    return 0;
}

static const struct bench benches[] = {
    {"switch/2", bench_switch, 20000000, 2},
    {"switch/1000", bench_switch, 20000000, 1000},
    {"spawn_join/1", bench_spawn, 5000000, 1},
    {"spawn_join/1000", bench_spawn, 5000000, SPAWN_BATCH},
    {"spawn_join/debug_ratio", bench_debug, 5000000, 1},
    {"channel/0", bench_channel, 5000000, 0},
    {"channel/1", bench_channel, 5000000, 1},
    {"channel/64", bench_channel, 20000000, 64},
    {"job/1", bench_job, 200000, 1},
    {"job/16", bench_job, 200000, 16},
    {"process_spawn/rate", bench_processes, 1000, 1},
    {"timers/1m", bench_timers, TIMERS, 0},
    {"timers/churn", bench_churn, 10000000, 0},
    {"sleepers/1m", bench_sleepers, SLEEPERS, 0},
    {"backend", show_backend, 0, 0},
};

static int run(void *arg)
{
    const struct bench *bench = arg;
    return bench->run(bench);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < COIR_COUNT(benches); i++)
        if (argc == 2 && !strcmp(argv[1], benches[i].name))
            return coir_run(run, (void *)(uintptr_t)&benches[i], NULL, NULL) < 0;
    fprintf(stderr, "usage: coir-bench-core NAME\n");
    return 2;
}
