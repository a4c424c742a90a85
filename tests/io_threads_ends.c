/* io_threads_ends.c: pools and loops that close while jobs run, many loops on one pool, fork, and
 * the order and the time that a loop with a virtual clock gives to jobs.
 */
#include <stdlib.h>

#include "child.h"
#include "core/core.h"
#include "core/sys.h"
#include "core_loop.h"
#include "gate.h"
#include "sync.h"

/* ---- closing a pool ---- */

static int count_up(void *arg)
{
    ++*(int *)arg;
    return 0;
}

struct counted {
    coir_threads *pool;
    int count;
};

static int task_counts(void *arg)
{
    struct counted *counted = arg;
    return coir_threads_run(counted->pool, count_up, &counted->count);
}

static int task_closes(void *arg)
{
    coir_threads_close(arg);
    return 0;
}

COIR_TEST(closing_waits_for_what_runs)
{
    struct gate gate;
    struct counted counted = {.count = 0};
    coir_task *running, *queued, *closing;
    gate_make(&gate);
    gate.result = 3;
    coir_threads *pool = NULL;
    COIR_REQUIRE_OK(coir_threads_open(&(coir_threads_opts){.limit = 1}, &pool));
    gate.pool = counted.pool = pool;
    COIR_AUTO(coir_threads) *mine = pool;
    COIR_GROUP_COLLECT(group);
    OPENS_AT_END(&gate);
    COIR_REQUIRE((running = start_inside(&group, task_at_gate, &gate)) != NULL);
    START(&group, task_counts, &counted, &queued);
    COIR_REQUIRE_OK(coir_spawn(&group, task_closes, pool, &closing));
    (void)COIR_TAKE(mine);
    COIR_EXPECT_CODE(joined(queued), -COIR_ECLOSED);
    COIR_EXPECT(!coir_task_done(closing));
    COIR_EXPECT_CODE(task_counts(&counted), -COIR_ECLOSED);
    coir_cancel(closing, "it does not listen");
    SETTLE();
    COIR_EXPECT(!coir_task_done(closing));
    sem_post(&gate.open);
    COIR_EXPECT_CODE(joined(closing), 0);
    COIR_EXPECT_CODE(joined(running), 3);
    COIR_EXPECT_EQ(counted.count, 0);
}

COIR_TEST(closing_without_jobs)
{
    int count = 0;
    coir_threads *pool = NULL;
    coir_threads_close(NULL);
    COIR_REQUIRE_OK(coir_threads_open(NULL, &pool));
    coir_threads_close(pool);
    COIR_REQUIRE_OK(coir_threads_open(NULL, &pool));
    COIR_EXPECT_OK(coir_threads_run(pool, count_up, &count));
    coir_threads_close(pool);
}

static int use_pool(void *arg)
{
    struct counted *counted = arg;
    for (int i = 0; i < 3; i++)
        COIR_TRY(task_counts(counted));
    return 0;
}

/* Without a task the thread itself waits. */
COIR_TEST_TAGGED(closing_outside_a_loop, "own_loop")
{
    struct counted counted = {.count = 0};
    coir_loop_opts opts = coir_test_loop_opts();
    COIR_REQUIRE_OK(coir_threads_open(NULL, &counted.pool));
    COIR_EXPECT_OK(coir_run(use_pool, &counted, &opts, NULL));
    coir_threads_close(counted.pool);
}

static void *close_pool(void *pool)
{
    coir_threads_close(pool);
    return NULL;
}

static struct {
    coir_threads *pool;
    pthread_t closer;
    int closers;
} met;

/* No thread can be started, and somebody closes the pool meanwhile: he has ended the job when it is
 * in the inbox. */
static int meet_no_thread(enum coir__sys_call call, size_t *length)
{
    (void)length;
    if (call != COIR__SYS_THREAD)
        return 0;
    met.closers += pthread_create(&met.closer, NULL, close_pool, met.pool) == 0;
    while (met.closers > 0 && !coir__inbox_filled(coir__loop))
        sched_yield();
    return -EAGAIN;
}

COIR_TEST_TAGGED(closing_while_no_thread_can_be_started, "no_torture")
{
    int count = 0;
    COIR_REQUIRE_OK(coir_threads_open(NULL, &met.pool));
    coir__sys_fault = meet_no_thread;
    int r = coir_threads_run(met.pool, count_up, &count);
    coir__sys_fault = NULL;
    COIR_EXPECT_CODE(r, -COIR_ECLOSED);
    COIR_EXPECT_EQ(count, 0);
    COIR_REQUIRE_EQ(met.closers, 1);
    COIR_REQUIRE_EQ(pthread_join(met.closer, NULL), 0);
}

/* A job is over and its pool is gone, but its loop does not know yet when the task is cancelled. */
COIR_TEST_TAGGED(cancelled_when_the_pool_is_gone, "no_torture")
{
    struct gate gate;
    pthread_t closer;
    coir_task *task;
    gate_make(&gate);
    gate.result = 3;
    COIR_REQUIRE_OK(coir_threads_open(NULL, &gate.pool));
    COIR_GROUP_COLLECT(group);
    OPENS_AT_END(&gate);
    COIR_REQUIRE((task = start_inside(&group, task_at_gate, &gate)) != NULL);
    sem_post(&gate.open);
    COIR_REQUIRE_EQ(pthread_create(&closer, NULL, close_pool, gate.pool), 0);
    COIR_REQUIRE_EQ(pthread_join(closer, NULL), 0);
    coir_cancel(task, "too late");
    COIR_EXPECT_CODE(joined(task), 3);
}

/* ---- releasing what was abandoned ---- */

static void release_at_gate(void *arg)
{
    (void)pass_gate(arg);
}

static int task_abandons_at_gate(void *arg)
{
    struct gate *gate = arg;
    coir_blocking_opts opts = {.pool = gate->pool, .abandon = true, .release = release_at_gate};
    return coir_blocking_with(pass_gate, gate, &opts);
}

/* The first opening is for the job, the second one for the release. */
static int be_stuck_in_release(coir_group *group, struct gate *gate)
{
    coir_task *task = start_inside(group, task_abandons_at_gate, gate);
    if (task == NULL)
        return -ENOMEM;
    coir_cancel(task, "the test says so");
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    sem_post(&gate->open);
    while (sem_trywait(&gate->inside) != 0)
        COIR_TRY(coir_yield());
    return 0;
}

COIR_TEST_TAGGED(job_does_not_wait_for_a_release, "no_torture")
{
    struct gate gate;
    struct counted counted = {.count = 0};
    struct coir_threads_stats stats;
    gate_make(&gate);
    COIR_AUTO(coir_threads) *pool = NULL;
    COIR_REQUIRE_OK(coir_threads_open(&(coir_threads_opts){.limit = 2}, &pool));
    gate.pool = counted.pool = pool;
    OPENS_AT_END(&gate);
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(be_stuck_in_release(&group, &gate));
    coir_threads_stats(pool, &stats);
    COIR_EXPECT_EQ(stats.running, 1);
    COIR_EXPECT_EQ(stats.idle, 0);
    COIR_EXPECT_OK(task_counts(&counted));
    COIR_EXPECT_EQ(counted.count, 1);
}

/* ---- closing a loop ---- */

static int until_inside(void *arg)
{
    struct gate *gate = arg;
    struct coir_loop_stats stats = {.tasks = 2};
    for (; stats.tasks > 1 && sem_trywait(&gate->inside) != 0; coir_loop_stats(NULL, &stats))
        COIR_TRY(coir_yield());
    return 0;
}

COIR_TEST_TAGGED(closing_a_loop_waits_for_its_jobs, "own_loop")
{
    struct gate gate;
    gate_make(&gate);
    {
        LOOP(loop);
        coir_test_expect_reports(COIR_REPORT_LEFT, 1);
        COIR_REQUIRE_OK(coir_loop_spawn(loop, task_until_asked, &gate, NULL));
        COIR_EXPECT_OK(run_task(loop, until_inside, &gate));
    }
    COIR_EXPECT(sem_trywait(&gate.open) != 0);
}

struct chain {
    coir_loop *loop;
    coir_post_node first, second;
    int count, result;
};

static int count_behind_a_shield(void *arg)
{
    struct chain *chain = arg;
    COIR_SHIELD(COIR_FOREVER);
    chain->result = coir_blocking(count_up, &chain->count);
    return 0;
}

static void post_spawns(void *arg)
{
    struct chain *chain = arg;
    COIR_EXPECT_OK(coir_loop_spawn(chain->loop, count_behind_a_shield, chain, NULL));
}

static void post_posts(void *arg)
{
    struct chain *chain = arg;
    COIR_EXPECT_OK(coir_post(chain->loop, &chain->second, post_spawns, chain));
}

/* However late a task is started, its job comes back. */
COIR_TEST_TAGGED(jobs_of_tasks_that_a_closing_loop_starts, "own_loop,no_torture")
{
    struct chain chain = {.result = 1};
    {
        LOOP(loop);
        coir_test_expect_reports(COIR_REPORT_LEFT, 1);
        chain.loop = loop;
        COIR_EXPECT_OK(coir_post(loop, &chain.first, post_posts, &chain));
    }
    COIR_EXPECT_OK(chain.result);
    COIR_EXPECT_EQ(chain.count, 1);
}

static int run_many(void *arg)
{
    for (int i = 0; i < 50; i++)
        COIR_TRY(coir_blocking(count_up, arg));
    return 0;
}

/* The job's thread may still be between posting and looking whether the loop sleeps. */
COIR_TEST_TAGGED(loops_that_close_after_their_last_job, "own_loop")
{
    coir_loop_opts opts = coir_test_loop_opts();
    int count = 0;
    for (int i = 0; i < 100 / LESS; i++)
        COIR_EXPECT_OK(coir_run(run_many, &count, &opts, NULL));
}

/* ---- many loops ---- */

#define LOOPS 4
#define TASKS 8
#define EACH (400 / LESS)

struct herd {
    pthread_t id;
    coir_threads *pool;
    atomic_int *done;
    int result;
};

static int count_atomically(void *arg)
{
    return atomic_fetch_add((atomic_int *)arg, 1) & 1;
}

static int task_of_herd(void *arg)
{
    struct herd *herd = arg;
    for (int i = 0; i < EACH; i++) {
        coir_threads *pool = i % 2 == 0 ? herd->pool : NULL;
        COIR_TRY(coir_threads_run(pool, count_atomically, herd->done));
    }
    return 0;
}

static int main_of_herd(void *arg)
{
    COIR_GROUP(group);
    for (int i = 0; i < TASKS; i++)
        COIR_TRY(coir_spawn(&group, task_of_herd, arg, NULL));
    return coir_group_wait(&group);
}

static void *thread_of_herd(void *arg)
{
    struct herd *herd = arg;
    coir_loop_opts opts = coir_test_loop_opts();
    opts.report = NULL;
    herd->result = coir_run(main_of_herd, herd, &opts, NULL);
    return NULL;
}

COIR_TEST_TAGGED(many_loops_and_threads, "own_loop,no_torture,limit=60")
{
    struct herd herds[LOOPS];
    atomic_int done = 0;
    coir_threads *pool = NULL;
    COIR_REQUIRE_OK(coir_threads_open(&(coir_threads_opts){.limit = 3}, &pool));
    for (int i = 0; i < LOOPS; i++) {
        herds[i] = (struct herd){.pool = pool, .done = &done};
        COIR_REQUIRE_EQ(pthread_create(&herds[i].id, NULL, thread_of_herd, &herds[i]), 0);
    }
    for (int i = 0; i < LOOPS; i++) {
        COIR_REQUIRE_EQ(pthread_join(herds[i].id, NULL), 0);
        COIR_EXPECT_OK(herds[i].result);
    }
    COIR_EXPECT_EQ(atomic_load(&done), LOOPS * TASKS * EACH);
    coir_threads_close(pool);
}

/* Cancellations meet jobs at all places of their way. */
static int cancelled_at_random(void *arg)
{
    COIR_SCOPE(scope, COIR_US(rand_r(&(unsigned){(unsigned)coir_now()}) % 40));
    int r = coir_blocking(count_atomically, arg);
    return r >= 0 || r == -ETIME ? 0 : r;
}

static int race_cancellations(void *arg)
{
    for (int i = 0; i < EACH; i++) {
        COIR_GROUP(group);
        for (int j = 0; j < TASKS; j++)
            COIR_TRY(coir_spawn(&group, cancelled_at_random, arg, NULL));
        COIR_TRY(coir_group_wait(&group));
    }
    return 0;
}

COIR_TEST_TAGGED(deadlines_race_against_jobs, "own_loop,real,no_torture,limit=60")
{
    atomic_int count = 0;
    coir_loop_opts opts = coir_test_loop_opts();
    COIR_EXPECT_OK(coir_run(race_cancellations, &count, &opts, NULL));
    COIR_EXPECT_LE(atomic_load(&count), EACH * TASKS);
}

/* ---- time and order ---- */

static int yield_often(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++)
        sched_yield();
    return 0;
}

static int tick(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static int sleep_an_hour(void *arg)
{
    COIR_TRY(coir_sleep(COIR_SEC(3600)));
    return tick(arg);
}

COIR_TEST(time_does_not_jump_while_a_job_runs)
{
    int slept = 0, rounds = 40;
    coir_time start = coir_now();
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, sleep_an_hour, &slept, NULL));
    COIR_EXPECT_OK(coir_blocking(yield_often, &rounds));
    COIR_EXPECT_EQ(slept, 0);
    COIR_EXPECT_LT(coir_now() - start, COIR_SEC(60));
    if (strcmp(coir_test_backend(), "sim") == 0)
        COIR_EXPECT_EQ(coir_now(), start); /* in lockstep it takes no time at all */
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(slept, 1);
}

struct working {
    atomic_bool done;
    sem_t end;
};

static void *work_then_wait(void *arg)
{
    struct working *working = arg;
    while (!atomic_load(&working->done))
        sched_yield();
    sem_wait(&working->end);
    return NULL;
}

/* What tells a job that waits from one that has no processor. */
COIR_TEST_TAGGED(thread_is_at_work_or_waits, "no_torture")
{
    struct working working = {.done = false};
    pthread_t thread;
    COIR_REQUIRE(sem_init(&working.end, 0, 0) == 0);
    COIR_REQUIRE(pthread_create(&thread, NULL, work_then_wait, &working) == 0);
    bool seen = false, rests = false;
    for (int i = 0; i < 10000 && !seen; i++) /* at first it may not have begun */
        seen = coir__sys_others_work();
    atomic_store(&working.done, true);
    for (int i = 0; i < 10000 && !rests; i++, sched_yield())
        rests = !coir__sys_others_work();
    COIR_EXPECT(seen);
    COIR_EXPECT(rests);
    sem_post(&working.end);
    pthread_join(thread, NULL);
    sem_destroy(&working.end);
}

#define JOBS 8

struct ordered {
    struct order *order;
    int number;
};

struct order {
    struct ordered jobs[JOBS];
    int64_t digits;
};

static int task_of_order(void *arg)
{
    struct ordered *ordered = arg;
    int work = (ordered->number * 5) % 7;
    COIR_TRY(coir_blocking(yield_often, &work));
    ordered->order->digits = ordered->order->digits * 10 + ordered->number;
    return 0;
}

static int main_of_order(void *arg)
{
    struct order *order = arg;
    COIR_GROUP(group);
    for (int i = 0; i < JOBS; i++) {
        order->jobs[i] = (struct ordered){order, i + 1};
        COIR_TRY(coir_spawn(&group, task_of_order, &order->jobs[i], NULL));
    }
    return coir_group_wait(&group);
}

static int64_t order_of(uint64_t seed)
{
    struct order order = {.digits = 0};
    coir_loop_opts opts = coir_test_loop_opts();
    opts.seed = seed;
    COIR_EXPECT_OK(coir_run(main_of_order, &order, &opts, NULL));
    return order.digits;
}

COIR_TEST_TAGGED(seed_decides_the_order_of_jobs, "own_loop")
{
    if (strcmp(coir_test_backend(), "sim") != 0)
        COIR_SKIP("only the simulation keeps step with threads");
    COIR_EXPECT_EQ(order_of(0), 12345678);
    int different = 0;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        int64_t order = order_of(seed);
        for (int again = 0; again < 5; again++)
            COIR_EXPECT_EQ(order_of(seed), order);
        different += order != 12345678;
    }
    COIR_EXPECT_GT(different, 0);
}

/* ---- fork ---- */

static int in_child(void *arg)
{
    coir_loop_opts opts = coir_test_loop_opts();
    exit(coir_run(run_many, arg, &opts, NULL) == 0 && *(int *)arg == 100 ? 7 : 1);
}

/* A child has none of the threads of its parent, and starts its own. */
COIR_TEST_TAGGED(default_pool_after_fork, "own_loop,no_torture")
{
#if LESS > 1
    COIR_SKIP("a sanitizer allows no threads after fork");
#endif
    struct child child;
    int count = 0;
    coir_loop_opts opts = coir_test_loop_opts();
    COIR_REQUIRE_OK(coir_run(run_many, &count, &opts, NULL));
    COIR_REQUIRE_EQ(child_run(&child, in_child, &count), 0);
    if (strstr(child.output, "qemu") != NULL)
        COIR_SKIP("the emulator allows no threads after fork");
    COIR_EXPECT(WIFEXITED(child.status));
    COIR_EXPECT_EQ(WEXITSTATUS(child.status), 7);
}

/* A child has a copy of its parent's pool, as it stood while a job ran. */
static int use_copy(void *arg)
{
    struct counted *counted = arg;
    struct coir_threads_stats stats;
    coir_loop_opts opts = coir_test_loop_opts();
    alarm(8); /* instead of hanging */
    int r = coir_run(use_pool, counted, &opts, NULL);
    coir_threads_stats(counted->pool, &stats);
    coir_threads_close(counted->pool);
    return r == -COIR_EWRONGLOOP && stats.threads == 0 && counted->count == 0 ? 7 : 1;
}

static void *run_at_gate(void *arg)
{
    struct gate *gate = arg;
    coir_loop_opts opts = coir_test_loop_opts();
    opts.report = NULL;
    int r = coir_run(task_at_gate, gate, &opts, NULL);
    gate->value = r;
    return NULL;
}

COIR_TEST_TAGGED(own_pool_after_fork, "own_loop,no_torture")
{
    struct gate gate;
    struct child child;
    struct counted counted = {.count = 0};
    pthread_t id;
    gate_make(&gate);
    gate.result = 3;
    COIR_REQUIRE_OK(coir_threads_open(NULL, &counted.pool));
    gate.pool = counted.pool;
    COIR_REQUIRE_EQ(pthread_create(&id, NULL, run_at_gate, &gate), 0);
    sem_wait(&gate.inside);
    COIR_EXPECT_EQ(child_run(&child, use_copy, &counted), 0);
    sem_post(&gate.open);
    COIR_REQUIRE_EQ(pthread_join(id, NULL), 0);
    COIR_EXPECT_EQ(gate.value, 3);
    coir_threads_close(counted.pool);
    COIR_EXPECT(WIFEXITED(child.status));
    COIR_EXPECT_EQ(WEXITSTATUS(child.status), 7);
}

/* ---- the end of the process ---- */

static int main_of_stuck(void *arg)
{
    COIR_GROUP_COLLECT(group);
    return be_stuck_in_release(&group, arg);
}

/* Ends while a thread is inside a release that does not end, and others are idle. */
static int exit_while_releasing(void *arg)
{
    struct gate gate;
    coir_loop_opts opts = coir_test_loop_opts();
    int count = 0;
    gate_make(&gate);
    alarm(8); /* instead of hanging */
    if (coir_run(main_of_stuck, &gate, &opts, NULL) != 0)
        return 1;
    exit(coir_run(run_many, &count, &opts, NULL) == 0 && count == 50 ? *(int *)arg : 1);
}

COIR_TEST_TAGGED(process_ends_while_a_thread_releases, "own_loop,no_torture")
{
#if LESS > 1
    COIR_SKIP("a sanitizer allows no threads after fork");
#endif
    struct child child;
    int code = 7;
    COIR_REQUIRE_EQ(child_run(&child, exit_while_releasing, &code), 0);
    COIR_EXPECT(WIFEXITED(child.status));
    COIR_EXPECT_EQ(WEXITSTATUS(child.status), 7);
}
