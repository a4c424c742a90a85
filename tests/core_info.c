/* core_info.c: which backend a loop gets, and what a loop says about itself: the information about
 * build and machine, and its counters.
 */
#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "core/sys.h"
#include "core_loop.h"

static int return_it(void *arg)
{
    return *(int *)arg;
}

/* Sleeps for ever, and notes what ended that. */
static int hang(void *arg)
{
    int r = coir_sleep(COIR_FOREVER);
    *(int *)arg = r;
    return r;
}

static int cancel_myself(void *arg)
{
    (void)arg;
    coir_cancel(coir_current(), "enough");
    return coir_yield();
}

static void nothing(void *arg)
{
    (void)arg;
}

/* ---- backends ---- */

COIR_TEST_TAGGED(unknown_backend_is_refused, "own_loop")
{
    coir_loop *loop = NULL;
    int value = 0, result = 0;
    coir_loop_opts opts = {.backend = "no such thing"};
    COIR_EXPECT_CODE(coir_loop_open(&opts, &loop), -EINVAL);
    COIR_EXPECT_CODE(coir_run(return_it, &value, &opts, &result), -EINVAL);
    COIR_REQUIRE_EQ(setenv("COIR_BACKEND", "nor this", 1), 0);
    COIR_EXPECT_CODE(coir_loop_open(NULL, &loop), -EINVAL);
    COIR_REQUIRE_EQ(setenv("COIR_BACKEND", coir_test_backend(), 1), 0);
    COIR_EXPECT_PTR(loop, NULL);
}

static int no_descriptors(enum coir__sys_call call, size_t *length)
{
    (void)length;
    return call == COIR__SYS_EPOLL_CREATE || call == COIR__SYS_URING_SETUP ? -EMFILE : 0;
}

/* A program must never find itself in a simulation that it did not ask for. */
COIR_TEST_TAGGED(simulation_is_no_fallback, "own_loop,no_torture")
{
    coir_loop *loop = NULL;
    COIR_REQUIRE_EQ(unsetenv("COIR_BACKEND"), 0);
    coir__sys_fault = no_descriptors;
    int r = coir_loop_open(NULL, &loop);
    coir__sys_fault = NULL;
    COIR_REQUIRE_EQ(setenv("COIR_BACKEND", coir_test_backend(), 1), 0);
    COIR_EXPECT_CODE(r, -EMFILE);
    if (r >= 0)
        coir_loop_close(loop);
}

/* ---- what a loop says about itself ---- */

static int look_at_info(void *arg)
{
    (void)arg;
    const struct coir_info *info = coir_info();
    COIR_EXPECT_STR(info->version, "0.1.0");
    COIR_EXPECT_STR(info->backend, coir_test_backend());
    COIR_EXPECT_CONTAINS(info->backend_why, "asked for");
    COIR_EXPECT_EQ(info->stack_size, 65536);
    COIR_EXPECT(strcmp(info->guards, "madvise") == 0 || strcmp(info->guards, "mprotect") == 0);
    COIR_EXPECT_EQ(info->stack_limit == 0, strcmp(info->guards, "madvise") == 0);
    COIR_EXPECT_CONTAINS(info->text, "coir 0.1.0\nkernel   ");
    COIR_EXPECT_CONTAINS(info->text, "\nbackend  ");
    COIR_EXPECT_CONTAINS(info->text, info->backend_why);
    COIR_EXPECT_CONTAINS(info->text, "\nstacks   64 KiB by default, guarded by ");
    COIR_EXPECT_CONTAINS(info->text, info->guards);
    return 0;
}

COIR_TEST_TAGGED(info, "own_loop")
{
    COIR_EXPECT_STR(coir_info()->backend, coir_test_backend());
    COIR_EXPECT_EQ(coir_info()->stack_size, 256 * 1024);
    COIR_EXPECT_CONTAINS(coir_info()->text, "no loop runs on this thread");
    coir_loop_opts opts = coir_test_loop_opts();
    opts.stack_size = 65536;
    COIR_EXPECT_OK(coir_run(look_at_info, NULL, &opts, NULL));
}

COIR_TEST_TAGGED(stats_without_a_loop_are_zero, "own_loop")
{
    struct coir_loop_stats stats, zero = {0};
    coir_loop_stats(NULL, &stats);
    COIR_EXPECT_BYTES(&stats, &zero, sizeof stats);
}

COIR_TEST(stats_count_everything)
{
    struct coir_loop_stats before, now;
    coir_loop_stats(NULL, &before);
    int ended = 0;
    coir_timer timer = {0};
    coir_loop *loop = coir_loop_current();
    coir_task *task;
    {
        COIR_GROUP(group);
        COIR_REQUIRE_OK(coir_spawn(&group, hang, &ended, NULL));
        COIR_REQUIRE_OK(coir_spawn(&group, cancel_myself, NULL, &task));
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        coir_timer_start(loop, &timer, coir_now() + COIR_SEC(1), nothing, NULL);
        COIR_DEADLINE(COIR_SEC(1));
        coir_loop_stats(loop, &now);
        coir_timer_stop(loop, &timer);
        COIR_EXPECT_EQ(now.tasks, before.tasks + 1);
        COIR_EXPECT_EQ(now.tasks_total, before.tasks_total + 2);
        COIR_EXPECT_EQ(now.handles, before.handles + 1);
        COIR_EXPECT_EQ(now.stacks, before.stacks + 2);
        COIR_EXPECT_EQ(now.timers, before.timers + 2);
        COIR_EXPECT_EQ(now.errors, before.errors + 2); /* the failure, and why it was cancelled */
        COIR_EXPECT_GT(now.turns, before.turns);
        COIR_EXPECT_EQ(now.reports, before.reports);
    }
    coir_loop_stats(loop, &now);
    COIR_EXPECT_EQ(now.tasks, before.tasks);
    COIR_EXPECT_EQ(now.handles, before.handles);
    COIR_EXPECT_EQ(now.stacks, before.stacks);
    COIR_EXPECT_EQ(now.stacks_cached, before.stacks_cached + 2);
    COIR_EXPECT_EQ(now.timers, before.timers);
    COIR_EXPECT_EQ(now.memory, before.memory);
}
