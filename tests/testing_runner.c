/* testing_runner.c: tests of the runner: that what should fail does, and says why. The tests of the
 * tag meta are the ones that fail; each is run by an inner runner (testing_nested.h).
 */
#include <signal.h>
#include <string.h>

#include "core/core.h"
#include "testing_nested.h"

/* ---- what fails ---- */

COIR_TEST_TAGGED(meta_wrong_number, "meta")
{
    int n = 2;
    COIR_EXPECT_EQ(n, 3);
}

COIR_TEST_TAGGED(meta_all_kinds, "meta")
{
    COIR_EXPECT_STR("left", "rite");
    COIR_EXPECT_STR("left", NULL);
    COIR_EXPECT_BYTES("0123456789", "0123456x89", 10);
    COIR_EXPECT_CODE(-EPIPE, -COIR_ECLOSED);
    COIR_EXPECT_OK(-ENOENT);
    COIR_FAIL("a text with %d", 42);
    COIR_REQUIRE_LT(5, -5);
    COIR_FAIL("not reached");
}

COIR_TEST_TAGGED(meta_no_loop, "meta,own_loop")
{
    COIR_EXPECT_CODE(coir_yield(), -ECANCELED);
    COIR_EXPECT_EQ(ENOENT, EPIPE);
    COIR_REQUIRE_OK(coir_spawn(NULL, NULL, NULL, NULL));
}

COIR_TEST_TAGGED(a_failed_expectation_fails_the_test, "own_loop,no_torture")
{
    EXPECT_NESTED_FAILURE("n == 3\n        left : 2\n        right: 3\n", "meta_wrong_number");
}

COIR_TEST_TAGGED(a_failure_shows_what_the_test_has, "own_loop,no_torture")
{
    EXPECT_NESTED_FAILURE("coir_yield() == -ECANCELED\n", "meta_no_loop");
    EXPECT_NESTED_FAILURE("ENOENT == EPIPE\n", "meta_no_loop");
    EXPECT_NESTED_FAILURE("coir_spawn(NULL, NULL, NULL, NULL)", "meta_no_loop");
}

COIR_TEST_TAGGED(expectations_print_both_values, "own_loop,no_torture")
{
    static struct nested nested;
    NESTED_RUN(&nested, "meta_all_kinds");
    COIR_EXPECT_CONTAINS(nested.output, "left : \"left\"\n        right: \"rite\"");
    COIR_EXPECT_CONTAINS(nested.output, "right: NULL");
    COIR_EXPECT_CONTAINS(nested.output, "differ at byte 7 of 10");
    COIR_EXPECT_CONTAINS(nested.output, "-EPIPE (-32: ");
    COIR_EXPECT_CONTAINS(nested.output, "-COIR_ECLOSED");
    COIR_EXPECT_CONTAINS(nested.output, "failed: -ENOENT");
    COIR_EXPECT_CONTAINS(nested.output, ": a text with 42\n");
    COIR_EXPECT_CONTAINS(nested.output, "left : 5\n        right: -5");
    COIR_EXPECT(strstr(nested.output, "not reached") == NULL);
}

COIR_TEST_TAGGED(a_failure_says_how_to_repeat_it, "own_loop,no_torture")
{
    EXPECT_NESTED_FAILURE("again: nested --backend ", "meta_wrong_number", "--seed", "77");
    EXPECT_NESTED_FAILURE(" --seed 77 testing_runner.meta_wrong_number", "meta_wrong_number",
                          "--seed", "77");
}

/* ---- ends of all kinds ---- */

COIR_TEST_TAGGED(meta_crashes, "meta")
{
    __builtin_trap();
}

COIR_TEST_TAGGED(meta_aborts, "meta")
{
    abort();
}

COIR_TEST_TAGGED(meta_exits, "meta")
{
    _exit(0);
}

/* Blocks the thread, not the task: nobody but the runner can end it. */
COIR_TEST_TAGGED(meta_never_returns, "meta,limit=1")
{
    for (;;)
        pause();
}

COIR_TEST_TAGGED(meta_deadlocks, "meta")
{
    COIR_EXPECT_CODE(coir_sleep(COIR_FOREVER), -ECANCELED);
}

COIR_TEST_TAGGED(meta_skips, "meta")
{
    COIR_SKIP("for a reason");
}

COIR_TEST_TAGGED(a_crash_is_a_failure_with_a_name, "own_loop,no_torture")
{
    EXPECT_NESTED_FAILURE("crashed by SIG", "meta_crashes"); /* which, the processor decides */
    EXPECT_NESTED_FAILURE("crashed by SIGABRT", "meta_aborts");
}

COIR_TEST_TAGGED(meta_interrupts_itself, "meta")
{
    raise(SIGINT);
}

/* As a shell has it for what it starts in the background. */
COIR_TEST_TAGGED(a_runner_that_ignores_signals_has_tests_that_do_not, "own_loop,no_torture")
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    COIR_REQUIRE_EQ(sigaction(SIGINT, &ignore, NULL), 0);
    EXPECT_NESTED_FAILURE("crashed by SIGINT", "meta_interrupts_itself");
}

COIR_TEST_TAGGED(an_exit_in_a_test_is_a_failure, "own_loop,no_torture")
{
    EXPECT_NESTED_FAILURE("exit status 0 before the test was over", "meta_exits");
}

COIR_TEST_TAGGED(the_time_limit_ends_a_test, "own_loop,no_torture")
{
    static struct nested nested;
    setenv("COIR_TEST_TIMEOUT_MULTIPLIER", "0.5", 1); /* long enough for it to begin */
    NESTED_RUN(&nested, "meta_never_returns");
    COIR_EXPECT_EQ(nested.code, 1);
    COIR_EXPECT_CONTAINS(nested.output, "time limit of 0.5 s");
    COIR_EXPECT_CONTAINS(nested.output, "'meta_never_returns' runs");
}

COIR_TEST_TAGGED(a_deadlock_is_a_failure_that_names_the_waits, "own_loop,no_torture")
{
    EXPECT_NESTED_FAILURE("DEADLOCK", "meta_deadlocks");
    EXPECT_NESTED_FAILURE("'meta_deadlocks' sleeps", "meta_deadlocks");
}

COIR_TEST_TAGGED(skipped_tests_are_counted, "own_loop,no_torture")
{
    static struct nested nested;
    NESTED_RUN(&nested, "meta_skips", "--verbose");
    COIR_EXPECT_EQ(nested.code, 0);
    COIR_EXPECT_CONTAINS(nested.output, "0 passed, 0 failed, 1 skipped\n");
    COIR_EXPECT_CONTAINS(nested.output, "for a reason");
}

/* ---- what is left behind ---- */

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return coir_sleep(COIR_FOREVER);
}

static void never_called(void *arg)
{
    (void)arg;
}

COIR_TEST_TAGGED(meta_leaves_a_task, "meta")
{
    coir_task *task;
    COIR_EXPECT_OK(coir_loop_spawn(coir_loop_current(), sleep_for_ever, NULL, &task));
    COIR_EXPECT_OK(coir_yield());
}

COIR_TEST_TAGGED(meta_leaves_a_handle, "meta")
{
    coir_task *task;
    COIR_EXPECT_OK(coir_loop_spawn(coir_loop_current(), sleep_for_ever, NULL, &task));
    COIR_EXPECT_OK(coir_yield());
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(coir_test_wait_all_blocked());
}

COIR_TEST_TAGGED(meta_leaves_a_timer, "meta")
{
    static coir_timer timer;
    coir_timer_start(coir_loop_current(), &timer, coir_now() + COIR_SEC(1), never_called, NULL);
}

COIR_TEST_TAGGED(meta_leaves_a_callback, "meta")
{
    COIR_EXPECT_OK(coir_call_later(coir_loop_current(), COIR_SEC(1), never_called, NULL, NULL));
}

COIR_TEST_TAGGED(meta_leaves_memory, "meta")
{
    void *volatile block = coir__alloc(10);
    COIR_EXPECT(block != NULL);
}

COIR_TEST_TAGGED(meta_leaves_a_descriptor, "meta")
{
    COIR_EXPECT_OK(dup(1));
}

COIR_TEST_TAGGED(meta_closes_a_descriptor, "meta")
{
    COIR_EXPECT_OK(close(0));
}

COIR_TEST_TAGGED(leftovers_are_failures, "own_loop,no_torture")
{
    EXPECT_NESTED_FAILURE("left behind: tasks: 1,", "meta_leaves_a_task");
    EXPECT_NESTED_FAILURE("'sleep_for_ever' sleeps", "meta_leaves_a_task");
    EXPECT_NESTED_FAILURE("left behind: handles never joined: 1,", "meta_leaves_a_handle");
    EXPECT_NESTED_FAILURE("left behind: timers: 1,", "meta_leaves_a_timer");
    EXPECT_NESTED_FAILURE("left behind: callbacks: 1,", "meta_leaves_a_callback");
    EXPECT_NESTED_FAILURE("left behind: blocks of memory: 1,", "meta_leaves_memory");
    EXPECT_NESTED_FAILURE("left open: descriptor ", "meta_leaves_a_descriptor");
    EXPECT_NESTED_FAILURE("descriptor 0 was open before", "meta_closes_a_descriptor");
}

/* ---- reports ---- */

static int fail(void *arg)
{
    (void)arg;
    return -EIO;
}

COIR_TEST_TAGGED(meta_fails_unread, "meta")
{
    COIR_EXPECT_OK(coir_spawn(NULL, fail, NULL, NULL));
}

COIR_TEST_TAGGED(meta_announces_in_vain, "meta")
{
    coir_test_expect_reports(COIR_REPORT_UNREAD, 1);
}

COIR_TEST_TAGGED(unexpected_and_missing_reports_are_failures, "own_loop,no_torture")
{
    EXPECT_NESTED_FAILURE("1 unexpected report of kind UNREAD", "meta_fails_unread");
    EXPECT_NESTED_FAILURE("1 reports of kind UNREAD were announced, 0 came",
                          "meta_announces_in_vain");
}

/* ---- seeds and the command line ---- */

static int print_number(void *arg)
{
    printf("%d ", *(int *)arg);
    return 0;
}

COIR_TEST_TAGGED(meta_prints_the_order, "meta")
{
    int numbers[16];
    COIR_GROUP(group);
    for (int i = 0; i < 16; i++) {
        numbers[i] = i;
        COIR_REQUIRE_OK(coir_spawn(&group, print_number, &numbers[i], NULL));
    }
    COIR_REQUIRE_OK(coir_group_wait(&group));
    printf("\n");
    COIR_FAIL("to be printed");
}

COIR_TEST_TAGGED(the_seed_of_the_command_line_repeats_an_order, "own_loop,no_torture")
{
    static struct nested first, again, other;
    NESTED_RUN(&first, "meta_prints_the_order", "--seed", "5");
    NESTED_RUN(&again, "meta_prints_the_order", "--seed", "5");
    NESTED_RUN(&other, "meta_prints_the_order", "--seed", "0");
    COIR_EXPECT_STR(first.output, again.output);
    COIR_EXPECT_CONTAINS(other.output, "    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 \n");
    COIR_EXPECT(strstr(first.output, "    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 \n") == NULL);
}

COIR_TEST_TAGGED(a_filter_that_matches_nothing_is_a_mistake, "own_loop,no_torture")
{
    static struct nested nested;
    NESTED_RUN(&nested, "no_such_test_anywhere");
    COIR_EXPECT_EQ(nested.code, 1);
    COIR_EXPECT_CONTAINS(nested.output, "0 passed, 0 failed\n");
    NESTED_RUN(&nested, "meta_skip*");
    COIR_EXPECT_EQ(nested.code, 1);
}

COIR_TEST_TAGGED(a_wrong_option_is_a_mistake, "own_loop,no_torture")
{
    static struct nested nested;
    NESTED_RUN(&nested, "--torture-kind=kindly");
    COIR_EXPECT_EQ(nested.code, 2);
    NESTED_RUN(&nested, "--torture-point=syscall:RECV:0:EINTR");
    COIR_EXPECT_EQ(nested.code, 2);
    NESTED_RUN(&nested, "--torture-point=syscall:RECV:1:EISDIR");
    COIR_EXPECT_EQ(nested.code, 2);
}

COIR_TEST_TAGGED(repeating_counts_each_run, "own_loop,no_torture")
{
    static struct nested nested;
    NESTED_RUN(&nested, "testing_order.a_year_passes_at_once", "--repeat", "3");
    COIR_EXPECT_CONTAINS(nested.output, "3 passed, 0 failed\n");
}
