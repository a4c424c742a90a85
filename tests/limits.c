/* limits.c: every queue at its limit: so many go in, the next one does what its policy says, and
 * when one has left there is room for one. The queues of sockets are in net_udp.c, net_udp_unix.c,
 * net_tcp.c and net_overload.c, that of a pool in io_threads.c, those of io_uring in
 * io_uring_limits.c. docs/guide/overload.md has the list. */
#include <signal.h>
#include <string.h>

#include <coir/broadcast.h>
#include <coir/channel.h>
#include <coir/future.h>
#include <coir/pipe.h>
#include <coir/queue.h>
#include <coir/signal.h>
#include <coir/stream_pair.h>
#include <coir/testing.h>
#include <coir/watch.h>

static void expect_channel_limit(coir_sender *out, coir_receiver *in, int limit)
{
    int item = 0;
    for (int i = 0; i < limit; i++)
        COIR_REQUIRE_OK(coir_try_send(out, &i));
    COIR_EXPECT_CODE(coir_try_send(out, &item), -EAGAIN);
    COIR_REQUIRE_EQ(coir_try_receive(in, &item), 1);
    COIR_EXPECT_EQ(item, 0);
    COIR_EXPECT_OK(coir_try_send(out, &limit));
    COIR_EXPECT_CODE(coir_try_send(out, &item), -EAGAIN);
}

COIR_TEST(a_channel)
{
    static const int limits[] = {1, 2, 64, 1000};
    for (size_t i = 0; i < COIR_COUNT(limits); i++) {
        COIR_AUTO(coir_sender) *out = NULL;
        COIR_AUTO(coir_receiver) *in = NULL;
        COIR_REQUIRE_OK(coir_channel_open(int, (size_t)limits[i], &out, &in));
        expect_channel_limit(out, in, limits[i]);
    }
}

COIR_TEST(a_channel_between_threads)
{
    static const int limits[] = {1, 2, 64, 1000};
    for (size_t i = 0; i < COIR_COUNT(limits); i++) {
        COIR_AUTO(coir_sender) *out = NULL;
        COIR_AUTO(coir_receiver) *in = NULL;
        COIR_REQUIRE_OK(coir_channel_open_shared(int, (size_t)limits[i], &out, &in));
        expect_channel_limit(out, in, limits[i]);
    }
}

/* The orders keep to the same limit. */
COIR_TEST(a_queue)
{
    static const coir_queue_opts kinds[] = {{.max_size = 3},
                                            {.max_size = 3, .kind = COIR_QUEUE_LIFO}};
    for (size_t i = 0; i < COIR_COUNT(kinds); i++) {
        COIR_AUTO(coir_queue) *queue = NULL;
        int item;
        COIR_REQUIRE_OK(coir_queue_open(int, &kinds[i], &queue));
        for (item = 0; item < 3; item++)
            COIR_REQUIRE_OK(coir_queue_try_put(queue, &item));
        COIR_EXPECT_CODE(coir_queue_try_put(queue, &item), -EAGAIN);
        COIR_REQUIRE_OK(coir_queue_try_get(queue, &item));
        COIR_EXPECT_OK(coir_queue_try_put(queue, &item));
        COIR_EXPECT_CODE(coir_queue_try_put(queue, &item), -EAGAIN);
    }
}

/* Blocking waits for the slowest; the other policies take from it what it is too slow for. */
COIR_TEST(a_broadcast)
{
    static const coir_broadcast_policy policies[] = {COIR_BROADCAST_BLOCK, COIR_BROADCAST_LAG,
                                                     COIR_BROADCAST_DROP};
    for (size_t i = 0; i < COIR_COUNT(policies); i++) {
        COIR_AUTO(coir_broadcast) *broadcast = NULL;
        COIR_AUTO(coir_subscription) *slow = NULL;
        int value, left = 0;
        coir_broadcast_opts opts = {.policy = policies[i]};
        COIR_REQUIRE_OK(coir_broadcast_open(int, 4, &opts, &broadcast));
        COIR_REQUIRE_OK(coir_broadcast_subscribe(broadcast, &slow));
        for (value = 0; value < 4; value++)
            COIR_REQUIRE_OK(coir_broadcast_try_send(broadcast, &value));
        COIR_EXPECT_CODE(coir_broadcast_try_send(broadcast, &value),
                         policies[i] == COIR_BROADCAST_BLOCK ? -EAGAIN : 0);
        for (int r = 1; r == 1 || r == -COIR_ELAGGED;) {
            r = coir_subscription_try_receive(slow, &value);
            left += r == 1;
        }
        COIR_EXPECT_LE(left, 4);
    }
}

/* One value, and the latest. */
COIR_TEST(a_watch_and_a_future)
{
    COIR_AUTO(coir_watch) *watch = NULL;
    COIR_AUTO(coir_watcher) *watcher = NULL;
    int first = 0, value = 0;
    COIR_REQUIRE_OK(coir_watch_open(int, &first, &watch));
    COIR_REQUIRE_OK(coir_watch_subscribe(watch, &watcher));
    for (int i = 1; i < 100; i++)
        COIR_REQUIRE_OK(coir_watch_set(watch, &i));
    COIR_REQUIRE_EQ(coir_watcher_next(watcher, &value), 1);
    COIR_EXPECT_EQ(value, 99);
    coir_future future = {0};
    COIR_REQUIRE_OK(coir_future_set(&future, NULL));
    COIR_EXPECT_CODE(coir_future_set(&future, NULL), -EALREADY);
}

struct writer {
    coir_stream *stream;
    size_t written;
};

static int write_on(void *arg)
{
    struct writer *writer = arg;
    char block[1000] = "";
    for (;; writer->written += sizeof block)
        COIR_TRY(coir_stream_write(writer->stream, block, sizeof block));
}

/* Nobody reads: the writer waits. */
static void expect_bound(coir_stream *stream, size_t most)
{
    struct writer writer = {stream, 0};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, write_on, &writer, NULL));
    for (int i = 0; i < 100; i++) /* in the simulation a write takes its time */
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_LE(writer.written, most);
}

COIR_TEST(streams_that_nobody_reads)
{
    COIR_AUTO(coir_stream) *a = NULL;
    COIR_AUTO(coir_stream) *b = NULL;
    COIR_AUTO(coir_stream) *reader = NULL;
    COIR_AUTO(coir_stream) *writer = NULL;
    COIR_REQUIRE_OK(coir_stream_pair(4000, &a, &b));
    expect_bound(a, 4000);
    COIR_REQUIRE_OK(coir_pipe_open(&reader, &writer));
    expect_bound(writer, 1 << 20);
}

/* ---- what has no limit of its own, and why that is bounded ---- */

static void count(void *arg)
{
    ++*(int *)arg;
}

/* A post lies in memory of the poster, which it may use once at a time. */
COIR_TEST(posts)
{
    coir_post_node node = {0};
    int called = 0;
    COIR_REQUIRE_OK(coir_post(coir_loop_current(), &node, count, &called));
    for (int i = 0; i < 100; i++)
        COIR_EXPECT_CODE(coir_post(coir_loop_current(), &node, count, &called), -EALREADY);
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    COIR_EXPECT_EQ(called, 1);
}

static int fail_with_a_text(void *arg)
{
    (void)arg;
    return coir_fail(-ENOENT, "one of many");
}

/* Records of failures come from a pool; beyond it codes travel alone. */
COIR_TEST(records_of_failures)
{
    coir_task *tasks[200];
    struct coir_loop_stats stats;
    COIR_GROUP_COLLECT(group);
    for (size_t i = 0; i < COIR_COUNT(tasks); i++)
        COIR_REQUIRE_OK(coir_spawn(&group, fail_with_a_text, NULL, &tasks[i]));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_loop_stats(NULL, &stats);
    COIR_EXPECT_LE(stats.errors, 128);
    for (size_t i = 0; i < COIR_COUNT(tasks); i++) {
        int result = 0;
        COIR_REQUIRE_OK(coir_join(tasks[i], &result));
        COIR_EXPECT_EQ(result, -ENOENT);
    }
    (void)coir_group_errors(&group);
}

/* ---- signals ---- */

static int ask_for_signals(void *arg)
{
    return coir_signals_open((const int[]){SIGUSR1}, 1, arg);
}

static int give_signals_back(void *arg)
{
    coir_signals_close(COIR_TAKE(*(coir_signals **)arg));
    return 0;
}

static int run_in(coir_loop *loop, coir_fn fn, coir_signals **signals)
{
    coir_task *task;
    int result = 0;
    COIR_TRY(coir_loop_spawn(loop, fn, signals, &task));
    COIR_TRY(coir_loop_run_until(loop, task, &result));
    return result;
}

/* So many loops may wait for signals; one more is refused, and has its turn when one has gone. */
COIR_TEST_TAGGED(loops_that_ask_for_signals, "own_loop,no_torture")
{
    enum { MOST = 64 };
    static coir_loop *loops[MOST + 1];
    static coir_signals *signals[MOST + 1];
    coir_loop_opts opts = coir_test_loop_opts();
    for (int i = 0; i <= MOST; i++) {
        COIR_REQUIRE_OK(coir_loop_open(&opts, &loops[i]));
        COIR_EXPECT_CODE(run_in(loops[i], ask_for_signals, &signals[i]), i < MOST ? 0 : -ENOSPC);
    }
    COIR_EXPECT_OK(run_in(loops[0], give_signals_back, &signals[0]));
    COIR_EXPECT_OK(coir_loop_close(loops[0]));
    COIR_EXPECT_OK(run_in(loops[MOST], ask_for_signals, &signals[MOST]));
    for (int i = 1; i <= MOST; i++) {
        COIR_EXPECT_OK(run_in(loops[i], give_signals_back, &signals[i]));
        COIR_EXPECT_OK(coir_loop_close(loops[i]));
    }
}
