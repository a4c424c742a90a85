/* resilience_retry.c: retries: pauses and their growth, chance, bounds, what is never retried, and
 * hints from the server.
 */
#include <coir/retry.h>

#include "sync.h"

struct flaky {
    int fail_first; /* calls that fail */
    int code;       /* how; 0: -ECONNREFUSED */
    int calls;
    coir_time takes; /* how long each call takes */
};

static int call_flaky(void *arg)
{
    struct flaky *flaky = arg;
    flaky->calls++;
    if (flaky->takes > 0)
        COIR_TRY(coir_sleep(flaky->takes));
    if (flaky->calls > flaky->fail_first)
        return 3;
    return flaky->code != 0 ? flaky->code : -ECONNREFUSED;
}

COIR_TEST(retry_backs_off_exponentially)
{
    coir_retry retry = {.attempts = 5, .base = COIR_SEC(1), .cap = COIR_SEC(60)};
    coir_time start = coir_now();
    struct flaky service = {.fail_first = 4};
    COIR_EXPECT_EQ(coir_retry_run(&retry, call_flaky, &service), 3);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1 + 2 + 4 + 8));
    COIR_EXPECT_EQ(service.calls, 5);
}

COIR_TEST(defaults)
{
    coir_time start = coir_now();
    struct flaky service = {.fail_first = 9};
    COIR_EXPECT_CODE(coir_retry_run(NULL, call_flaky, &service), -ECONNREFUSED);
    COIR_EXPECT_EQ(service.calls, 5);
    COIR_EXPECT_EQ(coir_now() - start, COIR_MS(100 + 200 + 400 + 800));
}

COIR_TEST(success_at_once)
{
    coir_time start = coir_now();
    struct flaky service = {0};
    COIR_EXPECT_EQ(coir_retry_run(NULL, call_flaky, &service), 3);
    COIR_EXPECT_EQ(service.calls, 1);
    COIR_EXPECT_EQ(coir_now(), start);
}

COIR_TEST(cap_and_factor)
{
    coir_retry retry = {.attempts = 6, .base = COIR_SEC(1), .cap = COIR_SEC(10), .factor = 3};
    coir_time start = coir_now();
    struct flaky service = {.fail_first = 9};
    COIR_EXPECT_CODE(coir_retry_run(&retry, call_flaky, &service), -ECONNREFUSED);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1 + 3 + 9 + 10 + 10));
}

COIR_TEST(nonsense)
{
    static const coir_retry all[] = {
        {.factor = 0.5}, {.base = -1},  {.cap = -1},
        {.each = -1},    {.total = -1}, {.jitter = (coir_jitter)4},
    };
    struct flaky service = {0};
    coir_retry_state state = {0};
    for (size_t i = 0; i < COIR_COUNT(all); i++) {
        COIR_EXPECT_CODE(coir_retry_run(&all[i], call_flaky, &service), -EINVAL);
        COIR_EXPECT_CODE(coir_retry_next(&all[i], &state, -EIO, 0), -EINVAL);
    }
    COIR_EXPECT_CODE(coir_retry_next(NULL, &state, 0, 0), -EINVAL);
    COIR_EXPECT_CODE(coir_retry_next(NULL, &state, -EIO, -1), -EINVAL);
    COIR_EXPECT_EQ(service.calls, 0);
}

static bool is_busy(int code, void *arg)
{
    (void)arg;
    return code == -EBUSY;
}

COIR_TEST(predicate)
{
    coir_retry retry = {.retryable = is_busy};
    struct flaky busy = {.fail_first = 2, .code = -EBUSY},
                 gone = {.fail_first = 2, .code = -ENOENT};
    COIR_EXPECT_EQ(coir_retry_run(&retry, call_flaky, &busy), 3);
    COIR_EXPECT_EQ(busy.calls, 3);
    COIR_EXPECT_CODE(coir_retry_run(&retry, call_flaky, &gone), -ENOENT);
    COIR_EXPECT_EQ(gone.calls, 1);
}

static bool is_anything(int code, void *arg)
{
    (void)code, (void)arg;
    return true;
}

/* Whatever the predicate says. */
COIR_TEST(cancellations_are_never_retried)
{
    coir_retry retry = {.retryable = is_anything};
    struct flaky canceled = {.fail_first = 9, .code = -ECANCELED},
                 late = {.fail_first = 9, .code = -ETIME};
    COIR_EXPECT_CODE(coir_retry_run(&retry, call_flaky, &canceled), -ECANCELED);
    COIR_EXPECT_CODE(coir_retry_run(&retry, call_flaky, &late), -ETIME);
    COIR_EXPECT_EQ(canceled.calls, 1);
    COIR_EXPECT_EQ(late.calls, 1);
}

COIR_TEST(misuse_is_not_retried)
{
    static const int codes[] = {-EINVAL, -COIR_EWRONGLOOP, -COIR_ENOTASK};
    for (size_t i = 0; i < COIR_COUNT(codes); i++) {
        struct flaky service = {.fail_first = 9, .code = codes[i]};
        COIR_EXPECT_CODE(coir_retry_run(NULL, call_flaky, &service), codes[i]);
        COIR_EXPECT_EQ(service.calls, 1);
    }
}

static int retry_for_ever(void *arg)
{
    return coir_retry_run(&(coir_retry){.attempts = 1000}, call_flaky, arg);
}

COIR_TEST(cancelled_in_a_pause)
{
    struct flaky service = {.fail_first = 10000};
    coir_task *task;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, retry_for_ever, &service, &task));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(150)));
    coir_cancel(task, NULL);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(service.calls, 2);
}

COIR_TEST(outer_deadline)
{
    struct flaky service = {.fail_first = 10000};
    coir_time start = coir_now();
    COIR_DEADLINE(COIR_MS(500));
    COIR_EXPECT_CODE(retry_for_ever(&service), -ETIME);
    COIR_EXPECT_EQ(coir_now() - start, COIR_MS(500));
}

/* No pause is begun that would end too late: 1 + 2 s have passed, 4 s more are too many. */
COIR_TEST(total_ends_before_a_pause)
{
    coir_retry retry = {
        .attempts = 50, .base = COIR_SEC(1), .cap = COIR_SEC(60), .total = COIR_SEC(6)};
    struct flaky service = {.fail_first = 99};
    coir_time start = coir_now();
    COIR_EXPECT_CODE(coir_retry_run(&retry, call_flaky, &service), -ECONNREFUSED);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(3));
    COIR_EXPECT_EQ(service.calls, 3);
    COIR_EXPECT_OK(coir_yield());
}

COIR_TEST(total_ends_a_call)
{
    coir_retry retry = {.total = COIR_SEC(6)};
    struct flaky never = {.takes = COIR_SEC(60)}, slow = {.fail_first = 9, .takes = COIR_SEC(4)};
    COIR_EXPECT_CODE(coir_retry_run(&retry, call_flaky, &never), -ETIMEDOUT);
    COIR_EXPECT_EQ(never.calls, 1);
    COIR_EXPECT_CODE(coir_retry_run(&retry, call_flaky, &slow), -ECONNREFUSED);
    COIR_EXPECT_EQ(slow.calls, 2);
    COIR_EXPECT_OK(coir_yield());
}

COIR_TEST(each_bounds_one_call)
{
    coir_retry retry = {.attempts = 3, .base = COIR_SEC(1), .each = COIR_SEC(2)};
    struct flaky service = {.takes = COIR_SEC(60)};
    coir_time start = coir_now();
    COIR_EXPECT_CODE(coir_retry_run(&retry, call_flaky, &service), -ETIMEDOUT);
    COIR_EXPECT_EQ(service.calls, 3);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(2 + 1 + 2 + 2 + 2));
    struct flaky quick = {.fail_first = 1, .takes = COIR_SEC(1)};
    COIR_EXPECT_EQ(coir_retry_run(&retry, call_flaky, &quick), 3);
}

struct heard {
    unsigned last_attempt;
    int code;
    coir_time pauses[64];
};

static void hear(unsigned attempt, int code, coir_time pause, void *arg)
{
    struct heard *heard = arg;
    heard->last_attempt = attempt;
    heard->code = code;
    heard->pauses[attempt - 1] = pause;
}

COIR_TEST(hook)
{
    struct heard heard = {0};
    coir_retry retry = {.attempts = 3, .base = COIR_SEC(1), .on_retry = hear, .arg = &heard};
    struct flaky service = {.fail_first = 9};
    COIR_EXPECT_CODE(coir_retry_run(&retry, call_flaky, &service), -ECONNREFUSED);
    COIR_EXPECT_EQ(heard.last_attempt, 2);
    COIR_EXPECT_CODE(heard.code, -ECONNREFUSED);
    COIR_EXPECT_EQ(heard.pauses[0], COIR_SEC(1));
    COIR_EXPECT_EQ(heard.pauses[1], COIR_SEC(2));
}

/* Draws the pauses of 50 retries with one kind of jitter. */
static void draw_pauses(coir_jitter jitter, uint64_t seed, struct heard *heard)
{
    coir_retry retry = {
        .attempts = 51,
        .base = COIR_SEC(1),
        .cap = COIR_SEC(100),
        .jitter = jitter,
        .seed = seed,
        .on_retry = hear,
        .arg = heard,
    };
    struct flaky service = {.fail_first = 99};
    COIR_EXPECT_CODE(coir_retry_run(&retry, call_flaky, &service), -ECONNREFUSED);
    COIR_EXPECT_EQ(heard->last_attempt, 50);
}

COIR_TEST(jitter_stays_within_its_bounds)
{
    struct heard full = {0}, equal = {0}, decorrelated = {0};
    draw_pauses(COIR_JITTER_FULL, 1, &full);
    draw_pauses(COIR_JITTER_EQUAL, 2, &equal);
    draw_pauses(COIR_JITTER_DECORRELATED, 3, &decorrelated);
    coir_time before = COIR_SEC(1);
    for (int i = 0; i < 50; i++) {
        coir_time plain = i < 7 ? COIR_SEC(1 << i) : COIR_SEC(100);
        COIR_EXPECT_GE(full.pauses[i], 0);
        COIR_EXPECT_LE(full.pauses[i], plain);
        COIR_EXPECT_GE(equal.pauses[i], plain / 2);
        COIR_EXPECT_LE(equal.pauses[i], plain);
        COIR_EXPECT_GE(decorrelated.pauses[i], COIR_SEC(1));
        COIR_EXPECT_LE(decorrelated.pauses[i], COIR_SEC(100));
        COIR_EXPECT_LE(decorrelated.pauses[i], 3 * before);
        before = decorrelated.pauses[i];
    }
}

static void count(unsigned attempt, int code, coir_time pause, void *arg)
{
    (void)attempt, (void)code;
    COIR_EXPECT_GE(pause, 0);
    ++*(int *)arg;
}

/* Pauses of centuries are no overflow. */
COIR_TEST(the_longest_pauses)
{
    for (int jitter = COIR_JITTER_NONE; jitter <= COIR_JITTER_DECORRELATED; jitter++) {
        int pauses = 0;
        coir_retry retry = {
            .base = COIR_FOREVER,
            .cap = COIR_FOREVER,
            .jitter = (coir_jitter)jitter,
            .on_retry = count,
            .arg = &pauses,
        };
        coir_retry_state state = {0};
        COIR_SCOPE(scope, COIR_SEC(1));
        COIR_EXPECT_CODE(coir_retry_next(&retry, &state, -EIO, 0), -ETIME);
        COIR_EXPECT_EQ(pauses, 1);
    }
}

COIR_TEST(seed_repeats_the_pauses)
{
    struct heard a = {0}, b = {0}, c = {0};
    draw_pauses(COIR_JITTER_FULL, 7, &a);
    draw_pauses(COIR_JITTER_FULL, 7, &b);
    draw_pauses(COIR_JITTER_FULL, 8, &c);
    int equal = 0;
    for (int i = 0; i < 50; i++) {
        COIR_EXPECT_EQ(a.pauses[i], b.pauses[i]);
        equal += a.pauses[i] == c.pauses[i];
    }
    COIR_EXPECT_LT(equal, 50);
}

COIR_TEST(steps)
{
    coir_retry retry = {.attempts = 4, .base = COIR_SEC(1), .cap = COIR_SEC(3)};
    coir_retry_state state = {0};
    coir_time start = coir_now();
    COIR_EXPECT_OK(coir_retry_next(&retry, &state, -EAGAIN, 0));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
    COIR_EXPECT_OK(coir_retry_next(&retry, &state, -EAGAIN, COIR_SEC(20)));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(21));
    COIR_EXPECT_OK(coir_retry_next(&retry, &state, -EAGAIN, COIR_MS(1)));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(24));
    COIR_EXPECT_EQ(state.attempt, 3);
    COIR_EXPECT_CODE(coir_retry_next(&retry, &state, -EIO, 0), -EIO);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(24));
}

/* A hint that would pass the total is not waited for. */
COIR_TEST(hint_beyond_total)
{
    coir_retry retry = {.total = COIR_SEC(10)};
    coir_retry_state state = {0};
    coir_time start = coir_now();
    COIR_EXPECT_CODE(coir_retry_next(&retry, &state, -EAGAIN, COIR_SEC(11)), -EAGAIN);
    COIR_EXPECT_EQ(coir_now(), start);
}

static int fail_with_text(void *arg)
{
    int *calls = arg;
    return ++*calls < 3 ? coir_fail(-EIO, "call %d went wrong", *calls) : 0;
}

/* What was overcome leaves no record behind. */
COIR_TEST(success_clears_the_record)
{
    int calls = 0;
    COIR_EXPECT_OK(coir_retry_run(NULL, fail_with_text, &calls));
    COIR_EXPECT(coir_last_error() == NULL);
}
