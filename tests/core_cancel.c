/* core_cancel.c: cancelling tasks: when a task sees it, what it may do then, and what its joiner
 * gets. The names are those of CPython's test_tasks.py, Trio's test_run.py and Tokio's
 * task_abort.rs where the behaviour is.
 */
#include <pthread.h>

#include "core/core.h"
#include "core_kit.h"

/* ---- what the task sees ---- */

static int yield_twice(void *arg)
{
    int *codes = arg;
    codes[0] = coir_yield();
    codes[1] = coir_yield();
    return codes[1] < 0 ? codes[1] : 12;
}

COIR_TEST(cancel_yield)
{
    int codes[2] = {1, 1};
    coir_task *task;
    COIR_GROUP(group);
    SPAWN(&group, yield_twice, codes, &task);
    coir_test_cancel_at_park(task, 2);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(codes[0], 0);
    COIR_EXPECT_CODE(codes[1], -ECANCELED);
}

/* Both timers are due in the same tick, whoever runs first: the sleep had ended, so it says so. */
static int sleep_twice(void *arg)
{
    int *codes = arg;
    codes[0] = coir_sleep(COIR_SEC(1));
    codes[1] = coir_sleep(COIR_SEC(1));
    return codes[1];
}

COIR_TEST(a_finished_operation_wins_and_the_next_call_reports)
{
    int codes[2] = {1, 1};
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(1), sleep_twice, codes), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(codes[0], 0);
    COIR_EXPECT_CODE(codes[1], -ECANCELED);
}

static int ignore_three_times(void *arg)
{
    int *codes = arg;
    for (int i = 0; i < 3; i++)
        codes[i] = coir_sleep(COIR_SEC(1));
    return 42;
}

/* Level-triggered: every call reports, none waits, until the task returns what it likes. */
COIR_TEST(cancel_task_ignoring)
{
    int codes[3] = {0};
    coir_time start = coir_now();
    COIR_EXPECT_EQ(cancelled_after(COIR_MS(1), ignore_three_times, codes), 42);
    for (int i = 0; i < 3; i++)
        COIR_EXPECT_CODE(codes[i], -ECANCELED);
    COIR_EXPECT_EQ(coir_now() - start, COIR_MS(1));
}

/* Clean-up may wait, under a shield; the task may then say that it succeeded. */
COIR_TEST(cancel_task_catching)
{
    struct job job = {.work = COIR_SEC(10), .cleanup = COIR_SEC(1), .instead = 42};
    coir_time start = coir_now();
    COIR_EXPECT_EQ(cancelled_after(COIR_SEC(2), work, &job), 42);
    COIR_EXPECT_CODE(job.woke, -ECANCELED);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(2 + 1));
}

static int cancel_itself(void *arg)
{
    struct job *job = arg;
    coir_cancel(coir_current(), "I");
    return work(job);
}

COIR_TEST(cancel_current_task)
{
    struct job job = {.work = COIR_SEC(100), .result = 12};
    coir_task *task;
    coir_time start = coir_now();
    COIR_GROUP(group);
    SPAWN(&group, cancel_itself, &job, &task);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(coir_now(), start);
}

/* It was cancelled, and waited for nothing after that: nobody can tell, its result stands. */
COIR_TEST(cancel_at_end)
{
    struct job job = {.result = 12};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, cancel_itself, &job, &task);
    coir_cancel(task, "it has ended already");
    COIR_EXPECT_EQ(joined(task), 12);
}

static int fall_asleep(void *arg)
{
    *(bool *)arg = true;
    COIR_TRY(coir_sleep(COIR_FOREVER));
    return 0;
}

/* It starts nevertheless, and the reason arrives with its failure. */
COIR_TEST(cancel_with_message_before_starting_task)
{
    bool started = false;
    coir_task *task;
    COIR_GROUP(group);
    SPAWN(&group, fall_asleep, &started, &task);
    coir_cancel(task, "my message");
    COIR_EXPECT(!started);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT(started);
    COIR_REQUIRE(coir_last_error() != NULL);
    COIR_EXPECT_CODE(coir_error_code(coir_last_error()), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CONTAINS(coir_error_message(coir_last_error()), "my message");
}

/* A task that is spawned into a cancelled group runs to its first wait. */
COIR_TEST(precancelled_task)
{
    struct job job = {.work = COIR_FOREVER};
    COIR_GROUP(group);
    coir_group_cancel(&group, NULL);
    SPAWN(&group, work, &job, NULL);
    COIR_EXPECT_OK(coir_group_finish(&group, 0));
    COIR_EXPECT(job.started);
    COIR_EXPECT_CODE(job.woke, -ECANCELED);
}

COIR_TEST(task_cancel_sleeping_task)
{
    struct job job = {.work = COIR_SEC(10)};
    coir_task *task;
    struct coir_loop_stats before, after;
    coir_loop_stats(NULL, &before);
    COIR_GROUP(group);
    START(&group, work, &job, &task);
    coir_loop_stats(NULL, &after);
    COIR_EXPECT_EQ(after.timers, before.timers + 1);
    coir_cancel(task, NULL);
    coir_cancel(task, "twice is once");
    coir_loop_stats(NULL, &after);
    COIR_EXPECT_EQ(after.timers, before.timers);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
}

/* ---- what the joiner gets ---- */

struct pair {
    coir_task *inner;
    int join, pending;
};

static int join_inner(void *arg)
{
    struct pair *pair = arg;
    int result;
    pair->join = coir_join(pair->inner, &result);
    pair->pending = coir_pending();
    return pair->join < 0 ? pair->join : result;
}

/* -ECANCELED would mean that the joiner was cancelled: across the boundary it is another code. */
COIR_TEST(cancel_inner_future)
{
    struct job job = {.work = COIR_FOREVER};
    struct pair pair = {0};
    coir_task *outer;
    COIR_GROUP_COLLECT(group);
    START(&group, work, &job, &pair.inner);
    START(&group, join_inner, &pair, &outer);
    coir_cancel(pair.inner, NULL);
    COIR_EXPECT_CODE(joined(outer), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(pair.join, 0);
    COIR_EXPECT_EQ(pair.pending, 0);
    /* It was not cancelled itself, so what it returns is a failure like any other. */
    COIR_EXPECT_EQ(coir_group_failures(&group), 1);
}

/* The outer one is cancelled while it waits: its join says so, and the handle stays valid. */
COIR_TEST(cancel_both_task_and_inner_future)
{
    struct job job = {.work = COIR_FOREVER};
    struct pair pair = {0};
    coir_task *outer;
    COIR_GROUP(group);
    START(&group, work, &job, &pair.inner);
    START(&group, join_inner, &pair, &outer);
    coir_cancel(pair.inner, NULL);
    coir_cancel(outer, NULL);
    COIR_EXPECT_CODE(joined(outer), -COIR_ECANCELEDTASK);
    COIR_REQUIRE_CODE(pair.join, -ECANCELED);
    COIR_EXPECT_CODE(joined(pair.inner), -COIR_ECANCELEDTASK);
}

struct awaiting {
    struct job nested;
    int join;
};

static int cancel_itself_and_join(void *arg)
{
    struct awaiting *awaiting = arg;
    coir_task *nested;
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, work, &awaiting->nested, &nested));
    COIR_TRY(coir_yield());
    coir_cancel(coir_current(), NULL);
    awaiting->join = coir_join(nested, NULL);
    return awaiting->join;
}

/* Cancelled while it runs: the join that follows does not wait, and the child, which belongs to
 * what was cancelled, is cancelled too. */
COIR_TEST(cancel_awaited_task)
{
    struct awaiting awaiting = {.nested = {.work = COIR_FOREVER}};
    coir_task *task;
    COIR_GROUP(group);
    SPAWN(&group, cancel_itself_and_join, &awaiting, &task);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(awaiting.join, -ECANCELED);
    COIR_EXPECT_CODE(awaiting.nested.woke, -ECANCELED);
}

static int wait_for_inner(void *arg)
{
    coir_task *inner = arg;
    return coir_wait_all(&inner, 1);
}

/* Waiting for a task does not own it: the wait ends, the task goes on. */
COIR_TEST(yield_wait_does_not_shield_cancel)
{
    struct job job = {.work = COIR_SEC(1), .result = 1};
    coir_task *inner, *outer;
    COIR_GROUP(group);
    START(&group, work, &job, &inner);
    START(&group, wait_for_inner, inner, &outer);
    coir_cancel(outer, NULL);
    COIR_EXPECT_CODE(joined(outer), -COIR_ECANCELEDTASK);
    COIR_EXPECT(!coir_task_done(inner));
    COIR_EXPECT_EQ(joined(inner), 1);
}

/* A task that answers its cancellation with another failure has failed. */
COIR_TEST(baseexception_during_cancel)
{
    struct job job = {.work = COIR_FOREVER, .instead = -EIO};
    coir_task *task;
    COIR_GROUP_COLLECT(group);
    START(&group, work, &job, &task);
    coir_cancel(task, NULL);
    COIR_EXPECT_CODE(joined(task), -EIO);
    COIR_EXPECT_EQ(coir_group_failures(&group), 1);
}

COIR_TEST(task_awaits_on_itself)
{
    coir_task *self = coir_current();
    COIR_EXPECT_CODE(coir_join(self, NULL), -EDEADLK);
    COIR_EXPECT_CODE(coir_wait_first(&self, 1), -EDEADLK);
    COIR_EXPECT_CODE(coir_wait_all(&self, 1), -EDEADLK);
}

/* ---- ending a cancellation ---- */

/* A task's cancellation is for good; that of a scope ends with the scope. */
COIR_TEST(uncancel_basic)
{
    {
        COIR_SCOPE(scope, COIR_FOREVER);
        coir_scope_cancel(&scope, NULL);
        COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ECANCELED);
        COIR_EXPECT(coir_scope_cancelled(&scope));
    }
    COIR_EXPECT_OK(coir_sleep(COIR_SEC(1)));
    coir_cancel(coir_current(), NULL);
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ECANCELED);
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ECANCELED);
}

/* Code after a block with a deadline is not touched by that deadline. */
COIR_TEST(uncancel_structured_blocks)
{
    coir_time start = coir_now();
    {
        COIR_SCOPE(request, COIR_SEC(1));
        COIR_EXPECT_CODE(coir_sleep(COIR_SEC(2)), -ETIME);
        COIR_EXPECT(coir_scope_expired(&request));
    }
    COIR_EXPECT_OK(coir_sleep(COIR_SEC(5)));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1 + 5));
}

/* A cancellation that nobody asked for while its scope was open is gone with it. */
COIR_TEST(uncancel_resets_must_cancel)
{
    {
        COIR_SCOPE(scope, COIR_FOREVER);
        coir_scope_cancel(&scope, NULL);
        COIR_EXPECT_CODE(coir_pending(), -ECANCELED);
    }
    COIR_EXPECT_EQ(coir_pending(), 0);
    COIR_EXPECT_OK(coir_yield());
}

/* ---- waits that cannot be ended at once ---- */

/* What a wait for memory that the kernel owns does: its abort only asks, the answer comes later. */
struct slow {
    coir_timer timer;
    struct coir_task *task;
    int aborts, woke, after;
};

static void answer(void *arg)
{
    struct slow *slow = arg;
    coir__wake(slow->task, slow->task->pending);
}

static bool abort_slowly(struct coir_task *task)
{
    struct slow *slow = (struct slow *)(uintptr_t)task->wait_object;
    slow->aborts++;
    slow->task = task;
    coir_timer_start(task->loop, &slow->timer, coir_now() + COIR_MS(5), answer, slow);
    return false;
}

static int wait_slowly(void *arg)
{
    static const struct coir__wait slow_wait = {"waits for the kernel", abort_slowly, NULL};
    struct slow *slow = arg;
    slow->woke = coir__enter(coir__self());
    if (slow->woke == 0)
        slow->woke = coir__park(coir__self(), &slow_wait, slow);
    COIR_SHIELD(COIR_SEC(1));
    slow->after = coir_yield();
    return slow->woke;
}

/* The abort is called once, however many cancellations come; the task wakes with the answer. */
COIR_TEST(slow_abort_edge_cases)
{
    struct slow slow = {.after = 1};
    coir_time start = coir_now();
    COIR_SCOPE(outer, COIR_FOREVER);
    COIR_SCOPE(inner, COIR_FOREVER);
    COIR_GROUP(group);
    START(&group, wait_slowly, &slow, NULL);
    coir_scope_cancel(&inner, NULL);
    COIR_EXPECT_EQ(slow.aborts, 1);
    coir_scope_cancel(&outer, NULL);
    coir_group_cancel(&group, NULL);
    COIR_EXPECT_EQ(slow.aborts, 1);
    COIR_EXPECT_EQ(slow.after, 1);
    COIR_EXPECT_CODE(coir_group_finish(&group, -ECANCELED), -ECANCELED);
    COIR_EXPECT_CODE(slow.woke, -ECANCELED);
    COIR_EXPECT_EQ(slow.after, 0);
    COIR_EXPECT_EQ(coir_now() - start, COIR_MS(5));
}

/* ---- tasks that do not listen ---- */

/* Up to the 15th the call returns at once; from the 16th the others run. */
COIR_TEST_TAGGED(ignored_cancellations_yield_from_the_16th, "fifo")
{
    struct job other = {0};
    COIR_GROUP(group);
    COIR_SCOPE(scope, COIR_FOREVER);
    SPAWN(&group, work, &other, NULL);
    coir_scope_cancel(&scope, NULL);
    for (int i = 1; i <= 15; i++)
        COIR_EXPECT_CODE(coir_yield(), -ECANCELED);
    COIR_EXPECT(!other.started);
    COIR_EXPECT_CODE(coir_yield(), -ECANCELED);
    COIR_EXPECT(other.started);
}

COIR_TEST(the_1000th_ignored_cancellation_is_reported)
{
    coir_test_expect_reports(COIR_REPORT_IGNORED, 1);
    COIR_SCOPE(scope, COIR_FOREVER);
    coir_scope_cancel(&scope, NULL);
    for (int i = 1; i <= 999; i++)
        COIR_EXPECT_CODE(coir_yield(), -ECANCELED);
    COIR_EXPECT_EQ(coir_test_report_count(COIR_REPORT_IGNORED), 0);
    COIR_EXPECT_CODE(coir_yield(), -ECANCELED);
    COIR_EXPECT_EQ(coir_test_report_count(COIR_REPORT_IGNORED), 1);
    for (int i = 1001; i <= 2500; i++) /* and not again */
        COIR_EXPECT_CODE(coir_yield(), -ECANCELED);
}

/* In a row: whoever gets something done in between is not stuck. */
COIR_TEST(ignoring_starts_again_after_a_shield)
{
    COIR_SCOPE(scope, COIR_FOREVER);
    coir_scope_cancel(&scope, NULL);
    for (int round = 0; round < 3; round++) {
        for (int i = 1; i <= 999; i++)
            COIR_EXPECT_CODE(coir_yield(), -ECANCELED);
        COIR_SHIELD(COIR_FOREVER);
        COIR_EXPECT_OK(coir_yield());
    }
}

/* ---- Tokio's ---- */

COIR_TEST(abort_without_panic_3157)
{
    struct job job = {.work = COIR_SEC(100)};
    COIR_EXPECT_CODE(cancelled_after(COIR_MS(10), work, &job), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(job.woke, -ECANCELED);
}

/* The handle is never joined: the task is woken, and reaped with its group. */
COIR_TEST(abort_wakes_task_3964)
{
    struct job job = {.work = COIR_SEC(100)};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, work, &job, &task);
    coir_cancel(task, NULL);
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(10)));
    COIR_EXPECT(job.ended);
}

/* A thread that has a task cancelled by posting to its loop. Static, because the post may come when
 * the test is over. */
static struct remote {
    coir_loop *loop;
    coir_task *task; /* NULL: not any more */
    coir_post_node node;
    pthread_t thread, cancelled_by;
    bool started;
} remote;

static void cancel_remotely(void *arg)
{
    struct remote *self = arg;
    self->cancelled_by = pthread_self();
    coir_cancel(self->task, "from another thread");
}

static void *post_cancel(void *arg)
{
    struct remote *self = arg;
    (void)coir_post(self->loop, &self->node, cancel_remotely, self);
    return NULL;
}

static void remote_start(struct remote *self, coir_task *task)
{
    *self = (struct remote){.loop = coir_loop_current(), .task = task};
    self->started = pthread_create(&self->thread, NULL, post_cancel, self) == 0;
}

static void remote_end(struct remote **self)
{
    if ((*self)->started)
        pthread_join((*self)->thread, NULL);
    (*self)->started = false;
    (*self)->task = NULL;
}

COIR_TEST_TAGGED(abort_without_panic_3662, "posts")
{
    __attribute__((cleanup(remote_end))) struct remote *thread = &remote;
    struct job job = {.work = COIR_FOREVER};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, work, &job, &task);
    remote_start(thread, task);
    COIR_REQUIRE(thread->started);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT(job.ended);
}

static int clean_up_here(void *arg)
{
    COIR_EXPECT_CODE(coir_sleep(COIR_FOREVER), -ECANCELED);
    *(pthread_t *)arg = pthread_self();
    return 0;
}

/* Whoever asks for it: the cancellation and the clean-up happen on the loop's thread. */
COIR_TEST_TAGGED(remote_abort_local_set_3929, "posts")
{
    __attribute__((cleanup(remote_end))) struct remote *thread = &remote;
    pthread_t cleaned_by = 0;
    coir_task *task;
    COIR_GROUP(group);
    START(&group, clean_up_here, &cleaned_by, &task);
    remote_start(thread, task);
    COIR_REQUIRE(thread->started);
    COIR_EXPECT_EQ(joined(task), 0);
    COIR_EXPECT(pthread_equal(cleaned_by, pthread_self()));
    COIR_EXPECT(pthread_equal(thread->cancelled_by, pthread_self()));
}
