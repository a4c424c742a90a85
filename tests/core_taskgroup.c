/* core_taskgroup.c: CPython's test_taskgroups.py, under its names: who is cancelled when a child or
 * the body fails, and which of several reasons comes out. The missing numbers: 20 and 21 are about
 * KeyboardInterrupt, and 20a and 21a are 19 with exceptions of another base class.
 */
#include "core_kit.h"

static struct job ends(double after, int result)
{
    return (struct job){.work = COIR_SEC(after), .result = result};
}

COIR_TEST(taskgroup_01)
{
    struct job a = ends(0.1, 42), b = ends(0.2, 11);
    coir_task *tasks[2];
    COIR_GROUP(group);
    SPAWN(&group, work, &a, &tasks[0]);
    SPAWN(&group, work, &b, &tasks[1]);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(coir_task_result(tasks[0]), 42);
    COIR_EXPECT_EQ(coir_task_result(tasks[1]), 11);
}

COIR_TEST(taskgroup_02)
{
    struct job a = ends(0.1, 42), b = ends(0.2, 11);
    coir_task *tasks[2];
    COIR_GROUP(group);
    SPAWN(&group, work, &a, &tasks[0]);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(0.15)));
    SPAWN(&group, work, &b, &tasks[1]);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(coir_task_result(tasks[0]), 42);
    COIR_EXPECT_EQ(coir_task_result(tasks[1]), 11);
}

/* A child that is cancelled by its handle is no failure: everything goes on. */
COIR_TEST(taskgroup_03)
{
    struct job a = ends(1, 42), b = ends(0.2, 11);
    coir_task *tasks[2];
    COIR_GROUP(group);
    SPAWN(&group, work, &a, &tasks[0]);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(0.15)));
    coir_cancel(tasks[0], NULL);
    SPAWN(&group, work, &b, &tasks[1]);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_CODE(coir_task_result(tasks[0]), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(coir_task_result(tasks[1]), 11);
    COIR_EXPECT_EQ(coir_group_failures(&group), 0);
}

COIR_TEST(taskgroup_04)
{
    struct job crash = ends(0.1, -EIO), sibling = ends(1, 0);
    coir_task *task;
    COIR_GROUP(group);
    SPAWN(&group, work, &crash, NULL);
    SPAWN(&group, work, &sibling, &task);
    COIR_EXPECT_CODE(coir_group_wait(&group), -EIO);
    COIR_EXPECT_CODE(sibling.woke, -ECANCELED);
    COIR_EXPECT_CODE(coir_task_result(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(coir_group_failures(&group), 1);
}

/* A group with children of which some crash; what the body saw, and the group as it was then. */
struct runner {
    struct job children[5];
    size_t count;
    struct job body;
    size_t failures;
};

static int run(void *arg)
{
    struct runner *runner = arg;
    COIR_GROUP(group);
    for (size_t i = 0; i < runner->count; i++)
        COIR_TRY(coir_spawn(&group, work, &runner->children[i], NULL));
    int r = coir_group_finish(&group, work(&runner->body));
    runner->failures = coir_group_failures(&group);
    return r;
}

COIR_TEST(cancel_children_on_child_error)
{
    struct runner runner = {
        .children = {ends(0.1, -EIO), ends(0.1, -EIO), ends(0.1, -EIO), ends(5, 0)},
        .count = 4,
        .body = ends(10, 0),
    };
    COIR_EXPECT_CODE(run(&runner), -EIO);
    COIR_EXPECT_EQ(runner.failures, 3); /* all three had ended in the same tick */
    COIR_EXPECT_CODE(runner.children[3].woke, -ECANCELED);
    COIR_EXPECT_CODE(runner.body.woke, -ECANCELED);
    COIR_EXPECT_EQ(coir_pending(), 0);
}

static struct runner five_sleepers(void)
{
    return (struct runner){
        .children = {ends(5, 0), ends(5, 0), ends(5, 0), ends(5, 0), ends(5, 0)},
        .count = 5,
        .body = ends(10, 0),
    };
}

static int run_and_wait(void *arg)
{
    struct runner *runner = arg;
    COIR_GROUP(group);
    for (size_t i = 0; i < runner->count; i++)
        COIR_TRY(coir_spawn(&group, work, &runner->children[i], NULL));
    return coir_group_wait(&group);
}

static void expect_all_cancelled(const struct runner *runner)
{
    for (size_t i = 0; i < runner->count; i++) {
        COIR_EXPECT_CODE(runner->children[i].woke, -ECANCELED);
        COIR_EXPECT(runner->children[i].ended);
    }
}

/* Cancelled while the body waits for its children. */
COIR_TEST(cancellation)
{
    struct runner runner = five_sleepers();
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(0.1), run_and_wait, &runner), -COIR_ECANCELEDTASK);
    COIR_REQUIRE(coir_last_error() != NULL);
    COIR_EXPECT_CODE(coir_error_code(coir_last_error()), -COIR_ECANCELEDTASK);
    expect_all_cancelled(&runner);
}

/* Cancelled while the body does something else. */
COIR_TEST(taskgroup_07)
{
    struct runner runner = five_sleepers();
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(0.1), run, &runner), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(runner.body.woke, -ECANCELED);
    expect_all_cancelled(&runner);
}

/* Cancelled from outside, and the children crash of it: the cancellation is what comes out. */
COIR_TEST(cancellation_in_body)
{
    struct runner runner = five_sleepers();
    for (size_t i = 0; i < runner.count; i++)
        runner.children[i].instead = -EIO;
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(0.1), run, &runner), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(runner.failures, 5);
}

/* The body fails after a while: its children are cancelled, its failure comes out. */
COIR_TEST(taskgroup_09)
{
    struct runner runner = {.children = {ends(1, 42), ends(2, 11)}, .count = 2};
    runner.body = ends(0.1, -EIO);
    COIR_EXPECT_CODE(run(&runner), -EIO);
    expect_all_cancelled(&runner);
}

/* The body fails before its children have started: they start, and are cancelled. */
COIR_TEST(taskgroup_10)
{
    struct runner runner = {.children = {ends(1, 42), ends(2, 11)}, .count = 2};
    runner.body = ends(0, -EIO);
    COIR_EXPECT_CODE(run(&runner), -EIO);
    expect_all_cancelled(&runner);
}

static int run_in_another_group(void *arg)
{
    COIR_GROUP(outer);
    return coir_group_finish(&outer, run(arg));
}

COIR_TEST(taskgroup_11)
{
    struct runner runner = five_sleepers();
    for (size_t i = 0; i < runner.count; i++)
        runner.children[i] = ends(0.2, -EIO);
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(0.1), run_in_another_group, &runner),
                     -COIR_ECANCELEDTASK);
    expect_all_cancelled(&runner);
}

static int run_beside_a_sleeper(void *arg)
{
    struct job sleeper = ends(10, 0);
    COIR_GROUP(outer);
    COIR_TRY(coir_spawn(&outer, work, &sleeper, NULL));
    return coir_group_finish(&outer, run(arg));
}

COIR_TEST(taskgroup_12)
{
    struct runner runner = five_sleepers();
    for (size_t i = 0; i < runner.count; i++)
        runner.children[i] = ends(0.2, -EIO);
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(0.1), run_beside_a_sleeper, &runner),
                     -COIR_ECANCELEDTASK);
    expect_all_cancelled(&runner);
}

static int crash_in_nested_groups(struct job *outside, struct job *inside)
{
    COIR_GROUP(outer);
    COIR_TRY(coir_spawn(&outer, work, outside, NULL));
    struct runner runner = {.children = {*inside}, .count = 1};
    int r = run_and_wait(&runner);
    *inside = runner.children[0];
    return coir_group_finish(&outer, r);
}

/* A child of the outer group crashes while the body is in the inner one. */
COIR_TEST(taskgroup_13)
{
    struct job outside = ends(0.1, -EIO), inside = ends(10, -ENOENT);
    COIR_EXPECT_CODE(crash_in_nested_groups(&outside, &inside), -EIO);
    COIR_EXPECT_CODE(inside.woke, -ECANCELED);
}

/* A child of the inner group crashes: that is a failure of the outer group's body. */
COIR_TEST(taskgroup_14)
{
    struct job outside = ends(10, -EIO), inside = ends(0.1, -ENOENT);
    COIR_EXPECT_CODE(crash_in_nested_groups(&outside, &inside), -ENOENT);
    COIR_EXPECT_CODE(outside.woke, -ECANCELED);
}

static struct runner slow_cleaner(void)
{
    struct runner runner = {.children = {ends(0.3, -EIO)}, .count = 1};
    runner.body = (struct job){.work = COIR_SEC(10), .cleanup = COIR_SEC(0.5)};
    return runner;
}

/* Cancelled, and the body takes its time to clean up. */
COIR_TEST(taskgroup_15)
{
    struct runner runner = slow_cleaner();
    coir_time start = coir_now();
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(0.1), run, &runner), -COIR_ECANCELEDTASK);
    expect_all_cancelled(&runner);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(0.1 + 0.5));
}

static int run_in_another_task(void *arg)
{
    coir_task *task;
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, run, arg, &task));
    return coir_join(task, NULL);
}

/* The same, one task further down. */
COIR_TEST(taskgroup_16)
{
    struct runner runner = slow_cleaner();
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(0.1), run_in_another_task, &runner),
                     -COIR_ECANCELEDTASK);
    COIR_EXPECT(runner.body.ended);
    expect_all_cancelled(&runner);
}

COIR_TEST(taskgroup_17)
{
    struct runner runner = {.body = ends(10, 0)};
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(0.1), run, &runner), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(runner.body.woke, -ECANCELED);
}

/* A body that answers its cancellation with a failure has failed. */
COIR_TEST(taskgroup_18)
{
    struct runner runner = {.body = {.work = COIR_SEC(10), .instead = -EIO}};
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(0.1), run, &runner), -EIO);
    COIR_EXPECT_CODE(runner.body.woke, -ECANCELED);
}

/* A child crashes, and the body of it too: the body's failure comes out, the child's is kept. */
COIR_TEST(taskgroup_19)
{
    struct runner runner = {.children = {ends(0.1, -EIO)}, .count = 1};
    runner.body = (struct job){.work = COIR_SEC(10), .instead = -ENOENT};
    COIR_EXPECT_CODE(run(&runner), -ENOENT);
    COIR_EXPECT_EQ(runner.failures, 1);
}

/* Cancelled before anybody has done anything. */
COIR_TEST(taskgroup_22)
{
    struct runner runner = {.children = {ends(1, 42), ends(2, 11)}, .count = 2};
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(0.05), run_and_wait, &runner), -COIR_ECANCELEDTASK);
    expect_all_cancelled(&runner);
}

/* Children that have ended are gone from the group at once. */
COIR_TEST(taskgroup_23)
{
    struct job jobs[10];
    COIR_GROUP(group);
    for (int i = 0; i < 10; i++) {
        COIR_REQUIRE_OK(coir_sleep(COIR_SEC(0.1)));
        jobs[i] = ends(0.3, 0);
        SPAWN(&group, work, &jobs[i], NULL);
        if (i == 5)
            COIR_EXPECT_LT(coir_group_running(&group), 5);
    }
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1.35)));
    COIR_EXPECT_EQ(coir_group_running(&group), 0);
}

struct root {
    coir_group *group;
    struct job jobs[2];
};

static int spawn_more(void *arg)
{
    struct root *root = arg;
    COIR_TRY(coir_sleep(COIR_SEC(0.1)));
    COIR_TRY(coir_spawn(root->group, work, &root->jobs[0], NULL));
    return coir_spawn(root->group, work, &root->jobs[1], NULL);
}

/* A child spawns siblings while the body waits: those are waited for too. */
COIR_TEST(taskgroup_24)
{
    struct root root = {.jobs = {ends(0.1, 0), ends(0.2, 0)}};
    COIR_GROUP(group);
    root.group = &group;
    SPAWN(&group, spawn_more, &root, NULL);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT(root.jobs[0].ended);
    COIR_EXPECT(root.jobs[1].ended);
}

struct lake {
    coir_group *group;
    int hydras;
};

static int hydra(void *arg)
{
    struct lake *lake = arg;
    lake->hydras++;
    COIR_TRY(coir_sleep(COIR_SEC(0.01)));
    if (lake->hydras > 100) /* a torture has cancelled the hero */
        return 0;
    COIR_TRY(coir_spawn(lake->group, hydra, lake, NULL));
    return coir_spawn(lake->group, hydra, lake, NULL);
}

static int hercules(void *arg)
{
    struct lake *lake = arg;
    for (int i = 0; i < 100 && lake->hydras < 10; i++)
        COIR_TRY(coir_sleep(COIR_SEC(0.015)));
    return -EIO;
}

/* Children that grow faster than they end: a failure ends them all the same. */
COIR_TEST(taskgroup_25)
{
    struct lake lake = {0};
    COIR_GROUP(group);
    lake.group = &group;
    SPAWN(&group, hydra, &lake, NULL);
    SPAWN(&group, hercules, &lake, NULL);
    COIR_EXPECT_CODE(coir_group_wait(&group), -EIO);
    COIR_EXPECT_GE(lake.hydras, 10);
    COIR_EXPECT_EQ(coir_group_running(&group), 0);
}

/* ---- those with a name ---- */

/* A child crashes and the body is cancelled from outside while it ends: that comes out, and what
 * follows the group is cancelled. */
static int run_and_go_on(void *arg)
{
    struct runner *runner = arg;
    int r = run(runner);
    COIR_EXPECT_CODE(r, -ECANCELED);
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ECANCELED);
    return r;
}

COIR_TEST(error_and_cancel)
{
    struct runner runner = {.children = {ends(0.1, -EIO)}, .count = 1};
    runner.body = (struct job){.work = COIR_SEC(10), .cleanup = COIR_SEC(0.2)};
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(0.2), run_and_go_on, &runner), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(runner.failures, 1);
}

static int crash_both(coir_group *outer, struct job *first, struct job *second)
{
    COIR_GROUP(inner);
    COIR_TRY(coir_spawn(&inner, work, first, NULL));
    COIR_TRY(coir_spawn(outer, work, second, NULL));
    int r = coir_group_finish(&inner, coir_sleep(COIR_SEC(10)));
    COIR_EXPECT_EQ(coir_group_failures(&inner), 1);
    return r;
}

/* A child of each crashes in the same tick: both groups are cancelled, and the body, which stands
 * in both, comes out with the outer one's reason. */
COIR_TEST(nested_groups_both_cancelled)
{
    struct job first = ends(0.1, -EIO), second = ends(0.1, -ENOENT);
    COIR_GROUP(outer);
    int r = crash_both(&outer, &first, &second);
    COIR_EXPECT(r == -EIO || r == -ECANCELED); /* shuffled: whether the outer one had failed yet */
    COIR_EXPECT_CODE(coir_group_wait(&outer), -ENOENT);
}

COIR_TEST(cancelling_level_preserved)
{
    struct runner runner = {.children = {ends(0, -EIO)}, .count = 1, .body = ends(1, 0)};
    COIR_EXPECT_CODE(run(&runner), -EIO);
    COIR_EXPECT_EQ(coir_pending(), 0);
    COIR_EXPECT_OK(coir_yield());
}

static int spawn_after_failure(void *arg)
{
    struct root *root = arg;
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ECANCELED);
    return coir_spawn(root->group, work, &root->jobs[0], NULL);
}

/* There it is refused. Here the new child starts, cancelled: it can release its argument. */
COIR_TEST(taskgroup_no_create_task_after_failure)
{
    struct root root = {.jobs = {ends(1, 0), ends(0.1, -EIO)}};
    COIR_GROUP(group);
    root.group = &group;
    SPAWN(&group, work, &root.jobs[1], NULL);
    SPAWN(&group, spawn_after_failure, &root, NULL);
    COIR_EXPECT_CODE(coir_group_wait(&group), -EIO);
    COIR_EXPECT(root.jobs[0].started);
    COIR_EXPECT_CODE(root.jobs[0].woke, -ECANCELED);
}

/* A spawn that fails starts nothing: the argument is still the caller's. */
static void expect_refused(coir_group *group, int code)
{
    struct job job = ends(0, 0);
    coir_task *task;
    COIR_EXPECT_CODE(coir_spawn(group, work, &job, &task), code);
    COIR_EXPECT_CODE(coir_spawn_with(group, work, &job, NULL, NULL), code);
    COIR_EXPECT_CODE(coir_spawn_copy(group, work, &job, sizeof job, NULL), code);
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT(!job.started);
}

COIR_TEST(taskgroup_finished)
{
    coir_group group = {0};
    COIR_REQUIRE_OK(coir_group_init(&group, COIR_FAIL_FAST));
    COIR_EXPECT_EQ(coir_group_close(&group), 0);
    expect_refused(&group, -COIR_ECLOSED);
}

static int close_and_spawn(void *arg)
{
    COIR_AUTO(coir_group) group = {0};
    COIR_TRY(coir_group_init(&group, COIR_FAIL_FAST));
    COIR_TRY(coir_spawn(&group, work, arg, NULL));
    COIR_TRY(coir_sleep(COIR_MS(1)));
    (void)coir_group_close(&group);
    return coir_spawn(&group, work, arg, NULL);
}

COIR_TEST(coro_closed_when_tg_closed)
{
    struct job job = ends(1, 0);
    COIR_EXPECT_CODE(close_and_spawn(&job), -COIR_ECLOSED);
    COIR_EXPECT_CODE(job.woke, -ECANCELED);
}

/* The body's clean-up fails as well: the body's failure comes out, and nothing stays cancelled. */
COIR_TEST(taskgroup_context_manager_exit_raises)
{
    struct runner runner = {.children = {ends(0, -EIO)}, .count = 1};
    runner.body = (struct job){.work = COIR_SEC(1), .cleanup = COIR_MS(1), .instead = -ENOENT};
    COIR_EXPECT_CODE(run(&runner), -ENOENT);
    COIR_EXPECT_EQ(runner.failures, 1);
    COIR_EXPECT_EQ(coir_pending(), 0);
}
