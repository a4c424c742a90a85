/* sync_event.c: events: who is woken, by which of set and clear, and what a cancellation changes.
 * The names are those of CPython's test_locks.py where the behaviour is.
 */
#include <coir/event.h>

#include "sync.h"

struct waiter {
    coir_event *event;
    int *count;
};

static int wait_for(void *arg)
{
    struct waiter *waiter = arg;
    COIR_TRY(coir_event_wait(waiter->event));
    ++*waiter->count;
    return 0;
}

COIR_TEST(wait)
{
    coir_event event = {0};
    int count = 0;
    struct waiter waiter = {&event, &count};
    COIR_GROUP(group);
    START(&group, wait_for, &waiter, NULL);
    START(&group, wait_for, &waiter, NULL);
    COIR_EXPECT_EQ(count, 0);
    COIR_REQUIRE_OK(coir_spawn(&group, wait_for, &waiter, NULL));
    COIR_EXPECT_OK(coir_event_set(&event));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(count, 3);
}

COIR_TEST(wait_on_set)
{
    coir_event event = {0};
    COIR_EXPECT(!coir_event_is_set(&event));
    COIR_EXPECT_OK(coir_event_set(&event));
    COIR_EXPECT(coir_event_is_set(&event));
    COIR_EXPECT_OK(coir_event_wait(&event));
    COIR_EXPECT_OK(coir_event_clear(&event));
    COIR_EXPECT(!coir_event_is_set(&event));
}

COIR_TEST(wait_cancel)
{
    coir_event event = {0};
    int count = 0;
    struct waiter waiter = {&event, &count};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, wait_for, &waiter, &task);
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(coir_event_set(&event));
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(count, 0);
}

/* Set, and cancelled before it runs: the wait had ended. */
COIR_TEST(wait_cancel_after_set)
{
    coir_event event = {0};
    int count = 0;
    struct waiter waiter = {&event, &count};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, wait_for, &waiter, &task);
    COIR_EXPECT_OK(coir_event_set(&event));
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(joined(task));
    COIR_EXPECT_EQ(count, 1);
}

COIR_TEST(clear_with_waiters)
{
    coir_event event = {0};
    int count = 0;
    struct waiter waiter = {&event, &count};
    COIR_GROUP(group);
    START(&group, wait_for, &waiter, NULL);
    COIR_EXPECT_OK(coir_event_set(&event));
    COIR_EXPECT_OK(coir_event_clear(&event));
    COIR_EXPECT(!coir_event_is_set(&event));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(count, 1);
}

COIR_TEST(deadline_ends_the_wait)
{
    coir_event event = {0};
    coir_time start = coir_now();
    COIR_DEADLINE(COIR_SEC(3));
    COIR_EXPECT_CODE(coir_event_wait(&event), -ETIME);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(3));
}

static void set(void *arg)
{
    (void)coir_event_set(arg);
}

COIR_TEST(set_by_a_callback)
{
    coir_event event = {0};
    coir_timer timer = {0};
    coir_timer_start(coir_loop_current(), &timer, coir_now() + COIR_SEC(1), set, &event);
    COIR_EXPECT_OK(coir_event_wait(&event));
    coir_timer_stop(coir_loop_current(), &timer);
}
