/* sync_lock.c: locks: order, hand-over, and what happens when a waiter is cancelled just before, or
 * just after, the lock becomes its own. The names are those of CPython's test_locks.py and Trio's
 * test_sync.py where the behaviour is.
 */
#include <coir/lock.h>

#include <coir/event.h>

#include "sync.h"

/* Acquires a lock, notes it, and keeps the lock until it is told to let go. */
struct holder {
    coir_lock *lock;
    struct record *record;
    int digit;
    coir_event let_go;
    int acquired; /* what coir_lock_acquire returned */
};

static int hold(void *arg)
{
    struct holder *holder = arg;
    holder->acquired = coir_lock_acquire(holder->lock);
    if (holder->acquired < 0)
        return holder->acquired;
    note(holder->record, holder->digit);
    int r = coir_event_wait(&holder->let_go);
    coir_lock_release(holder->lock);
    return r;
}

static int count(void *arg)
{
    ++*(int *)arg;
    return 0;
}

COIR_TEST(free_lock_is_acquired_without_a_switch)
{
    coir_lock lock = {0};
    int ran = 0;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, count, &ran, NULL));
    COIR_EXPECT(!coir_lock_held(&lock));
    COIR_REQUIRE_OK(coir_lock_acquire(&lock));
    COIR_EXPECT_EQ(ran, 0);
    COIR_EXPECT(coir_lock_held(&lock));
    COIR_EXPECT_OK(coir_lock_release(&lock));
    COIR_EXPECT(!coir_lock_held(&lock));
}

COIR_TEST(release_not_acquired)
{
    coir_lock lock = {0};
    COIR_EXPECT_CODE(coir_lock_release(&lock), -COIR_ENOTHELD);
}

COIR_TEST(relock_by_the_owner_is_a_deadlock)
{
    coir_lock lock = {0};
    COIR_REQUIRE_OK(coir_lock_acquire(&lock));
    COIR_EXPECT_CODE(coir_lock_acquire(&lock), -EDEADLK);
    COIR_EXPECT_CODE(coir_lock_try(&lock), -EDEADLK);
    COIR_EXPECT_OK(coir_lock_release(&lock));
}

COIR_TEST(only_the_owner_releases)
{
    coir_lock lock = {0};
    struct record record = {0};
    struct holder a = {.lock = &lock, .record = &record, .digit = 1};
    COIR_GROUP(group);
    START(&group, hold, &a, NULL);
    COIR_EXPECT_CODE(coir_lock_release(&lock), -COIR_ENOTHELD);
    COIR_EXPECT_CODE(coir_lock_try(&lock), -EAGAIN);
    coir_event_set(&a.let_go);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_OK(coir_lock_try(&lock));
    COIR_EXPECT_OK(coir_lock_release(&lock));
}

COIR_TEST(acquire)
{
    coir_lock lock = {0};
    struct record record = {0};
    struct holder a = {.lock = &lock, .record = &record, .digit = 1};
    struct holder b = {.lock = &lock, .record = &record, .digit = 2};
    struct holder c = {.lock = &lock, .record = &record, .digit = 3};
    COIR_GROUP(group);
    START(&group, hold, &a, NULL);
    START(&group, hold, &b, NULL);
    START(&group, hold, &c, NULL);
    COIR_EXPECT_EQ(record.digits, 1);
    coir_event_set(&a.let_go);
    SETTLE();
    COIR_EXPECT_EQ(record.digits, 12);
    coir_event_set(&b.let_go);
    SETTLE();
    COIR_EXPECT_EQ(record.digits, 123);
    coir_event_set(&c.let_go);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT(!coir_lock_held(&lock));
}

COIR_TEST(acquire_cancel)
{
    coir_lock lock = {0};
    struct record record = {0};
    struct holder b = {.lock = &lock, .record = &record, .digit = 2};
    coir_task *task;
    COIR_GROUP(group);
    HOLD(&lock);
    START(&group, hold, &b, &task);
    coir_cancel(task, NULL);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(b.acquired, -ECANCELED);
    COIR_EXPECT_EQ(record.digits, 0);
    COIR_EXPECT(coir_lock_held(&lock));
}

/* The lock is the waiter's before it runs: nobody can take it in between. */
COIR_TEST(lock_handover)
{
    coir_lock lock = {0};
    struct record record = {0};
    struct holder b = {.lock = &lock, .record = &record, .digit = 2};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_lock_acquire(&lock));
    START(&group, hold, &b, NULL);
    COIR_EXPECT_OK(coir_lock_release(&lock));
    COIR_EXPECT(coir_lock_held(&lock));
    COIR_EXPECT_CODE(coir_lock_try(&lock), -EAGAIN);
    COIR_EXPECT_CODE(coir_lock_release(&lock), -COIR_ENOTHELD);
    coir_event_set(&b.let_go);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(record.digits, 2);
}

/* B is cancelled and A releases in the same turn: C gets the lock. */
COIR_TEST(cancel_race)
{
    coir_lock lock = {0};
    struct record record = {0};
    struct holder b = {.lock = &lock, .record = &record, .digit = 2};
    struct holder c = {.lock = &lock, .record = &record, .digit = 3};
    coir_task *task;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_lock_acquire(&lock));
    START(&group, hold, &b, &task);
    START(&group, hold, &c, NULL);
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(coir_lock_release(&lock));
    coir_event_set(&c.let_go);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(record.digits, 3);
    COIR_EXPECT(!coir_lock_held(&lock));
}

/* The other way round: A releases, then B is cancelled, which owns the lock already. It finds out
 * at its next call, and C gets the lock from it. */
COIR_TEST(cancel_release_race)
{
    coir_lock lock = {0};
    struct record record = {0};
    struct holder b = {.lock = &lock, .record = &record, .digit = 2};
    struct holder c = {.lock = &lock, .record = &record, .digit = 3};
    coir_task *task;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_lock_acquire(&lock));
    START(&group, hold, &b, &task);
    START(&group, hold, &c, NULL);
    COIR_EXPECT_OK(coir_lock_release(&lock));
    coir_cancel(task, NULL);
    coir_event_set(&c.let_go);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(b.acquired);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(record.digits, 23);
    COIR_EXPECT(!coir_lock_held(&lock));
}

/* A waiter that was cancelled, but has not run yet, must not keep a new one from the lock. */
COIR_TEST(finished_waiter_cancelled)
{
    coir_lock lock = {0};
    struct record record = {0};
    struct holder b = {.lock = &lock, .record = &record, .digit = 2};
    coir_task *task;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_lock_acquire(&lock));
    START(&group, hold, &b, &task);
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(coir_lock_release(&lock));
    COIR_EXPECT(!coir_lock_held(&lock));
    COIR_EXPECT_OK(coir_lock_acquire(&lock));
    COIR_EXPECT_OK(coir_lock_release(&lock));
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(record.digits, 0);
}

COIR_TEST(deadline_ends_the_wait)
{
    coir_lock lock = {0};
    struct record record = {0};
    struct holder a = {.lock = &lock, .record = &record, .digit = 1};
    COIR_GROUP(group);
    START(&group, hold, &a, NULL);
    {
        COIR_DEADLINE(COIR_MS(10));
        COIR_EXPECT_CODE(coir_lock_acquire(&lock), -ETIME);
    }
    coir_event_set(&a.let_go);
    COIR_EXPECT_OK(coir_lock_acquire(&lock));
    COIR_EXPECT_OK(coir_lock_release(&lock));
}

/* The lock is released at the very time at which the waiter's deadline passes: it has the lock, or
 * it has not, and whoever is next gets it. */
COIR_TEST(deadline_and_release_at_the_same_time)
{
    coir_lock lock = {0};
    struct record record = {0};
    struct holder a = {.lock = &lock, .record = &record, .digit = 1};
    COIR_GROUP(group);
    START(&group, hold, &a, NULL);
    coir_time when = coir_now() + COIR_SEC(1);
    {
        COIR_SCOPE(scope, COIR_SEC(1));
        COIR_EXPECT_OK(coir_scope_move(&scope, when));
        coir_event_set(&a.let_go);
        int r = coir_lock_acquire(&lock);
        if (r < 0)
            COIR_EXPECT_CODE(r, -ETIME);
        else
            COIR_EXPECT_OK(coir_lock_release(&lock));
    }
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT(!coir_lock_held(&lock));
}

struct loopy {
    coir_lock *lock;
    int name;
    int *record;
    size_t *length;
};

static int loop_five_times(void *arg)
{
    struct loopy *loopy = arg;
    for (int i = 0; i < 5; i++) {
        COIR_LOCK(loopy->lock);
        loopy->record[(*loopy->length)++] = loopy->name;
        COIR_TRY(coir_yield());
    }
    return 0;
}

/* Once they wait in some order, they keep taking turns in it. */
COIR_TEST_TAGGED(generic_lock_fifo_fairness, "liveness")
{
    coir_lock lock = {0};
    int record[15] = {0};
    size_t length = 0;
    struct loopy tasks[3];
    COIR_GROUP(group);
    {
        HOLD(&lock);
        for (int i = 0; i < 3; i++) {
            tasks[i] = (struct loopy){&lock, i, record, &length};
            START(&group, loop_five_times, &tasks[i], NULL);
        }
    }
    COIR_REQUIRE_OK(coir_group_wait(&group));
    for (int i = 0; i < 15; i++)
        COIR_EXPECT_EQ(record[i], i % 3);
    COIR_EXPECT_EQ(length, 15);
}

static int twice_the_same(void *arg)
{
    coir_lock *lock = arg;
    COIR_LOCK(lock);
    COIR_LOCK(lock);
    return 0;
}

/* COIR_LOCK returns the code from the function, and lets go of what it held. */
COIR_TEST(block_form_returns_the_failure)
{
    coir_lock lock = {0};
    COIR_EXPECT_CODE(twice_the_same(&lock), -EDEADLK);
    COIR_EXPECT(!coir_lock_held(&lock));
}

COIR_TEST(pending_cancellation_is_reported_first)
{
    coir_lock lock = {0};
    COIR_SCOPE(scope, COIR_FOREVER);
    coir_scope_cancel(&scope, NULL);
    COIR_EXPECT_CODE(coir_lock_acquire(&lock), -ECANCELED);
    COIR_EXPECT(!coir_lock_held(&lock));
    COIR_EXPECT_OK(coir_lock_try(&lock));
    COIR_EXPECT_OK(coir_lock_release(&lock));
}

COIR_TEST(description_names_the_holder)
{
    coir_lock lock = {0};
    struct record record = {0};
    struct holder b = {.lock = &lock, .record = &record, .digit = 2};
    coir_task *task;
    char text[128];
    COIR_GROUP(group);
    coir_task_set_name(NULL, "the owner");
    HOLD(&lock);
    START(&group, hold, &b, &task);
    coir_task_describe(task, text, sizeof text);
    COIR_EXPECT_STR(text, "waits for lock held by 'the owner'");
    coir_cancel(task, NULL);
    (void)joined(task);
}

static int keep(void *arg)
{
    return coir_lock_acquire(arg);
}

/* A task that ends with a lock leaves it held for ever; its record may be another task's by
 * then. */
COIR_TEST(description_of_a_holder_that_has_ended)
{
    coir_lock lock = {0};
    struct record record = {0};
    struct holder b = {.lock = &lock, .record = &record, .digit = 2};
    coir_task *task;
    char text[128];
    COIR_GROUP(group);
    START(&group, keep, &lock, NULL);
    START(&group, hold, &b, &task);
    coir_task_describe(task, text, sizeof text);
    COIR_EXPECT_STR(text, "waits for lock held by 'a task that has ended'");
    coir_cancel(task, NULL);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
}

static int use(void *arg)
{
    coir_lock *lock = arg;
    COIR_LOCK(lock);
    return 0;
}

COIR_TEST_TAGGED(lock_of_another_loop, "own_loop")
{
    coir_lock lock = {0};
    coir_loop_opts opts = coir_test_loop_opts();
    coir_loop *first = NULL, *second = NULL;
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_loop_open(&opts, &first));
    if (COIR_EXPECT_OK(coir_loop_spawn(first, use, &lock, &task)))
        COIR_EXPECT_OK(coir_loop_run_until(first, task, &result));
    COIR_EXPECT_OK(result);
    if (COIR_EXPECT_OK(coir_loop_open(&opts, &second)) &&
        COIR_EXPECT_OK(coir_loop_spawn(second, use, &lock, &task)))
        COIR_EXPECT_OK(coir_loop_run_until(second, task, &result));
    COIR_EXPECT_CODE(result, -COIR_EWRONGLOOP);
    COIR_EXPECT_OK(coir_loop_close(second));
    COIR_EXPECT_OK(coir_loop_close(first));
}

COIR_TEST_TAGGED(lock_outside_a_task, "own_loop")
{
    coir_lock lock = {0};
    COIR_EXPECT_CODE(coir_lock_acquire(&lock), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_lock_try(&lock), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_lock_release(&lock), -COIR_ENOTHELD);
}
