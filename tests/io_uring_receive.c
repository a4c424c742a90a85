/* io_uring_receive.c: tests of files that receive without being asked each time: when they begin
 * to, what they hold while nobody reads, and that the order stays whatever happens. What reading
 * means otherwise, the other tests say; with COIR_TEST_PATIENCE=0 in the environment every stream
 * of all tests receives from its first read on (and takes more memory than
 * io_readable.an_idle_connection_costs_little allows).
 */
#include <stdlib.h>

#include "io_uring_receive.h"

__attribute__((constructor)) static void take_patience(void)
{
    const char *patience = getenv("COIR_TEST_PATIENCE");
    if (patience != NULL)
        coir__uring_patience = (uint16_t)strtol(patience, NULL, 10);
}

/* ---- beginning ---- */

COIR_TEST_TAGGED(receiving_begins_after_some_small_reads, "no_torture,fifo")
{
    ONLY_HERE;
    coir__uring_patience = 3;
    for (int transport = 0; transport < TRANSPORTS; transport++) {
        PAIR((enum transport)transport, a, b);
        for (int i = 0; i < 3; i++) {
            COIR_REQUIRE_OK(pass(a, b));
            COIR_EXPECT(file_of(b)->receive == NULL);
        }
        COIR_REQUIRE_OK(pass(a, b));
        if (ring_of(coir_loop_current())->pool.refused)
            COIR_SKIP("this kernel cannot do it");
        COIR_EXPECT(is_armed(b));
        for (int i = 0; i < 100; i++)
            COIR_REQUIRE_OK(pass(a, b));
        COIR_EXPECT(is_armed(b));
        COIR_EXPECT_EQ(held_by(b), 0);
        COIR_EXPECT_EQ(ring_of(coir_loop_current())->pool.free,
                       ring_of(coir_loop_current())->pool.count);
    }
    COIR_EXPECT_EQ(ring_of(coir_loop_current())->receives, 0);
}

/* Every way to read takes from what has come. */
COIR_TEST(what_is_held_is_read_by_every_call)
{
    ONLY_HERE;
    ARMED_PAIR(BY_TCP, a, b);
    COIR_REQUIRE_OK(send_unread(a, "one two\nthree"));
    size_t unread = 0;
    COIR_EXPECT_OK(coir_stream_query(b, COIR_QUERY_UNREAD, &unread));
    COIR_EXPECT_EQ(unread, 13);
    COIR_EXPECT_OK(coir_stream_query(b, COIR_QUERY_HELD, &unread));
    COIR_EXPECT_EQ(unread, 13);
    expect_bytes(b, "one");
    coir_bytes bytes;
    COIR_REQUIRE_EQ(coir_stream_read_line(b, 0, &bytes), 1);
    COIR_EXPECT_BYTES(bytes.data, " two", bytes.length);
    COIR_REQUIRE_EQ(coir_stream_peek(b, 1, &bytes), 1);
    COIR_EXPECT_BYTES(bytes.data, "three", bytes.length);
    coir_stream_consume(b, bytes.length);
    COIR_EXPECT_OK(pass(a, b));
    COIR_EXPECT_EQ(held_by(b), 0);
}

COIR_TEST_TAGGED(messages_that_fill_buffers_end_it, "no_torture")
{
    ONLY_HERE;
    ARMED_PAIR(BY_TCP, a, b);
    uint16_t before = file_of(b)->file.patience;
    struct message out = {.stream = a, .size = 1 << 20, .chunk = 16384};
    struct message in = {.stream = b, .chunk = 16384};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, send_message, &out, NULL));
    COIR_EXPECT_OK(receive_message(&in));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT(in.intact && in.done == out.size);
    COIR_EXPECT(!is_armed(b));
    COIR_EXPECT_LT(before, file_of(b)->file.patience);
    COIR_EXPECT_EQ(held_by(b), 0);
}

/* What comes in messages keeps their ends, and what is too long is cut where the reader says. */
COIR_TEST_TAGGED(messages_stay_messages, "no_torture")
{
    ONLY_HERE;
    static const int types[] = {SOCK_SEQPACKET, SOCK_DGRAM};
    for (size_t i = 0; i < COIR_COUNT(types); i++) {
        COIR_AUTO(coir_stream) *stream = NULL;
        int fds[2];
        COIR_REQUIRE_EQ(socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, fds), 0);
        COIR_REQUIRE_OK(coir_stream_adopt(fds[0], &stream));
        for (int j = 0; j < 20; j++) {
            char data[16];
            size_t n = 0;
            COIR_EXPECT_EQ(send(fds[1], "one", 3, 0), 3);
            COIR_EXPECT_EQ(send(fds[1], "second", 6, 0), 6);
            COIR_REQUIRE_EQ(coir_stream_read(stream, data, sizeof data, &n), 1);
            COIR_EXPECT_EQ(n, 3);
            COIR_REQUIRE_EQ(coir_stream_read(stream, data, 4, &n), 1);
            COIR_EXPECT_BYTES(data, "seco", n);
        }
        COIR_EXPECT(file_of(stream)->receive == NULL);
        close(fds[1]);
    }
}

/* ---- those that do not read ---- */

struct writing {
    coir_stream *stream;
    size_t written;
};

/* Writes small pieces until it is blocked for good. */
static int write_on(void *arg)
{
    struct writing *writing = arg;
    for (;;) {
        unsigned char data[100];
        for (size_t i = 0; i < sizeof data; i++)
            data[i] = pattern(writing->written + i);
        COIR_DEADLINE(COIR_SEC(1));
        int r = coir_stream_write(writing->stream, data, sizeof data);
        if (r < 0)
            return r == -ETIME ? 0 : r;
        writing->written += sizeof data;
    }
}

/* The peer of a reader that does not read is blocked as ever, and holds a few buffers. */
COIR_TEST_TAGGED(slow_reader_does_not_starve_others, "no_torture,slow")
{
    ONLY_HERE;
    ARMED_PAIR(BY_TCP, a, b);
    ARMED_PAIR(BY_TCP, c, d);
    struct writing writing = {.stream = a};
    coir_task *writer = NULL;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, write_on, &writing, &writer));
    for (int i = 0; i < 200; i++) {
        COIR_REQUIRE_OK(pass(c, d));
        if (i % 10 == 0)
            COIR_REQUIRE_OK(settle());
    }
    COIR_EXPECT_OK(coir_join(writer, NULL));
    COIR_EXPECT(!is_armed(b));
    COIR_EXPECT(is_armed(d));
    COIR_EXPECT(held_by(b) > 0);
    COIR_EXPECT_LE(held_by(b), 40); /* the kernel may bring 32 at once */
    struct message in = {.stream = b, .chunk = 4096, .intact = true};
    size_t n;
    unsigned char data[4096];
    while (in.done < writing.written) {
        COIR_REQUIRE_EQ(coir_stream_read(b, data, sizeof data, &n), 1);
        for (size_t i = 0; i < n; i++)
            in.intact &= data[i] == pattern(in.done + i);
        in.done += n;
    }
    COIR_EXPECT(in.intact);
    COIR_EXPECT_EQ(held_by(b), 0);
    COIR_EXPECT_EQ(ring_of(coir_loop_current())->pool.free,
                   ring_of(coir_loop_current())->pool.count);
}

enum { CROWD = 100 };

struct crowd {
    coir_stream *a[CROWD], *b[CROWD];
};

static int open_crowd(struct crowd *crowd)
{
    for (int i = 0; i < CROWD; i++) {
        COIR_TRY(open_pair(BY_UNIX, &crowd->a[i], &crowd->b[i]));
        COIR_TRY(arm(crowd->a[i], crowd->b[i]));
    }
    return 0;
}

static int talk(struct crowd *crowd)
{
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < CROWD; i++)
            COIR_TRY(coir_stream_write(crowd->a[i], "hello", 5));
        COIR_TRY(settle());
        for (int i = 0; i < CROWD; i++) {
            char data[8];
            COIR_TRY(coir_stream_read_exactly(crowd->b[i], data, 5));
            COIR_TRY(memcmp(data, "hello", 5) == 0 ? 0 : -EBADMSG);
        }
    }
    return 0;
}

static void close_crowd(struct crowd *crowd)
{
    for (int i = 0; i < CROWD; i++) {
        coir_stream_close(crowd->a[i]);
        coir_stream_close(crowd->b[i]);
    }
}

/* More come at once than there are buffers. Then there are more buffers; or, when that is all that
 * there may be, those that found none are read as others are. */
COIR_TEST_TAGGED(nothing_is_lost_when_the_pool_is_empty, "no_torture")
{
    ONLY_HERE;
    struct coir__uring *uring = ring_of(coir_loop_current());
    for (int most = 0; most < 2; most++) {
        struct crowd crowd = {0};
        int r = open_crowd(&crowd);
        COIR_EXPECT_OK(r);
        uint32_t before = uring->pool.count;
        if (uring->pool.refused) {
            close_crowd(&crowd);
            COIR_SKIP("this kernel cannot do it");
        }
        COIR_EXPECT_EQ(uring->pool.free, before);
        if (most)
            uring->pool.count = 1024; /* as if */
        if (r == 0)
            COIR_EXPECT_OK(talk(&crowd));
        if (most)
            uring->pool.count = before;
        else
            COIR_EXPECT_LT(before, uring->pool.count);
        close_crowd(&crowd);
        COIR_EXPECT_EQ(uring->pool.free, uring->pool.count);
        COIR_EXPECT_EQ(uring->receives, 0);
    }
}

/* ---- the end and what was before ---- */

COIR_TEST(end_comes_after_what_is_held)
{
    ONLY_HERE;
    ARMED_PAIR(BY_TCP, a, b);
    COIR_REQUIRE_OK(coir_stream_write(a, "last", 4));
    coir_stream_close(COIR_TAKE(a));
    COIR_REQUIRE_OK(settle());
    expect_bytes(b, "last");
    COIR_EXPECT_CODE(read_some(b), 0);
    COIR_EXPECT_CODE(read_some(b), 0);
}

COIR_TEST(reset_comes_after_what_is_held)
{
    ONLY_HERE;
    ARMED_PAIR(BY_TCP, a, b);
    COIR_REQUIRE_OK(send_unread(a, "last"));
    coir_stream_abort(COIR_TAKE(a));
    COIR_REQUIRE_OK(settle());
    expect_bytes(b, "last");
    COIR_EXPECT_CODE(read_some(b), -ECONNRESET);
    COIR_EXPECT_CODE(read_some(b), 0);
}

/* Without anything that would be the kernel's the wait ends at once; what comes is for the next. */
COIR_TEST(cancelled_read_leaves_what_comes)
{
    ONLY_HERE;
    ARMED_PAIR(BY_TCP, a, b);
    coir_task *reader = NULL;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, b, &reader));
    COIR_REQUIRE_OK(settle());
    coir_cancel(reader, NULL);
    COIR_EXPECT_CODE(coir_join(reader, NULL), -COIR_ECANCELEDTASK);
    COIR_EXPECT(coir_test_tortured() || is_armed(b));
    COIR_REQUIRE_OK(send_unread(a, "kept"));
    expect_bytes(b, "kept");
}

/* Cancelled when the bytes are there, but were not looked at. */
COIR_TEST(cancelled_read_with_bytes_loses_none)
{
    ONLY_HERE;
    ARMED_PAIR(BY_TCP, a, b);
    coir_task *reader = NULL;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, b, &reader));
    COIR_REQUIRE_OK(settle());
    COIR_REQUIRE_OK(coir_stream_write(a, "x", 1));
    coir_cancel(reader, NULL);
    if (coir_join(reader, NULL) != 1)
        expect_bytes(b, "x");
    COIR_EXPECT_OK(pass(a, b));
}

/* ---- the order ---- */

struct mixed {
    coir_stream *stream;
    size_t size;
    unsigned state;
};

static unsigned next(unsigned *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

/* Pieces of 1 to 8,000 bytes, mostly small, with pauses. */
static int send_mixed(void *arg)
{
    struct mixed *mixed = arg;
    unsigned char data[8192];
    for (size_t at = 0; at < mixed->size;) {
        size_t n = next(&mixed->state) % (next(&mixed->state) % 16 == 0 ? 8000 : 200) + 1;
        n = n < mixed->size - at ? n : mixed->size - at;
        for (size_t i = 0; i < n; i++)
            data[i] = pattern(at + i);
        COIR_TRY(coir_stream_write(mixed->stream, data, n));
        at += n;
        if (next(&mixed->state) % 3 == 0)
            COIR_TRY(settle());
    }
    return coir_stream_shutdown(mixed->stream);
}

/* Reads, sometimes for a short time only. */
static int read_mixed(struct mixed *mixed, unsigned char *data, size_t size, size_t *ret_n)
{
    COIR_DEADLINE(next(&mixed->state) % 4 == 0 ? COIR_US(500) : COIR_FOREVER);
    *ret_n = 0;
    int r = coir_stream_read(mixed->stream, data, next(&mixed->state) % size + 1, ret_n);
    return r == -ETIME ? 1 : r;
}

static int receive_mixed(struct mixed *mixed, size_t *ret_done, bool *ret_intact)
{
    unsigned char data[4096];
    size_t n;
    int r = 1;
    *ret_done = 0;
    *ret_intact = true;
    while (r > 0) {
        r = read_mixed(mixed, data, sizeof data, &n);
        for (size_t i = 0; r > 0 && i < n; i++)
            *ret_intact &= data[i] == pattern(*ret_done + i);
        *ret_done += r > 0 ? n : 0;
        if (r > 0 && next(&mixed->state) % 8 == 0)
            COIR_TRY(settle());
    }
    return r;
}

/* Whatever the sizes and pauses, and however often reads are given up. */
COIR_TEST_TAGGED(order_stays_whatever_happens, "no_torture,slow")
{
    ONLY_HERE;
    coir__uring_patience = 1;
    for (unsigned seed = 1; seed <= 4; seed++) {
        PAIR(BY_TCP, a, b);
        struct mixed out = {.stream = a, .size = 400000, .state = seed};
        struct mixed in = {.stream = b, .state = seed + 100};
        COIR_GROUP(group);
        COIR_REQUIRE_OK(coir_spawn(&group, send_mixed, &out, NULL));
        size_t done = 0;
        bool intact = false;
        COIR_EXPECT_OK(receive_mixed(&in, &done, &intact));
        COIR_EXPECT_OK(coir_group_wait(&group));
        COIR_EXPECT(intact);
        COIR_EXPECT_EQ(done, out.size);
    }
}
