/* io_splice.c: tests of coir_stream_splice: between all kinds of streams, to the end and in part,
 * and that whatever ends it early, each byte is in one place.
 */
#include <stdlib.h>

#include <coir/pipe.h>
#include <coir/stream_pair.h>
#include <coir/testing_streams.h>

#include "core/sys.h"
#include "net_pair.h"

/* ---- what is written to one end of a chain, and spliced in the middle ---- */

enum kind { TCP, UNIX, PIPE, MEMORY, FILTER, KINDS };

/* What is written to *ret_writer can be read from *ret_reader. */
static int open_kind(enum kind kind, coir_stream **ret_writer, coir_stream **ret_reader)
{
    switch (kind) {
    case TCP: return open_pair(BY_TCP, ret_writer, ret_reader);
    case UNIX: return open_pair(BY_UNIX, ret_writer, ret_reader);
    case PIPE: return coir_pipe_open(ret_reader, ret_writer);
    case MEMORY: return coir_stream_pair(0, ret_writer, ret_reader);
    default: break;
    }
    COIR_AUTO(coir_stream) *writer = NULL;
    COIR_AUTO(coir_stream) *reader = NULL;
    COIR_TRY(open_pair(BY_TCP, &writer, &reader));
    COIR_TRY(coir_fault_stream_open(COIR_TAKE(writer), NULL, &writer));
    COIR_TRY(coir_fault_stream_open(COIR_TAKE(reader), NULL, &reader));
    *ret_writer = COIR_TAKE(writer);
    *ret_reader = COIR_TAKE(reader);
    return 0;
}

/* The program writes to a, b is spliced to c, and the test reads from d. */
#define CHAIN(first, second)                                                                       \
    PATIENCE;                                                                                      \
    COIR_AUTO(coir_stream) *a = NULL;                                                              \
    COIR_AUTO(coir_stream) *b = NULL;                                                              \
    COIR_AUTO(coir_stream) *c = NULL;                                                              \
    COIR_AUTO(coir_stream) *d = NULL;                                                              \
    COIR_REQUIRE_OK(open_kind((first), &a, &b));                                                   \
    COIR_REQUIRE_OK(open_kind((second), &c, &d))

struct writing {
    coir_stream *stream; /* the task's */
    size_t size;
};

static int write_pattern(void *arg)
{
    struct writing *writing = arg;
    COIR_AUTO(coir_stream) *stream = COIR_TAKE(writing->stream);
    unsigned char data[65536];
    for (size_t at = 0; at < writing->size;) {
        size_t n = writing->size - at < sizeof data ? writing->size - at : sizeof data;
        for (size_t i = 0; i < n; i++)
            data[i] = pattern(at + i);
        COIR_TRY(coir_stream_write(stream, data, n));
        at += n;
    }
    return 0;
}

struct splicing {
    coir_stream *from, *to;
    uint64_t length, moved;
    int result;
    bool closes; /* to is the task's */
};

static int splice_it(void *arg)
{
    struct splicing *splicing = arg;
    splicing->result =
        coir_stream_splice(splicing->from, splicing->to, splicing->length, &splicing->moved);
    if (splicing->closes)
        coir_stream_close(COIR_TAKE(splicing->to));
    return splicing->result;
}

/* Reads size bytes of the pattern from *at on, and moves that. Returns 0, or what failed. */
static int expect_pattern(coir_stream *stream, size_t *at, size_t size)
{
    unsigned char data[50000];
    while (size > 0) {
        size_t n, most = size < sizeof data ? size : sizeof data;
        int r = coir_stream_read(stream, data, most, &n);
        if (r <= 0)
            return r < 0 ? r : -COIR_EEOF;
        for (size_t i = 0; i < n; i++)
            if (data[i] != pattern(*at + i))
                return -EBADMSG;
        *at += n;
        size -= n;
    }
    return 0;
}

/* How often the kernel was asked to move bytes. */
static unsigned asked;

static int count_splices(enum coir__sys_call call, size_t *length)
{
    (void)length;
    asked += call == COIR__SYS_SPLICE;
    return 0;
}

static void check_whole(enum kind first, enum kind second, size_t size)
{
    CHAIN(first, second);
    struct writing writing = {a, size};
    struct splicing splicing = {.from = b, .to = c, .length = COIR_STREAM_REST, .closes = true};
    size_t at = 0, n;
    char more;
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, write_pattern, &writing, NULL));
    (void)COIR_TAKE(a);
    COIR_REQUIRE_OK(coir_spawn(&group, splice_it, &splicing, NULL));
    (void)COIR_TAKE(c);
    COIR_EXPECT_OK(expect_pattern(d, &at, size));
    COIR_EXPECT_EQ(coir_stream_read(d, &more, 1, &n), 0);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(splicing.moved, size);
}

COIR_TEST_TAGGED(all_of_each_kind_to_each, "no_torture,limit=60")
{
    for (enum kind first = 0; first < KINDS; first++)
        for (enum kind second = 0; second < KINDS; second++) {
            check_whole(first, second, 0);
            check_whole(first, second, 300000);
        }
}

COIR_TEST_TAGGED(much_between_sockets, "limit=60")
{
    check_whole(TCP, UNIX, 400000);
}

COIR_TEST_TAGGED(much_between_pipes, "limit=60")
{
    check_whole(PIPE, PIPE, 400000);
}

COIR_TEST(little_through_a_filter)
{
    check_whole(FILTER, MEMORY, 5000);
}

COIR_TEST_TAGGED(kernel_moves_much_and_not_little, "no_torture")
{
    bool kernel = strcmp(coir_test_backend(), "sim") != 0;
    coir__sys_fault = count_splices;
    check_whole(TCP, TCP, 1000);
    COIR_EXPECT_EQ(asked, 0);
    check_whole(TCP, TCP, 1000000);
    coir__sys_fault = NULL;
    COIR_EXPECT(kernel ? asked > 2 : asked == 0);
}

/* ---- a part of it ---- */

COIR_TEST(no_more_than_asked_for)
{
    CHAIN(TCP, TCP);
    unsigned char data[100];
    uint64_t moved = 1;
    size_t at = 0;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = pattern(i);
    COIR_REQUIRE_OK(coir_stream_write(a, data, sizeof data));
    COIR_EXPECT_OK(coir_stream_splice(b, c, 0, &moved));
    COIR_EXPECT_EQ(moved, 0);
    COIR_EXPECT_OK(coir_stream_splice(b, c, 40, &moved));
    COIR_EXPECT_EQ(moved, 40);
    COIR_EXPECT_OK(coir_stream_splice(b, c, 59, NULL));
    COIR_EXPECT_OK(expect_pattern(d, &at, 99));
    coir_bytes rest;
    COIR_EXPECT_EQ(coir_stream_peek(b, 1, &rest), 1);
    COIR_EXPECT_EQ(rest.length, 1);
    COIR_REQUIRE_OK(coir_stream_shutdown(a));
    COIR_EXPECT_OK(coir_stream_splice(b, c, 10, &moved)); /* the end comes before */
    COIR_EXPECT_EQ(moved, 1);
    COIR_EXPECT_OK(coir_stream_splice(b, c, 10, &moved));
    COIR_EXPECT_EQ(moved, 0);
}

COIR_TEST_TAGGED(much_in_parts, "limit=60")
{
    CHAIN(TCP, TCP);
    struct writing writing = {a, 300000};
    struct splicing splicing = {.from = b, .to = c, .length = 123456};
    size_t at = 0;
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, write_pattern, &writing, NULL));
    (void)COIR_TAKE(a);
    for (size_t whole = 0; whole < 300000; whole += splicing.moved) {
        coir_task *task;
        COIR_REQUIRE_OK(coir_spawn(&group, splice_it, &splicing, &task));
        COIR_REQUIRE_OK(expect_pattern(d, &at, 123456 < 300000 - at ? 123456 : 300000 - at));
        COIR_REQUIRE_OK(coir_join(task, NULL));
        COIR_REQUIRE_EQ(at, whole + splicing.moved);
    }
    COIR_EXPECT_OK(coir_group_wait(&group));
}

static int echo_to_itself(void *arg)
{
    return coir_stream_splice(arg, arg, COIR_STREAM_REST, NULL);
}

COIR_TEST(stream_to_itself_is_an_echo)
{
    PAIR(BY_UNIX, a, b);
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, echo_to_itself, b, NULL));
    char data[5];
    COIR_REQUIRE_OK(coir_stream_write(a, "hello", 5));
    COIR_REQUIRE_OK(coir_stream_read_exactly(a, data, 5));
    COIR_EXPECT_BYTES(data, "hello", 5);
    COIR_REQUIRE_OK(coir_stream_shutdown(a));
    COIR_EXPECT_OK(coir_group_wait(&group));
}

/* ---- ending early ---- */

/* How much is written: more than fits into all that is between. */
#define TOO_MUCH ((size_t)20 << 20)

enum ending { CANCELLED, FROM_CLOSED, TO_CLOSED, PEER_GONE };

/* Splices until the reader's side is full, ends it, and looks where the bytes are. */
static void check_end(enum kind first, enum kind second, enum ending ending)
{
    CHAIN(first, second);
    struct writing writing = {a, TOO_MUCH};
    struct splicing splicing = {.from = b, .to = c, .length = COIR_STREAM_REST};
    coir_task *task = NULL, *writer = NULL;
    size_t at = 0;
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, write_pattern, &writing, &writer));
    (void)COIR_TAKE(a);
    COIR_REQUIRE_OK(coir_spawn(&group, splice_it, &splicing, &task));
    COIR_REQUIRE_OK(expect_pattern(d, &at, 1000));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_CODE(coir_stream_write(c, "x", 1), -EBUSY);
    COIR_EXPECT_CODE(coir_stream_splice(b, c, 1, NULL), -EBUSY);
    switch (ending) {
    case CANCELLED: coir_cancel(task, NULL); break;
    case FROM_CLOSED: coir_stream_close(COIR_TAKE(b)); break;
    case TO_CLOSED: coir_stream_close(COIR_TAKE(c)); break;
    case PEER_GONE: coir_stream_abort(COIR_TAKE(d)); break;
    }
    int result = 0;
    COIR_REQUIRE_OK(coir_join(task, &result));
    if (ending == CANCELLED)
        COIR_EXPECT_CODE(result, -COIR_ECANCELEDTASK);
    else if (ending == PEER_GONE)
        COIR_EXPECT(result == -EPIPE || result == -ECONNRESET);
    else
        COIR_EXPECT_CODE(result, -COIR_ECLOSED);
    COIR_EXPECT(splicing.moved >= at && splicing.moved < TOO_MUCH);
    if (d != NULL)
        COIR_EXPECT_OK(expect_pattern(d, &at, ending == TO_CLOSED ? 0 : splicing.moved - at));
    at = splicing.moved;
    if (b != NULL)
        COIR_EXPECT_OK(expect_pattern(b, &at, 300000));
    coir_cancel(writer, NULL);
    (void)!coir_join(writer, &result);
}

COIR_TEST_TAGGED(cancelled_between_sockets, "slow,limit=60")
{
    check_end(TCP, TCP, CANCELLED);
}

COIR_TEST_TAGGED(cancelled_between_pipes, "slow,limit=60")
{
    check_end(PIPE, PIPE, CANCELLED);
}

COIR_TEST_TAGGED(cancelled_in_memory, "limit=60")
{
    check_end(MEMORY, MEMORY, CANCELLED);
}

COIR_TEST_TAGGED(every_end_of_every_kind, "no_torture,limit=120")
{
    static const enum kind kinds[] = {TCP, UNIX, PIPE, MEMORY, FILTER};
    for (size_t i = 0; i < COIR_COUNT(kinds); i++) {
        check_end(kinds[i], TCP, FROM_CLOSED);
        check_end(kinds[i], MEMORY, TO_CLOSED);
        check_end(TCP, kinds[i], TO_CLOSED);
        check_end(kinds[i], PIPE, PEER_GONE); /* and there is no SIGPIPE */
        check_end(UNIX, kinds[i], CANCELLED);
    }
}

/* While there is nothing to move. */
static void check_idle_end(enum kind first, enum kind second, enum ending ending)
{
    CHAIN(first, second);
    struct splicing splicing = {.from = b, .to = c, .length = COIR_STREAM_REST};
    coir_task *task = NULL;
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, splice_it, &splicing, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    if (ending == CANCELLED)
        coir_cancel(task, NULL);
    else
        coir_stream_close(ending == TO_CLOSED ? COIR_TAKE(c) : COIR_TAKE(b));
    int result = 0;
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_CODE(result, ending == CANCELLED ? -COIR_ECANCELEDTASK : -COIR_ECLOSED);
    COIR_EXPECT_EQ(splicing.moved, 0);
    if (ending != CANCELLED)
        return;
    coir_bytes bytes; /* both can be used as before */
    COIR_EXPECT_OK(coir_stream_write(a, "x", 1));
    COIR_EXPECT_EQ(coir_stream_peek(b, 1, &bytes), 1);
    COIR_EXPECT_OK(coir_stream_write(c, "y", 1));
    COIR_EXPECT_EQ(coir_stream_peek(d, 1, &bytes), 1);
}

COIR_TEST(ended_while_idle)
{
    static const enum kind kinds[] = {TCP, PIPE, MEMORY, FILTER};
    for (size_t i = 0; i < COIR_COUNT(kinds); i++)
        for (enum ending ending = CANCELLED; ending <= TO_CLOSED; ending++)
            check_idle_end(kinds[i], kinds[COIR_COUNT(kinds) - 1 - i], ending);
}

static int cancel_deadline(coir_stream *from, coir_stream *to)
{
    COIR_SCOPE(limit, COIR_MS(5));
    uint64_t moved = 1;
    int r = coir_stream_splice(from, to, COIR_STREAM_REST, &moved);
    return r == -ETIME && coir_scope_expired(&limit) && moved == 0 ? 0 : -EBADMSG;
}

COIR_TEST(deadline_of_its_caller)
{
    CHAIN(TCP, TCP);
    COIR_EXPECT_OK(cancel_deadline(b, c));
}

COIR_TEST(reset_is_told_as_by_a_read)
{
    CHAIN(TCP, TCP);
    uint64_t moved = 1;
    coir_stream_abort(COIR_TAKE(a));
    COIR_EXPECT_CODE(coir_stream_splice(b, c, COIR_STREAM_REST, &moved), -ECONNRESET);
    COIR_EXPECT_EQ(moved, 0);
}

COIR_TEST(wrong_calls)
{
    CHAIN(MEMORY, MEMORY);
    uint64_t moved = 1;
    COIR_EXPECT_CODE(coir_stream_splice(NULL, c, 1, &moved), -EINVAL);
    COIR_EXPECT_EQ(moved, 0);
    COIR_EXPECT_CODE(coir_stream_splice(b, NULL, 1, NULL), -EINVAL);
    struct splicing splicing = {.from = b, .to = c, .length = 5};
    coir_task *task = NULL;
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, splice_it, &splicing, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    char data;
    size_t n;
    COIR_EXPECT_CODE(coir_stream_splice(d, c, 1, NULL), -EBUSY);
    COIR_EXPECT_CODE(coir_stream_splice(b, a, 1, NULL), -EBUSY);
    COIR_EXPECT_CODE(coir_stream_read(b, &data, 1, &n), -EBUSY);
    COIR_EXPECT_OK(coir_stream_write(b, "x", 1)); /* the other directions are free */
    COIR_EXPECT_OK(coir_stream_write(d, "x", 1));
}

/* ---- what the kernel has not got ---- */

static enum coir__sys_call lacking;
static int lacking_code;

static int lack(enum coir__sys_call call, size_t *length)
{
    (void)length;
    return call == lacking ? lacking_code : 0;
}

COIR_TEST_TAGGED(without_pipes_or_splice_it_is_copied, "no_torture")
{
    static const struct {
        enum coir__sys_call call;
        int code;
    } cases[] = {
        {COIR__SYS_SPLICE, -EINVAL}, {COIR__SYS_SPLICE, -ENOSYS}, {COIR__SYS_PIPE, -EMFILE}};
    for (size_t i = 0; i < COIR_COUNT(cases); i++) {
        lacking = cases[i].call;
        lacking_code = cases[i].code;
        coir__sys_fault = lack;
        check_whole(UNIX, TCP, 500000);
        coir__sys_fault = NULL;
    }
}

/* What is in the pipe when the other side cannot be written to so is not lost. */
static int lack_late(enum coir__sys_call call, size_t *length)
{
    (void)length;
    return call == COIR__SYS_SPLICE && ++asked % 2 == 0 ? -EINVAL : 0;
}

COIR_TEST_TAGGED(what_was_taken_is_copied_on, "no_torture")
{
    coir__sys_fault = lack_late;
    check_whole(TCP, TCP, 500000);
    coir__sys_fault = NULL;
    COIR_EXPECT(strcmp(coir_test_backend(), "sim") == 0 || asked == 2);
}

/* ---- after each byte ---- */

static int proxy(coir_stream *stream, void *arg)
{
    (void)arg;
    COIR_AUTO(coir_stream) *to = NULL;
    COIR_AUTO(coir_stream) *end = NULL;
    COIR_TRY(coir_stream_pair(0, &to, &end));
    COIR_DEADLINE(COIR_SEC(10));
    uint64_t moved = 0;
    int r = coir_stream_splice(stream, to, COIR_STREAM_REST, &moved);
    char data[64];
    COIR_SHIELD(COIR_SEC(1));
    if (moved > 0 && moved <= sizeof data && coir_stream_read_exactly(end, data, moved) < 0)
        return -EBADMSG; /* what was counted must be there */
    return r == -ETIME ? 0 : r;
}

COIR_TEST_TAGGED(session_is_cut_anywhere, "no_torture")
{
    static const char input[] = "what a client says to the server behind a proxy";
    coir_byte_session session = {.program = proxy, .input = input, .length = sizeof input - 1};
    coir_test_bytes(&session);
}
