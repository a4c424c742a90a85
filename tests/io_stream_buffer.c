/* io_stream_buffer.c: tests of what reads through a stream's buffer: looking ahead, separators,
 * lines, limits; that nothing is lost whenever a call ends early; and queries.
 */
#include "net_pair.h"

static bool is_text(coir_bytes bytes, const char *text)
{
    return COIR_EXPECT_EQ(bytes.length, strlen(text)) &&
           COIR_EXPECT_BYTES(bytes.data, text, bytes.length);
}

static int write_text(coir_stream *stream, const char *text)
{
    return coir_stream_write(stream, text, strlen(text));
}

COIR_TEST(peek_shows_and_consume_takes)
{
    PAIR(BY_TCP, a, b);
    coir_bytes bytes;
    char data[8];
    COIR_REQUIRE_OK(write_text(a, "abcdef"));
    COIR_REQUIRE_OK(coir_stream_peek(b, 6, &bytes));
    COIR_EXPECT(is_text(bytes, "abcdef"));
    coir_stream_consume(b, 2);
    COIR_REQUIRE_OK(coir_stream_peek(b, 1, &bytes));
    COIR_EXPECT(is_text(bytes, "cdef"));
    COIR_REQUIRE_OK(coir_stream_read_exactly(b, data, 3));
    COIR_EXPECT_BYTES(data, "cde", 3);
    COIR_REQUIRE_OK(coir_stream_shutdown(a));
    COIR_EXPECT_CODE(coir_stream_peek(b, 2, &bytes), -COIR_EEOF);
    COIR_EXPECT_CODE(coir_stream_peek(b, 1, &bytes), 1);
    COIR_EXPECT(is_text(bytes, "f"));
    coir_stream_consume(b, 1);
    COIR_EXPECT_CODE(coir_stream_peek(b, 1, &bytes), 0);
    COIR_EXPECT_CODE(coir_stream_peek(b, 9, &bytes), 0);
}

COIR_TEST(peek_has_a_limit)
{
    PAIR(BY_TCP, a, b);
    coir_bytes bytes;
    COIR_EXPECT_CODE(coir_stream_peek(b, 0, &bytes), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_peek(b, 1, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_peek(NULL, 1, &bytes), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_peek(b, COIR_STREAM_PEEK_LIMIT + 1, &bytes), -COIR_ETOOLONG);
    struct message out = {.stream = a, .size = COIR_STREAM_PEEK_LIMIT, .chunk = 60000};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, send_message, &out, NULL));
    COIR_REQUIRE_OK(coir_stream_peek(b, COIR_STREAM_PEEK_LIMIT, &bytes));
    COIR_EXPECT_EQ(bytes.length, COIR_STREAM_PEEK_LIMIT);
    const unsigned char *data = bytes.data;
    size_t same = 0;
    while (same < bytes.length && data[same] == pattern(same))
        same++;
    COIR_EXPECT_EQ(same, COIR_STREAM_PEEK_LIMIT);
    COIR_REQUIRE_OK(coir_group_wait(&group));
}

COIR_TEST(read_until)
{
    PAIR(BY_UNIX, a, b);
    coir_bytes bytes;
    COIR_REQUIRE_OK(write_text(a, "one\r\n\r\ntwo\r\n\rx\r\n\r\n\r\n\r\nrest"));
    COIR_REQUIRE_OK(coir_stream_shutdown(a));
    const char *wanted[] = {"one\r\n\r\n", "two\r\n\rx\r\n\r\n", "\r\n\r\n"};
    for (size_t i = 0; i < COIR_COUNT(wanted); i++) {
        COIR_REQUIRE_OK(coir_stream_read_until(b, "\r\n\r\n", 4, 0, &bytes));
        COIR_EXPECT(is_text(bytes, wanted[i]));
    }
    COIR_EXPECT_CODE(coir_stream_read_until(b, "\r\n\r\n", 4, 0, &bytes), -COIR_EEOF);
    COIR_EXPECT_CODE(coir_stream_read_until(b, "\r\n\r\n", 4, 0, &bytes), -COIR_EEOF);
    COIR_REQUIRE_OK(coir_stream_read_until(b, "t", 1, 4, &bytes));
    COIR_EXPECT(is_text(bytes, "rest"));
    COIR_EXPECT_CODE(coir_stream_read_until(b, "t", 1, 4, &bytes), 0);
}

/* A separator that comes in pieces is found wherever it is cut. */
COIR_TEST(read_until_in_pieces)
{
    PAIR(BY_TCP, a, b);
    const char text[] = "ab--b--bound";
    COIR_GROUP(group);
    for (size_t cut = 1; cut < strlen(text); cut++) {
        coir_bytes bytes;
        COIR_REQUIRE_OK(coir_stream_write(a, text, cut));
        COIR_DEADLINE(COIR_FOREVER);
        COIR_REQUIRE_OK(coir_stream_peek(b, cut, &bytes));
        COIR_REQUIRE_OK(write_text(a, text + cut));
        COIR_REQUIRE_OK(coir_stream_read_until(b, "--bound", 7, 64, &bytes));
        COIR_EXPECT(is_text(bytes, text));
    }
}

COIR_TEST(readuntil_limit)
{
    PAIR(BY_TCP, a, b);
    coir_bytes bytes;
    COIR_REQUIRE_OK(write_text(a, "12345\n"));
    for (size_t limit = 1; limit < 6; limit++)
        COIR_EXPECT_CODE(coir_stream_read_until(b, "\n", 1, limit, &bytes), -COIR_ETOOLONG);
    COIR_EXPECT_CODE(coir_stream_read_until(b, "\n", 1, 6, &bytes), 1);
    COIR_EXPECT(is_text(bytes, "12345\n"));
    COIR_EXPECT_CODE(coir_stream_read_until(b, "\r\n", 2, 1, &bytes), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_read_until(b, "", 0, 9, &bytes), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_read_until(b, NULL, 1, 9, &bytes), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_read_until(b, "\n", 1, 9, NULL), -EINVAL);
}

/* Without a limit of the caller's there is one all the same. */
COIR_TEST(readuntil_limit_by_default)
{
    PAIR(BY_TCP, a, b);
    coir_bytes bytes;
    static char data[100000];
    struct message out = {.stream = a, .size = 0};
    memset(data, 'x', sizeof data);
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_stream_write(a, data, COIR_STREAM_DEFAULT_LIMIT));
    COIR_EXPECT_CODE(coir_stream_read_line(b, 0, &bytes), -COIR_ETOOLONG);
    COIR_REQUIRE_OK(coir_spawn(&group, send_message, &out, NULL));
    COIR_REQUIRE_OK(coir_stream_read_exactly(b, data, COIR_STREAM_DEFAULT_LIMIT));
    COIR_EXPECT_CODE(coir_stream_read_line(b, 0, &bytes), 0);
    COIR_REQUIRE_OK(coir_group_wait(&group));
}

COIR_TEST(read_line)
{
    PAIR(BY_UNIX, a, b);
    const char *lines[] = {"plain", "", "with return", "", "a\rb", "\r", "last"};
    coir_bytes line;
    COIR_REQUIRE_OK(write_text(a, "plain\n\nwith return\r\n\r\na\rb\n\r\r\nlast"));
    COIR_REQUIRE_OK(coir_stream_shutdown(a));
    for (size_t i = 0; i < COIR_COUNT(lines); i++) {
        COIR_REQUIRE_OK(coir_stream_read_line(b, 0, &line));
        COIR_EXPECT(is_text(line, lines[i]));
    }
    COIR_EXPECT_CODE(coir_stream_read_line(b, 0, &line), 0);
}

/* Lines, exact and plain reads take turns on one buffer. */
COIR_TEST(kinds_of_reads_mix)
{
    PAIR(BY_TCP, a, b);
    coir_bytes bytes;
    char data[64];
    size_t n;
    COIR_REQUIRE_OK(write_text(a, "line 1\n4567890tail of it\nmore"));
    COIR_REQUIRE_OK(coir_stream_shutdown(a));
    COIR_REQUIRE_OK(coir_stream_read_line(b, 0, &bytes));
    COIR_EXPECT(is_text(bytes, "line 1"));
    COIR_REQUIRE_OK(coir_stream_read_exactly(b, data, 0));
    COIR_REQUIRE_OK(coir_stream_read_exactly(b, data, 7));
    COIR_EXPECT_BYTES(data, "4567890", 7);
    COIR_REQUIRE_OK(coir_stream_read_until(b, " ", 1, 0, &bytes));
    COIR_EXPECT(is_text(bytes, "tail "));
    COIR_REQUIRE_OK(coir_stream_read_line(b, 0, &bytes));
    COIR_EXPECT(is_text(bytes, "of it"));
    COIR_REQUIRE_OK(coir_stream_peek(b, 4, &bytes));
    COIR_REQUIRE_OK(coir_stream_read(b, data, 3, &n));
    COIR_EXPECT_EQ(n, 3);
    COIR_REQUIRE_OK(coir_stream_read(b, data + 3, 3, &n));
    COIR_EXPECT_BYTES(data, "more", 4);
    COIR_EXPECT_CODE(coir_stream_read(b, data, 3, &n), 0);
    COIR_EXPECT_CODE(coir_stream_read_exactly(b, NULL, 3), -EINVAL);
}

/* A window that slides over a long message, a byte and then many at a time. */
COIR_TEST(peek_slides)
{
    PAIR(BY_TCP, a, b);
    struct message out = {.stream = a, .size = 100000, .chunk = 60000};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, send_message, &out, NULL));
    size_t at = 0;
    coir_bytes bytes;
    int r;
    while ((r = coir_stream_peek(b, out.size - at < 3000 ? out.size - at : 3000, &bytes)) > 0) {
        const unsigned char *data = bytes.data;
        for (size_t i = 0; i < bytes.length; i += 97)
            COIR_REQUIRE_EQ(data[i], pattern(at + i));
        size_t step = at < 5000 ? 1 : bytes.length / 2 + 1;
        coir_stream_consume(b, step);
        at += step;
        if (at == out.size)
            break;
    }
    COIR_EXPECT_EQ(at, out.size);
    COIR_EXPECT_CODE(coir_stream_peek(b, 1, &bytes), 0);
    COIR_REQUIRE_OK(coir_group_wait(&group));
}

static int read_line_task(void *arg)
{
    coir_bytes line;
    return coir_stream_read_line(arg, 0, &line);
}

static int peek_task(void *arg)
{
    coir_bytes bytes;
    return coir_stream_peek(arg, 100, &bytes);
}

/* Cancelled after each byte, a call has taken none of them. */
static void check_cancelled(coir_fn fn)
{
    PAIR(BY_TCP, a, b);
    const char text[] = "ten bytes";
    for (size_t i = 0; i < strlen(text); i++) {
        COIR_GROUP_COLLECT(group);
        coir_task *task;
        COIR_REQUIRE_OK(coir_spawn(&group, fn, b, &task));
        COIR_REQUIRE_OK(coir_stream_write(a, text + i, 1));
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        coir_cancel(task, NULL);
        int result = 0;
        COIR_REQUIRE_OK(coir_join(task, &result));
        COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
    }
    coir_bytes line;
    COIR_REQUIRE_OK(write_text(a, "\n"));
    COIR_REQUIRE_OK(coir_stream_read_line(b, 0, &line));
    COIR_EXPECT(is_text(line, text));
}

COIR_TEST(cancelled_read_line_loses_nothing)
{
    check_cancelled(read_line_task);
}

COIR_TEST(cancelled_peek_loses_nothing)
{
    check_cancelled(peek_task);
}

COIR_TEST(cancelled_read_exactly_loses_nothing)
{
    check_cancelled(read_ten);
}

COIR_TEST(double_read_of_lines)
{
    PAIR(BY_TCP, a, b);
    coir_bytes bytes;
    COIR_GROUP(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, read_line_task, b, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_CODE(read_some(b), -EBUSY);
    COIR_EXPECT_CODE(read_line_task(b), -EBUSY);
    COIR_EXPECT_CODE(coir_stream_peek(b, 1, &bytes), -EBUSY);
    COIR_REQUIRE_OK(write_text(a, "in pieces"));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_CODE(read_some(b), -EBUSY);
    COIR_REQUIRE_OK(write_text(a, "\n"));
    COIR_EXPECT_CODE(coir_join(task, NULL), 1);
}

COIR_TEST(close_while_a_line_is_read)
{
    PAIR(BY_TCP, a, b);
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, read_line_task, b, &task));
    COIR_REQUIRE_OK(write_text(a, "half a li"));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_stream_close(COIR_TAKE(b));
    int result = 0;
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECLOSED);
    (void)coir_group_errors(&group);
}

/* The buffer is there only while it holds something, or a task waits for more. */
COIR_TEST(an_idle_stream_has_no_buffer)
{
    PAIR(BY_UNIX, a, b);
    struct coir_loop_stats before, after;
    coir_bytes bytes;
    char byte;
    size_t n;
    coir_loop_stats(NULL, &before);
    COIR_REQUIRE_OK(write_text(a, "ab"));
    COIR_REQUIRE_OK(coir_stream_peek(b, 2, &bytes));
    coir_stream_consume(b, 2);
    COIR_REQUIRE_OK(write_text(a, "line\nx"));
    COIR_REQUIRE_OK(coir_stream_read_line(b, 0, &bytes));
    COIR_REQUIRE_OK(coir_stream_read(b, &byte, 1, &n));
    COIR_SCOPE(scope, COIR_MS(1));
    COIR_EXPECT_CODE(coir_stream_peek(b, 1, &bytes), -ETIME);
    coir_scope_leave(&scope);
    coir_loop_stats(NULL, &after);
    if (strcmp(coir_test_backend(), "sim") != 0) /* there the other end has one for the kernel's */
        COIR_EXPECT_EQ(after.memory, before.memory);
}

static int send_lines(void *arg)
{
    char text[64];
    for (int i = 0; i < 20000; i++) {
        int length = snprintf(text, sizeof text, "this is line %d\n", i);
        COIR_TRY(coir_stream_write(arg, text, (size_t)length));
    }
    return coir_stream_shutdown(arg);
}

static int peek_one(void *arg)
{
    coir_bytes bytes;
    return coir_stream_peek(arg, 1, &bytes);
}

/* Waiting for its first byte a stream holds nothing, whichever call waits. */
COIR_TEST(waiting_takes_no_memory)
{
    static const coir_fn calls[] = {peek_one, read_line_task};
    PAIR(BY_TCP, a, b);
    for (size_t i = 0; i < COIR_COUNT(calls); i++) {
        COIR_GROUP(group);
        coir_task *task;
        struct coir_loop_stats before, waiting;
        COIR_REQUIRE_OK(coir_spawn(&group, calls[i], b, &task));
        coir_loop_stats(NULL, &before);
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        coir_loop_stats(NULL, &waiting);
        COIR_EXPECT_EQ(waiting.memory, before.memory);
        COIR_REQUIRE_OK(write_text(a, "\n"));
        COIR_EXPECT_CODE(coir_join(task, NULL), 1);
    }
}

/* Streams share buffers, but never one that somebody looks at. */
COIR_TEST(what_was_shown_stays_while_others_read)
{
    PAIR(BY_TCP, a, b);
    PAIR(BY_TCP, c, d);
    coir_bytes first, second, line;
    COIR_REQUIRE_OK(write_text(a, "first"));
    COIR_REQUIRE_OK(coir_stream_peek(b, 5, &first));
    for (int i = 0; i < 3; i++) {
        COIR_REQUIRE_OK(write_text(c, "second"));
        COIR_REQUIRE_OK(coir_stream_peek(d, 6, &second));
        COIR_EXPECT(is_text(first, "first") && is_text(second, "second"));
        coir_stream_consume(d, 6);
    }
    COIR_REQUIRE_OK(write_text(c, "a line\n"));
    COIR_REQUIRE_OK(coir_stream_read_line(d, 0, &line));
    coir_stream_consume(b, 5);
    COIR_REQUIRE_OK(write_text(a, "other"));
    COIR_REQUIRE_OK(coir_stream_peek(b, 5, &first));
    COIR_EXPECT(is_text(first, "other") && is_text(line, "a line"));
}

/* What came first moves when more must be read, to blocks of every size. */
COIR_TEST(peek_more_and_more)
{
    static const size_t sizes[] = {1, 10, 5000, 32768, 32769, 100000};
    PAIR(BY_TCP, a, b);
    struct message out = {.stream = a, .size = 100000, .chunk = 9000};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, send_message, &out, NULL));
    for (size_t i = 0; i < COIR_COUNT(sizes); i++) {
        coir_bytes bytes;
        COIR_REQUIRE_OK(coir_stream_peek(b, sizes[i], &bytes));
        const unsigned char *data = bytes.data;
        size_t same = 0;
        while (same < sizes[i] && data[same] == pattern(same))
            same++;
        COIR_EXPECT_EQ(same, sizes[i]);
    }
    COIR_REQUIRE_OK(coir_group_wait(&group));
}

COIR_TEST(close_while_the_first_byte_is_awaited)
{
    PAIR(BY_TCP, a, b);
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, peek_one, b, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    (void)write_text(a, "too late?");
    coir_stream_close(COIR_TAKE(b));
    int result = 0;
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT(result == -COIR_ECLOSED || result == 1);
    (void)coir_group_errors(&group);
}

/* Many lines across the edges of the buffer. */
COIR_TEST_TAGGED(many_lines, "slow")
{
    PAIR(BY_TCP, a, b);
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, send_lines, a, NULL));
    coir_bytes line;
    int r, count = 0;
    while ((r = coir_stream_read_line(b, 0, &line)) > 0) {
        char text[64];
        int length = snprintf(text, sizeof text, "this is line %d", count++);
        COIR_REQUIRE_EQ(line.length, length);
        COIR_REQUIRE_BYTES(line.data, text, line.length);
    }
    COIR_EXPECT_CODE(r, 0);
    COIR_EXPECT_EQ(count, 20000);
    COIR_REQUIRE_OK(coir_group_wait(&group));
}

COIR_TEST(query)
{
    PAIR(BY_TCP, a, b);
    const char *name = NULL;
    size_t unread = 99;
    coir_stream *lower;
    coir_bytes bytes;
    int fd = -1;
    COIR_EXPECT_OK(coir_stream_query(a, COIR_QUERY_NAME, &name));
    COIR_EXPECT_STR(name, "tcp");
    COIR_EXPECT_OK(coir_stream_query(b, COIR_QUERY_UNREAD, &unread));
    COIR_EXPECT_EQ(unread, 0);
    COIR_REQUIRE_OK(write_text(a, "12345678"));
    COIR_REQUIRE_OK(coir_stream_peek(b, 8, &bytes));
    coir_stream_consume(b, 1);
    COIR_EXPECT_OK(coir_stream_query(b, COIR_QUERY_UNREAD, &unread));
    COIR_EXPECT_EQ(unread, 7);
    COIR_EXPECT_CODE(coir_stream_query(a, COIR_QUERY_LOWER, &lower), -EOPNOTSUPP);
    COIR_EXPECT_CODE(coir_stream_query(a, COIR_QUERY_OWN, &lower), -EOPNOTSUPP);
    COIR_EXPECT_CODE(coir_stream_query(a, COIR_QUERY_NAME, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_query(NULL, COIR_QUERY_NAME, &name), -EINVAL);
    int r = coir_stream_query(a, COIR_QUERY_DESCRIPTOR, &fd);
    COIR_EXPECT(strcmp(coir_test_backend(), "sim") == 0 ? r == -EOPNOTSUPP : r == 0 && fd > 2);
}
