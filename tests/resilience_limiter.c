/* resilience_limiter.c: rates and windows: exact to the nanosecond over a year, fair, and without
 * loss or gain when somebody in line is cancelled.
 */
#include <coir/limiter.h>

#include "sync.h"

static int take_one(void *arg)
{
    return coir_limiter_take(arg, 1);
}

/* ---- the bucket ---- */

COIR_TEST(burst_then_rate)
{
    coir_limiter limiter = {.rate = 100, .per = COIR_SEC(1), .burst = 20};
    coir_time start = coir_now();
    for (int i = 0; i < 20; i++)
        COIR_REQUIRE_OK(coir_limiter_take(&limiter, 1));
    COIR_EXPECT_EQ(coir_now(), start);
    for (int i = 1; i <= 50; i++) {
        COIR_REQUIRE_OK(coir_limiter_take(&limiter, 1));
        COIR_EXPECT_EQ(coir_now() - start, i * COIR_MS(10));
    }
}

/* A rest fills the bucket, and no more than that. */
COIR_TEST(rest_fills_the_bucket)
{
    coir_limiter limiter = {.rate = 10, .burst = 5};
    COIR_REQUIRE_OK(coir_limiter_take(&limiter, 5));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(350)));
    COIR_EXPECT_OK(coir_limiter_try(&limiter, 3));
    COIR_EXPECT_CODE(coir_limiter_try(&limiter, 1), -EAGAIN);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(3600)));
    COIR_EXPECT_OK(coir_limiter_try(&limiter, 5));
    coir_time start = coir_now();
    COIR_REQUIRE_OK(coir_limiter_take(&limiter, 1));
    COIR_EXPECT_EQ(coir_now() - start, COIR_MS(100));
}

COIR_TEST(defaults_of_a_limiter)
{
    coir_limiter limiter = {.rate = 4};
    coir_time start = coir_now();
    COIR_EXPECT_CODE(coir_limiter_take(&limiter, 2), -EINVAL);
    for (int i = 0; i < 5; i++)
        COIR_REQUIRE_OK(coir_limiter_take(&limiter, 1));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
}

COIR_TEST(nonsense)
{
    coir_limiter none = {.burst = 1}, negative = {.rate = 1, .per = -1};
    COIR_EXPECT_CODE(coir_limiter_take(&none, 1), -EINVAL);
    COIR_EXPECT_CODE(coir_limiter_try(&none, 1), -EINVAL);
    COIR_EXPECT_CODE(coir_limiter_take(&negative, 1), -EINVAL);
    coir_time times[2];
    coir_window without = {.limit = 2}, backwards = {.times = times, .limit = 2, .per = -1};
    COIR_EXPECT_CODE(coir_window_take(&without, 1), -EINVAL);
    COIR_EXPECT_CODE(coir_window_try(&backwards, 1), -EINVAL);
    coir_window small = {.times = times, .limit = 2};
    COIR_EXPECT_CODE(coir_window_take(&small, 3), -EINVAL);
    COIR_EXPECT_OK(coir_window_take(&small, 2));
}

/* When the sum is exactly reached at three in seven seconds, from a full bucket. */
static coir_time due(coir_time start, uint64_t sum, uint64_t burst)
{
    if (sum <= burst)
        return start;
    return start + (coir_time)(((sum - burst) * 7000000000u + 2) / 3);
}

/* Each call returns in the very nanosecond in which its last token is complete. */
COIR_TEST_TAGGED(year_at_three_in_seven_seconds, "slow")
{
    coir_limiter limiter = {.rate = 3, .per = COIR_SEC(7), .burst = 1000};
    const coir_time year = COIR_SEC(365 * 86400);
    coir_time start = coir_now();
    uint64_t sum = 0;
    for (uint64_t i = 0; due(start, sum + 1000, 1000) - start < year; i++) {
        uint64_t count = 1 + i * 7919 % 1000;
        COIR_REQUIRE_OK(coir_limiter_take(&limiter, count));
        sum += count;
        COIR_REQUIRE_EQ(coir_now(), due(start, sum, 1000));
    }
    COIR_REQUIRE_OK(coir_sleep_until(start + year));
    struct coir_limiter_stats stats;
    coir_limiter_stats(&limiter, &stats);
    COIR_EXPECT_EQ(stats.taken, sum);
    COIR_EXPECT_EQ(stats.taken + stats.available, 1000 + (uint64_t)year * 3 / 7000000000u);
}

/* One by one, and looked at in odd moments between: looking loses nothing. */
COIR_TEST(looking_does_not_round)
{
    coir_limiter limiter = {.rate = 3, .per = COIR_SEC(7), .burst = 1};
    coir_time start = coir_now();
    for (uint64_t sum = 1; sum <= 300; sum++) {
        COIR_REQUIRE_OK(coir_limiter_take(&limiter, 1));
        COIR_REQUIRE_EQ(coir_now(), due(start, sum, 1));
        COIR_REQUIRE_OK(coir_sleep(COIR_NS(1000000 + 7919 * sum)));
        COIR_EXPECT_CODE(coir_limiter_try(&limiter, 1), -EAGAIN);
    }
}

COIR_TEST(large_numbers)
{
    coir_limiter fast = {.rate = UINT64_MAX, .per = 1, .burst = UINT64_MAX};
    coir_time start = coir_now();
    COIR_REQUIRE_OK(coir_limiter_take(&fast, UINT64_MAX));
    COIR_REQUIRE_OK(coir_limiter_take(&fast, UINT64_MAX));
    COIR_EXPECT_EQ(coir_now() - start, 1);
    coir_limiter slow = {.rate = 1, .per = COIR_FOREVER, .burst = UINT64_MAX};
    COIR_REQUIRE_OK(coir_limiter_take(&slow, UINT64_MAX));
    COIR_DEADLINE(COIR_SEC(1));
    COIR_EXPECT_CODE(coir_limiter_take(&slow, UINT64_MAX), -ETIME);
}

/* A limiter that is made faster is so from the next look, also for who waits. */
COIR_TEST(rate_can_be_changed)
{
    coir_limiter limiter = {.rate = 1, .burst = 2};
    coir_time start = coir_now();
    COIR_REQUIRE_OK(coir_limiter_take(&limiter, 2));
    limiter.rate = 10;
    COIR_REQUIRE_OK(coir_limiter_take(&limiter, 1));
    COIR_EXPECT_EQ(coir_now() - start, COIR_MS(100));
    limiter.burst = 1;
    COIR_EXPECT_CODE(coir_limiter_take(&limiter, 2), -EINVAL);
}

static int take_two(void *arg)
{
    return coir_limiter_take(arg, 2);
}

COIR_TEST(burst_lowered_under_a_waiter)
{
    coir_limiter limiter = {.rate = 1, .burst = 2};
    coir_task *task;
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_limiter_take(&limiter, 2));
    START(&group, take_two, &limiter, &task);
    limiter.burst = 1;
    COIR_EXPECT_CODE(joined(task), -EINVAL);
}

/* ---- the line ---- */

struct taker {
    coir_limiter *limiter;
    uint64_t count;
    struct record *record;
    int digit;
    coir_time when; /* it had them */
};

static int take_and_note(void *arg)
{
    struct taker *taker = arg;
    COIR_TRY(coir_limiter_take(taker->limiter, taker->count));
    note(taker->record, taker->digit);
    taker->when = coir_now();
    return 0;
}

/* The one that wants much goes before those behind it, for whom there would be enough. */
COIR_TEST(line_is_fair)
{
    coir_limiter limiter = {.rate = 10, .burst = 10};
    struct record record = {0};
    struct taker takers[] = {
        {&limiter, 1, &record, 1, 0}, {&limiter, 9, &record, 2, 0}, {&limiter, 1, &record, 3, 0}};
    coir_time start = coir_now();
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_limiter_take(&limiter, 10));
    for (size_t i = 0; i < COIR_COUNT(takers); i++)
        START(&group, take_and_note, &takers[i], NULL);
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(500)));
    COIR_EXPECT_CODE(coir_limiter_try(&limiter, 1), -EAGAIN); /* not past those in line */
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(record.digits, 123);
    COIR_EXPECT_EQ(takers[0].when - start, COIR_MS(100));
    COIR_EXPECT_EQ(takers[1].when - start, COIR_SEC(1));
    COIR_EXPECT_EQ(takers[2].when - start, COIR_MS(1100));
}

/* Cancels the which-th of three in line after 550 ms; who is behind it gets what it would have got
 * had that one never come, but nothing before its time. */
static void cancel_in_line(size_t which, const coir_time expected[3])
{
    coir_limiter limiter = {.rate = 1, .burst = 5};
    struct record record = {0};
    struct taker takers[] = {
        {&limiter, 2, &record, 1, 0}, {&limiter, 3, &record, 2, 0}, {&limiter, 1, &record, 3, 0}};
    coir_task *tasks[3];
    coir_time start = coir_now();
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_limiter_take(&limiter, 5));
    for (size_t i = 0; i < 3; i++)
        START(&group, take_and_note, &takers[i], &tasks[i]);
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(550)));
    coir_cancel(tasks[which], NULL);
    for (size_t i = 0; i < 3; i++) {
        COIR_EXPECT_CODE(joined(tasks[i]), i == which ? -COIR_ECANCELEDTASK : 0);
        COIR_EXPECT_EQ(i == which ? 0 : takers[i].when - start, expected[i]);
    }
    struct coir_limiter_stats stats;
    coir_limiter_stats(&limiter, &stats);
    COIR_EXPECT_EQ(stats.taken, 5 + 6 - takers[which].count);
    COIR_EXPECT_EQ(stats.waits, 2);
    COIR_EXPECT_EQ(stats.waiting, 0);
}

COIR_TEST(first_in_line_is_cancelled)
{
    cancel_in_line(0, (const coir_time[]){0, COIR_SEC(3), COIR_SEC(4)});
}

COIR_TEST(second_in_line_is_cancelled)
{
    cancel_in_line(1, (const coir_time[]){COIR_SEC(2), 0, COIR_SEC(3)});
}

COIR_TEST(last_in_line_is_cancelled)
{
    cancel_in_line(2, (const coir_time[]){COIR_SEC(2), COIR_SEC(5), 0});
}

COIR_TEST(deadline_in_line)
{
    coir_limiter limiter = {.rate = 1, .burst = 1};
    COIR_REQUIRE_OK(coir_limiter_take(&limiter, 1));
    {
        COIR_DEADLINE(COIR_MS(999));
        COIR_EXPECT_CODE(coir_limiter_take(&limiter, 1), -ETIME);
    }
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    COIR_EXPECT_OK(coir_limiter_try(&limiter, 1));
}

COIR_TEST(cancelled_before)
{
    coir_limiter limiter = {.rate = 1, .burst = 1};
    {
        COIR_DEADLINE(0);
        COIR_EXPECT_CODE(coir_limiter_take(&limiter, 1), -ETIME);
    }
    COIR_EXPECT_OK(coir_limiter_try(&limiter, 1));
}

COIR_TEST(figures)
{
    coir_limiter limiter = {.rate = 10, .burst = 4};
    struct coir_limiter_stats stats;
    coir_limiter_stats(&limiter, &stats);
    COIR_EXPECT_EQ(stats.available, 4);
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_limiter_take(&limiter, 4));
    START(&group, take_one, &limiter, NULL);
    START(&group, take_one, &limiter, NULL);
    COIR_EXPECT_CODE(coir_limiter_try(&limiter, 1), -EAGAIN);
    coir_limiter_stats(&limiter, &stats);
    COIR_EXPECT_EQ(stats.waiting, 2);
    COIR_EXPECT_EQ(stats.available, 0);
    COIR_REQUIRE_OK(coir_group_wait(&group));
    coir_limiter_stats(&limiter, &stats);
    COIR_EXPECT_EQ(stats.taken, 6);
    COIR_EXPECT_EQ(stats.waits, 2);
    COIR_EXPECT_EQ(stats.refused, 1);
    COIR_EXPECT_EQ(stats.waiting, 0);
}

/* ---- the window ---- */

COIR_TEST(window_is_full_then_slides)
{
    coir_time times[3];
    coir_window window = {.times = times, .limit = 3, .per = COIR_SEC(10)};
    coir_time start = coir_now();
    for (int i = 0; i < 3; i++) {
        COIR_REQUIRE_OK(coir_window_take(&window, 1));
        COIR_REQUIRE_OK(coir_sleep(COIR_SEC(2)));
    }
    COIR_EXPECT_CODE(coir_window_try(&window, 1), -EAGAIN);
    for (int i = 0; i < 3; i++) {
        COIR_REQUIRE_OK(coir_window_take(&window, 1));
        COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(10 + 2 * i));
    }
}

/* Whoever takes how much and when: no window of its length has more than the limit, and nobody
 * waits longer than that needs. */
COIR_TEST_TAGGED(no_window_has_more, "slow")
{
    enum { LIMIT = 7, CALLS = 2000 };
    static coir_time log[CALLS * LIMIT];
    coir_time times[LIMIT];
    coir_window window = {.times = times, .limit = LIMIT, .per = COIR_MS(50)};
    size_t n = 0;
    for (size_t i = 0; i < CALLS; i++) {
        size_t count = 1 + i * 31 % LIMIT;
        coir_time asked = coir_now();
        COIR_REQUIRE_OK(coir_window_take(&window, count));
        for (size_t k = 0; k < count; k++)
            log[n++] = coir_now();
        if (n > LIMIT) {
            coir_time earliest = log[n - 1 - LIMIT] + COIR_MS(50);
            COIR_REQUIRE_EQ(coir_now(), earliest > asked ? earliest : asked);
        }
        COIR_REQUIRE_OK(coir_sleep(COIR_US(i * 7919 % 30000)));
    }
    for (size_t i = LIMIT; i < n; i++)
        COIR_REQUIRE_GE(log[i] - log[i - LIMIT], COIR_MS(50));
}

static int take_place(void *arg)
{
    return coir_window_take(arg, 1);
}

COIR_TEST(window_waits_in_line)
{
    coir_time times[2];
    coir_window window = {.times = times, .limit = 2};
    coir_task *first, *second;
    coir_time start = coir_now();
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_window_take(&window, 2));
    START(&group, take_place, &window, &first);
    START(&group, take_place, &window, &second);
    struct coir_limiter_stats stats;
    coir_window_stats(&window, &stats);
    COIR_EXPECT_EQ(stats.waiting, 2);
    COIR_EXPECT_EQ(stats.available, 0);
    coir_cancel(first, NULL);
    COIR_EXPECT_CODE(joined(first), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(joined(second));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
    coir_window_stats(&window, &stats);
    COIR_EXPECT_EQ(stats.taken, 3);
    COIR_EXPECT_EQ(stats.available, 1);
}
