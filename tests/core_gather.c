/* core_gather.c: running many calls at once, unlike ones (gather) and one function over an array
 * (map), and what becomes of them when one fails or the caller is cancelled. The names are those of
 * CPython's test_tasks.py where the behaviour is.
 */
#include "core_kit.h"

/* ---- gather ---- */

COIR_TEST(gather_runs_all_and_keeps_the_results)
{
    struct job a = {.work = COIR_SEC(2), .result = 1}, b = {.work = COIR_SEC(1), .result = 2};
    coir_call calls[] = {{work, &a, 0}, {work, &b, 0}};
    coir_time start = coir_now();
    COIR_EXPECT_OK(coir_gather(calls, 2, COIR_FAIL_FAST));
    COIR_EXPECT_EQ(calls[0].result, 1);
    COIR_EXPECT_EQ(calls[1].result, 2);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(2));
    COIR_EXPECT_OK(coir_gather(NULL, 0, COIR_FAIL_FAST));
}

/* The first failure cancels the rest; it comes back when all have ended. */
COIR_TEST(gather_fails_fast)
{
    struct job crash = {.work = COIR_SEC(1), .result = -EIO};
    struct job other = {.work = COIR_SEC(9), .cleanup = COIR_SEC(0.5)};
    coir_call calls[] = {{work, &other, 0}, {work, &crash, 0}};
    coir_time start = coir_now();
    COIR_EXPECT_CODE(coir_gather(calls, 2, COIR_FAIL_FAST), -EIO);
    COIR_EXPECT_CODE(calls[0].result, -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(calls[1].result, -EIO);
    COIR_EXPECT(other.ended);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1.5));
    COIR_EXPECT_OK(coir_yield());
}

COIR_TEST(gather_collects)
{
    struct job crash = {.work = COIR_SEC(1), .result = -EIO}, other = {.work = COIR_SEC(2)};
    coir_call calls[] = {{work, &crash, 0}, {work, &other, 1}};
    COIR_EXPECT_OK(coir_gather(calls, 2, COIR_COLLECT));
    COIR_EXPECT_CODE(calls[0].result, -EIO);
    COIR_EXPECT_EQ(calls[1].result, 0);
}

COIR_TEST(gather_any)
{
    struct job crash = {.work = COIR_SEC(1), .result = -EIO};
    struct job winner = {.work = COIR_SEC(2), .result = 7}, loser = {.work = COIR_SEC(3)};
    coir_call calls[] = {{work, &crash, 0}, {work, &winner, 0}, {work, &loser, 0}};
    COIR_EXPECT_OK(coir_gather(calls, 3, COIR_ANY));
    COIR_EXPECT_CODE(calls[0].result, -EIO);
    COIR_EXPECT_EQ(calls[1].result, 7);
    COIR_EXPECT_CODE(calls[2].result, -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(coir_gather(calls, 1, COIR_ANY), -EIO);
}

/* ---- gather and cancellation ---- */

struct gathering {
    struct job jobs[2];
    coir_call calls[2];
    coir_policy policy;
    int gathered, after;
};

static int gather_both(void *arg)
{
    struct gathering *both = arg;
    for (int i = 0; i < 2; i++)
        both->calls[i] = (coir_call){work, &both->jobs[i], 0};
    both->gathered = coir_gather(both->calls, 2, both->policy);
    both->after = coir_yield();
    return both->gathered;
}

/* Cancelling the caller cancels every call, and waits for them. */
COIR_TEST(cancellation_broadcast)
{
    struct gathering both = {
        .jobs = {{.work = COIR_FOREVER, .cleanup = COIR_MS(5)}, {.work = COIR_SEC(9)}}};
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(1), gather_both, &both), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(both.gathered, -ECANCELED);
    for (int i = 0; i < 2; i++) {
        COIR_EXPECT_CODE(both.jobs[i].woke, -ECANCELED);
        COIR_EXPECT(both.jobs[i].ended);
        COIR_EXPECT_CODE(both.calls[i].result, -COIR_ECANCELEDTASK);
    }
}

/* Cancelled in the tick in which the last call ended, before the caller runs: gather has finished,
 * its results stand, and the next call reports. */
COIR_TEST_TAGGED(cancel_gather_1, "fifo")
{
    struct gathering both = {.jobs = {{.work = COIR_SEC(1), .result = 42}, {.work = COIR_SEC(1)}},
                             .gathered = 1};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, gather_both, &both, &task);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    COIR_EXPECT(!coir_task_done(task));
    coir_cancel(task, NULL);
    COIR_EXPECT_EQ(joined(task), 0);
    COIR_EXPECT_EQ(both.gathered, 0);
    COIR_EXPECT_EQ(both.calls[0].result, 42);
    COIR_EXPECT_CODE(both.after, -ECANCELED);
}

/* Collecting failures does not collect the caller's own cancellation. */
COIR_TEST(cancel_gather_2)
{
    struct gathering both = {.jobs = {{.work = COIR_SEC(2)}, {.work = COIR_SEC(2)}},
                             .policy = COIR_COLLECT};
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(1), gather_both, &both), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(both.gathered, -ECANCELED);
    COIR_EXPECT_CODE(both.after, -ECANCELED);
}

static int cancel_itself(void *arg)
{
    (void)arg;
    coir_cancel(coir_current(), NULL);
    return coir_yield();
}

static int cancel_its_scope(void *arg)
{
    (void)arg;
    COIR_SCOPE(scope, COIR_FOREVER);
    coir_scope_cancel(&scope, NULL);
    return coir_yield();
}

/* One call is cancelled, by itself: no failure, the others go on. */
COIR_TEST(one_cancellation)
{
    struct job job = {.work = COIR_SEC(1), .result = 7};
    coir_call calls[] = {{cancel_itself, NULL, 0}, {work, &job, 0}};
    COIR_EXPECT_OK(coir_gather(calls, 2, COIR_FAIL_FAST));
    COIR_EXPECT_CODE(calls[0].result, -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(calls[1].result, 7);
}

/* The code alone does not make a cancellation: this task was not cancelled, so it has failed. */
COIR_TEST(one_cancellation_that_is_none)
{
    struct job job = {.work = COIR_SEC(1), .result = 7};
    coir_call calls[] = {{cancel_its_scope, NULL, 0}, {work, &job, 0}};
    COIR_EXPECT_CODE(coir_gather(calls, 2, COIR_FAIL_FAST), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(calls[0].result, -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(job.woke, -ECANCELED);
}

/* Results, failures and cancellations side by side. */
COIR_TEST(result_exception_one_cancellation)
{
    struct job good = {.result = 7}, crash = {.result = -EIO};
    coir_call calls[] = {{work, &good, 0}, {work, &crash, 0}, {cancel_itself, NULL, 0}};
    COIR_EXPECT_OK(coir_gather(calls, 3, COIR_COLLECT));
    COIR_EXPECT_EQ(calls[0].result, 7);
    COIR_EXPECT_CODE(calls[1].result, -EIO);
    COIR_EXPECT_CODE(calls[2].result, -COIR_ECANCELEDTASK);
}

/* Two fail: the first one comes out, and nobody complains that the second was not read. */
COIR_TEST(exception_marking)
{
    struct job first = {.work = COIR_SEC(1), .result = -EIO};
    struct job second = {.work = COIR_SEC(2), .instead = -ENOENT};
    coir_call calls[] = {{work, &first, 0}, {work, &second, 0}};
    COIR_EXPECT_CODE(coir_gather(calls, 2, COIR_FAIL_FAST), -EIO);
    COIR_EXPECT_CODE(calls[1].result, -ENOENT);
    COIR_REQUIRE(coir_last_error() != NULL);
    COIR_EXPECT_CODE(coir_error_code(coir_last_error()), -EIO);
    COIR_REQUIRE(coir_error_next(coir_last_error()) != NULL);
    COIR_EXPECT_CODE(coir_error_code(coir_error_next(coir_last_error())), -ENOENT);
}

/* ---- map ---- */

struct item {
    struct job job;
    int *running, *most;
};

static int run_item(void *arg)
{
    struct item *item = arg;
    if (++*item->running > *item->most)
        *item->most = *item->running;
    int r = work(&item->job);
    --*item->running;
    return r;
}

enum { ITEMS = 10 };

/* Ten items of a second each. */
struct items {
    struct item items[ITEMS];
    int results[ITEMS], running, most;
    coir_time start;
};

static void prepare(struct items *all)
{
    *all = (struct items){.start = coir_now()};
    for (int i = 0; i < ITEMS; i++)
        all->items[i] =
            (struct item){{.work = COIR_SEC(1), .result = i}, &all->running, &all->most};
}

static int map(struct items *all, const coir_map_opts *opts)
{
    return coir_map(run_item, all->items, ITEMS, sizeof(struct item), opts);
}

COIR_TEST(map_without_options_runs_all_at_once)
{
    struct items all;
    prepare(&all);
    COIR_EXPECT_OK(map(&all, NULL));
    COIR_EXPECT_EQ(all.most, ITEMS);
    COIR_EXPECT_EQ(coir_now() - all.start, COIR_SEC(1));
    COIR_EXPECT_OK(coir_map(run_item, NULL, 0, sizeof(struct item), NULL));
}

COIR_TEST(map_keeps_the_limit_and_the_results)
{
    struct items all;
    prepare(&all);
    COIR_EXPECT_OK(map(&all, &(coir_map_opts){.limit = 3, .results = all.results}));
    COIR_EXPECT_EQ(all.most, 3);
    COIR_EXPECT_EQ(coir_now() - all.start, COIR_SEC(4));
    for (int i = 0; i < ITEMS; i++)
        COIR_EXPECT_EQ(all.results[i], i);
}

/* What has not begun when one fails is not begun. */
COIR_TEST(map_fails_fast)
{
    struct items all;
    prepare(&all);
    all.items[2].job = (struct job){.work = COIR_SEC(0.5), .result = -EIO};
    COIR_EXPECT_CODE(map(&all, &(coir_map_opts){.limit = 3, .results = all.results}), -EIO);
    COIR_EXPECT_EQ(coir_now() - all.start, COIR_SEC(0.5));
    for (int i = 0; i < ITEMS; i++) {
        COIR_EXPECT_CODE(all.results[i], i == 2 ? -EIO : -COIR_ECANCELEDTASK);
        COIR_EXPECT_EQ(all.items[i].job.started, i < 3);
    }
    COIR_EXPECT_EQ(all.running, 0);
}

COIR_TEST(map_collects)
{
    struct items all;
    prepare(&all);
    all.items[0].job.result = -EIO;
    const coir_map_opts opts = {.limit = 2, .policy = COIR_COLLECT, .results = all.results};
    COIR_EXPECT_OK(map(&all, &opts));
    COIR_EXPECT_CODE(all.results[0], -EIO);
    for (int i = 1; i < ITEMS; i++)
        COIR_EXPECT_EQ(all.results[i], i);
}

/* One after the other until one succeeds. */
COIR_TEST(map_any)
{
    struct items all;
    prepare(&all);
    for (int i = 0; i < 4; i++)
        all.items[i].job.result = -EIO;
    const coir_map_opts opts = {.limit = 1, .policy = COIR_ANY, .results = all.results};
    COIR_EXPECT_OK(map(&all, &opts));
    COIR_EXPECT_EQ(all.results[4], 4);
    for (int i = 5; i < ITEMS; i++)
        COIR_EXPECT(!all.items[i].job.started);
    COIR_EXPECT_EQ(coir_now() - all.start, COIR_SEC(5));
}

static int map_three_at_a_time(void *arg)
{
    return map(arg, &(coir_map_opts){.limit = 3, .results = ((struct items *)arg)->results});
}

COIR_TEST(map_is_cancelled_with_its_caller)
{
    struct items all;
    prepare(&all);
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(1.5), map_three_at_a_time, &all),
                     -COIR_ECANCELEDTASK);
    for (int i = 0; i < ITEMS; i++) {
        COIR_EXPECT_CODE(all.results[i], i < 3 ? i : -COIR_ECANCELEDTASK);
        COIR_EXPECT_EQ(all.items[i].job.started, i < 6);
    }
    COIR_EXPECT_EQ(all.running, 0);
}
