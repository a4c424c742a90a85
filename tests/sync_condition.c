/* sync_condition.c: conditions: who is notified, that the lock is held again on every path, and
 * that no notification is lost to a task which is cancelled in the same turn. The names are those
 * of CPython's test_locks.py and Tokio's sync_notify.rs where the behaviour is.
 */
#include <coir/condition.h>

#include "sync.h"

/* What the tasks of a test share. */
struct shared {
    coir_lock lock;
    coir_condition condition;
    struct record record;
    int state;
};

struct waiter {
    struct shared *shared;
    int digit;
    int result; /* what coir_condition_wait returned */
    bool held;  /* whether the lock was held then */
};

static int wait_once(void *arg)
{
    struct waiter *waiter = arg;
    struct shared *shared = waiter->shared;
    COIR_LOCK(&shared->lock);
    waiter->result = coir_condition_wait(&shared->condition, &shared->lock);
    waiter->held = coir_lock_try(&shared->lock) == -EDEADLK;
    if (waiter->result == 0)
        note(&shared->record, waiter->digit);
    return waiter->result;
}

COIR_TEST(wait)
{
    struct shared shared = {0};
    struct waiter waiters[3];
    COIR_GROUP(group);
    for (int i = 0; i < 3; i++) {
        waiters[i] = (struct waiter){&shared, i + 1, 1, false};
        START(&group, wait_once, &waiters[i], NULL);
    }
    COIR_EXPECT(!coir_lock_held(&shared.lock));
    {
        HOLD(&shared.lock);
        COIR_EXPECT_EQ(coir_condition_notify(&shared.condition, 1), 1);
        SETTLE();
        COIR_EXPECT_EQ(shared.record.digits, 0);
    }
    SETTLE();
    COIR_EXPECT_EQ(shared.record.digits, 1);
    COIR_EXPECT_EQ(coir_condition_notify(&shared.condition, 5), 2);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(shared.record.digits, 123);
    for (int i = 0; i < 3; i++)
        COIR_EXPECT(waiters[i].held);
    COIR_EXPECT(!coir_lock_held(&shared.lock));
}

COIR_TEST(wait_unacquired)
{
    struct shared shared = {0};
    COIR_EXPECT_CODE(coir_condition_wait(&shared.condition, &shared.lock), -COIR_ENOTHELD);
}

COIR_TEST(notify_nobody)
{
    struct shared shared = {0};
    COIR_EXPECT_EQ(coir_condition_notify(&shared.condition, 3), 0);
    COIR_EXPECT_EQ(coir_condition_notify_all(&shared.condition), 0);
}

COIR_TEST(notify_all)
{
    struct shared shared = {0};
    struct waiter waiters[3];
    COIR_GROUP(group);
    for (int i = 0; i < 3; i++) {
        waiters[i] = (struct waiter){&shared, i + 1, 1, false};
        START(&group, wait_once, &waiters[i], NULL);
    }
    COIR_EXPECT_EQ(coir_condition_notify_all(&shared.condition), 3);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(shared.record.digits, 123);
}

COIR_TEST(wait_cancel)
{
    struct shared shared = {0};
    struct waiter waiter = {&shared, 1, 1, false};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, wait_once, &waiter, &task);
    coir_cancel(task, NULL);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(waiter.result, -ECANCELED);
    COIR_EXPECT(waiter.held);
    COIR_EXPECT_EQ(coir_condition_notify(&shared.condition, 1), 0);
    COIR_EXPECT(!coir_lock_held(&shared.lock));
}

/* The lock is held by another task when the waiter is cancelled: it waits for it, and reports
 * then. */
COIR_TEST(wait_cancel_contested)
{
    struct shared shared = {0};
    struct waiter waiter = {&shared, 1, 1, false};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, wait_once, &waiter, &task);
    {
        HOLD(&shared.lock);
        coir_cancel(task, NULL);
        SETTLE();
        COIR_EXPECT(!coir_task_done(task));
        COIR_EXPECT_EQ(coir_condition_notify(&shared.condition, 1), 0);
    }
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(waiter.result, -ECANCELED);
    COIR_EXPECT(waiter.held);
}

/* Notified, then cancelled while it waits for the lock: the notification stands. */
COIR_TEST(wait_cancel_after_notify)
{
    struct shared shared = {0};
    struct waiter waiter = {&shared, 1, 1, false};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, wait_once, &waiter, &task);
    {
        HOLD(&shared.lock);
        COIR_EXPECT_EQ(coir_condition_notify(&shared.condition, 1), 1);
        SETTLE();
        coir_cancel(task, NULL);
        SETTLE();
        COIR_EXPECT(!coir_task_done(task));
    }
    COIR_EXPECT_OK(joined(task));
    COIR_EXPECT_EQ(shared.record.digits, 1);
    COIR_EXPECT(waiter.held);
}

static bool has_state(void *arg)
{
    return ((struct shared *)arg)->state != 0;
}

static bool has_no_state(void *arg)
{
    return ((struct shared *)arg)->state == 0;
}

/* Consumes one after the other until the state is negative. */
static int consume(void *arg)
{
    struct shared *shared = arg;
    COIR_LOCK(&shared->lock);
    for (;;) {
        COIR_TRY(coir_condition_wait_for(&shared->condition, &shared->lock, has_state, shared));
        if (shared->state < 0)
            return 0;
        shared->state--;
    }
}

/* One of two consumers is notified and cancelled in the same turn (python/cpython#112202): one of
 * them must consume. */
static void wake_and_cancel(bool relock)
{
    struct shared shared = {0};
    coir_task *tasks[2];
    COIR_GROUP(group);
    START(&group, consume, &shared, &tasks[0]);
    START(&group, consume, &shared, &tasks[1]);
    {
        HOLD(&shared.lock);
        shared.state = 1;
        COIR_EXPECT_EQ(coir_condition_notify(&shared.condition, 1), 1);
        if (relock)
            SETTLE();
        coir_cancel(tasks[0], NULL);
        if (relock)
            SETTLE();
        COIR_DEADLINE(COIR_MS(10));
        int r = coir_condition_wait_for(&shared.condition, &shared.lock, has_no_state, &shared);
        COIR_EXPECT(r == 0 || r == -ETIME);
        COIR_EXPECT_EQ(shared.state, 0);
    }
    {
        HOLD(&shared.lock);
        shared.state = -1;
        (void)coir_condition_notify_all(&shared.condition);
    }
    COIR_EXPECT_CODE(joined(tasks[0]), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(joined(tasks[1]));
}

COIR_TEST(cancelled_wakeup)
{
    wake_and_cancel(false);
}

COIR_TEST(cancelled_wakeup_relock)
{
    wake_and_cancel(true);
}

/* The notified one is cancelled before it runs; it returns 0 all the same, and passes on what it
 * was woken for. */
static int wait_and_pass_on(void *arg)
{
    struct waiter *waiter = arg;
    int r = wait_once(waiter);
    if (r == 0 && coir_pending() < 0)
        coir_condition_notify(&waiter->shared->condition, 1);
    return r;
}

COIR_TEST(notified_multi_notify_drop_one)
{
    struct shared shared = {0};
    struct waiter a = {&shared, 1, 1, false}, b = {&shared, 2, 1, false};
    coir_task *first;
    COIR_GROUP(group);
    START(&group, wait_and_pass_on, &a, &first);
    START(&group, wait_and_pass_on, &b, NULL);
    COIR_EXPECT_EQ(coir_condition_notify(&shared.condition, 1), 1);
    coir_cancel(first, NULL);
    COIR_EXPECT_OK(joined(first));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(shared.record.digits, 12);
}

/* The other way round: a waiter that was cancelled before is not notified. */
COIR_TEST(cancelled_waiter_is_not_notified)
{
    struct shared shared = {0};
    struct waiter a = {&shared, 1, 1, false}, b = {&shared, 2, 1, false};
    coir_task *first;
    COIR_GROUP(group);
    START(&group, wait_once, &a, &first);
    START(&group, wait_once, &b, NULL);
    coir_cancel(first, NULL);
    COIR_EXPECT_EQ(coir_condition_notify(&shared.condition, 1), 1);
    COIR_EXPECT_CODE(joined(first), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(shared.record.digits, 2);
}

struct notifier {
    struct waiter waiter;
    coir_scope *scope;
};

static int wait_then_notify_all(void *arg)
{
    struct notifier *notifier = arg;
    int r = wait_once(&notifier->waiter);
    coir_condition_notify_all(&notifier->waiter.shared->condition);
    return r;
}

/* A waiter whose clean-up notifies the condition that it is just leaving. */
COIR_TEST(notify_in_drop_after_wake)
{
    struct shared shared = {0};
    struct notifier a = {.waiter = {&shared, 1, 1, false}}, b = {.waiter = {&shared, 2, 1, false}};
    coir_task *first;
    COIR_GROUP(group);
    START(&group, wait_then_notify_all, &a, &first);
    START(&group, wait_then_notify_all, &b, NULL);
    coir_cancel(first, NULL);
    COIR_EXPECT_CODE(joined(first), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(shared.record.digits, 2);
}

COIR_TEST(wait_for)
{
    struct shared shared = {0};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, consume, &shared, &task);
    COIR_EXPECT_EQ(coir_condition_notify(&shared.condition, 1), 1);
    SETTLE();
    COIR_EXPECT(!coir_task_done(task));
    shared.state = -1;
    COIR_EXPECT_EQ(coir_condition_notify(&shared.condition, 1), 1);
    COIR_EXPECT_OK(joined(task));
}

/* A predicate that holds needs no wait. */
COIR_TEST(wait_for_unacquired)
{
    struct shared shared = {0};
    COIR_EXPECT_OK(coir_condition_wait_for(&shared.condition, &shared.lock, has_no_state, &shared));
    COIR_EXPECT_CODE(coir_condition_wait_for(&shared.condition, &shared.lock, has_state, &shared),
                     -COIR_ENOTHELD);
}

COIR_TEST(timeout_in_block)
{
    struct shared shared = {0};
    HOLD(&shared.lock);
    COIR_DEADLINE(COIR_SEC(1));
    COIR_EXPECT_CODE(coir_condition_wait(&shared.condition, &shared.lock), -ETIME);
    COIR_EXPECT_CODE(coir_lock_try(&shared.lock), -EDEADLK);
}

COIR_TEST(description_says_what_it_waits_for)
{
    struct shared shared = {0};
    struct waiter waiter = {&shared, 1, 1, false};
    coir_task *task;
    char text[128];
    COIR_GROUP(group);
    coir_task_set_name(NULL, "the owner");
    START(&group, wait_once, &waiter, &task);
    coir_task_describe(task, text, sizeof text);
    COIR_EXPECT_CONTAINS(text, "waits for condition");
    {
        HOLD(&shared.lock);
        (void)coir_condition_notify(&shared.condition, 1);
        coir_task_describe(task, text, sizeof text);
        COIR_EXPECT_STR(text, "waits for the lock of a condition, held by 'the owner'");
    }
    COIR_EXPECT_OK(joined(task));
}
