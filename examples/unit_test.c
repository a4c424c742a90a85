/* unit_test.c: tests of code that waits. This file is a whole program; main comes with the header.
 *
 * Each test is the main task of a fresh loop with a virtual clock, in a process of its own, and
 * whatever it leaves behind fails it. The second one has no loop and opens its own, as a test with
 * setUp and tearDown would.
 */
#include <coir/coir.h>
#include <coir/testing.h>

static int async_operation(void *arg)
{
    const char **result = arg;
    COIR_TRY(coir_sleep(COIR_SEC(60)));
    *result = "expected";
    return 0;
}

COIR_TEST(async_function)
{
    const char *result = "";
    coir_time start = coir_now();
    COIR_EXPECT_OK(async_operation(&result));
    COIR_EXPECT_STR(result, "expected");
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(60)); /* exactly, and at once */
}

COIR_TEST_TAGGED(manual_loop, "own_loop")
{
    coir_loop *loop; /* setUp */
    coir_loop_opts opts = coir_test_loop_opts();
    COIR_REQUIRE_OK(coir_loop_open(&opts, &loop));

    const char *result = "";
    coir_task *task;
    int r = coir_loop_spawn(loop, async_operation, &result, &task);
    if (r == 0)
        r = coir_loop_run_until(loop, task, NULL);

    coir_loop_close(loop); /* tearDown: before the first line that may leave */
    COIR_REQUIRE_OK(r);
    COIR_EXPECT_STR(result, "expected");
}
