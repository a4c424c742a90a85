/* io_stream_filters.c: tests of pairs in memory, pipes, adopted descriptors, throttles and
 * captures, beyond what coir_check_stream asks of every stream.
 */
#include <stdlib.h>
#include <unistd.h>

#include <coir/filter.h>
#include <coir/pipe.h>
#include <coir/stream_pair.h>
#include <coir/testing_streams.h>

#include "net_pair.h"

#define MEMORY(capacity, a, b)                                                                     \
    COIR_AUTO(coir_stream) *a = NULL;                                                              \
    COIR_AUTO(coir_stream) *b = NULL;                                                              \
    COIR_REQUIRE_OK(coir_stream_pair((capacity), &a, &b))

static bool simulated(void)
{
    return strcmp(coir_test_backend(), "sim") == 0;
}

/* ---- memory ---- */

/* The capacity is exact, and a waiting reader is given bytes beyond it. */
COIR_TEST(memory_has_a_capacity)
{
    MEMORY(10, a, b);
    struct message out = {.stream = a, .size = 25, .chunk = 5};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, send_message, &out, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_EQ(out.done, 10);
    size_t unread = 0;
    COIR_EXPECT_OK(coir_stream_query(b, COIR_QUERY_UNREAD, &unread));
    COIR_EXPECT_EQ(unread, 10);
    struct message in = {.stream = b, .chunk = 4};
    COIR_EXPECT_CODE(receive_message(&in), 0);
    COIR_EXPECT_EQ(in.done, 25);
    COIR_EXPECT(in.intact);
    COIR_REQUIRE_OK(coir_group_wait(&group));
}

static int write_ten(void *arg)
{
    return coir_stream_write(arg, "0123456789", 10);
}

/* Straight into the reader's memory: no ring is made. */
COIR_TEST(memory_hands_over)
{
    MEMORY(0, a, b);
    struct coir_loop_stats before, after;
    COIR_GROUP(group);
    coir_task *task;
    coir_loop_stats(NULL, &before);
    COIR_REQUIRE_OK(coir_spawn(&group, read_ten, b, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_REQUIRE_OK(write_ten(a));
    COIR_EXPECT_OK(coir_join(task, NULL));
    coir_loop_stats(NULL, &after);
    COIR_EXPECT_EQ(after.memory, before.memory);
}

/* What was under way before a close and before an abort is read first. */
COIR_TEST(memory_keeps_what_is_under_way)
{
    for (int abrupt = 0; abrupt < 2; abrupt++) {
        MEMORY(0, a, b);
        COIR_REQUIRE_OK(write_ten(a));
        if (abrupt)
            coir_stream_abort(COIR_TAKE(a));
        else
            coir_stream_close(COIR_TAKE(a));
        COIR_EXPECT_OK(read_ten(b));
        COIR_EXPECT_CODE(read_some(b), abrupt ? -ECONNRESET : 0);
        COIR_EXPECT_CODE(write_ten(b), -EPIPE);
    }
}

/* A writer whose bytes were partly taken over is told of a close, and of an abort, once. */
COIR_TEST(memory_close_under_a_writer)
{
    MEMORY(4, a, b);
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, write_ten, a, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_stream_close(COIR_TAKE(b));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -EPIPE);
    COIR_EXPECT_CODE(write_ten(a), -COIR_EBROKENSTREAM); /* some of the ten had left */
    (void)coir_group_errors(&group);
}

COIR_TEST(memory_wrong_calls)
{
    coir_stream *stream = NULL;
    COIR_EXPECT_CODE(coir_stream_pair(0, NULL, &stream), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_pair(0, &stream, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_pipe_open(NULL, &stream), -EINVAL);
    COIR_EXPECT_CODE(coir_throttle_open(NULL, NULL, &stream), -EINVAL);
    COIR_EXPECT_CODE(coir_capture_open(NULL, NULL, NULL, &stream), -EINVAL);
    COIR_EXPECT_PTR(stream, NULL);
}

COIR_TEST_TAGGED(without_a_loop, "own_loop")
{
    coir_stream *a, *b;
    COIR_EXPECT_CODE(coir_stream_pair(0, &a, &b), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_pipe_open(&a, &b), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_stream_adopt(0, &a), -COIR_ENOTASK);
}

/* ---- pipes ---- */

COIR_TEST(pipe_has_one_direction)
{
    PATIENCE;
    COIR_AUTO(coir_stream) *reader = NULL;
    COIR_AUTO(coir_stream) *writer = NULL;
    COIR_REQUIRE_OK(coir_pipe_open(&reader, &writer));
    COIR_EXPECT_CODE(read_some(writer), -EBADF);
    COIR_EXPECT_CODE(write_ten(reader), -EBADF);
    COIR_EXPECT_CODE(coir_stream_shutdown(writer), -ENOTSOCK);
    COIR_EXPECT_CODE(coir_stream_shutdown(reader), -ENOTSOCK);
    COIR_REQUIRE_OK(write_ten(writer));
    COIR_EXPECT_OK(read_ten(reader));
}

/* Nobody waits for a writer that goes on: a pipe with unread bytes is simply closed. */
COIR_TEST(wait_closed_on_close_with_unread_data)
{
    PATIENCE;
    COIR_AUTO(coir_stream) *reader = NULL;
    COIR_AUTO(coir_stream) *writer = NULL;
    COIR_REQUIRE_OK(coir_pipe_open(&reader, &writer));
    COIR_REQUIRE_OK(write_ten(writer));
    coir_time start = coir_now();
    coir_stream_close(COIR_TAKE(reader));
    COIR_EXPECT_LT(coir_now() - start, COIR_MS(500));
    COIR_EXPECT_CODE(write_ten(writer), -EPIPE);
}

COIR_TEST(adopted_descriptors)
{
    PATIENCE;
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_EXPECT_CODE(coir_stream_adopt(0, NULL), -EINVAL);
    if (simulated()) {
        COIR_EXPECT_CODE(coir_stream_adopt(0, &stream), -EOPNOTSUPP);
        return;
    }
    COIR_EXPECT_CODE(coir_stream_adopt(-1, &stream), -EBADF);
    int fds[2];
    COIR_REQUIRE(pipe(fds) == 0);
    int r = coir_stream_adopt(fds[0], &stream);
    if (r < 0)
        close(fds[0]);
    if (r == 0 && write(fds[1], "0123456789", 10) == 10)
        COIR_EXPECT_OK(read_ten(stream));
    close(fds[1]);
    COIR_REQUIRE_OK(r);
    COIR_EXPECT_CODE(read_some(stream), 0);
}

/* ---- throttles ---- */

static int open_throttled(const coir_throttle_opts *opts, coir_stream **ret_stream,
                          coir_stream **ret_peer)
{
    COIR_AUTO(coir_stream) *lower = NULL;
    COIR_AUTO(coir_stream) *peer = NULL;
    COIR_TRY(coir_stream_pair(0, &lower, &peer));
    COIR_TRY(coir_throttle_open(COIR_TAKE(lower), opts, ret_stream));
    *ret_peer = COIR_TAKE(peer);
    return 0;
}

#define THROTTLED(stream, peer, ...)                                                               \
    COIR_AUTO(coir_stream) *stream = NULL;                                                         \
    COIR_AUTO(coir_stream) *peer = NULL;                                                           \
    coir_throttle_opts opts = {__VA_ARGS__};                                                       \
    COIR_REQUIRE_OK(open_throttled(&opts, &stream, &peer))

/* The first piece passes at once, the others when those before them have taken their time. */
COIR_TEST(throttle_writes_at_a_rate)
{
    THROTTLED(stream, peer, .write_rate = 1000);
    char data[500] = "";
    coir_time start = coir_now();
    COIR_REQUIRE_OK(coir_stream_write(stream, data, sizeof data));
    COIR_EXPECT_EQ(coir_now() - start, COIR_MS(490));
    COIR_REQUIRE_OK(coir_stream_write(stream, data, 1));
    COIR_EXPECT_EQ(coir_now() - start, COIR_MS(500));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(10))); /* what was not used is lost */
    start = coir_now();
    COIR_REQUIRE_OK(coir_stream_write(stream, data, 20));
    COIR_EXPECT_EQ(coir_now() - start, COIR_MS(10));
    COIR_REQUIRE_OK(coir_stream_read_exactly(peer, data, 500));
}

COIR_TEST(throttle_reads_at_a_rate)
{
    THROTTLED(stream, peer, .read_rate = 50);
    char data[20] = "";
    COIR_REQUIRE_OK(coir_stream_write(peer, data, sizeof data));
    coir_time start = coir_now();
    COIR_REQUIRE_OK(coir_stream_read_exactly(stream, data, sizeof data));
    COIR_EXPECT_EQ(coir_now() - start, COIR_MS(380));
}

COIR_TEST(throttle_has_a_latency)
{
    THROTTLED(stream, peer, .latency = COIR_MS(150));
    coir_time start = coir_now();
    COIR_REQUIRE_OK(write_ten(peer));
    COIR_REQUIRE_OK(read_ten(stream));
    COIR_EXPECT_EQ(coir_now() - start, COIR_MS(150));
    {
        COIR_DEADLINE(COIR_MS(100));
        COIR_REQUIRE_OK(write_ten(peer));
        COIR_EXPECT_CODE(read_ten(stream), -ETIME);
    }
    COIR_EXPECT_OK(read_ten(stream)); /* a cancelled latency loses nothing */
    coir_stream_close(COIR_TAKE(peer));
    COIR_EXPECT_CODE(read_some(stream), 0);
}

/* ---- captures ---- */

struct record {
    char text[1024];
    size_t length;
};

static void keep(const coir_captured *captured, void *arg)
{
    struct record *record = arg;
    char *at = record->text + record->length;
    size_t left = sizeof record->text - record->length;
    size_t n = coir_captured_format(captured, at, left);
    if (n + 1 < left) {
        record->length += n + 1;
        at[n] = '\n';
        at[n + 1] = '\0';
    }
}

static int open_captured(struct record *record, coir_stream **ret_stream, coir_stream **ret_peer)
{
    COIR_AUTO(coir_stream) *lower = NULL;
    COIR_AUTO(coir_stream) *peer = NULL;
    COIR_TRY(coir_stream_pair(0, &lower, &peer));
    COIR_TRY(coir_capture_open(COIR_TAKE(lower), keep, record, ret_stream));
    *ret_peer = COIR_TAKE(peer);
    return 0;
}

COIR_TEST(capture_tells_everything)
{
    struct record record = {.length = 0};
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_AUTO(coir_stream) *peer = NULL;
    COIR_REQUIRE_OK(open_captured(&record, &stream, &peer));
    struct iovec vectors[] = {{(void *)(uintptr_t) "GET ", 4}, {(void *)(uintptr_t) "/\r\n", 3}};
    COIR_REQUIRE_OK(coir_stream_write_vectors(stream, vectors, 2));
    COIR_REQUIRE_OK(coir_sleep(COIR_US(2500)));
    COIR_REQUIRE_OK(coir_stream_write(peer, "\x01\"\\\t\xff", 5));
    COIR_EXPECT_CODE(read_some(stream), 1);
    COIR_REQUIRE_OK(coir_stream_shutdown(stream));
    COIR_REQUIRE_OK(coir_stream_shutdown(peer));
    COIR_EXPECT_CODE(read_some(stream), 0);
    COIR_EXPECT_CODE(coir_stream_write(stream, "x", 1), -EPIPE);
    coir_stream_close(COIR_TAKE(stream));
    COIR_EXPECT_STR(record.text, "0.000000 > \"GET \"\n"
                                 "0.000000 > \"/\\r\\n\"\n"
                                 "0.002500 < \"\\001\\\"\\\\\\t\\377\"\n"
                                 "0.002500 > end\n"
                                 "0.002500 < end\n"
                                 "0.002500 failed: EPIPE\n"
                                 "0.002500 closed\n");
}

COIR_TEST(captured_text_is_cut)
{
    coir_captured captured = {.kind = COIR_CAPTURED_READ, .data = {"hello", 5}};
    char text[12] = "";
    size_t whole = coir_captured_format(&captured, text, sizeof text);
    COIR_EXPECT_EQ(whole, strlen("0.000000 < \"hello\""));
    COIR_EXPECT_STR(text, "0.000000 < ");
    COIR_EXPECT_EQ(coir_captured_format(&captured, NULL, 0), whole);
}

/* ---- filters and the rest ---- */

/* Queries and addresses go through filters; buffers add up. */
COIR_TEST(filters_pass_questions_on)
{
    PAIR(BY_TCP, a, b);
    coir_stream *bottom = a, *lower = NULL;
    char below[COIR_ADDRESS_TEXT] = "", above[COIR_ADDRESS_TEXT] = "";
    const char *name;
    size_t unread;
    coir_bytes bytes;
    COIR_REQUIRE_OK(coir_stream_peer(a, below, sizeof below));
    COIR_REQUIRE_OK(write_ten(b));
    COIR_REQUIRE_OK(coir_stream_peek(a, 10, &bytes));
    COIR_REQUIRE_OK(coir_throttle_open(COIR_TAKE(a), &(coir_throttle_opts){.read_rate = 300}, &a));
    COIR_REQUIRE_OK(coir_stream_peer(a, above, sizeof above));
    COIR_EXPECT_STR(above, below);
    COIR_EXPECT_OK(coir_stream_query(a, COIR_QUERY_LOWER, &lower));
    COIR_EXPECT_PTR(lower, bottom);
    COIR_EXPECT_OK(coir_stream_query(a, COIR_QUERY_NAME, &name));
    COIR_EXPECT_STR(name, "throttle");
    COIR_REQUIRE_OK(coir_stream_peek(a, 2, &bytes));
    coir_stream_consume(a, 1);
    COIR_EXPECT_OK(coir_stream_query(a, COIR_QUERY_UNREAD, &unread));
    COIR_EXPECT_EQ(unread, 9);
}

/* The peer of a filter that is closed under a reader sees an end, not a reset. */
COIR_TEST(closing_a_filter_under_its_reader_is_graceful)
{
    PAIR(BY_TCP, a, b);
    COIR_REQUIRE_OK(coir_throttle_open(COIR_TAKE(a), NULL, &a));
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, a, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_cancel(task, NULL);
    coir_stream_close(COIR_TAKE(a));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT(result == -COIR_ECLOSED || result == -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(read_some(b), 0);
    (void)coir_group_errors(&group);
}

/* ---- filters that cannot be opened ---- */

static size_t told; /* by captures */

static void count_told(const coir_captured *captured, void *arg)
{
    (void)captured, (void)arg;
    told++;
}

static int open_fast(coir_stream *lower, coir_stream **ret_stream)
{
    return coir_throttle_open(lower, NULL, ret_stream);
}

static int open_too_early(coir_stream *lower, coir_stream **ret_stream)
{
    return coir_throttle_open(lower, &(coir_throttle_opts){.latency = -1}, ret_stream);
}

static int open_secret(coir_stream *lower, coir_stream **ret_stream)
{
    return coir_capture_open(lower, count_told, NULL, ret_stream);
}

static int open_deaf(coir_stream *lower, coir_stream **ret_stream)
{
    return coir_capture_open(lower, NULL, NULL, ret_stream);
}

static int open_fault(coir_stream *lower, coir_stream **ret_stream)
{
    return coir_fault_stream_open(lower, NULL, ret_stream);
}

/* Opens a filter over one end of a new pair; expects it to fail, and the other end to be told. */
static void expect_refused(int (*open)(coir_stream *lower, coir_stream **ret_stream), int code)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_AUTO(coir_stream) *peer = NULL;
    COIR_REQUIRE_OK(coir_stream_pair(0, &stream, &peer));
    COIR_EXPECT_CODE(open(COIR_TAKE(stream), &stream), code);
    COIR_EXPECT_PTR(stream, NULL);
    COIR_EXPECT_CODE(read_some(peer), -ECONNRESET);
}

COIR_TEST(a_filter_takes_over_also_when_it_is_refused)
{
    expect_refused(open_too_early, -EINVAL);
    expect_refused(open_deaf, -EINVAL);
}

static int (*const openings[])(coir_stream *lower,
                               coir_stream **ret_stream) = {open_fast, open_secret, open_fault};

/* Torture fails each of their allocations, and looks for what is left. */
COIR_TEST(filters_are_opened_or_nothing_is_left)
{
    for (size_t i = 0; i < COIR_COUNT(openings); i++) {
        COIR_AUTO(coir_stream) *stream = NULL;
        COIR_AUTO(coir_stream) *peer = NULL;
        COIR_REQUIRE_OK(coir_stream_pair(0, &stream, &peer));
        int r = openings[i](COIR_TAKE(stream), &stream);
        COIR_EXPECT(r == 0 ? stream != NULL : stream == NULL);
        COIR_REQUIRE_OK(r);
    }
}

static size_t calls_left; /* to the allocator, that succeed; SIZE_MAX: all */

static bool is_spent(void)
{
    return calls_left != SIZE_MAX && calls_left-- == 0;
}

static void *scarce_take(size_t size, void *arg)
{
    (void)arg;
    return is_spent() ? NULL : malloc(size);
}

static void *scarce_resize(void *block, size_t size, void *arg)
{
    (void)arg;
    return is_spent() ? NULL : realloc(block, size);
}

static void scarce_release(void *block, void *arg)
{
    (void)arg;
    free(block);
}

/* Each opening with room for none of its two blocks, then for one. */
static int open_with_little_memory(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < 2 * COIR_COUNT(openings); i++) {
        COIR_AUTO(coir_stream) *stream = NULL;
        COIR_AUTO(coir_stream) *peer = NULL;
        COIR_TRY(coir_stream_pair(0, &stream, &peer));
        calls_left = i % 2;
        COIR_EXPECT_CODE(openings[i / 2](COIR_TAKE(stream), &stream), -ENOMEM);
        calls_left = SIZE_MAX;
        COIR_EXPECT_PTR(stream, NULL);
        COIR_EXPECT_CODE(read_some(peer), -ECONNRESET);
    }
    return 0;
}

COIR_TEST_TAGGED(a_filter_takes_over_also_without_memory, "own_loop,no_torture")
{
    calls_left = SIZE_MAX;
    told = 0;
    coir_allocator scarce = {scarce_take, scarce_resize, scarce_release, NULL};
    coir_loop_opts opts = coir_test_loop_opts();
    COIR_REQUIRE_OK(coir_set_allocator(&scarce));
    COIR_EXPECT_OK(coir_run(open_with_little_memory, NULL, &opts, NULL));
    COIR_EXPECT_OK(coir_set_allocator(NULL));
    COIR_EXPECT_EQ(told, 0);
}

/* What is in the kernel is held by nobody, and no filter says otherwise. */
COIR_TEST_TAGGED(bytes_in_the_kernel_are_not_held, "real")
{
    PAIR(BY_TCP, a, b);
    size_t n = 99;
    COIR_REQUIRE_OK(write_ten(b));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(20)));
    COIR_EXPECT_OK(coir_stream_query(a, COIR_QUERY_HELD, &n));
    COIR_EXPECT_EQ(n, 0);
    COIR_EXPECT_OK(coir_stream_query(a, COIR_QUERY_UNREAD, &n));
    COIR_EXPECT_EQ(n, 10);
    COIR_REQUIRE_OK(coir_throttle_open(COIR_TAKE(a), &(coir_throttle_opts){.read_rate = 300}, &a));
    COIR_EXPECT_OK(coir_stream_query(a, COIR_QUERY_HELD, &n));
    COIR_EXPECT_EQ(n, 0);
}
