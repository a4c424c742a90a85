/* sync_broadcast.c: broadcasts: who gets which values, what each policy does to the slow, and what
 * a subscriber that leaves, or a task that gives up, leaves behind. The names are those of Tokio's
 * sync_broadcast.rs where the behaviour is.
 */
#include <coir/broadcast.h>

#include "sync.h"

#define POLICY(value) (&(coir_broadcast_opts){.policy = (value)})

#define BROADCAST(name, capacity, policy)                                                          \
    COIR_AUTO(coir_broadcast) *name = NULL;                                                        \
    COIR_REQUIRE_OK(coir_broadcast_open(int, (capacity), POLICY(policy), &name))

#define SUBSCRIBE(name, broadcast)                                                                 \
    COIR_AUTO(coir_subscription) *name = NULL;                                                     \
    COIR_REQUIRE_OK(coir_broadcast_subscribe((broadcast), &name))

static void send_now(coir_broadcast *broadcast, int value)
{
    COIR_EXPECT_OK(coir_broadcast_try_send(broadcast, &value));
}

static void expect_value(coir_subscription *subscription, int expected)
{
    int value = -1;
    COIR_EXPECT_EQ(coir_subscription_try_receive(subscription, &value), 1);
    COIR_EXPECT_EQ(value, expected);
}

static void expect_code(coir_subscription *subscription, int code)
{
    int value;
    COIR_EXPECT_CODE(coir_subscription_try_receive(subscription, &value), code);
}

struct sending {
    coir_broadcast *broadcast;
    int value;
    int result;
};

static int send_one(void *arg)
{
    struct sending *sending = arg;
    sending->result = coir_broadcast_send(sending->broadcast, &sending->value);
    return sending->result == -ECANCELED ? -ECANCELED : 0;
}

struct receiving {
    coir_subscription *subscription;
    int value;
    int result;
};

static int receive_one(void *arg)
{
    struct receiving *receiving = arg;
    receiving->result = coir_subscription_receive(receiving->subscription, &receiving->value);
    return receiving->result == -ECANCELED ? -ECANCELED : 0;
}

COIR_TEST(send_two_recv)
{
    BROADCAST(news, 4, COIR_BROADCAST_BLOCK);
    SUBSCRIBE(a, news);
    send_now(news, 1);
    SUBSCRIBE(b, news);
    send_now(news, 2);
    expect_value(a, 1);
    expect_value(a, 2);
    expect_code(a, -EAGAIN);
    expect_value(b, 2);
    expect_code(b, -EAGAIN);
}

COIR_TEST(open_validates)
{
    coir_broadcast *news = NULL;
    COIR_EXPECT_CODE(coir_broadcast_open_at(0, 1, NULL, &news, COIR_SITE(NULL)), -EINVAL);
    COIR_EXPECT_CODE(coir_broadcast_open(int, 0, NULL, &news), -EINVAL);
    COIR_EXPECT_CODE(coir_broadcast_open(int, 1, POLICY((coir_broadcast_policy)7), &news), -EINVAL);
    COIR_EXPECT_CODE(coir_broadcast_open(int, SIZE_MAX / 4, NULL, &news), -EOVERFLOW);
    COIR_EXPECT_PTR(news, NULL);
    coir_broadcast_close(NULL);
    coir_subscription_close(NULL);
}

COIR_TEST(it_blocks_without_options)
{
    COIR_AUTO(coir_broadcast) *news = NULL;
    COIR_REQUIRE_OK(coir_broadcast_open(int, 1, NULL, &news));
    SUBSCRIBE(a, news);
    COIR_EXPECT_OK(coir_broadcast_try_send(news, &(int){1}));
    COIR_EXPECT_CODE(coir_broadcast_try_send(news, &(int){2}), -EAGAIN);
    expect_value(a, 1);
}

COIR_TEST(wrong_size)
{
    BROADCAST(news, 4, COIR_BROADCAST_BLOCK);
    SUBSCRIBE(a, news);
    char small = 0;
    COIR_EXPECT_CODE(coir_broadcast_send(news, &small), -EINVAL);
    COIR_EXPECT_CODE(coir_subscription_receive(a, &small), -EINVAL);
}

/* Nobody listens: nothing is kept, and nobody waits. */
COIR_TEST(send_to_nobody)
{
    BROADCAST(news, 1, COIR_BROADCAST_BLOCK);
    for (int i = 0; i < 5; i++)
        COIR_EXPECT_OK(coir_broadcast_send(news, &i));
    SUBSCRIBE(a, news);
    expect_code(a, -EAGAIN);
}

/* Those that wait get the value before they run, all of them. */
COIR_TEST(who_waits_has_the_value)
{
    BROADCAST(news, 1, COIR_BROADCAST_BLOCK);
    SUBSCRIBE(one, news);
    SUBSCRIBE(two, news);
    struct receiving a = {one, 0, 9}, b = {two, 0, 9};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, receive_one, &a, &task);
    START(&group, receive_one, &b, NULL);
    send_now(news, 7);
    COIR_EXPECT_EQ(a.value, 7);
    COIR_EXPECT_EQ(b.value, 7);
    coir_cancel(task, NULL); /* too late: it has the value, and says so */
    COIR_EXPECT_OK(joined(task));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(a.result, 1);
    COIR_EXPECT_EQ(b.result, 1);
    expect_code(one, -EAGAIN);
    send_now(news, 8);
    expect_value(one, 8);
}

/* Two tasks on one subscription: each value goes to one of them, in their order. */
COIR_TEST(shared_subscription)
{
    BROADCAST(news, 4, COIR_BROADCAST_BLOCK);
    SUBSCRIBE(one, news);
    struct receiving a = {one, 0, 9}, b = {one, 0, 9};
    COIR_GROUP(group);
    START(&group, receive_one, &a, NULL);
    START(&group, receive_one, &b, NULL);
    for (int i = 1; i <= 3; i++)
        send_now(news, i);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(a.value, 1);
    COIR_EXPECT_EQ(b.value, 2);
    expect_value(one, 3);
}

/* ---- the slow ---- */

COIR_TEST(block_waits_for_the_slowest)
{
    BROADCAST(news, 2, COIR_BROADCAST_BLOCK);
    SUBSCRIBE(fast, news);
    SUBSCRIBE(slow, news);
    struct sending a = {news, 3, 9}, b = {news, 4, 9};
    struct coir_broadcast_stats stats;
    int value = 9;
    COIR_GROUP(group);
    send_now(news, 1);
    send_now(news, 2);
    START(&group, send_one, &a, NULL);
    START(&group, send_one, &b, NULL);
    COIR_EXPECT_CODE(coir_broadcast_try_send(news, &value), -EAGAIN);
    expect_value(fast, 1);
    expect_value(fast, 2);
    expect_code(fast, -EAGAIN);
    coir_broadcast_stats(news, &stats);
    COIR_EXPECT_EQ(stats.sending, 2);
    COIR_EXPECT_EQ(stats.held, 2);
    COIR_EXPECT_EQ(stats.sent, 2);
    expect_value(slow, 1);
    expect_value(fast, 3);
    SETTLE();
    COIR_EXPECT_OK(a.result);
    COIR_EXPECT_EQ(b.result, 9);
    for (int i = 2; i <= 4; i++)
        expect_value(slow, i);
    expect_value(fast, 4);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_OK(b.result);
    coir_broadcast_stats(news, &stats);
    COIR_EXPECT_EQ(stats.held, 0);
}

/* The slowest leaves: the senders that waited for it go on, as far as there is room. */
COIR_TEST(closing_the_slowest_makes_room)
{
    BROADCAST(news, 1, COIR_BROADCAST_BLOCK);
    SUBSCRIBE(fast, news);
    SUBSCRIBE(slow, news);
    struct sending a = {news, 2, 9}, b = {news, 3, 9};
    COIR_GROUP(group);
    send_now(news, 1);
    START(&group, send_one, &a, NULL);
    START(&group, send_one, &b, NULL);
    expect_value(fast, 1);
    coir_subscription_close(COIR_TAKE(slow));
    SETTLE();
    COIR_EXPECT_OK(a.result);
    COIR_EXPECT_EQ(b.result, 9);
    coir_subscription_close(COIR_TAKE(fast));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_OK(b.result);
}

COIR_TEST(cancelled_send_sends_nothing)
{
    BROADCAST(news, 1, COIR_BROADCAST_BLOCK);
    SUBSCRIBE(one, news);
    struct sending a = {news, 2, 9}, b = {news, 3, 9};
    coir_task *task;
    COIR_GROUP(group);
    send_now(news, 1);
    START(&group, send_one, &a, &task);
    START(&group, send_one, &b, NULL);
    coir_cancel(task, NULL);
    expect_value(one, 1);
    expect_value(one, 3);
    expect_code(one, -EAGAIN);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_group_wait(&group));
}

/* Room was made before it was cancelled: the send has ended, and says so. */
COIR_TEST(send_cancelled_after_the_fact)
{
    BROADCAST(news, 1, COIR_BROADCAST_BLOCK);
    SUBSCRIBE(one, news);
    struct sending a = {news, 2, 9};
    coir_task *task;
    COIR_GROUP(group);
    send_now(news, 1);
    START(&group, send_one, &a, &task);
    expect_value(one, 1);
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(joined(task));
    COIR_EXPECT_OK(a.result);
    expect_value(one, 2);
}

COIR_TEST(lagging)
{
    BROADCAST(news, 3, COIR_BROADCAST_LAG);
    SUBSCRIBE(fast, news);
    SUBSCRIBE(slow, news);
    struct coir_broadcast_stats stats;
    for (int i = 1; i <= 5; i++) {
        send_now(news, i);
        expect_value(fast, i);
    }
    COIR_EXPECT_EQ(coir_subscription_behind(slow), 3);
    expect_code(slow, -COIR_ELAGGED);
    COIR_EXPECT_EQ(coir_subscription_missed(slow), 2);
    COIR_EXPECT_EQ(coir_subscription_missed(fast), 0);
    expect_value(slow, 3);
    for (int i = 6; i <= 9; i++)
        send_now(news, i);
    expect_code(slow, -COIR_ELAGGED);
    COIR_EXPECT_EQ(coir_subscription_missed(slow), 3);
    for (int i = 7; i <= 9; i++)
        expect_value(slow, i);
    expect_code(slow, -EAGAIN);
    coir_broadcast_stats(news, &stats);
    COIR_EXPECT_EQ(stats.missed, 5);
    COIR_EXPECT_EQ(stats.sent, 9);
    expect_code(fast, -COIR_ELAGGED);
    COIR_EXPECT_EQ(coir_subscription_missed(fast), 1);
}

/* A subscription that has lagged leaves: the counts of what it had still to take are right. */
COIR_TEST(closing_after_a_lag)
{
    BROADCAST(news, 2, COIR_BROADCAST_LAG);
    SUBSCRIBE(slow, news);
    SUBSCRIBE(other, news);
    struct coir_broadcast_stats stats;
    for (int i = 1; i <= 4; i++)
        send_now(news, i);
    coir_subscription_close(COIR_TAKE(slow));
    expect_code(other, -COIR_ELAGGED);
    expect_value(other, 3);
    expect_value(other, 4);
    coir_broadcast_stats(news, &stats);
    COIR_EXPECT_EQ(stats.held, 0);
    COIR_EXPECT_EQ(stats.subscriptions, 1);
}

/* What was missed is told also when the broadcast has been closed since. */
COIR_TEST(lagging_and_closed)
{
    BROADCAST(news, 1, COIR_BROADCAST_LAG);
    SUBSCRIBE(slow, news);
    send_now(news, 1);
    send_now(news, 2);
    coir_broadcast_close(COIR_TAKE(news));
    expect_code(slow, -COIR_ELAGGED);
    expect_value(slow, 2);
    expect_code(slow, 0);
    expect_code(slow, 0);
}

COIR_TEST(dropping)
{
    BROADCAST(news, 2, COIR_BROADCAST_DROP);
    SUBSCRIBE(fast, news);
    SUBSCRIBE(slow, news);
    SUBSCRIBE(late, news);
    struct coir_broadcast_stats stats;
    send_now(news, 1);
    expect_value(fast, 1);
    expect_value(late, 1);
    send_now(news, 2);
    expect_value(fast, 2);
    send_now(news, 3);
    expect_code(slow, -COIR_ECLOSED);
    expect_code(slow, -COIR_ECLOSED);
    COIR_EXPECT_EQ(coir_subscription_behind(slow), 0);
    coir_broadcast_stats(news, &stats);
    COIR_EXPECT_EQ(stats.dropped, 1);
    COIR_EXPECT_EQ(stats.subscriptions, 2);
    expect_value(fast, 3);
    expect_value(late, 2);
    send_now(news, 4);
    expect_value(late, 3);
    expect_value(late, 4);
    expect_value(fast, 4);
    coir_subscription_close(COIR_TAKE(slow));
    coir_broadcast_close(COIR_TAKE(news));
    expect_code(late, 0);
}

/* ---- closing ---- */

COIR_TEST(close_of_the_sender)
{
    BROADCAST(news, 4, COIR_BROADCAST_BLOCK);
    SUBSCRIBE(one, news);
    SUBSCRIBE(two, news);
    struct receiving a = {one, 5, 9};
    send_now(news, 1);
    expect_value(one, 1);
    COIR_GROUP(group);
    START(&group, receive_one, &a, NULL);
    coir_broadcast_close(COIR_TAKE(news));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(a.result, 0);
    COIR_EXPECT_EQ(a.value, 5);
    expect_value(two, 1);
    expect_code(two, 0);
}

COIR_TEST(close_wakes_senders)
{
    BROADCAST(news, 1, COIR_BROADCAST_BLOCK);
    SUBSCRIBE(one, news);
    struct sending a = {news, 2, 9};
    COIR_GROUP(group);
    send_now(news, 1);
    START(&group, send_one, &a, NULL);
    coir_broadcast_close(COIR_TAKE(news));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_CODE(a.result, -COIR_ECLOSED);
    expect_value(one, 1);
    expect_code(one, 0);
}

COIR_TEST(receive_interrupted_by_close)
{
    BROADCAST(news, 1, COIR_BROADCAST_BLOCK);
    SUBSCRIBE(one, news);
    struct receiving a = {one, 0, 9};
    COIR_GROUP(group);
    START(&group, receive_one, &a, NULL);
    coir_subscription_close(COIR_TAKE(one));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_CODE(a.result, -COIR_ECLOSED);
}

COIR_TEST(cancelled_receive_takes_nothing)
{
    BROADCAST(news, 1, COIR_BROADCAST_BLOCK);
    SUBSCRIBE(one, news);
    struct receiving a = {one, 0, 9};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, receive_one, &a, &task);
    coir_cancel(task, NULL);
    send_now(news, 7);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(a.value, 0);
    expect_value(one, 7);
}

/* ---- in coir_select ---- */

COIR_TEST(select_takes_from_one)
{
    BROADCAST(news, 4, COIR_BROADCAST_LAG);
    SUBSCRIBE(one, news);
    SUBSCRIBE(two, news);
    int a = 0, b = 0;
    coir_case cases[] = {COIR_ON_SUBSCRIPTION(one, &a), COIR_ON_SUBSCRIPTION(two, &b)};
    COIR_EXPECT_CODE(coir_try_select(cases, 2), -EAGAIN);
    send_now(news, 7);
    COIR_EXPECT_EQ(coir_select(cases, 2), 0);
    COIR_EXPECT_EQ(cases[0].result, 1);
    COIR_EXPECT_EQ(coir_select(cases, 2), 1);
    COIR_EXPECT_EQ(b, 7);
    for (int i = 0; i < 6; i++)
        send_now(news, i);
    COIR_EXPECT_EQ(coir_select(cases, 2), 0);
    COIR_EXPECT_CODE(cases[0].result, -COIR_ELAGGED);
    char small;
    coir_case wrong[] = {COIR_ON_SUBSCRIPTION(one, &small)};
    COIR_EXPECT_CODE(coir_select(wrong, 1), -EINVAL);
}

struct choosing {
    coir_subscription *a, *b;
    int value_a, value_b, index, result;
};

static int choose(void *arg)
{
    struct choosing *choosing = arg;
    coir_case cases[] = {
        COIR_ON_SUBSCRIPTION(choosing->a, &choosing->value_a),
        COIR_ON_SUBSCRIPTION(choosing->b, &choosing->value_b),
    };
    choosing->index = coir_select(cases, 2);
    if (choosing->index >= 0)
        choosing->result = cases[choosing->index].result;
    return choosing->index < 0 ? choosing->index : 0;
}

/* Both cases wait for the same send: one has the value, the other subscription keeps it. */
COIR_TEST(select_waits)
{
    BROADCAST(news, 4, COIR_BROADCAST_BLOCK);
    SUBSCRIBE(one, news);
    SUBSCRIBE(two, news);
    struct choosing a = {one, two, 0, 0, 9, 9}, b = a;
    coir_task *task;
    COIR_GROUP(group);
    START(&group, choose, &a, NULL);
    send_now(news, 7);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(a.index, 0);
    COIR_EXPECT_EQ(a.value_a, 7);
    expect_code(one, -EAGAIN);
    expect_value(two, 7);
    START(&group, choose, &b, &task);
    coir_cancel(task, NULL);
    send_now(news, 8);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    expect_value(one, 8);
    expect_value(two, 8);
    START(&group, choose, &b, NULL);
    coir_broadcast_close(COIR_TAKE(news));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(b.index, 0);
    COIR_EXPECT_EQ(b.result, 0);
}

/* ---- many ---- */

struct listener {
    coir_subscription *subscription;
    coir_time pause;
    int count, sum;
    uint64_t missed;
};

static int listen_to_all(void *arg)
{
    struct listener *listener = arg;
    COIR_AUTO(coir_subscription) *mine = listener->subscription;
    int value, r;
    while ((r = coir_subscription_receive(mine, &value)) != 0) {
        if (r == -COIR_ELAGGED) {
            listener->missed += coir_subscription_missed(mine);
            continue;
        }
        COIR_TRY(r);
        listener->count++;
        listener->sum += value;
        if (listener->pause > 0)
            COIR_TRY(coir_sleep(listener->pause));
    }
    return 0;
}

/* A listener closes its subscription however it ends: with COIR_BROADCAST_BLOCK all wait for it. */
static void run_many(coir_broadcast_policy policy)
{
    BROADCAST(news, 3, policy);
    struct listener all[] = {{.pause = 0}, {.pause = COIR_US(3)}, {.pause = COIR_US(7)}};
    COIR_GROUP(group);
    for (size_t i = 0; i < COIR_COUNT(all); i++) {
        SUBSCRIBE(mine, news);
        all[i].subscription = mine;
        COIR_REQUIRE_OK(coir_spawn(&group, listen_to_all, &all[i], NULL));
        (void)COIR_TAKE(mine);
    }
    for (int i = 1; i <= 100; i++) {
        COIR_REQUIRE_OK(coir_broadcast_send(news, &i));
        COIR_REQUIRE_OK(coir_sleep(COIR_US(i % 5)));
    }
    coir_broadcast_close(COIR_TAKE(news));
    COIR_EXPECT_OK(coir_group_wait(&group));
    for (size_t i = 0; i < COIR_COUNT(all); i++) {
        COIR_EXPECT_EQ((uint64_t)all[i].count + all[i].missed, 100);
        if (policy == COIR_BROADCAST_BLOCK)
            COIR_EXPECT_EQ(all[i].sum, 5050);
    }
    if (policy == COIR_BROADCAST_LAG)
        COIR_EXPECT_GT(all[2].missed, 0);
}

COIR_TEST_TAGGED(many_listeners, "liveness")
{
    run_many(COIR_BROADCAST_BLOCK);
    run_many(COIR_BROADCAST_LAG);
}

COIR_TEST(descriptions)
{
    BROADCAST(news, 1, COIR_BROADCAST_BLOCK);
    SUBSCRIBE(one, news);
    struct receiving a = {one, 0, 9};
    struct sending b = {news, 2, 9};
    coir_task *receiver, *sender;
    char text[192];
    COIR_GROUP(group);
    START(&group, receive_one, &a, &receiver);
    coir_task_describe(receiver, text, sizeof text);
    COIR_EXPECT_CONTAINS(text, "waits to receive from broadcast of int opened at ");
    COIR_EXPECT_CONTAINS(text, ", 1 subscription");
    send_now(news, 1);
    send_now(news, 1);
    START(&group, send_one, &b, &sender);
    coir_task_describe(sender, text, sizeof text);
    COIR_EXPECT_CONTAINS(text, "waits to send to broadcast of int opened at ");
    coir_cancel(sender, NULL);
    COIR_EXPECT_OK(joined(receiver));
    COIR_EXPECT_CODE(joined(sender), -COIR_ECANCELEDTASK);
}
