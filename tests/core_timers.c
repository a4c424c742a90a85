/* core_timers.c: timers in memory of the caller: starting, moving and stopping them, also from
 * their callbacks, exact to the nanosecond; and the wheel that holds them against a model that
 * sorts.
 */
#include <stdlib.h>

#include "core/core.h"
#include "core_log.h"

/* ---- embedded timers ---- */

COIR_TEST_TAGGED(timers_start_move_and_stop, "own_loop")
{
    struct log log = {0};
    struct entry entries[4];
    make_entries(entries, 4, &log);
    LOOP(loop);
    coir_time now = coir_loop_time(loop);
    for (int i = 0; i < 4; i++) {
        COIR_EXPECT(!coir_timer_running(&entries[i].timer));
        coir_timer_stop(loop, &entries[i].timer); /* does nothing */
        coir_timer_start(loop, &entries[i].timer, now + 10 + i, note, &entries[i]);
        COIR_EXPECT(coir_timer_running(&entries[i].timer));
    }
    coir_timer_start(loop, &entries[0].timer, now + 12, note, &entries[0]); /* behind 2 */
    coir_timer_start(loop, &entries[3].timer, now + 1, note, &entries[3]);
    coir_timer_stop(loop, &entries[1].timer);
    COIR_EXPECT(!coir_timer_running(&entries[1].timer));
    COIR_REQUIRE_OK(run_for(loop, COIR_SEC(1)));
    EXPECT_ORDER(&log, 3, 2, 0);
    COIR_EXPECT_EQ(log.times[0], now + 1);
    COIR_EXPECT_EQ(log.times[1], now + 12);
    COIR_EXPECT_EQ(log.times[2], now + 12);
    for (int i = 0; i < 4; i++)
        COIR_EXPECT(!coir_timer_running(&entries[i].timer));
}

struct ticker {
    coir_timer timer, *victim;
    coir_time period, start;
    int ticks, wrong;
};

static void tick(void *arg)
{
    struct ticker *ticker = arg;
    ticker->wrong += coir_timer_running(&ticker->timer);
    ticker->ticks++;
    ticker->wrong += coir_now() != ticker->start + ticker->ticks * ticker->period;
    if (ticker->victim != NULL)
        coir_timer_stop(coir_loop_current(), ticker->victim);
    coir_timer_start(coir_loop_current(), &ticker->timer, coir_now() + ticker->period, tick, arg);
}

COIR_TEST_TAGGED(timer_restarts_in_its_callback, "own_loop")
{
    struct ticker ticker = {.period = COIR_MS(7) + 1};
    LOOP(loop);
    ticker.start = coir_loop_time(loop);
    coir_timer_start(loop, &ticker.timer, ticker.start + ticker.period, tick, &ticker);
    COIR_REQUIRE_OK(run_for(loop, 1000 * ticker.period));
    coir_timer_stop(loop, &ticker.timer);
    COIR_EXPECT_EQ(ticker.ticks, 1000);
    COIR_EXPECT_EQ(ticker.wrong, 0);
}

/* Both are due: the first one stops the second. */
COIR_TEST_TAGGED(timer_stops_another_that_is_due, "own_loop")
{
    struct log log = {0};
    struct entry entry = {.log = &log};
    struct ticker ticker = {.period = COIR_SEC(1), .victim = &entry.timer};
    LOOP(loop);
    ticker.start = coir_loop_time(loop);
    coir_timer_start(loop, &ticker.timer, ticker.start + COIR_SEC(1), tick, &ticker);
    coir_timer_start(loop, &entry.timer, ticker.start + COIR_SEC(1), note, &entry);
    COIR_REQUIRE_OK(run_for(loop, COIR_SEC(1)));
    coir_timer_stop(loop, &ticker.timer);
    COIR_EXPECT_EQ(log.count, 0);
    COIR_EXPECT_EQ(ticker.ticks, 1);
}

static void again_soon(void *arg)
{
    if (++*(int *)arg > 0)
        COIR_EXPECT_OK(coir_call_soon(coir_loop_current(), again_soon, arg, NULL));
}

static void again_at_once(void *arg)
{
    struct ticker *ticker = arg;
    ticker->ticks++;
    coir_timer_start(coir_loop_current(), &ticker->timer, coir_now(), again_at_once, arg);
}

static int yield_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++)
        COIR_TRY(coir_yield());
    return 0;
}

/* What comes back at once leaves the others their turns: tasks, and on a real clock timers. */
COIR_TEST_TAGGED(zero_delay_starves_nobody, "own_loop")
{
    struct ticker ticker = {.ticks = 0};
    LOOP(loop);
    coir_timer_start(loop, &ticker.timer, 0, again_at_once, &ticker);
    COIR_EXPECT_OK(run_task(loop, yield_often, NULL));
    coir_timer_stop(loop, &ticker.timer);
    COIR_EXPECT_GT(ticker.ticks, 1);
}

COIR_TEST_TAGGED(callbacks_that_come_back_starve_no_timer, "own_loop,real,no_torture")
{
    static int soon = 0;
    struct ticker ticker = {.ticks = 0};
    LOOP(loop);
    COIR_REQUIRE_OK(coir_call_soon(loop, again_soon, &soon, NULL));
    coir_timer_start(loop, &ticker.timer, 0, again_at_once, &ticker);
    for (int i = 0; i < 1000 && ticker.ticks < 2; i++) /* on a busy machine not in the first */
        COIR_REQUIRE_OK(run_for(loop, COIR_MS(5)));
    coir_timer_stop(loop, &ticker.timer);
    COIR_EXPECT_GT(soon, 1);
    COIR_EXPECT_GT(ticker.ticks, 1);
    soon = -1000; /* the last time */
    COIR_REQUIRE_OK(run_for(loop, 0));
}

/* ---- the wheel against a model ---- */

#define MODEL_TIMERS 256

struct model_timer {
    coir_timer timer;
    struct model *model;
    coir_time when; /* never before the time at which it was started */
    uint64_t order; /* of starting; 0: does not run */
};

struct model {
    coir_loop *loop;
    struct model_timer timers[MODEL_TIMERS];
    coir_time now;
    uint64_t random, orders, calls;
    struct model_timer *expected[MODEL_TIMERS]; /* in order, by the expiry under way */
    size_t expected_count, expected_next;
    int wrong;
};

static uint64_t below(struct model *model, uint64_t limit)
{
    return coir__random(&model->random) % limit;
}

/* All distances that a program may have, from the past to the end of time. */
static coir_time some_time(struct model *model)
{
    switch (below(model, 8)) {
    case 0: return model->now - (coir_time)below(model, 1000);
    case 1: return model->now;
    case 2: return model->now + 1;
    case 3: return model->now + (coir_time)below(model, 100);
    case 4: return model->now + (coir_time)below(model, (uint64_t)COIR_SEC(10));
    case 5: return model->now + (coir_time)below(model, UINT64_C(1) << below(model, 60));
    case 6: return INT64_MAX - (coir_time)below(model, 1000);
    default: return ((model->now >> 6) + (coir_time)below(model, 4)) << 6; /* edges of slots */
    }
}

static void model_expired(void *arg);

static void model_start(struct model *model, struct model_timer *timer, coir_time when)
{
    timer->when = when < model->now ? model->now : when;
    timer->order = ++model->orders;
    coir_timer_start(model->loop, &timer->timer, when, model_expired, timer);
}

static void model_expired(void *arg)
{
    struct model_timer *timer = arg;
    struct model *model = timer->model;
    model->calls++;
    model->wrong += model->expected_next >= model->expected_count ||
                    model->expected[model->expected_next++] != timer;
    timer->order = 0;
    if (below(model, 4) == 0)
        model_start(model, timer, model->now + (coir_time)below(model, 1000));
}

static int earlier(const void *a, const void *b)
{
    const struct model_timer *left = *(struct model_timer *const *)a;
    const struct model_timer *right = *(struct model_timer *const *)b;
    if (left->when != right->when)
        return left->when < right->when ? -1 : 1;
    return left->order < right->order ? -1 : 1;
}

/* Moves the time of both, and compares what expires. */
static void model_expire(struct model *model, coir_time now)
{
    model->expected_count = model->expected_next = 0;
    for (size_t i = 0; i < MODEL_TIMERS; i++)
        if (model->timers[i].order != 0 && model->timers[i].when <= now)
            model->expected[model->expected_count++] = &model->timers[i];
    qsort(model->expected, model->expected_count, sizeof(struct model_timer *), earlier);
    model->now = now;
    coir__timers_expire(model->loop, now);
    model->wrong += model->expected_next != model->expected_count;
}

/* The time of the next timer is known, exactly or a little early, never late. */
static void model_look(struct model *model)
{
    coir_time first = COIR_FOREVER;
    uint64_t live = 0;
    for (size_t i = 0; i < MODEL_TIMERS; i++) {
        if (model->timers[i].order == 0)
            continue;
        live++;
        first = model->timers[i].when < first ? model->timers[i].when : first;
    }
    coir_time next = coir__timers_next(model->loop->timers);
    model->wrong += next > first || (next < model->now && live > 0);
    model->wrong += coir__timers_live(model->loop->timers) != live;
}

static void model_step(struct model *model)
{
    struct model_timer *timer = &model->timers[below(model, MODEL_TIMERS)];
    switch (below(model, 8)) {
    case 0: model_expire(model, model->now + (coir_time)below(model, 64)); break;
    case 1:
        if (below(model, 64) == 0 && model->now < INT64_MAX / 2)
            model_expire(model, model->now + (coir_time)below(model, UINT64_C(1) << 40));
        break;
    case 2: {
        coir_time next = coir__timers_next(model->loop->timers);
        if (next < model->now + COIR_SEC(1000))
            model_expire(model, next);
        break;
    }
    case 3:
        coir_timer_stop(model->loop, &timer->timer);
        timer->order = 0;
        break;
    case 4: model_look(model); break;
    default: model_start(model, timer, some_time(model)); break;
    }
}

COIR_TEST_TAGGED(wheel_agrees_with_a_model, "own_loop,no_torture,limit=60")
{
    static struct model model;
    model.random = coir_test_seed();
    LOOP(loop);
    model.loop = loop;
    model.now = coir_loop_time(loop);
    for (size_t i = 0; i < MODEL_TIMERS; i++)
        model.timers[i].model = &model;
    for (int i = 0; i < 100000 && model.wrong == 0; i++)
        model_step(&model);
    COIR_EXPECT_EQ(model.wrong, 0);
    COIR_EXPECT_GT(model.calls, 1000);
    for (size_t i = 0; i < MODEL_TIMERS; i++)
        coir_timer_stop(loop, &model.timers[i].timer);
    COIR_EXPECT_EQ(coir__timers_live(loop->timers), 0);
}

/* Through a run: each task wakes at its nanosecond, whatever the others do. */
static int sleep_exactly(void *arg)
{
    uint64_t random = *(uint64_t *)arg;
    for (int i = 0; i < 20; i++) {
        coir_time duration = 1 + (coir_time)(coir__random(&random) % (UINT64_C(1) << (i * 2)));
        coir_time start = coir_now();
        COIR_TRY(coir_sleep(duration));
        COIR_EXPECT_EQ(coir_now() - start, duration);
    }
    return 0;
}

COIR_TEST(virtual_time_is_exact)
{
    uint64_t seeds[100];
    for (size_t i = 0; i < 100; i++)
        seeds[i] = coir_test_seed() + i;
    COIR_EXPECT_OK(coir_map(sleep_exactly, seeds, 100, sizeof seeds[0], NULL));
}
