/* sync_generator.c: generators: that they run when asked and not before, how they end and fail, and
 * what is left of a value, and of the generator, when either side gives up. The names are those of
 * CPython's test_asyncgen.py where the behaviour is.
 */
#include <coir/generator.h>

#include <coir/event.h>

#include <string.h>

#include "sync.h"

/* Yields 1 to count, and notes each step. */
struct counting {
    int count;
    coir_time pause;  /* before each value; 0: none */
    int result;       /* what it returns at the end */
    int stopped;      /* what cut it short, or 0 */
    int reached;      /* the value that it yields, or has yielded last */
    coir_time cleans; /* what its cleanup takes */
    bool started, ended;
};

static int count_up(struct counting *counting, coir_generator *self)
{
    for (int i = 1; i <= counting->count; i++) {
        if (counting->pause > 0)
            COIR_TRY(coir_sleep(counting->pause));
        counting->reached = i;
        COIR_TRY(coir_generator_yield(self, &i));
    }
    return counting->result < 0 ? coir_fail(counting->result, "the well is dry") : counting->result;
}

static int counts(coir_generator *self, void *arg)
{
    struct counting *counting = arg;
    counting->started = true;
    int r = count_up(counting, self);
    counting->stopped = r == counting->result ? 0 : r;
    if (counting->cleans > 0) {
        COIR_SHIELD(COIR_FOREVER);
        COIR_EXPECT_OK(coir_sleep(counting->cleans));
    }
    counting->ended = true;
    return r;
}

#define GENERATOR(name, counting)                                                                  \
    COIR_AUTO(coir_generator) *name = NULL;                                                        \
    COIR_REQUIRE_OK(coir_generator_open(int, counts, (counting), &name))

/* Asks for a value from another task. */
struct asking {
    coir_generator *gen;
    int value;
    int result;
    int after; /* what the next call returned */
};

static int ask(void *arg)
{
    struct asking *asking = arg;
    asking->result = coir_generator_next(asking->gen, &asking->value);
    asking->after = coir_yield();
    return asking->result < 0 ? asking->result : asking->after;
}

static int sum_of(coir_generator *gen, int *sum)
{
    int value, r;
    for (*sum = 0; (r = coir_generator_next(gen, &value)) > 0;)
        *sum += value;
    return r;
}

static void run_through(void)
{
    struct counting counting = {.count = 3, .result = 7};
    int value = 0;
    GENERATOR(gen, &counting);
    for (int i = 1; i <= 3; i++) {
        COIR_EXPECT_EQ(coir_generator_next(gen, &value), 1);
        COIR_EXPECT_EQ(value, i);
        COIR_EXPECT_EQ(counting.reached, i);
        COIR_EXPECT(!counting.ended);
    }
    COIR_EXPECT_EQ(coir_generator_next(gen, &value), 0);
    COIR_EXPECT(counting.ended);
    COIR_EXPECT_EQ(coir_generator_next(gen, &value), 0);
    COIR_EXPECT_EQ(value, 3);
}

COIR_TEST(values_and_the_end)
{
    run_through();
}

/* A seeded loop hands over by the queue: the direct way needs tests without a seed. */
COIR_TEST_TAGGED(values_and_the_end_the_direct_way, "fifo")
{
    run_through();
}

COIR_TEST(nothing_runs_before_it_is_asked_for)
{
    struct counting counting = {.count = 3};
    int value;
    GENERATOR(gen, &counting);
    SETTLE();
    COIR_EXPECT(!counting.started);
    COIR_EXPECT_EQ(coir_generator_next(gen, &value), 1);
    SETTLE();
    COIR_EXPECT_EQ(counting.reached, 1);
}

COIR_TEST(open_validates)
{
    coir_generator *gen = NULL;
    COIR_EXPECT_CODE(coir_generator_open_at(0, counts, NULL, &gen, COIR_SITE(NULL)), -EINVAL);
    COIR_EXPECT_CODE(coir_generator_open(int, NULL, NULL, &gen), -EINVAL);
    COIR_EXPECT_PTR(gen, NULL);
    coir_generator_close(NULL);
}

COIR_TEST(waits_inside)
{
    struct counting counting = {.count = 3, .pause = COIR_SEC(1)};
    coir_time start = coir_now();
    int sum;
    GENERATOR(gen, &counting);
    COIR_EXPECT_OK(sum_of(gen, &sum));
    COIR_EXPECT_EQ(sum, 6);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(3));
}

/* ---- failures ---- */

COIR_TEST(failure_surfaces_once_with_its_trace)
{
    struct counting counting = {.count = 1, .result = -EIO};
    int value;
    char text[512];
    GENERATOR(gen, &counting);
    COIR_REQUIRE_EQ(coir_generator_next(gen, &value), 1);
    COIR_EXPECT_CODE(coir_generator_next(gen, &value), -EIO);
    coir_error_format(coir_last_error(), -EIO, text, sizeof text);
    COIR_EXPECT_CONTAINS(text, "error: EIO: the well is dry");
    COIR_EXPECT_CONTAINS(text, "count_up");
    COIR_EXPECT_CONTAINS(text, "task 'counts' spawned at sync_generator.c:");
    COIR_EXPECT_CONTAINS(text, ", joined by 'failure_surfaces_once");
    COIR_EXPECT_EQ(coir_generator_next(gen, &value), 0);
}

/* It fails while nobody waits: the next one who asks hears of it. */
COIR_TEST(failure_that_comes_before_the_question)
{
    struct counting counting = {.count = 0, .result = -EIO};
    struct asking a = {.result = 9};
    coir_task *task;
    int value;
    GENERATOR(gen, &counting);
    a.gen = gen;
    counting.cleans = COIR_SEC(1);
    COIR_GROUP(group);
    START(&group, ask, &a, &task);
    coir_cancel(task, NULL);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(2)));
    COIR_EXPECT(counting.ended);
    COIR_EXPECT_CODE(coir_generator_next(gen, &value), -EIO);
    COIR_EXPECT_STR(coir_last_message(-EIO), "the well is dry");
    COIR_EXPECT_EQ(coir_generator_next(gen, &value), 0);
}

/* One that fails on being closed has nobody else to tell. */
COIR_TEST(failure_that_nobody_got_is_reported)
{
    struct counting counting = {.count = 3, .pause = COIR_SEC(1)};
    struct asking a = {.result = 9};
    int value;
    coir_test_expect_reports(COIR_REPORT_UNJOINED, 1);
    {
        GENERATOR(gen, &counting);
        COIR_REQUIRE_EQ(coir_generator_next(gen, &value), 1);
        COIR_SCOPE(patience, COIR_MS(1));
        COIR_EXPECT_CODE(coir_generator_next(gen, &value), -ETIME);
        coir_scope_leave(&patience);
        counting.count = counting.reached + 1;
        counting.result = -EIO;
        COIR_REQUIRE_OK(coir_sleep(COIR_SEC(3)));
        COIR_EXPECT_EQ(coir_generator_next(gen, &value), 1);
        a.gen = gen;
        COIR_GROUP(group);
        coir_task *task;
        counting.cleans = COIR_SEC(1);
        START(&group, ask, &a, &task);
        coir_cancel(task, NULL);
        COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
        COIR_REQUIRE_OK(coir_sleep(COIR_SEC(2)));
    }
    COIR_EXPECT(counting.ended);
}

/* ---- closing ---- */

/* As asyncio's aclose: the generator is cancelled where it waits, and its cleanup has run. */
COIR_TEST(close_runs_the_cleanup)
{
    struct counting counting = {.count = 3, .cleans = COIR_SEC(0.5)};
    coir_time start = coir_now();
    int value;
    {
        GENERATOR(gen, &counting);
        COIR_REQUIRE_EQ(coir_generator_next(gen, &value), 1);
    }
    COIR_EXPECT_CODE(counting.stopped, -ECANCELED);
    COIR_EXPECT(counting.ended);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(0.5));
}

COIR_TEST(close_while_it_waits_inside)
{
    struct counting counting = {.count = 3, .pause = COIR_SEC(1)};
    int value;
    {
        GENERATOR(gen, &counting);
        COIR_DEADLINE(COIR_MS(500));
        COIR_EXPECT_CODE(coir_generator_next(gen, &value), -ETIME);
    }
    COIR_EXPECT_CODE(counting.stopped, -ECANCELED);
    COIR_EXPECT_EQ(counting.reached, 0);
}

/* A function always runs, so that it can release its argument; its first wait says why. */
COIR_TEST(close_before_it_was_asked)
{
    struct counting counting = {.count = 3};
    {
        GENERATOR(gen, &counting);
    }
    COIR_EXPECT(counting.started);
    COIR_EXPECT_CODE(counting.stopped, -ECANCELED);
}

COIR_TEST(close_after_the_end)
{
    struct counting counting = {.count = 1};
    int sum;
    GENERATOR(gen, &counting);
    COIR_EXPECT_OK(sum_of(gen, &sum));
    coir_generator_close(COIR_TAKE(gen));
    COIR_EXPECT(counting.ended);
}

COIR_TEST(close_wakes_who_waits)
{
    struct counting counting = {.count = 3, .pause = COIR_SEC(1)};
    struct asking a = {.result = 9};
    coir_task *task;
    GENERATOR(gen, &counting);
    a.gen = gen;
    COIR_GROUP_COLLECT(group);
    START(&group, ask, &a, &task);
    coir_generator_close(COIR_TAKE(gen));
    COIR_EXPECT_CODE(joined(task), -COIR_ECLOSED);
    COIR_EXPECT_CODE(counting.stopped, -ECANCELED);
}

static int yields_under_a_shield(coir_generator *self, void *arg)
{
    int *results = arg, value = 1;
    COIR_SHIELD(COIR_FOREVER);
    results[0] = coir_generator_yield(self, &value);
    results[1] = coir_generator_yield(self, &value);
    return 0;
}

/* A shield holds the cancellation off, but nobody will ever ask again. */
COIR_TEST(yield_while_closing)
{
    int results[2] = {9, 9}, value;
    COIR_AUTO(coir_generator) *gen = NULL;
    COIR_REQUIRE_OK(coir_generator_open(int, yields_under_a_shield, results, &gen));
    COIR_REQUIRE_EQ(coir_generator_next(gen, &value), 1);
    coir_generator_close(COIR_TAKE(gen));
    COIR_EXPECT_CODE(results[0], -COIR_ECLOSED);
    COIR_EXPECT_CODE(results[1], -COIR_ECLOSED);
}

static int closes_itself(coir_generator *self, void *arg)
{
    (void)arg;
    int value = 1;
    coir_generator_close(self);
    return coir_generator_yield(self, &value);
}

COIR_TEST_TAGGED(close_by_itself, "expect_reports")
{
    int value;
    COIR_AUTO(coir_generator) *gen = NULL;
    COIR_REQUIRE_OK(coir_generator_open(int, closes_itself, NULL, &gen));
    COIR_EXPECT_EQ(coir_generator_next(gen, &value), 1);
    COIR_EXPECT_EQ(coir_test_report_count(COIR_REPORT_MISUSE), 1);
}

/* ---- cancelling ---- */

/* Who gives up takes nothing with it: the value comes to the next one who asks. */
COIR_TEST(cancelled_next_loses_nothing)
{
    struct counting counting = {.count = 2, .pause = COIR_SEC(1)};
    int value;
    GENERATOR(gen, &counting);
    {
        COIR_DEADLINE(COIR_MS(500));
        COIR_EXPECT_CODE(coir_generator_next(gen, &value), -ETIME);
    }
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(5)));
    COIR_EXPECT_EQ(counting.reached, 1);
    COIR_EXPECT_EQ(coir_generator_next(gen, &value), 1);
    COIR_EXPECT_EQ(value, 1);
    COIR_EXPECT_EQ(coir_generator_next(gen, &value), 1);
    COIR_EXPECT_EQ(value, 2);
    COIR_EXPECT_EQ(coir_generator_next(gen, &value), 0);
}

static int sets_and_yields(coir_generator *self, void *arg)
{
    int value = 5;
    COIR_TRY(coir_event_wait(arg));
    return coir_generator_yield(self, &value);
}

/* Cancelled while the generator is about to yield: the value is kept. Cancelled when it has: the
 * call has ended, and the next one reports. */
static void cancel_around_the_value(bool before)
{
    coir_event event = {0};
    struct asking a = {.result = 9};
    coir_task *task;
    int value = 0;
    COIR_AUTO(coir_generator) *gen = NULL;
    COIR_REQUIRE_OK(coir_generator_open(int, sets_and_yields, &event, &gen));
    a.gen = gen;
    COIR_GROUP(group);
    START(&group, ask, &a, &task);
    coir_event_set(&event);
    if (before)
        coir_cancel(task, NULL);
    COIR_EXPECT_CODE(joined(task), before ? -COIR_ECANCELEDTASK : 0);
    COIR_EXPECT_EQ(a.result, before ? -ECANCELED : 1);
    SETTLE();
    COIR_EXPECT_EQ(coir_generator_next(gen, &value), before ? 1 : 0);
    COIR_EXPECT_EQ(value, before ? 5 : 0);
}

COIR_TEST(cancel_meets_the_value)
{
    cancel_around_the_value(true);
    cancel_around_the_value(false);
}

static int cancels_who_asks(coir_generator *self, void *arg)
{
    coir_task **who = arg;
    int value = 5;
    coir_cancel(*who, NULL);
    return coir_generator_yield(self, &value);
}

/* The generator itself cancels its consumer, then yields. */
COIR_TEST(cancelled_by_the_generator)
{
    struct asking a = {.result = 9};
    coir_task *task = NULL;
    int value = 0;
    COIR_AUTO(coir_generator) *gen = NULL;
    COIR_REQUIRE_OK(coir_generator_open(int, cancels_who_asks, &task, &gen));
    a.gen = gen;
    COIR_GROUP(group);
    START(&group, ask, &a, &task);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(a.result, -ECANCELED);
    COIR_EXPECT_EQ(coir_generator_next(gen, &value), 1);
    COIR_EXPECT_EQ(value, 5);
}

static int gives_up_waiting(coir_generator *self, void *arg)
{
    int value = 1;
    {
        COIR_DEADLINE(COIR_SEC(1));
        *(int *)arg = coir_generator_yield(self, &value);
    }
    value = 2;
    return coir_generator_yield(self, &value);
}

/* A deadline of the generator's own, around a yield: it goes on, and waits with what comes next. */
COIR_TEST(deadline_around_a_yield)
{
    int result = 9, value = 0;
    COIR_AUTO(coir_generator) *gen = NULL;
    COIR_REQUIRE_OK(coir_generator_open(int, gives_up_waiting, &result, &gen));
    COIR_EXPECT_EQ(coir_generator_next(gen, &value), 1);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(2)));
    COIR_EXPECT_CODE(result, -ETIME);
    COIR_EXPECT_EQ(value, 1);
    COIR_EXPECT_EQ(coir_generator_next(gen, &value), 1);
    COIR_EXPECT_EQ(value, 2);
    COIR_EXPECT_EQ(coir_generator_next(gen, &value), 0);
}

static int make(struct counting *counting, coir_generator **ret_gen)
{
    COIR_DEADLINE(COIR_SEC(1));
    return coir_generator_open(int, counts, counting, ret_gen);
}

/* It may be handed out of the block that opened it, and is not bound by its deadline. */
COIR_TEST(outlives_the_scope_that_opened_it)
{
    struct counting counting = {.count = 2, .pause = COIR_SEC(2)};
    int sum;
    COIR_AUTO(coir_generator) *gen = NULL;
    COIR_REQUIRE_OK(make(&counting, &gen));
    COIR_EXPECT_OK(sum_of(gen, &sum));
    COIR_EXPECT_EQ(sum, 3);
}

COIR_TEST(pending_cancellation_is_reported_first)
{
    struct counting counting = {.count = 1};
    int value;
    GENERATOR(gen, &counting);
    COIR_SCOPE(scope, COIR_FOREVER);
    coir_scope_cancel(&scope, NULL);
    COIR_EXPECT_CODE(coir_generator_next(gen, &value), -ECANCELED);
    COIR_EXPECT(!counting.started);
}

/* ---- in coir_select ---- */

COIR_TEST(select_value_or_event)
{
    struct counting counting = {.count = 2, .pause = COIR_SEC(1)};
    coir_event event = {0};
    int value = 0;
    GENERATOR(gen, &counting);
    coir_case cases[] = {COIR_ON_EVENT(&event), COIR_ON_GENERATOR(gen, &value),
                         COIR_ON_TIMER(COIR_SEC(0.5))};
    COIR_EXPECT_CODE(coir_try_select(cases, 2), -EAGAIN);
    SETTLE();
    COIR_EXPECT(!counting.started);
    COIR_EXPECT_EQ(coir_select(cases, 2), 1);
    COIR_EXPECT_EQ(cases[1].result, 1);
    COIR_EXPECT_EQ(value, 1);
    COIR_EXPECT_EQ(coir_select(cases, 3), 2); /* the second is being made, and is kept */
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    COIR_EXPECT_EQ(coir_try_select(cases, 2), 1);
    COIR_EXPECT_EQ(value, 2);
    COIR_EXPECT_EQ(coir_select(cases, 2), 1);
    COIR_EXPECT_EQ(cases[1].result, 0);
    COIR_EXPECT_EQ(coir_select(cases, 2), 1);
    COIR_EXPECT_EQ(cases[1].result, 0);
    coir_event_set(&event);
    COIR_EXPECT_EQ(coir_select(cases, 2), 0);
}

COIR_TEST(select_failure)
{
    struct counting counting = {.pause = COIR_SEC(1), .result = -EIO};
    int value;
    GENERATOR(gen, &counting);
    coir_case cases[] = {COIR_ON_GENERATOR(gen, &value), COIR_ON_GENERATOR(gen, &value)};
    COIR_EXPECT_CODE(coir_select(cases, 2), -EBUSY);
    COIR_EXPECT_EQ(coir_select(cases, 1), 0);
    COIR_EXPECT_CODE(cases[0].result, -EIO);
    COIR_EXPECT_STR(coir_last_message(-EIO), "the well is dry");
    COIR_EXPECT_EQ(coir_select(cases, 1), 0);
    COIR_EXPECT_EQ(cases[0].result, 0);
    char small;
    coir_case wrong[] = {COIR_ON_GENERATOR(gen, &small)};
    COIR_EXPECT_CODE(coir_select(wrong, 1), -EINVAL);
}

struct selecting {
    coir_generator *a, *b;
    int value_a, value_b, index, result;
};

static int select_either(void *arg)
{
    struct selecting *selecting = arg;
    coir_case cases[] = {COIR_ON_GENERATOR(selecting->a, &selecting->value_a),
                         COIR_ON_GENERATOR(selecting->b, &selecting->value_b)};
    selecting->index = coir_select(cases, 2);
    if (selecting->index >= 0)
        selecting->result = cases[selecting->index].result;
    return selecting->index < 0 ? selecting->index : 0;
}

/* Of two, the quicker; what the other one makes is kept. Closing ends the case. */
COIR_TEST(select_of_two)
{
    struct counting slow = {.count = 2, .pause = COIR_SEC(3)};
    struct counting quick = {.count = 2, .pause = COIR_SEC(2)};
    coir_task *task;
    GENERATOR(a, &slow);
    GENERATOR(b, &quick);
    struct selecting selecting = {a, b, 0, 0, 9, 9};
    COIR_GROUP(group);
    START(&group, select_either, &selecting, &task);
    COIR_EXPECT_OK(joined(task));
    COIR_EXPECT_EQ(selecting.index, 1);
    COIR_EXPECT_EQ(selecting.value_b, 1);
    START(&group, select_either, &selecting, &task);
    coir_cancel(task, NULL);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(9)));
    COIR_EXPECT_EQ(coir_generator_next(a, &selecting.value_a), 1);
    COIR_EXPECT_EQ(coir_generator_next(b, &selecting.value_b), 1);
    COIR_EXPECT_EQ(selecting.value_a, 1);
    COIR_EXPECT_EQ(selecting.value_b, 2);
    START(&group, select_either, &selecting, &task);
    coir_generator_close(COIR_TAKE(a));
    COIR_EXPECT_OK(joined(task));
    COIR_EXPECT_EQ(selecting.index == 0 ? selecting.result : -COIR_ECLOSED, -COIR_ECLOSED);
}

/* ---- misuse ---- */

static int asks_itself(coir_generator *self, void *arg)
{
    int value;
    *(int *)arg = coir_generator_next(self, &value);
    return 0;
}

COIR_TEST(wrong_callers)
{
    struct counting counting = {.count = 3, .pause = COIR_SEC(1)};
    struct asking a = {.result = 9};
    int value = 0, own = 0;
    char small;
    GENERATOR(gen, &counting);
    COIR_AUTO(coir_generator) *second = NULL;
    COIR_REQUIRE_OK(coir_generator_open(int, asks_itself, &own, &second));
    a.gen = gen;
    COIR_GROUP(group);
    COIR_EXPECT_CODE(coir_generator_yield(gen, &value), -EINVAL);
    COIR_EXPECT_CODE(coir_generator_next(gen, &small), -EINVAL);
    START(&group, ask, &a, NULL);
    COIR_EXPECT_CODE(coir_generator_next(gen, &value), -EBUSY);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(a.value, 1);
    COIR_EXPECT_EQ(coir_generator_next(second, &value), 0);
    COIR_EXPECT_CODE(own, -EDEADLK);
}

COIR_TEST_TAGGED(outside_a_task, "own_loop")
{
    coir_generator *gen = NULL;
    COIR_EXPECT_CODE(coir_generator_open(int, counts, NULL, &gen), -COIR_ENOTASK);
}

/* ---- many ---- */

/* Doubles what another generator yields. */
static int doubles(coir_generator *self, void *arg)
{
    COIR_AUTO(coir_generator) *source = arg;
    int value;
    while (COIR_TRY(coir_generator_next(source, &value)) > 0) {
        value *= 2;
        COIR_TRY(coir_generator_yield(self, &value));
    }
    return 0;
}

static void run_pipeline(int count)
{
    struct counting counting = {.count = count};
    int sum = 0;
    COIR_AUTO(coir_generator) *gen = NULL, *twice = NULL;
    COIR_REQUIRE_OK(coir_generator_open(int, counts, &counting, &gen));
    COIR_REQUIRE_OK(coir_generator_open(int, doubles, gen, &twice));
    (void)COIR_TAKE(gen);
    COIR_EXPECT_OK(sum_of(twice, &sum));
    COIR_EXPECT_EQ(sum, count * (count + 1));
}

COIR_TEST_TAGGED(pipeline, "liveness")
{
    run_pipeline(100);
}

COIR_TEST_TAGGED(pipeline_the_direct_way, "fifo,liveness")
{
    run_pipeline(1000);
}

static int counts_yields(void *arg)
{
    for (;; ++*(int *)arg)
        COIR_TRY(coir_yield());
}

/* Two tasks that switch to each other directly do not shut out the others. */
COIR_TEST_TAGGED(others_run_too, "fifo")
{
    struct counting counting = {.count = 10000};
    int sum, yields = 0, ticks = 0;
    GENERATOR(gen, &counting);
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, counts_yields, &yields, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, counts_yields, &ticks, NULL));
    COIR_EXPECT_OK(sum_of(gen, &sum));
    COIR_EXPECT_EQ(sum, 10000 * 10001 / 2);
    COIR_EXPECT_GE(yields, 50);
    COIR_EXPECT_GE(ticks, 50);
}

static int ask_under_deadlines(coir_generator *gen, int *sum)
{
    for (;;) {
        COIR_SCOPE(patience, COIR_US(3));
        int value, r = coir_generator_next(gen, &value);
        if (r > 0)
            *sum += value;
        else if (r != -ETIME || !coir_scope_expired(&patience))
            return r;
    }
}

/* Questions that are given up again and again, just when values come. */
COIR_TEST_TAGGED(nothing_is_lost_under_deadlines, "liveness")
{
    struct counting counting = {.count = 200, .pause = COIR_US(2)};
    int sum = 0;
    GENERATOR(gen, &counting);
    COIR_EXPECT_OK(ask_under_deadlines(gen, &sum));
    COIR_EXPECT_EQ(sum, 200 * 201 / 2);
}

struct large {
    char text[100];
};

static int yields_large_values(coir_generator *self, void *arg)
{
    (void)arg;
    struct large large;
    for (int i = 0; i < 3; i++) {
        memset(large.text, 'a' + i, sizeof large.text);
        COIR_TRY(coir_generator_yield(self, &large));
    }
    return 0;
}

COIR_TEST(large_values)
{
    struct large large;
    int count = 0;
    COIR_AUTO(coir_generator) *gen = NULL;
    COIR_REQUIRE_OK(coir_generator_open(struct large, yields_large_values, NULL, &gen));
    for (; coir_generator_next(gen, &large) > 0; count++)
        COIR_EXPECT_EQ(large.text[99], 'a' + count);
    COIR_EXPECT_EQ(count, 3);
}

COIR_TEST(descriptions)
{
    struct counting counting = {.count = 2, .pause = COIR_SEC(1)};
    struct asking a = {.result = 9};
    coir_task *task;
    char text[192];
    GENERATOR(gen, &counting);
    a.gen = gen;
    COIR_GROUP(group);
    START(&group, ask, &a, &task);
    coir_task_describe(task, text, sizeof text);
    COIR_EXPECT_CONTAINS(text, "waits for a value of generator 'counts' opened at ");
    COIR_EXPECT_OK(joined(task));
}
