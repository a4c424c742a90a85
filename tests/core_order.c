/* core_order.c: who runs when: first in first out, drawn from a seed, and never one task alone;
 * time that is the same in every run; and what is refused outside a task or on another loop.
 */
#include <string.h>

#include <coir/event.h>

#include "core_kit.h"

/* What tasks did, one letter each. */
struct record {
    char letters[64];
    size_t count;
};

struct writer {
    struct record *record;
    char letter;
    int times;
};

static int write_and_yield(void *arg)
{
    struct writer *writer = arg;
    for (int i = 0; i < writer->times; i++) {
        writer->record->letters[writer->record->count++ % 63] = writer->letter;
        COIR_TRY(coir_yield());
    }
    return 0;
}

enum { WRITERS = 5 };

/* Five tasks that write their letter three times, and yield each time. */
static int write_together(void *arg)
{
    struct writer writers[WRITERS];
    COIR_GROUP(group);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){arg, (char)('a' + i), 3};
        COIR_TRY(coir_spawn(&group, write_and_yield, &writers[i], NULL));
    }
    return coir_group_wait(&group);
}

COIR_TEST_TAGGED(first_in_first_out, "fifo")
{
    struct record record = {.count = 0};
    COIR_EXPECT_OK(write_together(&record));
    COIR_EXPECT_STR(record.letters, "abcdeabcdeabcde");
}

static void write_with_seed(uint64_t seed, struct record *record)
{
    coir_loop_opts opts = coir_test_loop_opts();
    opts.seed = seed;
    *record = (struct record){.count = 0};
    COIR_EXPECT_OK(coir_run(write_together, record, &opts, NULL));
}

/* A seed draws the order, the same one each time; another seed another one. */
COIR_TEST_TAGGED(a_seed_draws_the_order, "own_loop")
{
    struct record first, again, other;
    int different = 0;
    write_with_seed(1, &first);
    write_with_seed(1, &again);
    COIR_EXPECT_STR(first.letters, again.letters);
    COIR_EXPECT_EQ(first.count, WRITERS * 3);
    for (uint64_t seed = 2; seed <= 9; seed++) {
        write_with_seed(seed, &other);
        different += strcmp(first.letters, other.letters) != 0;
    }
    COIR_EXPECT_GE(different, 7);
    write_with_seed(0, &other);
    COIR_EXPECT_STR(other.letters, "abcdeabcdeabcde");
}

/* ---- nobody runs alone ---- */

struct greedy {
    coir_event *always_set;
    int calls, before_other;
    struct job other;
};

static int never_wait(void *arg)
{
    struct greedy *greedy = arg;
    for (int i = 0; i < 10000; i++) {
        COIR_TRY(coir_event_wait(greedy->always_set));
        greedy->calls++;
        greedy->before_other += !greedy->other.started;
    }
    return 0;
}

/* Tokio's coop_budget: calls that find what they want do not wait, and yield all the same after
 * some of them. */
COIR_TEST(coop_budget)
{
    coir_event event = {0};
    COIR_REQUIRE_OK(coir_event_set(&event));
    struct greedy greedy = {.always_set = &event};
    COIR_GROUP(group);
    SPAWN(&group, never_wait, &greedy, NULL);
    SPAWN(&group, work, &greedy.other, NULL);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(greedy.calls, 10000);
    COIR_EXPECT_LT(greedy.before_other, 10000); /* shuffled: it may have been first */
}

/* The same with what core offers: the join of what has ended. */
COIR_TEST(looking_at_ended_tasks_takes_turns)
{
    struct job ended = {0}, other = {0};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, work, &ended, &task);
    SPAWN(&group, work, &other, NULL);
    for (int i = 0; i < 10000; i++)
        COIR_REQUIRE_EQ(coir_wait_first(&task, 1), 0);
    COIR_EXPECT(other.ended);
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static int yield_until(void *arg)
{
    const bool *flag = arg;
    for (int i = 0; i < 100000 && !*flag; i++)
        COIR_TRY(coir_yield());
    return *flag ? 0 : -ETIMEDOUT;
}

/* Posts and timers are looked at while there is always somebody who can run. Static, because a
 * torture may end the test before they come. */
COIR_TEST(a_busy_loop_sees_posts_and_timers)
{
    static bool posted, timed;
    static coir_post_node node;
    coir_timer timer = {0};
    coir_loop *loop = coir_loop_current();
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_post(loop, &node, set_flag, &posted));
    SPAWN(&group, yield_until, &posted, NULL);
    SPAWN(&group, yield_until, &posted, NULL);
    COIR_EXPECT_OK(coir_group_wait(&group));
    SPAWN(&group, yield_until, &timed, NULL);
    SPAWN(&group, yield_until, &timed, NULL);
    coir_timer_start(loop, &timer, coir_now(), set_flag, &timed);
    int r = coir_group_wait(&group);
    coir_timer_stop(loop, &timer);
    COIR_EXPECT_OK(r);
}

/* ---- time ---- */

enum { SLEEPS = 1000 };

struct times {
    coir_time at[SLEEPS];
};

static int sleep_at_random(void *arg)
{
    struct times *times = arg;
    uint64_t random = 1;
    coir_time start = coir_now();
    for (int i = 0; i < SLEEPS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        COIR_TRY(coir_sleep((coir_time)(random >> 34)));
        times->at[i] = coir_now() - start;
    }
    return 0;
}

COIR_TEST_TAGGED(paused_time_is_deterministic, "own_loop")
{
    static struct times runs[2];
    coir_loop_opts opts = coir_test_loop_opts();
    for (int i = 0; i < 2; i++)
        COIR_EXPECT_OK(coir_run(sleep_at_random, &runs[i], &opts, NULL));
    COIR_EXPECT_BYTES(&runs[0], &runs[1], sizeof runs[0]);
}

/* ---- outside a task, and on another loop ---- */

struct outside {
    coir_task *task;
    coir_group *group;
    bool called;
};

static void call_what_waits(void *arg)
{
    struct outside *outside = arg;
    int value = 0;
    coir_task *task = NULL;
    COIR_EXPECT(coir_current() == NULL);
    COIR_EXPECT_EQ(coir_pending(), 0);
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_yield(), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_join(outside->task, &value), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_wait_first(&outside->task, 1), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_group_wait(outside->group), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_gather(NULL, 0, COIR_FAIL_FAST), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_spawn(NULL, work, NULL, &task), -COIR_ENOTASK);
    outside->called = true;
}

COIR_TEST(nothing_waits_outside_a_task)
{
    struct job job = {.work = COIR_SEC(2)};
    struct outside outside = {0};
    coir_timer timer = {0};
    COIR_GROUP(group);
    outside.group = &group;
    SPAWN(&group, work, &job, &outside.task);
    coir_timer_start(coir_loop_current(), &timer, coir_now(), call_what_waits, &outside);
    int r = coir_sleep(COIR_SEC(1));
    coir_timer_stop(coir_loop_current(), &timer);
    COIR_EXPECT_OK(r);
    COIR_EXPECT(outside.called);
}

static int join_a_stranger(void *arg)
{
    coir_task *stranger = arg;
    COIR_EXPECT_CODE(coir_join(stranger, NULL), -COIR_EWRONGLOOP);
    COIR_EXPECT_CODE(coir_wait_all(&stranger, 1), -COIR_EWRONGLOOP);
    coir_cancel(stranger, NULL); /* can only be reported */
    return 0;
}

static void close_loop(coir_loop **loop)
{
    coir_loop_close(*loop);
}

COIR_TEST_TAGGED(a_task_of_another_loop_is_refused, "own_loop")
{
    __attribute__((cleanup(close_loop))) coir_loop *other = NULL;
    struct job job = {.work = COIR_SEC(1), .result = 7};
    coir_loop_opts opts = coir_test_loop_opts();
    coir_task *stranger;
    coir_test_expect_reports(COIR_REPORT_MISUSE, 1);
    COIR_REQUIRE_OK(coir_loop_open(&opts, &other));
    COIR_REQUIRE_OK(coir_loop_spawn(other, work, &job, &stranger));
    COIR_EXPECT_OK(coir_run(join_a_stranger, stranger, &opts, NULL));
    COIR_EXPECT_EQ(coir_loop_run_until(other, stranger, NULL), 7);
}
