/* sync_future.c: futures: settled once, read by many, cancelled waits, and posts from other
 * threads.
 */
#include <coir/future.h>

#include <pthread.h>

#include "sync.h"

struct reader {
    coir_future *future;
    void *value;
    int result;
};

static int read_value(void *arg)
{
    struct reader *reader = arg;
    reader->result = coir_future_wait(reader->future, &reader->value);
    return reader->result == -ECANCELED ? -ECANCELED : 0;
}

COIR_TEST(set_wakes_all)
{
    coir_future future = {0};
    int answer = 42;
    struct reader a = {&future, NULL, 1}, b = {&future, NULL, 1};
    COIR_GROUP(group);
    START(&group, read_value, &a, NULL);
    START(&group, read_value, &b, NULL);
    COIR_EXPECT(!coir_future_done(&future));
    COIR_EXPECT_CODE(coir_future_result(&future, NULL), -COIR_ENOTSET);
    COIR_EXPECT_OK(coir_future_set(&future, &answer));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_PTR(a.value, &answer);
    COIR_EXPECT_PTR(b.value, &answer);
    COIR_EXPECT_OK(a.result);
    void *late = NULL;
    COIR_EXPECT(coir_future_done(&future));
    COIR_EXPECT_OK(coir_future_wait(&future, &late));
    COIR_EXPECT_PTR(late, &answer);
    COIR_EXPECT_OK(coir_future_wait(&future, NULL));
}

COIR_TEST(settled_once)
{
    coir_future future = {0};
    COIR_EXPECT_CODE(coir_future_fail(&future, 0), -EINVAL);
    COIR_EXPECT_OK(coir_future_fail(&future, -ENOENT));
    COIR_EXPECT_CODE(coir_future_set(&future, NULL), -EALREADY);
    COIR_EXPECT_CODE(coir_future_fail(&future, -EIO), -EALREADY);
    COIR_EXPECT_CODE(coir_future_cancel(&future), -EALREADY);
    COIR_EXPECT_CODE(coir_future_wait(&future, NULL), -ENOENT);
    COIR_EXPECT_CODE(coir_future_result(&future, NULL), -ENOENT);
}

/* -ECANCELED and -ETIME only ever speak of a scope of the task that sees them. */
COIR_TEST(foreign_cancellations_are_translated)
{
    coir_future a = {0}, b = {0}, c = {0};
    COIR_EXPECT_OK(coir_future_fail(&a, -ECANCELED));
    COIR_EXPECT_CODE(coir_future_wait(&a, NULL), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_future_fail(&b, -ETIME));
    COIR_EXPECT_CODE(coir_future_wait(&b, NULL), -ETIMEDOUT);
    COIR_EXPECT_OK(coir_future_cancel(&c));
    COIR_EXPECT_CODE(coir_future_wait(&c, NULL), -COIR_ECANCELEDTASK);
}

/* A cancelled wait leaves the future to the others. */
COIR_TEST(cancel_one_of_two)
{
    coir_future future = {0};
    int answer = 42;
    struct reader a = {&future, NULL, 1}, b = {&future, NULL, 1};
    coir_task *first;
    COIR_GROUP(group);
    START(&group, read_value, &a, &first);
    START(&group, read_value, &b, NULL);
    coir_cancel(first, NULL);
    COIR_EXPECT_OK(coir_future_set(&future, &answer));
    COIR_EXPECT_CODE(joined(first), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_PTR(a.value, NULL);
    COIR_EXPECT_PTR(b.value, &answer);
}

/* Result and cancellation in one turn (CPython's wait_for_issue86296): the result wins. */
COIR_TEST(set_and_cancel_in_one_turn)
{
    coir_future future = {0};
    int answer = 42;
    struct reader reader = {&future, NULL, 1};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, read_value, &reader, &task);
    COIR_EXPECT_OK(coir_future_set(&future, &answer));
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(joined(task));
    COIR_EXPECT_PTR(reader.value, &answer);
}

struct poster {
    coir_loop *loop;
    coir_future *future;
    int first, second; /* what the two posts returned */
};

static void *post_twice(void *arg)
{
    struct poster *poster = arg;
    poster->first = coir_future_post(poster->loop, poster->future, poster);
    poster->second = coir_future_post_fail(poster->loop, poster->future, -EIO);
    return NULL;
}

COIR_TEST_TAGGED(post_from_another_thread, "real,posts,no_torture")
{
    coir_future future = {0};
    struct poster poster = {coir_loop_current(), &future, 1, 1};
    pthread_t thread;
    void *value = NULL;
    COIR_REQUIRE_EQ(pthread_create(&thread, NULL, post_twice, &poster), 0);
    COIR_EXPECT_OK(coir_future_wait(&future, &value));
    pthread_join(thread, NULL);
    COIR_EXPECT_PTR(value, &poster);
    COIR_EXPECT_OK(poster.first);
    COIR_EXPECT_CODE(poster.second, -EALREADY);
}

/* What is settled here first stays so; the post finds that out. */
COIR_TEST(post_after_set)
{
    COIR_SHIELD(COIR_FOREVER); /* the post must find the future */
    coir_future future = {0};
    int answer = 42;
    void *value = NULL;
    COIR_EXPECT_OK(coir_future_post_fail(coir_loop_current(), &future, -EIO));
    COIR_EXPECT_CODE(coir_future_post(coir_loop_current(), &future, NULL), -EALREADY);
    COIR_EXPECT_OK(coir_future_set(&future, &answer));
    COIR_EXPECT_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_OK(coir_future_wait(&future, &value));
    COIR_EXPECT_PTR(value, &answer);
}

COIR_TEST(post_fail)
{
    COIR_SHIELD(COIR_FOREVER);
    coir_future future = {0};
    COIR_EXPECT_CODE(coir_future_post_fail(coir_loop_current(), &future, 5), -EINVAL);
    COIR_EXPECT_OK(coir_future_post_fail(coir_loop_current(), &future, -EIO));
    COIR_EXPECT_CODE(coir_future_wait(&future, NULL), -EIO);
}
