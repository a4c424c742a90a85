/* core_group.c: groups: leaving and waiting, the three policies, what a body's end hands out, and
 * the groups of objects and of tasks themselves.
 */
#include "core_kit.h"

/* ---- leaving ---- */

static void leave_with_children(struct job *jobs, size_t count)
{
    COIR_GROUP(group);
    for (size_t i = 0; i < count; i++)
        SPAWN(&group, work, &jobs[i], NULL);
    SETTLE();
}

/* Tokio's task_join_set: leaving the block cancels and joins what still runs. */
COIR_TEST(abort_on_drop)
{
    struct job jobs[3] = {{.work = COIR_FOREVER}, {.work = COIR_SEC(1)}, {.result = 1}};
    leave_with_children(jobs, 3);
    for (int i = 0; i < 3; i++)
        COIR_EXPECT(jobs[i].ended);
    COIR_EXPECT_CODE(jobs[0].woke, -ECANCELED);
    COIR_EXPECT_CODE(jobs[1].woke, -ECANCELED);
    COIR_EXPECT_OK(coir_yield());
}

static int leave_slowly(void *arg)
{
    leave_with_children(arg, 1);
    return coir_yield();
}

/* The children use the frame of whoever left: no cancellation ends the joining. */
COIR_TEST(leaving_cannot_be_interrupted)
{
    struct job job = {.work = COIR_FOREVER, .cleanup = COIR_SEC(0.5)};
    coir_time start = coir_now();
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(0.1), leave_slowly, &job), -COIR_ECANCELEDTASK);
    COIR_EXPECT(job.ended);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(0.5));
}

COIR_TEST(leaving_is_reported_after_a_second)
{
    struct job job = {.work = COIR_FOREVER, .cleanup = COIR_SEC(1.5)};
    coir_task *task;
    coir_test_expect_reports(COIR_REPORT_SLOW_LEAVE, 1);
    {
        COIR_GROUP(group);
        START(&group, work, &job, &task);
        coir_task_set_name(task, "slow one");
    }
    size_t count;
    const coir_test_report *reports = coir_test_reports(&count);
    COIR_REQUIRE_EQ(count, 1);
    COIR_EXPECT_CONTAINS(reports[0].text, "leaving group 'group'");
    COIR_EXPECT_CONTAINS(reports[0].text, "'slow one' sleeps 0.5 s more");
}

COIR_TEST(leaving_within_a_second_is_not_reported)
{
    struct job job = {.work = COIR_FOREVER, .cleanup = COIR_SEC(1) - 1};
    leave_with_children(&job, 1);
    COIR_EXPECT(job.ended);
}

/* ---- waiting ---- */

/* A wait that is cut short leaves the children alone, and can be taken up again. */
COIR_TEST(waiting_does_not_own)
{
    struct job job = {.work = COIR_SEC(5)};
    COIR_GROUP(group);
    SPAWN(&group, work, &job, NULL);
    {
        COIR_DEADLINE(COIR_SEC(1));
        COIR_EXPECT_CODE(coir_group_wait(&group), -ETIME);
    }
    COIR_EXPECT(!job.ended);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(job.woke, 0);
}

COIR_TEST(a_group_can_be_used_again)
{
    struct job jobs[2] = {{.work = COIR_SEC(1)}, {.work = COIR_SEC(1)}};
    COIR_GROUP(group);
    for (int i = 0; i < 2; i++) {
        SPAWN(&group, work, &jobs[i], NULL);
        COIR_EXPECT_EQ(coir_group_running(&group), 1);
        COIR_EXPECT_OK(coir_group_wait(&group));
        COIR_EXPECT_EQ(coir_group_running(&group), 0);
        COIR_EXPECT(jobs[i].ended);
    }
}

static int wait_for_group(void *arg)
{
    return coir_group_wait(arg);
}

static int wait_for_own_group(void *arg)
{
    return coir_group_wait(arg) == -EDEADLK ? 7 : 0;
}

/* It would wait for itself. */
COIR_TEST(a_child_cannot_wait_for_its_group)
{
    coir_task *task;
    COIR_GROUP(group);
    SPAWN(&group, wait_for_own_group, &group, &task);
    COIR_EXPECT_EQ(joined(task), 7);
}

COIR_TEST(only_one_waits)
{
    struct job job = {.work = COIR_SEC(1)};
    coir_task *first;
    COIR_GROUP(waiters);
    COIR_GROUP(group);
    SPAWN(&group, work, &job, NULL);
    START(&waiters, wait_for_group, &group, &first);
    COIR_EXPECT_CODE(coir_group_wait(&group), -EBUSY);
    COIR_EXPECT_EQ(joined(first), 0);
}

/* Whoever waited is told that the group was closed under it. */
COIR_TEST(closing_ends_anothers_wait)
{
    struct job job = {.work = COIR_SEC(1), .cleanup = COIR_MS(10)};
    coir_task *waiter;
    COIR_AUTO(coir_group) group = {0};
    COIR_GROUP_COLLECT(waiters);
    COIR_REQUIRE_OK(coir_group_init(&group, COIR_FAIL_FAST));
    SPAWN(&group, work, &job, NULL);
    START(&waiters, wait_for_group, &group, &waiter);
    COIR_EXPECT_EQ(coir_group_close(&group), 0);
    COIR_EXPECT(job.ended);
    COIR_EXPECT_CODE(joined(waiter), -COIR_ECLOSED);
}

/* ---- failing ---- */

/* The join of a child that fails is a finished operation: it tells the result, and the next call
 * reports that the group was cancelled. */
COIR_TEST(the_join_of_a_failing_child_wins)
{
    struct job job = {.work = COIR_SEC(1), .result = -EIO};
    coir_task *task;
    COIR_GROUP(group);
    SPAWN(&group, work, &job, &task);
    COIR_EXPECT_CODE(joined(task), -EIO);
    COIR_EXPECT_CODE(coir_yield(), -ECANCELED);
    COIR_EXPECT_CODE(coir_group_finish(&group, -ECANCELED), -EIO);
}

COIR_TEST(spawning_into_a_failing_group_starts_it_cancelled)
{
    struct job crash = {.result = -EIO}, late = {.work = COIR_SEC(1), .instead = 7};
    coir_task *task;
    COIR_GROUP(group);
    SPAWN(&group, work, &crash, NULL);
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ECANCELED);
    SPAWN(&group, work, &late, &task);
    COIR_EXPECT_CODE(coir_group_finish(&group, -ECANCELED), -EIO);
    COIR_EXPECT(late.started);
    COIR_EXPECT_CODE(late.woke, -ECANCELED);
    COIR_EXPECT_EQ(coir_task_result(task), 7);
}

static int fail_with_text(void *arg)
{
    const char *name = arg;
    return coir_fail(-EIO, "the %s is on fire", name);
}

/* All failures are kept, the first one first, with their texts. */
COIR_TEST(errors_are_aggregated)
{
    const char *names[] = {"printer", "plotter"};
    COIR_GROUP_COLLECT(group);
    for (int i = 0; i < 2; i++)
        START(&group, fail_with_text, (void *)(uintptr_t)names[i], NULL);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(coir_group_failures(&group), 2);
    const coir_error *error = coir_group_errors(&group);
    for (int i = 0; i < 2; i++, error = coir_error_next(error)) {
        COIR_REQUIRE(error != NULL);
        COIR_EXPECT_CODE(coir_error_code(error), -EIO);
        COIR_EXPECT_CONTAINS(coir_error_message(error), names[i]);
    }
    COIR_EXPECT(error == NULL);
}

/* The record comes out with the code: of the first failure, the others chained to it. */
COIR_TEST(the_cause_comes_with_its_record)
{
    char name[] = "printer";
    COIR_GROUP(group);
    SPAWN(&group, fail_with_text, name, NULL);
    COIR_EXPECT_CODE(coir_group_wait(&group), -EIO);
    COIR_REQUIRE(coir_last_error() != NULL);
    COIR_EXPECT_STR(coir_error_message(coir_last_error()), "the printer is on fire");
}

/* However many fail: only so many records are kept, and the count is exact. */
COIR_TEST(a_thousand_failures)
{
    struct job job = {.result = -EIO};
    COIR_GROUP_COLLECT(group);
    for (int i = 0; i < 1000; i++)
        SPAWN(&group, work, &job, NULL);
    coir_test_expect_reports(COIR_REPORT_UNREAD, 1000 - 16);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(coir_group_failures(&group), 1000);
}

/* Each failure by its own handle: joined, or looked at. */
COIR_TEST(a_failure_that_was_joined_is_read)
{
    struct job jobs[2] = {{.work = COIR_SEC(1), .result = -EIO}, {.result = -ENOENT}};
    coir_task *tasks[2];
    COIR_GROUP_COLLECT(group);
    for (int i = 0; i < 2; i++)
        SPAWN(&group, work, &jobs[i], &tasks[i]);
    COIR_EXPECT_CODE(joined(tasks[0]), -EIO);
    COIR_EXPECT_CODE(coir_task_result(tasks[1]), -ENOENT);
    COIR_EXPECT_EQ(coir_group_failures(&group), 2);
}

/* One was joined, the other was not: that one is reported. */
COIR_TEST(each_failure_has_to_be_read)
{
    struct job jobs[2] = {{.work = COIR_SEC(1), .result = -EIO}, {.result = -ENOENT}};
    coir_task *tasks[2];
    coir_test_expect_reports(COIR_REPORT_UNREAD, 1);
    COIR_GROUP_COLLECT(group);
    for (int i = 0; i < 2; i++)
        SPAWN(&group, work, &jobs[i], &tasks[i]);
    COIR_EXPECT_CODE(joined(tasks[0]), -EIO);
}

COIR_TEST(failures_that_nobody_read_are_reported)
{
    struct job job = {.result = -EIO};
    coir_test_expect_reports(COIR_REPORT_UNREAD, 1);
    {
        COIR_GROUP(group);
        SPAWN(&group, work, &job, NULL);
        COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ECANCELED);
    }
    size_t count;
    const coir_test_report *reports = coir_test_reports(&count);
    COIR_REQUIRE_EQ(count, 1);
    COIR_EXPECT_CONTAINS(reports[0].text, "EIO");
}

/* ---- finishing ---- */

COIR_TEST(finish_hands_out_what_the_body_says)
{
    struct job job = {.work = COIR_FOREVER};
    COIR_GROUP(group);
    SPAWN(&group, work, &job, NULL);
    COIR_EXPECT_EQ(coir_group_finish(&group, 42), 42);
    COIR_EXPECT_CODE(job.woke, -ECANCELED);
}

COIR_TEST(finish_hands_out_the_childs_failure_for_the_bodys_cancellation)
{
    struct job job = {.work = COIR_SEC(1), .result = -EIO};
    COIR_GROUP(group);
    SPAWN(&group, work, &job, NULL);
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(5)), -ECANCELED);
    COIR_EXPECT_CODE(coir_group_finish(&group, -ECANCELED), -EIO);
}

/* The body says that a sibling was cancelled: that came from the failure. */
COIR_TEST(finish_hands_out_the_cause_of_a_siblings_cancellation)
{
    struct job crash = {.work = COIR_SEC(1), .result = -EIO}, other = {.work = COIR_SEC(5)};
    coir_task *task;
    COIR_GROUP(group);
    SPAWN(&group, work, &crash, NULL);
    SPAWN(&group, work, &other, &task);
    COIR_SHIELD(COIR_FOREVER);
    int r = joined(task);
    COIR_EXPECT_CODE(r, -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(coir_group_finish(&group, r), -EIO);
}

/* A child fails while the body succeeds: the failure comes out. */
COIR_TEST(finish_does_not_lose_a_failure)
{
    struct job job = {.work = COIR_SEC(1), .instead = -EIO};
    COIR_GROUP(group);
    START(&group, work, &job, NULL);
    COIR_EXPECT_CODE(coir_group_finish(&group, 0), -EIO);
}

/* Cancelling a group is no failure: the body is cancelled with it, and comes out clean. */
COIR_TEST(finish_after_cancelling_the_group)
{
    struct job job = {.work = COIR_FOREVER};
    COIR_GROUP(group);
    START(&group, work, &job, NULL);
    coir_group_cancel(&group, "enough");
    COIR_EXPECT_CODE(coir_yield(), -ECANCELED);
    COIR_EXPECT_EQ(coir_group_finish(&group, -ECANCELED), 0);
    COIR_EXPECT_EQ(coir_group_failures(&group), 0);
}

/* ---- collecting, and the first success ---- */

COIR_TEST(collect_goes_on_after_failures)
{
    struct job crash = {.work = COIR_SEC(1), .result = -EIO}, other = {.work = COIR_SEC(2)};
    COIR_GROUP_COLLECT(group);
    SPAWN(&group, work, &crash, NULL);
    SPAWN(&group, work, &other, NULL);
    COIR_EXPECT_OK(coir_sleep(COIR_SEC(1.5)));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(other.woke, 0);
    COIR_EXPECT_EQ(coir_group_failures(&group), 1);
}

COIR_TEST(any_ends_with_the_first_success)
{
    struct job crash = {.work = COIR_SEC(1), .result = -EIO};
    struct job winner = {.work = COIR_SEC(2), .result = 7}, loser = {.work = COIR_SEC(3)};
    coir_time start = coir_now();
    COIR_GROUP_ANY(group);
    SPAWN(&group, work, &crash, NULL);
    SPAWN(&group, work, &winner, NULL);
    SPAWN(&group, work, &loser, NULL);
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(9)), -ECANCELED);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(coir_group_finish(&group, -ECANCELED), 0);
    COIR_EXPECT_EQ(winner.woke, 0);
    COIR_EXPECT_CODE(loser.woke, -ECANCELED);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(2));
}

COIR_TEST(any_fails_when_all_have_failed)
{
    struct job first = {.work = COIR_SEC(1), .result = -EIO};
    struct job second = {.work = COIR_SEC(2), .result = -ENOENT};
    COIR_GROUP_ANY(group);
    SPAWN(&group, work, &second, NULL);
    SPAWN(&group, work, &first, NULL);
    COIR_EXPECT_CODE(coir_group_wait(&group), -EIO);
    COIR_EXPECT_EQ(coir_group_failures(&group), 2);
    COIR_EXPECT_EQ(second.woke, 0);
}

/* ---- groups of objects ---- */

COIR_TEST(an_objects_group_inherits_nothing)
{
    struct job job = {.work = COIR_SEC(5), .result = 7};
    coir_task *task;
    COIR_AUTO(coir_group) group = {0};
    {
        COIR_DEADLINE(COIR_SEC(1));
        COIR_REQUIRE_OK(coir_group_init(&group, COIR_FAIL_FAST));
        SPAWN(&group, work, &job, &task);
        COIR_EXPECT_CODE(coir_sleep(COIR_SEC(2)), -ETIME);
    }
    COIR_EXPECT_EQ(joined(task), 7);
}

/* It is no scope of whoever opened it: a failure cancels the children, not the opener. */
COIR_TEST(an_objects_group_does_not_cancel_its_opener)
{
    struct job crash = {.work = COIR_SEC(1), .result = -EIO}, other = {.work = COIR_SEC(5)};
    COIR_AUTO(coir_group) group = {0};
    COIR_REQUIRE_OK(coir_group_init(&group, COIR_FAIL_FAST));
    SPAWN(&group, work, &crash, NULL);
    SPAWN(&group, work, &other, NULL);
    COIR_EXPECT_OK(coir_sleep(COIR_SEC(2)));
    COIR_EXPECT_CODE(other.woke, -ECANCELED);
    COIR_EXPECT_CODE(coir_group_close(&group), -EIO);
    COIR_EXPECT_EQ(coir_group_close(&group), 0);
}

static int close_own_group(void *arg)
{
    return coir_group_close(arg) == -EDEADLK ? 7 : 0;
}

COIR_TEST(a_child_cannot_close_its_group)
{
    coir_task *task;
    COIR_AUTO(coir_group) group = {0};
    COIR_EXPECT_EQ(coir_group_close(&group), 0); /* zeroed: nothing to close */
    COIR_REQUIRE_OK(coir_group_init(&group, COIR_FAIL_FAST));
    SPAWN(&group, close_own_group, &group, &task);
    COIR_EXPECT_EQ(joined(task), 7);
}

/* ---- the task's own group ---- */

struct own {
    struct job job;
    int result;
    coir_task *child;
    bool keeps_handle, returned;
};

static int spawn_into_own(void *arg)
{
    struct own *own = arg;
    COIR_TRY(coir_spawn(NULL, work, &own->job, own->keeps_handle ? &own->child : NULL));
    own->returned = true;
    return own->result;
}

/* Joined when the task's function has returned: the task ends with its children. */
COIR_TEST(own_group_is_joined_at_the_end)
{
    struct own own = {.job = {.work = COIR_SEC(0.9)}, .result = 7};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, spawn_into_own, &own, &task);
    COIR_EXPECT(own.returned);
    COIR_EXPECT(!coir_task_done(task));
    COIR_EXPECT_EQ(joined(task), 7);
    COIR_EXPECT_EQ(own.job.woke, 0);
}

COIR_TEST(own_group_is_cancelled_with_its_task)
{
    struct own own = {.job = {.work = COIR_SEC(0.9)}, .result = 7};
    COIR_EXPECT_EQ(cancelled_after(COIR_SEC(0.5), spawn_into_own, &own), 7);
    COIR_EXPECT_CODE(own.job.woke, -ECANCELED);
}

COIR_TEST(own_group_is_cancelled_when_its_task_fails)
{
    struct own own = {.job = {.work = COIR_SEC(0.9)}, .result = -EIO};
    coir_time start = coir_now();
    COIR_GROUP(group);
    SPAWN(&group, spawn_into_own, &own, NULL);
    COIR_EXPECT_CODE(coir_group_wait(&group), -EIO);
    COIR_EXPECT_CODE(own.job.woke, -ECANCELED);
    COIR_EXPECT_EQ(coir_now(), start);
}

/* The frame's address, because AddressSanitizer keeps variables elsewhere. */
COIR_TEST(own_group_refuses_arguments_on_the_stack)
{
    struct job job = {.result = 7};
    coir_task *task;
    void *on_stack = __builtin_frame_address(0);
    COIR_REQUIRE_CODE(coir_spawn(NULL, work, on_stack, &task), -EINVAL);
    COIR_REQUIRE_CODE(coir_spawn_with(NULL, work, on_stack, NULL, &task), -EINVAL);
    COIR_REQUIRE_OK(coir_spawn_copy(NULL, work, &job, sizeof job, &task));
    COIR_EXPECT_EQ(joined(task), 7);
}

/* Nobody could ever join it: the failure goes to the loop's hook, and nobody is cancelled. */
COIR_TEST(a_failure_in_the_own_group_without_handle_is_reported)
{
    struct own own = {.job = {.result = -EIO}, .result = 7};
    coir_task *task;
    coir_test_expect_reports(COIR_REPORT_UNREAD, 1);
    COIR_GROUP(group);
    SPAWN(&group, spawn_into_own, &own, &task);
    COIR_EXPECT_EQ(joined(task), 7);
}

COIR_TEST(a_failure_in_the_own_group_that_is_never_joined_is_reported)
{
    struct own own = {.job = {.result = -EIO}, .result = 7, .keeps_handle = true};
    coir_task *task;
    coir_test_expect_reports(COIR_REPORT_UNJOINED, 1);
    COIR_GROUP(group);
    SPAWN(&group, spawn_into_own, &own, &task);
    COIR_EXPECT_EQ(joined(task), 7);
}
