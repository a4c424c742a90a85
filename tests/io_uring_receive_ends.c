/* io_uring_receive_ends.c: tests of files that receive without being asked each time, continued:
 * how that ends when the file, the loop or the ring is closed, tasks that wait for it to bring
 * something, and what can fail.
 */
#include <netinet/in.h>
#include <poll.h>

#include "child.h"
#include "core_loop.h"
#include "io_uring_receive.h"

/* ---- closing ---- */

/* The kernel would reset the peer for bytes that nobody has read; they are here. */
COIR_TEST(closing_with_held_bytes_resets_the_peer)
{
    ONLY_HERE;
    ARMED_PAIR(BY_TCP, a, b);
    COIR_REQUIRE_OK(send_unread(a, "unread"));
    struct coir__file *file = coir__file_of(b);
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
    struct pollfd peer = {.fd = coir__file_of(a)->fd, .events = POLLIN};
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
    if (loop->backend->file_unread(loop, coir__file_of(left->b)) != 4)
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
    COIR_EXPECT_EQ(left.b->loop->backend->file_unread(loop, coir__file_of(left.b)), 4);
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
        COIR_EXPECT_EQ(send(coir__file_of(a)->fd, "two ", 4, 0), 4);
        complete_and_move(uring);
        COIR_EXPECT_EQ(send(coir__file_of(a)->fd, "three ", 6, 0), 6);
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
    COIR_EXPECT_EQ(faults.times, 99);
    for (int i = 0; i < 20; i++)
        COIR_EXPECT_OK(pass(a, b));
    COIR_EXPECT(file_of(b)->receive == NULL);
    COIR_EXPECT_CONTAINS(coir_info()->text, ", no multishot receive: EINVAL");
}

/* Memory that is missing now may be there later. */
COIR_TEST_TAGGED(pool_without_memory_is_tried_again, "no_torture,fifo")
{
    ONLY_HERE;
    coir__uring_patience = 2;
    PAIR(BY_TCP, a, b);
    FAULT(MMAP, ENOMEM, 1);
    COIR_EXPECT_OK(arm(a, b));
    FAULT(URING_REGISTER, ENOMEM, 1); /* of the memory that may be locked */
    for (int i = 0; i < 5; i++)
        COIR_EXPECT_OK(pass(a, b));
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
