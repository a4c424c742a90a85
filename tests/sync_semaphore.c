/* sync_semaphore.c: semaphores: order, hand-over of permits, and cancellations in the same turn.
 * The names are those of CPython's test_locks.py where the behaviour is.
 */
#include <coir/semaphore.h>

#include <coir/event.h>

#include "sync.h"

/* Takes a permit and keeps it. */
struct taker {
    coir_semaphore *semaphore;
    struct record *record;
    int digit;
};

static int take(void *arg)
{
    struct taker *taker = arg;
    COIR_TRY(coir_semaphore_acquire(taker->semaphore));
    note(taker->record, taker->digit);
    return 0;
}

COIR_TEST(value_counts)
{
    coir_semaphore semaphore = {.value = 2};
    COIR_EXPECT_OK(coir_semaphore_acquire(&semaphore));
    COIR_EXPECT_OK(coir_semaphore_try(&semaphore));
    COIR_EXPECT_CODE(coir_semaphore_try(&semaphore), -EAGAIN);
    COIR_EXPECT_OK(coir_semaphore_release(&semaphore));
    COIR_EXPECT_EQ(semaphore.value, 1);
}

COIR_TEST(bounded_release_too_often)
{
    coir_semaphore semaphore = {.value = 1, .bound = 1};
    COIR_EXPECT_CODE(coir_semaphore_release(&semaphore), -EOVERFLOW);
    COIR_EXPECT_EQ(semaphore.value, 1);
    COIR_EXPECT_OK(coir_semaphore_acquire(&semaphore));
    COIR_EXPECT_OK(coir_semaphore_release(&semaphore));
    COIR_EXPECT_CODE(coir_semaphore_release(&semaphore), -EOVERFLOW);
}

COIR_TEST(unbounded_release)
{
    coir_semaphore semaphore = {0};
    for (int i = 0; i < 3; i++)
        COIR_EXPECT_OK(coir_semaphore_release(&semaphore));
    COIR_EXPECT_EQ(semaphore.value, 3);
}

COIR_TEST(acquire_cancel)
{
    coir_semaphore semaphore = {0};
    struct record record = {0};
    struct taker taker = {&semaphore, &record, 1};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, take, &taker, &task);
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(coir_semaphore_release(&semaphore));
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(semaphore.value, 1);
}

/* Two of four waiters are cancelled, then a permit comes, before any of them runs. */
COIR_TEST(acquire_cancel_before_awoken)
{
    coir_semaphore semaphore = {0};
    struct record record = {0};
    struct taker takers[4];
    coir_task *tasks[4];
    COIR_GROUP(group);
    for (int i = 0; i < 4; i++) {
        takers[i] = (struct taker){&semaphore, &record, i + 1};
        START(&group, take, &takers[i], &tasks[i]);
    }
    coir_cancel(tasks[0], NULL);
    coir_cancel(tasks[1], NULL);
    COIR_EXPECT_OK(coir_semaphore_release(&semaphore));
    SETTLE();
    COIR_EXPECT_EQ(record.digits, 3);
    COIR_EXPECT(!coir_task_done(tasks[3]));
    coir_cancel(tasks[3], NULL);
    COIR_EXPECT_OK(joined(tasks[2]));
    COIR_EXPECT_CODE(joined(tasks[0]), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(joined(tasks[1]), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(joined(tasks[3]), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(semaphore.value, 0);
}

/* The first waiter is cancelled, and a permit comes: the second must not hang. */
COIR_TEST(acquire_hang)
{
    coir_semaphore semaphore = {0};
    struct record record = {0};
    struct taker a = {&semaphore, &record, 1}, b = {&semaphore, &record, 2};
    coir_task *first;
    COIR_GROUP(group);
    START(&group, take, &a, &first);
    START(&group, take, &b, NULL);
    coir_cancel(first, NULL);
    COIR_EXPECT_OK(coir_semaphore_release(&semaphore));
    COIR_EXPECT_CODE(joined(first), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(record.digits, 2);
    COIR_EXPECT_EQ(semaphore.value, 0);
}

/* As acquire_hang, the other way round: the permit is the first waiter's when it is cancelled, and
 * it keeps it. */
COIR_TEST(cancel_release_race)
{
    coir_semaphore semaphore = {0};
    struct record record = {0};
    struct taker a = {&semaphore, &record, 1}, b = {&semaphore, &record, 2};
    coir_task *first;
    COIR_GROUP(group);
    START(&group, take, &a, &first);
    START(&group, take, &b, NULL);
    COIR_EXPECT_OK(coir_semaphore_release(&semaphore));
    coir_cancel(first, NULL);
    COIR_EXPECT_OK(joined(first));
    COIR_EXPECT_EQ(record.digits, 1);
    COIR_EXPECT_OK(coir_semaphore_release(&semaphore));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(record.digits, 12);
}

struct pair {
    coir_semaphore semaphore;
    coir_event go;
    coir_task *second;
};

static int hold_and_cancel(void *arg)
{
    struct pair *pair = arg;
    COIR_SEMAPHORE(&pair->semaphore);
    COIR_TRY(coir_event_wait(&pair->go));
    coir_cancel(pair->second, NULL);
    return 0;
}

static int hold(void *arg)
{
    struct pair *pair = arg;
    COIR_SEMAPHORE(&pair->semaphore);
    COIR_FAIL("acquired in spite of the cancellation");
    return 0;
}

/* The permit of a task that cancels its successor and lets go is free afterwards. */
COIR_TEST(acquire_no_hang)
{
    struct pair pair = {.semaphore = {.value = 1}};
    coir_task *first;
    COIR_GROUP(group);
    START(&group, hold_and_cancel, &pair, &first);
    START(&group, hold, &pair, &pair.second);
    COIR_EXPECT_OK(coir_event_set(&pair.go));
    COIR_EXPECT_OK(joined(first));
    COIR_EXPECT_CODE(joined(pair.second), -COIR_ECANCELEDTASK);
    COIR_DEADLINE(COIR_SEC(1));
    COIR_EXPECT_OK(coir_semaphore_acquire(&pair.semaphore));
}

static int take_twice(void *arg)
{
    struct taker *taker = arg;
    for (int i = 0; i < 2; i++) {
        COIR_TRY(coir_semaphore_acquire(taker->semaphore));
        note(taker->record, taker->digit);
        int r = coir_sleep(COIR_MS(10));
        coir_semaphore_release(taker->semaphore);
        COIR_TRY(r);
    }
    return 0;
}

COIR_TEST_TAGGED(acquire_fifo_order, "liveness")
{
    coir_semaphore semaphore = {.value = 1};
    struct record record = {0};
    struct taker takers[3];
    COIR_GROUP(group);
    for (int i = 0; i < 3; i++) {
        takers[i] = (struct taker){&semaphore, &record, i + 1};
        COIR_REQUIRE_OK(coir_spawn(&group, take_twice, &takers[i], NULL));
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    }
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(record.digits, 123123);
    COIR_EXPECT_EQ(semaphore.value, 1);
}

static int release_and_take(void *arg)
{
    struct taker *taker = arg;
    COIR_TRY(coir_semaphore_acquire(taker->semaphore));
    note(taker->record, 2);
    coir_semaphore_release(taker->semaphore);
    COIR_TRY(coir_semaphore_acquire(taker->semaphore));
    note(taker->record, 4);
    return 0;
}

/* Who gives its permit back and asks again stands at the end. */
COIR_TEST(acquire_fifo_order_2)
{
    coir_semaphore semaphore = {.value = 1};
    struct record record = {0};
    struct taker a = {&semaphore, &record, 1}, b = {&semaphore, &record, 0},
                 c = {&semaphore, &record, 3};
    COIR_GROUP(group);
    START(&group, take, &a, NULL);
    START(&group, release_and_take, &b, NULL);
    START(&group, take, &c, NULL);
    COIR_EXPECT_EQ(record.digits, 1);
    COIR_EXPECT_OK(coir_semaphore_release(&semaphore));
    SETTLE();
    COIR_EXPECT_EQ(record.digits, 123);
    COIR_EXPECT_OK(coir_semaphore_release(&semaphore));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(record.digits, 1234);
}

/* A cancelled waiter in the middle does not change the order of the others. */
COIR_TEST(acquire_fifo_order_3)
{
    coir_semaphore semaphore = {0};
    struct record record = {0};
    struct taker takers[4];
    coir_task *tasks[4];
    COIR_GROUP(group);
    for (int i = 0; i < 4; i++) {
        takers[i] = (struct taker){&semaphore, &record, i + 1};
        START(&group, take, &takers[i], &tasks[i]);
    }
    coir_cancel(tasks[1], NULL);
    for (int i = 0; i < 3; i++) {
        COIR_EXPECT_OK(coir_semaphore_release(&semaphore));
        SETTLE();
    }
    COIR_EXPECT_EQ(record.digits, 134);
    for (int i = 0; i < 4; i++)
        COIR_EXPECT_CODE(joined(tasks[i]), i == 1 ? -COIR_ECANCELEDTASK : 0);
}

/* Permits that are handed over but not used yet are nobody else's: one that comes now waits
 * behind. */
COIR_TEST(acquire_fifo_order_4)
{
    coir_semaphore semaphore = {0};
    struct record record = {0};
    struct taker a = {&semaphore, &record, 1}, b = {&semaphore, &record, 2},
                 d = {&semaphore, &record, 4};
    COIR_GROUP(group);
    START(&group, take, &a, NULL);
    START(&group, take, &b, NULL);
    COIR_EXPECT_OK(coir_semaphore_release(&semaphore));
    COIR_EXPECT_CODE(coir_semaphore_try(&semaphore), -EAGAIN);
    COIR_EXPECT_EQ(semaphore.value, 0);
    START(&group, take, &d, NULL);
    COIR_EXPECT_EQ(record.digits, 1);
    COIR_EXPECT_OK(coir_semaphore_release(&semaphore));
    SETTLE();
    COIR_EXPECT_OK(coir_semaphore_release(&semaphore));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(record.digits, 124);
}
