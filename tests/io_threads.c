/* io_threads.c: blocking jobs on pools of threads: results, cancelling, abandoning, limits. Some
 * names are those of Trio's test_threads.py.
 */
#include <signal.h>
#include <stdlib.h>

#include <coir/memory.h>

#include "core/sys.h"
#include "gate.h"
#include "sync.h"

/* ---- results ---- */

static int give(void *arg)
{
    return *(int *)arg;
}

static int tell_where(void *arg)
{
    *(pthread_t *)arg = pthread_self();
    COIR_TRY(0);
    return coir_loop_current() != NULL ? -EINVAL : coir_sleep(1) == -COIR_ENOTASK ? 0 : -EINVAL;
}

COIR_TEST(results)
{
    static const int codes[][2] = {
        {0, 0},
        {7, 7},
        {-EIO, -EIO},
        {-COIR_EEOF, -COIR_EEOF},
        {-ECANCELED, -COIR_ECANCELEDTASK},
        {-ETIME, -ETIMEDOUT},
    };
    for (size_t i = 0; i < COIR_COUNT(codes); i++) {
        int code = codes[i][0];
        COIR_EXPECT_CODE(coir_blocking(give, &code), codes[i][1]);
        COIR_EXPECT_CODE(coir_blocking_with(give, &code, NULL), codes[i][1]);
    }
    COIR_EXPECT_CODE(coir_blocking(NULL, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_blocking_with(give, NULL, &(coir_blocking_opts){.abandon = true}),
                     -EINVAL);
    COIR_EXPECT_CODE(coir_blocking_with(give, NULL, &(coir_blocking_opts){.release = free}),
                     -EINVAL);
}

COIR_TEST(run_in_worker_thread)
{
    pthread_t thread = pthread_self();
    COIR_REQUIRE_OK(coir_blocking(tell_where, &thread));
    COIR_EXPECT(!pthread_equal(thread, pthread_self()));
    COIR_EXPECT(!coir_blocking_cancelled());
}

static void call_outside(void *arg)
{
    int code = 0;
    *(int *)arg = coir_blocking(give, &code);
}

COIR_TEST(needs_a_task)
{
    static int r; /* a test that is cut short leaves the callback */
    COIR_REQUIRE_OK(coir_call_soon(coir_loop_current(), call_outside, &r, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_CODE(r, -COIR_ENOTASK);
}

static int fail_with_text(void *arg)
{
    (void)arg;
    return coir_fail(-ENOENT, "no file named '%s'", "x");
}

static int fail_with_other_text(void *arg)
{
    (void)arg;
    (void)coir_fail(-ENOENT, "something else");
    return -EIO;
}

COIR_TEST(run_in_worker_thread_error_text)
{
    COIR_EXPECT_CODE(coir_blocking(fail_with_text, NULL), -ENOENT);
    COIR_EXPECT_STR(coir_last_message(-ENOENT), "no file named 'x'");
    coir_clear_error();
    COIR_EXPECT_CODE(coir_blocking(fail_with_other_text, NULL), -EIO);
    COIR_EXPECT_STR(coir_last_message(-EIO), coir_error_text(-EIO));
}

static int look_at_mask(void *arg)
{
    (void)arg;
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    return sigismember(&mask, SIGTERM) && sigismember(&mask, SIGUSR1) &&
           sigismember(&mask, SIGPROF) && !sigismember(&mask, SIGSEGV);
}

COIR_TEST(signals_are_blocked)
{
    COIR_EXPECT_EQ(coir_blocking(look_at_mask, NULL), 1);
}

static int task_with_name(void *arg)
{
    return coir_blocking_with(pass_gate, arg, &(coir_blocking_opts){.name = "resolve"});
}

COIR_TEST(description)
{
    struct gate gate;
    coir_task *task;
    char text[192];
    gate_make(&gate);
    COIR_GROUP_COLLECT(group);
    OPENS_AT_END(&gate);
    COIR_REQUIRE((task = start_inside(&group, task_with_name, &gate)) != NULL);
    coir_task_describe(task, text, sizeof text);
    COIR_EXPECT_STR(text, "waits for a job in a thread 'resolve'");
    coir_cancel(task, "the test says so");
    coir_task_describe(task, text, sizeof text);
    COIR_EXPECT_STR(text, "waits for a job in a thread 'resolve' (asked to end)");
    sem_post(&gate.open);
    COIR_EXPECT_CODE(joined(task), 0);
}

/* ---- cancelling ---- */

COIR_TEST(cancelled_while_it_runs)
{
    struct gate gate;
    gate_make(&gate);
    COIR_GROUP_COLLECT(group);
    coir_task *task = start_inside(&group, task_until_asked, &gate);
    COIR_REQUIRE(task != NULL);
    coir_cancel(task, "the test says so");
    COIR_EXPECT_CODE(joined(task), 0); /* what was finished wins */

    gate.result = -ECANCELED;
    task = start_inside(&group, task_until_asked, &gate);
    COIR_REQUIRE(task != NULL);
    coir_cancel(task, "the test says so");
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
}

static int with_deadline(void *arg)
{
    struct gate *gate = arg;
    gate->result = -ECANCELED;
    COIR_SCOPE(scope, COIR_MS(5));
    int r = coir_blocking(wait_until_asked, gate);
    return r == -ETIME && coir_scope_expired(&scope) ? 5 : -EINVAL;
}

/* While a job runs time does not jump; on epoll it goes on, and the simulation waits a second. */
COIR_TEST_TAGGED(deadline_around_a_job, "no_torture")
{
    struct gate gate;
    gate_make(&gate);
    COIR_EXPECT_EQ(with_deadline(&gate), 5);
}

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

COIR_TEST(cancelled_in_the_queue)
{
    struct gate gate;
    struct counted counted = {.count = 0};
    struct coir_threads_stats stats;
    coir_task *first, *second;
    gate_make(&gate);
    COIR_AUTO(coir_threads) *pool = NULL;
    COIR_REQUIRE_OK(coir_threads_open(&(coir_threads_opts){.limit = 1}, &pool));
    gate.pool = counted.pool = pool;
    COIR_GROUP_COLLECT(group);
    OPENS_AT_END(&gate);
    COIR_REQUIRE((first = start_inside(&group, task_at_gate, &gate)) != NULL);
    START(&group, task_counts, &counted, &second);
    coir_threads_stats(pool, &stats);
    coir_cancel(second, "the test says so");
    COIR_EXPECT_CODE(joined(second), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(stats.running, 1);
    COIR_EXPECT_EQ(stats.queued, 1);
    COIR_EXPECT_EQ(stats.queued_longest, 1);
    sem_post(&gate.open);
    COIR_EXPECT_CODE(joined(first), 0);
    coir_threads_stats(pool, &stats);
    COIR_EXPECT_EQ(counted.count, 0);
    COIR_EXPECT_EQ(stats.queued, 0);
    COIR_EXPECT_EQ(stats.done, 1);
}

/* ---- abandoning ---- */

struct heap {
    struct gate *gate;
    atomic_int *released;
    int value;
};

static void release_heap(void *arg)
{
    struct heap *heap = arg;
    atomic_fetch_add(heap->released, 1);
    coir_free(heap);
}

static int pass_gate_of_heap(void *arg)
{
    struct heap *heap = arg;
    int r = pass_gate(heap->gate);
    heap->value = 42; /* it must still be there */
    return r;
}

/* What a caller of an abandonable job does: after a cancellation the argument is gone. */
static int task_abandons(void *arg)
{
    struct gate *gate = arg;
    struct heap *heap = coir_alloc(sizeof *heap);
    if (heap == NULL)
        return -ENOMEM;
    *heap = (struct heap){gate, &gate->released, 0};
    coir_blocking_opts opts = {.pool = gate->pool, .abandon = true, .release = release_heap};
    int r = coir_blocking_with(pass_gate_of_heap, heap, &opts);
    if (r == -ECANCELED || r == -ETIME)
        return r;
    gate->value = heap->value;
    coir_free(heap);
    return r;
}

COIR_TEST(run_in_worker_thread_abandoned)
{
    struct gate gate;
    coir_task *task;
    gate_make(&gate);
    COIR_AUTO(coir_threads) *pool = NULL; /* closing it waits for jobs that were abandoned */
    COIR_REQUIRE_OK(coir_threads_open(NULL, &pool));
    gate.pool = pool;
    OPENS_AT_END(&gate);
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE((task = start_inside(&group, task_abandons, &gate)) != NULL);
    coir_cancel(task, "the test says so");
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK); /* at once, though the gate is closed */
    COIR_EXPECT_EQ(atomic_load(&gate.released), 0);
    sem_post(&gate.open);
    coir_threads_close(COIR_TAKE(pool));
    COIR_EXPECT_EQ(atomic_load(&gate.released), 1);
}

COIR_TEST(not_abandoned)
{
    struct gate gate;
    coir_task *task;
    gate_make(&gate);
    gate.result = 3;
    COIR_AUTO(coir_threads) *pool = NULL;
    COIR_REQUIRE_OK(coir_threads_open(NULL, &pool));
    gate.pool = pool;
    COIR_GROUP_COLLECT(group);
    OPENS_AT_END(&gate);
    COIR_REQUIRE((task = start_inside(&group, task_abandons, &gate)) != NULL);
    sem_post(&gate.open);
    COIR_EXPECT_CODE(joined(task), 3);
    COIR_EXPECT_EQ(gate.value, 42);
    COIR_EXPECT_EQ(atomic_load(&gate.released), 0);
}

COIR_TEST(abandoned_in_the_queue)
{
    struct gate gate, other;
    coir_task *first, *second;
    gate_make(&gate);
    gate_make(&other);
    COIR_AUTO(coir_threads) *pool = NULL;
    COIR_REQUIRE_OK(coir_threads_open(&(coir_threads_opts){.limit = 1}, &pool));
    gate.pool = other.pool = pool;
    OPENS_AT_END(&other);
    COIR_GROUP_COLLECT(group);
    OPENS_AT_END(&gate);
    COIR_REQUIRE((first = start_inside(&group, task_at_gate, &gate)) != NULL);
    START(&group, task_abandons, &other, &second);
    coir_cancel(second, "the test says so");
    COIR_EXPECT_CODE(joined(second), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(atomic_load(&other.released), 1);
    sem_post(&gate.open);
    COIR_EXPECT_CODE(joined(first), 0);
}

static int cancelled_before(void *arg)
{
    int r = coir_sleep(COIR_FOREVER);
    return r < 0 ? task_abandons(arg) : r;
}

COIR_TEST(abandoned_before_it_was_asked_for)
{
    struct gate gate;
    coir_task *task;
    gate_make(&gate);
    COIR_GROUP_COLLECT(group);
    START(&group, cancelled_before, &gate, &task);
    coir_cancel(task, "the test says so");
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(atomic_load(&gate.released), 1);
}

/* ---- threads ---- */

static enum coir__sys_call none_from;
static int (*fault_before)(enum coir__sys_call call, size_t *length);
static int threads_left;

static int refuse_threads(enum coir__sys_call call, size_t *length)
{
    if (call == none_from && threads_left-- <= 0)
        return -EAGAIN;
    return fault_before != NULL ? fault_before(call, length) : 0;
}

static void allow_threads(int *unused)
{
    (void)unused;
    coir__sys_fault = fault_before;
}

/* To the end of the block, only so many threads can be started. */
#define THREADS_LEFT(count)                                                                        \
    __attribute__((cleanup(allow_threads), unused)) int COIR__UNIQUE(left_) = (count);             \
    none_from = COIR__SYS_THREAD;                                                                  \
    threads_left = (count);                                                                        \
    fault_before = coir__sys_fault;                                                                \
    coir__sys_fault = refuse_threads

COIR_TEST(run_in_worker_thread_fail_to_spawn)
{
    int code = 7;
    THREADS_LEFT(0);
    COIR_EXPECT_CODE(coir_blocking(give, &code), -EAGAIN);
    COIR_EXPECT_CONTAINS(coir_last_message(-EAGAIN), "no thread could be started");
    threads_left = 1;
    COIR_EXPECT_CODE(coir_blocking(give, &code), 7);
}

/* With one thread there is hope: the other jobs wait for it. */
COIR_TEST(fail_to_spawn_a_second)
{
    struct gate gate;
    struct counted counted = {.count = 0};
    coir_task *first, *second;
    gate_make(&gate);
    COIR_GROUP_COLLECT(group);
    OPENS_AT_END(&gate);
    THREADS_LEFT(1);
    COIR_REQUIRE((first = start_inside(&group, task_at_gate, &gate)) != NULL);
    START(&group, task_counts, &counted, &second);
    COIR_EXPECT_EQ(counted.count, 0);
    sem_post(&gate.open);
    COIR_EXPECT_CODE(joined(second), 0);
    COIR_EXPECT_CODE(joined(first), 0);
    COIR_EXPECT_EQ(counted.count, 1);
}

struct crowd {
    coir_threads *pool;
    atomic_int inside, most;
    atomic_int order;
    int orders[32], begun;
};

static int join_crowd(void *arg)
{
    struct crowd *crowd = arg;
    int inside = atomic_fetch_add(&crowd->inside, 1) + 1, most = atomic_load(&crowd->most);
    while (inside > most && !atomic_compare_exchange_weak(&crowd->most, &most, inside))
        ;
    for (int i = 0; i < 20; i++)
        sched_yield();
    atomic_fetch_sub(&crowd->inside, 1);
    return 0;
}

static int task_in_crowd(void *arg)
{
    struct crowd *crowd = arg;
    return coir_threads_run(crowd->pool, join_crowd, crowd);
}

COIR_TEST(limit)
{
    struct crowd crowd = {.most = 0};
    struct coir_threads_stats stats;
    COIR_AUTO(coir_threads) *pool = NULL;
    COIR_REQUIRE_OK(coir_threads_open(&(coir_threads_opts){.limit = 3}, &pool));
    crowd.pool = pool;
    COIR_GROUP(group);
    for (int i = 0; i < 40; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, task_in_crowd, &crowd, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
    coir_threads_stats(pool, &stats);
    COIR_EXPECT_LE(atomic_load(&crowd.most), 3);
    COIR_EXPECT_LE(stats.threads, 3);
    COIR_EXPECT_EQ(stats.limit, 3);
    COIR_EXPECT_EQ(stats.done, 40);
    COIR_EXPECT_EQ(stats.running, 0);
    COIR_EXPECT_EQ(stats.queued, 0);
    COIR_EXPECT_GE(stats.waited, stats.longest);
}

struct turn {
    struct crowd *crowd;
    int number;
};

static int note_turn(void *arg)
{
    struct turn *turn = arg;
    turn->crowd->orders[atomic_fetch_add(&turn->crowd->order, 1)] = turn->number;
    return 0;
}

static int task_takes_turn(void *arg)
{
    struct turn *turn = arg;
    return coir_threads_run(turn->crowd->pool, note_turn, turn);
}

COIR_TEST(jobs_begin_in_the_order_of_the_calls)
{
    struct gate gate;
    struct crowd crowd = {.most = 0};
    struct turn turns[16];
    gate_make(&gate);
    COIR_AUTO(coir_threads) *pool = NULL;
    COIR_REQUIRE_OK(coir_threads_open(&(coir_threads_opts){.limit = 1}, &pool));
    gate.pool = crowd.pool = pool;
    COIR_GROUP(group);
    OPENS_AT_END(&gate);
    COIR_REQUIRE(start_inside(&group, task_at_gate, &gate) != NULL);
    for (int i = 0; i < 16; i++) {
        turns[i] = (struct turn){&crowd, i};
        START(&group, task_takes_turn, &turns[i], NULL);
    }
    sem_post(&gate.open);
    COIR_EXPECT_OK(coir_group_wait(&group));
    for (int i = 0; i < 16; i++)
        COIR_EXPECT_EQ(crowd.orders[i], i);
}

static int read_name(void *arg)
{
    return -pthread_getname_np(pthread_self(), arg, 16);
}

COIR_TEST(names)
{
    static const struct {
        const char *name, *seen;
    } names[] = {
        {NULL, "coir/pool/1"},
        {"dns", "coir/dns/1"},
        {"a name that is too long", "coir/a name t/1"},
    };
    for (size_t i = 0; i < COIR_COUNT(names); i++) {
        char seen[16] = "";
        COIR_AUTO(coir_threads) *pool = NULL;
        coir_threads_opts opts = {.name = names[i].name};
        COIR_REQUIRE_OK(coir_threads_open(&opts, &pool));
        COIR_REQUIRE_OK(coir_threads_run(pool, read_name, seen));
        COIR_EXPECT_STR(seen, names[i].seen);
    }
}

COIR_TEST(idle_threads_end)
{
    struct counted counted = {.count = 0};
    struct coir_threads_stats stats;
    COIR_AUTO(coir_threads) *pool = NULL;
    COIR_EXPECT_CODE(coir_threads_open(&(coir_threads_opts){.idle = -1}, &pool), -EINVAL);
    COIR_REQUIRE_OK(coir_threads_open(&(coir_threads_opts){.idle = COIR_US(200)}, &pool));
    counted.pool = pool;
    for (int i = 0; i < 3; i++) {
        COIR_REQUIRE_OK(task_counts(&counted));
        do
            coir_threads_stats(pool, &stats);
        while (stats.threads > 0);
    }
    COIR_EXPECT_EQ(stats.started, 3);
    COIR_EXPECT_EQ(stats.idle, 0);
    COIR_EXPECT_EQ(stats.done, 3);
}

COIR_TEST(default_pool)
{
    struct coir_threads_stats before, after;
    int code = 0;
    coir_threads_stats(NULL, &before);
    COIR_EXPECT_GE(before.limit, 4);
    COIR_EXPECT_LE(before.limit, 32);
    COIR_REQUIRE_OK(coir_blocking(give, &code));
    coir_threads_stats(NULL, &after);
    COIR_EXPECT_EQ(after.done, before.done + 1);
}

COIR_TEST(full_queue)
{
    struct gate gate;
    struct counted counted = {.count = 0};
    coir_task *task;
    gate_make(&gate);
    COIR_AUTO(coir_threads) *pool = NULL;
    COIR_REQUIRE_OK(coir_threads_open(&(coir_threads_opts){.limit = 1, .queue_limit = 1}, &pool));
    gate.pool = counted.pool = pool;
    COIR_GROUP(group);
    OPENS_AT_END(&gate);
    COIR_REQUIRE(start_inside(&group, task_at_gate, &gate) != NULL);
    START(&group, task_counts, &counted, &task);
    struct coir_threads_stats stats;
    coir_threads_stats(pool, &stats);
    COIR_REQUIRE_EQ(stats.queued, 1);
    COIR_EXPECT_CODE(task_counts(&counted), -EAGAIN);
    COIR_EXPECT_CONTAINS(coir_last_message(-EAGAIN), "the queue of the pool is full");
    sem_post(&gate.open);
    COIR_EXPECT_CODE(joined(task), 0);
    COIR_EXPECT_EQ(counted.count, 1);
    COIR_EXPECT_OK(task_counts(&counted));
}
