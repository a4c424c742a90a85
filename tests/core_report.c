/* core_report.c: each kind of report, provoked: when it comes, when it does not, and what it says;
 * and what counts as hope for a loop in which nothing is ready.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <coir/descriptor.h>
#include <coir/event.h>
#include <coir/signal.h>

#include "core_kit.h"
#include "core_loop.h"

/* "core_report.c:line", as reports name places. */
static const char *place(int line)
{
    static char text[64];
    (void)snprintf(text, sizeof text, "core_report.c:%d", line);
    return text;
}

static int run_with_reports(coir_fn fn, void *arg)
{
    coir_loop_opts opts = coir_test_loop_opts();
    return coir_run(fn, arg, &opts, NULL);
}

/* ---- deadlocks ---- */

struct stuck {
    coir_event event;
    coir_task *tasks[2];
    int codes[3];
};

static int wait_in_vain(void *arg)
{
    struct stuck *stuck = arg;
    return stuck->codes[0] = coir_event_wait(&stuck->event);
}

static int join_in_vain(void *arg)
{
    struct stuck *stuck = arg;
    return stuck->codes[1] = coir_join(stuck->tasks[0], NULL);
}

static int sleep_in_vain(void *arg)
{
    struct stuck *stuck = arg;
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, wait_in_vain, stuck, &stuck->tasks[0]));
    COIR_TRY(coir_spawn(&group, join_in_vain, stuck, &stuck->tasks[1]));
    coir_task_set_name(stuck->tasks[0], "the waiter");
    stuck->codes[2] = coir_sleep(COIR_FOREVER);
    return coir_group_finish(&group, stuck->codes[2]);
}

COIR_TEST_TAGGED(deadlock_lists_every_task, "own_loop")
{
    struct stuck stuck = {.codes = {1, 1, 1}};
    coir_test_expect_reports(COIR_REPORT_DEADLOCK, 1);
    COIR_EXPECT_CODE(run_with_reports(sleep_in_vain, &stuck), -EDEADLK);
    for (int i = 0; i < 3; i++)
        COIR_EXPECT_CODE(stuck.codes[i], -ECANCELED);
    const char *text = report_of(COIR_REPORT_DEADLOCK);
    COIR_EXPECT_CONTAINS(text, "nothing can wake these 3 tasks:\n  'main' sleeps");
    COIR_EXPECT_CONTAINS(text, "\n  'the waiter' waits for event");
    COIR_EXPECT_CONTAINS(text, "\n  'join_in_vain' joins task 'the waiter' (0 s old, spawned at ");
    COIR_EXPECT_CONTAINS(text, "core_report.c:");
}

static int cling(void *arg)
{
    coir_event *event = arg;
    COIR_SHIELD(COIR_FOREVER);
    return coir_event_wait(event);
}

/* What even a cancellation cannot wake is given up, once for the run and once for the closing. */
COIR_TEST_TAGGED(second_deadlock_gives_up, "own_loop")
{
    static coir_event event;
    coir_test_expect_reports(COIR_REPORT_DEADLOCK, 1);
    coir_test_expect_reports(COIR_REPORT_LEFT, 1);
    COIR_EXPECT_CODE(run_with_reports(cling, &event), -EDEADLK);
    COIR_EXPECT_CONTAINS(report_of(COIR_REPORT_LEFT), "the loop closes while task 'main' waits");
}

struct unwinding {
    coir_event event;
    coir_time took;
};

static int take_time_to_unwind(void *arg)
{
    struct unwinding *unwinding = arg;
    int r = coir_event_wait(&unwinding->event);
    COIR_SHIELD(COIR_SEC(10));
    coir_time start = coir_now();
    COIR_TRY(coir_sleep(COIR_SEC(2)));
    unwinding->took = coir_now() - start;
    return r;
}

COIR_TEST_TAGGED(unwinding_after_a_deadlock_may_take_time, "own_loop")
{
    struct unwinding unwinding = {.took = 0};
    coir_test_expect_reports(COIR_REPORT_DEADLOCK, 1);
    COIR_EXPECT_CODE(run_with_reports(take_time_to_unwind, &unwinding), -EDEADLK);
    COIR_EXPECT_EQ(unwinding.took, COIR_SEC(2));
}

COIR_TEST_TAGGED(timer_at_the_end_of_time_is_no_hope, "own_loop")
{
    struct stuck stuck = {.codes = {1, 1, 1}};
    coir_timer timer = {0};
    LOOP(loop);
    coir_test_expect_reports(COIR_REPORT_DEADLOCK, 1);
    coir_timer_start(loop, &timer, COIR_FOREVER, stop_loop, loop);
    COIR_EXPECT_CODE(run_task(loop, wait_in_vain, &stuck), -EDEADLK);
    coir_timer_stop(loop, &timer);
    COIR_EXPECT_CODE(stuck.codes[0], -ECANCELED);
}

/* ---- hope ---- */

static void set_event(void *arg)
{
    struct stuck *stuck = arg;
    COIR_EXPECT_OK(coir_event_set(&stuck->event));
}

COIR_TEST_TAGGED(timer_is_hope, "own_loop")
{
    struct stuck stuck = {.codes = {1, 1, 1}};
    coir_timer timer = {0};
    LOOP(loop);
    coir_timer_start(loop, &timer, coir_loop_time(loop) + COIR_SEC(1e6), set_event, &stuck);
    COIR_EXPECT_OK(run_task(loop, wait_in_vain, &stuck));
    coir_timer_stop(loop, &timer);
}

struct poster {
    coir_loop *loop;
    coir_post_node node;
    struct stuck stuck;
};

static void *post_soon(void *arg)
{
    struct poster *poster = arg;
    struct timespec pause = {.tv_nsec = 1000000};
    (void)nanosleep(&pause, NULL);
    COIR_EXPECT_OK(coir_post(poster->loop, &poster->node, set_event, &poster->stuck));
    return NULL;
}

COIR_TEST_TAGGED(expected_posts_are_hope, "own_loop,posts")
{
    struct poster poster = {.stuck = {.codes = {1, 1, 1}}};
    pthread_t id;
    LOOP(loop);
    poster.loop = loop;
    COIR_REQUIRE_EQ(pthread_create(&id, NULL, post_soon, &poster), 0);
    COIR_EXPECT_OK(run_task(loop, wait_in_vain, &poster.stuck));
    COIR_REQUIRE_EQ(pthread_join(id, NULL), 0);
}

static void *write_soon(void *arg)
{
    struct timespec pause = {.tv_nsec = 1000000};
    (void)nanosleep(&pause, NULL);
    return write(*(int *)arg, "x", 1) == 1 ? arg : NULL;
}

/* The kernel works on something: it may end. */
COIR_TEST_TAGGED(operation_is_hope, "real,no_torture")
{
    int ends[2];
    pthread_t id;
    COIR_REQUIRE_EQ(pipe(ends), 0);
    COIR_REQUIRE_EQ(pthread_create(&id, NULL, write_soon, &ends[1]), 0);
    COIR_EXPECT_EQ(coir_fd_wait(ends[0], POLLIN), POLLIN);
    COIR_EXPECT_EQ(pthread_join(id, NULL), 0);
    close(ends[0]);
    close(ends[1]);
}

static int wait_for_signal(void *arg)
{
    (void)arg;
    return coir_signal_wait(SIGUSR1);
}

static void *signal_soon(void *arg)
{
    struct timespec pause = {.tv_nsec = 1000000};
    (void)nanosleep(&pause, NULL);
    (void)kill(getpid(), SIGUSR1);
    return arg;
}

/* A signal that a task waits for may come from outside. */
COIR_TEST_TAGGED(signal_wait_is_hope, "real,no_torture")
{
    pthread_t id;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, wait_for_signal, NULL, NULL));
    SETTLE();
    COIR_REQUIRE_EQ(pthread_create(&id, NULL, signal_soon, NULL), 0);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(pthread_join(id, NULL), 0);
}

COIR_TEST_TAGGED(run_forever_is_hope, "own_loop")
{
    struct stuck stuck = {.codes = {1, 1, 1}};
    {
        LOOP(loop);
        coir_test_expect_reports(COIR_REPORT_LEFT, 1);
        COIR_REQUIRE_OK(coir_loop_spawn(loop, wait_in_vain, &stuck, NULL));
        COIR_REQUIRE_OK(run_for(loop, COIR_SEC(100)));
        COIR_EXPECT_EQ(stuck.codes[0], 1);
    }
    COIR_EXPECT_CODE(stuck.codes[0], -ECANCELED);
}

/* ---- failures that nobody read ---- */

static int fail(void *arg)
{
    (void)arg;
    return coir_fail(-EIO, "the disk is gone");
}

COIR_TEST(failure_without_owner_is_reported)
{
    coir_test_expect_reports(COIR_REPORT_UNREAD, 2);
    COIR_REQUIRE_OK(coir_spawn(NULL, fail, NULL, NULL));
    COIR_REQUIRE_OK(coir_loop_spawn(coir_loop_current(), fail, NULL, NULL));
    SETTLE();
    const char *text = report_of(COIR_REPORT_UNREAD);
    COIR_EXPECT_CONTAINS(text, "task 'fail' (0 s old, spawned at core_report.c:");
    COIR_EXPECT_CONTAINS(text, ") failed and nobody joins it\n"
                               "error: EIO: the disk is gone\n  fail  ");
}

COIR_TEST(failures_of_a_group_that_nobody_asked_for)
{
    coir_test_expect_reports(COIR_REPORT_UNREAD, 1);
    int line = 0;
    {
        line = __LINE__ + 1;
        COIR_GROUP_COLLECT(workers);
        COIR_REQUIRE_OK(coir_spawn(&workers, fail, NULL, NULL));
        COIR_REQUIRE_OK(coir_spawn(&workers, fail, NULL, NULL));
        SETTLE();
    }
    const char *text = report_of(COIR_REPORT_UNREAD);
    COIR_EXPECT_CONTAINS(text, "group 'workers' (");
    COIR_EXPECT_CONTAINS(text, place(line));
    COIR_EXPECT_CONTAINS(text, ") ended with 2 failed tasks that nobody asked for\n"
                               "error: EIO: the disk is gone\n");
    COIR_EXPECT_CONTAINS(text, "\nalso: EIO: the disk is gone\n");
}

COIR_TEST(failures_that_were_read_are_not_reported)
{
    {
        COIR_GROUP_COLLECT(asked);
        COIR_REQUIRE_OK(coir_spawn(&asked, fail, NULL, NULL));
        COIR_EXPECT_OK(coir_group_wait(&asked));
        COIR_EXPECT(coir_group_errors(&asked) != NULL);
    }
    {
        COIR_GROUP(failed);
        COIR_REQUIRE_OK(coir_spawn(&failed, fail, NULL, NULL));
        COIR_EXPECT_CODE(coir_group_finish(&failed, coir_sleep(1)), -EIO);
    }
    {
        COIR_GROUP_COLLECT(looked);
        COIR_REQUIRE_OK(coir_spawn(&looked, fail, NULL, NULL));
        SETTLE();
        COIR_EXPECT(coir_group_errors(&looked) != NULL);
    }
    coir_task *task = NULL;
    COIR_REQUIRE_OK(coir_spawn(NULL, fail, NULL, &task));
    COIR_EXPECT_CODE(coir_join(task, NULL), -EIO);
}

/* A server keeps so many records; what fails beyond is told at once. */
COIR_TEST(many_failures_of_a_collecting_group)
{
    coir_test_expect_reports(COIR_REPORT_UNREAD, 4);
    COIR_GROUP_COLLECT(group);
    for (int i = 0; i < 20; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, fail, NULL, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(coir_group_failures(&group), 20);
    COIR_EXPECT(coir_group_errors(&group) != NULL);
}

/* ---- handles that were never joined ---- */

static int leave_handle(void *arg)
{
    bool look = *(bool *)arg;
    coir_task *task;
    COIR_TRY(coir_spawn(NULL, fail, NULL, &task));
    COIR_TRY(coir_sleep(COIR_SEC(2)));
    if (look)
        COIR_EXPECT_CODE(coir_task_result(task), -EIO);
    return 0;
}

COIR_TEST(handle_of_a_failed_task_that_nobody_joined)
{
    bool look = false;
    coir_test_expect_reports(COIR_REPORT_UNJOINED, 1);
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, leave_handle, &look, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
    const char *text = report_of(COIR_REPORT_UNJOINED);
    COIR_EXPECT_CONTAINS(text, "task 'fail' (2 s old, spawned at core_report.c:");
    COIR_EXPECT_CONTAINS(text, ") failed and its handle was never joined\n"
                               "error: EIO: the disk is gone\n");
}

COIR_TEST(result_that_was_looked_at_is_no_report)
{
    bool look = true;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, leave_handle, &look, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return coir_sleep(COIR_FOREVER);
}

static int leave_cancelled_handle(void *arg)
{
    coir_task *task;
    COIR_TRY(coir_spawn(NULL, sleep_for_ever, arg, &task));
    COIR_TRY(coir_yield());
    coir_cancel(task, NULL);
    return 0;
}

/* A cancellation is no failure, also where nobody joins. */
COIR_TEST(handle_of_a_cancelled_task_is_no_report)
{
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, leave_cancelled_handle, NULL, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
}

/* ---- leaving a group takes long ---- */

static int dawdle(void *arg)
{
    COIR_SHIELD(COIR_FOREVER);
    return coir_sleep(*(coir_time *)arg);
}

static void leave_after(coir_time duration)
{
    COIR_GROUP(slow);
    COIR_REQUIRE_OK(coir_spawn(&slow, dawdle, &duration, NULL));
    COIR_REQUIRE_OK(coir_yield());
    SETTLE();
}

COIR_TEST(slow_leave_names_the_child)
{
    coir_test_expect_reports(COIR_REPORT_SLOW_LEAVE, 1);
    coir_time start = coir_now();
    leave_after(COIR_SEC(3));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(3));
    const char *text = report_of(COIR_REPORT_SLOW_LEAVE);
    COIR_EXPECT_CONTAINS(text, "leaving group 'slow' (");
    COIR_EXPECT_CONTAINS(text, "core_report.c:");
    COIR_EXPECT_CONTAINS(text, ") has waited 1 s for 1 of its tasks; the first: "
                               "'dawdle' sleeps 2 s more (1 s old, spawned at ");
}

COIR_TEST(leaving_in_less_than_a_second_is_no_report)
{
    leave_after(COIR_SEC(1) - 1);
}

/* ---- cancellations that are ignored ---- */

struct ignorer {
    int times, codes;
};

static int ignore(void *arg)
{
    struct ignorer *ignorer = arg;
    coir_cancel(coir_current(), "enough");
    for (int i = 0; i < ignorer->times; i++)
        ignorer->codes += coir_yield() == -ECANCELED;
    return 0;
}

static void ignore_times(struct ignorer *ignorer, int times)
{
    *ignorer = (struct ignorer){.times = times};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, ignore, ignorer, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(ignorer->codes, times);
}

COIR_TEST(thousandth_ignored_cancellation_is_reported)
{
    struct ignorer ignorer;
    coir_test_expect_reports(COIR_REPORT_IGNORED, 1);
    ignore_times(&ignorer, 999);
    COIR_EXPECT_EQ(coir_test_report_count(COIR_REPORT_IGNORED), 0);
    ignore_times(&ignorer, 2500);
    const char *text = report_of(COIR_REPORT_IGNORED);
    COIR_EXPECT_CONTAINS(text, "task 'ignore' (0 s old, spawned at core_report.c:");
    COIR_EXPECT_CONTAINS(text, "core_report.c:");
}

static int count_turns(void *arg)
{
    for (int *count = arg; *count < 100; ++*count)
        COIR_TRY(coir_yield());
    return 0;
}

/* From the sixteenth on the others get their turns; before, a report costs nothing. */
COIR_TEST_TAGGED(ignoring_task_does_not_hold_the_loop, "fifo")
{
    int turns = 0;
    struct ignorer ignorer = {.times = 15};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, ignore, &ignorer, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, count_turns, &turns, NULL));
    COIR_REQUIRE_OK(coir_yield());
    COIR_EXPECT_LE(turns, 1);
    struct ignorer longer = {.times = 300};
    COIR_REQUIRE_OK(coir_spawn(&group, ignore, &longer, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(turns, 100);
}

/* ---- where reports go ---- */

COIR_TEST_TAGGED(standard_error_gets_one_line_each, "own_loop,no_torture")
{
    int ends[2], saved = dup(STDERR_FILENO);
    static char output[1024];
    COIR_REQUIRE_EQ(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    for (int kind = COIR_REPORT_DEADLOCK; kind <= COIR_REPORT_MISUSE; kind++) {
        coir_report report = {.kind = (coir_report_kind)kind, .text = "text"};
        coir_report_to_stderr(&report, NULL);
    }
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    ssize_t length = read(ends[0], output, sizeof output - 1);
    close(ends[0]);
    COIR_EXPECT_GT(length, 0);
    COIR_EXPECT_STR(output, "coir: deadlock: text\n"
                            "coir: unread failure: text\n"
                            "coir: unjoined task: text\n"
                            "coir: left open: text\n"
                            "coir: slow leave: text\n"
                            "coir: ignored cancellation: text\n"
                            "coir: stack overflow: text\n"
                            "coir: misuse: text\n");
}

COIR_TEST_TAGGED(without_a_hook_reports_are_counted, "own_loop")
{
    struct stuck stuck = {.codes = {1, 1, 1}};
    struct coir_loop_stats stats;
    coir_loop_opts opts = coir_test_loop_opts();
    opts.report = NULL;
    COIR_AUTO(coir_loop) *loop = NULL;
    COIR_REQUIRE_OK(coir_loop_open(&opts, &loop));
    COIR_EXPECT_CODE(run_task(loop, wait_in_vain, &stuck), -EDEADLK);
    coir_loop_stats(loop, &stats);
    COIR_EXPECT_EQ(stats.reports, 1);
    COIR_EXPECT_EQ(coir_test_report_count(COIR_REPORT_DEADLOCK), 0);
}
