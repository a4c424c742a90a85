/* io_call_on.c: calls from one loop on another, and from threads on a loop. Some names are those of
 * CPython's test_tasks.py (RunCoroutineThreadsafeTests) and of Trio's test_threads.py.
 */
#include <stdlib.h>

#include <coir/event.h>

#include "core_loop.h"
#include "gate.h"
#include "sync.h"

/* ---- another loop in a thread of its own ---- */

struct other {
    pthread_t id;
    coir_loop *loop;
    coir_post_node stop;
    sem_t runs;
    int result;
};

static void post_runs(void *arg)
{
    sem_post(arg);
}

static void *run_other(void *arg)
{
    struct other *other = arg;
    coir_loop_opts opts = coir_test_loop_opts();
    opts.report = NULL;
    coir_post_node node = {0};
    other->result = coir_loop_open(&opts, &other->loop);
    if (other->result < 0) {
        sem_post(&other->runs);
        return NULL;
    }
    (void)coir_post(other->loop, &node, post_runs, &other->runs);
    (void)coir_loop_run_forever(other->loop);
    (void)coir_loop_close(other->loop);
    return NULL;
}

static int other_start(struct other *other)
{
    memset(other, 0, sizeof *other);
    sem_init(&other->runs, 0, 0);
    if (pthread_create(&other->id, NULL, run_other, other) != 0)
        return -EAGAIN;
    sem_wait(&other->runs);
    if (other->result < 0)
        pthread_join(other->id, NULL);
    return other->result;
}

static void other_stop(struct other *other)
{
    if (other->loop == NULL)
        return;
    (void)coir_post(other->loop, &other->stop, stop_loop, other->loop);
    pthread_join(other->id, NULL);
    other->loop = NULL;
}
typedef struct other other_loop;
COIR_CLOSER_VALUE(other_loop, other_stop);

#define OTHER(name)                                                                                \
    COIR_AUTO(other_loop) name;                                                                    \
    name.loop = NULL;                                                                              \
    COIR_REQUIRE_OK(other_start(&name))

/* ---- what is called ---- */

struct called {
    coir_loop *on; /* for those that call themselves */
    coir_time sleeps;
    int result, woke;
    coir_loop *ran_on;
    sem_t *inside;
    atomic_int ended;
};

static int work(void *arg)
{
    struct called *called = arg;
    called->ran_on = coir_loop_current();
    if (called->inside != NULL)
        sem_post(called->inside);
    if (called->sleeps != 0)
        called->woke = coir_sleep(called->sleeps);
    atomic_store(&called->ended, 1);
    return called->woke < 0 ? called->woke : called->result;
}

static int task_calls(void *arg)
{
    struct called *called = arg;
    return coir_call_on(called->on, work, called);
}

COIR_TEST_TAGGED(run_coroutine_threadsafe, "posts")
{
    static const int codes[][2] = {
        {7, 7},
        {-EIO, -EIO},
        {-ECANCELED, -COIR_ECANCELEDTASK},
        {-ETIME, -ETIMEDOUT},
    };
    OTHER(other);
    for (size_t i = 0; i < COIR_COUNT(codes); i++) {
        struct called called = {.result = codes[i][0]};
        COIR_EXPECT_CODE(coir_call_on(other.loop, work, &called), codes[i][1]);
        COIR_EXPECT_PTR(called.ran_on, other.loop);
    }
    struct called called = {.sleeps = COIR_MS(2), .result = 3};
    COIR_EXPECT_CODE(coir_call_on(other.loop, work, &called), 3);
    COIR_EXPECT_CODE(coir_call_on(other.loop, NULL, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_call_on(NULL, work, &called), -EINVAL);
}

static int fail_there(void *arg)
{
    (void)arg;
    return coir_fail(-ENOENT, "no target named '%s'", "x");
}

COIR_TEST_TAGGED(run_coroutine_threadsafe_with_exception, "posts")
{
    OTHER(other);
    COIR_EXPECT_CODE(coir_call_on(other.loop, fail_there, NULL), -ENOENT);
    COIR_EXPECT_STR(coir_last_message(-ENOENT), "no target named 'x'");
}

COIR_TEST(call_on_the_own_loop)
{
    coir_task *task;
    struct called called = {.on = coir_loop_current(), .result = 7, .sleeps = COIR_SEC(1)};
    COIR_EXPECT_CODE(task_calls(&called), 7);
    COIR_EXPECT_CODE(coir_call_on(called.on, fail_there, NULL), -ENOENT);
    COIR_EXPECT_STR(coir_last_message(-ENOENT), "no target named 'x'");
    called = (struct called){.on = called.on, .sleeps = COIR_FOREVER};
    COIR_GROUP_COLLECT(group);
    START(&group, task_calls, &called, &task);
    coir_cancel(task, "the test says so");
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(called.woke, -ECANCELED);
}

static void call_in_callback(void *arg)
{
    struct called *called = arg;
    called->result = coir_call_on(called->on, work, called);
}

COIR_TEST(needs_a_task_or_a_thread)
{
    static struct called called; /* a test that is cut short leaves the callback */
    called.on = coir_loop_current();
    COIR_REQUIRE_OK(coir_call_soon(called.on, call_in_callback, &called, NULL));
    SETTLE();
    COIR_EXPECT_CODE(called.result, -COIR_ENOTASK);
}

/* ---- cancelling ---- */

COIR_TEST_TAGGED(run_coroutine_threadsafe_task_cancelled, "posts")
{
    coir_task *task;
    sem_t inside;
    sem_init(&inside, 0, 0);
    OTHER(other);
    struct called called = {.on = other.loop, .sleeps = COIR_FOREVER, .inside = &inside};
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, task_calls, &called, &task));
    while (sem_trywait(&inside) != 0 && !coir_task_done(task))
        if (coir_yield() < 0)
            break;
    coir_cancel(task, "the test says so");
    int r = joined(task);
    COIR_EXPECT_CODE(r, -COIR_ECANCELEDTASK);
    if (r == -COIR_ECANCELEDTASK)
        COIR_EXPECT_CODE(called.woke, -ECANCELED);
}

/* The task there starts in any case; and when it takes no notice, its result is what counts. */
static int ignore_it(void *arg)
{
    struct called *called = arg;
    sem_post(called->inside);
    while (coir_yield() == 0)
        ;
    return 9;
}

static int task_is_ignored(void *arg)
{
    struct called *called = arg;
    return coir_call_on(called->on, ignore_it, called);
}

COIR_TEST_TAGGED(result_of_a_task_that_was_cancelled, "posts")
{
    coir_task *task;
    sem_t inside;
    sem_init(&inside, 0, 0);
    OTHER(other);
    struct called called = {.on = other.loop, .inside = &inside};
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, task_is_ignored, &called, &task));
    while (sem_trywait(&inside) != 0 && !coir_task_done(task))
        if (coir_yield() < 0)
            break;
    coir_cancel(task, "the test says so");
    COIR_EXPECT_CODE(joined(task), 9);
}

struct expiring {
    coir_scope *scope;
    sem_t *inside;
};

/* The deadline is set once the task on the other loop runs: how soon it does is not the test's. */
static int expires_soon(void *arg)
{
    const struct expiring *expiring = arg;
    while (sem_trywait(expiring->inside) != 0)
        if (coir_yield() < 0)
            break;
    return coir_scope_move(expiring->scope, coir_now() + COIR_MS(1));
}

COIR_TEST_TAGGED(run_coroutine_threadsafe_with_timeout, "real,posts")
{
    sem_t inside;
    sem_init(&inside, 0, 0);
    OTHER(other);
    struct called called = {.on = other.loop, .sleeps = COIR_FOREVER, .inside = &inside};
    COIR_GROUP_COLLECT(group);
    COIR_SCOPE(scope, COIR_FOREVER);
    struct expiring expiring = {&scope, &inside};
    COIR_REQUIRE_OK(coir_spawn(&group, expires_soon, &expiring, NULL));
    COIR_EXPECT_CODE(task_calls(&called), -ETIME);
    COIR_EXPECT(coir_scope_expired(&scope));
    COIR_EXPECT_CODE(called.woke, -ECANCELED);
    coir_group_cancel(&group, NULL);
}

/* ---- loops that close ---- */

static int task_calls_and_stops(void *arg)
{
    coir_loop_stop(coir_loop_current());
    return work(arg);
}

/* The loop ends while its task sleeps: the caller learns it. */
COIR_TEST_TAGGED(run_coroutine_threadsafe_loop_closes, "posts")
{
    OTHER(other);
    struct called called = {.sleeps = COIR_FOREVER};
    COIR_EXPECT_CODE(coir_call_on(other.loop, task_calls_and_stops, &called), -COIR_ECLOSED);
    if (COIR_EXPECT(atomic_load(&called.ended))) {
        pthread_join(other.id, NULL);
        other.loop = NULL;
    }
}

/* ---- from threads ---- */

struct thread {
    pthread_t id;
    struct called called;
    coir_loop *stop;
    coir_post_node node;
    int result;
};

static void *call_from_thread(void *arg)
{
    struct thread *thread = arg;
    thread->result = task_calls(&thread->called);
    if (thread->called.inside != NULL)
        sem_post(thread->called.inside);
    if (thread->stop != NULL)
        (void)coir_post(thread->stop, &thread->node, stop_loop, thread->stop);
    return NULL;
}

COIR_TEST_TAGGED(trio_from_thread_run, "own_loop,posts")
{
    struct thread thread = {.called = {.sleeps = COIR_MS(1), .result = 5}};
    LOOP(loop);
    thread.called.on = thread.stop = loop;
    COIR_REQUIRE_EQ(pthread_create(&thread.id, NULL, call_from_thread, &thread), 0);
    COIR_EXPECT_EQ(coir_loop_run_forever(loop), 0);
    COIR_REQUIRE_EQ(pthread_join(thread.id, NULL), 0);
    COIR_EXPECT_CODE(thread.result, 5);
    COIR_EXPECT_PTR(thread.called.ran_on, loop);
}

/* What was asked before the loop closes is answered by the close. */
COIR_TEST_TAGGED(trio_from_thread_run_closing_loop, "own_loop,posts")
{
    struct thread thread = {.called = {.sleeps = COIR_FOREVER}};
    sem_t inside;
    sem_init(&inside, 0, 0);
    thread.called.inside = &inside;
    LOOP(loop);
    coir_test_expect_reports(COIR_REPORT_LEFT, 1);
    thread.called.on = loop;
    COIR_REQUIRE_EQ(pthread_create(&thread.id, NULL, call_from_thread, &thread), 0);
    while (sem_trywait(&inside) != 0) {
        coir_timer timer = {0};
        coir_timer_start(loop, &timer, coir_loop_time(loop), stop_loop, loop);
        COIR_EXPECT_OK(coir_loop_run_forever(loop));
    }
    coir_loop_close(COIR_TAKE(loop));
    COIR_REQUIRE_EQ(pthread_join(thread.id, NULL), 0);
    COIR_EXPECT_CODE(thread.result, -COIR_ECLOSED);
}

/* ---- from jobs ---- */

COIR_TEST(job_calls_its_own_loop)
{
    coir_time start = coir_now();
    struct called called = {.on = coir_loop_current(), .sleeps = COIR_SEC(3600), .result = 4};
    COIR_EXPECT_CODE(coir_blocking(task_calls, &called), 4);
    COIR_EXPECT_PTR(called.ran_on, coir_loop_current());
    COIR_EXPECT_GE(coir_now() - start, COIR_SEC(3600)); /* time goes on: the thread waits for us */
}

static int job_fails_there(void *arg)
{
    return coir_call_on(arg, fail_there, NULL);
}

COIR_TEST(failure_goes_through_a_job)
{
    COIR_EXPECT_CODE(coir_blocking(job_fails_there, coir_loop_current()), -ENOENT);
    COIR_EXPECT_STR(coir_last_message(-ENOENT), "no target named 'x'");
}

static int yield_once(void *arg)
{
    (void)arg;
    return coir_yield();
}

static int job_calls_back(void *arg)
{
    return coir_call_on(arg, yield_once, NULL);
}

static int reenter(void *arg)
{
    COIR_SCOPE(scope, COIR_MS(20));
    coir_loop *loop = arg;
    int r, rounds = 0;
    while ((r = coir_blocking(job_calls_back, loop)) == 0)
        if (++rounds == 200)
            return 0;
    return r == -ETIME || r == -EAGAIN ? 0 : r;
}

COIR_TEST(reentry_doesnt_deadlock)
{
    COIR_GROUP(group);
    for (int i = 0; i < 4; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, reenter, coir_loop_current(), NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
}

static int task_runs_job(void *arg)
{
    return coir_blocking(task_calls, arg);
}

/* The cancellation goes on to the task that the job waits for. */
COIR_TEST(cancellation_reaches_what_a_job_calls)
{
    coir_task *task;
    sem_t inside;
    sem_init(&inside, 0, 0);
    struct called called = {.on = coir_loop_current(), .sleeps = COIR_FOREVER, .inside = &inside};
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, task_runs_job, &called, &task));
    while (sem_trywait(&inside) != 0 && !coir_task_done(task))
        if (coir_yield() < 0)
            break;
    coir_cancel(task, "the test says so");
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
}

struct abandoned {
    struct called called;
    coir_threads *pool;
    atomic_int released;
};

static void note_release(void *arg)
{
    atomic_fetch_add(&((struct abandoned *)arg)->released, 1);
}

static int task_abandons(void *arg)
{
    struct abandoned *abandoned = arg;
    coir_blocking_opts opts = {.pool = abandoned->pool, .abandon = true, .release = note_release};
    return coir_blocking_with(task_calls, arg, &opts); /* called comes first */
}

COIR_TEST(abandoned_job_calls_its_own_loop)
{
    coir_task *task;
    sem_t inside;
    sem_init(&inside, 0, 0);
    struct abandoned abandoned = {
        .called = {.on = coir_loop_current(), .sleeps = COIR_FOREVER, .inside = &inside}};
    COIR_AUTO(coir_threads) *pool = NULL;
    COIR_REQUIRE_OK(coir_threads_open(NULL, &pool));
    abandoned.pool = pool;
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, task_abandons, &abandoned, &task));
    while (sem_trywait(&inside) != 0 && !coir_task_done(task))
        if (coir_yield() < 0)
            break;
    coir_cancel(task, "the test says so");
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    coir_threads_close(COIR_TAKE(pool)); /* the loop goes on: its task ends, then the job */
    COIR_EXPECT_EQ(atomic_load(&abandoned.released), 1);
    COIR_EXPECT(atomic_load(&abandoned.called.ended));
}

struct late {
    struct called called;
    sem_t asked;
};

static int call_when_asked_to_end(void *arg)
{
    struct late *late = arg;
    sem_post(&late->asked);
    while (!coir_blocking_cancelled())
        sched_yield();
    return task_calls(&late->called);
}

static int task_calls_late(void *arg)
{
    return coir_blocking(call_when_asked_to_end, arg);
}

COIR_TEST(cancelled_jobs_call_nobody)
{
    coir_task *task;
    struct late late = {.called = {.on = coir_loop_current()}};
    sem_init(&late.asked, 0, 0);
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, task_calls_late, &late, &task));
    while (sem_trywait(&late.asked) != 0 && !coir_task_done(task))
        if (coir_yield() < 0)
            break;
    coir_cancel(task, "the test says so");
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(atomic_load(&late.called.ended), 0);
}

/* The cancellation meets the call at all places of its way, also before it has arrived. */
COIR_TEST_TAGGED(cancellations_race_with_calls, "no_torture,limit=60")
{
    struct called called;
    COIR_GROUP_COLLECT(group);
    for (int i = 0; i < 400 / LESS; i++) {
        coir_task *task;
        called = (struct called){.on = coir_loop_current(), .sleeps = COIR_FOREVER};
        COIR_REQUIRE_OK(coir_spawn(&group, task_runs_job, &called, &task));
        for (int j = 0; j < i % 40; j++)
            COIR_REQUIRE_OK(coir_yield());
        coir_cancel(task, "the test says so");
        COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    }
}

/* ---- many ---- */

#define RINGS 3
#define CALLS (300 / LESS)

struct ring {
    struct other others[RINGS];
    atomic_int calls;
};

struct caller {
    struct ring *ring;
    int at;
};

static int pass_on(void *arg)
{
    struct caller *caller = arg;
    atomic_fetch_add(&caller->ring->calls, 1);
    if (caller->at == 0)
        return coir_yield();
    struct caller next = {caller->ring, caller->at - 1};
    return coir_call_on(caller->ring->others[next.at % RINGS].loop, pass_on, &next);
}

static int call_around(void *arg)
{
    struct ring *ring = arg;
    for (int i = 0; i < CALLS; i++) {
        struct caller caller = {ring, 4};
        COIR_SCOPE(scope, i % 4 == 0 ? COIR_US(i % 60) : COIR_FOREVER);
        int r = pass_on(&caller);
        if (r < 0 && r != -ETIME)
            return r;
    }
    return 0;
}

COIR_TEST_TAGGED(calls_go_around, "posts,no_torture,real_clock,limit=60")
{
    static struct ring ring;
    for (int i = 0; i < RINGS; i++)
        COIR_REQUIRE_OK(other_start(&ring.others[i]));
    COIR_GROUP(group);
    for (int i = 0; i < 4; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, call_around, &ring, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
    for (int i = 0; i < RINGS; i++)
        other_stop(&ring.others[i]);
    COIR_EXPECT_GT(atomic_load(&ring.calls), CALLS);
}
