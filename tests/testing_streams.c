/* testing_streams.c: tests of the test kit's streams: that coir_check_stream finds what is wrong
 * with a stream, that the fault injector injects, and that coir_test_bytes finds programs which
 * hang, leak or fail.
 */
#include <string.h>

#include <coir/memory.h>
#include <coir/stream_pair.h>
#include <coir/testing_streams.h>

#include "testing_nested.h"

/* ---- streams with a defect each ---- */

enum defect {
    LOSES_CANCELLED_BYTES,
    SWAPS_BYTES,
    FORGETS_THE_END,
    IGNORES_ABORTS,
    IGNORES_CANCELLATION,
    SWALLOWS_FAILURES,
    HALF_CLOSE_CLOSES_ALL,
};

struct bad {
    coir_stream *lower;
    enum defect defect;
    bool over;
};

static int bad_read(void *state, void *data, size_t size, size_t *ret_n)
{
    struct bad *bad = state;
    if (bad->over)
        return 0;
    int r = coir_stream_read(bad->lower, data, size, ret_n);
    if (bad->defect == LOSES_CANCELLED_BYTES && r > 0 && (r = coir_sleep(1)) == 0)
        r = 1;
    if (bad->defect == SWAPS_BYTES && r > 0 && *ret_n > 1) {
        char *bytes = data, first = bytes[0];
        bytes[0] = bytes[1];
        bytes[1] = first;
    }
    if (bad->defect == FORGETS_THE_END && r == 0)
        r = coir_sleep(COIR_SEC(1)) < 0 ? -ECANCELED : -EIO;
    if (bad->defect == IGNORES_CANCELLATION && r == -ECANCELED)
        r = -EIO;
    return r;
}

static int bad_write(void *state, const struct iovec *vectors, size_t count, size_t *ret_n)
{
    struct bad *bad = state;
    (void)count;
    *ret_n = vectors->iov_len;
    if (bad->defect != SWALLOWS_FAILURES)
        return coir_stream_write(bad->lower, vectors->iov_base, vectors->iov_len);
    COIR_DEADLINE(1);
    (void)!coir_stream_write(bad->lower, vectors->iov_base, vectors->iov_len);
    return 0;
}

static int bad_shutdown(void *state)
{
    struct bad *bad = state;
    bad->over = bad->defect == HALF_CLOSE_CLOSES_ALL;
    return coir_stream_shutdown(bad->lower);
}

static void bad_close(void *state, bool abrupt)
{
    struct bad *bad = state;
    if (abrupt && bad->defect != IGNORES_ABORTS)
        coir_stream_abort(bad->lower);
    else
        coir_stream_close(bad->lower);
    coir_free(bad);
}

static const coir_stream_ops bad_ops = {
    .name = "bad",
    .read = bad_read,
    .write = bad_write,
    .shutdown = bad_shutdown,
    .close = bad_close,
};

static int make_bad(void *arg, coir_stream **ret_a, coir_stream **ret_b)
{
    coir_stream *lower;
    COIR_TRY(coir_stream_pair(0, &lower, ret_b));
    struct bad *bad = coir_calloc(1, sizeof *bad);
    if (bad == NULL)
        return -ENOMEM;
    *bad = (struct bad){.lower = lower, .defect = *(enum defect *)arg};
    return coir_stream_open(&bad_ops, bad, ret_a);
}

static void check_bad(enum defect defect)
{
    coir_stream_maker maker = {.name = "bad", .make = make_bad, .arg = &defect, .big = 200000};
    coir_check_stream(&maker);
}

#define DEFECT(name, defect, check)                                                                \
    COIR_TEST_TAGGED(meta_##name, "meta")                                                          \
    {                                                                                              \
        check_bad(defect);                                                                         \
    }                                                                                              \
    COIR_TEST_TAGGED(name, "own_loop,no_torture")                                                  \
    {                                                                                              \
        EXPECT_NESTED_FAILURE("in the check \"" check "\"", "meta_" #name);                        \
    }

DEFECT(finds_lost_bytes, LOSES_CANCELLED_BYTES, "cancelled gatherings lose nothing")
DEFECT(finds_swapped_bytes, SWAPS_BYTES, "bytes arrive")
DEFECT(finds_forgotten_ends, FORGETS_THE_END, "the end lasts")
DEFECT(finds_ignored_aborts, IGNORES_ABORTS, "an abort is a reset")
DEFECT(finds_ignored_cancellation, IGNORES_CANCELLATION, "reading is cancelled")
DEFECT(finds_swallowed_failures, SWALLOWS_FAILURES, "a cancelled write breaks the stream")
DEFECT(finds_a_whole_close, HALF_CLOSE_CLOSES_ALL, "half close")

/* ---- the fault injector ---- */

static int open_faulty(const coir_fault_opts *opts, coir_stream **ret_stream,
                       coir_stream **ret_peer)
{
    COIR_AUTO(coir_stream) *lower = NULL;
    COIR_AUTO(coir_stream) *peer = NULL;
    COIR_TRY(coir_stream_pair(0, &lower, &peer));
    COIR_TRY(coir_fault_stream_open(COIR_TAKE(lower), opts, ret_stream));
    *ret_peer = COIR_TAKE(peer);
    return 0;
}

#define FAULTY(stream, peer, ...)                                                                  \
    COIR_AUTO(coir_stream) *stream = NULL;                                                         \
    COIR_AUTO(coir_stream) *peer = NULL;                                                           \
    coir_fault_opts opts = {__VA_ARGS__};                                                          \
    COIR_REQUIRE_OK(open_faulty(&opts, &stream, &peer))

COIR_TEST(faults_cut_reading)
{
    FAULTY(stream, peer, .read_fault = COIR_FAULT_CUT, .read_after = 3);
    char data[8];
    size_t n;
    COIR_REQUIRE_OK(coir_stream_write(peer, "abcdef", 6));
    COIR_REQUIRE_CODE(coir_stream_read(stream, data, sizeof data, &n), 1);
    COIR_EXPECT_EQ(n, 3);
    COIR_EXPECT_CODE(coir_stream_read(stream, data, sizeof data, &n), 0);
    COIR_EXPECT_CODE(coir_stream_read(stream, data, sizeof data, &n), 0);
    COIR_EXPECT_OK(coir_stream_write(stream, "still", 5));
}

COIR_TEST(faults_cut_writing)
{
    FAULTY(stream, peer, .write_fault = COIR_FAULT_CUT, .write_after = 3);
    char data[8];
    COIR_EXPECT_CODE(coir_stream_write(stream, "abcdef", 6), -EPIPE);
    COIR_REQUIRE_OK(coir_stream_read_exactly(peer, data, 3));
    COIR_EXPECT_BYTES(data, "abc", 3);
    COIR_EXPECT_CODE(coir_stream_write(stream, "x", 1), -COIR_EBROKENSTREAM);
}

COIR_TEST(faults_stall)
{
    FAULTY(stream, peer, .read_fault = COIR_FAULT_STALL, .read_after = 1);
    char data[8];
    size_t n;
    COIR_REQUIRE_OK(coir_stream_write(peer, "abcdef", 6));
    COIR_REQUIRE_CODE(coir_stream_read(stream, data, sizeof data, &n), 1);
    coir_time start = coir_now();
    COIR_SCOPE(scope, COIR_SEC(3600));
    COIR_EXPECT_CODE(coir_stream_read(stream, data, sizeof data, &n), -ETIME);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(3600));
}

COIR_TEST(faults_reset_both_directions)
{
    FAULTY(stream, peer, .read_fault = COIR_FAULT_RESET, .read_after = 2);
    char data[8];
    size_t n;
    COIR_REQUIRE_OK(coir_stream_write(peer, "abcdef", 6));
    COIR_EXPECT_CODE(coir_stream_read_exactly(stream, data, 6), -ECONNRESET);
    COIR_EXPECT_CODE(coir_stream_write(stream, "x", 1), -EPIPE);
    COIR_EXPECT_CODE(coir_stream_shutdown(stream), -ENOTCONN);
    COIR_EXPECT_CODE(coir_stream_read(peer, data, sizeof data, &n), -ECONNRESET);
    COIR_REQUIRE_OK(coir_stream_read_exactly(stream, data, 2)); /* these had come */
    COIR_EXPECT_BYTES(data, "ab", 2);
}

static int read_one(void *arg)
{
    char byte;
    return coir_stream_read_exactly(arg, &byte, 1);
}

/* A write that is reset ends the read that waits. */
COIR_TEST(faults_reset_under_a_reader)
{
    FAULTY(stream, peer, .write_fault = COIR_FAULT_RESET, .write_after = 2);
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, read_one, stream, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_CODE(coir_stream_write(stream, "abc", 3), -EPIPE);
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -ECONNRESET);
    (void)coir_group_errors(&group);
}

COIR_TEST(faults_make_pieces)
{
    FAULTY(stream, peer, .read_most = 3, .seed = 7);
    char data[64];
    size_t n, total = 0, rounds = 0;
    COIR_REQUIRE_OK(coir_stream_write(peer, "0123456789012345678901234567890123456789", 40));
    for (; total < 40; rounds++) {
        COIR_REQUIRE_CODE(coir_stream_read(stream, data + total, 40, &n), 1);
        COIR_REQUIRE(n >= 1 && n <= 3);
        total += n;
    }
    COIR_EXPECT_BYTES(data, "0123456789012345678901234567890123456789", 40);
    COIR_EXPECT(rounds > 14 && rounds < 40);
}

/* ---- after each byte ---- */

/* Adds up: "add 4\n" and so on, until "end\n", which it answers with the sum. */
struct adder {
    bool patient; /* waits for ever */
    bool leaky;   /* forgets what it took when the peer is gone */
    bool strict;  /* does not like the last command */
};

static int next_line(const struct adder *adder, coir_stream *stream, coir_bytes *ret_line)
{
    if (adder->patient)
        return coir_stream_read_line(stream, 64, ret_line);
    COIR_SCOPE(limit, COIR_SEC(10));
    int r = coir_stream_read_line(stream, 64, ret_line);
    return r == -ETIME && coir_scope_expired(&limit) ? -ETIMEDOUT : r;
}

static int add_up(coir_stream *stream, void *arg)
{
    const struct adder *adder = arg;
    char *kept = coir_alloc(100), text[32];
    coir_bytes line;
    long sum = 0;
    int r = kept == NULL ? -ENOMEM : 1;
    while (r > 0 && (r = next_line(adder, stream, &line)) > 0) {
        if (line.length > 4 && memcmp(line.data, "add ", 4) == 0)
            sum += ((const char *)line.data)[4] - '0';
        else
            r = line.length == 3 && memcmp(line.data, "end", 3) == 0 && !adder->strict ? 0
                                                                                       : -EBADMSG;
    }
    if (r == 0)
        r = coir_stream_write(stream, text, (size_t)snprintf(text, sizeof text, "sum %ld\n", sum));
    if (!(adder->leaky && r == -ECONNRESET))
        coir_free(kept);
    return r;
}

static void check_adder(struct adder adder)
{
    static const char input[] = "add 4\nadd 3\nend\n";
    coir_byte_session session = {
        .program = add_up, .arg = &adder, .input = input, .length = sizeof input - 1};
    coir_test_bytes(&session);
}

COIR_TEST_TAGGED(bytes, "slow")
{
    check_adder((struct adder){.patient = false});
}

COIR_TEST_TAGGED(meta_patient, "meta")
{
    check_adder((struct adder){.patient = true});
}

COIR_TEST_TAGGED(meta_leaky, "meta")
{
    check_adder((struct adder){.leaky = true});
}

COIR_TEST_TAGGED(meta_strict, "meta")
{
    check_adder((struct adder){.strict = true});
}

COIR_TEST_TAGGED(bytes_finds_what_hangs, "own_loop,no_torture")
{
    EXPECT_NESTED_FAILURE("still runs long after 0 bytes (stalled)", "meta_patient");
}

COIR_TEST_TAGGED(bytes_finds_what_leaks, "own_loop,no_torture")
{
    EXPECT_NESTED_FAILURE("after 0 bytes (reset) the program has left 1 blocks", "meta_leaky");
}

COIR_TEST_TAGGED(bytes_finds_what_fails, "own_loop,no_torture")
{
    EXPECT_NESTED_FAILURE("gave -EBADMSG for the whole session", "meta_strict");
}
