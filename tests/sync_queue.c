/* sync_queue.c: queues: order of each kind, limits, join, shutdown, and items that meet
 * cancellations. The names are those of CPython's test_queues.py where the behaviour is.
 */
#include <coir/queue.h>

#include "sync.h"

struct user {
    coir_queue *queue;
    int item;
    int result; /* what the call returned */
};

static int get(void *arg)
{
    struct user *user = arg;
    user->result = coir_queue_get(user->queue, &user->item);
    return user->result == -ECANCELED ? -ECANCELED : 0;
}

static int put(void *arg)
{
    struct user *user = arg;
    user->result = coir_queue_put(user->queue, &user->item);
    return user->result == -ECANCELED ? -ECANCELED : 0;
}

static int join(void *arg)
{
    struct user *user = arg;
    user->result = coir_queue_join(user->queue);
    return 0;
}

static int by_value(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static int by_tens(const void *a, const void *b)
{
    return *(const int *)a / 10 - *(const int *)b / 10;
}

static void put_all(coir_queue *queue, const int *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        COIR_EXPECT_OK(coir_queue_try_put(queue, &items[i]));
}

static void expect_all(coir_queue *queue, const int *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int item = -1;
        COIR_EXPECT_OK(coir_queue_try_get(queue, &item));
        COIR_EXPECT_EQ(item, items[i]);
    }
    int none;
    COIR_EXPECT_CODE(coir_queue_try_get(queue, &none), -EAGAIN);
}

COIR_TEST(fifo_order)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    put_all(queue, (int[]){1, 3, 2}, 3);
    COIR_EXPECT_EQ(coir_queue_size(queue), 3);
    expect_all(queue, (int[]){1, 3, 2}, 3);
}

COIR_TEST(lifo_order)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, &((coir_queue_opts){.kind = COIR_QUEUE_LIFO}), &queue));
    put_all(queue, (int[]){1, 3, 2}, 3);
    expect_all(queue, (int[]){2, 3, 1}, 3);
}

COIR_TEST(priority_order)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    coir_queue_opts opts = {.kind = COIR_QUEUE_PRIORITY, .compare = by_value};
    COIR_REQUIRE_OK(coir_queue_open(int, &opts, &queue));
    put_all(queue, (int[]){5, 1, 4, 3, 9, 2}, 6);
    expect_all(queue, (int[]){1, 2, 3, 4, 5, 9}, 6);
}

/* Equal ones leave in the order in which they came. */
COIR_TEST(priority_is_stable)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    coir_queue_opts opts = {.kind = COIR_QUEUE_PRIORITY, .compare = by_tens};
    COIR_REQUIRE_OK(coir_queue_open(int, &opts, &queue));
    put_all(queue, (int[]){21, 12, 22, 11, 23, 13, 1}, 7);
    expect_all(queue, (int[]){1, 12, 11, 13, 21, 22, 23}, 7);
}

/* Rings grow while they are wrapped round, heaps while they are full; nothing is mixed up. */
COIR_TEST(many_items)
{
    coir_queue_opts kinds[] = {{.kind = COIR_QUEUE_FIFO},
                               {.kind = COIR_QUEUE_PRIORITY, .compare = by_value}};
    for (size_t k = 0; k < COIR_COUNT(kinds); k++) {
        COIR_AUTO(coir_queue) *queue = NULL;
        COIR_REQUIRE_OK(coir_queue_open(int, &kinds[k], &queue));
        int in = 0, out = 0, item = 0;
        for (int round = 0; round < 200; round++) {
            for (int i = 0; i < 5; i++, in++)
                COIR_REQUIRE_OK(coir_queue_try_put(queue, &in));
            for (int i = 0; i < 3; i++, out++) {
                COIR_REQUIRE_OK(coir_queue_try_get(queue, &item));
                COIR_REQUIRE_EQ(item, out);
            }
        }
        while (coir_queue_try_get(queue, &item) == 0)
            COIR_REQUIRE_EQ(item, out++);
        COIR_EXPECT_EQ(out, 1000);
    }
}

COIR_TEST(open_validates)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    coir_queue_opts no_compare = {.kind = COIR_QUEUE_PRIORITY},
                    no_kind = {.kind = (coir_queue_kind)7};
    COIR_EXPECT_CODE(coir_queue_open(int, &no_compare, &queue), -EINVAL);
    COIR_EXPECT_CODE(coir_queue_open(int, &no_kind, &queue), -EINVAL);
    COIR_EXPECT_PTR(queue, NULL);
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    char small = 1;
    COIR_EXPECT_CODE(coir_queue_put(queue, &small), -EINVAL);
    COIR_EXPECT_CODE(coir_queue_get(queue, &small), -EINVAL);
}

COIR_TEST(maxsize)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, &((coir_queue_opts){.max_size = 2}), &queue));
    struct user user = {queue, 3, 1};
    COIR_GROUP(group);
    put_all(queue, (int[]){1, 2}, 2);
    COIR_EXPECT_CODE(coir_queue_try_put(queue, &user.item), -EAGAIN);
    START(&group, put, &user, NULL);
    COIR_EXPECT_EQ(user.result, 1);
    COIR_EXPECT_EQ(coir_queue_size(queue), 2);
    expect_all(queue, (int[]){1, 2, 3}, 3);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_OK(user.result);
}

COIR_TEST(get_with_waiting_putters)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    coir_queue_opts opts = {.kind = COIR_QUEUE_PRIORITY, .compare = by_value, .max_size = 1};
    COIR_REQUIRE_OK(coir_queue_open(int, &opts, &queue));
    struct user a = {queue, 5, 1}, b = {queue, 1, 1};
    COIR_GROUP(group);
    put_all(queue, (int[]){9}, 1);
    START(&group, put, &a, NULL);
    START(&group, put, &b, NULL);
    expect_all(queue, (int[]){9, 5, 1}, 3);
    COIR_EXPECT_OK(coir_group_wait(&group));
}

COIR_TEST(put_with_waiting_getters)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    struct user a = {queue, 0, 1}, b = {queue, 0, 1};
    COIR_GROUP(group);
    START(&group, get, &a, NULL);
    START(&group, get, &b, NULL);
    put_all(queue, (int[]){7, 8, 9}, 3);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(a.item, 7);
    COIR_EXPECT_EQ(b.item, 8);
    COIR_EXPECT_EQ(coir_queue_size(queue), 1);
}

/* A get under a deadline that is long enough takes nothing twice, one that is too short takes
 * nothing at all. */
COIR_TEST(get_cancelled)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    int item = 0;
    {
        COIR_DEADLINE(COIR_MS(10));
        COIR_EXPECT_CODE(coir_queue_get(queue, &item), -ETIME);
    }
    put_all(queue, (int[]){1}, 1);
    COIR_EXPECT_OK(coir_queue_get(queue, &item));
    COIR_EXPECT_EQ(item, 1);
}

COIR_TEST(get_cancelled_race)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    struct user a = {queue, 0, 1}, b = {queue, 0, 1};
    coir_task *first;
    COIR_GROUP(group);
    START(&group, get, &a, &first);
    START(&group, get, &b, NULL);
    coir_cancel(first, NULL);
    put_all(queue, (int[]){7}, 1);
    COIR_EXPECT_CODE(joined(first), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(a.item, 0);
    COIR_EXPECT_EQ(b.item, 7);
}

/* The item was handed over before the cancellation (python/asyncio#343): it is not lost. */
COIR_TEST(get_cancelled_after_put)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    struct user a = {queue, 0, 1};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, get, &a, &task);
    put_all(queue, (int[]){7}, 1);
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(joined(task));
    COIR_EXPECT_EQ(a.item, 7);
    COIR_EXPECT_EQ(coir_queue_size(queue), 0);
}

COIR_TEST(get_cancel_drop_one_pending_reader)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    struct user reader = {queue, 0, 1};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, get, &reader, &task);
    coir_cancel(task, NULL);
    put_all(queue, (int[]){1, 2}, 2);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    expect_all(queue, (int[]){1, 2}, 2);
}

COIR_TEST(put_cancelled_race)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, &((coir_queue_opts){.max_size = 1}), &queue));
    struct user a = {queue, 1, 1}, b = {queue, 2, 1}, c = {queue, 99, 1};
    coir_task *third;
    COIR_GROUP(group);
    START(&group, put, &a, NULL);
    START(&group, put, &b, NULL);
    START(&group, put, &c, &third);
    COIR_EXPECT_OK(a.result);
    COIR_EXPECT_EQ(b.result, 1);
    coir_cancel(third, NULL);
    expect_all(queue, (int[]){1, 2}, 2);
    COIR_EXPECT_CODE(joined(third), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_group_wait(&group));
}

/* A putter that is cancelled gives its place to the next (bpo-27585, agronholm/anyio#1145). */
COIR_TEST(put_cancel_drop)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, &((coir_queue_opts){.max_size = 1}), &queue));
    struct user a = {queue, 2, 1}, b = {queue, 3, 1};
    coir_task *first;
    COIR_GROUP(group);
    put_all(queue, (int[]){1}, 1);
    START(&group, put, &a, &first);
    START(&group, put, &b, NULL);
    coir_cancel(first, NULL);
    expect_all(queue, (int[]){1, 3}, 2);
    COIR_EXPECT_CODE(joined(first), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_group_wait(&group));
}

/* The item of a putter is in the queue when it is cancelled: its call says so. */
COIR_TEST(put_cancelled_after_get)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, &((coir_queue_opts){.max_size = 1}), &queue));
    struct user a = {queue, 2, 1};
    coir_task *task;
    int item;
    COIR_GROUP(group);
    put_all(queue, (int[]){1}, 1);
    START(&group, put, &a, &task);
    COIR_EXPECT_OK(coir_queue_try_get(queue, &item));
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(joined(task));
    expect_all(queue, (int[]){2}, 1);
}

struct exchange {
    coir_queue *queue;
    int many;
};

static int put_many(void *arg)
{
    struct exchange *exchange = arg;
    for (int i = 0; i < exchange->many; i++)
        COIR_TRY(coir_queue_put(exchange->queue, &i));
    return 0;
}

static int get_many(void *arg)
{
    struct exchange *exchange = arg;
    int item;
    for (int i = 0; i < exchange->many; i++)
        COIR_TRY(coir_queue_get(exchange->queue, &item));
    return 0;
}

/* Nobody waits where there is something to take: all end, by the deadline of the test. */
COIR_TEST(why_are_getters_waiting)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, &((coir_queue_opts){.max_size = 2}), &queue));
    struct exchange eight = {queue, 8}, two = {queue, 2};
    COIR_DEADLINE(COIR_SEC(1));
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, put_many, &eight, NULL));
    for (int i = 0; i < 4; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, get_many, &two, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(coir_queue_size(queue), 0);
}

COIR_TEST(why_are_putters_waiting)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, &((coir_queue_opts){.max_size = 2}), &queue));
    struct exchange eight = {queue, 8}, two = {queue, 2};
    COIR_DEADLINE(COIR_SEC(1));
    COIR_GROUP(group);
    for (int i = 0; i < 4; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, put_many, &two, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, get_many, &eight, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(coir_queue_size(queue), 0);
}

/* Many gets that timed out leave nothing behind: the next item goes to who asks for it. */
COIR_TEST(cancelled_getters_not_being_held_in_self_getters)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    int item = 0;
    for (int i = 0; i < 10; i++) {
        COIR_DEADLINE(COIR_MS(1));
        COIR_EXPECT_CODE(coir_queue_get(queue, &item), -ETIME);
    }
    put_all(queue, (int[]){5}, 1);
    COIR_EXPECT_EQ(coir_queue_size(queue), 1);
    expect_all(queue, (int[]){5}, 1);
}

COIR_TEST(task_done_underflow)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    COIR_EXPECT_CODE(coir_queue_task_done(queue), -EINVAL);
    put_all(queue, (int[]){1}, 1);
    COIR_EXPECT_OK(coir_queue_task_done(queue));
    COIR_EXPECT_CODE(coir_queue_task_done(queue), -EINVAL);
}

struct pool {
    coir_queue *queue;
    int sum;
};

static int work(void *arg)
{
    struct pool *pool = arg;
    int item, r;
    while ((r = coir_queue_get(pool->queue, &item)) == 0) {
        pool->sum += item;
        r = coir_yield();
        coir_queue_task_done(pool->queue);
        COIR_TRY(r);
    }
    return r == -COIR_ECLOSED ? 0 : r;
}

COIR_TEST_TAGGED(task_done, "liveness")
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    struct pool pool = {queue, 0};
    COIR_GROUP(group);
    for (int i = 0; i < 100; i++)
        COIR_REQUIRE_OK(coir_queue_put(queue, &i));
    COIR_EXPECT_EQ(coir_queue_unfinished(queue), 100);
    COIR_REQUIRE_OK(coir_spawn(&group, work, &pool, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, work, &pool, NULL));
    COIR_EXPECT_OK(coir_queue_join(queue));
    COIR_EXPECT_EQ(pool.sum, 4950);
    COIR_EXPECT_EQ(coir_queue_unfinished(queue), 0);
    COIR_EXPECT_OK(coir_queue_join(queue));
    COIR_EXPECT_OK(coir_queue_shutdown(queue, false));
    COIR_EXPECT_OK(coir_group_wait(&group));
}

COIR_TEST(shutdown_empty)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    struct user getter = {queue, 0, 1};
    COIR_GROUP(group);
    START(&group, get, &getter, NULL);
    COIR_EXPECT_OK(coir_queue_shutdown(queue, false));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_CODE(getter.result, -COIR_ECLOSED);
    COIR_EXPECT_CODE(coir_queue_put(queue, &getter.item), -COIR_ECLOSED);
    COIR_EXPECT_CODE(coir_queue_try_put(queue, &getter.item), -COIR_ECLOSED);
    COIR_EXPECT_CODE(coir_queue_get(queue, &getter.item), -COIR_ECLOSED);
    COIR_EXPECT_CODE(coir_queue_try_get(queue, &getter.item), -COIR_ECLOSED);
    COIR_EXPECT_OK(coir_queue_join(queue));
}

/* What is in it can still be taken; a putter that waited is told. */
COIR_TEST(shutdown_nonempty)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, &((coir_queue_opts){.max_size = 1}), &queue));
    struct user putter = {queue, 2, 1};
    int item = 0;
    COIR_GROUP(group);
    put_all(queue, (int[]){1}, 1);
    START(&group, put, &putter, NULL);
    COIR_EXPECT_OK(coir_queue_shutdown(queue, false));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_CODE(putter.result, -COIR_ECLOSED);
    COIR_EXPECT_OK(coir_queue_get(queue, &item));
    COIR_EXPECT_EQ(item, 1);
    COIR_EXPECT_CODE(coir_queue_get(queue, &item), -COIR_ECLOSED);
    COIR_EXPECT_EQ(coir_queue_unfinished(queue), 1);
    COIR_EXPECT_OK(coir_queue_task_done(queue));
    COIR_EXPECT_OK(coir_queue_join(queue));
}

COIR_TEST(shutdown_immediate)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    struct user joiner = {queue, 0, 1};
    int item;
    COIR_GROUP(group);
    put_all(queue, (int[]){1, 2}, 2);
    START(&group, join, &joiner, NULL);
    COIR_EXPECT_OK(coir_queue_shutdown(queue, true));
    COIR_EXPECT_EQ(coir_queue_size(queue), 0);
    COIR_EXPECT_CODE(coir_queue_try_get(queue, &item), -COIR_ECLOSED);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_OK(joiner.result);
    COIR_EXPECT_CODE(coir_queue_task_done(queue), -EINVAL);
}

/* Dropped items count as worked off, those that were taken do not. */
COIR_TEST(shutdown_immediate_with_unfinished)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    struct user joiner = {queue, 0, 1};
    int item;
    COIR_GROUP(group);
    put_all(queue, (int[]){1, 2, 3}, 3);
    COIR_EXPECT_OK(coir_queue_get(queue, &item));
    COIR_EXPECT_OK(coir_queue_get(queue, &item));
    START(&group, join, &joiner, NULL);
    COIR_EXPECT_OK(coir_queue_shutdown(queue, true));
    SETTLE();
    COIR_EXPECT_EQ(joiner.result, 1);
    COIR_EXPECT_EQ(coir_queue_unfinished(queue), 2);
    COIR_EXPECT_OK(coir_queue_task_done(queue));
    COIR_EXPECT_OK(coir_queue_task_done(queue));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_OK(joiner.result);
}

/* A get that has its item, and a shutdown in the same turn. */
COIR_TEST(shutdown_after_hand_over)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    struct user getter = {queue, 0, 1};
    COIR_GROUP(group);
    START(&group, get, &getter, NULL);
    put_all(queue, (int[]){7}, 1);
    COIR_EXPECT_OK(coir_queue_shutdown(queue, true));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_OK(getter.result);
    COIR_EXPECT_EQ(getter.item, 7);
}

/* Closing a queue ends the waits of those who still use it. */
COIR_TEST(close_with_waiters)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    struct user getter = {queue, 0, 1}, joiner = {queue, 0, 1};
    int item = 1;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_queue_try_put(queue, &item));
    COIR_REQUIRE_OK(coir_queue_try_get(queue, &item));
    START(&group, get, &getter, NULL);
    START(&group, join, &joiner, NULL);
    coir_queue_close(COIR_TAKE(queue));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_CODE(getter.result, -COIR_ECLOSED);
    COIR_EXPECT_CODE(joiner.result, -COIR_ECLOSED);
}

COIR_TEST(description_names_the_queue)
{
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    struct user getter = {queue, 0, 1};
    coir_task *task;
    char text[192];
    COIR_GROUP(group);
    START(&group, get, &getter, &task);
    coir_task_describe(task, text, sizeof text);
    COIR_EXPECT_CONTAINS(text, "waits to get from queue of int opened at ");
    COIR_EXPECT_CONTAINS(text, "sync_queue.c:");
    coir_cancel(task, NULL);
    (void)joined(task);
}
