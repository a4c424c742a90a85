/* io_files_streams.c: tests of files as streams, of files that are sent to streams, and of watching
 * for changes.
 */
#include <semaphore.h>
#include <stdlib.h>
#include <sys/inotify.h>

#include <coir/filter.h>
#include <coir/pipe.h>
#include <coir/stream_pair.h>

#include "files.h"
#include "net_pair.h"

/* ---- as a stream ---- */

COIR_TEST(lines_one_by_one)
{
    put(in("file"), "one\ntwo\r\n\nthree");
    COIR_AUTO(coir_file) *file = NULL;
    COIR_AUTO(coir_stream) *lines = NULL;
    COIR_REQUIRE_OK(coir_file_open(in("file"), O_RDONLY, NULL, &file));
    COIR_REQUIRE_OK(coir_file_stream(file, 0, &lines));
    static const char *const expected[] = {"one", "two", "", "three"};
    coir_bytes line;
    for (size_t i = 0; i < COIR_COUNT(expected); i++) {
        COIR_REQUIRE_EQ(coir_stream_read_line(lines, 0, &line), 1);
        COIR_REQUIRE_EQ(line.length, strlen(expected[i]));
        COIR_EXPECT_BYTES(line.data, expected[i], line.length);
    }
    COIR_EXPECT_EQ(coir_stream_read_line(lines, 0, &line), 0);
}

COIR_TEST(stream_has_one_position)
{
    put(in("file"), "0123456789");
    COIR_AUTO(coir_file) *file = NULL;
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_REQUIRE_OK(coir_file_open(in("file"), O_RDWR, NULL, &file));
    COIR_REQUIRE_OK(coir_file_stream(file, 2, &stream));
    char data[2];
    COIR_REQUIRE_OK(coir_stream_read_exactly(stream, data, 2));
    COIR_EXPECT_BYTES(data, "23", 2);
    struct iovec two[] = {{(void *)(uintptr_t) "AB", 2}, {(void *)(uintptr_t) "C", 1}};
    COIR_REQUIRE_OK(coir_stream_write_vectors(stream, two, 2));
    COIR_REQUIRE_OK(coir_stream_shutdown(stream));
    COIR_EXPECT_STR(get(in("file")), "0123ABC789");
    const char *name;
    int fd;
    COIR_REQUIRE_OK(coir_stream_query(stream, COIR_QUERY_NAME, &name));
    COIR_EXPECT_STR(name, "file");
    COIR_REQUIRE_OK(coir_stream_query(stream, COIR_QUERY_DESCRIPTOR, &fd));
    COIR_EXPECT_EQ(fd, coir_file_descriptor(file));
}

COIR_TEST(stream_outlives_the_file)
{
    put(in("file"), "text");
    COIR_AUTO(coir_stream) *stream = NULL;
    coir_file *file = NULL;
    COIR_REQUIRE_OK(coir_file_open(in("file"), O_RDONLY, NULL, &file));
    int r = coir_file_stream(file, 0, &stream);
    coir_file_close(file);
    COIR_REQUIRE_OK(r);
    char data[4];
    COIR_REQUIRE_OK(coir_stream_read_exactly(stream, data, 4));
    COIR_EXPECT_BYTES(data, "text", 4);
}

COIR_TEST(stream_says_what_fails)
{
    COIR_AUTO(coir_file) *file = NULL;
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_REQUIRE_OK(coir_file_open("/dev/full", O_RDWR, NULL, &file));
    COIR_REQUIRE_OK(coir_file_stream(file, 0, &stream));
    COIR_EXPECT_CODE(coir_stream_write(stream, "x", 1), -ENOSPC);
    COIR_EXPECT_STR(coir_last_message(-ENOSPC), "write \"/dev/full\": no space left on device");
}

/* ---- into a stream ---- */

#define LETTERS 700000

struct sending {
    coir_stream *to;
    const char *path;
    uint64_t offset, length;
};

static int send_it(void *arg)
{
    const struct sending *sending = arg;
    COIR_AUTO(coir_file) *file = NULL;
    COIR_AUTO(coir_stream) *to = sending->to;
    COIR_TRY(coir_file_open(sending->path, O_RDONLY, NULL, &file));
    return coir_stream_send_file(to, file, sending->offset, sending->length);
}

/* Sends a part of a file of letters through one end of a pair, and expects it at the other. */
static void expect_sent(coir_stream *to, coir_stream *from, uint64_t offset, uint64_t length)
{
    static char letters[LETTERS];
    for (size_t i = 0; i < LETTERS; i++)
        letters[i] = (char)('a' + i % 23);
    FILE *plain = fopen(in("letters"), "we");
    struct sending sending = {to, in("letters"), offset, length};
    if (plain == NULL || fwrite(letters, 1, LETTERS, plain) != LETTERS || fclose(plain) != 0) {
        coir_stream_abort(to);
        COIR_FAIL("no file of letters");
        return;
    }
    COIR_GROUP(group);
    if (coir_spawn(&group, send_it, &sending, NULL) < 0) {
        coir_stream_abort(to);
        return;
    }
    uint64_t expected = length < LETTERS - offset ? length : LETTERS - offset, count = 0;
    char data[10000];
    size_t n;
    int r;
    while ((r = coir_stream_read(from, data, sizeof data, &n)) > 0) {
        if (count + n > expected || !COIR_EXPECT_BYTES(data, letters + offset + count, n))
            break;
        count += n;
    }
    COIR_EXPECT_EQ(r, 0);
    COIR_EXPECT_EQ(count, expected);
    COIR_EXPECT_OK(coir_group_wait(&group));
}

COIR_TEST_TAGGED(sent_to_a_socket, "slow,limit=60")
{
    PAIR(BY_TCP, a, b);
    expect_sent(COIR_TAKE(a), b, 0, COIR_FILE_REST);
}

COIR_TEST(sent_in_part)
{
    PAIR(BY_UNIX, a, b);
    expect_sent(COIR_TAKE(a), b, LETTERS - 1000, 999);
}

COIR_TEST_TAGGED(sent_to_a_pipe, "slow,limit=60")
{
    COIR_AUTO(coir_stream) *reader = NULL;
    coir_stream *writer = NULL;
    COIR_REQUIRE_OK(coir_pipe_open(&reader, &writer));
    expect_sent(writer, reader, 5, COIR_FILE_REST);
}

COIR_TEST(sent_to_memory)
{
    COIR_AUTO(coir_stream) *a = NULL;
    COIR_AUTO(coir_stream) *b = NULL;
    COIR_REQUIRE_OK(coir_stream_pair(0, &a, &b));
    expect_sent(COIR_TAKE(a), b, LETTERS - 100000, COIR_FILE_REST);
}

COIR_TEST(sent_through_a_filter)
{
    PAIR(BY_TCP, a, b);
    coir_throttle_opts opts = {.write_rate = 1 << 20};
    coir_stream *slow = NULL;
    COIR_REQUIRE_OK(coir_throttle_open(COIR_TAKE(a), &opts, &slow));
    expect_sent(slow, b, LETTERS - 30000, COIR_FILE_REST);
}

COIR_TEST(nothing_is_sent_without_complaint)
{
    PAIR(BY_TCP, a, b);
    put(in("empty"), "");
    COIR_AUTO(coir_file) *file = NULL;
    COIR_REQUIRE_OK(coir_file_open(in("empty"), O_RDONLY, NULL, &file));
    COIR_EXPECT_OK(coir_stream_send_file(a, file, 0, COIR_FILE_REST));
    COIR_EXPECT_OK(coir_stream_send_file(a, file, 0, 0));
    COIR_EXPECT_CODE(coir_stream_send_file(a, file, 0, 1), -COIR_EEOF);
    COIR_EXPECT_OK(coir_stream_write(a, "x", 1)); /* it is not broken: nothing was written */
    COIR_EXPECT_CODE(coir_stream_send_file(NULL, file, 0, 1), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_send_file(a, NULL, 0, 1), -EINVAL);
}

COIR_TEST(file_that_is_too_short_breaks_the_stream)
{
    PAIR(BY_TCP, a, b);
    put(in("short"), "short");
    COIR_AUTO(coir_file) *file = NULL;
    COIR_REQUIRE_OK(coir_file_open(in("short"), O_RDONLY, NULL, &file));
    COIR_EXPECT_CODE(coir_stream_send_file(a, file, 0, 6), -COIR_EEOF);
    COIR_EXPECT_CODE(coir_stream_write(a, "x", 1), -COIR_EBROKENSTREAM);
}

static int send_in_vain(void *arg)
{
    const struct sending *sending = arg;
    COIR_AUTO(coir_file) *file = NULL;
    COIR_TRY(coir_file_open(sending->path, O_RDONLY, NULL, &file));
    return coir_stream_send_file(sending->to, file, 0, COIR_FILE_REST);
}

/* The peer does not read on: the task waits until it is cancelled, or until the stream is closed.
 */
static void expect_end(bool closes)
{
    PAIR(BY_TCP, a, b);
    put(in("file"), "some text");
    COIR_REQUIRE(truncate(in("file"), 1 << 30) == 0);
    struct sending sending = {.to = a, .path = in("file")};
    coir_task *task = NULL;
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, send_in_vain, &sending, &task));
    char data[4];
    COIR_REQUIRE_OK(coir_stream_read_exactly(b, data, sizeof data));
    COIR_EXPECT_CODE(coir_stream_write(a, "x", 1), -EBUSY);
    if (closes)
        coir_stream_close(COIR_TAKE(a));
    else
        coir_cancel(task, NULL);
    int result = 0;
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, closes ? -COIR_ECLOSED : -COIR_ECANCELEDTASK);
    if (!closes)
        COIR_EXPECT_CODE(coir_stream_write(a, "x", 1), -COIR_EBROKENSTREAM);
}

COIR_TEST_TAGGED(sending_is_cancelled, "slow,limit=60")
{
    expect_end(false);
}

COIR_TEST_TAGGED(stream_is_closed_while_a_file_is_sent, "slow,limit=60")
{
    expect_end(true);
}

/* ---- watching ---- */

static int expect_event(coir_fs_watch *watch, int id, uint32_t what, const char *name)
{
    coir_fs_event event;
    int r = coir_fs_watch_next(watch, &event);
    if (!COIR_EXPECT_EQ(r, 1))
        return r;
    COIR_EXPECT_EQ(event.id, id);
    COIR_EXPECT_EQ(event.what, what);
    COIR_EXPECT_STR(event.name, name);
    return 0;
}

COIR_TEST(changes_are_told_in_order)
{
    PATIENCE;
    COIR_AUTO(coir_fs_watch) *watch = NULL;
    int id = 0;
    uint32_t what = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE;
    COIR_REQUIRE_OK(coir_fs_watch_open(&watch));
    COIR_REQUIRE_OK(coir_fs_watch_add(watch, coir_test_tmpdir(), what, &id));
    COIR_REQUIRE_OK(coir_file_write_all(in("a"), "x", 1, NULL));
    COIR_REQUIRE_OK(coir_fs_rename(in("a"), in("bb"), 0));
    COIR_REQUIRE_OK(coir_fs_unlink(in("bb"), 0));
    COIR_REQUIRE_OK(coir_fs_mkdir(in("c"), 0));
    COIR_REQUIRE_OK(expect_event(watch, id, IN_CREATE, "a"));
    COIR_REQUIRE_OK(expect_event(watch, id, IN_CLOSE_WRITE, "a"));
    COIR_REQUIRE_OK(expect_event(watch, id, IN_MOVED_FROM, "a"));
    COIR_REQUIRE_OK(expect_event(watch, id, IN_MOVED_TO, "bb"));
    COIR_REQUIRE_OK(expect_event(watch, id, IN_DELETE, "bb"));
    COIR_REQUIRE_OK(expect_event(watch, id, IN_CREATE | IN_ISDIR, "c"));
    COIR_REQUIRE_OK(coir_fs_watch_remove(watch, id));
    COIR_REQUIRE_OK(expect_event(watch, id, IN_IGNORED, ""));
    COIR_EXPECT_CODE(coir_fs_watch_remove(watch, id), -EINVAL);
    COIR_EXPECT_CODE(coir_fs_watch_add(watch, in("missing"), IN_MODIFY, NULL), -ENOENT);
    COIR_EXPECT_CONTAINS(coir_last_message(-ENOENT), "watch \"");
}

static int wait_for_change(void *arg)
{
    coir_fs_event event;
    return coir_fs_watch_next(arg, &event);
}

COIR_TEST(change_ends_a_wait)
{
    PATIENCE;
    COIR_AUTO(coir_fs_watch) *watch = NULL;
    put(in("file"), "x");
    COIR_REQUIRE_OK(coir_fs_watch_open(&watch));
    COIR_REQUIRE_OK(coir_fs_watch_add(watch, in("file"), IN_MODIFY, NULL));
    coir_task *waiter = NULL;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, wait_for_change, watch, &waiter));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    COIR_EXPECT_CODE(wait_for_change(watch), -EBUSY);
    COIR_REQUIRE_OK(coir_file_write_all(in("file"), "y", 1, NULL));
    COIR_EXPECT_CODE(coir_join(waiter, NULL), 1);
}

COIR_TEST(wait_for_changes_is_cancelled_and_closed)
{
    PATIENCE;
    coir_fs_watch *watch = NULL;
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_fs_watch_open(&watch));
    coir_task *first = NULL, *second = NULL;
    int result = 0;
    if (COIR_EXPECT_OK(coir_spawn(&group, wait_for_change, watch, &first))) {
        (void)!coir_sleep(COIR_MS(1));
        coir_cancel(first, NULL);
        (void)!coir_join(first, &result);
        COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
    }
    bool spawned = COIR_EXPECT_OK(coir_spawn(&group, wait_for_change, watch, &second));
    (void)!coir_sleep(COIR_MS(1));
    if (coir_test_tortured() && spawned)
        coir_cancel(second, NULL); /* it may not wait yet */
    if (coir_test_tortured() && spawned && coir_join(second, &result) < 0)
        (void)!coir_group_finish(&group, 0);
    coir_fs_watch_close(watch);
    if (!coir_test_tortured() && spawned) {
        COIR_EXPECT_OK(coir_join(second, &result));
        COIR_EXPECT_EQ(result, -COIR_ECLOSED);
    }
}

static struct {
    sem_t asked, go;
} gate;

/* A thread that is about to add waits. */
static int wait_before_adding(enum coir__sys_call call, size_t *length)
{
    (void)length;
    if (call != COIR__SYS_INOTIFY)
        return 0;
    sem_post(&gate.asked);
    while (sem_wait(&gate.go) != 0)
        ;
    return 0;
}

static int add_the_directory(void *arg)
{
    return coir_fs_watch_add(arg, coir_test_tmpdir(), IN_CREATE, NULL);
}

/* The number of a set that is closed may be another one's at once: nothing is added to that. */
COIR_TEST_TAGGED(closing_a_watch_that_is_added_to, "no_torture")
{
    if (strcmp(coir_test_backend(), "sim") == 0)
        COIR_SKIP("no thread adds there");
    PATIENCE;
    coir_fs_watch *watch = NULL;
    coir_task *adder = NULL, *waiter = NULL, *late = NULL;
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE(sem_init(&gate.asked, 0, 0) == 0 && sem_init(&gate.go, 0, 0) == 0);
    COIR_REQUIRE_OK(coir_fs_watch_open(&watch));
    COIR_EXPECT_OK(coir_spawn(&group, wait_for_change, watch, &waiter));
    COIR_EXPECT_OK(coir_spawn(&group, add_the_directory, watch, &adder));
    coir__sys_fault = wait_before_adding;
    while (sem_trywait(&gate.asked) != 0)
        COIR_EXPECT_OK(coir_yield());
    coir_fs_watch_close(watch);
    int other = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    COIR_EXPECT_OK(coir_spawn(&group, add_the_directory, watch, &late));
    COIR_EXPECT_CODE(coir_join(late, NULL), -COIR_ECLOSED);
    coir__sys_fault = NULL;
    sem_post(&gate.go);
    COIR_EXPECT_CODE(coir_join(adder, NULL), -COIR_ECLOSED);
    COIR_EXPECT_CODE(coir_join(waiter, NULL), -COIR_ECLOSED);
    put(in("file"), "x");
    char events[512];
    COIR_EXPECT_EQ(read(other, events, sizeof events), -1);
    (void)close(other);
}

/* The kernel keeps fs.inotify.max_queued_events, 16,384 mostly. */
COIR_TEST_TAGGED(overflow_is_reported, "no_torture,limit=60")
{
    PATIENCE;
    COIR_AUTO(coir_fs_watch) *watch = NULL;
    char most[32] = ""; /* which the kernel gives at once or not at all */
    int fd = open("/proc/sys/fs/inotify/max_queued_events", O_RDONLY | O_CLOEXEC);
    COIR_REQUIRE(fd >= 0 && read(fd, most, sizeof most - 1) > 0);
    (void)close(fd);
    long count = strtol(most, NULL, 10);
    if (count > 100000)
        COIR_SKIP("the kernel keeps very many events");
    COIR_REQUIRE_OK(coir_fs_watch_open(&watch));
    COIR_REQUIRE_OK(coir_fs_watch_add(watch, coir_test_tmpdir(), IN_CREATE | IN_DELETE, NULL));
    for (long i = 0; i < count / 2 + 10; i++) { /* two events each, which differ */
        put(in("x"), "");
        (void)unlink(in("x"));
    }
    coir_fs_event event;
    long seen = 0;
    int r;
    while ((r = coir_fs_watch_next(watch, &event)) > 0)
        seen++;
    COIR_EXPECT_CODE(r, -COIR_ELAGGED);
    COIR_EXPECT_EQ(seen, count);
    put(in("later"), "");
    COIR_REQUIRE_EQ(coir_fs_watch_next(watch, &event), 1);
    COIR_EXPECT_STR(event.name, "later");
}
