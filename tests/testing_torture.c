/* testing_torture.c: the torture finds a planted bug of each kind, and finds none where there is
 * none.
 *
 * Each test of the tag meta has one bug that shows only when a certain thing fails; the inner
 * runner must find it, by that kind of torture, at the right point.
 */
#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "core/sys.h"
#include "net_pair.h"
#include "testing_nested.h"

/* ---- bugs ---- */

/* Forgets to close the descriptor on one of the paths that a cancellation takes. */
COIR_TEST_TAGGED(meta_leaks_when_cancelled, "meta")
{
    COIR_REQUIRE_OK(coir_yield());
    int fd = dup(STDERR_FILENO);
    COIR_REQUIRE_OK(coir_yield());
    close(fd);
}

/* Ends cleanly after a cancellation, and not after an expiry. */
COIR_TEST_TAGGED(meta_leaks_when_expired, "meta")
{
    int fd = dup(STDERR_FILENO);
    int r = coir_sleep(COIR_SEC(1));
    if (r != -ETIME)
        close(fd);
}

static int forget_a_descriptor(void *arg)
{
    (void)arg;
    int fd = dup(STDERR_FILENO);
    COIR_TRY(coir_yield());
    close(fd);
    return 0;
}

COIR_TEST_TAGGED(meta_leaks_in_a_loop_of_its_own, "meta,own_loop")
{
    coir_loop_opts opts = coir_test_loop_opts();
    (void)!coir_run(forget_a_descriptor, NULL, &opts, NULL);
}

COIR_TEST_TAGGED(meta_believes_in_memory, "meta")
{
    char *volatile first = coir__alloc(16);
    if (first == NULL)
        return;
    char *volatile second = coir__alloc(16);
    second[0] = 'x';
    coir__free(second);
    coir__free(first);
}

/* A second attempt saves it from one failure, not from a lasting one. */
COIR_TEST_TAGGED(meta_believes_in_second_attempts, "meta")
{
    char *volatile block = coir__alloc(16);
    if (block == NULL)
        block = coir__alloc(16);
    block[0] = 'x';
    coir__free(block);
}

static void send_item(int fd, const char *item, size_t length, bool careful)
{
    while (length > 0) {
        struct iovec vector = {.iov_base = (char *)(uintptr_t)item, .iov_len = length};
        long n = coir__sys_writev(fd, &vector, 1);
        if (n < 0 || !careful)
            return;
        item += n;
        length -= (size_t)n;
    }
}

/* Sends one item through a pipe; whoever is not careful loses most of it after a short write. */
static void pass_item(bool careful)
{
    int ends[2];
    char item[8] = "";
    COIR_REQUIRE_OK(pipe(ends));
    send_item(ends[1], "an item", 8, careful);
    close(ends[1]);
    long n = coir__sys_read(ends[0], item, sizeof item);
    close(ends[0]);
    if (n == 8)
        assert(strcmp(item, "an item") == 0);
    else
        assert(careful && "an item was lost");
}

COIR_TEST_TAGGED(meta_loses_an_item, "meta")
{
    pass_item(false);
}

COIR_TEST_TAGGED(meta_believes_in_system_calls, "meta")
{
    int fd = coir__sys_eventfd();
    assert(fd >= 0);
    close(fd);
}

/* ---- waiting for somebody who was cancelled ---- */

static int give_up(void *arg)
{
    (void)arg;
    return coir_yield();
}

/* Waits for ever when the other task was cancelled. */
static void wait_in_vain(void)
{
    coir_task *task = NULL;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, give_up, NULL, &task));
    int result = 0;
    COIR_REQUIRE_OK(coir_join(task, &result));
    if (result < 0)
        COIR_REQUIRE_OK(coir_sleep(COIR_FOREVER));
}

COIR_TEST_TAGGED(meta_waits_in_vain, "meta")
{
    wait_in_vain();
}

COIR_TEST_TAGGED(meta_waits_in_vain_and_must_not, "meta,liveness")
{
    wait_in_vain();
}

static int read_a_byte(void *arg)
{
    char byte;
    return coir_stream_read_exactly(arg, &byte, 1);
}

/* Sleeps for 40 s beside a read whose peer is silent. */
COIR_TEST_TAGGED(meta_sleeps_beside_a_silent_peer, "meta")
{
    COIR_AUTO(coir_stream) *a = NULL;
    COIR_AUTO(coir_stream) *b = NULL;
    coir_task *reader;
    COIR_REQUIRE_OK(open_pair(BY_TCP, &a, &b));
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, read_a_byte, b, &reader));
    for (int i = 0; i < 2000; i++)
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(20)));
    coir_cancel(reader, NULL);
    COIR_REQUIRE_OK(coir_join(reader, NULL));
}

/* ---- the torture finds them ---- */

COIR_TEST_TAGGED(torture_finds_a_leak_after_a_cancellation, "own_loop,no_torture")
{
    EXPECT_NESTED_FAILURE("torture cancel:2)", "meta_leaks_when_cancelled", "--torture=full",
                          "--torture-kind=cancel");
    EXPECT_NESTED_FAILURE("left open: descriptor", "meta_leaks_when_cancelled",
                          "--torture-point=cancel:2");
    EXPECT_NESTED_SUCCESS("meta_leaks_when_cancelled", "--torture-point=cancel:1");
}

COIR_TEST_TAGGED(torture_finds_a_leak_after_an_expiry, "own_loop,no_torture")
{
    EXPECT_NESTED_FAILURE("torture timeout:1)", "meta_leaks_when_expired", "--torture");
    EXPECT_NESTED_SUCCESS("meta_leaks_when_expired", "--torture=full", "--torture-kind=cancel");
}

COIR_TEST_TAGGED(torture_cancels_in_the_loops_of_a_test, "own_loop,no_torture")
{
    EXPECT_NESTED_FAILURE("left open: descriptor", "meta_leaks_in_a_loop_of_its_own",
                          "--torture=full", "--torture-kind=cancel");
    EXPECT_NESTED_SUCCESS("meta_leaks_in_a_loop_of_its_own");
}

COIR_TEST_TAGGED(torture_finds_an_unchecked_allocation, "own_loop,no_torture")
{
    EXPECT_NESTED_FAILURE(", torture alloc:", "meta_believes_in_memory", "--torture=full",
                          "--torture-kind=alloc");
    EXPECT_NESTED_FAILURE(", torture alloc-forever:", "meta_believes_in_second_attempts",
                          "--torture=full", "--torture-kind=alloc-forever");
    EXPECT_NESTED_SUCCESS("meta_believes_in_second_attempts", "--torture=full",
                          "--torture-kind=alloc");
}

COIR_TEST_TAGGED(torture_finds_an_item_lost_by_a_short_write, "own_loop,no_torture")
{
    EXPECT_NESTED_FAILURE("torture short:WRITE:1): crashed by SIGABRT", "meta_loses_an_item",
                          "--torture=full", "--torture-kind=short");
}

COIR_TEST_TAGGED(torture_finds_an_unchecked_system_call, "own_loop,no_torture")
{
    EXPECT_NESTED_FAILURE("torture syscall:EVENTFD:", "meta_believes_in_system_calls",
                          "--torture=full", "--torture-kind=syscall");
}

COIR_TEST_TAGGED(a_deadlock_under_torture_counts_with_liveness, "own_loop,no_torture")
{
    EXPECT_NESTED_SUCCESS("meta_waits_in_vain", "--torture=full", "--torture-kind=cancel");
    EXPECT_NESTED_FAILURE("kind DEADLOCK", "meta_waits_in_vain_and_must_not", "--torture=full",
                          "--torture-kind=cancel");
}

/* A silence of the kernel is waited out once, not before each timer: within the time limit. */
COIR_TEST_TAGGED(a_silent_kernel_does_not_hold_up_the_torture, "own_loop,no_torture")
{
    EXPECT_NESTED_SUCCESS("meta_sleeps_beside_a_silent_peer", "--torture-point=cancel:1990");
}

/* ---- and nothing else ---- */

static int exchange(void *arg)
{
    (void)arg;
    COIR_DEADLINE(COIR_SEC(10));
    for (int i = 0; i < 30; i++)
        COIR_TRY(coir_sleep(COIR_MS(10)));
    return 0;
}

/* Tortured like any other test, by every kind: group, deadline, sleeps, callbacks. */
COIR_TEST(a_sound_test_survives_torture)
{
    COIR_GROUP(group);
    for (int i = 0; i < 3; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, exchange, NULL, NULL));
    COIR_REQUIRE_OK(coir_group_wait(&group));
}

COIR_TEST(an_item_gets_through_whole)
{
    pass_item(true);
}

COIR_TEST_TAGGED(a_sample_takes_few_points, "own_loop,no_torture")
{
    static struct nested nested;
    NESTED_RUN(&nested, "a_sound_test_survives_torture", "--torture", "--torture-kind=timeout");
    COIR_EXPECT_STR(nested.output, "4 points of torture\n1 passed, 0 failed\n");
}
