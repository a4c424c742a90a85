/* sync_completions.c: tasks in the order in which they end, also when they fail, are cancelled or
 * had ended before, and when the waiting is cut short. The names are those of CPython's
 * test_tasks.py where the behaviour is.
 */
#include <coir/completions.h>

#include "core_kit.h"

#define COMPLETIONS(name, tasks, count)                                                            \
    COIR_AUTO(coir_completions) *name = NULL;                                                      \
    COIR_REQUIRE_OK(coir_completions_open((tasks), (count), &name))

static void expect_next(coir_completions *ends, size_t expected)
{
    size_t index = SIZE_MAX;
    COIR_EXPECT_EQ(coir_completions_next(ends, &index), 1);
    COIR_EXPECT_EQ(index, expected);
}

static void expect_end(coir_completions *ends)
{
    size_t index = 77;
    COIR_EXPECT_EQ(coir_completions_next(ends, &index), 0);
    COIR_EXPECT_EQ(index, 77);
    COIR_EXPECT_EQ(coir_completions_left(ends), 0);
}

COIR_TEST(as_completed)
{
    struct job jobs[] = {{.work = COIR_SEC(3), .result = 1},
                         {.work = COIR_SEC(1), .result = 2},
                         {.work = COIR_SEC(2), .result = 3}};
    coir_task *tasks[3];
    coir_time start = coir_now();
    COIR_GROUP(group);
    for (int i = 0; i < 3; i++)
        SPAWN(&group, work, &jobs[i], &tasks[i]);
    COMPLETIONS(ends, tasks, 3);
    expect_next(ends, 1);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
    COIR_EXPECT_EQ(joined(tasks[1]), 2); /* its handle is not needed any more */
    COIR_EXPECT_EQ(coir_completions_left(ends), 2);
    expect_next(ends, 2);
    expect_next(ends, 0);
    expect_end(ends);
    expect_end(ends);
    COIR_EXPECT_EQ(joined(tasks[0]), 1);
    COIR_EXPECT_EQ(joined(tasks[2]), 3);
}

COIR_TEST(none)
{
    COMPLETIONS(ends, NULL, 0);
    expect_end(ends);
    coir_completions *other = NULL;
    COIR_EXPECT_CODE(coir_completions_open(NULL, 1, &other), -EINVAL);
    COIR_EXPECT_CODE(coir_completions_open((coir_task *[]){NULL}, SIZE_MAX / 8, &other),
                     -EOVERFLOW);
    coir_completions_close(NULL);
}

/* Those that had ended before come by their index, then the others as they end. */
COIR_TEST(as_completed_concurrent)
{
    struct job jobs[] = {{.work = COIR_SEC(9)},
                         {.work = COIR_SEC(2)},
                         {.work = COIR_SEC(1)},
                         {.work = COIR_SEC(3)},
                         {.work = COIR_SEC(2)}};
    coir_task *tasks[5];
    COIR_GROUP(group);
    for (int i = 0; i < 5; i++)
        SPAWN(&group, work, &jobs[i], &tasks[i]);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(2.5)));
    COMPLETIONS(ends, tasks, 5);
    expect_next(ends, 1);
    expect_next(ends, 2);
    expect_next(ends, 4);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(20)));
    expect_next(ends, 3);
    expect_next(ends, 0);
    expect_end(ends);
    for (int i = 0; i < 5; i++)
        COIR_EXPECT_OK(joined(tasks[i]));
}

/* A deadline around the loop ends it; what had ended by then was given, and the rest comes. */
COIR_TEST(as_completed_with_timeout)
{
    struct job jobs[] = {{.work = COIR_SEC(0.1)}, {.work = COIR_SEC(0.15)}, {.work = COIR_SEC(9)}};
    coir_task *tasks[3];
    size_t index;
    COIR_GROUP(group);
    for (int i = 0; i < 3; i++)
        SPAWN(&group, work, &jobs[i], &tasks[i]);
    COMPLETIONS(ends, tasks, 3);
    {
        COIR_DEADLINE(COIR_SEC(1));
        expect_next(ends, 0);
        expect_next(ends, 1);
        COIR_EXPECT_CODE(coir_completions_next(ends, &index), -ETIME);
        COIR_EXPECT_CODE(coir_completions_next(ends, &index), -ETIME);
    }
    COIR_EXPECT_EQ(coir_completions_left(ends), 1);
    expect_next(ends, 2);
    expect_end(ends);
    for (int i = 0; i < 3; i++)
        COIR_EXPECT_OK(joined(tasks[i]));
}

COIR_TEST(as_completed_duplicate)
{
    struct job job = {.work = COIR_SEC(1)}, quick = {0};
    coir_completions *ends = NULL;
    coir_task *tasks[3];
    COIR_GROUP(group);
    START(&group, work, &quick, &tasks[0]);
    SPAWN(&group, work, &job, &tasks[1]);
    tasks[2] = tasks[1];
    COIR_EXPECT_CODE(coir_completions_open(tasks, 3, &ends), -EINVAL);
    tasks[2] = tasks[0];
    COIR_EXPECT_CODE(coir_completions_open(tasks, 3, &ends), -EINVAL);
    tasks[2] = coir_current();
    COIR_EXPECT_CODE(coir_completions_open(tasks, 3, &ends), -EDEADLK);
    COIR_EXPECT_PTR(ends, NULL);
    COIR_EXPECT_OK(joined(tasks[0]));
    COIR_EXPECT_OK(joined(tasks[1]));
}

/* Two at once over the same tasks: each is told of every end. */
COIR_TEST(two_over_the_same_tasks)
{
    struct job jobs[] = {{.work = COIR_SEC(2)}, {.work = COIR_SEC(1)}};
    coir_task *tasks[2];
    COIR_GROUP(group);
    for (int i = 0; i < 2; i++)
        SPAWN(&group, work, &jobs[i], &tasks[i]);
    COMPLETIONS(one, tasks, 2);
    COMPLETIONS(two, tasks, 2);
    expect_next(one, 1);
    expect_next(two, 1);
    expect_next(two, 0);
    expect_next(one, 0);
    for (int i = 0; i < 2; i++)
        COIR_EXPECT_OK(joined(tasks[i]));
}

/* Failed and cancelled tasks have ended too. */
COIR_TEST(failures_and_cancellations)
{
    struct job jobs[] = {{.work = COIR_SEC(3), .result = 5},
                         {.work = COIR_SEC(2), .result = -EIO},
                         {.work = COIR_FOREVER}};
    coir_task *tasks[3];
    COIR_GROUP_COLLECT(group);
    for (int i = 0; i < 3; i++)
        START(&group, work, &jobs[i], &tasks[i]);
    COMPLETIONS(ends, tasks, 3);
    coir_cancel(tasks[2], NULL);
    expect_next(ends, 2);
    expect_next(ends, 1);
    expect_next(ends, 0);
    expect_end(ends);
    COIR_EXPECT_CODE(joined(tasks[1]), -EIO);
    COIR_EXPECT_CODE(joined(tasks[2]), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(joined(tasks[0]), 5);
}

struct waiting {
    coir_completions *ends;
    size_t index;
    int result;
};

static int wait_for_one(void *arg)
{
    struct waiting *waiting = arg;
    waiting->result = coir_completions_next(waiting->ends, &waiting->index);
    return waiting->result < 0 ? waiting->result : 0;
}

COIR_TEST(one_at_a_time)
{
    struct job job = {.work = COIR_SEC(1)};
    coir_task *tasks[1];
    size_t index;
    COIR_GROUP(group);
    SPAWN(&group, work, &job, &tasks[0]);
    COMPLETIONS(ends, tasks, 1);
    struct waiting a = {ends, 9, 9};
    COIR_GROUP(waiters);
    START(&waiters, wait_for_one, &a, NULL);
    COIR_EXPECT_CODE(coir_completions_next(ends, &index), -EBUSY);
    COIR_EXPECT_OK(coir_group_wait(&waiters));
    COIR_EXPECT_EQ(a.index, 0);
    COIR_EXPECT_OK(joined(tasks[0]));
}

/* Cancelled in the turn in which a task ends, before or after: the end is not lost. */
static void cancel_around_the_end(bool before)
{
    struct job job = {.work = COIR_FOREVER};
    coir_task *tasks[1], *waiter;
    COIR_GROUP(group);
    START(&group, work, &job, &tasks[0]);
    COMPLETIONS(ends, tasks, 1);
    struct waiting a = {ends, 9, 9};
    COIR_GROUP(waiters);
    START(&waiters, wait_for_one, &a, &waiter);
    if (before)
        coir_cancel(waiter, NULL);
    coir_cancel(tasks[0], NULL);
    COIR_EXPECT_CODE(joined(tasks[0]), -COIR_ECANCELEDTASK);
    coir_cancel(waiter, NULL);
    COIR_EXPECT_CODE(joined(waiter), before ? -COIR_ECANCELEDTASK : 0);
    COIR_EXPECT_EQ(a.result, before ? -ECANCELED : 1);
    COIR_EXPECT_EQ(coir_completions_left(ends), before ? 1 : 0);
    if (before)
        expect_next(ends, 0);
    expect_end(ends);
}

COIR_TEST_TAGGED(cancel_meets_the_end, "fifo")
{
    cancel_around_the_end(true);
    cancel_around_the_end(false);
}

COIR_TEST(close_while_waiting)
{
    struct job job = {.work = COIR_SEC(1)};
    coir_task *tasks[1], *waiter;
    COIR_GROUP(group);
    SPAWN(&group, work, &job, &tasks[0]);
    COMPLETIONS(ends, tasks, 1);
    struct waiting a = {ends, 9, 9};
    COIR_GROUP_COLLECT(waiters);
    START(&waiters, wait_for_one, &a, &waiter);
    coir_completions_close(COIR_TAKE(ends));
    COIR_EXPECT_CODE(joined(waiter), -COIR_ECLOSED);
    COIR_EXPECT_OK(joined(tasks[0]));
}

enum { MANY = 100 };

COIR_TEST_TAGGED(many, "liveness")
{
    struct job jobs[MANY];
    coir_task *tasks[MANY];
    bool seen[MANY] = {0};
    size_t index, count = 0;
    COIR_GROUP_COLLECT(group);
    for (int i = 0; i < MANY; i++) {
        jobs[i] = (struct job){.work = COIR_MS(i * 37 % 50)};
        SPAWN(&group, work, &jobs[i], &tasks[i]);
    }
    COMPLETIONS(ends, tasks, MANY);
    int r;
    for (; (r = coir_completions_next(ends, &index)) > 0; count++) {
        COIR_EXPECT(!seen[index]);
        seen[index] = true;
        (void)joined(tasks[index]);
    }
    COIR_EXPECT_OK(r);
    COIR_EXPECT_EQ(count, MANY);
}
