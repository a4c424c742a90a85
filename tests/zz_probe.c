#include "core_kit.h"
COIR_TEST(a_joined_failure_is_read)
{
    struct job job = {.work = COIR_SEC(1), .result = -EIO};
    coir_task *task;
    COIR_GROUP_COLLECT(group);
    SPAWN(&group, work, &job, &task);
    COIR_EXPECT_CODE(joined(task), -EIO);
}
COIR_TEST(a_failure_that_was_looked_at_is_read)
{
    struct job job = {.work = COIR_SEC(1), .result = -EIO};
    coir_task *task;
    COIR_GROUP_COLLECT(group);
    SPAWN(&group, work, &job, &task);
    COIR_REQUIRE_OK(coir_wait_all(&task, 1));
    COIR_EXPECT_CODE(coir_task_result(task), -EIO);
}
/* the body joins a child that fails: who wins */
COIR_TEST(body_joins_a_failing_child)
{
    struct job job = {.work = COIR_SEC(1), .result = -EIO};
    coir_task *task;
    COIR_GROUP(group);
    SPAWN(&group, work, &job, &task);
    int result = 0;
    COIR_EXPECT_CODE(coir_join(task, &result), 0);
    COIR_EXPECT_CODE(result, -EIO);
    COIR_EXPECT_CODE(coir_group_finish(&group, 0), -EIO);
}
COIR_TEST(body_starts_a_child_that_fails_before_ready)
{
    struct job job = {.work = COIR_SEC(1), .result = -EIO};
    COIR_GROUP(group);
    COIR_EXPECT_CODE(coir_spawn_with(&group, work, &job, &(coir_spawn_opts){.ready = true}, NULL), -EIO);
    COIR_EXPECT_CODE(coir_group_finish(&group, 0), -EIO);
}
COIR_TEST(object_collect)
{
    struct job job = {.work = COIR_SEC(1), .result = -EIO};
    COIR_AUTO(coir_group) group = {0};
    COIR_REQUIRE_OK(coir_group_init(&group, COIR_COLLECT));
    SPAWN(&group, work, &job, NULL);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(coir_group_failures(&group), 1);
    COIR_EXPECT(coir_group_errors(&group) != NULL);
}
static int wait_group(void *arg) { return coir_group_wait(arg); }
COIR_TEST(close_while_another_waits)
{
    struct job job = {.work = COIR_SEC(1), .cleanup = COIR_MS(10)};
    coir_group group = {0};
    coir_task *task;
    COIR_GROUP(waiters);
    COIR_REQUIRE_OK(coir_group_init(&group, COIR_FAIL_FAST));
    SPAWN(&group, work, &job, NULL);
    START(&waiters, wait_group, &group, &task);
    COIR_EXPECT_EQ(coir_group_close(&group), 0);
    COIR_EXPECT_EQ(joined(task), 0);
}
COIR_TEST(child_waits_for_its_group)
{
    COIR_GROUP(group);
    coir_task *task;
    SPAWN(&group, wait_group, &group, &task);
    COIR_EXPECT_EQ(joined(task), -EDEADLK);
}
COIR_TEST(wait_cancelled_group_any_wins)
{
    struct job a = {.work = COIR_SEC(1)}, b = {.work=COIR_SEC(5)};
    COIR_GROUP_ANY(group);
    SPAWN(&group, work, &a, NULL);
    SPAWN(&group, work, &b, NULL);
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(10)), -ECANCELED);
    COIR_EXPECT_EQ(coir_group_finish(&group, -ECANCELED), 0);
}
