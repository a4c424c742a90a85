/* core_wait_for.c: waiting for a task no longer than a given time: a COIR_SCOPE around the join of
 * a child, and its races. The names are those of CPython's test_waitfor.py.
 */
#include "core_kit.h"

struct waiting {
    coir_fn fn;
    void *arg;
    coir_time timeout;
    bool expired;
};

/* What wait_for does there: runs fn(arg) as a task; when the time is over, cancels it, waits until
 * it has ended, and hands out what it made of that. */
static int wait_for(struct waiting *waiting)
{
    coir_task *task;
    COIR_GROUP_COLLECT(group);
    COIR_TRY(coir_spawn(&group, waiting->fn, waiting->arg, &task));
    int result, r;
    {
        COIR_SCOPE(scope, waiting->timeout);
        r = coir_join(task, &result);
        waiting->expired = coir_scope_expired(&scope);
    }
    if (waiting->expired && r < 0) {
        coir_cancel(task, "its time is over");
        r = coir_join(task, &result);
    }
    return r < 0 ? r : result;
}

COIR_TEST(wait_for_race_condition)
{
    struct job job = {.work = COIR_MS(100), .result = 7};
    struct waiting waiting = {work, &job, COIR_MS(200), false};
    COIR_EXPECT_EQ(wait_for(&waiting), 7);
    COIR_EXPECT(!waiting.expired);
}

/* The child ends and the time is over in the same tick: what the join says fits what it did. */
COIR_TEST(result_and_timeout_in_one_tick)
{
    struct job job = {.work = COIR_MS(100), .result = 7};
    struct waiting waiting = {work, &job, COIR_MS(100), false};
    COIR_EXPECT_EQ(wait_for(&waiting), 7);
    COIR_EXPECT_EQ(job.woke, 0);
}

/* The child catches its cancellation and returns: that is the result. */
COIR_TEST(wait_for_cancellation_race_condition)
{
    struct job job = {.work = COIR_SEC(1), .instead = 1};
    struct waiting waiting = {work, &job, COIR_MS(10), false};
    COIR_EXPECT_EQ(wait_for(&waiting), 1);
    COIR_EXPECT(waiting.expired);
}

COIR_TEST(wait_for_cancel_suppressed)
{
    struct job job = {.work = COIR_SEC(10), .cleanup = COIR_SEC(1), .instead = 42};
    struct waiting waiting = {work, &job, COIR_MS(100), false};
    coir_time start = coir_now();
    COIR_EXPECT_EQ(wait_for(&waiting), 42);
    COIR_EXPECT_EQ(coir_now() - start, COIR_MS(100) + COIR_SEC(1));
}

COIR_TEST(wait_for_waits_for_task_cancellation)
{
    struct job job = {.work = COIR_SEC(10), .cleanup = COIR_US(100)};
    struct waiting waiting = {work, &job, COIR_US(100), false};
    COIR_EXPECT_CODE(wait_for(&waiting), -COIR_ECANCELEDTASK);
    COIR_EXPECT(waiting.expired);
    COIR_EXPECT(job.ended);
}

COIR_TEST(wait_for_waits_for_task_cancellation_w_timeout_0)
{
    struct job job = {.work = COIR_SEC(10), .cleanup = COIR_US(100)};
    struct waiting waiting = {work, &job, 0, false};
    COIR_EXPECT_CODE(wait_for(&waiting), -COIR_ECANCELEDTASK);
    COIR_EXPECT(waiting.expired);
    COIR_EXPECT(job.ended);
}

COIR_TEST(wait_for_reraises_exception_during_cancellation)
{
    struct job job = {.work = COIR_MS(200), .instead = -EIO};
    struct waiting waiting = {work, &job, COIR_US(100), false};
    COIR_EXPECT_CODE(wait_for(&waiting), -EIO);
}

/* A child that has ended already: CPython gives its result even with a time of 0. Here an expired
 * scope is reported by every call, and the handle, which is still valid, can be asked without
 * waiting. */
COIR_TEST(wait_for_timeout_less_then_0_or_0_future_done)
{
    struct job job = {.result = 7};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, work, &job, &task);
    {
        COIR_SCOPE(scope, 0);
        COIR_REQUIRE_CODE(coir_join(task, NULL), -ETIME);
        COIR_EXPECT(coir_task_done(task));
        COIR_EXPECT_EQ(coir_task_result(task), 7);
    }
    COIR_EXPECT_EQ(joined(task), 7);
}

struct ticking {
    struct job inner;
    int waited, slept;
    bool reached_end;
};

static int wait_and_sleep(void *arg)
{
    struct ticking *ticking = arg;
    struct waiting waiting = {work, &ticking->inner, COIR_SEC(100), false};
    ticking->waited = wait_for(&waiting);
    ticking->slept = coir_sleep(COIR_SEC(1));
    ticking->reached_end = ticking->slept == 0;
    return ticking->slept;
}

/* The result and a cancellation in one tick: the result is delivered, the next call reports the
 * cancellation; neither is lost. */
COIR_TEST(wait_for_issue86296)
{
    struct ticking ticking = {.inner = {.work = COIR_SEC(1), .result = 7}};
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(1), wait_and_sleep, &ticking), -COIR_ECANCELEDTASK);
    if (ticking.waited != -ECANCELED) /* shuffled: the cancellation came before the child ran */
        COIR_EXPECT_EQ(ticking.waited, 7);
    COIR_EXPECT_CODE(ticking.slept, -ECANCELED);
    COIR_EXPECT(!ticking.reached_end);
}

/* Cancelling who waits cancels the child, which it owns, and waits for the child's end. */
COIR_TEST(cancel_wait_for)
{
    struct ticking ticking = {.inner = {.work = COIR_FOREVER, .cleanup = COIR_MS(5)}};
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(1), wait_and_sleep, &ticking), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(ticking.waited, -ECANCELED);
    COIR_EXPECT_CODE(ticking.inner.woke, -ECANCELED);
    COIR_EXPECT(ticking.inner.ended);
}
