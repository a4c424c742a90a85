/* io_stream.c: tests of streams over both kinds of sockets: data, resets, back-pressure, one
 * reader and one writer, calls that a close interrupts, exact reads.
 */
#include <coir/filter.h>
#include <coir/testing_streams.h>

#include "megabytes.h"
#include "net_pair.h"

static int echo(void *arg)
{
    coir_stream *stream = arg;
    char data[512];
    size_t n;
    int r;
    while ((r = coir_stream_read(stream, data, sizeof data, &n)) > 0)
        COIR_TRY(coir_stream_write(stream, data, n));
    return r < 0 ? r : coir_stream_shutdown(stream);
}

static void check_echo(enum transport transport)
{
    PAIR(transport, client, server);
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, echo, server, NULL));
    for (int i = 0; i < 20; i++) {
        char text[16] = "", reply[16] = "";
        int length = snprintf(text, sizeof text, "message %d", i);
        COIR_REQUIRE_OK(coir_stream_write(client, text, (size_t)length));
        COIR_REQUIRE_OK(coir_stream_read_exactly(client, reply, (size_t)length));
        COIR_EXPECT_STR(reply, text);
    }
    COIR_REQUIRE_OK(coir_stream_shutdown(client));
    char rest[8];
    size_t n;
    COIR_EXPECT_CODE(coir_stream_read(client, rest, sizeof rest, &n), 0);
    COIR_EXPECT_OK(coir_group_wait(&group));
}

COIR_TEST(echo_tcp)
{
    check_echo(BY_TCP);
}

COIR_TEST(echo_unix)
{
    check_echo(BY_UNIX);
}

/* After shutdown the other direction goes on, and the end is read again and again. */
static void check_half_close(enum transport transport)
{
    PAIR(transport, a, b);
    char data[16];
    size_t n;
    COIR_REQUIRE_OK(coir_stream_write(a, "question", 8));
    COIR_REQUIRE_OK(coir_stream_shutdown(a));
    COIR_REQUIRE_OK(coir_stream_read_exactly(b, data, 8));
    for (int i = 0; i < 3; i++)
        COIR_EXPECT_CODE(coir_stream_read(b, data, sizeof data, &n), 0);
    COIR_EXPECT_CODE(coir_stream_write(a, "more", 4), -EPIPE);
    COIR_REQUIRE_OK(coir_stream_write(b, "answer", 6));
    COIR_REQUIRE_OK(coir_stream_read_exactly(a, data, 6));
    COIR_EXPECT_BYTES(data, "answer", 6);
    COIR_REQUIRE_OK(coir_stream_shutdown(b));
    COIR_EXPECT_CODE(coir_stream_read(a, data, sizeof data, &n), 0);
}

COIR_TEST(half_close_tcp)
{
    check_half_close(BY_TCP);
}

COIR_TEST(half_close_unix)
{
    check_half_close(BY_UNIX);
}

COIR_TEST(abort_resets_the_peer)
{
    PAIR(BY_TCP, a, b);
    char data[8];
    size_t n;
    COIR_REQUIRE_OK(coir_stream_write(a, "last", 4));
    COIR_REQUIRE_OK(coir_stream_read_exactly(b, data, 4));
    coir_stream_abort(COIR_TAKE(a));
    COIR_EXPECT_CODE(coir_stream_read(b, data, sizeof data, &n), -ECONNRESET);
    COIR_EXPECT_CODE(coir_stream_write(b, "x", 1), -EPIPE);
    COIR_EXPECT_CODE(coir_stream_read(b, data, sizeof data, &n), 0);
}

COIR_TEST(abort_on_a_unix_socket_is_the_end)
{
    PAIR(BY_UNIX, a, b);
    char data[8];
    size_t n;
    coir_stream_abort(COIR_TAKE(a));
    COIR_EXPECT_CODE(coir_stream_read(b, data, sizeof data, &n), 0);
    COIR_EXPECT_CODE(coir_stream_write(b, "x", 1), -EPIPE);
}

/* The peer learns of a reset while it waits. */
COIR_TEST(abort_wakes_a_reader_and_a_writer)
{
    PAIR(BY_TCP, a, b);
    struct message out = {.stream = b, .size = 32 << 20, .chunk = 65536};
    struct message in = {.stream = b, .chunk = 64};
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, send_message, &out, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, receive_message, &in, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_LT(out.done, out.size);
    coir_stream_abort(COIR_TAKE(a));
    (void)!coir_group_wait(&group);
    COIR_EXPECT_LE(coir_group_failures(&group), 2);
    /* The error is reported once: one of both gets it, the other sees what follows from it. */
    COIR_EXPECT(out.result == -ECONNRESET || out.result == -EPIPE);
    COIR_EXPECT(in.result == -ECONNRESET || in.result == 0);
}

/* Writing to a peer that has closed fails at the latest with the second write (drain_raises). */
static void check_write_to_closed(enum transport transport)
{
    PAIR(transport, a, b);
    coir_stream_close(COIR_TAKE(b));
    int r = 0;
    for (int i = 0; i < 3 && r == 0; i++)
        r = coir_stream_write(a, "data", 4);
    COIR_EXPECT_CODE(r, -EPIPE);
}

COIR_TEST(drain_raises_tcp)
{
    check_write_to_closed(BY_TCP);
}

COIR_TEST(drain_raises_unix)
{
    check_write_to_closed(BY_UNIX);
}

/* A slow reader stops the writer; nothing is lost or mixed up. */
static void check_back_pressure(enum transport transport, size_t size)
{
    PAIR(transport, a, b);
    struct message out = {.stream = a, .size = size, .chunk = 65536};
    struct message in = {.stream = b, .chunk = 50000};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, send_message, &out, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_LT(out.done, out.size);
    COIR_REQUIRE_OK(coir_spawn(&group, receive_message, &in, NULL));
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(in.done, out.size);
    COIR_EXPECT(in.intact);
}

COIR_TEST_TAGGED(back_pressure_tcp, "slow")
{
    check_back_pressure(BY_TCP, 16 << 20); /* the kernel's buffers grow to half of it */
}

COIR_TEST_TAGGED(back_pressure_unix, "slow")
{
    check_back_pressure(BY_UNIX, 2 << 20);
}

/* Both directions at once, in odd pieces. */
COIR_TEST(both_directions_at_once)
{
    PAIR(BY_TCP, a, b);
    struct message messages[] = {
        {.stream = a, .size = 20000, .chunk = 777},
        {.stream = b, .size = 20000, .chunk = 3001},
        {.stream = b, .chunk = 999},
        {.stream = a, .chunk = 10},
    };
    COIR_GROUP(group);
    for (size_t i = 0; i < 4; i++)
        COIR_REQUIRE_OK(
            coir_spawn(&group, i < 2 ? send_message : receive_message, &messages[i], NULL));
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT(messages[2].intact && messages[3].intact);
    COIR_EXPECT_EQ(messages[2].done, 20000);
    COIR_EXPECT_EQ(messages[3].done, 20000);
}

COIR_TEST(write_vectors)
{
    PAIR(BY_TCP, a, b);
    enum { COUNT = 2500 };
    static struct iovec vectors[COUNT];
    static char bytes[COUNT], read[COUNT];
    size_t total = 0;
    for (size_t i = 0; i < COUNT; i++) {
        bytes[i] = (char)pattern(i);
        vectors[i] = (struct iovec){&bytes[total], i % 5 != 0};
        total += vectors[i].iov_len;
    }
    COIR_REQUIRE_OK(coir_stream_write_vectors(a, vectors, COUNT));
    COIR_REQUIRE_OK(coir_stream_write_vectors(a, vectors, 0));
    COIR_REQUIRE_OK(coir_stream_read_exactly(b, read, total));
    COIR_EXPECT_BYTES(read, bytes, total);
}

static int write_big_vectors(void *arg)
{
    enum { PIECE = 1 << 20 };
    struct iovec vectors[3];
    for (size_t i = 0; i < 3; i++) {
        unsigned char *data = megabytes(PIECE);
        for (size_t k = 0; k < PIECE; k++)
            data[k] = pattern(i * PIECE + k);
        vectors[i] = (struct iovec){data, PIECE};
    }
    COIR_TRY(coir_stream_write_vectors(arg, vectors, 3));
    return coir_stream_shutdown(arg);
}

COIR_TEST(write_vectors_in_parts)
{
    PAIR(BY_UNIX, a, b);
    struct message in = {.stream = b, .chunk = 60000};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, write_big_vectors, a, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, receive_message, &in, NULL));
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(in.done, 3 << 20);
    COIR_EXPECT(in.intact);
}

/* ---- one reader, one writer ---- */

COIR_TEST(double_read)
{
    PAIR(BY_TCP, a, b);
    COIR_GROUP(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, b, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_CODE(read_some(b), -EBUSY);
    COIR_EXPECT_CODE(read_ten(b), -EBUSY);
    COIR_REQUIRE_OK(coir_stream_write(a, "x", 1));
    COIR_EXPECT_CODE(coir_join(task, NULL), 1);
}

/* A read_exactly is one read, also between its pieces. */
COIR_TEST(double_read_in_pieces)
{
    PAIR(BY_TCP, a, b);
    COIR_GROUP(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, read_ten, b, &task));
    for (int i = 0; i < 10; i++) {
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        COIR_EXPECT_CODE(read_some(b), -EBUSY);
        COIR_REQUIRE_OK(coir_stream_write(a, "x", 1));
    }
    COIR_EXPECT_OK(coir_join(task, NULL));
}

COIR_TEST(double_write)
{
    PAIR(BY_UNIX, a, b);
    struct message out = {.stream = a, .size = 16 << 20, .chunk = 65536};
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, send_message, &out, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_CODE(coir_stream_write(a, "x", 1), -EBUSY);
    COIR_EXPECT_CODE(coir_stream_shutdown(a), -EBUSY);
    coir_cancel(task, NULL);
}

COIR_TEST(interrupted_by_close)
{
    PAIR(BY_TCP, a, b);
    PAIR(BY_TCP, c, d);
    struct message out = {.stream = b, .size = 16 << 20, .chunk = 65536};
    COIR_GROUP_COLLECT(group);
    coir_task *tasks[3];
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, b, &tasks[0]));
    COIR_REQUIRE_OK(coir_spawn(&group, send_message, &out, &tasks[1]));
    COIR_REQUIRE_OK(coir_spawn(&group, read_ten, c, &tasks[2]));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_stream_close(COIR_TAKE(b));
    coir_stream_close(COIR_TAKE(c));
    for (size_t i = 0; i < COIR_COUNT(tasks); i++) {
        int result = 0;
        COIR_REQUIRE_OK(coir_join(tasks[i], &result));
        COIR_EXPECT_EQ(result, -COIR_ECLOSED);
    }
    (void)coir_group_errors(&group);
}

struct some {
    coir_stream *stream;
    size_t written;
};

static int write_some_for_ever(void *arg)
{
    static char data[50000];
    struct some *some = arg;
    struct iovec vectors[] = {{data, 20000}, {data + 20000, 30000}};
    for (;;) {
        size_t n;
        COIR_TRY(coir_stream_write_some(some->stream, vectors, COIR_COUNT(vectors), &n));
        some->written += n;
    }
}

/* Fills what is between, cancels, and finds what was said to be written, no byte more, and a stream
 * that is whole. */
static void check_some_is_exact(coir_stream **a, coir_stream **b, bool closes)
{
    struct some some = {.stream = *a};
    coir_task *task;
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, write_some_for_ever, &some, &task));
    do
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(20)));
    while (some.written == 0); /* simulated ones take their time */
    COIR_EXPECT_CODE(coir_stream_write(*a, "x", 1), -EBUSY);
    if (closes)
        coir_stream_abort(COIR_TAKE(*a));
    else
        coir_cancel(task, NULL);
    int result = 0;
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_CODE(result, closes ? -COIR_ECLOSED : -COIR_ECANCELEDTASK);
    (void)coir_group_errors(&group);
    if (closes)
        return;
    char data[1000];
    for (size_t at = 0; at < some.written;) {
        size_t n = some.written - at < sizeof data ? some.written - at : sizeof data;
        COIR_REQUIRE_OK(coir_stream_read_exactly(*b, data, n));
        at += n;
    }
    COIR_EXPECT_OK(coir_stream_write(*a, "!", 1));
    COIR_EXPECT_OK(coir_stream_read_exactly(*b, data, 1));
    COIR_EXPECT(data[0] == '!');
}

COIR_TEST_TAGGED(some_is_exact, "slow,limit=60")
{
    for (int i = 0; i < 4; i++) {
        PAIR(i < 2 ? BY_TCP : BY_UNIX, a, b);
        check_some_is_exact(&a, &b, i % 2 != 0);
    }
}

COIR_TEST_TAGGED(some_is_exact_through_filters, "slow,limit=60")
{
    for (int i = 0; i < 2; i++) {
        PAIR(BY_UNIX, a, b);
        COIR_REQUIRE_OK(coir_fault_stream_open(COIR_TAKE(a), NULL, &a));
        COIR_REQUIRE_OK(coir_throttle_open(COIR_TAKE(a), NULL, &a));
        check_some_is_exact(&a, &b, i > 0);
    }
}

/* A busy task yields inside its calls when its turn is used up: a close at that moment is told too.
 */
struct busy {
    coir_stream *stream;
    bool stop; /* whoever closes the stream says so first: there must be no further call */
};

static int read_bytes(void *arg)
{
    struct busy *busy = arg;
    char byte;
    size_t n;
    int r = 1;
    while (r > 0 && !busy->stop)
        r = coir_stream_read(busy->stream, &byte, 1, &n);
    return r;
}

static int write_bytes(void *arg)
{
    struct busy *busy = arg;
    int r = 0;
    while (r == 0 && !busy->stop)
        r = coir_stream_write(busy->stream, "x", 1);
    return r;
}

/* Closes after some turns. */
static void check_busy_close(int turns)
{
    PAIR(BY_UNIX, a, b);
    PAIR(BY_UNIX, c, d);
    static char data[20000];
    COIR_REQUIRE_OK(coir_stream_write(a, data, sizeof data));
    struct busy in = {.stream = b}, out = {.stream = c};
    COIR_GROUP_COLLECT(group);
    coir_task *reader, *writer;
    COIR_REQUIRE_OK(coir_spawn(&group, read_bytes, &in, &reader));
    COIR_REQUIRE_OK(coir_spawn(&group, write_bytes, &out, &writer));
    for (int i = 0; i < turns; i++)
        COIR_REQUIRE_OK(coir_yield());
    in.stop = out.stop = true;
    coir_stream_abort(COIR_TAKE(b));
    coir_stream_abort(COIR_TAKE(c));
    int result = 0;
    COIR_REQUIRE_OK(coir_join(reader, &result));
    COIR_EXPECT(result == -COIR_ECLOSED || result == 1);
    COIR_REQUIRE_OK(coir_join(writer, &result));
    COIR_EXPECT(result == -COIR_ECLOSED || result == 0);
    (void)coir_group_errors(&group);
}

COIR_TEST(interrupted_by_close_while_busy)
{
    for (int turns = 0; turns < 6; turns++)
        check_busy_close(turns);
}

static int close_it(void *arg)
{
    coir_stream_close(arg);
    return 0;
}

/* Both ends close at once, with bytes under way in both directions: none waits for the other. */
static void check_close_race(enum transport transport)
{
    PAIR(transport, a, b);
    COIR_REQUIRE_OK(coir_stream_write(a, "one", 3));
    COIR_REQUIRE_OK(coir_stream_write(b, "two", 3));
    coir_time start = coir_now();
    {
        COIR_GROUP(group);
        COIR_REQUIRE_OK(coir_spawn(&group, close_it, a, NULL));
        (void)COIR_TAKE(a);
        COIR_REQUIRE_OK(coir_spawn(&group, close_it, b, NULL));
        (void)COIR_TAKE(b);
        COIR_EXPECT_OK(coir_group_wait(&group));
    }
    COIR_EXPECT_LT(coir_now() - start, COIR_MS(500));
}

COIR_TEST(wait_closed_race_tcp)
{
    check_close_race(BY_TCP);
}

COIR_TEST(wait_closed_race_unix)
{
    check_close_race(BY_UNIX);
}

/* ---- ends of exact reads ---- */

COIR_TEST(readexactly_eof)
{
    PAIR(BY_TCP, a, b);
    char data[16];
    size_t n = 0;
    COIR_REQUIRE_OK(coir_stream_write(a, "1234567", 7));
    COIR_REQUIRE_OK(coir_stream_shutdown(a));
    COIR_EXPECT_CODE(coir_stream_read_exactly(b, data, 16), -COIR_EEOF);
    COIR_EXPECT_CODE(coir_stream_read_exactly(b, data, 16), -COIR_EEOF);
    COIR_REQUIRE_OK(coir_stream_read_exactly(b, data, 3));
    COIR_EXPECT_CODE(coir_stream_read(b, data + 3, 13, &n), 1);
    COIR_EXPECT_EQ(n, 4);
    COIR_EXPECT_BYTES(data, "1234567", 7);
    COIR_EXPECT_CODE(coir_stream_read_exactly(b, data, 1), -COIR_EEOF);
    COIR_EXPECT_CODE(coir_stream_read(b, data, 1, &n), 0);
}
