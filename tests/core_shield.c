/* core_shield.c: shields: what they hold off, from when their bound counts, and what happens when
 * it is over. The names are those of CPython's test_tasks.py and Trio's test_run.py where the
 * behaviour is.
 */
#include "core_kit.h"

/* ---- what is held off ---- */

struct shielded {
    coir_time bound, work;
    int inside, after; /* what the calls returned under the shield, and behind it */
    coir_time took;
};

static int work_under_shield(void *arg)
{
    struct shielded *shielded = arg;
    coir_time start = coir_now();
    {
        COIR_SHIELD(shielded->bound);
        shielded->inside = coir_sleep(shielded->work);
        shielded->took = coir_now() - start;
    }
    shielded->after = coir_yield();
    return shielded->after < 0 ? shielded->after : 42;
}

COIR_TEST(shield_result)
{
    struct shielded shielded = {.bound = COIR_SEC(1), .work = COIR_SEC(5)};
    COIR_EXPECT_EQ(work_under_shield(&shielded), 42);
    COIR_EXPECT_EQ(shielded.took, COIR_SEC(5));
}

/* What is inside the shield is not protected from itself. */
COIR_TEST(shield_cancel_inner)
{
    COIR_SHIELD(COIR_SEC(1));
    COIR_SCOPE(inner, COIR_FOREVER);
    coir_scope_cancel(&inner, NULL);
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ECANCELED);
}

COIR_TEST(a_deadline_inside_a_shield_counts)
{
    coir_time start = coir_now();
    COIR_SHIELD(COIR_SEC(10));
    COIR_DEADLINE(COIR_SEC(1));
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(5)), -ETIME);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
}

/* Cancelling the task outside leaves what is shielded alone; behind the shield it is reported. */
COIR_TEST(shield_effect)
{
    struct shielded shielded = {.bound = COIR_SEC(10), .work = COIR_SEC(3)};
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(1), work_under_shield, &shielded),
                     -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(shielded.inside, 0);
    COIR_EXPECT_EQ(shielded.took, COIR_SEC(3));
    COIR_EXPECT_CODE(shielded.after, -ECANCELED);
}

COIR_TEST(outer_deadlines_are_held_off_too)
{
    struct shielded shielded = {.bound = COIR_SEC(10), .work = COIR_SEC(3)};
    COIR_SCOPE(scope, COIR_SEC(1));
    COIR_EXPECT_CODE(work_under_shield(&shielded), -ETIME);
    COIR_EXPECT_EQ(shielded.inside, 0);
    COIR_EXPECT_EQ(shielded.took, COIR_SEC(3));
    COIR_EXPECT(coir_scope_expired(&scope));
}

COIR_TEST(cancel_shielding)
{
    COIR_SCOPE(outer, COIR_FOREVER);
    COIR_EXPECT_OK(coir_yield());
    coir_scope_cancel(&outer, NULL);
    COIR_EXPECT_CODE(coir_yield(), -ECANCELED);
    {
        COIR_SHIELD(COIR_FOREVER);
        COIR_EXPECT_EQ(coir_pending(), 0);
        COIR_EXPECT_OK(coir_yield());
        {
            COIR_SCOPE(innermost, COIR_FOREVER);
            coir_scope_cancel(&innermost, NULL);
            COIR_EXPECT_CODE(coir_yield(), -ECANCELED);
        }
        COIR_EXPECT_OK(coir_yield());
    }
    COIR_EXPECT_CODE(coir_yield(), -ECANCELED);
}

static int shielded_clean_up(void)
{
    COIR_SHIELD(COIR_SEC(1));
    return coir_sleep(COIR_MS(1));
}

/* A shield that comes and goes while a cancellation is on its way out does not swallow it. */
COIR_TEST(unshield_while_cancel_propagating)
{
    COIR_SCOPE(outer, COIR_FOREVER);
    {
        COIR_SCOPE(inner, COIR_FOREVER);
        coir_scope_cancel(&outer, NULL);
        COIR_EXPECT_CODE(coir_yield(), -ECANCELED);
        COIR_EXPECT_OK(shielded_clean_up());
        COIR_EXPECT(!coir_scope_cancelled(&inner));
    }
    COIR_EXPECT_CODE(coir_yield(), -ECANCELED);
    COIR_EXPECT(coir_scope_cancelled(&outer));
}

/* ---- the bound ---- */

/* Until something arrives there is none, however long that takes; then it counts. */
COIR_TEST(shield_cancel_outer)
{
    struct shielded shielded = {.bound = COIR_SEC(2), .work = COIR_SEC(100)};
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(50), work_under_shield, &shielded),
                     -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(shielded.inside, -ECANCELED);
    COIR_EXPECT_EQ(shielded.took, COIR_SEC(50 + 2));
}

/* What is pending already counts from the shield on. */
COIR_TEST(a_pending_cancellation_counts_from_the_shield)
{
    struct shielded shielded = {.bound = COIR_SEC(2), .work = COIR_SEC(100)};
    COIR_SCOPE(scope, COIR_SEC(1));
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(5)), -ETIME);
    COIR_EXPECT_CODE(work_under_shield(&shielded), -ETIME);
    COIR_EXPECT_CODE(shielded.inside, -ETIME);
    COIR_EXPECT_EQ(shielded.took, COIR_SEC(2));
    COIR_EXPECT(coir_scope_expired(&scope));
}

/* A second arrival does not make it longer. */
COIR_TEST(the_bound_counts_from_the_first_arrival)
{
    struct shielded shielded = {.bound = COIR_SEC(2), .work = COIR_SEC(100)};
    coir_task *task;
    COIR_SCOPE(scope, COIR_SEC(1));
    COIR_GROUP(group);
    START(&group, work_under_shield, &shielded, &task);
    COIR_SHIELD(COIR_FOREVER);
    COIR_EXPECT_OK(coir_sleep(COIR_SEC(2)));
    coir_cancel(task, NULL);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(shielded.inside, -ECANCELED);
    COIR_EXPECT_EQ(shielded.took, COIR_SEC(1 + 2));
}

COIR_TEST(a_shield_of_nothing_holds_nothing_off)
{
    struct shielded shielded = {.bound = 0, .work = COIR_SEC(1)};
    COIR_SCOPE(scope, COIR_FOREVER);
    coir_scope_cancel(&scope, NULL);
    COIR_EXPECT_CODE(work_under_shield(&shielded), -ECANCELED);
    COIR_EXPECT_CODE(shielded.inside, -ECANCELED);
    COIR_EXPECT_EQ(shielded.took, 0);
}

/* When the outer one falls, the cancellation arrives at the inner one, and its time begins. */
COIR_TEST(a_shield_inside_a_shield_counts_from_its_own_arrival)
{
    coir_time start = coir_now();
    COIR_SCOPE(scope, COIR_FOREVER);
    coir_scope_cancel(&scope, NULL);
    COIR_SHIELD(COIR_SEC(3));
    {
        COIR_SHIELD(COIR_SEC(1));
        COIR_EXPECT_CODE(coir_sleep(COIR_SEC(100)), -ECANCELED);
        COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(3 + 1));
    }
    COIR_EXPECT_CODE(coir_yield(), -ECANCELED);
}

COIR_TEST(leaving_a_shield_stops_its_time)
{
    struct coir_loop_stats before, after;
    coir_loop_stats(NULL, &before);
    COIR_SCOPE(scope, COIR_FOREVER);
    coir_scope_cancel(&scope, NULL);
    COIR_EXPECT_OK(shielded_clean_up());
    coir_loop_stats(NULL, &after);
    COIR_EXPECT_EQ(after.timers, before.timers);
}

/* ---- children under a shield ---- */

/* The shield is around the group: its children are held safe too, and no longer than the bound. */
COIR_TEST(cancel_shield_abort)
{
    struct job job = {.work = COIR_FOREVER};
    coir_time start = coir_now();
    COIR_SCOPE(outer, COIR_FOREVER);
    coir_scope_cancel(&outer, NULL);
    COIR_SHIELD(COIR_SEC(1));
    COIR_GROUP(group);
    START(&group, work, &job, NULL);
    COIR_EXPECT(job.started);
    COIR_EXPECT(!job.ended);
    COIR_EXPECT_CODE(coir_group_wait(&group), -ECANCELED);
    COIR_EXPECT_EQ(coir_group_finish(&group, 0), 0);
    COIR_EXPECT_CODE(job.woke, -ECANCELED);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
}

struct server {
    struct job *handlers;
    size_t count;
    int accept;
};

/* Accepts in vain; the handlers that run get a grace of ten seconds when it is cancelled. */
static int serve(void *arg)
{
    struct server *server = arg;
    {
        COIR_SHIELD(COIR_SEC(10));
        COIR_GROUP_COLLECT(handlers);
        for (size_t i = 0; i < server->count; i++)
            COIR_TRY(coir_spawn(&handlers, work, &server->handlers[i], NULL));
        server->accept = coir_group_wait(&handlers);
    }
    return coir_pending();
}

/* SIGTERM drains: requests that end within the grace are answered, the others are cut. */
COIR_TEST(a_shield_of_the_grace_drains_a_server)
{
    struct job handlers[] = {{.work = COIR_SEC(3)}, {.work = COIR_SEC(10)}, {.work = COIR_SEC(60)}};
    struct server server = {handlers, COIR_COUNT(handlers), 1};
    coir_time start = coir_now();
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(5), serve, &server), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(handlers[0].woke, 0);
    COIR_EXPECT_EQ(handlers[1].woke, 0);
    COIR_EXPECT_CODE(handlers[2].woke, -ECANCELED);
    COIR_EXPECT_CODE(server.accept, -ECANCELED);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(5 + 10));
}

struct shielded_gather {
    struct job jobs[2];
    coir_call calls[2];
    int gathered;
};

static int gather_under_shield(void *arg)
{
    struct shielded_gather *both = arg;
    COIR_SHIELD(COIR_FOREVER);
    both->gathered = coir_gather(both->calls, 2, COIR_FAIL_FAST);
    return 0;
}

COIR_TEST(shield_gather)
{
    struct shielded_gather both = {
        .jobs = {{.work = COIR_SEC(2), .result = 1}, {.work = COIR_SEC(3), .result = 2}},
        .gathered = 1};
    for (int i = 0; i < 2; i++)
        both.calls[i] = (coir_call){work, &both.jobs[i], 0};
    COIR_EXPECT_EQ(cancelled_after(COIR_SEC(1), gather_under_shield, &both), 0);
    COIR_EXPECT_EQ(both.gathered, 0);
    COIR_EXPECT_EQ(both.calls[0].result, 1);
    COIR_EXPECT_EQ(both.calls[1].result, 2);
}

static int gather_shielded(void *arg)
{
    struct shielded_gather *both = arg;
    both->gathered = coir_gather(both->calls, 2, COIR_FAIL_FAST);
    return both->gathered;
}

static int work_shielded(void *arg)
{
    COIR_SHIELD(COIR_FOREVER);
    return work(arg);
}

/* Each call shields itself: the gather is cancelled, the calls end as if nothing had happened. */
COIR_TEST(gather_shield)
{
    struct shielded_gather both = {
        .jobs = {{.work = COIR_SEC(2), .result = 1}, {.work = COIR_SEC(3), .result = 2}}};
    for (int i = 0; i < 2; i++)
        both.calls[i] = (coir_call){work_shielded, &both.jobs[i], 0};
    coir_test_expect_reports(COIR_REPORT_SLOW_LEAVE, 1);
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(1), gather_shielded, &both), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(both.gathered, -ECANCELED);
    COIR_EXPECT_EQ(both.calls[0].result, 1);
    COIR_EXPECT_EQ(both.calls[1].result, 2);
}
