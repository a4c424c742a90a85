/* net_memory.c: tests of listeners in memory: who connects to one, who waits, and what its end
 * does.
 */
#include <coir/coir.h>
#include <coir/testing.h>

#include <string.h>

static int echo(coir_stream *stream, void *arg)
{
    coir_bytes line;
    int r;
    (void)arg;
    while ((r = coir_stream_read_line(stream, 0, &line)) > 0) {
        COIR_TRY(coir_sleep(COIR_SEC(3600)));
        COIR_TRY(coir_stream_write(stream, line.data, line.length));
        COIR_TRY(coir_stream_write(stream, "\n", 1));
    }
    return r;
}

static int serve(void *listener)
{
    return coir_listener_serve(listener, echo, NULL);
}

COIR_TEST(hours_pass_at_once)
{
    char name[COIR_ADDRESS_TEXT];
    coir_bytes line;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_REQUIRE_OK(coir_memory_listen(&listener));
    COIR_EXPECT_OK(coir_listener_address(listener, name, sizeof name));
    COIR_EXPECT_STR(name, "memory");
    COIR_EXPECT_CODE(coir_listener_address(listener, name, 6), -ENOSPC);
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, serve, listener, NULL));
    coir_time start = coir_now();
    COIR_REQUIRE_OK(coir_memory_connect(listener, &stream));
    COIR_REQUIRE_OK(coir_stream_write(stream, "tea\n", 4));
    COIR_REQUIRE_EQ(coir_stream_read_line(stream, 0, &line), 1);
    COIR_EXPECT_EQ(line.length, 3);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(3600));
    coir_stream_close(COIR_TAKE(stream));
}

static int connect_to(void *arg)
{
    coir_stream *stream;
    int r = coir_memory_connect(arg, &stream);
    if (r == 0)
        coir_stream_close(stream);
    return r;
}

/* The queue is bounded: who comes when it is full waits. */
COIR_TEST(a_full_queue_holds_up_who_connects)
{
    enum { FULL = 128 };
    coir_stream *accepted, *waiting[FULL] = {NULL};
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_REQUIRE_OK(coir_memory_listen(&listener));
    size_t count = 0;
    while (count < FULL && coir_memory_connect(listener, &waiting[count]) == 0)
        count++;
    COIR_EXPECT_EQ(count, FULL);
    coir_task *late;
    int result = 0;
    COIR_GROUP_COLLECT(group);
    if (COIR_EXPECT_OK(coir_spawn(&group, connect_to, listener, &late)) &&
        COIR_EXPECT_OK(coir_test_wait_all_blocked())) {
        COIR_EXPECT(!coir_task_done(late));
        if (COIR_EXPECT_OK(coir_listener_accept(listener, &accepted)))
            coir_stream_close(accepted);
        COIR_EXPECT_OK(coir_join(late, &result));
        COIR_EXPECT_OK(result);
    }
    while (count > 0)
        coir_stream_close(waiting[--count]);
}

static int accept_one(void *arg)
{
    coir_stream *stream;
    return coir_listener_accept(arg, &stream);
}

COIR_TEST(what_nobody_accepted_is_reset)
{
    char byte;
    size_t n;
    int result = 0;
    coir_task *task;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_REQUIRE_OK(coir_memory_listen(&listener));
    COIR_REQUIRE_OK(coir_memory_connect(listener, &stream));
    coir_listener_close(COIR_TAKE(listener));
    COIR_EXPECT_CODE(coir_stream_read(stream, &byte, 1, &n), -ECONNRESET);
    COIR_REQUIRE_OK(coir_memory_listen(&listener));
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, accept_one, listener, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_listener_close(COIR_TAKE(listener));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_CODE(result, -COIR_ECLOSED);
}

COIR_TEST(only_listeners_in_memory_are_connected_to)
{
    coir_stream *stream;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_EXPECT_CODE(coir_memory_listen(NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_memory_connect(NULL, &stream), -EINVAL);
    COIR_REQUIRE_OK(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_EXPECT_CODE(coir_memory_connect(listener, &stream), -EINVAL);
}
