/* core_callbacks.c: callbacks of a loop and of a task's end: the order in which they are called,
 * and taking them back by names that may be stale. Some names are those of CPython's
 * test_base_events.py and test_futures.py.
 */
#include <coir/retry.h>

#include "core_log.h"

/* ---- callbacks ---- */

COIR_TEST_TAGGED(call_soon_is_first_in_first_out, "own_loop")
{
    struct log log = {0};
    struct entry entries[50];
    make_entries(entries, 50, &log);
    LOOP(loop);
    for (size_t i = 0; i < 50; i++)
        COIR_REQUIRE_OK(coir_call_soon(loop, note, &entries[i], NULL));
    COIR_REQUIRE_OK(run_for(loop, 0));
    COIR_REQUIRE_EQ(log.count, 50);
    for (int i = 0; i < 50; i++)
        COIR_EXPECT_EQ(log.ids[i], i);
}

COIR_TEST_TAGGED(call_later_is_in_the_order_of_times, "own_loop")
{
    struct log log = {0};
    struct entry entries[5];
    make_entries(entries, 5, &log);
    LOOP(loop);
    coir_time start = coir_loop_time(loop);
    COIR_REQUIRE_OK(coir_call_later(loop, COIR_SEC(3), note, &entries[0], NULL));
    COIR_REQUIRE_OK(coir_call_later(loop, COIR_MS(1), note, &entries[1], NULL));
    COIR_REQUIRE_OK(coir_call_at(loop, start + COIR_SEC(1), note, &entries[2], NULL));
    COIR_REQUIRE_OK(coir_call_at(loop, start + COIR_MS(1) + 1, note, &entries[3], NULL));
    COIR_REQUIRE_OK(coir_call_soon(loop, note, &entries[4], NULL));
    COIR_REQUIRE_OK(run_for(loop, COIR_SEC(10)));
    EXPECT_ORDER(&log, 4, 1, 3, 2, 0);
    COIR_EXPECT_EQ(log.times[1] - start, COIR_MS(1));
    COIR_EXPECT_EQ(log.times[2] - start, COIR_MS(1) + 1);
    COIR_EXPECT_EQ(log.times[3] - start, COIR_SEC(1));
    COIR_EXPECT_EQ(log.times[4] - start, COIR_SEC(3));
}

COIR_TEST_TAGGED(equal_times_are_in_the_order_of_asking, "own_loop")
{
    struct log log = {0};
    struct entry entries[20];
    make_entries(entries, 20, &log);
    LOOP(loop);
    coir_time when = coir_loop_time(loop) + COIR_SEC(5);
    for (size_t i = 0; i < 20; i++)
        COIR_REQUIRE_OK(coir_call_at(loop, when, note, &entries[i], NULL));
    COIR_REQUIRE_OK(run_for(loop, COIR_SEC(6)));
    COIR_REQUIRE_EQ(log.count, 20);
    for (int i = 0; i < 20; i++) {
        COIR_EXPECT_EQ(log.ids[i], i);
        COIR_EXPECT_EQ(log.times[i], when);
    }
}

COIR_TEST_TAGGED(callbacks_in_the_past_are_called_at_once, "own_loop")
{
    struct log log = {0};
    struct entry entries[3];
    make_entries(entries, 3, &log);
    LOOP(loop);
    COIR_REQUIRE_OK(run_for(loop, COIR_SEC(1)));
    coir_time now = coir_loop_time(loop);
    COIR_REQUIRE_OK(coir_call_at(loop, now - COIR_MS(1), note, &entries[0], NULL));
    COIR_REQUIRE_OK(coir_call_later(loop, -COIR_SEC(100), note, &entries[1], NULL));
    COIR_REQUIRE_OK(coir_call_at(loop, INT64_MIN, note, &entries[2], NULL));
    COIR_REQUIRE_OK(run_for(loop, COIR_SEC(1)));
    COIR_REQUIRE_EQ(log.count, 3);
    for (int i = 0; i < 3; i++)
        COIR_EXPECT_EQ(log.times[i], now);
}

COIR_TEST_TAGGED(far_future_is_never_reached, "own_loop")
{
    struct log log = {0};
    struct entry entry = {.log = &log};
    coir_callback first, second;
    LOOP(loop);
    COIR_REQUIRE_OK(coir_call_later(loop, COIR_FOREVER, note, &entry, &first));
    COIR_REQUIRE_OK(coir_call_at(loop, COIR_FOREVER - 1, note, &entry, &second));
    COIR_REQUIRE_OK(run_for(loop, COIR_SEC(1e9)));
    COIR_EXPECT_EQ(log.count, 0);
    COIR_EXPECT_OK(coir_callback_cancel(loop, first));
    COIR_EXPECT_OK(coir_callback_cancel(loop, second));
}

COIR_TEST_TAGGED(callbacks_are_taken_back, "own_loop")
{
    struct log log = {0};
    struct entry entries[4];
    coir_callback names[4];
    make_entries(entries, 4, &log);
    LOOP(loop);
    COIR_REQUIRE_OK(coir_call_soon(loop, note, &entries[0], &names[0]));
    COIR_REQUIRE_OK(coir_call_soon(loop, note, &entries[1], &names[1]));
    COIR_REQUIRE_OK(coir_call_later(loop, 5, note, &entries[2], &names[2]));
    COIR_REQUIRE_OK(coir_call_later(loop, 5, note, &entries[3], &names[3]));
    COIR_EXPECT_OK(coir_callback_cancel(loop, names[0]));
    COIR_EXPECT_OK(coir_callback_cancel(loop, names[2]));
    COIR_EXPECT_CODE(coir_callback_cancel(loop, names[0]), -ENOENT);
    COIR_EXPECT_CODE(coir_callback_cancel(loop, names[2]), -ENOENT);
    COIR_REQUIRE_OK(run_for(loop, COIR_SEC(1)));
    EXPECT_ORDER(&log, 1, 3);
    for (int i = 0; i < 4; i++)
        COIR_EXPECT_CODE(coir_callback_cancel(loop, names[i]), -ENOENT);
}

static int end_at_once(void *arg)
{
    (void)arg;
    return 0;
}

/* Refused where it can be said, not when it is called. */
COIR_TEST(without_a_function)
{
    coir_loop *loop = coir_loop_current();
    coir_callback name;
    coir_post_node node = {0};
    coir_task *task;
    coir_call calls[] = {{end_at_once, NULL, 7}, {NULL, NULL, 7}};
    coir_spawn_opts opts = {.eager = true};
    int item = 0;
    COIR_EXPECT_CODE(coir_call_soon(loop, NULL, NULL, &name), -EINVAL);
    COIR_EXPECT_CODE(coir_call_later(loop, 5, NULL, NULL, &name), -EINVAL);
    COIR_EXPECT_CODE(coir_call_at(loop, 5, NULL, NULL, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_post(loop, &node, NULL, NULL), -EINVAL);
    COIR_GROUP(group);
    COIR_EXPECT_CODE(coir_spawn(&group, NULL, NULL, &task), -EINVAL);
    COIR_EXPECT_CODE(coir_spawn(NULL, NULL, NULL, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_spawn_copy(&group, NULL, &item, sizeof item, &task), -EINVAL);
    COIR_EXPECT_CODE(coir_spawn_with(&group, NULL, NULL, &opts, &task), -EINVAL);
    COIR_EXPECT_CODE(coir_loop_spawn(loop, NULL, NULL, &task), -EINVAL);
    COIR_EXPECT_CODE(coir_gather(calls, COIR_COUNT(calls), COIR_FAIL_FAST), -EINVAL);
    COIR_EXPECT_CODE(coir_map(NULL, &item, 1, sizeof item, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_retry_run(NULL, NULL, NULL), -EINVAL);
    COIR_REQUIRE_OK(coir_spawn(&group, end_at_once, NULL, &task));
    COIR_EXPECT_CODE(coir_task_on_done(task, NULL, NULL), -EINVAL);
    COIR_REQUIRE_OK(coir_join(task, NULL));
    COIR_EXPECT_CODE(coir_run(NULL, NULL, NULL, NULL), -EBUSY);
}

COIR_TEST_TAGGED(no_function_to_run, "own_loop")
{
    coir_loop_opts opts = coir_test_loop_opts();
    COIR_EXPECT_CODE(coir_run(NULL, NULL, &opts, NULL), -EINVAL);
}

COIR_TEST_TAGGED(stale_names_take_nothing_back, "own_loop")
{
    struct log log = {0};
    struct entry entry = {.log = &log};
    coir_callback name, old[100], none = {0, 0};
    LOOP(loop);
    COIR_EXPECT_CODE(coir_callback_cancel(loop, none), -ENOENT);
    for (int i = 0; i < 100; i++) {
        COIR_REQUIRE_OK(i % 2 ? coir_call_soon(loop, note, &entry, &old[i])
                              : coir_call_later(loop, 1, note, &entry, &old[i]));
        if (i % 4 < 2)
            COIR_REQUIRE_OK(coir_callback_cancel(loop, old[i]));
        COIR_REQUIRE_OK(run_for(loop, 2));
    }
    COIR_EXPECT_EQ(log.count, 50);
    COIR_REQUIRE_OK(coir_call_soon(loop, note, &entry, &name));
    for (int i = 0; i < 100; i++)
        COIR_EXPECT_CODE(coir_callback_cancel(loop, old[i]), -ENOENT);
    COIR_EXPECT_CODE(coir_callback_cancel(loop, none), -ENOENT);
    COIR_EXPECT_CODE(coir_callback_cancel(loop, (coir_callback){1000000, 1}), -ENOENT);
    COIR_REQUIRE_OK(run_for(loop, 0));
    COIR_EXPECT_EQ(log.count, 51);
}

/* Takes back callbacks, its own among them, while it runs. */
struct canceller {
    coir_callback names[3];
    int results[3];
};

static void take_back(void *arg)
{
    struct canceller *canceller = arg;
    for (int i = 0; i < 3; i++)
        canceller->results[i] = coir_callback_cancel(coir_loop_current(), canceller->names[i]);
}

static void cancel_from_inside(coir_time delay)
{
    struct log log = {0};
    struct canceller canceller;
    struct entry entries[3];
    make_entries(entries, 3, &log);
    LOOP(loop);
    COIR_REQUIRE_OK(coir_call_later(loop, delay, note, &entries[0], &canceller.names[0]));
    COIR_REQUIRE_OK(coir_call_later(loop, delay, take_back, &canceller, &canceller.names[1]));
    COIR_REQUIRE_OK(coir_call_later(loop, delay, note, &entries[1], &canceller.names[2]));
    COIR_REQUIRE_OK(coir_call_later(loop, delay, note, &entries[2], NULL));
    COIR_REQUIRE_OK(run_for(loop, COIR_SEC(1)));
    EXPECT_ORDER(&log, 0, 2);
    COIR_EXPECT_CODE(canceller.results[0], -ENOENT); /* was called */
    COIR_EXPECT_CODE(canceller.results[1], -ENOENT); /* is being called */
    COIR_EXPECT_CODE(canceller.results[2], 0);
}

COIR_TEST_TAGGED(timed_callback_takes_others_back, "own_loop")
{
    cancel_from_inside(COIR_MS(1));
    cancel_from_inside(0);
}

COIR_TEST_TAGGED(ready_callback_takes_others_back, "own_loop")
{
    struct log log = {0};
    struct canceller canceller;
    struct entry entries[2];
    make_entries(entries, 2, &log);
    LOOP(loop);
    COIR_REQUIRE_OK(coir_call_soon(loop, note, &entries[0], &canceller.names[0]));
    COIR_REQUIRE_OK(coir_call_soon(loop, take_back, &canceller, &canceller.names[1]));
    COIR_REQUIRE_OK(coir_call_soon(loop, note, &entries[1], &canceller.names[2]));
    COIR_REQUIRE_OK(run_for(loop, 0));
    EXPECT_ORDER(&log, 0);
    COIR_EXPECT_CODE(canceller.results[0], -ENOENT);
    COIR_EXPECT_CODE(canceller.results[1], -ENOENT);
    COIR_EXPECT_CODE(canceller.results[2], 0);
}

COIR_TEST_TAGGED(run_once_cancelled_event_cleanup, "own_loop")
{
    enum { COUNT = 1000 };
    static coir_callback names[COUNT];
    struct log log = {0};
    struct entry entry = {.log = &log};
    struct coir_loop_stats before, after;
    LOOP(loop);
    coir_loop_stats(loop, &before);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < COUNT; i++)
            COIR_REQUIRE_OK(coir_call_later(loop, COIR_SEC(3600 + i), note, &entry, &names[i]));
        coir_loop_stats(loop, &after);
        COIR_EXPECT_EQ(after.timers, before.timers + COUNT);
        COIR_EXPECT_EQ(after.callbacks, before.callbacks + COUNT);
        for (int i = 0; i < COUNT; i++)
            COIR_EXPECT_OK(coir_callback_cancel(loop, names[i]));
        coir_time start = coir_loop_time(loop);
        COIR_REQUIRE_OK(run_for(loop, COIR_SEC(1)));
        COIR_EXPECT_EQ(coir_loop_time(loop) - start, COIR_SEC(1));
        COIR_EXPECT_LT(names[0].coir__slot, COUNT); /* slots are used again */
    }
    coir_loop_stats(loop, &after);
    COIR_EXPECT_EQ(after.timers, before.timers);
    COIR_EXPECT_EQ(after.callbacks, before.callbacks);
    COIR_EXPECT_EQ(log.count, 0);
}

/* ---- callbacks at a task's end ---- */

struct watched {
    coir_task *task;
    struct entry *other; /* whose callbacks are taken back */
    struct log *log;
    int off;
};

static void mutate(void *arg)
{
    struct watched *watched = arg;
    watched->off = coir_task_off_done(watched->task, note, watched->other);
    watched->log->count++;
}

static int finish(void *arg)
{
    (void)arg;
    return 0;
}

/* The first of three callbacks takes one of the two others back, which has not been called yet. */
COIR_TEST(schedule_callbacks_list_mutation_1)
{
    static struct log log; /* a callback may come when a tortured test has returned */
    static struct entry entry;
    static struct watched watched;
    log = (struct log){0};
    entry = (struct entry){.log = &log};
    watched = (struct watched){.other = &entry, .log = &log, .off = 1};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, finish, NULL, &watched.task));
    COIR_REQUIRE_OK(coir_task_on_done(watched.task, mutate, &watched));
    COIR_REQUIRE_OK(coir_task_on_done(watched.task, note, &entry));
    COIR_REQUIRE_OK(coir_task_on_done(watched.task, note, &entry));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_CODE(watched.off, 0);
    COIR_EXPECT_EQ(log.count, 2);
    COIR_EXPECT_OK(coir_join(watched.task, NULL));
}

static void add_more(void *arg)
{
    struct watched *watched = arg;
    watched->log->count++;
    watched->off = coir_task_on_done(watched->task, note, watched->other);
}

/* A callback adds another one: that is called too, in a later turn. */
COIR_TEST(schedule_callbacks_list_mutation_2)
{
    static struct log log;
    static struct entry entry;
    static struct watched watched;
    log = (struct log){0};
    entry = (struct entry){.log = &log};
    watched = (struct watched){.other = &entry, .log = &log, .off = 1};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, finish, NULL, &watched.task));
    COIR_REQUIRE_OK(coir_task_on_done(watched.task, add_more, &watched));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_CODE(watched.off, 0);
    COIR_EXPECT_EQ(log.count, 2);
    COIR_EXPECT_OK(coir_join(watched.task, NULL));
}

COIR_TEST(callbacks_at_the_end_are_taken_back)
{
    static struct log log;
    static struct entry entries[3];
    log = (struct log){0};
    make_entries(entries, 3, &log);
    coir_task *task;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, finish, NULL, &task));
    for (int i = 0; i < 3; i++)
        COIR_REQUIRE_OK(coir_task_on_done(task, note, &entries[i]));
    COIR_EXPECT_CODE(coir_task_off_done(task, note, NULL), -ENOENT);
    COIR_EXPECT_OK(coir_task_off_done(task, note, &entries[1]));
    COIR_EXPECT_CODE(coir_task_off_done(task, note, &entries[1]), -ENOENT);
    COIR_EXPECT_OK(coir_join(task, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    EXPECT_ORDER(&log, 0, 2);
}
