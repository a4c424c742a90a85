/* core_scope.c: deadlines: which of several is reported, whom they reach, moving them, and what is
 * left of them afterwards. The names are those of CPython's test_timeouts.py and test_waitfor.py
 * (a COIR_SCOPE around a join is what wait_for is there) and of Trio's test_run.py where the
 * behaviour is.
 */
#include <time.h>

#include "core_kit.h"

/* ---- nesting ---- */

COIR_TEST(nested_timeouts)
{
    COIR_SCOPE(outer, COIR_MS(10));
    {
        COIR_SCOPE(inner, COIR_MS(10));
        COIR_EXPECT_CODE(coir_sleep(COIR_SEC(10)), -ETIME);
        COIR_EXPECT(coir_scope_expired(&inner));
    }
    COIR_EXPECT(coir_scope_expired(&outer));
    COIR_EXPECT_CODE(coir_yield(), -ETIME);
}

/* The outer one is earlier: it ends what is inside, and the inner one has not expired. */
COIR_TEST(nested_timeouts_concurrent)
{
    coir_time start = coir_now();
    COIR_SCOPE(outer, COIR_MS(2));
    {
        COIR_SCOPE(inner, COIR_MS(100));
        COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ETIME);
        COIR_EXPECT(!coir_scope_expired(&inner));
    }
    COIR_EXPECT(coir_scope_expired(&outer));
    COIR_EXPECT_EQ(coir_now() - start, COIR_MS(2));
}

/* Keeps the thread busy in real time. */
static void spin(coir_time duration)
{
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - start.tv_sec) * 1000000000 + now.tv_nsec - start.tv_nsec < duration);
}

/* Both pass while the loop is busy: the inner block ends, then what follows it. */
COIR_TEST_TAGGED(nested_timeouts_loop_busy, "real_clock")
{
    COIR_SCOPE(outer, COIR_MS(10));
    {
        COIR_SCOPE(inner, COIR_MS(1));
        spin(COIR_MS(10));
        COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ETIME);
        COIR_EXPECT(coir_scope_expired(&inner));
    }
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(10)), -ETIME);
    COIR_EXPECT(coir_scope_expired(&outer));
}

/* Cleaning up after a time-out, with a time-out of its own: it needs a shield. */
COIR_TEST(nested_timeout_in_finally)
{
    coir_time start = coir_now();
    COIR_DEADLINE(COIR_MS(10));
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ETIME);
    {
        COIR_SCOPE(useless, COIR_MS(10));
        COIR_EXPECT_CODE(coir_sleep(COIR_SEC(10)), -ETIME);
        COIR_EXPECT(!coir_scope_expired(&useless));
    }
    COIR_EXPECT_EQ(coir_now() - start, COIR_MS(10));
    COIR_SHIELD(COIR_SEC(1));
    COIR_SCOPE(cleanup, COIR_MS(10));
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(10)), -ETIME);
    COIR_EXPECT(coir_scope_expired(&cleanup));
    COIR_EXPECT_EQ(coir_now() - start, COIR_MS(20));
}

/* ---- cancellation and expiry ---- */

COIR_TEST(timeout_after_cancellation)
{
    coir_cancel(coir_current(), NULL);
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ECANCELED);
    COIR_SCOPE(late, 0);
    COIR_EXPECT(coir_scope_expired(&late));
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ECANCELED);
}

COIR_TEST(cancel_in_timeout_after_cancellation)
{
    coir_cancel(coir_current(), NULL);
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ECANCELED);
    COIR_SCOPE(scope, COIR_SEC(1));
    coir_cancel(coir_current(), "again");
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(2)), -ECANCELED);
    COIR_EXPECT(!coir_scope_expired(&scope));
}

COIR_TEST(foreign_cancel_doesnt_timeout_if_not_expired)
{
    COIR_SCOPE(scope, COIR_SEC(10));
    coir_cancel(coir_current(), NULL);
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(10)), -ECANCELED);
    COIR_EXPECT(!coir_scope_expired(&scope));
    COIR_EXPECT(!coir_scope_cancelled(&scope));
}

/* Whichever is inside and whichever came first: a cancellation is what is reported. */
COIR_TEST(cancellation_outranks_expiry)
{
    COIR_SCOPE(outer, COIR_MS(1));
    {
        COIR_SCOPE(inner, COIR_FOREVER);
        COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ETIME);
        coir_scope_cancel(&inner, NULL);
        COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ECANCELED);
    }
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ETIME);
    coir_scope_cancel(&outer, NULL);
    {
        COIR_DEADLINE(0);
        COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ECANCELED);
    }
    COIR_EXPECT(coir_scope_expired(&outer));
    COIR_EXPECT(coir_scope_cancelled(&outer));
}

static int crash_when_cut_short(void)
{
    int r = coir_sleep(COIR_SEC(1));
    return r < 0 ? -EIO : r;
}

/* The scope is its block's own: what the block makes of a time-out is up to the block. */
COIR_TEST(foreign_exception_on_timeout)
{
    COIR_SCOPE(scope, COIR_MS(10));
    COIR_EXPECT_CODE(crash_when_cut_short(), -EIO);
    COIR_EXPECT(coir_scope_expired(&scope));
}

static int handle_own_timeout(void *arg)
{
    bool *expired = arg;
    COIR_SCOPE(scope, COIR_MS(1));
    int r = coir_sleep(COIR_SEC(10));
    *expired = coir_scope_expired(&scope);
    return *expired ? 0 : r;
}

static int pass_own_timeout_on(void *arg)
{
    (void)arg;
    COIR_DEADLINE(COIR_MS(1));
    return coir_sleep(COIR_SEC(10));
}

COIR_TEST(outer_task_is_not_cancelled)
{
    bool expired = false;
    coir_task *task;
    COIR_GROUP(group);
    SPAWN(&group, handle_own_timeout, &expired, &task);
    COIR_EXPECT_EQ(joined(task), 0);
    COIR_EXPECT(expired);
    COIR_EXPECT_EQ(coir_pending(), 0);
}

/* -ETIME would mean a scope of the joiner's: across the boundary it is another code, and a failure
 * of the group. */
COIR_TEST(a_childs_own_deadline_reaches_the_joiner_as_etimedout)
{
    coir_task *task;
    COIR_GROUP_COLLECT(group);
    SPAWN(&group, pass_own_timeout_on, NULL, &task);
    COIR_EXPECT_CODE(joined(task), -ETIMEDOUT);
    COIR_EXPECT_EQ(coir_group_failures(&group), 1);
}

/* A deadline of the parent's reaches the child the same way, and is no failure of the child's. */
COIR_TEST(an_inherited_deadline_is_no_failure_of_the_child)
{
    struct job job = {.work = COIR_SEC(10)};
    coir_task *task;
    COIR_GROUP(outside);
    {
        COIR_DEADLINE(COIR_SEC(1));
        COIR_GROUP(group);
        SPAWN(&group, work, &job, &task);
        COIR_EXPECT_CODE(coir_sleep(COIR_SEC(10)), -ETIME);
        COIR_SHIELD(COIR_SEC(1));
        COIR_EXPECT_CODE(joined(task), -ETIMEDOUT);
        COIR_EXPECT_CODE(job.woke, -ETIME);
        COIR_EXPECT_EQ(coir_group_failures(&group), 0);
    }
    COIR_EXPECT_EQ(coir_pending(), 0);
}

/* ---- the moment ---- */

COIR_TEST(timeout_zero)
{
    coir_time start = coir_now();
    COIR_SCOPE(scope, 0);
    COIR_EXPECT(coir_scope_expired(&scope));
    COIR_EXPECT_EQ(coir_scope_when(&scope), start);
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(10)), -ETIME);
    COIR_EXPECT_EQ(coir_now(), start);
}

COIR_TEST(timeout_in_the_past_sleep_zero)
{
    coir_time start = coir_now();
    COIR_SCOPE(scope, COIR_SEC(-11));
    COIR_EXPECT_CODE(coir_sleep(0), -ETIME);
    COIR_EXPECT(coir_scope_expired(&scope));
    COIR_EXPECT_LE(coir_scope_when(&scope), start);
}

static int expire_in_a_second(void *arg)
{
    return coir_scope_move(arg, coir_now() + COIR_SEC(1));
}

/* Both are due in the same tick, the sleep first: it has ended, and the next call reports. */
COIR_TEST(a_wait_that_ends_with_the_deadline_has_ended)
{
    COIR_GROUP(group);
    COIR_SCOPE(scope, COIR_FOREVER);
    SPAWN(&group, expire_in_a_second, &scope, NULL);
    COIR_EXPECT_OK(coir_sleep(COIR_SEC(1)));
    COIR_EXPECT(coir_scope_expired(&scope));
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ETIME);
}

COIR_TEST(time_does_not_run_over)
{
    COIR_SCOPE(scope, COIR_FOREVER - 1);
    COIR_EXPECT_EQ(coir_scope_when(&scope), COIR_FOREVER);
    COIR_EXPECT_OK(coir_sleep(COIR_SEC(1)));
    COIR_EXPECT(!coir_scope_expired(&scope));
}

/* ---- moving a deadline ---- */

struct rescheduled {
    coir_scope *scope;
    bool expired;
};

static int sleep_in_scope(void *arg)
{
    struct rescheduled *rescheduled = arg;
    COIR_SCOPE(scope, COIR_SEC(10));
    rescheduled->scope = &scope;
    int r = coir_sleep(COIR_SEC(50));
    rescheduled->expired = coir_scope_expired(&scope);
    rescheduled->scope = NULL;
    return r;
}

COIR_TEST(reschedule)
{
    struct rescheduled child = {0};
    coir_task *task;
    coir_time start = coir_now();
    COIR_GROUP(group);
    START(&group, sleep_in_scope, &child, &task);
    COIR_REQUIRE(child.scope != NULL);
    COIR_EXPECT_EQ(coir_scope_when(child.scope), start + COIR_SEC(10));
    COIR_EXPECT_OK(coir_scope_move(child.scope, start + COIR_SEC(30)));
    COIR_EXPECT_EQ(coir_scope_when(child.scope), start + COIR_SEC(30));
    COIR_EXPECT_OK(coir_scope_move(child.scope, COIR_FOREVER));
    COIR_EXPECT_EQ(coir_scope_when(child.scope), COIR_FOREVER);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(40)));
    COIR_EXPECT(!coir_task_done(task));
    coir_cancel(task, NULL);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT(!child.expired);
}

COIR_TEST(a_moved_deadline_holds)
{
    coir_time start = coir_now();
    COIR_SCOPE(scope, COIR_SEC(10));
    COIR_EXPECT_OK(coir_scope_move(&scope, start + COIR_SEC(20)));
    COIR_EXPECT_OK(coir_sleep(COIR_SEC(15)));
    COIR_EXPECT_OK(coir_scope_move(&scope, start + COIR_SEC(16)));
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(15)), -ETIME);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(16));
    COIR_EXPECT_CODE(coir_scope_move(&scope, COIR_FOREVER), -ETIME);
    COIR_EXPECT_CODE(coir_yield(), -ETIME);
}

/* The first timer runs on, and looks again: at a deadline that is still ahead, or at none. */
COIR_TEST(a_deadline_that_moves_away_again_and_again)
{
    coir_time start = coir_now();
    COIR_SCOPE(scope, COIR_SEC(10));
    for (int i = 1; i <= 5; i++) {
        COIR_EXPECT_OK(coir_sleep(COIR_SEC(8)));
        COIR_EXPECT_OK(coir_scope_move(&scope, coir_now() + COIR_SEC(10)));
    }
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(15)), -ETIME);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(50));
    COIR_EXPECT(coir_scope_expired(&scope));
}

COIR_TEST(a_deadline_that_is_taken_away_and_comes_back)
{
    coir_time start = coir_now();
    COIR_SCOPE(scope, COIR_SEC(10));
    COIR_EXPECT_OK(coir_scope_move(&scope, COIR_FOREVER));
    COIR_EXPECT_OK(coir_sleep(COIR_SEC(20)));
    COIR_EXPECT_OK(coir_scope_move(&scope, start + COIR_SEC(30)));
    COIR_EXPECT_OK(coir_scope_move(&scope, COIR_FOREVER));
    COIR_EXPECT_OK(coir_scope_move(&scope, start + COIR_SEC(25)));
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(15)), -ETIME);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(25));
}

COIR_TEST(what_has_no_deadline_cannot_be_moved)
{
    coir_scope shield;
    coir_scope_shield(&shield, COIR_SEC(1), COIR_SITE("shield"));
    COIR_EXPECT_CODE(coir_scope_move(&shield, COIR_FOREVER), -EINVAL);
    coir_scope_leave(&shield);
    coir_scope left;
    coir_scope_enter(&left, COIR_SEC(1), COIR_SITE("left"));
    coir_scope_leave(&left);
    COIR_EXPECT_CODE(coir_scope_move(&left, COIR_FOREVER), -EINVAL);
}

/* ---- whom it reaches ---- */

/* Scopes come from where the group was opened, not from where the child was spawned. */
COIR_TEST(children_inherit_from_the_group_not_from_the_spawn)
{
    struct job job = {.work = COIR_SEC(5)};
    COIR_GROUP(group);
    {
        COIR_DEADLINE(COIR_SEC(1));
        SPAWN(&group, work, &job, NULL);
        COIR_EXPECT_CODE(coir_sleep(COIR_SEC(2)), -ETIME);
    }
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(job.woke, 0);
}

static int spawn_there(void *arg)
{
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, work, arg, NULL));
    return coir_group_finish(&group, coir_group_wait(&group));
}

/* However deep: the whole tree of tasks inside the scope is reached at once. */
COIR_TEST(timeout_reaches_grandchildren)
{
    struct job job = {.work = COIR_SEC(5)};
    coir_time start = coir_now();
    COIR_DEADLINE(COIR_SEC(1));
    COIR_GROUP(group);
    SPAWN(&group, spawn_there, &job, NULL);
    COIR_EXPECT_CODE(coir_group_wait(&group), -ETIME);
    COIR_EXPECT_OK(coir_group_finish(&group, 0));
    COIR_EXPECT_CODE(job.woke, -ETIME);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
}

/* Crashes in the clean-up of the body and of a child, after the scope around both has expired. */
static int crash_in_group(struct job *job)
{
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, work, job, NULL));
    int r = crash_when_cut_short();
    r = coir_group_finish(&group, r);
    COIR_EXPECT_EQ(coir_group_failures(&group), 1);
    return r;
}

COIR_TEST(timeout_taskgroup)
{
    struct job job = {.work = COIR_SEC(2), .instead = -ENOENT};
    COIR_SCOPE(scope, COIR_MS(10));
    COIR_EXPECT_CODE(crash_in_group(&job), -EIO);
    COIR_EXPECT_CODE(job.woke, -ETIME);
    COIR_EXPECT(coir_scope_expired(&scope));
}

COIR_TEST(current_effective_deadline)
{
    coir_time start = coir_now();
    COIR_EXPECT_EQ(coir_deadline(), COIR_FOREVER);
    COIR_SCOPE(outer, COIR_SEC(5));
    {
        COIR_SCOPE(inner, COIR_SEC(10));
        COIR_EXPECT_EQ(coir_deadline(), start + COIR_SEC(5));
        COIR_EXPECT_OK(coir_scope_move(&inner, start + COIR_SEC(3)));
        COIR_EXPECT_EQ(coir_deadline(), start + COIR_SEC(3));
        COIR_SHIELD(COIR_SEC(1));
        COIR_EXPECT_EQ(coir_deadline(), COIR_FOREVER);
        COIR_DEADLINE(COIR_SEC(20));
        COIR_EXPECT_EQ(coir_deadline(), start + COIR_SEC(20));
    }
    COIR_EXPECT_EQ(coir_deadline(), start + COIR_SEC(5));
}

static coir_scope deep[2000];

/* Cancelling the outermost of many reaches the innermost; leaving them restores each level. */
COIR_TEST(very_deep_cancel_scope_nesting)
{
    for (size_t i = 0; i < COIR_COUNT(deep); i++)
        coir_scope_enter(&deep[i], COIR_SEC(1), COIR_SITE("deep"));
    COIR_EXPECT_OK(coir_yield());
    coir_scope_cancel(&deep[1], NULL);
    COIR_EXPECT_CODE(coir_yield(), -ECANCELED);
    for (size_t i = COIR_COUNT(deep) - 1; i > 0; i--)
        coir_scope_leave(&deep[i]);
    COIR_EXPECT_OK(coir_yield());
    coir_scope_leave(&deep[0]);
}
