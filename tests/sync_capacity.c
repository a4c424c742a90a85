/* sync_capacity.c: limiters with known holders: order, changing the total, acquiring on behalf of
 * something, and cancelled waiters. The names are those of Trio's test_sync.py where the behaviour
 * is.
 */
#include <coir/capacity.h>

#include <coir/event.h>

#include "sync.h"

struct user {
    coir_capacity *capacity;
    const void *holder; /* NULL: the task */
    struct record *record;
    int digit;
    coir_event done;
    int acquired; /* what acquiring returned */
};

static int acquire_for(struct user *user)
{
    if (user->holder != NULL)
        return coir_capacity_acquire_for(user->capacity, user->holder);
    return coir_capacity_acquire(user->capacity);
}

static int use(void *arg)
{
    struct user *user = arg;
    user->acquired = acquire_for(user);
    if (user->acquired < 0)
        return user->acquired;
    note(user->record, user->digit);
    int r = coir_event_wait(&user->done);
    COIR_EXPECT_OK(user->holder != NULL ? coir_capacity_release_for(user->capacity, user->holder)
                                        : coir_capacity_release(user->capacity));
    return r;
}

#define USER(name, number) struct user name = {&capacity, NULL, &record, number, {0}, 9}

static void expect_state(const coir_capacity *capacity, size_t held, size_t waiting)
{
    COIR_EXPECT_EQ(coir_capacity_held(capacity), held);
    COIR_EXPECT_EQ(coir_capacity_waiting(capacity), waiting);
}

COIR_TEST(acquire_and_release)
{
    COIR_AUTO(coir_capacity) capacity = {.total = 2};
    int a, b;
    COIR_EXPECT_OK(coir_capacity_acquire(&capacity));
    COIR_EXPECT_CODE(coir_capacity_acquire(&capacity), -EALREADY);
    COIR_EXPECT_CODE(coir_capacity_try(&capacity), -EALREADY);
    COIR_EXPECT(coir_capacity_holds(&capacity, coir_current()));
    COIR_EXPECT_OK(coir_capacity_try_for(&capacity, &a));
    COIR_EXPECT_CODE(coir_capacity_try_for(&capacity, &a), -EALREADY);
    COIR_EXPECT_CODE(coir_capacity_try_for(&capacity, &b), -EAGAIN);
    COIR_EXPECT_CODE(coir_capacity_try_for(&capacity, NULL), -EINVAL);
    COIR_EXPECT_EQ(coir_capacity_available(&capacity), 0);
    COIR_EXPECT_CODE(coir_capacity_release_for(&capacity, &b), -COIR_ENOTHELD);
    COIR_EXPECT_OK(coir_capacity_release(&capacity));
    COIR_EXPECT_CODE(coir_capacity_release(&capacity), -COIR_ENOTHELD);
    COIR_EXPECT(!coir_capacity_holds(&capacity, coir_current()));
    COIR_EXPECT(coir_capacity_holds(&capacity, &a));
    COIR_EXPECT_EQ(coir_capacity_available(&capacity), 1);
    COIR_EXPECT_OK(coir_capacity_release_for(&capacity, &a));
    expect_state(&capacity, 0, 0);
}

static int acquire_and_forget(void *arg)
{
    return coir_capacity_acquire(arg);
}

static int ask_what_it_holds(void *arg)
{
    coir_capacity *capacity = arg;
    COIR_EXPECT(!coir_capacity_holds(capacity, coir_current()));
    COIR_EXPECT_CODE(coir_capacity_release(capacity), -COIR_ENOTHELD);
    COIR_EXPECT_OK(coir_capacity_acquire(capacity));
    COIR_EXPECT(coir_capacity_holds(capacity, coir_current()));
    COIR_EXPECT_OK(coir_capacity_release(capacity));
    return 0;
}

/* Its record is a new task's, which holds nothing. */
COIR_TEST(ended_without_giving_back)
{
    COIR_AUTO(coir_capacity) capacity = {.total = 2};
    coir_task *first, *second;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, acquire_and_forget, &capacity, &first));
    SETTLE();
    COIR_EXPECT(coir_capacity_holds(&capacity, first)); /* its record is there */
    COIR_EXPECT_OK(joined(first));
    COIR_REQUIRE_OK(coir_spawn(&group, ask_what_it_holds, &capacity, &second));
    COIR_EXPECT(second != first || !coir_capacity_holds(&capacity, second));
    SETTLE();
    COIR_EXPECT(second != first || !coir_capacity_holds(&capacity, second)); /* ended, not joined */
    COIR_EXPECT_OK(joined(second));
    expect_state(&capacity, 1, 0);
}

COIR_TEST(without_a_limit)
{
    COIR_AUTO(coir_capacity) capacity = {.total = SIZE_MAX};
    char holders[100];
    for (size_t i = 0; i < sizeof holders; i++)
        COIR_REQUIRE_OK(coir_capacity_acquire_for(&capacity, &holders[i]));
    expect_state(&capacity, 100, 0);
    for (size_t i = 0; i < sizeof holders; i++)
        COIR_EXPECT_OK(coir_capacity_release_for(&capacity, &holders[i]));
    expect_state(&capacity, 0, 0);
}

COIR_TEST(fifo)
{
    COIR_AUTO(coir_capacity) capacity = {.total = 1};
    struct record record = {0};
    USER(a, 1);
    USER(b, 2);
    USER(c, 3);
    COIR_GROUP(group);
    START(&group, use, &a, NULL);
    START(&group, use, &b, NULL);
    START(&group, use, &c, NULL);
    COIR_EXPECT_EQ(record.digits, 1);
    expect_state(&capacity, 1, 2);
    coir_event_set(&a.done);
    SETTLE();
    COIR_EXPECT_EQ(record.digits, 12);
    coir_event_set(&b.done);
    coir_event_set(&c.done);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(record.digits, 123);
    expect_state(&capacity, 0, 0);
}

/* What is released is the waiter's before it runs. */
COIR_TEST(handover)
{
    COIR_AUTO(coir_capacity) capacity = {.total = 1};
    struct record record = {0};
    USER(b, 2);
    int other;
    coir_task *task;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_capacity_acquire(&capacity));
    START(&group, use, &b, &task);
    COIR_EXPECT_OK(coir_capacity_release(&capacity));
    expect_state(&capacity, 1, 0);
    if (!COIR_EXPECT_CODE(coir_capacity_try_for(&capacity, &other), -EAGAIN))
        COIR_EXPECT_OK(coir_capacity_release_for(&capacity, &other));
    coir_cancel(task, NULL); /* it has the token, and releases it */
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(b.acquired);
    expect_state(&capacity, 0, 0);
}

COIR_TEST(cancelled_waiter)
{
    COIR_AUTO(coir_capacity) capacity = {.total = 1};
    struct record record = {0};
    USER(b, 2);
    USER(c, 3);
    coir_task *task;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_capacity_acquire(&capacity));
    START(&group, use, &b, &task);
    START(&group, use, &c, NULL);
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(coir_capacity_release(&capacity));
    coir_event_set(&c.done);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(b.acquired, -ECANCELED);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(record.digits, 3);
    expect_state(&capacity, 0, 0);
}

/* A limiter with no tokens at all: nothing is kept of who gave up. */
COIR_TEST(expired_waiter)
{
    COIR_AUTO(coir_capacity) capacity = {.total = 0};
    {
        COIR_DEADLINE(COIR_MS(1));
        COIR_EXPECT_CODE(coir_capacity_acquire(&capacity), -ETIME);
    }
    expect_state(&capacity, 0, 0);
    COIR_EXPECT_CODE(coir_capacity_try(&capacity), -EAGAIN);
}

COIR_TEST(change_total_tokens)
{
    COIR_AUTO(coir_capacity) capacity = {.total = 1};
    struct record record = {0};
    USER(a, 1);
    USER(b, 2);
    USER(c, 3);
    struct user *users[] = {&a, &b, &c};
    COIR_GROUP(group);
    for (size_t i = 0; i < COIR_COUNT(users); i++)
        START(&group, use, users[i], NULL);
    COIR_EXPECT_OK(coir_capacity_resize(&capacity, 3));
    expect_state(&capacity, 3, 0);
    SETTLE();
    COIR_EXPECT(record.digits == 123 || record.digits == 132);
    COIR_EXPECT_OK(coir_capacity_resize(&capacity, 1));
    COIR_EXPECT_EQ(coir_capacity_available(&capacity), 0);
    expect_state(&capacity, 3, 0);
    for (size_t i = 0; i < 2; i++) {
        coir_event_set(&users[i]->done);
        SETTLE();
        COIR_EXPECT_CODE(coir_capacity_try(&capacity), -EAGAIN);
    }
    coir_event_set(&c.done);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_OK(coir_capacity_try(&capacity));
    COIR_EXPECT_OK(coir_capacity_release(&capacity));
}

/* Two tasks for one holder: the second is told at once, instead of waiting for the first. */
COIR_TEST(on_behalf_of)
{
    COIR_AUTO(coir_capacity) capacity = {.total = 1};
    struct record record = {0};
    int thing, other;
    USER(a, 1);
    a.holder = &thing;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_capacity_acquire_for(&capacity, &other));
    START(&group, use, &a, NULL);
    COIR_EXPECT_CODE(coir_capacity_acquire_for(&capacity, &thing), -EALREADY);
    COIR_EXPECT_CODE(coir_capacity_acquire_for(&capacity, NULL), -EINVAL);
    COIR_EXPECT_OK(coir_capacity_release_for(&capacity, &other));
    COIR_EXPECT(coir_capacity_holds(&capacity, &thing));
    coir_event_set(&a.done);
    COIR_EXPECT_OK(coir_group_wait(&group));
    expect_state(&capacity, 0, 0);
}

static int twice(coir_capacity *capacity)
{
    COIR_CAPACITY(capacity);
    COIR_EXPECT_EQ(coir_capacity_held(capacity), 1);
    COIR_TRY(coir_capacity_acquire(capacity));
    return 0;
}

COIR_TEST(block_form)
{
    COIR_AUTO(coir_capacity) capacity = {.total = 2};
    COIR_EXPECT_CODE(twice(&capacity), -EALREADY);
    expect_state(&capacity, 0, 0);
}

struct worker {
    coir_capacity *capacity;
    int *running, *most;
};

static int work_in_turns(void *arg)
{
    struct worker *worker = arg;
    for (int i = 0; i < 5; i++) {
        COIR_CAPACITY(worker->capacity);
        ++*worker->running;
        if (*worker->running > *worker->most)
            *worker->most = *worker->running;
        int r = coir_sleep(i);
        --*worker->running;
        COIR_TRY(r);
    }
    return 0;
}

COIR_TEST_TAGGED(many, "liveness")
{
    COIR_AUTO(coir_capacity) capacity = {.total = 3};
    int running = 0, most = 0;
    struct worker worker = {&capacity, &running, &most};
    COIR_GROUP(group);
    for (int i = 0; i < 20; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, work_in_turns, &worker, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_LE(most, 3);
    COIR_EXPECT_EQ(running, 0);
    expect_state(&capacity, 0, 0);
}

COIR_TEST_TAGGED(outside_a_task, "own_loop")
{
    COIR_AUTO(coir_capacity) capacity = {.total = 3};
    COIR_EXPECT_CODE(coir_capacity_acquire(&capacity), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_capacity_try(&capacity), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_capacity_release(&capacity), -COIR_ENOTHELD);
}

/* Closed under a waiter, and under a holder, which releases what nobody counts any more. */
COIR_TEST(closing)
{
    COIR_AUTO(coir_capacity) capacity = {.total = 1};
    struct record record = {0};
    USER(b, 2);
    coir_task *task;
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_capacity_acquire(&capacity));
    START(&group, use, &b, &task);
    coir_capacity_close(&capacity);
    COIR_EXPECT_CODE(coir_capacity_release(&capacity), -COIR_ENOTHELD);
    COIR_EXPECT_CODE(joined(task), -COIR_ECLOSED);
    expect_state(&capacity, 0, 0);
    COIR_EXPECT_OK(coir_capacity_acquire(&capacity));
    COIR_EXPECT_OK(coir_capacity_release(&capacity));
}

COIR_TEST(description)
{
    COIR_AUTO(coir_capacity) capacity = {.total = 1};
    struct record record = {0};
    USER(b, 2);
    coir_task *task;
    char text[128];
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_capacity_acquire(&capacity));
    START(&group, use, &b, &task);
    coir_task_describe(task, text, sizeof text);
    COIR_EXPECT_CONTAINS(text, "waits for capacity ");
    COIR_EXPECT_CONTAINS(text, "(1 of 1 held, 1 waiting)");
    coir_cancel(task, NULL);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_capacity_release(&capacity));
}
