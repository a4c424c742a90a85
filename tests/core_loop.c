/* core_loop.c: loops of one's own: opening, running, stopping and running again, closing with what
 * is left, and what is refused inside and outside. Some names are those of CPython's
 * test_base_events.py and test_runners.py.
 */
#include <pthread.h>
#include <stdio.h>

#include "core_loop.h"

static int return_it(void *arg)
{
    return *(int *)arg;
}

static int yield_and_return(void *arg)
{
    int r = coir_yield();
    return r < 0 ? r : *(int *)arg;
}

static void count(void *arg)
{
    ++*(int *)arg;
}

/* Sleeps for ever, and notes what ended that. */
static int hang(void *arg)
{
    int r = coir_sleep(COIR_FOREVER);
    *(int *)arg = r;
    return r;
}

/* ---- runs ---- */

COIR_TEST_TAGGED(run_until_gives_the_result, "own_loop")
{
    int value = 7, result = 0;
    coir_task *task;
    LOOP(loop);
    COIR_EXPECT_EQ(run_task(loop, yield_and_return, &value), 7);
    COIR_REQUIRE_OK(coir_loop_spawn(loop, return_it, &value, &task));
    COIR_EXPECT_EQ(coir_loop_run_until(loop, task, &result), 0);
    COIR_EXPECT_EQ(result, 7);
    value = -ENOENT;
    COIR_EXPECT_CODE(run_task(loop, yield_and_return, &value), -ENOENT);
    COIR_REQUIRE_OK(coir_loop_spawn(loop, return_it, &value, &task));
    COIR_EXPECT_EQ(coir_loop_run_until(loop, task, &result), 0);
    COIR_EXPECT_EQ(result, -ENOENT);
}

static int cancel_myself(void *arg)
{
    (void)arg;
    coir_cancel(coir_current(), "enough");
    return coir_yield();
}

COIR_TEST_TAGGED(codes_of_scopes_do_not_leave_the_task, "own_loop")
{
    LOOP(loop);
    COIR_EXPECT_CODE(run_task(loop, cancel_myself, NULL), -COIR_ECANCELEDTASK);
}

static int stop_and_wait(void *arg)
{
    coir_loop_stop(coir_loop_current());
    int r = coir_sleep(COIR_SEC(1));
    return r < 0 ? r : *(int *)arg;
}

COIR_TEST_TAGGED(run_until_again_after_a_stop, "own_loop")
{
    int value = 5, result = 0;
    coir_task *task;
    LOOP(loop);
    COIR_REQUIRE_OK(coir_loop_spawn(loop, stop_and_wait, &value, &task));
    COIR_REQUIRE_CODE(coir_loop_run_until(loop, task, &result), -COIR_ECLOSED);
    COIR_EXPECT(!coir_task_done(task));
    coir_time before = coir_loop_time(loop);
    COIR_EXPECT_EQ(coir_loop_run_until(loop, task, &result), 0);
    COIR_EXPECT_EQ(result, 5);
    COIR_EXPECT_EQ(coir_loop_time(loop) - before, COIR_SEC(1));
}

struct joining {
    coir_task *wanted;
    int joined;
};

static int join_wanted(void *arg)
{
    struct joining *joining = arg;
    joining->joined = coir_join(joining->wanted, NULL);
    return 0;
}

static int be_wanted(void *arg)
{
    (void)arg;
    COIR_TRY(coir_sleep(COIR_SEC(1)));
    return 8;
}

/* The run is the task's one join. */
COIR_TEST_TAGGED(nobody_else_joins_what_a_run_is_for, "own_loop")
{
    struct joining joining = {.joined = 1};
    LOOP(loop);
    COIR_REQUIRE_OK(coir_loop_spawn(loop, be_wanted, NULL, &joining.wanted));
    COIR_REQUIRE_OK(coir_loop_spawn(loop, join_wanted, &joining, NULL));
    COIR_EXPECT_EQ(coir_loop_run_until(loop, joining.wanted, NULL), 8);
    COIR_EXPECT_CODE(joining.joined, -EBUSY);
}

COIR_TEST_TAGGED(no_run_for_what_a_task_joins, "own_loop")
{
    struct joining joining = {.joined = 1};
    LOOP(loop);
    COIR_REQUIRE_OK(coir_loop_spawn(loop, be_wanted, NULL, &joining.wanted));
    COIR_REQUIRE_OK(coir_loop_spawn(loop, join_wanted, &joining, NULL));
    COIR_REQUIRE_OK(run_for(loop, COIR_MS(1)));
    COIR_REQUIRE_EQ(joining.joined, 1); /* it waits still */
    COIR_EXPECT_CODE(coir_loop_run_until(loop, joining.wanted, NULL), -EBUSY);
    COIR_REQUIRE_OK(run_for(loop, COIR_SEC(2)));
    COIR_EXPECT_EQ(joining.joined, 8);
}

COIR_TEST_TAGGED(run_until_a_task_that_has_ended, "own_loop")
{
    int value = 3;
    coir_task *task;
    LOOP(loop);
    COIR_REQUIRE_OK(coir_loop_spawn(loop, return_it, &value, &task));
    COIR_REQUIRE_OK(run_for(loop, COIR_SEC(1)));
    COIR_EXPECT(coir_task_done(task));
    COIR_EXPECT_EQ(coir_loop_run_until(loop, task, NULL), 3);
}

COIR_TEST_TAGGED(run_forever_until_it_is_stopped, "own_loop")
{
    LOOP(loop);
    coir_time start = coir_loop_time(loop);
    COIR_REQUIRE_OK(run_for(loop, COIR_SEC(3600)));
    COIR_EXPECT_EQ(coir_loop_time(loop) - start, COIR_SEC(3600));
    COIR_REQUIRE_OK(run_for(loop, COIR_SEC(1)));
    COIR_EXPECT_EQ(coir_loop_time(loop) - start, COIR_SEC(3601));
}

/* What is ready when the loop is stopped belongs to the turn. */
COIR_TEST_TAGGED(stop_ends_the_run_at_the_end_of_the_turn, "own_loop")
{
    int before = 0, after = 0;
    LOOP(loop);
    COIR_REQUIRE_OK(coir_call_soon(loop, count, &before, NULL));
    COIR_REQUIRE_OK(coir_call_soon(loop, stop_loop, loop, NULL));
    COIR_REQUIRE_OK(coir_call_soon(loop, count, &after, NULL));
    COIR_EXPECT_EQ(coir_loop_run_forever(loop), 0);
    COIR_EXPECT_EQ(before, 1);
    COIR_EXPECT_EQ(after, 1);
}

COIR_TEST_TAGGED(stop_before_a_run_gives_one_turn, "own_loop")
{
    int called = 0, later = 0, value = 1;
    coir_task *task;
    LOOP(loop);
    COIR_REQUIRE_OK(coir_call_soon(loop, count, &called, NULL));
    coir_callback callback;
    COIR_REQUIRE_OK(coir_call_later(loop, COIR_SEC(1), count, &later, &callback));
    coir_loop_stop(loop);
    COIR_EXPECT_EQ(coir_loop_run_forever(loop), 0);
    COIR_EXPECT_EQ(called, 1);
    COIR_EXPECT_EQ(later, 0);
    COIR_EXPECT_OK(coir_callback_cancel(loop, callback));
    COIR_REQUIRE_OK(coir_loop_spawn(loop, return_it, &value, &task));
    coir_loop_stop(loop);
    COIR_EXPECT_EQ(coir_loop_run_until(loop, task, NULL), 1);
}

/* Keeps the thread busy until the timers of the next milliseconds are due. */
static void stall(void *arg)
{
    (void)arg;
    for (coir_time end = coir_now() + COIR_MS(3); coir_now() < end;)
        ;
}

/* A timer that stops the loop may be found due before the loop has slept at all. */
COIR_TEST_TAGGED(stop_from_a_timer_is_not_slept_over, "own_loop,real")
{
    coir_callback far;
    LOOP(loop);
    COIR_REQUIRE_OK(coir_call_later(loop, COIR_SEC(100), stall, NULL, &far));
    COIR_REQUIRE_OK(coir_call_soon(loop, stall, NULL, NULL));
    COIR_REQUIRE_OK(run_for(loop, COIR_MS(1)));
    COIR_EXPECT_OK(coir_callback_cancel(loop, far));
}

static void note_current(void *arg)
{
    *(coir_loop **)arg = coir_loop_current();
}

static int note_current_in_task(void *arg)
{
    note_current(arg);
    return 0;
}

COIR_TEST_TAGGED(current_loop_is_the_one_that_runs, "own_loop")
{
    coir_loop *in_task = NULL, *in_callback = NULL;
    LOOP(loop);
    COIR_EXPECT_PTR(coir_loop_current(), NULL);
    COIR_REQUIRE_OK(coir_call_soon(loop, note_current, &in_callback, NULL));
    COIR_EXPECT_OK(run_task(loop, note_current_in_task, &in_task));
    COIR_EXPECT_PTR(in_task, loop);
    COIR_EXPECT_PTR(in_callback, loop);
    COIR_EXPECT_PTR(coir_loop_current(), NULL);
}

/* ---- what is refused ---- */

struct two_loops {
    coir_loop *inner;
    coir_task *task; /* of the inner loop */
};

static int run_inside(void *arg)
{
    struct two_loops *loops = arg;
    int value = 1, result;
    COIR_EXPECT_CODE(coir_loop_run_forever(loops->inner), -EBUSY);
    COIR_EXPECT_CODE(coir_loop_run_until(loops->inner, loops->task, &result), -EBUSY);
    COIR_EXPECT_CODE(coir_loop_run_forever(coir_loop_current()), -EBUSY);
    COIR_EXPECT_CODE(coir_run(return_it, &value, NULL, &result), -EBUSY);
    COIR_EXPECT_CODE(coir_loop_close(coir_loop_current()), -EBUSY);
    COIR_EXPECT_OK(coir_yield()); /* nothing has happened */
    return 0;
}

COIR_TEST_TAGGED(runs_do_not_nest, "own_loop")
{
    int value = 2;
    struct two_loops loops = {NULL, NULL};
    LOOP(inner);
    LOOP(outer);
    loops.inner = inner;
    COIR_REQUIRE_OK(coir_loop_spawn(inner, return_it, &value, &loops.task));
    COIR_EXPECT_OK(run_task(outer, run_inside, &loops));
    COIR_EXPECT_EQ(coir_loop_run_until(inner, loops.task, NULL), 2);
}

static void nothing(void *arg)
{
    (void)arg;
}

static int use_other_loop(void *arg)
{
    struct two_loops *loops = arg;
    int value = 1;
    coir_task *task = NULL;
    coir_cancel(loops->task, "not yours"); /* a report */
    COIR_EXPECT_CODE(coir_loop_spawn(loops->inner, return_it, &value, &task), -COIR_EWRONGLOOP);
    COIR_EXPECT_CODE(coir_join(loops->task, NULL), -COIR_EWRONGLOOP);
    COIR_EXPECT_CODE(coir_wait_first(&loops->task, 1), -COIR_EWRONGLOOP);
    COIR_EXPECT_CODE(coir_wait_all(&loops->task, 1), -COIR_EWRONGLOOP);
    COIR_EXPECT_CODE(coir_task_on_done(loops->task, nothing, NULL), -COIR_EWRONGLOOP);
    return 0;
}

COIR_TEST_TAGGED(objects_of_another_loop_are_refused, "own_loop")
{
    int value = 2;
    struct two_loops loops = {NULL, NULL};
    LOOP(inner);
    LOOP(outer);
    loops.inner = inner;
    COIR_REQUIRE_OK(coir_loop_spawn(inner, return_it, &value, &loops.task));
    COIR_EXPECT_CODE(coir_loop_run_until(outer, loops.task, NULL), -COIR_EWRONGLOOP);
    coir_test_expect_reports(COIR_REPORT_MISUSE, 1);
    COIR_EXPECT_OK(run_task(outer, use_other_loop, &loops));
    COIR_EXPECT_CONTAINS(
        report_of(COIR_REPORT_MISUSE),
        "' (0 s old, spawned at core_loop.h:63) cancels task 'return_it' (0 s old, spawned at ");
    COIR_EXPECT_EQ(coir_loop_run_until(inner, loops.task, NULL), 2);
}

static void call_outside_a_task(void *arg)
{
    coir_task **task = arg;
    static int value;
    static const coir_local local;
    coir_call call = {return_it, &value, 0};
    COIR_EXPECT_CODE(coir_sleep(1), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_sleep(0), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_sleep_until(coir_now() + 1), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_yield(), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_spawn(NULL, return_it, &value, NULL), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_join(*task, NULL), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_wait_first(task, 1), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_gather(&call, 1, COIR_FAIL_FAST), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_map(return_it, &value, 1, sizeof value, NULL), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_local_set(&local, &value), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_pending(), 0);
    COIR_EXPECT_PTR(coir_current(), NULL);
    COIR_EXPECT_PTR(coir_local_get(&local), NULL);
    COIR_EXPECT_STR(coir_task_name(NULL), "");
    COIR_EXPECT_EQ(coir_deadline(), COIR_FOREVER);
    COIR_SCOPE(scope, 0); /* has no effect */
    COIR_GROUP(group);
    COIR_EXPECT_CODE(coir_spawn(&group, return_it, &value, NULL), -COIR_ENOTASK);
    coir_ready();
    coir_task_set_name(NULL, "nobody");
}

COIR_TEST_TAGGED(calls_that_wait_need_a_task, "own_loop")
{
    int value = 4;
    coir_task *task;
    LOOP(loop);
    COIR_REQUIRE_OK(coir_loop_spawn(loop, return_it, &value, &task));
    call_outside_a_task(&task);
    coir_group group = {0};
    COIR_EXPECT_CODE(coir_group_init(&group, COIR_COLLECT), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_task_each(NULL, NULL), -COIR_ENOTASK);
    COIR_REQUIRE_OK(coir_call_soon(loop, call_outside_a_task, &task, NULL));
    COIR_EXPECT_EQ(coir_loop_run_until(loop, task, NULL), 4);
}

/* ---- closing ---- */

COIR_TEST_TAGGED(close_accepts_null, "own_loop")
{
    COIR_EXPECT_EQ(coir_loop_close(NULL), 0);
}

COIR_TEST_TAGGED(close_cancels_and_reports_what_is_left, "own_loop")
{
    int ended = 0, value = 1, line = 0;
    {
        LOOP(loop);
        coir_test_expect_reports(COIR_REPORT_LEFT, 1);
        line = __LINE__ + 1;
        COIR_REQUIRE_OK(coir_loop_spawn(loop, hang, &ended, NULL));
        COIR_EXPECT_EQ(run_task(loop, yield_and_return, &value), 1);
        COIR_EXPECT_EQ(ended, 0);
    }
    COIR_EXPECT_CODE(ended, -ECANCELED);
    char where[64];
    (void)snprintf(where, sizeof where, "core_loop.c:%d", line);
    COIR_EXPECT_CONTAINS(report_of(COIR_REPORT_LEFT), "'hang' sleeps");
    COIR_EXPECT_CONTAINS(report_of(COIR_REPORT_LEFT), where);
}

/* A task always starts, so that it can release its argument. */
COIR_TEST_TAGGED(close_starts_what_never_ran, "own_loop")
{
    int ended = 0;
    {
        LOOP(loop);
        coir_test_expect_reports(COIR_REPORT_LEFT, 1);
        COIR_REQUIRE_OK(coir_loop_spawn(loop, hang, &ended, NULL));
    }
    COIR_EXPECT_CODE(ended, -ECANCELED);
}

COIR_TEST_TAGGED(close_reports_timers_and_callbacks, "own_loop")
{
    int called = 0;
    coir_timer timer = {0};
    {
        LOOP(loop);
        coir_test_expect_reports(COIR_REPORT_LEFT, 2);
        COIR_REQUIRE_OK(coir_call_soon(loop, count, &called, NULL));
        COIR_REQUIRE_OK(coir_call_later(loop, 1, count, &called, NULL));
        coir_timer_start(loop, &timer, coir_loop_time(loop) + 1, count, &called);
    }
    COIR_EXPECT_EQ(called, 0);
    size_t number;
    const coir_test_report *reports = coir_test_reports(&number);
    COIR_REQUIRE_EQ(number, 2);
    COIR_EXPECT_STR(reports[0].text, "the loop closed with 1 timers that still run");
    COIR_EXPECT_STR(reports[1].text, "the loop closed with 2 callbacks that were not called");
}

/* Cancelled, it stops the loop and goes on waiting: the closing has to outlast both. */
static int stop_in_cleanup(void *arg)
{
    int r = coir_sleep(COIR_FOREVER);
    coir_loop_stop(coir_loop_current());
    COIR_SHIELD(COIR_SEC(5));
    *(int *)arg = coir_sleep(COIR_SEC(1)) == 0;
    return r;
}

COIR_TEST_TAGGED(close_is_not_stopped, "own_loop")
{
    int cleaned = 0;
    {
        LOOP(loop);
        coir_test_expect_reports(COIR_REPORT_LEFT, 1);
        COIR_REQUIRE_OK(coir_loop_spawn(loop, stop_in_cleanup, &cleaned, NULL));
        COIR_REQUIRE_OK(run_for(loop, COIR_SEC(1)));
    }
    COIR_EXPECT_EQ(cleaned, 1);
}

struct interrupted {
    int ended, times;
};

static int be_interrupted(void *arg)
{
    struct interrupted *interrupted = arg;
    interrupted->ended = coir_sleep(COIR_FOREVER);
    interrupted->times++;
    return interrupted->ended;
}

static int cancel_and_interrupt(void *arg)
{
    coir_task *task;
    int r = coir_loop_spawn(coir_loop_current(), be_interrupted, arg, &task);
    if (r < 0)
        return r;
    r = coir_sleep(COIR_SEC(1));
    coir_cancel(task, NULL);
    coir_loop_stop(coir_loop_current());
    return r;
}

/* The run ends between the cancellation and what follows from it: the task is still ended, once. */
COIR_TEST_TAGGED(interrupt_cancelled_task, "own_loop")
{
    struct interrupted interrupted = {0, 0};
    {
        LOOP(loop);
        if (run_task(loop, cancel_and_interrupt, &interrupted) < 0)
            return;
        coir_test_expect_reports(COIR_REPORT_LEFT, interrupted.times == 0);
    }
    COIR_EXPECT_CODE(interrupted.ended, -ECANCELED);
    COIR_EXPECT_EQ(interrupted.times, 1);
}

/* ---- coir_run ---- */

static int leave_a_hanging_task(void *arg)
{
    int r = coir_loop_spawn(coir_loop_current(), hang, arg, NULL);
    return r < 0 ? r : coir_sleep(COIR_SEC(1)) + 9;
}

COIR_TEST_TAGGED(asyncio_run_cancels_hanging_tasks, "own_loop")
{
    int ended = 0;
    coir_loop_opts opts = coir_test_loop_opts();
    coir_test_expect_reports(COIR_REPORT_LEFT, 1);
    COIR_EXPECT_EQ(coir_run(leave_a_hanging_task, &ended, &opts, NULL), 9);
    COIR_EXPECT_CODE(ended, -ECANCELED);
}

COIR_TEST_TAGGED(coir_run_gives_the_result, "own_loop")
{
    coir_loop_opts opts = coir_test_loop_opts();
    int value = 6, result = 0;
    COIR_EXPECT_EQ(coir_run(return_it, &value, &opts, NULL), 6);
    COIR_EXPECT_EQ(coir_run(return_it, &value, &opts, &result), 0);
    COIR_EXPECT_EQ(result, 6);
    value = -EPERM;
    COIR_EXPECT_CODE(coir_run(return_it, &value, &opts, NULL), -EPERM);
    COIR_EXPECT_EQ(coir_run(return_it, &value, &opts, &result), 0);
    COIR_EXPECT_EQ(result, -EPERM);
    COIR_EXPECT_CODE(coir_run(cancel_myself, NULL, &opts, NULL), -COIR_ECANCELEDTASK);
}

COIR_TEST_TAGGED(coir_run_after_a_deadlock, "own_loop")
{
    coir_loop_opts opts = coir_test_loop_opts();
    int ended = 0, result = 0;
    coir_test_expect_reports(COIR_REPORT_DEADLOCK, 1);
    COIR_EXPECT_CODE(coir_run(hang, &ended, &opts, &result), -EDEADLK);
    COIR_EXPECT_CODE(ended, -ECANCELED);
    COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
}

/* ---- many loops ---- */

struct thread {
    coir_loop_opts opts;
    coir_time period;
    int result;
    coir_time took;
};

static int sleep_often(void *arg)
{
    struct thread *thread = arg;
    coir_time start = coir_now();
    for (int i = 0; i < 1000; i++)
        COIR_TRY(coir_sleep(thread->period));
    thread->took = coir_now() - start;
    return 42;
}

static void *run_thread(void *arg)
{
    struct thread *thread = arg;
    thread->result = coir_run(sleep_often, thread, &thread->opts, NULL);
    return NULL;
}

COIR_TEST_TAGGED(a_loop_in_each_of_two_threads, "own_loop")
{
    struct thread threads[2] = {{coir_test_loop_opts(), COIR_MS(1), 0, 0},
                                {coir_test_loop_opts(), COIR_SEC(3), 0, 0}};
    pthread_t ids[2];
    for (int i = 0; i < 2; i++)
        COIR_REQUIRE_EQ(pthread_create(&ids[i], NULL, run_thread, &threads[i]), 0);
    for (int i = 0; i < 2; i++)
        COIR_REQUIRE_EQ(pthread_join(ids[i], NULL), 0);
    COIR_EXPECT_EQ(threads[0].result, 42);
    COIR_EXPECT_EQ(threads[1].result, 42);
    COIR_EXPECT_EQ(threads[0].took, COIR_SEC(1));
    COIR_EXPECT_EQ(threads[1].took, COIR_SEC(3000));
}
