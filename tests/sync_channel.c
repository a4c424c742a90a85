/* sync_channel.c: channels: order, capacity and rendezvous, both ends closing, clones, and items
 * that meet cancellations. The names are those of Tokio's sync_mpsc.rs and Trio's test_channel.py
 * where the behaviour is.
 */
#include <coir/channel.h>

#include <string.h>

#include "sync.h"

struct sending {
    coir_sender *out;
    int item;
    int result; /* what coir_send returned */
};

struct receiving {
    coir_receiver *in;
    int item;
    int result; /* what coir_receive returned */
};

static int send_one(void *arg)
{
    struct sending *sending = arg;
    sending->result = coir_send(sending->out, &sending->item);
    return sending->result == -ECANCELED ? -ECANCELED : 0;
}

static int receive_one(void *arg)
{
    struct receiving *receiving = arg;
    receiving->result = coir_receive(receiving->in, &receiving->item);
    return receiving->result == -ECANCELED ? -ECANCELED : 0;
}

#define CHANNEL(capacity)                                                                          \
    COIR_AUTO(coir_sender) *out = NULL;                                                            \
    COIR_AUTO(coir_receiver) *in = NULL;                                                           \
    COIR_REQUIRE_OK(coir_channel_open(int, (capacity), &out, &in))

static void expect_item(coir_receiver *in, int expected)
{
    int item = -1;
    COIR_EXPECT_EQ(coir_try_receive(in, &item), 1);
    COIR_EXPECT_EQ(item, expected);
}

static void send_now(coir_sender *out, int item)
{
    COIR_EXPECT_OK(coir_try_send(out, &item));
}

static void fill_and_drain(void)
{
    CHANNEL(3);
    int item;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 3; i++)
            COIR_EXPECT_OK(coir_send(out, &i));
        COIR_EXPECT_CODE(coir_try_send(out, &round), -EAGAIN);
        for (int i = 0; i < 3; i++) {
            COIR_EXPECT_EQ(coir_receive(in, &item), 1);
            COIR_EXPECT_EQ(item, i);
        }
        COIR_EXPECT_CODE(coir_try_receive(in, &item), -EAGAIN);
    }
}

COIR_TEST(send_and_receive)
{
    fill_and_drain();
}

/* A seeded loop takes the long way through every call: the short one needs tests without a seed. */
COIR_TEST_TAGGED(send_and_receive_the_short_way, "fifo")
{
    fill_and_drain();
}

COIR_TEST(open_validates)
{
    coir_sender *out = NULL;
    coir_receiver *in = NULL;
    COIR_EXPECT_CODE(coir_channel_open_at(0, 1, &out, &in, COIR_SITE(NULL)), -EINVAL);
    COIR_EXPECT_CODE(coir_channel_open(int, SIZE_MAX / 2, &out, &in), -EOVERFLOW);
    COIR_EXPECT_PTR(out, NULL);
    COIR_EXPECT_PTR(in, NULL);
}

COIR_TEST(wrong_size)
{
    CHANNEL(1);
    char small = 1;
    int64_t large = 1;
    COIR_EXPECT_CODE(coir_send(out, &small), -EINVAL);
    COIR_EXPECT_CODE(coir_try_send(out, &large), -EINVAL);
    COIR_EXPECT_CODE(coir_receive(in, &large), -EINVAL);
    COIR_EXPECT_CODE(coir_try_receive(in, &small), -EINVAL);
}

/* Sends items of size bytes through a ring, one at a time. */
static void send_bytes(size_t size)
{
    COIR_AUTO(coir_sender) *out = NULL;
    COIR_AUTO(coir_receiver) *in = NULL;
    COIR_REQUIRE_OK(coir_channel_open_at(size, 2, &out, &in, COIR_SITE("bytes")));
    for (unsigned char i = 0; i < 7; i++) {
        unsigned char sent[40], got[41];
        memset(sent, i + 1, sizeof sent);
        memset(got, 0, sizeof got);
        COIR_EXPECT_OK(coir__send(out, sent, size));
        COIR_EXPECT_EQ(coir__receive(in, got, size), 1);
        COIR_EXPECT_BYTES(got, sent, size);
        COIR_EXPECT_EQ(got[size], 0);
    }
}

COIR_TEST_TAGGED(sizes_of_items, "fifo")
{
    for (size_t size = 1; size <= 40; size++)
        send_bytes(size);
}

COIR_TEST(sizes_of_items_the_long_way)
{
    for (size_t size = 1; size <= 40; size++)
        send_bytes(size);
}

COIR_TEST(receiver_waits)
{
    CHANNEL(1);
    struct receiving a = {in, 0, -1}, b = {in, 0, -1};
    COIR_GROUP(group);
    START(&group, receive_one, &a, NULL);
    START(&group, receive_one, &b, NULL);
    send_now(out, 7);
    send_now(out, 8);
    send_now(out, 9);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(a.item, 7);
    COIR_EXPECT_EQ(b.item, 8);
    expect_item(in, 9);
}

COIR_TEST(sender_waits)
{
    CHANNEL(1);
    struct sending a = {out, 2, 1}, b = {out, 3, 1};
    COIR_GROUP(group);
    send_now(out, 1);
    START(&group, send_one, &a, NULL);
    START(&group, send_one, &b, NULL);
    COIR_EXPECT_EQ(a.result, 1);
    expect_item(in, 1);
    SETTLE();
    COIR_EXPECT_OK(a.result);
    COIR_EXPECT_EQ(b.result, 1);
    expect_item(in, 2);
    expect_item(in, 3);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_OK(b.result);
}

/* Without capacity a send ends when a receiver has the item. */
COIR_TEST(rendezvous)
{
    CHANNEL(0);
    struct sending a = {out, 1, 1};
    struct receiving b = {in, 0, -1};
    int none;
    COIR_GROUP(group);
    COIR_EXPECT_CODE(coir_try_send(out, &a.item), -EAGAIN);
    COIR_EXPECT_CODE(coir_try_receive(in, &none), -EAGAIN);
    START(&group, send_one, &a, NULL);
    COIR_EXPECT_EQ(a.result, 1);
    expect_item(in, 1);
    SETTLE();
    COIR_EXPECT_OK(a.result);
    START(&group, receive_one, &b, NULL);
    send_now(out, 2);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(b.item, 2);
}

/* ---- closing ---- */

COIR_TEST(receive_after_last_sender_closed)
{
    CHANNEL(2);
    int item = 0;
    send_now(out, 1);
    send_now(out, 2);
    coir_sender_close(COIR_TAKE(out));
    COIR_EXPECT_EQ(coir_receive(in, &item), 1);
    COIR_EXPECT_EQ(coir_try_receive(in, &item), 1);
    COIR_EXPECT_EQ(item, 2);
    COIR_EXPECT_EQ(coir_receive(in, &item), 0);
    COIR_EXPECT_EQ(coir_try_receive(in, &item), 0);
}

COIR_TEST(last_sender_wakes_receivers)
{
    CHANNEL(1);
    struct receiving a = {in, 5, -1}, b = {in, 5, -1};
    COIR_AUTO(coir_sender) *clone = NULL;
    COIR_REQUIRE_OK(coir_sender_clone(out, &clone));
    COIR_GROUP(group);
    START(&group, receive_one, &a, NULL);
    START(&group, receive_one, &b, NULL);
    coir_sender_close(COIR_TAKE(out));
    SETTLE();
    COIR_EXPECT_EQ(a.result, -1);
    coir_sender_close(COIR_TAKE(clone));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(a.result, 0);
    COIR_EXPECT_EQ(b.result, 0);
    COIR_EXPECT_EQ(a.item, 5);
}

COIR_TEST(send_without_receivers)
{
    CHANNEL(4);
    int item = 1;
    COIR_AUTO(coir_receiver) *clone = NULL;
    COIR_REQUIRE_OK(coir_receiver_clone(in, &clone));
    send_now(out, 1);
    coir_receiver_close(COIR_TAKE(in));
    COIR_EXPECT_OK(coir_send(out, &item));
    coir_receiver_close(COIR_TAKE(clone));
    COIR_EXPECT_CODE(coir_send(out, &item), -COIR_ECLOSED);
    COIR_EXPECT_CODE(coir_try_send(out, &item), -COIR_ECLOSED);
}

COIR_TEST(last_receiver_wakes_senders)
{
    CHANNEL(1);
    struct sending a = {out, 2, 1}, b = {out, 3, 1};
    COIR_GROUP(group);
    send_now(out, 1);
    START(&group, send_one, &a, NULL);
    START(&group, send_one, &b, NULL);
    coir_receiver_close(COIR_TAKE(in));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_CODE(a.result, -COIR_ECLOSED);
    COIR_EXPECT_CODE(b.result, -COIR_ECLOSED);
}

/* A handle is closed while another task waits with it (Trio's interrupted_by_close). */
COIR_TEST(interrupted_by_close)
{
    CHANNEL(0);
    struct sending a = {out, 2, 1};
    COIR_GROUP(group);
    START(&group, send_one, &a, NULL);
    coir_sender_close(COIR_TAKE(out));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_CODE(a.result, -COIR_ECLOSED);
}

COIR_TEST(receive_interrupted_by_close)
{
    CHANNEL(0);
    struct receiving a = {in, 0, 1};
    COIR_GROUP(group);
    START(&group, receive_one, &a, NULL);
    coir_receiver_close(COIR_TAKE(in));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_CODE(a.result, -COIR_ECLOSED);
}

/* A send that was taken before its channel was closed in the same turn. */
COIR_TEST(close_after_hand_over)
{
    CHANNEL(0);
    struct receiving a = {in, 0, -1};
    COIR_GROUP(group);
    START(&group, receive_one, &a, NULL);
    send_now(out, 7);
    coir_sender_close(COIR_TAKE(out));
    coir_receiver_close(COIR_TAKE(in));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(a.result, 1);
    COIR_EXPECT_EQ(a.item, 7);
}

/* ---- cancelling ---- */

COIR_TEST(cancelled_receive_takes_nothing)
{
    CHANNEL(1);
    struct receiving a = {in, 0, -1};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, receive_one, &a, &task);
    coir_cancel(task, NULL);
    send_now(out, 7);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(a.item, 0);
    expect_item(in, 7);
}

/* The item was handed over before: the receive has ended, and says so. */
COIR_TEST(receive_cancelled_after_hand_over)
{
    CHANNEL(1);
    struct receiving a = {in, 0, -1};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, receive_one, &a, &task);
    send_now(out, 7);
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(joined(task));
    COIR_EXPECT_EQ(a.result, 1);
    COIR_EXPECT_EQ(a.item, 7);
}

/* The next receiver in line gets what the cancelled one does not. */
COIR_TEST(cancelled_receive_gives_way)
{
    CHANNEL(0);
    struct receiving a = {in, 0, -1}, b = {in, 0, -1};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, receive_one, &a, &task);
    START(&group, receive_one, &b, NULL);
    coir_cancel(task, NULL);
    send_now(out, 7);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(b.item, 7);
}

static void cancel_a_send(size_t capacity)
{
    CHANNEL(capacity);
    struct sending a = {out, 98, 1}, b = {out, 99, 1};
    coir_task *task;
    COIR_GROUP(group);
    for (size_t i = 0; i < capacity; i++)
        send_now(out, (int)i);
    START(&group, send_one, &a, &task);
    START(&group, send_one, &b, NULL);
    coir_cancel(task, NULL);
    for (size_t i = 0; i < capacity; i++)
        expect_item(in, (int)i);
    expect_item(in, 99);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_group_wait(&group));
    int none;
    COIR_EXPECT_CODE(coir_try_receive(in, &none), -EAGAIN);
}

COIR_TEST(cancelled_send_delivers_nothing)
{
    cancel_a_send(0);
    cancel_a_send(1);
    cancel_a_send(2);
}

/* A receiver took it before: the send has ended, and says so. */
COIR_TEST(send_cancelled_after_hand_over)
{
    CHANNEL(0);
    struct sending a = {out, 7, 1};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, send_one, &a, &task);
    expect_item(in, 7);
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(joined(task));
    COIR_EXPECT_OK(a.result);
}

static int send_with_own_handle(void *arg)
{
    struct sending *sending = arg;
    COIR_AUTO(coir_sender) *out = sending->out;
    sending->result = coir_send(out, &sending->item);
    return sending->result;
}

/* The last sender waits for room, is cancelled, and closes: the receiver that comes then is not
 * left waiting. */
COIR_TEST(cancelled_reserve_wakes_closed_receiver)
{
    CHANNEL(1);
    struct sending a = {NULL, 2, 1};
    coir_task *task;
    int item;
    COIR_GROUP(group);
    send_now(out, 1);
    a.out = out;
    COIR_REQUIRE_OK(coir_spawn(&group, send_with_own_handle, &a, &task));
    (void)COIR_TAKE(out);
    SETTLE();
    coir_cancel(task, NULL);
    COIR_EXPECT_EQ(coir_receive(in, &item), 1);
    COIR_EXPECT_EQ(coir_receive(in, &item), 0);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
}

/* Cancelled in the turn in which room was made: the item is in the channel, the end comes after
 * it. */
COIR_TEST(cancelled_reserve_with_room_wakes_closed_receiver)
{
    CHANNEL(1);
    struct sending a = {NULL, 2, 1};
    coir_task *task;
    int item;
    COIR_GROUP(group);
    send_now(out, 1);
    a.out = out;
    COIR_REQUIRE_OK(coir_spawn(&group, send_with_own_handle, &a, &task));
    (void)COIR_TAKE(out);
    SETTLE();
    expect_item(in, 1);
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(joined(task));
    expect_item(in, 2);
    COIR_EXPECT_EQ(coir_receive(in, &item), 0);
}

/* Receiver closed and sender cancelled in one turn, both orders. */
COIR_TEST(cancel_and_close_race)
{
    CHANNEL(0);
    struct sending a = {out, 1, 1}, b = {out, 2, 1};
    coir_task *first, *second;
    COIR_GROUP(group);
    START(&group, send_one, &a, &first);
    START(&group, send_one, &b, &second);
    coir_cancel(first, NULL);
    coir_receiver_close(COIR_TAKE(in));
    coir_cancel(second, NULL);
    COIR_EXPECT_CODE(joined(first), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(joined(second));
    COIR_EXPECT_CODE(a.result, -ECANCELED);
    COIR_EXPECT_CODE(b.result, -COIR_ECLOSED);
}

/* ---- many ---- */

struct flow {
    coir_sender *out;
    int count;
};

static int produce(void *arg)
{
    struct flow *flow = arg;
    COIR_AUTO(coir_sender) *out = flow->out;
    for (int i = 1; i <= flow->count; i++)
        COIR_TRY(coir_send(out, &i));
    return 0;
}

static void run_flow(size_t capacity)
{
    CHANNEL(capacity);
    struct flow flows[3];
    int item, r, sum = 0, count = 0;
    COIR_GROUP(group);
    for (size_t i = 0; i < COIR_COUNT(flows); i++) {
        COIR_AUTO(coir_sender) *clone = NULL;
        COIR_REQUIRE_OK(coir_sender_clone(out, &clone));
        flows[i] = (struct flow){clone, 100};
        COIR_REQUIRE_OK(coir_spawn(&group, produce, &flows[i], NULL));
        (void)COIR_TAKE(clone);
    }
    coir_sender_close(COIR_TAKE(out));
    for (; (r = coir_receive(in, &item)) > 0; count++)
        sum += item;
    COIR_EXPECT_OK(coir_group_finish(&group, r));
    COIR_EXPECT_EQ(count, 300);
    COIR_EXPECT_EQ(sum, 3 * 5050);
}

COIR_TEST_TAGGED(many_producers, "liveness")
{
    run_flow(0);
    run_flow(1);
    run_flow(64);
}

COIR_TEST_TAGGED(many_producers_the_short_way, "fifo,liveness")
{
    run_flow(0);
    run_flow(1);
    run_flow(64);
}

struct taker {
    coir_receiver *in;
    int *sum;
};

static int take_under_deadlines(void *arg)
{
    struct taker *taker = arg;
    for (;;) {
        COIR_SCOPE(patience, COIR_US(3));
        int item, r = coir_receive(taker->in, &item);
        if (r > 0)
            *taker->sum += item;
        else if (r != -ETIME || !coir_scope_expired(&patience))
            return r;
    }
}

static int produce_slowly(void *arg)
{
    struct flow *flow = arg;
    COIR_AUTO(coir_sender) *out = flow->out;
    for (int i = 1; i <= flow->count; i++) {
        COIR_TRY(coir_sleep(COIR_US(i % 7)));
        COIR_TRY(coir_send(out, &i));
    }
    return 0;
}

/* Receives that give up again and again, just when items arrive: none is lost, none comes twice. */
COIR_TEST_TAGGED(nothing_is_lost_under_deadlines, "liveness")
{
    CHANNEL(0);
    int sum = 0;
    struct flow flow = {out, 500};
    struct taker taker = {in, &sum};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, take_under_deadlines, &taker, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, take_under_deadlines, &taker, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, produce_slowly, &flow, NULL));
    (void)COIR_TAKE(out);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(sum, 500 * 501 / 2);
}

COIR_TEST(stats)
{
    CHANNEL(1);
    struct sending a = {out, 2, 1};
    struct coir_channel_stats stats;
    COIR_GROUP(group);
    send_now(out, 1);
    START(&group, send_one, &a, NULL);
    coir_sender_stats(out, &stats);
    COIR_EXPECT_EQ(stats.capacity, 1);
    COIR_EXPECT_EQ(stats.held, 1);
    COIR_EXPECT_EQ(stats.senders, 1);
    COIR_EXPECT_EQ(stats.receivers, 1);
    COIR_EXPECT_EQ(stats.sending, 1);
    COIR_EXPECT_EQ(stats.receiving, 0);
    COIR_EXPECT_EQ(stats.sent, 1);
    expect_item(in, 1);
    expect_item(in, 2);
    COIR_EXPECT_OK(coir_group_wait(&group));
    coir_receiver_stats(in, &stats);
    COIR_EXPECT_EQ(stats.sent, 2);
    COIR_EXPECT_EQ(stats.sending, 0);
}

COIR_TEST(description_names_the_channel)
{
    CHANNEL(0);
    struct receiving a = {in, 0, -1};
    coir_task *task;
    char text[192];
    COIR_GROUP(group);
    START(&group, receive_one, &a, &task);
    coir_task_describe(task, text, sizeof text);
    COIR_EXPECT_CONTAINS(text, "waits to receive from channel of int opened at ");
    COIR_EXPECT_CONTAINS(text, ", 1 sender");
    coir_cancel(task, NULL);
    (void)joined(task);
}
