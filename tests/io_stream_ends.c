/* io_stream_ends.c: tests of how streams end: cancelled calls and what they leave behind, closing,
 * calls that are wrong, and streams over functions of one's own.
 */
#include <coir/socket.h>

#include "megabytes.h"
#include "net_pair.h"

/* ---- cancellation ---- */

COIR_TEST(cancelled_read_loses_nothing)
{
    PAIR(BY_TCP, a, b);
    char data[100];
    size_t total = 0;
    int rounds = 0;
    for (size_t sent = 0; total < sizeof data; rounds++) {
        size_t n = 0;
        COIR_REQUIRE_EQ(coir_pending(), 0);
        if (sent < sizeof data) {
            unsigned char byte = pattern(sent++);
            COIR_REQUIRE_OK(coir_stream_write(a, &byte, 1));
        }
        COIR_SCOPE(scope, COIR_FOREVER);
        if (rounds % 3 == 0) /* while it waits, or before */
            coir_scope_cancel(&scope, NULL);
        int r = coir_stream_read(b, data + total, sizeof data - total, &n);
        if (!COIR_EXPECT(r == 1 || r == -ECANCELED))
            return;
        total += r == 1 ? n : 0;
    }
    for (size_t i = 0; i < sizeof data; i++)
        COIR_EXPECT_EQ((unsigned char)data[i], pattern(i));
}

struct exact {
    coir_stream *stream;
    char data[8];
    size_t done;
};

static int read_exactly_under_fire(void *arg)
{
    struct exact *exact = arg;
    return coir_stream_read_exactly(exact->stream, exact->data, sizeof exact->data);
}

/* Whenever an exact read is cancelled, what it had taken comes back. */
COIR_TEST(cancelled_read_exactly_gives_bytes_back)
{
    PAIR(BY_TCP, a, b);
    for (size_t sent = 0; sent < 8; sent++) {
        struct exact exact = {.stream = b};
        COIR_GROUP_COLLECT(group);
        coir_task *task;
        COIR_REQUIRE_OK(coir_spawn(&group, read_exactly_under_fire, &exact, &task));
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        char byte = (char)('a' + (int)sent);
        COIR_REQUIRE_OK(coir_stream_write(a, &byte, 1));
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        coir_cancel(task, NULL);
        int result = 0;
        COIR_REQUIRE_OK(coir_join(task, &result));
        if (sent == 7 && result == 0) {
            COIR_EXPECT_BYTES(exact.data, "abcdefgh", 8);
            return;
        }
        COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
    }
    char data[8];
    COIR_REQUIRE_OK(coir_stream_read_exactly(b, data, 8));
    COIR_EXPECT_BYTES(data, "abcdefgh", 8);
}

/* An interrupted write breaks the stream, and the peer cannot take the piece for the whole. */
COIR_TEST(cancelled_write_breaks_the_stream)
{
    PAIR(BY_TCP, a, b);
    enum { BIG = 8 << 20 }; /* larger than any buffer: some of it will have been sent */
    char *big = megabytes(BIG);
    struct iovec vectors[] = {{big, BIG}, {big, BIG}};
    bool simulated = strcmp(coir_test_backend(), "sim") == 0; /* it may be slow, in virtual time */
    COIR_SCOPE(scope, simulated ? COIR_SEC(1) : COIR_MS(20));
    COIR_EXPECT_CODE(coir_stream_write_vectors(a, vectors, 2), -ETIME);
    coir_scope_leave(&scope);
    COIR_EXPECT_CODE(coir_stream_write(a, "x", 1), -COIR_EBROKENSTREAM);
    COIR_EXPECT_CODE(coir_stream_shutdown(a), -COIR_EBROKENSTREAM);
    COIR_REQUIRE_OK(coir_stream_write(b, "still read", 10));
    COIR_EXPECT_CODE(coir_stream_read_exactly(a, big, 10), 0);
    coir_stream_close(COIR_TAKE(a));
    struct message in = {.stream = b, .chunk = 65536};
    COIR_EXPECT_CODE(receive_message(&in), -ECONNRESET);
}

COIR_TEST(a_write_that_did_nothing_breaks_nothing)
{
    PAIR(BY_TCP, a, b);
    char data[4];
    COIR_SCOPE(scope, COIR_FOREVER);
    coir_scope_cancel(&scope, NULL);
    COIR_EXPECT_CODE(coir_stream_write(a, "lost", 4), -ECANCELED);
    coir_scope_leave(&scope);
    COIR_REQUIRE_OK(coir_stream_write(a, "sent", 4));
    COIR_REQUIRE_OK(coir_stream_read_exactly(b, data, 4));
    COIR_EXPECT_BYTES(data, "sent", 4);
}

COIR_TEST(read_has_a_deadline)
{
    PAIR(BY_TCP, a, b);
    coir_time start = coir_now();
    COIR_SCOPE(scope, COIR_MS(30));
    COIR_EXPECT_CODE(read_some(b), -ETIME);
    COIR_EXPECT(coir_scope_expired(&scope));
    COIR_EXPECT_GE(coir_now() - start, COIR_MS(30));
    coir_scope_leave(&scope);
    COIR_REQUIRE_OK(coir_stream_write(a, "x", 1));
    COIR_EXPECT_CODE(read_some(b), 1);
}

/* ---- closing ---- */

COIR_TEST(close_in_a_cancelled_scope_resets)
{
    PAIR(BY_TCP, a, b);
    COIR_SCOPE(scope, COIR_FOREVER);
    coir_scope_cancel(&scope, NULL);
    coir_stream_close(COIR_TAKE(a));
    coir_scope_leave(&scope);
    COIR_EXPECT_CODE(read_some(b), -ECONNRESET);
}

/* What was written before a close arrives, even when the closer had unread bytes, and the peer goes
 * on sending: without care the kernel would reset the connection. */
static void check_unread(enum transport transport)
{
    PAIR(transport, a, b);
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_stream_write(a, "unread", 6));
    COIR_REQUIRE_OK(coir_stream_write(b, "answer", 6));
    struct message out = {.stream = a, .size = 300000, .chunk = 65536};
    COIR_REQUIRE_OK(coir_spawn(&group, send_message, &out, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_stream_close(COIR_TAKE(b));
    COIR_EXPECT_OK(coir_group_wait(&group));
    char data[8];
    size_t n;
    COIR_EXPECT_OK(coir_stream_read_exactly(a, data, 6));
    COIR_EXPECT_BYTES(data, "answer", 6);
    COIR_EXPECT_CODE(coir_stream_read(a, data, sizeof data, &n), 0);
}

COIR_TEST(wait_closed_on_close_with_unread_data_tcp)
{
    check_unread(BY_TCP);
}

COIR_TEST(wait_closed_on_close_with_unread_data_unix)
{
    check_unread(BY_UNIX);
}

static int send_for_ever(void *arg)
{
    char data[1000] = "";
    for (;;) {
        COIR_TRY(coir_stream_write(arg, data, sizeof data));
        COIR_TRY(coir_sleep(COIR_MS(200)));
    }
}

/* A peer that never stops is given a second. */
COIR_TEST_TAGGED(close_does_not_wait_for_ever, "slow")
{
    PAIR(BY_TCP, a, b);
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, send_for_ever, a, &task));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(100)));
    coir_time start = coir_now();
    coir_stream_close(COIR_TAKE(b));
    COIR_EXPECT_GE(coir_now() - start, COIR_MS(900));
    COIR_EXPECT_LT(coir_now() - start, COIR_SEC(3));
    int result = 0;
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT(result == -ECONNRESET || result == -EPIPE);
    (void)coir_group_errors(&group);
}

COIR_TEST(close_without_unread_data_takes_no_time)
{
    PAIR(BY_TCP, a, b);
    struct coir_loop_stats before, after;
    coir_loop_stats(NULL, &before);
    coir_stream_close(COIR_TAKE(a));
    coir_stream_close(COIR_TAKE(b));
    coir_stream_close(NULL);
    coir_stream_abort(NULL);
    coir_loop_stats(NULL, &after);
    COIR_EXPECT_EQ(after.turns, before.turns);
    COIR_EXPECT_EQ(after.descriptors, before.descriptors - 2);
}

/* ---- wrong calls ---- */

COIR_TEST(wrong_calls)
{
    PAIR(BY_TCP, a, b);
    char data[4];
    size_t n;
    COIR_EXPECT_CODE(coir_stream_read(NULL, data, 4, &n), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_read(a, data, 0, &n), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_read(a, data, 4, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_write(NULL, data, 4), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_write_vectors(a, NULL, 1), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_open(NULL, NULL, &a), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_open(&(coir_stream_ops){.name = "x"}, NULL, &a), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_from_socket(NULL, &a), -EINVAL);
    COIR_EXPECT_OK(coir_stream_write(a, "", 0));
    COIR_EXPECT_OK(coir_stream_read_exactly(b, data, 0));
}

COIR_TEST_TAGGED(outside_a_task, "own_loop")
{
    char data[4];
    size_t n;
    coir_socket *socket;
    COIR_EXPECT_CODE(coir_socket_open(AF_INET, SOCK_STREAM, &socket), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_stream_read((coir_stream *)&n, data, 4, &n), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_stream_write((coir_stream *)&n, data, 4), -COIR_ENOTASK);
}

/* ---- streams of one's own ---- */

/* Gives back what is written to it, one byte at a read. */
struct mirror {
    char data[64];
    size_t first, count;
    int closed; /* 1: gracefully, 2: abruptly */
    bool slow;
};

static int mirror_read(void *state, void *data, size_t size, size_t *ret_n)
{
    struct mirror *mirror = state;
    (void)size;
    COIR_TRY(mirror->slow ? coir_sleep(COIR_SEC(1)) : coir_yield());
    if (mirror->first == mirror->count)
        return 0;
    *(char *)data = mirror->data[mirror->first++];
    *ret_n = 1;
    return 1;
}

static int mirror_write(void *state, const struct iovec *vectors, size_t count, size_t *ret_n)
{
    struct mirror *mirror = state;
    *ret_n = 0;
    COIR_TRY(mirror->slow ? coir_sleep(COIR_SEC(1)) : coir_yield());
    for (size_t i = 0; i < count; i++) {
        memcpy(mirror->data + mirror->count, vectors[i].iov_base, vectors[i].iov_len);
        mirror->count += vectors[i].iov_len;
        *ret_n += vectors[i].iov_len;
    }
    return 0;
}

static int mirror_shutdown(void *state)
{
    (void)state;
    return 0;
}

static void mirror_close(void *state, bool abrupt)
{
    ((struct mirror *)state)->closed = abrupt ? 2 : 1;
}

static const coir_stream_ops mirror_ops = {
    .name = "mirror",
    .read = mirror_read,
    .write = mirror_write,
    .shutdown = mirror_shutdown,
    .close = mirror_close,
};

COIR_TEST(a_stream_of_ones_own)
{
    struct mirror mirror = {.count = 0};
    coir_stream *stream = NULL;
    char data[8], address[COIR_ADDRESS_TEXT];
    COIR_REQUIRE_OK(coir_stream_open(&mirror_ops, &mirror, &stream));
    COIR_EXPECT_OK(coir_stream_write(stream, "abc", 3));
    struct iovec vectors[] = {{(void *)(uintptr_t) "de", 2}, {(void *)(uintptr_t) "f", 1}};
    COIR_EXPECT_OK(coir_stream_write_vectors(stream, vectors, 2));
    COIR_EXPECT_OK(coir_stream_read_exactly(stream, data, 6));
    COIR_EXPECT_BYTES(data, "abcdef", 6);
    COIR_EXPECT_CODE(coir_stream_read_exactly(stream, data, 1), -COIR_EEOF);
    COIR_EXPECT_OK(coir_stream_shutdown(stream));
    COIR_EXPECT_CODE(coir_stream_peer(stream, address, sizeof address), -ENOTSOCK);
    coir_stream_close(stream);
    COIR_EXPECT_EQ(mirror.closed, 1);
}

/* ---- a call that does not end when it should ---- */

static int stubborn_read(void *state, void *data, size_t size, size_t *ret_n)
{
    struct mirror *mirror = state;
    (void)size;
    COIR_SHIELD(COIR_FOREVER);
    COIR_TRY(coir_sleep(COIR_SEC(1)));
    COIR_EXPECT_EQ(mirror->closed, 0); /* its state is still there */
    *(char *)data = 'x';
    *ret_n = 1;
    return 1;
}

static const coir_stream_ops stubborn_ops = {
    .name = "stubborn",
    .read = stubborn_read,
    .write = mirror_write,
    .shutdown = mirror_shutdown,
    .close = mirror_close,
};

/* A stream is closed when the last call has left it; what that call did is its result. */
COIR_TEST(a_stream_is_closed_when_the_last_call_has_left)
{
    struct mirror mirror = {.count = 0};
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_REQUIRE_OK(coir_stream_open(&stubborn_ops, &mirror, &stream));
    coir_time start = coir_now();
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, stream, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_stream_close(COIR_TAKE(stream));
    COIR_EXPECT_EQ(mirror.closed, 0);
    COIR_EXPECT_EQ(coir_now() - start, 0);
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, 1);
    COIR_EXPECT_EQ(mirror.closed, 1);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
}

static int write_one(void *arg)
{
    return coir_stream_write(arg, "x", 1);
}

COIR_TEST(a_stream_of_ones_own_has_one_reader_and_one_writer)
{
    struct mirror mirror = {.slow = true};
    coir_stream *stream = NULL;
    COIR_REQUIRE_OK(coir_stream_open(&mirror_ops, &mirror, &stream));
    {
        COIR_GROUP(group);
        COIR_EXPECT_OK(coir_spawn(&group, write_one, stream, NULL));
        COIR_EXPECT_OK(coir_spawn(&group, read_some, stream, NULL));
        COIR_EXPECT_OK(coir_test_wait_all_blocked());
        COIR_EXPECT_CODE(read_some(stream), -EBUSY);
        COIR_EXPECT_CODE(write_one(stream), -EBUSY);
        COIR_EXPECT_CODE(coir_stream_shutdown(stream), -EBUSY);
        COIR_EXPECT_OK(coir_group_wait(&group));
    }
    coir_stream_abort(stream);
    COIR_EXPECT_EQ(mirror.closed, 2);
}

/* Whoever is inside a stream of one's own when it is closed is told so. */
static void close_while_used(coir_stream **stream)
{
    COIR_GROUP_COLLECT(group);
    coir_task *reader, *writer;
    COIR_REQUIRE_OK(coir_spawn(&group, read_ten, *stream, &reader));
    COIR_REQUIRE_OK(coir_spawn(&group, write_one, *stream, &writer));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_stream_close(COIR_TAKE(*stream));
    int result = 0;
    COIR_REQUIRE_OK(coir_join(reader, &result));
    COIR_EXPECT_EQ(result, -COIR_ECLOSED);
    COIR_REQUIRE_OK(coir_join(writer, &result));
    COIR_EXPECT_EQ(result, -COIR_ECLOSED);
    (void)coir_group_errors(&group);
}

COIR_TEST(a_stream_of_ones_own_is_closed_while_it_is_used)
{
    struct mirror mirror = {.slow = true};
    coir_stream *stream = NULL;
    COIR_REQUIRE_OK(coir_stream_open(&mirror_ops, &mirror, &stream));
    close_while_used(&stream);
    coir_stream_close(stream);
    COIR_EXPECT_NE(mirror.closed, 0);
}
