/* io_uring_receive.c: tests of files that receive without being asked each time: when they begin
 * to, what they hold while nobody reads, how it ends, and that the order stays whatever happens.
 * What reading means otherwise, the other tests say; with COIR_TEST_PATIENCE=0 in the environment
 * every stream of all tests receives from its first read on (and takes more memory than
 * io_readable.an_idle_connection_costs_little allows).
 */
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>

#include <coir/group.h>
#include <coir/stream.h>

#include "child.h"
#include "core_loop.h"
#include "io/stream.h"
#include "io_uring.h"

__attribute__((constructor)) static void take_patience(void)
{
    const char *patience = getenv("COIR_TEST_PATIENCE");
    if (patience != NULL)
        coir__uring_patience = (uint16_t)strtol(patience, NULL, 10);
}

static struct coir__uring_file *file_of(const coir_stream *stream)
{
    return coir__uring_file_of(stream->file);
}

static bool is_armed(const coir_stream *stream)
{
    const struct coir__uring_receive *receive = file_of(stream)->receive;
    return receive != NULL && receive->op.active;
}

static unsigned held_by(const coir_stream *stream)
{
    const struct coir__uring_receive *receive = file_of(stream)->receive;
    return receive != NULL ? receive->held : 0;
}

/* A byte from a to b. */
static int pass(coir_stream *a, coir_stream *b)
{
    COIR_TRY(coir_stream_write(a, "x", 1));
    int r = read_some(b);
    return r == 1 ? 0 : r < 0 ? r : -EBADMSG;
}

/* Lets b receive. */
static int arm(coir_stream *a, coir_stream *b)
{
    for (unsigned i = 0; i <= coir__uring_patience; i++)
        COIR_TRY(pass(a, b));
    return 0;
}

/* Lets come what is under way. */
static int settle(void)
{
    return coir_sleep(COIR_MS(1));
}

/* What arrives while nobody reads is held. */
static int send_unread(coir_stream *a, const char *text)
{
    COIR_TRY(coir_stream_write(a, text, strlen(text)));
    return settle();
}

#define ARMED_PAIR(transport, a, b)                                                                \
    PAIR(transport, a, b);                                                                         \
    COIR_REQUIRE_OK(arm(a, b));                                                                    \
    if (ring_of(coir_loop_current())->pool.refused)                                                \
        COIR_SKIP("this kernel cannot do it");                                                     \
    if (!coir_test_tortured())                                                                     \
    COIR_REQUIRE(is_armed(b))

static void expect_bytes(coir_stream *stream, const char *text)
{
    char data[64] = "";
    COIR_REQUIRE(strlen(text) < sizeof data);
    COIR_EXPECT_OK(coir_stream_read_exactly(stream, data, strlen(text)));
    COIR_EXPECT_STR(data, text);
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
    uint16_t before = file_of(b)->patience;
    struct message out = {.stream = a, .size = 1 << 20, .chunk = 16384};
    struct message in = {.stream = b, .chunk = 16384};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, send_message, &out, NULL));
    COIR_EXPECT_OK(receive_message(&in));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT(in.intact && in.done == out.size);
    COIR_EXPECT(!is_armed(b));
    COIR_EXPECT_LT(before, file_of(b)->patience);
    COIR_EXPECT_EQ(held_by(b), 0);
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
        if (uring->pool.refused)
            COIR_SKIP("this kernel cannot do it");
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

/* ---- closing ---- */

/* The kernel would reset the peer for bytes that nobody has read; they are here. */
COIR_TEST(closing_with_held_bytes_resets_the_peer)
{
    ONLY_HERE;
    ARMED_PAIR(BY_TCP, a, b);
    COIR_REQUIRE_OK(send_unread(a, "unread"));
    struct coir__file *file = b->file;
    COIR_EXPECT(coir_test_tortured() || held_by(b) == 1);
    coir__file_release(file, false);
    b = NULL;
    COIR_EXPECT_CODE(read_some(a), -ECONNRESET);
}

COIR_TEST(closing_politely_reads_what_is_held)
{
    ONLY_HERE;
    ARMED_PAIR(BY_TCP, a, b);
    COIR_REQUIRE_OK(send_unread(a, "unread"));
    COIR_REQUIRE_OK(coir_stream_shutdown(a));
    coir_stream_close(COIR_TAKE(b));
    COIR_EXPECT_CODE(read_some(a), 0);
}

/* The descriptor is closed when the kernel has let go, so the peer knows before the loop turns. */
COIR_TEST_TAGGED(closing_has_its_effect_at_once, "no_torture")
{
    ONLY_HERE;
    ARMED_PAIR(BY_TCP, a, b);
    struct pollfd peer = {.fd = a->file->fd, .events = POLLIN};
    COIR_EXPECT_EQ(poll(&peer, 1, 0), 0);
    coir_stream_close(COIR_TAKE(b));
    COIR_EXPECT_EQ(poll(&peer, 1, 0), 1);
    COIR_EXPECT_EQ(ring_of(coir_loop_current())->receives, 0);
    COIR_EXPECT_CODE(read_some(a), 0);
}

/* The kernel does not do its part in time: it gets what it needs, and its memory waits for it. */
COIR_TEST_TAGGED(closing_does_not_wait_for_ever, "no_torture")
{
    ONLY_HERE;
    ARMED_PAIR(BY_TCP, a, b);
    struct coir__uring *uring = ring_of(coir_loop_current());
    COIR_REQUIRE_OK(send_unread(a, "unread"));
    FAULT(URING_ENTER, EAGAIN, 1);
    coir_stream_abort(COIR_TAKE(b));
    coir__sys_fault = NULL;
    COIR_EXPECT_EQ(uring->receives, 1);
    COIR_EXPECT_CODE(read_some(a), -ECONNRESET);
    COIR_EXPECT_EQ(uring->receives, 0);
    COIR_EXPECT_EQ(uring->pool.free, uring->pool.count);
}

/* Whoever knows the descriptor may read from it: nothing is taken that no read has asked for. */
COIR_TEST_TAGGED(descriptor_that_is_shown_is_read_on_demand, "no_torture")
{
    ONLY_HERE;
    ARMED_PAIR(BY_TCP, a, b);
    COIR_REQUIRE_OK(send_unread(a, "before"));
    int fd = -1;
    COIR_REQUIRE_OK(coir_stream_query(b, COIR_QUERY_DESCRIPTOR, &fd));
    COIR_EXPECT(!is_armed(b));
    COIR_REQUIRE_OK(send_unread(a, "after"));
    char data[8] = "";
    COIR_EXPECT_EQ(recv(fd, data, sizeof data - 1, 0), 5);
    COIR_EXPECT_STR(data, "after");
    expect_bytes(b, "before");
    COIR_EXPECT_OK(arm(a, b));
    COIR_EXPECT(!is_armed(b));
}

struct left {
    coir_stream *a, *b;
    bool held;
};

static int leave_armed(void *arg)
{
    struct left *left = arg;
    COIR_TRY(open_pair(BY_TCP, &left->a, &left->b));
    COIR_TRY(arm(left->a, left->b));
    return left->held ? send_unread(left->a, "held") : 0;
}

static int close_both(void *arg)
{
    struct left *left = arg;
    coir_stream_close(COIR_TAKE(left->a));
    coir_stream_close(COIR_TAKE(left->b));
    return 0;
}

/* Closes b when the kernel does not do its part. */
static int close_too_early(void *arg)
{
    struct left *left = arg;
    COIR_TRY(leave_armed(left));
    FAULT(URING_ENTER, EAGAIN, 1);
    coir_stream_abort(COIR_TAKE(left->b));
    coir__sys_fault = NULL;
    coir_stream_abort(COIR_TAKE(left->a));
    return 0;
}

/* The loop's buffers go when the kernel has let go of them. */
COIR_TEST_TAGGED(loop_closes_after_what_it_receives, "own_loop,no_torture")
{
    ONLY_HERE;
    for (int held = 0; held < 2; held++) {
        coir_loop *loop = NULL;
        struct left left = {.held = held};
        COIR_REQUIRE_OK(open_loop(&loop));
        COIR_EXPECT_OK(run_task(loop, close_too_early, &left));
        COIR_EXPECT(ring_of(loop)->pool.refused || ring_of(loop)->receives == 1);
        coir_loop_close(loop);
    }
}

static int close_loop_only(void *arg)
{
    struct left *left = arg;
    coir_loop *loop = NULL;
    if (open_loop(&loop) < 0 || run_task(loop, leave_armed, left) < 0)
        return 10;
    coir_loop_close(loop);
    return 12;
}

/* Also when the program has left the streams open. */
COIR_TEST_TAGGED(loop_closes_before_what_it_receives, "own_loop,no_torture")
{
    ONLY_HERE;
    for (int held = 0; held < 2; held++) {
        struct left left = {.held = held};
        struct child child;
        COIR_REQUIRE_OK(child_run(&child, close_loop_only, &left));
        COIR_EXPECT_EQ(WIFEXITED(child.status) ? WEXITSTATUS(child.status) : -1, 12);
    }
}

static int close_in_child(void *arg)
{
    struct left *left = arg;
    coir_loop *loop = left->b->loop;
    if (loop->backend->file_unread(loop, left->b->file) != 4)
        return 10;
    (void)coir_loop_close(loop);
    return 12;
}

COIR_TEST_TAGGED(child_has_a_copy_of_what_is_held, "own_loop,no_torture")
{
    ONLY_HERE;
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
    COIR_SKIP("the sanitizer does not follow tasks through fork");
#endif
#endif
    LOOP(loop);
    struct left left = {.held = true};
    COIR_EXPECT_OK(run_task(loop, leave_armed, &left));
    struct child child;
    COIR_REQUIRE_OK(child_run(&child, close_in_child, &left));
    COIR_EXPECT_EQ(WIFEXITED(child.status) ? WEXITSTATUS(child.status) : -1, 12);
    COIR_EXPECT_EQ(left.b->loop->backend->file_unread(loop, left.b->file), 4);
    COIR_EXPECT_OK(run_task(loop, close_both, &left));
}

/* ---- waiting without reading ---- */

struct found {
    coir_stream *stream;
    int result;
    bool started;
};

static int note_start(void *arg)
{
    struct found *found = arg;
    found->started = true;
    found->result = read_some(found->stream);
    return found->result < 0 ? found->result : 0;
}

static void starts_task(bool before)
{
    ARMED_PAIR(BY_TCP, a, b);
    struct found found = {.stream = b};
    COIR_GROUP(group);
    if (before)
        COIR_REQUIRE_OK(send_unread(a, "x"));
    COIR_REQUIRE_OK(coir_spawn_on_readable(&group, b, COIR_FOREVER, note_start, &found));
    if (!before) {
        COIR_REQUIRE_OK(settle());
        COIR_EXPECT(!found.started);
        COIR_REQUIRE_OK(coir_stream_write(a, "x", 1));
    }
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_CODE(found.result, 1);
}

COIR_TEST(task_starts_when_something_is_held)
{
    ONLY_HERE;
    starts_task(true);
}

COIR_TEST(task_starts_when_something_is_received)
{
    ONLY_HERE;
    starts_task(false);
}

COIR_TEST(task_starts_at_an_end_that_is_held)
{
    ONLY_HERE;
    for (int waits = 0; waits < 2; waits++) {
        ARMED_PAIR(BY_TCP, a, b);
        struct found found = {.stream = b};
        COIR_GROUP(group);
        if (!waits) {
            coir_stream_close(COIR_TAKE(a));
            COIR_REQUIRE_OK(settle());
        }
        COIR_REQUIRE_OK(coir_spawn_on_readable(&group, b, COIR_FOREVER, note_start, &found));
        if (waits) {
            COIR_REQUIRE_OK(settle());
            coir_stream_close(COIR_TAKE(a));
        }
        COIR_EXPECT_OK(coir_group_wait(&group));
        COIR_EXPECT(found.started);
        COIR_EXPECT_CODE(found.result, 0);
    }
}

/* ---- another ring ---- */

COIR_TEST_TAGGED(what_is_received_moves_with_the_loop, "no_torture,fifo")
{
    ONLY_HERE;
    struct coir__uring *uring = ring_of(coir_loop_current());
    for (int waits = 0; waits < 2; waits++) {
        ARMED_PAIR(BY_TCP, a, b);
        coir_task *reader = NULL;
        COIR_GROUP(group);
        COIR_REQUIRE_OK(send_unread(a, "one "));
        if (waits) {
            expect_bytes(b, "one ");
            COIR_REQUIRE_OK(coir_spawn(&group, read_ten, b, &reader));
            COIR_REQUIRE_OK(settle());
        }
        COIR_EXPECT_EQ(send(a->file->fd, "two ", 4, 0), 4);
        complete_and_move(uring);
        COIR_EXPECT_EQ(send(a->file->fd, "three ", 6, 0), 6);
        if (waits)
            COIR_EXPECT_CODE(coir_join(reader, NULL), 0);
        else
            expect_bytes(b, "one two three ");
        COIR_EXPECT_OK(arm(a, b));
        COIR_EXPECT(is_armed(b));
        COIR_EXPECT_EQ(uring->pool.free, uring->pool.count);
    }
}

/* After a loss nobody knows what was read; what was read before is known. */
COIR_TEST_TAGGED(lost_completions_break_it_after_what_is_held, "no_torture,fifo")
{
    ONLY_HERE;
    ARMED_PAIR(BY_TCP, a, b);
    struct coir__uring *uring = ring_of(coir_loop_current());
    COIR_REQUIRE_OK(send_unread(a, "one"));
    FAULT(URING_ENTER, EBADR, 1);
    COIR_EXPECT_EQ(coir__uring_enter(uring, 0), 0);
    coir__sys_fault = NULL;
    expect_bytes(b, "one");
    COIR_EXPECT_CODE(read_some(b), -EIO);
}

/* While there is no ring, a reader waits or is told; then it goes on. */
COIR_TEST_TAGGED(reader_outlives_a_ring_that_is_missing, "no_torture,fifo")
{
    ONLY_HERE;
    ARMED_PAIR(BY_TCP, a, b);
    struct coir__uring *uring = ring_of(coir_loop_current());
    coir_task *reader = NULL;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, b, &reader));
    COIR_REQUIRE_OK(settle());
    uring->broken = true;
    coir__uring_ring_close(uring);
    FAULT(URING_SETUP, EMFILE, 2);
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(30)));
    COIR_REQUIRE_OK(coir_stream_write(a, "x", 1));
    COIR_EXPECT_CODE(coir_join(reader, NULL), 1);
    coir__sys_fault = NULL;
    COIR_EXPECT_OK(arm(a, b));
    COIR_EXPECT(is_armed(b));
}

/* ---- what can fail ---- */

/* A kernel that does not know it is asked once. */
COIR_TEST_TAGGED(kernel_that_refuses_is_asked_once, "no_torture,fifo")
{
    ONLY_HERE;
    PAIR(BY_TCP, a, b);
    struct coir__uring *uring = ring_of(coir_loop_current());
    FAULT(URING_REGISTER, EINVAL, 100);
    COIR_EXPECT_OK(arm(a, b));
    COIR_EXPECT(uring->pool.refused);
    COIR_EXPECT_OK(arm(a, b));
    coir__sys_fault = NULL;
    COIR_EXPECT_EQ(faults.times, coir__uring_patience < UINT16_MAX ? 99 : 100);
    for (int i = 0; i < 20; i++)
        COIR_EXPECT_OK(pass(a, b));
    COIR_EXPECT(file_of(b)->receive == NULL);
}

/* Memory that is missing now may be there later. */
COIR_TEST_TAGGED(pool_without_memory_is_tried_again, "no_torture,fifo")
{
    ONLY_HERE;
    PAIR(BY_TCP, a, b);
    FAULT(MMAP, ENOMEM, 1);
    COIR_EXPECT_OK(arm(a, b));
    coir__sys_fault = NULL;
    COIR_EXPECT(!is_armed(b) && !ring_of(coir_loop_current())->pool.refused);
    for (int i = 0; i < 20; i++)
        COIR_EXPECT_OK(pass(a, b));
    COIR_EXPECT(is_armed(b) || ring_of(coir_loop_current())->pool.refused);
}

/* What a test injects means what it means elsewhere, and the bytes stay. */
COIR_TEST_TAGGED(faults_are_met_by_those_that_receive, "no_torture")
{
    ONLY_HERE;
    static const int passing[] = {EINTR, EAGAIN, ECANCELED, EINVAL};
    ARMED_PAIR(BY_TCP, a, b);
    coir_bytes bytes;
    for (int held = 0; held < 2; held++) {
        FAULT(RECV, ECONNRESET, 1);
        if (held)
            COIR_REQUIRE_OK(send_unread(a, "x"));
        COIR_EXPECT_CODE(read_some(b), -ECONNRESET);
        FAULT(RECV, ETIMEDOUT, 1);
        COIR_EXPECT_CODE(coir_stream_peek(b, 1, &bytes), -ETIMEDOUT);
        coir__sys_fault = NULL;
        if (held)
            COIR_EXPECT_CODE(read_some(b), 1);
    }
    for (size_t i = 0; i < COIR_COUNT(passing); i++) {
        FAULT(RECV, passing[i], 1);
        COIR_EXPECT_OK(pass(a, b));
        FAULT(RECV, passing[i], 1);
        COIR_REQUIRE_OK(coir_stream_write(a, "yz", 2));
        COIR_EXPECT_CODE(coir_stream_peek(b, 1, &bytes), 1);
        COIR_EXPECT_BYTES(bytes.data, "yz", bytes.length);
        coir_stream_consume(b, bytes.length);
        coir__sys_fault = NULL;
        COIR_EXPECT(is_armed(b));
    }
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
