/* core_group_ends.c: groups that end while somebody else waits for them, whose failures count as
 * read, and what is cancelled or posted while no loop runs. Each test names what would go wrong:
 * a waiter that hangs, a group read after it is gone, a failure that nobody hears of. */
#include <string.h>

#include <coir/testing.h>

static int fail_after(void *arg)
{
    COIR_TRY(coir_sleep(*(coir_time *)arg));
    return -EIO;
}

/* Takes its time, whatever happens outside. */
static int stay(void *arg)
{
    COIR_SHIELD(COIR_FOREVER);
    return coir_sleep(*(coir_time *)arg);
}

static int sleep_for(void *arg)
{
    return coir_sleep(*(coir_time *)arg);
}

struct object {
    coir_group group;
    coir_time pause;
    int result;
};

static int wait_later(void *arg)
{
    struct object **object = arg;
    coir_time pause = (*object)->pause;
    COIR_TRY(coir_sleep(pause));
    return coir_group_wait(&(*object)->group);
}

static int close_at_ten(void *arg)
{
    struct object *object = arg;
    COIR_TRY(coir_sleep(COIR_MS(10)));
    object->result = coir_group_close(&object->group);
    return 0;
}

COIR_TEST(close_while_another_task_waits)
{
    coir_time fails = COIR_MS(5), stays = COIR_MS(50);
    struct object object = {.pause = COIR_MS(7), .result = 1}, *same = &object;
    COIR_REQUIRE_OK(coir_group_init(&object.group, COIR_FAIL_FAST));
    COIR_GROUP(both);
    coir_task *waiter;
    bool started = COIR_EXPECT_OK(coir_spawn(&object.group, stay, &stays, NULL)) &&
                   COIR_EXPECT_OK(coir_spawn(&object.group, fail_after, &fails, NULL)) &&
                   COIR_EXPECT_OK(coir_spawn(&both, close_at_ten, &object, NULL));
    int result = 0;
    if (started && COIR_EXPECT_OK(coir_spawn(&both, wait_later, &same, &waiter)))
        COIR_EXPECT_OK(coir_join(waiter, &result));
    COIR_EXPECT_CODE(result, -COIR_ECLOSED);
    (void)!coir_group_wait(&both);
    COIR_EXPECT_CODE(object.result, -EIO);
    (void)coir_group_close(&object.group);
}

COIR_TEST(second_close_is_busy)
{
    coir_time stays = COIR_MS(50);
    struct object object = {.result = 1};
    COIR_REQUIRE_OK(coir_group_init(&object.group, COIR_FAIL_FAST));
    COIR_GROUP(both);
    if (COIR_EXPECT_OK(coir_spawn(&object.group, stay, &stays, NULL)) &&
        COIR_EXPECT_OK(coir_spawn(&both, close_at_ten, &object, NULL)) &&
        COIR_EXPECT_OK(coir_sleep(COIR_MS(20))))
        COIR_EXPECT_CODE(coir_group_close(&object.group), -EBUSY);
    (void)!coir_group_wait(&both);
    COIR_EXPECT_OK(object.result);
    (void)coir_group_close(&object.group);
}

static int close_and_forget(void *arg)
{
    struct object **object = arg;
    COIR_TRY(coir_sleep(COIR_MS(5))); /* ready behind the child, before whoever the child wakes */
    (void)coir_group_close(&(*object)->group);
    memset(*object, 0x5a, sizeof **object);
    return 0;
}

/* The waiter has its result when the last child ends: the object may be gone when it runs. */
COIR_TEST_TAGGED(outcome_outlives_the_group, "fifo")
{
    coir_time short_time = COIR_MS(5);
    struct object object = {.pause = 0}, *same = &object;
    COIR_REQUIRE_OK(coir_group_init(&object.group, COIR_FAIL_FAST));
    {
        COIR_GROUP(both);
        coir_task *waiter;
        int result = 1;
        if (COIR_EXPECT_OK(coir_spawn(&object.group, sleep_for, &short_time, NULL)) &&
            COIR_EXPECT_OK(coir_spawn(&both, close_and_forget, &same, NULL)) &&
            COIR_EXPECT_OK(coir_spawn(&both, wait_later, &same, &waiter)))
            COIR_EXPECT_OK(coir_join(waiter, &result));
        COIR_EXPECT_EQ(result, 0);
        (void)!coir_group_wait(&both);
    }
    if (object.result != 0x5a5a5a5a)
        (void)coir_group_close(&object.group);
}

COIR_TEST(deadline_of_who_waits_for_a_cancelled_group)
{
    coir_time stays = COIR_MS(700);
    struct object object = {.result = 0};
    COIR_REQUIRE_OK(coir_group_init(&object.group, COIR_FAIL_FAST));
    COIR_EXPECT_OK(coir_spawn(&object.group, stay, &stays, NULL));
    (void)!coir_test_wait_all_blocked();
    coir_group_cancel(&object.group, "enough");
    {
        COIR_SCOPE(limit, COIR_MS(50));
        coir_time start = coir_now();
        COIR_EXPECT_CODE(coir_group_wait(&object.group), -ETIME);
        COIR_EXPECT_EQ(coir_now() - start, COIR_MS(50));
    }
    COIR_EXPECT_OK(coir_group_close(&object.group));
}

static int close_it(void *arg)
{
    return coir_group_close(arg);
}

COIR_TEST(blocks_of_others_cannot_be_closed)
{
    COIR_GROUP(block);
    COIR_GROUP(others);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&others, close_it, &block, &task));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_CODE(result, -EINVAL);
}

static int fail_before_ready(void *arg)
{
    (void)arg;
    return -EADDRINUSE;
}

/* "Port 80, or else 8080": whoever starts a child that never gets ready has its failure alone. */
COIR_TEST(failure_before_ready_is_the_starters)
{
    COIR_GROUP(group);
    coir_task *task = NULL;
    coir_spawn_opts opts = {.ready = true};
    COIR_EXPECT_CODE(coir_spawn_with(&group, fail_before_ready, NULL, &opts, &task), -EADDRINUSE);
    COIR_EXPECT_PTR(task, NULL);
    COIR_EXPECT_OK(coir_pending());
    COIR_EXPECT_OK(coir_group_finish(&group, 0));
}

COIR_TEST(nobody_wins_a_race_that_was_cancelled)
{
    coir_time long_time = COIR_SEC(10);
    struct object object = {.result = 0};
    COIR_REQUIRE_OK(coir_group_init(&object.group, COIR_ANY));
    COIR_EXPECT_OK(coir_spawn(&object.group, sleep_for, &long_time, NULL));
    coir_group_cancel(&object.group, "no race today");
    COIR_EXPECT_CODE(coir_group_wait(&object.group), -COIR_ECANCELEDTASK);
    (void)coir_group_close(&object.group);
}

/* Looking at the failures so far does not read those that come later. */
COIR_TEST(later_failures_are_unread_again)
{
    coir_test_expect_reports(COIR_REPORT_UNREAD, 1);
    coir_time at_once = 0;
    COIR_GROUP_COLLECT(group);
    coir_task *first;
    COIR_REQUIRE_OK(coir_spawn(&group, fail_after, &at_once, &first));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_EQ(coir_group_failures(&group), 1);
    COIR_REQUIRE_OK(coir_spawn(&group, fail_after, &at_once, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_CODE(coir_join(first, NULL), -EIO);
}

COIR_TEST(reporting_group_keeps_nothing)
{
    coir_test_expect_reports(COIR_REPORT_UNREAD, 3);
    coir_time at_once = 0;
    struct object object = {.result = 0};
    COIR_REQUIRE_OK(coir_group_init(&object.group, COIR_REPORT));
    for (int i = 0; i < 3; i++)
        COIR_EXPECT_OK(coir_spawn(&object.group, fail_after, &at_once, NULL));
    (void)!coir_test_wait_all_blocked();
    COIR_EXPECT_EQ(coir_test_report_count(COIR_REPORT_UNREAD), 3);
    COIR_EXPECT_OK(coir_group_close(&object.group));
}

COIR_TEST(shield_for_nearly_ever_holds)
{
    COIR_SCOPE(outer, COIR_FOREVER);
    coir_scope_cancel(&outer, NULL);
    COIR_SHIELD(COIR_FOREVER - 1);
    COIR_EXPECT_OK(coir_sleep(COIR_MS(1)));
}

/* ---- while no loop runs ---- */

static int note_pending(void *arg)
{
    *(int *)arg = coir_yield();
    return 0;
}

COIR_TEST_TAGGED(cancelled_between_runs, "own_loop")
{
    coir_loop_opts opts = coir_test_loop_opts();
    coir_loop *loop;
    coir_task *task;
    int seen = 1;
    COIR_REQUIRE_OK(coir_loop_open(&opts, &loop));
    if (COIR_EXPECT_OK(coir_loop_spawn(loop, note_pending, &seen, &task))) {
        coir_cancel(task, "before the first run");
        COIR_EXPECT_OK(coir_loop_run_until(loop, task, NULL));
        COIR_EXPECT_CODE(seen, -ECANCELED);
    }
    COIR_EXPECT_OK(coir_loop_close(loop));
}

struct posting {
    coir_loop *loop;
    coir_post_node first, second;
    int seen;
};

static void post_second(void *arg)
{
    struct posting *posting = arg;
    (void)!coir_loop_spawn(posting->loop, note_pending, &posting->seen, NULL);
}

static void post_first(void *arg)
{
    struct posting *posting = arg;
    (void)coir_post(posting->loop, &posting->second, post_second, posting);
}

/* What is posted while a loop closes may start a task, and a task always starts. */
COIR_TEST_TAGGED(posts_of_posts_while_closing, "own_loop,expect_reports")
{
    coir_loop_opts opts = coir_test_loop_opts();
    struct posting posting = {.seen = 1};
    COIR_REQUIRE_OK(coir_loop_open(&opts, &posting.loop));
    (void)coir_post(posting.loop, &posting.first, post_first, &posting);
    COIR_EXPECT_OK(coir_loop_close(posting.loop));
    COIR_EXPECT_CODE(posting.seen, -ECANCELED);
}

COIR_TEST_TAGGED(stacks_that_no_class_has, "own_loop")
{
    coir_loop_opts opts = coir_test_loop_opts();
    opts.stack_size = (size_t)1 << 40;
    coir_loop *loop = NULL;
    COIR_EXPECT_CODE(coir_loop_open(&opts, &loop), -EINVAL);
}
