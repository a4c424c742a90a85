/* sync_select.c: coir_select: each kind of case, ties, that the others are as if never asked, and
 * cancellations that meet a case which is just being settled.
 */
#include <coir/select.h>

#include <string.h>

#include "core/core.h"
#include "sync.h"

#define CHANNEL(out, in, capacity)                                                                 \
    COIR_AUTO(coir_sender) *out = NULL;                                                            \
    COIR_AUTO(coir_receiver) *in = NULL;                                                           \
    COIR_REQUIRE_OK(coir_channel_open(int, (capacity), &out, &in))

static size_t waiting_receivers(coir_sender *out)
{
    struct coir_channel_stats stats;
    coir_sender_stats(out, &stats);
    return stats.receiving;
}

/* Waits for an item of either channel, or for an event. */
struct chooser {
    coir_receiver *a, *b;
    coir_event *event;
    int item_a, item_b;
    int index;  /* what coir_select returned */
    int result; /* of the case */
};

static int choose(void *arg)
{
    struct chooser *chooser = arg;
    coir_case cases[] = {
        COIR_ON_RECEIVE(chooser->a, &chooser->item_a),
        COIR_ON_RECEIVE(chooser->b, &chooser->item_b),
        COIR_ON_EVENT(chooser->event),
    };
    chooser->index = coir_select(cases, COIR_COUNT(cases));
    if (chooser->index >= 0)
        chooser->result = cases[chooser->index].result;
    return chooser->index < 0 ? chooser->index : 0;
}

COIR_TEST(without_cases)
{
    coir_case cases[] = {COIR_ON_TIMER(0)};
    COIR_EXPECT_CODE(coir_select(cases, 0), -EINVAL);
    COIR_EXPECT_CODE(coir_select(NULL, 1), -EINVAL);
    COIR_EXPECT_CODE(coir_try_select(cases, 0), -EINVAL);
}

COIR_TEST(lowest_index_wins)
{
    CHANNEL(out, in, 2);
    coir_event event = {0};
    int item = 5, got = 0;
    coir_case cases[] = {
        COIR_ON_TIMER(COIR_SEC(1)),
        COIR_ON_RECEIVE(in, &got),
        COIR_ON_EVENT(&event),
    };
    COIR_EXPECT_CODE(coir_try_select(cases, COIR_COUNT(cases)), -EAGAIN);
    COIR_EXPECT_OK(coir_event_set(&event));
    COIR_EXPECT_OK(coir_try_send(out, &item));
    COIR_EXPECT_EQ(coir_select(cases, COIR_COUNT(cases)), 1);
    COIR_EXPECT_EQ(cases[1].result, 1);
    COIR_EXPECT_EQ(got, 5);
    COIR_EXPECT_EQ(coir_select(cases, COIR_COUNT(cases)), 2);
    COIR_EXPECT_EQ(coir_try_select(cases, COIR_COUNT(cases)), 2);
}

COIR_TEST(receive_later)
{
    CHANNEL(out_a, in_a, 0);
    CHANNEL(out_b, in_b, 4);
    coir_event event = {0};
    struct chooser chooser = {in_a, in_b, &event, 0, 0, -1, -1};
    int item = 7, none;
    COIR_GROUP(group);
    START(&group, choose, &chooser, NULL);
    COIR_EXPECT_EQ(waiting_receivers(out_a), 1);
    COIR_EXPECT_EQ(waiting_receivers(out_b), 1);
    COIR_EXPECT_OK(coir_try_send(out_b, &item));
    COIR_EXPECT_EQ(waiting_receivers(out_a), 0);
    COIR_EXPECT_EQ(waiting_receivers(out_b), 0);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(chooser.index, 1);
    COIR_EXPECT_EQ(chooser.result, 1);
    COIR_EXPECT_EQ(chooser.item_b, 7);
    COIR_EXPECT_EQ(chooser.item_a, 0);
    COIR_EXPECT_CODE(coir_try_receive(in_b, &none), -EAGAIN);
}

/* All cases could be settled in one turn: one is, the other items stay where they are. */
COIR_TEST(only_one_case_is_settled)
{
    CHANNEL(out_a, in_a, 1);
    CHANNEL(out_b, in_b, 1);
    coir_event event = {0};
    struct chooser chooser = {in_a, in_b, &event, 0, 0, -1, -1};
    int item = 7, got = 0;
    COIR_GROUP(group);
    START(&group, choose, &chooser, NULL);
    COIR_EXPECT_OK(coir_try_send(out_b, &item));
    COIR_EXPECT_OK(coir_try_send(out_a, &item));
    COIR_EXPECT_OK(coir_event_set(&event));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(chooser.index, 1);
    COIR_EXPECT_EQ(chooser.item_a, 0);
    COIR_EXPECT_EQ(coir_try_receive(in_a, &got), 1);
    COIR_EXPECT_EQ(got, 7);
}

COIR_TEST(cancelled_select_takes_nothing)
{
    CHANNEL(out_a, in_a, 1);
    CHANNEL(out_b, in_b, 1);
    coir_event event = {0};
    struct chooser chooser = {in_a, in_b, &event, 0, 0, -1, -1};
    int item = 7, got = 0;
    coir_task *task;
    COIR_GROUP(group);
    START(&group, choose, &chooser, &task);
    coir_cancel(task, NULL);
    COIR_EXPECT_EQ(waiting_receivers(out_a), 0);
    COIR_EXPECT_OK(coir_try_send(out_a, &item));
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(chooser.index, -ECANCELED);
    COIR_EXPECT_EQ(coir_try_receive(in_a, &got), 1);
}

/* Settled, and cancelled before it runs: it has the item, and says so. */
COIR_TEST(cancelled_after_hand_over)
{
    CHANNEL(out_a, in_a, 1);
    CHANNEL(out_b, in_b, 1);
    coir_event event = {0};
    struct chooser chooser = {in_a, in_b, &event, 0, 0, -1, -1};
    int item = 7;
    coir_task *task;
    COIR_GROUP(group);
    START(&group, choose, &chooser, &task);
    COIR_EXPECT_OK(coir_try_send(out_a, &item));
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(joined(task));
    COIR_EXPECT_EQ(chooser.index, 0);
    COIR_EXPECT_EQ(chooser.item_a, 7);
}

COIR_TEST(closed_channel)
{
    CHANNEL(out_a, in_a, 1);
    CHANNEL(out_b, in_b, 1);
    coir_event event = {0};
    struct chooser chooser = {in_a, in_b, &event, 0, 0, -1, -1};
    COIR_GROUP(group);
    START(&group, choose, &chooser, NULL);
    coir_sender_close(COIR_TAKE(out_a));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(chooser.index, 0);
    COIR_EXPECT_EQ(chooser.result, 0);
    int got;
    coir_case again[] = {COIR_ON_RECEIVE(in_b, &got), COIR_ON_RECEIVE(in_a, &got)};
    COIR_EXPECT_EQ(coir_select(again, 2), 1);
    COIR_EXPECT_EQ(again[1].result, 0);
}

/* No end of the channel, as closing the last sender is: the waiting task's own handle is gone. */
COIR_TEST(receiver_is_closed_meanwhile)
{
    CHANNEL(out_a, in_a, 1);
    CHANNEL(out_b, in_b, 1);
    coir_event event = {0};
    struct chooser chooser = {in_a, in_b, &event, 0, 0, -1, -1};
    COIR_GROUP(group);
    START(&group, choose, &chooser, NULL);
    coir_receiver_close(COIR_TAKE(in_a));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(chooser.index, 0);
    COIR_EXPECT_CODE(chooser.result, -COIR_ECLOSED);
    COIR_EXPECT_CODE(coir_try_send(out_a, &(int){1}), -COIR_ECLOSED);
}

struct offer {
    coir_sender *a, *b;
    int item, index, result;
};

static int offer_to_either(void *arg)
{
    struct offer *offer = arg;
    coir_case cases[] = {COIR_ON_SEND(offer->a, &offer->item),
                         COIR_ON_SEND(offer->b, &offer->item)};
    offer->index = coir_select(cases, 2);
    if (offer->index >= 0)
        offer->result = cases[offer->index].result;
    return offer->index < 0 ? offer->index : 0;
}

COIR_TEST(send_to_whoever_receives_first)
{
    CHANNEL(out_a, in_a, 0);
    CHANNEL(out_b, in_b, 0);
    struct offer offer = {out_a, out_b, 9, -1, -1};
    int got = 0;
    COIR_GROUP(group);
    START(&group, offer_to_either, &offer, NULL);
    COIR_EXPECT_EQ(coir_receive(in_b, &got), 1);
    COIR_EXPECT_EQ(got, 9);
    COIR_EXPECT_CODE(coir_try_receive(in_a, &got), -EAGAIN);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(offer.index, 1);
    COIR_EXPECT_OK(offer.result);
}

/* Two selects meet each other, without a third. */
COIR_TEST(select_meets_select)
{
    CHANNEL(out_a, in_a, 0);
    CHANNEL(out_b, in_b, 0);
    coir_event event = {0};
    struct chooser chooser = {in_b, in_a, &event, 0, 0, -1, -1};
    struct offer offer = {out_a, out_b, 9, -1, -1};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, choose, &chooser, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, offer_to_either, &offer, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(chooser.item_a + chooser.item_b, 9);
    COIR_EXPECT_EQ(chooser.index, 1 - offer.index);
}

COIR_TEST(send_without_receivers)
{
    CHANNEL(out_a, in_a, 0);
    CHANNEL(out_b, in_b, 0);
    struct offer offer = {out_a, out_b, 9, -1, -1};
    COIR_GROUP(group);
    START(&group, offer_to_either, &offer, NULL);
    coir_receiver_close(COIR_TAKE(in_a));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(offer.index, 0);
    COIR_EXPECT_CODE(offer.result, -COIR_ECLOSED);
    coir_case again[] = {COIR_ON_SEND(out_b, &offer.item), COIR_ON_SEND(out_a, &offer.item)};
    COIR_EXPECT_EQ(coir_select(again, 2), 1);
    COIR_EXPECT_CODE(again[1].result, -COIR_ECLOSED);
}

COIR_TEST(wrong_size)
{
    CHANNEL(out, in, 1);
    char small = 0;
    coir_event event = {0};
    coir_case cases[] = {COIR_ON_EVENT(&event), COIR_ON_SEND(out, &small)};
    COIR_EXPECT_CODE(coir_select(cases, 2), -EINVAL);
    coir_case others[] = {COIR_ON_RECEIVE(in, &small)};
    COIR_EXPECT_CODE(coir_select(others, 1), -EINVAL);
}

COIR_TEST(timer)
{
    coir_event event = {0};
    coir_time start = coir_now();
    coir_case cases[] = {
        COIR_ON_EVENT(&event),
        COIR_ON_TIMER(COIR_SEC(5)),
        COIR_ON_TIME(start + COIR_SEC(3)),
        COIR_ON_TIMER(COIR_FOREVER),
    };
    COIR_EXPECT_EQ(coir_select(cases, COIR_COUNT(cases)), 2);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(3));
    COIR_EXPECT_EQ(coir_select(cases, 2), 1);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(8));
    COIR_EXPECT_EQ(coir_select(cases, COIR_COUNT(cases)), 2);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(8));
    coir_case now[] = {COIR_ON_EVENT(&event), COIR_ON_TIMER(0)};
    COIR_EXPECT_EQ(coir_try_select(now, 2), 1);
    COIR_EXPECT_EQ(coir_select(now, 2), 1);
    struct coir_loop_stats stats;
    coir_loop_stats(NULL, &stats);
    COIR_EXPECT_EQ(stats.timers, 0);
}

COIR_TEST(deadline_ends_the_wait)
{
    CHANNEL(out, in, 1);
    coir_event event = {0};
    int got = 0;
    coir_case cases[] = {COIR_ON_EVENT(&event), COIR_ON_RECEIVE(in, &got),
                         COIR_ON_TIMER(COIR_SEC(9))};
    {
        COIR_DEADLINE(COIR_SEC(1));
        COIR_EXPECT_CODE(coir_select(cases, COIR_COUNT(cases)), -ETIME);
    }
    COIR_EXPECT_EQ(waiting_receivers(out), 0);
    struct coir_loop_stats stats;
    coir_loop_stats(NULL, &stats);
    COIR_EXPECT_EQ(stats.timers, 0);
}

static int sleep_and_return(void *arg)
{
    int *result = arg;
    COIR_TRY(coir_sleep(COIR_SEC(1)));
    return *result;
}

COIR_TEST(task)
{
    int result = 7;
    coir_task *task;
    coir_event event = {0};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, sleep_and_return, &result, &task));
    coir_case cases[] = {COIR_ON_EVENT(&event), COIR_ON_TASK(task)};
    COIR_EXPECT_EQ(coir_select(cases, 2), 1);
    COIR_EXPECT_EQ(cases[1].result, 7);
    cases[1].result = 0;
    COIR_EXPECT_EQ(coir_select(cases, 2), 1);
    COIR_EXPECT_EQ(cases[1].result, 7);
    COIR_EXPECT_EQ(joined(task), 7);
}

COIR_TEST(task_itself)
{
    coir_case cases[] = {COIR_ON_TASK(coir_current())};
    COIR_EXPECT_CODE(coir_select(cases, 1), -EDEADLK);
}

/* Another case wins: the task can end and be joined as if nobody had watched it. */
COIR_TEST(task_that_is_not_waited_for_any_more)
{
    int result = 0;
    coir_task *task;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, sleep_and_return, &result, &task));
    coir_case cases[] = {COIR_ON_TASK(task), COIR_ON_TIMER(COIR_MS(1))};
    COIR_EXPECT_EQ(coir_select(cases, 2), 1);
    COIR_EXPECT_OK(joined(task));
}

struct waits {
    coir_future *future;
    void *value;
    int index, result;
};

static int wait_for_future(void *arg)
{
    struct waits *waits = arg;
    coir_case cases[] = {COIR_ON_TIMER(COIR_SEC(60)), COIR_ON_FUTURE(waits->future, &waits->value)};
    waits->index = coir_select(cases, 2);
    waits->result = cases[1].result;
    return waits->index < 0 ? waits->index : 0;
}

COIR_TEST(future)
{
    coir_future future = {0}, failed = {0};
    int answer = 42;
    struct waits waits = {&future, NULL, -1, -1}, fails = {&failed, NULL, -1, -1};
    COIR_GROUP(group);
    START(&group, wait_for_future, &waits, NULL);
    START(&group, wait_for_future, &fails, NULL);
    COIR_EXPECT_OK(coir_future_set(&future, &answer));
    COIR_EXPECT_OK(coir_future_fail(&failed, -EIO));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(waits.index, 1);
    COIR_EXPECT_OK(waits.result);
    COIR_EXPECT_PTR(waits.value, &answer);
    COIR_EXPECT_EQ(fails.index, 1);
    COIR_EXPECT_CODE(fails.result, -EIO);
    coir_case late[] = {COIR_ON_FUTURE(&failed, NULL)};
    COIR_EXPECT_EQ(coir_select(late, 1), 0);
    COIR_EXPECT_CODE(late[0].result, -EIO);
}

COIR_TEST(future_that_is_not_waited_for_any_more)
{
    coir_future future = {0};
    coir_case cases[] = {COIR_ON_FUTURE(&future, NULL), COIR_ON_TIMER(COIR_SEC(1))};
    COIR_EXPECT_EQ(coir_select(cases, 2), 1);
    COIR_EXPECT_OK(coir_future_set(&future, NULL));
    COIR_EXPECT_EQ(coir_select(cases, 2), 0);
}

/* ---- kinds of cases that fail, or are settled, just when they are begun: descriptors can do both
 * ---- */

static int never_ready(coir_case *wanted)
{
    (void)wanted;
    return 0;
}

static int cannot_begin(coir_case *wanted)
{
    (void)wanted;
    return -EBADF;
}

static int settles_at_once(coir_case *wanted)
{
    wanted->coir__waiter.fire(&wanted->coir__waiter, 5);
    return 0;
}

static void not_begun(coir_case *wanted)
{
    (void)wanted;
    COIR_FAIL("withdrawn without having begun");
}

COIR_TEST(case_that_cannot_begin)
{
    static const struct coir__waitable bad = {"nothing", never_ready, cannot_begin, not_begun,
                                              NULL};
    CHANNEL(out, in, 0);
    int got;
    coir_case cases[] = {COIR_ON_RECEIVE(in, &got), {.coir__kind = &bad}, {.coir__kind = &bad}};
    COIR_EXPECT_CODE(coir_select(cases, 3), -EBADF);
    COIR_EXPECT_EQ(waiting_receivers(out), 0);
}

COIR_TEST(case_that_is_settled_when_it_begins)
{
    static const struct coir__waitable quick = {"all", never_ready, settles_at_once, not_begun,
                                                NULL};
    CHANNEL(out, in, 0);
    int got;
    coir_case cases[] = {COIR_ON_RECEIVE(in, &got), {.coir__kind = &quick}, {.coir__kind = &quick}};
    COIR_EXPECT_EQ(coir_select(cases, 3), 1);
    COIR_EXPECT_EQ(cases[1].result, 5);
    COIR_EXPECT_EQ(waiting_receivers(out), 0);
}

COIR_TEST(the_same_object_twice)
{
    CHANNEL(out, in, 0);
    coir_event event = {0};
    struct chooser chooser = {in, in, &event, 0, 0, -1, -1};
    int item = 7;
    COIR_GROUP(group);
    START(&group, choose, &chooser, NULL);
    COIR_EXPECT_EQ(waiting_receivers(out), 2);
    COIR_EXPECT_OK(coir_try_send(out, &item));
    COIR_EXPECT_EQ(waiting_receivers(out), 0);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(chooser.index, 0);
}

/* Both ends of one channel in one select: it does not meet itself. */
COIR_TEST(both_ends_of_one_channel)
{
    CHANNEL(out, in, 0);
    int item = 1, got = 0;
    coir_case cases[] = {
        COIR_ON_RECEIVE(in, &got),
        COIR_ON_SEND(out, &item),
        COIR_ON_TIMER(COIR_SEC(1)),
    };
    COIR_EXPECT_EQ(coir_select(cases, COIR_COUNT(cases)), 2);
    COIR_EXPECT_EQ(got, 0);
}

struct competitor {
    coir_receiver *in;
    int *received;
};

static int receive_in_select(void *arg)
{
    struct competitor *competitor = arg;
    for (;;) {
        int item;
        coir_case cases[] = {COIR_ON_TIMER(COIR_US(2)), COIR_ON_RECEIVE(competitor->in, &item)};
        int index = COIR_TRY(coir_select(cases, 2));
        if (index == 1 && cases[1].result == 0)
            return 0;
        if (index == 1)
            ++*competitor->received;
    }
}

/* Timers and items race in many selects: nothing is lost, nothing comes twice. */
COIR_TEST_TAGGED(nothing_is_lost, "liveness")
{
    CHANNEL(out, in, 0);
    int received = 0;
    struct competitor competitor = {in, &received};
    COIR_GROUP(group);
    for (int i = 0; i < 3; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, receive_in_select, &competitor, NULL));
    for (int i = 0; i < 300; i++) {
        COIR_REQUIRE_OK(coir_send(out, &i));
        COIR_REQUIRE_OK(coir_sleep(COIR_US(i % 4)));
    }
    coir_sender_close(COIR_TAKE(out));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(received, 300);
}

COIR_TEST(description_lists_the_cases)
{
    CHANNEL(out_a, in_a, 0);
    CHANNEL(out_b, in_b, 0);
    coir_event event = {0};
    struct chooser chooser = {in_a, in_b, &event, 0, 0, -1, -1};
    coir_task *task;
    char text[64];
    COIR_GROUP(group);
    START(&group, choose, &chooser, &task);
    coir_task_describe(task, text, sizeof text);
    COIR_EXPECT_CONTAINS(text, "waits for the first of receive from channel of int");
    coir_cancel(task, NULL);
    (void)joined(task);
}

/* The channel lives on by other handles, and so does the wait. Nothing of the closed ones is
 * read. */
COIR_TEST(description_when_the_handles_are_closed)
{
    CHANNEL(out_a, in_a, 0);
    CHANNEL(out_b, in_b, 0);
    coir_sender *out_c = NULL;
    coir_receiver *in_c = NULL;
    coir_event event = {0};
    coir_task *tasks[2];
    char text[256];
    COIR_REQUIRE_OK(coir_receiver_clone(in_a, &in_c));
    struct chooser chooser = {in_c, in_b, &event, 0, 0, -1, -1};
    COIR_GROUP_COLLECT(group);
    int r = coir_spawn(&group, choose, &chooser, &tasks[0]);
    if (r == 0)
        r = coir_test_wait_all_blocked();
    coir_receiver_close(in_c);
    COIR_REQUIRE_OK(r);
    coir_task_describe(tasks[0], text, sizeof text);
    COIR_EXPECT_CONTAINS(text, "receive from channel of int opened at ");
    COIR_REQUIRE_OK(coir_send(out_a, &(int){3}));
    COIR_EXPECT_OK(joined(tasks[0]));
    COIR_EXPECT_EQ(chooser.item_a, 3);
    COIR_REQUIRE_OK(coir_sender_clone(out_b, &out_c));
    struct offer offer = {out_c, out_a, 9, -1, -1};
    r = coir_spawn(&group, offer_to_either, &offer, &tasks[1]);
    if (r == 0)
        r = coir_test_wait_all_blocked();
    coir_sender_close(out_c);
    COIR_REQUIRE_OK(r);
    coir_task_describe(tasks[1], text, sizeof text);
    COIR_EXPECT_CONTAINS(text, "send to channel of int opened at ");
    int got = 0;
    COIR_EXPECT_EQ(coir_receive(in_b, &got), 1);
    COIR_EXPECT_EQ(got, 9);
}

static int wait_for_many(void *arg)
{
    coir_receiver *in = arg;
    int item;
    coir_case cases[40];
    for (size_t i = 0; i < COIR_COUNT(cases); i++)
        cases[i] = (coir_case)COIR_ON_RECEIVE(in, &item);
    return coir_select(cases, COIR_COUNT(cases));
}

/* A list that is longer than any text is cut, not overrun. */
COIR_TEST(description_of_many_cases)
{
    CHANNEL(out, in, 0);
    coir_task *task;
    char text[4096];
    COIR_GROUP(group);
    START(&group, wait_for_many, in, &task);
    coir_task_describe(task, text, sizeof text);
    COIR_EXPECT_CONTAINS(text, "waits for the first of receive from channel of int opened at ");
    COIR_REQUIRE(task->wait != NULL);
    COIR_EXPECT_GT(task->wait->describe(task, text, 1), 40 * 50);
    COIR_EXPECT_EQ(text[0], 0);
    COIR_EXPECT_GT(task->wait->describe(task, text, 70), 40 * 50);
    COIR_EXPECT_EQ(strlen(text), 69);
    coir_cancel(task, NULL);
    (void)joined(task);
}
