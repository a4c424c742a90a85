/* core_wait.c: waiting for the first, the first failed, or all of several tasks, and sleeping. The
 * names are those of CPython's test_tasks.py where the behaviour is.
 */
#include <coir/event.h>

#include "core_kit.h"

/* ---- the first ---- */

COIR_TEST(wait_first_completed)
{
    struct job slow = {.work = COIR_SEC(10)}, quick = {.work = COIR_SEC(0.1)};
    coir_task *tasks[2];
    coir_time start = coir_now();
    COIR_GROUP(group);
    SPAWN(&group, work, &slow, &tasks[0]);
    SPAWN(&group, work, &quick, &tasks[1]);
    COIR_EXPECT_EQ(coir_wait_first(tasks, 2), 1);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(0.1));
    COIR_EXPECT(!coir_task_done(tasks[0]));
    COIR_EXPECT_EQ(coir_wait_first(tasks, 2), 1); /* again: nothing was used up */
    COIR_EXPECT_EQ(joined(tasks[1]), 0);
}

/* Two end in the same tick: the answer is the lowest of those that have ended by then. */
COIR_TEST(wait_really_done)
{
    struct job jobs[2] = {{.work = COIR_SEC(1)}, {.work = COIR_SEC(1)}};
    coir_task *tasks[2];
    COIR_GROUP(group);
    for (int i = 0; i < 2; i++)
        SPAWN(&group, work, &jobs[i], &tasks[i]);
    int first = coir_wait_first(tasks, 2);
    COIR_REQUIRE_GE(first, 0);
    COIR_EXPECT(coir_task_done(tasks[first]));
    COIR_EXPECT_OK(coir_wait_all(tasks, 2));
    COIR_EXPECT_EQ(coir_wait_first(tasks, 2), 0);
}

/* The failure cancels the other one, which may have ended too before the caller runs: the answer is
 * the one that was first. */
COIR_TEST(a_failure_is_an_end_too)
{
    struct job crash = {.work = COIR_SEC(1), .result = -EIO}, other = {.work = COIR_SEC(5)};
    coir_task *tasks[2];
    COIR_GROUP(group);
    SPAWN(&group, work, &other, &tasks[0]);
    SPAWN(&group, work, &crash, &tasks[1]);
    COIR_EXPECT_EQ(coir_wait_first(tasks, 2), 1);
    COIR_EXPECT_CODE(coir_task_result(tasks[1]), -EIO);
    COIR_EXPECT_CODE(coir_group_finish(&group, coir_yield()), -EIO);
}

/* ---- the first failed ---- */

COIR_TEST(wait_first_exception)
{
    struct job sleeper = {.work = COIR_SEC(10)}, crash = {.result = -EIO};
    coir_task *tasks[2];
    coir_time start = coir_now();
    COIR_GROUP_COLLECT(group);
    SPAWN(&group, work, &sleeper, &tasks[0]);
    SPAWN(&group, work, &crash, &tasks[1]);
    COIR_EXPECT_EQ(coir_wait_first_error(tasks, 2), 1);
    COIR_EXPECT_EQ(coir_now(), start);
    COIR_EXPECT_EQ(coir_wait_first_error(tasks, 2), 1); /* it has failed already */
    COIR_EXPECT(!coir_task_done(tasks[0]));
    COIR_EXPECT(coir_group_errors(&group) != NULL);
}

COIR_TEST(wait_first_error_tells_the_cause_from_what_followed)
{
    struct job crash = {.work = COIR_SEC(1), .result = -EIO}, other = {.work = COIR_SEC(5)};
    coir_task *tasks[2];
    COIR_GROUP(group);
    SPAWN(&group, work, &other, &tasks[0]);
    SPAWN(&group, work, &crash, &tasks[1]);
    COIR_EXPECT_EQ(coir_wait_first_error(tasks, 2), 1);
    COIR_EXPECT_CODE(coir_group_finish(&group, coir_yield()), -EIO);
}

/* Successes do not count. */
COIR_TEST(wait_first_exception_in_wait)
{
    struct job good = {.work = COIR_SEC(1)}, crash = {.work = COIR_SEC(2), .result = -EIO};
    struct job sleeper = {.work = COIR_SEC(10)};
    coir_task *tasks[3];
    coir_time start = coir_now();
    COIR_GROUP_COLLECT(group);
    SPAWN(&group, work, &sleeper, &tasks[0]);
    SPAWN(&group, work, &good, &tasks[1]);
    SPAWN(&group, work, &crash, &tasks[2]);
    COIR_EXPECT_EQ(coir_wait_first_error(tasks, 3), 2);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(2));
    COIR_EXPECT(coir_group_errors(&group) != NULL);
}

COIR_TEST(wait_first_error_without_any)
{
    struct job jobs[2] = {{.work = COIR_SEC(1)}, {.work = COIR_SEC(2)}};
    coir_task *tasks[2];
    coir_time start = coir_now();
    COIR_GROUP(group);
    for (int i = 0; i < 2; i++)
        SPAWN(&group, work, &jobs[i], &tasks[i]);
    COIR_EXPECT_EQ(coir_wait_first_error(tasks, 2), 2);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(2));
}

/* ---- all ---- */

COIR_TEST(wait_all_waits_for_the_last)
{
    struct job a = {.work = COIR_SEC(0.1)}, b = {.work = COIR_SEC(0.15), .result = -EIO};
    coir_task *tasks[2];
    coir_time start = coir_now();
    COIR_GROUP_COLLECT(group);
    SPAWN(&group, work, &a, &tasks[0]);
    SPAWN(&group, work, &b, &tasks[1]);
    COIR_EXPECT_EQ(coir_wait_all(tasks, 2), 0);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(0.15));
    COIR_EXPECT_EQ(coir_wait_all(tasks, 2), 0);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(0.15));
    COIR_EXPECT(coir_group_errors(&group) != NULL);
}

COIR_TEST(wait_duplicate_coroutines)
{
    struct job job = {.work = COIR_SEC(1)};
    coir_task *tasks[2];
    COIR_GROUP(group);
    SPAWN(&group, work, &job, &tasks[0]);
    tasks[1] = tasks[0];
    COIR_EXPECT_EQ(coir_wait_all(tasks, 2), 0);
    COIR_EXPECT_EQ(coir_wait_first(tasks, 2), 0);
}

COIR_TEST(wait_errors)
{
    COIR_EXPECT_CODE(coir_wait_first(NULL, 0), -EINVAL);
    COIR_EXPECT_CODE(coir_wait_first_error(NULL, 0), -EINVAL);
    COIR_EXPECT_CODE(coir_wait_all(NULL, 0), -EINVAL);
}

enum { MANY = 100 };

static struct job many_jobs[MANY];

/* More than the call has room for on its stack, and cut short in the middle. */
COIR_TEST(wait_for_many)
{
    coir_task *tasks[MANY];
    COIR_GROUP(group);
    for (int i = 0; i < MANY; i++) {
        many_jobs[i] = (struct job){.work = COIR_SEC(MANY - i)};
        SPAWN(&group, work, &many_jobs[i], &tasks[i]);
    }
    COIR_EXPECT_EQ(coir_wait_first(tasks, MANY), MANY - 1);
    {
        COIR_DEADLINE(COIR_SEC(9.5));
        COIR_EXPECT_CODE(coir_wait_all(tasks, MANY), -ETIME);
    }
    COIR_EXPECT_EQ(coir_wait_first(tasks, MANY), MANY - 10); /* at once: the lowest of ten */
    COIR_EXPECT_OK(coir_wait_all(tasks, MANY));
}

/* ---- waiting with a limit, and several that wait ---- */

COIR_TEST(wait_with_timeout)
{
    struct job quick = {.work = COIR_SEC(0.1)}, slow = {.work = COIR_SEC(0.15)};
    coir_task *tasks[2];
    coir_time start = coir_now();
    COIR_GROUP(group);
    SPAWN(&group, work, &quick, &tasks[0]);
    SPAWN(&group, work, &slow, &tasks[1]);
    {
        COIR_DEADLINE(COIR_SEC(0.11));
        COIR_EXPECT_CODE(coir_wait_all(tasks, 2), -ETIME);
    }
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(0.11));
    COIR_EXPECT(coir_task_done(tasks[0]));
    COIR_EXPECT(!coir_task_done(tasks[1]));
    COIR_EXPECT_OK(coir_wait_all(tasks, 2));
    COIR_EXPECT_EQ(slow.woke, 0);
}

/* All end in the tick in which the time is over: whatever the wait says, nothing is lost. */
COIR_TEST(wait_concurrent_complete)
{
    struct job jobs[2] = {{.work = COIR_SEC(0.1)}, {.work = COIR_SEC(0.1)}};
    coir_task *tasks[2];
    COIR_GROUP(group);
    for (int i = 0; i < 2; i++)
        SPAWN(&group, work, &jobs[i], &tasks[i]);
    {
        COIR_DEADLINE(COIR_SEC(0.1));
        int r = coir_wait_all(tasks, 2);
        COIR_EXPECT(r == 0 || r == -ETIME);
    }
    COIR_EXPECT_OK(coir_wait_all(tasks, 2));
    COIR_EXPECT_EQ(jobs[0].woke, 0);
    COIR_EXPECT_EQ(jobs[1].woke, 0);
}

static int wait_for_both(void *arg)
{
    return coir_wait_all(arg, 2);
}

/* A task may be waited for by many, and joined by one, at the same time. */
COIR_TEST(many_wait_for_the_same)
{
    struct job jobs[2] = {{.work = COIR_SEC(1)}, {.work = COIR_SEC(2), .result = 7}};
    coir_task *tasks[2], *waiters[3];
    COIR_GROUP(group);
    for (int i = 0; i < 2; i++)
        SPAWN(&group, work, &jobs[i], &tasks[i]);
    for (int i = 0; i < 3; i++)
        SPAWN(&group, wait_for_both, tasks, &waiters[i]);
    SETTLE();
    coir_cancel(waiters[1], NULL);
    COIR_EXPECT_CODE(joined(waiters[1]), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(coir_join(tasks[1], NULL), 7);
    COIR_EXPECT_EQ(joined(waiters[0]), 0);
    COIR_EXPECT_EQ(joined(waiters[2]), 0);
}

/* ---- sleeping ---- */

COIR_TEST(sleep_cancel)
{
    struct job job = {.work = COIR_SEC(10)};
    struct coir_loop_stats before, after;
    coir_loop_stats(NULL, &before);
    coir_time start = coir_now();
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(1), work, &job), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
    coir_loop_stats(NULL, &after);
    COIR_EXPECT_EQ(after.timers, before.timers);
}

static int set_event(void *arg)
{
    return coir_event_set(arg);
}

/* Sleeping for nothing lets the others run, and takes no time. */
COIR_TEST(sleep_zero)
{
    coir_event event = {0};
    coir_time start = coir_now();
    COIR_GROUP(group);
    SPAWN(&group, set_event, &event, NULL);
    COIR_EXPECT_OK(coir_sleep(-1));
    COIR_EXPECT_OK(coir_sleep_until(start - COIR_SEC(1)));
    for (int i = 0; i < 100; i++) /* shuffled: one of these is the other's turn */
        COIR_EXPECT_OK(coir_sleep(0));
    COIR_EXPECT(coir_event_is_set(&event));
    COIR_EXPECT_EQ(coir_now(), start);
}

COIR_TEST(sleep_until_a_point_in_time)
{
    coir_time start = coir_now();
    COIR_EXPECT_OK(coir_sleep_until(start + COIR_SEC(3)));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(3));
}

/* In the order of their times, whatever the order of starting and of running. */
COIR_TEST(sleepers_wake_in_the_order_of_time)
{
    coir_time start = coir_now();
    struct job jobs[20];
    coir_task *tasks[20];
    COIR_GROUP(group);
    for (int i = 0; i < 20; i++) {
        jobs[i] = (struct job){.work = COIR_MS(1 + i * 7 % 20)};
        SPAWN(&group, work, &jobs[i], &tasks[i]);
    }
    for (int ms = 1; ms <= 20; ms++) {
        coir_task *wanted = tasks[(ms - 1) * 3 % 20]; /* 3 is what 7 is undone by, modulo 20 */
        COIR_EXPECT_OK(coir_wait_all(&wanted, 1));
        COIR_EXPECT_EQ(coir_now() - start, COIR_MS(ms));
    }
}
