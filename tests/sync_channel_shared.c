/* sync_channel_shared.c: channels between threads: tasks of several loops, threads without one,
 * jobs; closing, cancelling, and coir_select on both ends.
 */
#include <stdlib.h>

#include <coir/channel.h>
#include <coir/memory.h>
#include <coir/select.h>

#include "core_loop.h"
#include "gate.h"
#include "sync.h"

struct ends {
    coir_sender *out;
    coir_receiver *in;
    struct record record;
    int item, count, result;
};

/* Both ends to the end of the block. */
#define SHARED(name, capacity)                                                                     \
    COIR_AUTO(coir_sender) *name##_out = NULL;                                                     \
    COIR_AUTO(coir_receiver) *name##_in = NULL;                                                    \
    COIR_REQUIRE_OK(coir_channel_open_shared(int, (capacity), &name##_out, &name##_in));           \
    struct ends name = {.out = name##_out, .in = name##_in}

/* ---- in one loop it is a channel like others ---- */

static int send_item(void *arg)
{
    struct ends *ends = arg;
    int item = ++ends->item;
    return coir_send(ends->out, &item);
}

static int receive_item(void *arg)
{
    struct ends *ends = arg;
    int item = 0;
    int r = coir_receive(ends->in, &item);
    if (r > 0)
        note(&ends->record, item);
    return r;
}

COIR_TEST(send_and_receive)
{
    SHARED(ends, 2);
    char wrong = 0;
    int item = 1;
    COIR_EXPECT_CODE(coir_try_receive(ends.in, &item), -EAGAIN);
    COIR_EXPECT_CODE(coir_try_send(ends.out, &wrong), -EINVAL);
    COIR_EXPECT_CODE(coir_send(ends.out, &wrong), -EINVAL);
    COIR_EXPECT_CODE(coir_receive(ends.in, &wrong), -EINVAL);
    COIR_EXPECT_CODE(coir_try_receive(ends.in, &wrong), -EINVAL);
    COIR_EXPECT_OK(send_item(&ends));
    COIR_EXPECT_OK(send_item(&ends));
    COIR_EXPECT_CODE(coir_try_send(ends.out, &item), -EAGAIN);
    COIR_EXPECT_CODE(receive_item(&ends), 1);
    COIR_EXPECT_CODE(receive_item(&ends), 1);
    COIR_EXPECT_EQ(ends.record.digits, 12);
    struct coir_channel_stats stats;
    coir_sender_stats(ends.out, &stats);
    COIR_EXPECT_EQ(stats.capacity, 2);
    COIR_EXPECT_EQ(stats.sent, 2);
    COIR_EXPECT_EQ(stats.held, 0);
    COIR_EXPECT_EQ(stats.senders, 1);
    COIR_EXPECT_EQ(stats.receivers, 1);
}

COIR_TEST(opening)
{
    coir_sender *out = NULL;
    coir_receiver *in = NULL;
    COIR_EXPECT_CODE(coir_channel_open_shared(int, 0, &out, &in), -EINVAL);
    COIR_EXPECT_CODE(coir_channel_open_shared(int, SIZE_MAX / 2, &out, &in), -EOVERFLOW);
    COIR_EXPECT_CODE(coir_channel_open_shared_at(0, 1, &out, &in, COIR_SITE("nothing")), -EINVAL);
}

COIR_TEST(receivers_are_served_in_their_order)
{
    SHARED(ends, 1);
    COIR_GROUP(group);
    for (int i = 0; i < 3; i++)
        START(&group, receive_item, &ends, NULL);
    struct coir_channel_stats stats;
    coir_receiver_stats(ends.in, &stats);
    COIR_EXPECT_EQ(stats.receiving, 3);
    for (int i = 0; i < 3; i++)
        COIR_EXPECT_OK(send_item(&ends));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(ends.item, 3);
}

COIR_TEST(senders_are_served_in_their_order)
{
    SHARED(ends, 1);
    COIR_GROUP(group);
    for (int i = 0; i < 4; i++)
        START(&group, send_item, &ends, NULL);
    for (int i = 0; i < 4; i++)
        COIR_EXPECT_CODE(receive_item(&ends), 1);
    COIR_EXPECT_EQ(ends.record.digits, 1234);
    COIR_EXPECT_OK(coir_group_wait(&group));
}

COIR_TEST(end_of_the_senders)
{
    coir_task *task;
    SHARED(ends, 2);
    SHARED(more, 2);
    COIR_GROUP_COLLECT(group);
    COIR_EXPECT_OK(send_item(&ends));
    coir_sender_close(COIR_TAKE(ends_out));
    COIR_EXPECT_CODE(receive_item(&ends), 1);
    COIR_EXPECT_CODE(receive_item(&ends), 0);
    COIR_EXPECT_CODE(coir_try_receive(ends.in, &ends.item), 0);
    START(&group, receive_item, &more, &task);
    coir_sender_close(COIR_TAKE(more_out));
    COIR_EXPECT_CODE(joined(task), 0);
}

COIR_TEST(end_of_the_receivers)
{
    coir_task *task;
    SHARED(ends, 1);
    COIR_GROUP_COLLECT(group);
    COIR_EXPECT_OK(send_item(&ends));
    START(&group, send_item, &ends, &task);
    coir_receiver_close(COIR_TAKE(ends_in));
    COIR_EXPECT_CODE(joined(task), -COIR_ECLOSED);
    COIR_EXPECT_CODE(send_item(&ends), -COIR_ECLOSED);
    COIR_EXPECT_CODE(coir_try_send(ends.out, &ends.item), -COIR_ECLOSED);
}

COIR_TEST(clones)
{
    SHARED(ends, 1);
    COIR_AUTO(coir_sender) *out = NULL;
    COIR_AUTO(coir_receiver) *in = NULL;
    COIR_REQUIRE_OK(coir_sender_clone(ends.out, &out));
    COIR_REQUIRE_OK(coir_receiver_clone(ends.in, &in));
    coir_sender_close(COIR_TAKE(ends_out));
    coir_receiver_close(COIR_TAKE(ends_in));
    ends.out = out;
    ends.in = in;
    COIR_EXPECT_OK(send_item(&ends));
    COIR_EXPECT_CODE(receive_item(&ends), 1);
}

COIR_TEST(cancelled_while_it_waits)
{
    coir_task *tasks[2];
    SHARED(ends, 1);
    COIR_GROUP_COLLECT(group);
    START(&group, receive_item, &ends, &tasks[0]);
    START(&group, receive_item, &ends, &tasks[1]);
    coir_cancel(tasks[0], "the test says so");
    COIR_EXPECT_CODE(joined(tasks[0]), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(send_item(&ends));
    COIR_EXPECT_CODE(joined(tasks[1]), 1);

    COIR_EXPECT_OK(send_item(&ends));
    START(&group, send_item, &ends, &tasks[0]);
    coir_cancel(tasks[0], "the test says so");
    COIR_EXPECT_CODE(joined(tasks[0]), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(receive_item(&ends), 1);
    COIR_EXPECT_CODE(coir_try_receive(ends.in, &ends.item), -EAGAIN);
}

/* The item was handed over: the cancellation comes too late. */
COIR_TEST(what_was_finished_wins)
{
    coir_task *task;
    SHARED(ends, 1);
    COIR_GROUP_COLLECT(group);
    START(&group, receive_item, &ends, &task);
    COIR_EXPECT_OK(coir_try_send(ends.out, &(int){5}));
    coir_cancel(task, "too late");
    COIR_EXPECT_CODE(joined(task), 1);
    COIR_EXPECT_EQ(ends.record.digits, 5);
}

COIR_TEST(description)
{
    coir_task *task;
    char text[192];
    SHARED(ends, 1);
    COIR_GROUP_COLLECT(group);
    START(&group, receive_item, &ends, &task);
    coir_task_describe(task, text, sizeof text);
    COIR_EXPECT_CONTAINS(text,
                         "waits to receive from channel of int opened at sync_channel_shared");
    COIR_EXPECT_CONTAINS(text, "shared, 1 sender");
    coir_cancel(task, NULL);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
}

/* ---- in coir_select ---- */

static int select_item(void *arg)
{
    struct ends *ends = arg;
    int item = 0;
    coir_case cases[] = {COIR_ON_TIMER(COIR_SEC(5)), COIR_ON_RECEIVE(ends->in, &item)};
    int r = coir_select(cases, COIR_COUNT(cases));
    if (r == 1 && cases[1].result > 0)
        note(&ends->record, item);
    return r < 0 ? r : r == 0 ? 100 : cases[1].result;
}

static int select_room(void *arg)
{
    struct ends *ends = arg;
    int item = ++ends->item;
    coir_case cases[] = {COIR_ON_SEND(ends->out, &item), COIR_ON_TIMER(COIR_SEC(5))};
    int r = coir_select(cases, COIR_COUNT(cases));
    return r < 0 ? r : r == 1 ? 100 : cases[0].result;
}

COIR_TEST(select_receives)
{
    coir_task *task;
    SHARED(ends, 1);
    COIR_GROUP_COLLECT(group);
    COIR_EXPECT_CODE(select_item(&ends), 100);
    COIR_EXPECT_OK(coir_try_send(ends.out, &(int){4}));
    COIR_EXPECT_CODE(select_item(&ends), 1);
    START(&group, select_item, &ends, &task);
    COIR_EXPECT_OK(coir_try_send(ends.out, &(int){5}));
    COIR_EXPECT_CODE(joined(task), 1);
    START(&group, select_item, &ends, &task);
    coir_sender_close(COIR_TAKE(ends_out));
    COIR_EXPECT_CODE(joined(task), 0);
    COIR_EXPECT_EQ(ends.record.digits, 45);
}

COIR_TEST(select_sends)
{
    coir_task *task;
    SHARED(ends, 1);
    COIR_GROUP_COLLECT(group);
    COIR_EXPECT_CODE(select_room(&ends), 0);
    COIR_EXPECT_CODE(select_room(&ends), 100);
    START(&group, select_room, &ends, &task);
    COIR_EXPECT_CODE(receive_item(&ends), 1);
    COIR_EXPECT_CODE(joined(task), 0);
    START(&group, select_room, &ends, &task);
    coir_receiver_close(COIR_TAKE(ends_in));
    COIR_EXPECT_CODE(joined(task), -COIR_ECLOSED);
}

/* An item that was promised to a case which another one beats goes to who waits next. */
static int select_beaten(void *arg)
{
    struct ends *ends = arg;
    int item = 0;
    coir_case cases[] = {COIR_ON_RECEIVE(ends->in, &item), COIR_ON_TIMER(COIR_SEC(1))};
    return coir_select(cases, COIR_COUNT(cases));
}

COIR_TEST(promises_are_given_back)
{
    coir_task *first, *second;
    SHARED(ends, 1);
    COIR_GROUP_COLLECT(group);
    START(&group, select_beaten, &ends, &first);
    START(&group, receive_item, &ends, &second);
    COIR_EXPECT_OK(coir_try_send(ends.out, &(int){7})); /* promised to the first */
    coir_cancel(first, "the test says so");
    COIR_EXPECT_CODE(joined(first), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(joined(second), 1);
    COIR_EXPECT_EQ(ends.record.digits, 7);
}

/* What is promised is nobody else's. */
COIR_TEST(promises_are_kept)
{
    coir_task *task;
    int item;
    SHARED(ends, 1);
    COIR_GROUP_COLLECT(group);
    START(&group, select_item, &ends, &task);
    COIR_EXPECT_OK(coir_try_send(ends.out, &(int){7}));
    COIR_EXPECT_CODE(coir_try_receive(ends.in, &item), -EAGAIN);
    COIR_EXPECT_CODE(joined(task), 1);
    COIR_EXPECT_EQ(ends.record.digits, 7);
}

/* ---- threads ---- */

#define ITEMS (4000 / LESS)

struct worker {
    pthread_t id;
    coir_sender *out;
    coir_receiver *in;
    int64_t sum, cancelled;
    unsigned seed;
    int result;
    bool loop, select;
};

static int produce(void *arg)
{
    struct worker *worker = arg;
    COIR_AUTO(coir_sender) *out = worker->out;
    for (int i = 1; i <= ITEMS; i++) {
        if (!worker->select) {
            COIR_TRY(coir_send(out, &i));
            continue;
        }
        coir_case cases[] = {COIR_ON_SEND(out, &i), COIR_ON_TIMER(COIR_SEC(100))};
        if (COIR_TRY(coir_select(cases, COIR_COUNT(cases))) != 0)
            return -ETIMEDOUT;
    }
    return 0;
}

/* Receives with a deadline that is often over before an item comes, so that cancellations meet
 * items on their way. */
static int receive_impatiently(struct worker *worker, int *ret_item)
{
    COIR_DEADLINE(COIR_US(rand_r(&worker->seed) % 30));
    if (!worker->select)
        return coir_receive(worker->in, ret_item);
    coir_case cases[] = {COIR_ON_RECEIVE(worker->in, ret_item), COIR_ON_TIMER(COIR_US(10))};
    int r = coir_select(cases, COIR_COUNT(cases));
    return r == 0 ? cases[0].result : r == 1 ? -ETIME : r;
}

static int consume(void *arg)
{
    struct worker *worker = arg;
    COIR_AUTO(coir_receiver) *in = worker->in;
    int item, r;
    while ((r = worker->loop ? receive_impatiently(worker, &item) : coir_receive(in, &item)) != 0) {
        if (r > 0)
            worker->sum += item;
        else if (r == -ETIME)
            worker->cancelled++;
        else
            return r;
    }
    return 0;
}

static void *run_worker(void *arg)
{
    struct worker *worker = arg;
    coir_fn fn = worker->out != NULL ? produce : consume;
    coir_loop_opts opts = coir_test_loop_opts();
    opts.report = NULL;
    opts.virtual_clock = false;
    worker->result = worker->loop ? coir_run(fn, worker, &opts, NULL) : fn(worker);
    return NULL;
}

#define WORKERS 4

COIR_TEST_TAGGED(many_loops_and_threads, "own_loop,no_torture,real_clock,limit=60")
{
    struct worker workers[2 * WORKERS] = {{.result = 0}};
    coir_sender *out = NULL;
    coir_receiver *in = NULL;
    COIR_REQUIRE_OK(coir_channel_open_shared(int, 3, &out, &in));
    for (int i = 0; i < 2 * WORKERS; i++) {
        struct worker *worker = &workers[i];
        *worker = (struct worker){.loop = (i & 2) == 0, .select = i % 4 == 1, .seed = (unsigned)i};
        COIR_REQUIRE_OK(i < WORKERS ? coir_sender_clone(out, &worker->out)
                                    : coir_receiver_clone(in, &worker->in));
        worker->select = worker->select && worker->loop;
        COIR_REQUIRE_EQ(pthread_create(&worker->id, NULL, run_worker, worker), 0);
    }
    coir_sender_close(out);
    coir_receiver_close(in);
    int64_t sum = 0;
    for (int i = 0; i < 2 * WORKERS; i++) {
        COIR_REQUIRE_EQ(pthread_join(workers[i].id, NULL), 0);
        COIR_EXPECT_OK(workers[i].result);
        sum += workers[i].sum;
    }
    COIR_EXPECT_EQ(sum, (int64_t)WORKERS * ITEMS * (ITEMS + 1) / 2); /* nothing lost, none twice */
}

/* ---- jobs ---- */

static int job_receives(void *arg)
{
    struct ends *ends = arg;
    return receive_item(ends) == 1 && receive_item(ends) == 1 ? 0 : -EIO;
}

static int run_job(void *arg)
{
    return coir_blocking(job_receives, arg);
}

COIR_TEST(job_and_task)
{
    coir_task *task;
    SHARED(ends, 1);
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, run_job, &ends, &task));
    COIR_EXPECT_OK(send_item(&ends));
    COIR_EXPECT_OK(send_item(&ends));
    coir_sender_close(COIR_TAKE(ends_out)); /* whatever went wrong */
    COIR_EXPECT_OK(joined(task));
    COIR_EXPECT_EQ(ends.record.digits, 12);
}

static int job_receives_once(void *arg)
{
    struct gate *gate = arg;
    int item;
    sem_post(&gate->inside);
    return coir_receive((coir_receiver *)(void *)gate->pool, &item);
}

static int task_receives_once(void *arg)
{
    return coir_blocking(job_receives_once, arg);
}

/* A job that waits for an item leaves when its caller is cancelled. */
COIR_TEST(cancelled_job_leaves_the_channel)
{
    struct gate gate;
    coir_task *task;
    gate_make(&gate);
    SHARED(ends, 1);
    gate.pool = (coir_threads *)(void *)ends.in;
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE((task = start_inside(&group, task_receives_once, &gate)) != NULL);
    coir_cancel(task, "the test says so");
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
}

/* ---- a loop that closes ---- */

struct late {
    coir_loop *loop;
    coir_post_node first, second;
    struct ends *ends;
    int sent;
};

static int receive_behind_a_shield(void *arg)
{
    COIR_SHIELD(COIR_FOREVER);
    return receive_item(arg);
}

static void post_spawns_receiver(void *arg)
{
    struct late *late = arg;
    COIR_EXPECT_OK(coir_loop_spawn(late->loop, receive_behind_a_shield, late->ends, NULL));
}

static void post_posts(void *arg)
{
    struct late *late = arg;
    COIR_EXPECT_OK(coir_post(late->loop, &late->second, post_spawns_receiver, late));
}

static void *send_when_awaited(void *arg)
{
    struct late *late = arg;
    struct coir_channel_stats stats = {.receiving = 0};
    int item = 7;
    while (stats.receiving == 0) {
        sched_yield();
        coir_sender_stats(late->ends->out, &stats);
    }
    late->sent = coir_send(late->ends->out, &item);
    return NULL;
}

/* However late a task is started, it is woken. */
COIR_TEST_TAGGED(receivers_that_a_closing_loop_starts, "own_loop,posts,no_torture")
{
    SHARED(ends, 1);
    struct late late = {.ends = &ends, .sent = 1};
    pthread_t id;
    {
        LOOP(loop);
        coir_test_expect_reports(COIR_REPORT_LEFT, 1);
        late.loop = loop;
        COIR_REQUIRE_EQ(pthread_create(&id, NULL, send_when_awaited, &late), 0);
        COIR_EXPECT_OK(coir_post(loop, &late.first, post_posts, &late));
    }
    COIR_REQUIRE_EQ(pthread_join(id, NULL), 0);
    COIR_EXPECT_OK(late.sent);
    COIR_EXPECT_EQ(ends.record.digits, 7);
}
