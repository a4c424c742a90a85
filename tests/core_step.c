/* core_step.c: a loop that is driven from outside, step by step: what a step does and does not do,
 * what the descriptor and the timeout say between steps, and the ways in from other threads. */
#include <poll.h>
#include <pthread.h>

#include <coir/coir.h>

#include "core_loop.h"

/* Whether the loop's descriptor says that a step has something to do, within a second. */
static bool is_called(coir_loop *loop)
{
    struct pollfd ready = {.fd = coir_loop_descriptor(loop), .events = POLLIN};
    return poll(&ready, 1, 1000) == 1 && (ready.revents & POLLIN);
}

/* Steps until the loop has nothing to do at once. */
static int settle(coir_loop *loop)
{
    int r;
    while ((r = coir_loop_step(loop, 0)) > 0)
        ;
    return r;
}

static int count_three(void *arg)
{
    for (int i = 0; i < 3; i++) {
        ++*(int *)arg;
        COIR_TRY(coir_yield());
    }
    return 0;
}

COIR_TEST_TAGGED(a_step_does_what_is_ready, "own_loop")
{
    int counted = 0;
    LOOP(loop);
    COIR_EXPECT_EQ(coir_loop_timeout(loop), COIR_FOREVER);
    COIR_REQUIRE_OK(coir_loop_spawn(loop, count_three, &counted, NULL));
    COIR_EXPECT_EQ(coir_loop_timeout(loop), 0);
    COIR_EXPECT_EQ(counted, 0);
    COIR_EXPECT_EQ(settle(loop), 0);
    COIR_EXPECT_EQ(counted, 3);
    COIR_EXPECT_EQ(coir_loop_timeout(loop), COIR_FOREVER);
    COIR_EXPECT(coir_loop_current() == NULL);
}

static int sleep_twice(void *arg)
{
    COIR_TRY(coir_sleep(COIR_SEC(1)));
    ++*(int *)arg;
    COIR_TRY(coir_sleep(COIR_SEC(2)));
    ++*(int *)arg;
    return 0;
}

COIR_TEST_TAGGED(a_step_waits_no_longer_than_it_may, "own_loop")
{
    int woken = 0;
    LOOP(loop);
    COIR_REQUIRE_OK(coir_loop_spawn(loop, sleep_twice, &woken, NULL));
    COIR_EXPECT_EQ(settle(loop), 0);
    COIR_EXPECT_EQ(coir_loop_timeout(loop), COIR_SEC(1));
    COIR_EXPECT_EQ(coir_loop_step(loop, COIR_MS(400)), 0);
    COIR_EXPECT_EQ(woken, 0);
    COIR_EXPECT_EQ(coir_loop_timeout(loop), COIR_MS(600));
    COIR_EXPECT(coir_loop_step(loop, COIR_SEC(10)) >= 0); /* to the first thing that happens */
    COIR_EXPECT_EQ(woken, 1);
    COIR_EXPECT_EQ(settle(loop), 0);
    COIR_EXPECT_EQ(coir_loop_timeout(loop), COIR_SEC(2));
    COIR_EXPECT(coir_loop_step(loop, COIR_SEC(10)) >= 0);
    COIR_EXPECT_EQ(woken, 2);
}

static int step_inside(void *arg)
{
    *(int *)arg = coir_loop_step(coir_loop_current(), 0);
    return 0;
}

COIR_TEST_TAGGED(a_step_inside_a_run_is_refused, "own_loop")
{
    int result = 0;
    LOOP(loop);
    COIR_REQUIRE_OK(run_task(loop, step_inside, &result));
    COIR_EXPECT_CODE(result, -EBUSY);
}

COIR_TEST_TAGGED(a_run_goes_on_where_steps_ended, "own_loop")
{
    int woken = 0;
    coir_task *task;
    LOOP(loop);
    COIR_REQUIRE_OK(coir_loop_spawn(loop, sleep_twice, &woken, &task));
    COIR_EXPECT(coir_loop_step(loop, 0) >= 0);
    COIR_EXPECT_EQ(coir_loop_run_until(loop, task, NULL), 0);
    COIR_EXPECT_EQ(woken, 2);
    COIR_EXPECT_EQ(settle(loop), 0);
}

struct caller {
    coir_loop *loop;
    coir_post_node node;
    int *counter;
};

static void add_one(void *arg)
{
    ++*(int *)arg;
}

static void *post_from_outside(void *arg)
{
    struct caller *caller = arg;
    (void)coir_post(caller->loop, &caller->node, add_one, caller->counter);
    return NULL;
}

COIR_TEST_TAGGED(a_post_between_steps_makes_the_descriptor_readable, "own_loop")
{
    int called = 0;
    LOOP(loop);
    COIR_EXPECT_EQ(settle(loop), 0);
    for (int i = 1; i <= 3; i++) {
        struct caller caller = {.loop = loop, .counter = &called};
        pthread_t thread;
        COIR_REQUIRE(pthread_create(&thread, NULL, post_from_outside, &caller) == 0);
        COIR_EXPECT(is_called(loop));
        pthread_join(thread, NULL);
        COIR_EXPECT_EQ(coir_loop_timeout(loop), 0);
        COIR_EXPECT_EQ(settle(loop), 0);
        COIR_EXPECT_EQ(called, i);
    }
}

struct pair {
    char address[COIR_ADDRESS_TEXT]; /* "": nobody listens yet */
    char heard[6];
};

static int serve(void *arg)
{
    struct pair *pair = arg;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_TRY(coir_listener_address(listener, pair->address, sizeof pair->address));
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_TRY(coir_listener_accept(listener, &stream));
    return coir_stream_read_exactly(stream, pair->heard, 5);
}

static int say(void *arg)
{
    struct pair *pair = arg;
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_TRY(coir_tcp_connect(pair->address, NULL, &stream));
    COIR_TRY(coir_stream_write(stream, "hello", 5));
    char byte;
    return coir_stream_read(stream, &byte, 1, &(size_t){0}); /* until the server has closed */
}

COIR_TEST_TAGGED(sockets_work_by_steps_and_the_descriptor, "own_loop")
{
    struct pair pair = {0};
    coir_task *server, *client;
    LOOP(loop);
    COIR_REQUIRE_OK(coir_loop_spawn(loop, serve, &pair, &server));
    COIR_EXPECT_EQ(settle(loop), 0);
    COIR_REQUIRE(pair.address[0] != '\0');
    COIR_REQUIRE_OK(coir_loop_spawn(loop, say, &pair, &client));
    while (!coir_task_done(server)) {
        coir_time wait = coir_loop_timeout(loop);
        COIR_REQUIRE(wait != COIR_FOREVER || is_called(loop));
        COIR_REQUIRE(coir_loop_step(loop, wait == COIR_FOREVER ? 0 : wait) >= 0);
        COIR_REQUIRE(!coir_task_done(client) || coir_task_done(server));
    }
    COIR_EXPECT_STR(pair.heard, "hello");
    COIR_EXPECT_EQ(coir_loop_run_until(loop, server, NULL), 0);
    COIR_EXPECT_EQ(coir_loop_run_until(loop, client, NULL), 0);
}
