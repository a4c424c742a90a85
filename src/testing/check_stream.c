/* check_stream.c: coir_check_stream: runs the checks, and those of them that look at data: that
 * bytes arrive whole and in order, whatever the calls, and that one end has one reader and one
 * writer.
 */
#include <stdio.h>

#include <coir/memory.h>

#include "testing/check_stream.h"
#include "testing/kit.h"

#define BIG ((size_t)16 << 20)

/* ---- tasks ---- */

int coir__send_message(void *arg)
{
    struct coir__message *message = arg;
    unsigned char data[4096];
    while (message->done < message->size) {
        size_t n = message->size - message->done;
        n = n < message->chunk ? n : message->chunk;
        for (size_t i = 0; i < n; i++)
            data[i] = coir__pattern(message->done + i);
        COIR_TRY(coir_stream_write(message->stream, data, n));
        message->done += n;
    }
    return 0;
}

int coir__receive_message(void *arg)
{
    struct coir__message *message = arg;
    unsigned char data[4096];
    int r = 1;
    while (message->done < message->size && r > 0) {
        size_t n, most = message->size - message->done;
        r = coir_stream_read(message->stream, data, most < message->chunk ? most : message->chunk,
                             &n);
        for (size_t i = 0; r > 0 && i < n; i++)
            message->broken |= data[i] != coir__pattern(message->done + i);
        message->done += r > 0 ? n : 0;
    }
    return r;
}

int coir__send_at_once(void *arg)
{
    struct coir__message *message = arg;
    unsigned char *data = coir_alloc(message->size);
    if (data == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < message->size; i++)
        data[i] = coir__pattern(i);
    int r = coir_stream_write(message->stream, data, message->size);
    coir_free(data);
    return r;
}

int coir__read_some(void *arg)
{
    char data[64];
    size_t n;
    return coir_stream_read(arg, data, sizeof data, &n);
}

int coir__read_line(void *arg)
{
    coir_bytes line;
    return coir_stream_read_line(arg, 0, &line);
}

int coir__read_ten(void *arg)
{
    char data[10];
    return coir_stream_read_exactly(arg, data, sizeof data);
}

/* ---- data ---- */

static void bytes_arrive(struct coir__pair *pair)
{
    char data[8];
    size_t n = 0;
    COIR_REQUIRE_OK(coir_stream_write(pair->a, "abcdefg", 7));
    COIR_REQUIRE_OK(coir_stream_read_exactly(pair->b, data, 3));
    COIR_EXPECT_BYTES(data, "abc", 3);
    for (size_t got = 3; got < 7; got += n) {
        COIR_REQUIRE_CODE(coir_stream_read(pair->b, data + got, 2 - got % 2, &n), 1);
        COIR_REQUIRE(n > 0 && n <= 2 - got % 2);
    }
    COIR_EXPECT_BYTES(data, "abcdefg", 7);
}

static void wrong_and_empty_calls(struct coir__pair *pair)
{
    char data[4];
    size_t n;
    coir_bytes bytes;
    COIR_EXPECT_OK(coir_stream_write(pair->a, "", 0));
    COIR_EXPECT_OK(coir_stream_write(pair->a, NULL, 0));
    COIR_EXPECT_OK(coir_stream_write_vectors(pair->a, NULL, 0));
    COIR_EXPECT_OK(coir_stream_read_exactly(pair->b, data, 0));
    COIR_EXPECT_CODE(coir_stream_write(pair->a, NULL, 1), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_write_vectors(pair->a, NULL, 1), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_write_some(pair->a, NULL, 1, &n), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_write_some(pair->a, &(struct iovec){data, 0}, 1, &n), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_write_some(pair->a, &(struct iovec){data, 1}, 1, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_read(pair->b, data, 0, &n), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_read(pair->b, NULL, 4, &n), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_read(pair->b, data, 4, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_read_exactly(pair->b, NULL, 4), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_peek(pair->b, 0, &bytes), -EINVAL);
    COIR_REQUIRE_OK(coir_stream_write(pair->a, "good", 4));
    COIR_REQUIRE_OK(coir_stream_read_exactly(pair->b, data, 4));
    COIR_EXPECT_BYTES(data, "good", 4);
}

static void vectors_in_order(struct coir__pair *pair)
{
    char text[] = "0123456789", data[10];
    struct iovec vectors[] = {{text, 0},     {text, 1}, {text + 1, 0}, {text + 1, 5},
                              {text + 6, 4}, {text, 0}, {NULL, 0}};
    COIR_REQUIRE_OK(coir_stream_write_vectors(pair->a, vectors, COIR_COUNT(vectors)));
    COIR_REQUIRE_OK(coir_stream_write_vectors(pair->a, vectors, 1));
    COIR_REQUIRE_OK(coir_stream_read_exactly(pair->b, data, sizeof data));
    COIR_EXPECT_BYTES(data, text, sizeof data);
}

static void some_of_it(struct coir__pair *pair)
{
    char text[] = "0123456789", data[10];
    size_t n = 0;
    for (size_t at = 0; at < sizeof data; at += n) {
        size_t half = (sizeof data - at + 1) / 2;
        struct iovec vectors[] = {
            {NULL, 0}, {text + at, half}, {text + at + half, sizeof data - at - half}};
        COIR_REQUIRE_OK(coir_stream_write_some(pair->a, vectors, COIR_COUNT(vectors), &n));
        COIR_REQUIRE(n > 0 && n <= sizeof data - at);
        COIR_REQUIRE_OK(coir_stream_read_exactly(pair->b, data + at, n));
    }
    COIR_EXPECT_BYTES(data, text, sizeof data);
}

static void reading_waits(struct coir__pair *pair)
{
    COIR_GROUP(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, coir__read_ten, pair->b, &task));
    for (int i = 0; i < 10; i++) {
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        COIR_EXPECT(!coir_task_done(task));
        COIR_REQUIRE_OK(coir_stream_write(pair->a, "x", 1));
    }
    COIR_EXPECT_OK(coir_join(task, NULL));
}

static void lines_and_separators(struct coir__pair *pair)
{
    coir_bytes bytes;
    COIR_REQUIRE_OK(coir_stream_write(pair->a, "one\r\ntwo--three", 15));
    COIR_EXPECT_CODE(coir_stream_read_line(pair->b, 4, &bytes), -COIR_ETOOLONG);
    COIR_REQUIRE_CODE(coir_stream_read_line(pair->b, 5, &bytes), 1);
    COIR_REQUIRE_EQ(bytes.length, 3);
    COIR_EXPECT_BYTES(bytes.data, "one", 3);
    COIR_REQUIRE_CODE(coir_stream_read_until(pair->b, "--", 2, 0, &bytes), 1);
    COIR_REQUIRE_EQ(bytes.length, 5);
    COIR_EXPECT_BYTES(bytes.data, "two--", 5);
    COIR_REQUIRE_CODE(coir_stream_peek(pair->b, 5, &bytes), 1);
    COIR_EXPECT_EQ(bytes.length, 5);
    coir_stream_consume(pair->b, 2);
    COIR_REQUIRE_OK(coir_stream_write(pair->a, "\nlast", 5));
    coir_stream_close(COIR_TAKE(pair->a));
    COIR_REQUIRE_CODE(coir_stream_read_line(pair->b, 0, &bytes), 1);
    COIR_REQUIRE_EQ(bytes.length, 3);
    COIR_EXPECT_BYTES(bytes.data, "ree", 3);
    COIR_EXPECT_CODE(coir_stream_peek(pair->b, 5, &bytes), -COIR_EEOF);
    COIR_EXPECT_CODE(coir_stream_read_until(pair->b, "\n", 1, 0, &bytes), -COIR_EEOF);
    COIR_EXPECT_CODE(coir__read_ten(pair->b), -COIR_EEOF);
    COIR_REQUIRE_CODE(coir_stream_read_line(pair->b, 0, &bytes), 1);
    COIR_REQUIRE_EQ(bytes.length, 4);
    COIR_EXPECT_BYTES(bytes.data, "last", 4);
    COIR_EXPECT_CODE(coir_stream_read_line(pair->b, 0, &bytes), 0);
    COIR_EXPECT_CODE(coir_stream_peek(pair->b, 1, &bytes), 0);
}

static void queries(struct coir__pair *pair)
{
    const char *name = NULL;
    size_t unread = 99, depth = 0;
    coir_bytes bytes;
    int fd;
    COIR_EXPECT_OK(coir_stream_query(pair->b, COIR_QUERY_NAME, &name));
    COIR_EXPECT(name != NULL && name[0] != '\0');
    COIR_EXPECT_OK(coir_stream_query(pair->b, COIR_QUERY_UNREAD, &unread));
    COIR_EXPECT_EQ(unread, 0);
    COIR_REQUIRE_OK(coir_stream_write(pair->a, "four", 4));
    COIR_REQUIRE_OK(coir_stream_peek(pair->b, 4, &bytes));
    COIR_EXPECT_OK(coir_stream_query(pair->b, COIR_QUERY_UNREAD, &unread));
    COIR_EXPECT_EQ(unread, 4);
    COIR_EXPECT_OK(coir_stream_query(pair->b, COIR_QUERY_HELD, &unread));
    COIR_EXPECT_GE(unread, 4); /* a protocol may have more of its own */
    coir_stream *stream = pair->b, *lower;
    while (depth < 100 && coir_stream_query(stream, COIR_QUERY_LOWER, &lower) == 0) {
        stream = lower;
        depth++;
    }
    COIR_EXPECT_LT(depth, 100);
    int r = coir_stream_query(pair->b, COIR_QUERY_DESCRIPTOR, &fd);
    COIR_EXPECT(r == -EOPNOTSUPP || (r == 0 && fd >= 0));
    COIR_EXPECT_CODE(coir_stream_query(pair->b, COIR_QUERY_OWN + 12345, &fd), -EOPNOTSUPP);
    COIR_EXPECT_CODE(coir_stream_query(pair->b, COIR_QUERY_NAME, NULL), -EINVAL);
}

static void one_reader(struct coir__pair *pair)
{
    coir_fn readers[] = {coir__read_some, coir__read_line, coir__read_ten};
    coir_bytes bytes;
    for (size_t i = 0; i < COIR_COUNT(readers); i++) {
        COIR_GROUP(group);
        coir_task *task;
        COIR_REQUIRE_OK(coir_spawn(&group, readers[i], pair->b, &task));
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        for (size_t k = 0; k < COIR_COUNT(readers); k++)
            COIR_EXPECT_CODE(readers[k](pair->b), -EBUSY);
        COIR_EXPECT_CODE(coir_stream_peek(pair->b, 1, &bytes), -EBUSY);
        COIR_REQUIRE_OK(coir_stream_write(pair->a, "123456789\n", 10));
        COIR_REQUIRE_OK(coir_join(task, NULL));
        COIR_REQUIRE_OK(coir_stream_write(pair->a, "|", 1)); /* after what it has left */
        COIR_REQUIRE_OK(coir_stream_read_until(pair->b, "|", 1, 0, &bytes));
    }
}

static void one_writer(struct coir__pair *pair)
{
    struct coir__message out = {.stream = pair->a, .size = pair->big};
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, coir__send_at_once, &out, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT(!coir_task_done(task));
    COIR_EXPECT_CODE(coir_stream_write(pair->a, "x", 1), -EBUSY);
    COIR_EXPECT_CODE(coir_stream_shutdown(pair->a), -EBUSY);
    coir_cancel(task, NULL);
    (void)coir_group_errors(&group);
}

static void back_pressure(struct coir__pair *pair)
{
    struct coir__message out = {.stream = pair->a, .size = pair->big, .chunk = 4096};
    struct coir__message in = {.stream = pair->b, .size = pair->big, .chunk = 3001};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, coir__send_message, &out, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_LT(out.done, out.size);
    COIR_REQUIRE_OK(coir_spawn(&group, coir__receive_message, &in, NULL));
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(in.done, in.size);
    COIR_EXPECT(!in.broken);
}

static void both_directions(struct coir__pair *pair)
{
    size_t size = pair->big < 200000 ? pair->big : 200000;
    struct coir__message messages[] = {
        {.stream = pair->a, .size = size, .chunk = 777},
        {.stream = pair->b, .size = size, .chunk = 3001},
        {.stream = pair->b, .size = size, .chunk = 999},
        {.stream = pair->a, .size = size, .chunk = 10},
    };
    COIR_GROUP(group);
    for (size_t i = 0; i < 4; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, i < 2 ? coir__send_message : coir__receive_message,
                                   &messages[i], NULL));
    COIR_REQUIRE_OK(coir_group_wait(&group));
    for (size_t i = 0; i < 4; i++)
        COIR_EXPECT_EQ(messages[i].done, size);
    COIR_EXPECT(!messages[2].broken && !messages[3].broken);
}

const struct coir__check coir__checks_data[] = {
    {"bytes arrive", bytes_arrive, 0, false},
    {"wrong and empty calls change nothing", wrong_and_empty_calls, 0, false},
    {"vectors arrive in order", vectors_in_order, 0, false},
    {"some of it is written", some_of_it, 0, false},
    {"reading waits", reading_waits, 0, false},
    {"lines, separators and peeks", lines_and_separators, 0, false},
    {"queries", queries, 0, false},
    {"one reader", one_reader, 0, false},
    {"one writer", one_writer, COIR_TRAIT_UNBOUNDED, true},
    {"back-pressure", back_pressure, COIR_TRAIT_UNBOUNDED, true},
    {"both directions at once", both_directions, COIR_TRAIT_ONE_WAY, true},
    {NULL, NULL, 0, false},
};

/* ---- running them ---- */

/* With a kernel nobody can tell that a peer which a fault has ended will never answer. */
static coir_time patience(void)
{
    bool kernel = strcmp(coir_test_backend(), "sim") != 0;
    return coir_test_tortured() && kernel ? COIR_SEC(1) : COIR_FOREVER;
}

/* Returns whether all expectations held. */
static bool run_check(const coir_stream_maker *maker, const struct coir__check *check, bool swapped)
{
    unsigned before = coir__run_unmet_count();
    struct coir__pair pair = {.maker = maker, .big = maker->big > 0 ? maker->big : BIG};
    COIR_DEADLINE(patience());
    if (COIR_EXPECT_OK(
            maker->make(maker->arg, swapped ? &pair.b : &pair.a, swapped ? &pair.a : &pair.b)))
        check->run(&pair);
    coir_stream_abort(pair.a);
    coir_stream_abort(pair.b);
    if (coir__run_unmet_count() == before)
        return true;
    if (!coir_test_tortured())
        fprintf(stderr, "    by the stream \"%s\"%s in the check \"%s\"\n", maker->name,
                swapped ? ", from its second end," : "", check->name);
    return false;
}

static bool run_checks(const coir_stream_maker *maker, const struct coir__check *checks)
{
    for (const struct coir__check *check = checks; check->name != NULL; check++) {
        if ((check->traits & maker->traits) != 0 || (check->heavy && coir_test_tortured()))
            continue;
        for (int i = 0; i < ((maker->traits & COIR_TRAIT_ONE_WAY) != 0 ? 1 : 2); i++)
            if (!run_check(maker, check, i > 0) && (coir_test_tortured() || coir_pending() != 0))
                return false; /* what follows would show nothing more */
    }
    return true;
}

void coir_check_stream(const coir_stream_maker *maker)
{
    if (run_checks(maker, coir__checks_data))
        (void)run_checks(maker, coir__checks_ends);
}
