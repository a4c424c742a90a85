/* core_task.c: a task's life: spawning it in each way, joining it, its handle, its name, who else
 * is told of its end, and the variables that it inherits.
 */
#include <string.h>

#include "core_kit.h"

/* ---- spawning and joining ---- */

static int put_seven(void *arg)
{
    *(int *)arg = 7;
    return 12;
}

/* A new task runs at its next turn, not inside the call. */
COIR_TEST(a_task_runs_and_is_joined)
{
    int value = 0, result = 0;
    coir_task *task;
    COIR_GROUP(group);
    SPAWN(&group, put_seven, &value, &task);
    COIR_EXPECT_EQ(value, 0);
    COIR_EXPECT(!coir_task_done(task));
    COIR_EXPECT_CODE(coir_task_result(task), -COIR_ENOTSET);
    COIR_EXPECT_EQ(coir_join(task, &result), 0);
    COIR_EXPECT_EQ(value, 7);
    COIR_EXPECT_EQ(result, 12);
}

/* With NULL the result of the task is that of the join. */
COIR_TEST(joining_without_a_place_for_the_result)
{
    int value;
    struct job job = {.work = COIR_SEC(1), .result = -EIO};
    coir_task *tasks[2];
    COIR_GROUP_COLLECT(group);
    SPAWN(&group, put_seven, &value, &tasks[0]);
    SPAWN(&group, work, &job, &tasks[1]);
    COIR_EXPECT_EQ(coir_join(tasks[0], NULL), 12);
    COIR_EXPECT_CODE(coir_join(tasks[1], NULL), -EIO);
}

/* The record of the failure moves to the joiner, and says where it crossed. */
COIR_TEST(the_joiner_gets_the_record)
{
    struct job job = {.result = -EIO};
    char text[512];
    coir_task *task;
    COIR_GROUP_COLLECT(group);
    START(&group, work, &job, &task);
    COIR_REQUIRE(coir_task_error(task) != NULL);
    COIR_EXPECT_CODE(coir_error_code(coir_task_error(task)), -EIO);
    COIR_EXPECT_CODE(joined(task), -EIO);
    COIR_REQUIRE(coir_last_error() != NULL);
    coir_error_format(coir_last_error(), 0, text, sizeof text);
    COIR_EXPECT_CONTAINS(text, "task 'work' spawned at core_task.c:");
    COIR_EXPECT_CONTAINS(text, "joined by 'the_joiner_gets_the_record'");
}

struct joining {
    coir_task *task;
    int result;
};

static int join_it(void *arg)
{
    struct joining *joining = arg;
    return coir_join(joining->task, &joining->result);
}

COIR_TEST(a_second_join_at_the_same_time_is_busy)
{
    struct job job = {.work = COIR_SEC(1), .result = 7};
    struct joining joining = {0};
    coir_task *joiner;
    COIR_GROUP(group);
    SPAWN(&group, work, &job, &joining.task);
    START(&group, join_it, &joining, &joiner);
    COIR_REQUIRE(!coir_task_done(joiner));
    COIR_EXPECT_CODE(coir_join(joining.task, NULL), -EBUSY);
    COIR_EXPECT_EQ(joined(joiner), 0);
    COIR_EXPECT_EQ(joining.result, 7);
}

/* A join that is cut short leaves the handle valid, and the task alone. */
COIR_TEST(a_cancelled_join_can_be_repeated)
{
    struct job job = {.work = COIR_SEC(2), .result = 7};
    coir_task *task;
    COIR_GROUP(group);
    SPAWN(&group, work, &job, &task);
    {
        COIR_DEADLINE(COIR_SEC(1));
        COIR_REQUIRE_CODE(coir_join(task, NULL), -ETIME);
    }
    COIR_EXPECT_EQ(coir_join(task, NULL), 7);
}

/* A handle that is never joined dies with the group. */
COIR_TEST(a_handle_dies_with_its_group)
{
    struct coir_loop_stats before, after;
    coir_loop_stats(NULL, &before);
    {
        struct job job = {.result = 7};
        coir_task *task;
        COIR_GROUP(group);
        START(&group, work, &job, &task);
        COIR_EXPECT(coir_task_done(task));
        COIR_EXPECT_EQ(coir_task_result(task), 7);
        coir_loop_stats(NULL, &after);
        COIR_EXPECT_EQ(after.handles, before.handles + 1);
        COIR_EXPECT_EQ(after.tasks, before.tasks);
    }
    coir_loop_stats(NULL, &after);
    COIR_EXPECT_EQ(after.handles, before.handles);
    COIR_EXPECT_EQ(after.stacks, before.stacks);
}

/* Without a handle a task is reaped when it ends. */
COIR_TEST(a_task_without_handle_is_reaped)
{
    struct job job = {.result = 7};
    struct coir_loop_stats before, after;
    coir_loop_stats(NULL, &before);
    COIR_GROUP(group);
    START(&group, work, &job, NULL);
    coir_loop_stats(NULL, &after);
    COIR_EXPECT_EQ(after.stacks, before.stacks);
    COIR_EXPECT_EQ(after.handles, before.handles);
}

/* ---- copies of the argument ---- */

static int add_up(void *arg)
{
    const int *numbers = arg;
    COIR_TRY(coir_yield());
    return numbers[0] + numbers[1];
}

COIR_TEST(spawn_copy_gives_each_child_its_own)
{
    coir_task *tasks[3];
    COIR_GROUP(group);
    for (int i = 0; i < 3; i++) {
        int numbers[2] = {i, 10};
        COIR_REQUIRE_OK(coir_spawn_copy(&group, add_up, numbers, sizeof numbers, &tasks[i]));
        memset(numbers, 0xff, sizeof numbers);
    }
    for (int i = 0; i < 3; i++)
        COIR_EXPECT_EQ(joined(tasks[i]), 10 + i);
}

static int check_page(void *arg)
{
    const unsigned char *page = arg;
    for (int i = 0; i < 4096; i++)
        if (page[i] != (unsigned char)i)
            return i;
    return (uintptr_t)arg % 16 == 0 ? 0 : -EFAULT;
}

COIR_TEST(spawn_copy_takes_up_to_4096_bytes)
{
    unsigned char page[4097];
    coir_task *task;
    for (size_t i = 0; i < sizeof page; i++)
        page[i] = (unsigned char)i;
    COIR_GROUP(group);
    COIR_EXPECT_CODE(coir_spawn_copy(&group, check_page, page, 4097, &task), -E2BIG);
    COIR_REQUIRE_OK(coir_spawn_copy(&group, check_page, page, 4096, &task));
    COIR_EXPECT_EQ(joined(task), 0);
}

/* ---- options ---- */

static int use_stack(void *arg)
{
    volatile char bytes[900 << 10];
    for (size_t i = 0; i < sizeof bytes; i += 1024)
        bytes[i] = 1;
    (void)arg;
    return bytes[0] + coir_yield();
}

COIR_TEST(spawn_with_a_stack_size)
{
    coir_task *task;
    const coir_spawn_opts large = {.stack_size = (size_t)1 << 20};
    const coir_spawn_opts absurd = {.stack_size = (size_t)1 << 40};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn_with(&group, use_stack, NULL, &large, &task));
    COIR_EXPECT_EQ(joined(task), 1);
    COIR_EXPECT_CODE(coir_spawn_with(&group, use_stack, NULL, &absurd, &task), -EINVAL);
}

/* The first step runs inside the call. */
COIR_TEST(spawn_eagerly)
{
    struct job job = {.work = COIR_SEC(1), .result = 7};
    coir_task *task;
    const coir_spawn_opts eager = {.eager = true};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn_with(&group, work, &job, &eager, &task));
    COIR_EXPECT(job.started);
    COIR_EXPECT(!job.ended);
    COIR_EXPECT_EQ(joined(task), 7);
}

COIR_TEST(spawn_eagerly_what_ends_at_once)
{
    struct job job = {.result = 7};
    coir_task *task;
    const coir_spawn_opts eager = {.eager = true};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn_with(&group, work, &job, &eager, NULL));
    COIR_EXPECT(job.ended);
    COIR_REQUIRE_OK(coir_spawn_with(&group, work, &job, &eager, &task));
    COIR_EXPECT(coir_task_done(task));
    COIR_EXPECT_EQ(joined(task), 7);
}

static int prepare_and_work(void *arg)
{
    struct job *job = arg;
    job->started = true;
    COIR_TRY(coir_sleep(COIR_SEC(1)));
    coir_ready();
    coir_ready(); /* once is enough */
    return work(job);
}

static const coir_spawn_opts ready = {.ready = true};

/* Trio's nursery.start: the call returns when the child says that it is ready. */
COIR_TEST(spawn_until_ready)
{
    struct job job = {.work = COIR_SEC(1), .result = 7};
    coir_task *task;
    coir_time start = coir_now();
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn_with(&group, prepare_and_work, &job, &ready, &task));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
    COIR_EXPECT(!coir_task_done(task));
    COIR_EXPECT_EQ(joined(task), 7);
    COIR_EXPECT_OK(coir_spawn_with(&group, prepare_and_work, &job, &ready, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
    coir_ready(); /* nobody waits for this task */
}

COIR_TEST(a_child_that_ends_before_it_is_ready)
{
    struct job good = {.work = COIR_SEC(1)}, bad = {.work = COIR_SEC(1), .result = -EIO};
    COIR_GROUP(group);
    COIR_EXPECT_CODE(coir_spawn_with(&group, work, &good, &ready, NULL), -COIR_ECLOSED);
    COIR_EXPECT_CODE(coir_spawn_with(&group, work, &bad, &ready, NULL), -EIO);
    COIR_EXPECT_CODE(coir_group_finish(&group, -EIO), -EIO);
}

/* Who waits for it is cut short: the child is cancelled and joined first. */
COIR_TEST(spawning_until_ready_is_cancelled)
{
    struct job job = {.work = COIR_FOREVER, .cleanup = COIR_MS(5)};
    COIR_GROUP(group);
    {
        COIR_DEADLINE(COIR_SEC(1));
        COIR_EXPECT_CODE(coir_spawn_with(&group, work, &job, &ready, NULL), -ETIME);
        COIR_EXPECT(job.ended);
        COIR_EXPECT_CODE(job.woke, -ECANCELED);
        struct job unborn = {0};
        COIR_EXPECT_CODE(coir_spawn_with(&group, work, &unborn, &ready, NULL), -ETIME);
        COIR_EXPECT(!unborn.started);
    }
    COIR_EXPECT_EQ(coir_group_running(&group), 0);
}

static void cancel_a_group(void *arg)
{
    coir_group_cancel(arg, NULL);
}

/* The group is cancelled before, while, and after the child gets ready. */
COIR_TEST(nursery_start_with_cancelled_nursery)
{
    for (int i = 0; i < 3; i++) {
        struct job job = {.work = COIR_SEC(5)};
        coir_timer timer = {0};
        COIR_AUTO(coir_group) group = {0};
        COIR_REQUIRE_OK(coir_group_init(&group, COIR_FAIL_FAST));
        if (i == 0)
            coir_group_cancel(&group, NULL);
        else
            coir_timer_start(coir_loop_current(), &timer, coir_now() + COIR_SEC(i - 0.5),
                             cancel_a_group, &group);
        int r = coir_spawn_with(&group, prepare_and_work, &job, &ready, NULL);
        COIR_EXPECT_CODE(r, i < 2 ? -COIR_ECANCELEDTASK : 0);
        if (r == 0)
            COIR_EXPECT_OK(coir_group_wait(&group));
        coir_timer_stop(coir_loop_current(), &timer);
        COIR_EXPECT(job.started);
        COIR_EXPECT_CODE(job.woke, i < 2 ? 0 : -ECANCELED);
    }
}

/* ---- names, and looking ---- */

COIR_TEST(names)
{
    struct job job = {.work = COIR_SEC(1)};
    coir_task *tasks[2];
    const coir_spawn_opts named = {.name = "yolo"};
    COIR_GROUP(group);
    SPAWN(&group, work, &job, &tasks[0]);
    COIR_REQUIRE_OK(coir_spawn_with(&group, work, &job, &named, &tasks[1]));
    COIR_EXPECT_STR(coir_task_name(tasks[0]), "work");
    COIR_EXPECT_STR(coir_task_name(tasks[1]), "yolo");
    coir_task_set_name(tasks[0], "job %d %s", 1, "with a name that is far too long");
    COIR_EXPECT_STR(coir_task_name(tasks[0]), "job 1 with a name that is far t");
    coir_task_set_name(NULL, "me");
    COIR_EXPECT_STR(coir_task_name(NULL), "me");
    COIR_EXPECT_STR(coir_task_name(coir_current()), "me");
}

static int store_current(void *arg)
{
    *(coir_task **)arg = coir_current();
    return 0;
}

COIR_TEST(current)
{
    coir_task *self = coir_current(), *task, *found = NULL;
    COIR_GROUP(group);
    START(&group, store_current, &found, &task);
    COIR_EXPECT_PTR(found, task);
    COIR_EXPECT_PTR(coir_current(), self);
}

struct seen {
    coir_task *tasks[8];
    int count, stop_at;
};

static int see(coir_task *task, void *arg)
{
    struct seen *seen = arg;
    seen->tasks[seen->count++ % 8] = task;
    return seen->count == seen->stop_at ? 42 : 0;
}

/* Parents before children; those that have ended are left out. */
COIR_TEST(all_tasks)
{
    struct job job = {.work = COIR_FOREVER}, ended = {0};
    struct seen seen = {.count = 0};
    coir_task *tasks[2];
    COIR_GROUP(group);
    SPAWN(&group, work, &job, &tasks[0]);
    START(&group, work, &ended, &tasks[1]);
    COIR_EXPECT_EQ(coir_task_each(see, &seen), 0);
    COIR_EXPECT_EQ(seen.count, 2);
    COIR_EXPECT_PTR(seen.tasks[0], coir_current());
    COIR_EXPECT_PTR(seen.tasks[1], tasks[0]);
    seen = (struct seen){.stop_at = 1};
    COIR_EXPECT_EQ(coir_task_each(see, &seen), 42);
    COIR_EXPECT_EQ(seen.count, 1);
}

static void expect_described(const coir_task *task, const char *wanted)
{
    char text[128];
    size_t length = coir_task_describe(task, text, sizeof text);
    COIR_EXPECT_STR(text, wanted);
    COIR_EXPECT_EQ(length, strlen(wanted));
}

COIR_TEST(describe)
{
    struct job job = {.work = COIR_SEC(2.5)}, ended = {.result = -EIO};
    struct joining joining = {0};
    coir_task *tasks[3];
    char text[4];
    COIR_GROUP_COLLECT(group);
    SPAWN(&group, work, &job, &tasks[0]);
    expect_described(coir_current(), "runs");
    expect_described(tasks[0], "is ready to run");
    joining.task = tasks[0];
    SPAWN(&group, join_it, &joining, &tasks[1]);
    START(&group, work, &ended, &tasks[2]);
    expect_described(tasks[0], "sleeps 2.5 s more");
    expect_described(tasks[1], "joins task 'work'");
    expect_described(tasks[2], "has ended with EIO");
    COIR_EXPECT_EQ(coir_task_describe(tasks[0], text, sizeof text), strlen("sleeps 2.5 s more"));
    COIR_EXPECT_STR(text, "sle");
    COIR_EXPECT(coir_group_errors(&group) != NULL);
}

/* ---- callbacks at the end ---- */

static void count_up(void *arg)
{
    ++*(int *)arg;
    COIR_EXPECT(coir_current() == NULL); /* outside any task */
}

/* The numbers are static: a torture may end the test before the callbacks come. */
COIR_TEST(done_callbacks)
{
    static int called, taken_back, late;
    struct job job = {.work = COIR_SEC(1)};
    coir_task *task;
    COIR_GROUP(group);
    SPAWN(&group, work, &job, &task);
    COIR_REQUIRE_OK(coir_task_on_done(task, count_up, &called));
    COIR_REQUIRE_OK(coir_task_on_done(task, count_up, &taken_back));
    COIR_EXPECT_OK(coir_task_off_done(task, count_up, &taken_back));
    COIR_EXPECT_CODE(coir_task_off_done(task, count_up, &taken_back), -ENOENT);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(2)));
    COIR_EXPECT_EQ(called, 1);
    COIR_EXPECT_EQ(taken_back, 0);
    COIR_REQUIRE_OK(coir_task_on_done(task, count_up, &late));
    COIR_EXPECT_EQ(late, 0);
    SETTLE();
    COIR_EXPECT_EQ(late, 1);
    COIR_EXPECT_EQ(called, 1);
}

/* ---- variables ---- */

static const coir_local user = {"user"}, unset = {"unset"};

static int change_user(void *arg)
{
    if (coir_local_get(&user) != arg)
        return -EINVAL;
    static char other[] = "other";
    COIR_TRY(coir_local_set(&user, other));
    return coir_local_get(&user) == other ? 0 : -EINVAL;
}

/* A child starts with its parent's values, and what either changes later is its own. */
COIR_TEST(locals_are_inherited_by_value)
{
    static char ada[] = "ada", grace[] = "grace";
    coir_task *first, *second;
    COIR_GROUP(group);
    COIR_EXPECT(coir_local_get(&user) == NULL);
    COIR_REQUIRE_OK(coir_local_set(&user, ada));
    SPAWN(&group, change_user, ada, &first);
    COIR_REQUIRE_OK(coir_local_set(&user, grace));
    SPAWN(&group, change_user, grace, &second);
    COIR_EXPECT_EQ(joined(first), 0);
    COIR_EXPECT_EQ(joined(second), 0);
    COIR_EXPECT_STR(coir_local_get(&user), "grace");
    COIR_EXPECT(coir_local_get(&unset) == NULL);
}

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* Has a value, and a child with a handle that inherits it and does nothing with it. */
static int serve_request(void *arg)
{
    char session[] = "secret";
    coir_task *child;
    (void)arg;
    COIR_TRY(coir_local_set(&user, session));
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, do_nothing, NULL, &child));
    COIR_TRY(coir_join(child, NULL));
    int number = 1;
    COIR_TRY(coir_spawn_copy(&group, do_nothing, &number, sizeof number, &child));
    return coir_join(child, NULL);
}

static int see_nobodys(void *arg)
{
    (void)arg;
    return coir_local_get(&user) == NULL ? 0 : -EBADMSG;
}

/* The stack of a task that has ended keeps nothing of its values for the next one. */
COIR_TEST(locals_end_with_their_task)
{
    COIR_GROUP(group);
    coir_task *task;
    for (int i = 0; i < 3; i++) {
        SPAWN(&group, serve_request, NULL, &task);
        COIR_EXPECT_EQ(joined(task), 0);
    }
    coir_task *strangers[4];
    for (size_t i = 0; i < COIR_COUNT(strangers); i++)
        SPAWN(&group, see_nobodys, NULL, &strangers[i]);
    for (size_t i = 0; i < COIR_COUNT(strangers); i++)
        COIR_EXPECT_EQ(joined(strangers[i]), 0);
}
