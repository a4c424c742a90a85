/* check_stream_ends.c: the checks of coir_check_stream about how calls and streams end: the end of
 * the data, half closes, cancelled calls and what they leave behind, closes and aborts under
 * waiters, peers that are gone.
 */
#include <stdio.h>

#include "testing/check_stream.h"

/* ---- ends ---- */

static void the_end_lasts(struct coir__pair *pair)
{
    char data[8];
    COIR_REQUIRE_OK(coir_stream_write(pair->a, "last", 4));
    coir_stream_close(COIR_TAKE(pair->a));
    COIR_REQUIRE_OK(coir_stream_read_exactly(pair->b, data, 4));
    COIR_EXPECT_BYTES(data, "last", 4);
    for (int i = 0; i < 3; i++)
        COIR_EXPECT_CODE(coir__read_some(pair->b), 0);
    COIR_EXPECT_CODE(coir__read_ten(pair->b), -COIR_EEOF);
}

static void the_end_wakes_a_reader(struct coir__pair *pair)
{
    COIR_GROUP(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, coir__read_some, pair->b, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_stream_close(COIR_TAKE(pair->a));
    COIR_EXPECT_CODE(coir_join(task, NULL), 0);
}

static void half_close(struct coir__pair *pair)
{
    char data[8];
    COIR_REQUIRE_OK(coir_stream_write(pair->a, "question", 8));
    COIR_REQUIRE_OK(coir_stream_shutdown(pair->a));
    COIR_REQUIRE_OK(coir_stream_read_exactly(pair->b, data, 8));
    COIR_EXPECT_CODE(coir__read_some(pair->b), 0);
    COIR_EXPECT_CODE(coir_stream_write(pair->a, "more", 4), -EPIPE);
    COIR_EXPECT_OK(coir_stream_shutdown(pair->a));
    COIR_REQUIRE_OK(coir_stream_write(pair->b, "answer", 6));
    COIR_REQUIRE_OK(coir_stream_read_exactly(pair->a, data, 6));
    COIR_EXPECT_BYTES(data, "answer", 6);
    COIR_REQUIRE_OK(coir_stream_shutdown(pair->b));
    COIR_EXPECT_CODE(coir__read_some(pair->a), 0);
}

static int close_it(void *arg)
{
    coir_stream_close(arg);
    return 0;
}

/* What was written before a close arrives, though the closer has not read everything. */
static void closing_with_unread_bytes(struct coir__pair *pair)
{
    char data[8];
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_stream_write(pair->a, "unread", 6));
    COIR_REQUIRE_OK(coir_stream_write(pair->b, "answer", 6));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_REQUIRE_OK(coir_spawn(&group, close_it, pair->b, NULL));
    (void)COIR_TAKE(pair->b);
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_REQUIRE_OK(coir_stream_read_exactly(pair->a, data, 6));
    COIR_EXPECT_BYTES(data, "answer", 6);
    COIR_EXPECT_CODE(coir__read_some(pair->a), 0);
    coir_stream_close(COIR_TAKE(pair->a));
    COIR_EXPECT_OK(coir_group_wait(&group));
}

/* ---- cancellation ---- */

static void reading_is_cancelled(struct coir__pair *pair)
{
    coir_fn readers[] = {coir__read_some, coir__read_line, coir__read_ten};
    char data[8];
    COIR_GROUP_COLLECT(group);
    for (size_t i = 0; i < COIR_COUNT(readers); i++) {
        coir_task *task;
        COIR_REQUIRE_OK(coir_spawn(&group, readers[i], pair->b, &task));
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        coir_cancel(task, NULL);
        int result = 0;
        COIR_REQUIRE_OK(coir_join(task, &result));
        COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
    }
    COIR_REQUIRE_OK(coir_stream_write(pair->a, "whole", 5));
    COIR_REQUIRE_OK(coir_stream_read_exactly(pair->b, data, 5));
    COIR_EXPECT_BYTES(data, "whole", 5);
}

/* Before and while it waits, alone and against arriving bytes. */
static void cancelled_reads_lose_nothing(struct coir__pair *pair)
{
    size_t sent = 0, got = 0;
    for (int round = 0; got < 60; round++) {
        unsigned char data[64];
        size_t n = 0;
        COIR_REQUIRE_EQ(coir_pending(), 0);
        if (sent < 60) {
            unsigned char byte = coir__pattern(sent++);
            COIR_REQUIRE_OK(coir_stream_write(pair->a, &byte, 1));
        }
        COIR_SCOPE(scope, round % 3 == 1 ? COIR_US(10) : COIR_FOREVER);
        if (round % 3 == 0)
            coir_scope_cancel(&scope, NULL);
        int r = coir_stream_read(pair->b, data, sizeof data, &n);
        COIR_REQUIRE(r == 1 || r == -ECANCELED || r == -ETIME);
        for (size_t i = 0; r > 0 && i < n; i++)
            COIR_REQUIRE_EQ(data[i], coir__pattern(got + i));
        got += r > 0 ? n : 0;
    }
    COIR_EXPECT_EQ(got, 60);
}

/* An exact read and a line that are cut short after each byte. */
static void cancelled_gatherings_lose_nothing(struct coir__pair *pair)
{
    const char text[] = "ten bytes";
    coir_bytes line;
    for (size_t i = 0; i < sizeof text - 1; i++) {
        COIR_GROUP_COLLECT(group);
        coir_task *task;
        int result = 0;
        COIR_REQUIRE_OK(
            coir_spawn(&group, i % 2 == 0 ? coir__read_ten : coir__read_line, pair->b, &task));
        COIR_REQUIRE_OK(coir_stream_write(pair->a, text + i, 1));
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        coir_cancel(task, NULL);
        COIR_REQUIRE_OK(coir_join(task, &result));
        COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
    }
    COIR_REQUIRE_OK(coir_stream_write(pair->a, "\n", 1));
    COIR_REQUIRE_OK(coir_stream_read_line(pair->b, 0, &line));
    COIR_REQUIRE_EQ(line.length, sizeof text - 1);
    COIR_EXPECT_BYTES(line.data, text, line.length);
}

static void reading_has_a_deadline(struct coir__pair *pair)
{
    coir_time start = coir_now();
    COIR_SCOPE(scope, COIR_MS(2)); /* with a kernel it is real time */
    COIR_EXPECT_CODE(coir__read_some(pair->b), -ETIME);
    COIR_EXPECT(coir_scope_expired(&scope));
    COIR_EXPECT_GE(coir_now() - start, COIR_MS(2));
    coir_scope_leave(&scope);
    COIR_REQUIRE_OK(coir_stream_write(pair->a, "x", 1));
    COIR_EXPECT_CODE(coir__read_some(pair->b), 1);
}

static void a_write_that_did_nothing_breaks_nothing(struct coir__pair *pair)
{
    char data[4];
    COIR_SCOPE(scope, COIR_FOREVER);
    coir_scope_cancel(&scope, NULL);
    COIR_EXPECT_CODE(coir_stream_write(pair->a, "lost", 4), -ECANCELED);
    coir_scope_leave(&scope);
    COIR_REQUIRE_OK(coir_stream_write(pair->a, "sent", 4));
    COIR_REQUIRE_OK(coir_stream_read_exactly(pair->b, data, 4));
    COIR_EXPECT_BYTES(data, "sent", 4);
}

/* Reads what is left after the first byte of the pattern. */
static int read_on(coir_stream *stream)
{
    struct coir__message in = {.stream = stream, .size = SIZE_MAX, .chunk = 4096, .done = 1};
    int r = coir__receive_message(&in);
    COIR_EXPECT(!in.broken);
    return r;
}

/* A stream broken by a write that was cut half way takes no more, and its peer cannot take the
 * piece for the whole. */
static void a_cancelled_write_breaks_the_stream(struct coir__pair *pair)
{
    struct coir__message out = {.stream = pair->a, .size = pair->big};
    {
        COIR_GROUP_COLLECT(group);
        coir_task *task;
        int result = 0;
        char first;
        COIR_REQUIRE_OK(coir_spawn(&group, coir__send_at_once, &out, &task));
        COIR_REQUIRE_OK(coir_stream_read_exactly(pair->b, &first, 1)); /* now some of it is sent */
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        coir_cancel(task, NULL);
        COIR_REQUIRE_OK(coir_join(task, &result));
        COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
    }
    COIR_EXPECT_CODE(coir_stream_write(pair->a, "x", 1), -COIR_EBROKENSTREAM);
    COIR_EXPECT_CODE(coir_stream_shutdown(pair->a), -COIR_EBROKENSTREAM);
    if (!coir__has(pair, COIR_TRAIT_ONE_WAY)) {
        char data[8];
        COIR_REQUIRE_OK(coir_stream_write(pair->b, "read", 4));
        COIR_REQUIRE_OK(coir_stream_read_exactly(pair->a, data, 4));
        COIR_EXPECT_BYTES(data, "read", 4);
    }
    coir_stream_close(COIR_TAKE(pair->a));
    COIR_EXPECT_CODE(read_on(pair->b), coir__has(pair, COIR_TRAIT_SOFT_ABORT) ? 0 : -ECONNRESET);
}

/* ---- closing under a waiter ---- */

static void closing_ends_reads(struct coir__pair *pair)
{
    coir_fn readers[] = {coir__read_some, coir__read_line, coir__read_ten};
    static int next; /* one for each run */
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, readers[next++ % (int)COIR_COUNT(readers)], pair->b, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_stream_close(COIR_TAKE(pair->b));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECLOSED);
    (void)coir_group_errors(&group);
}

static void closing_ends_writes(struct coir__pair *pair)
{
    struct coir__message out = {.stream = pair->a, .size = pair->big};
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 0;
    char first;
    COIR_REQUIRE_OK(coir_spawn(&group, coir__send_at_once, &out, &task));
    COIR_REQUIRE_OK(coir_stream_read_exactly(pair->b, &first, 1));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_stream_close(COIR_TAKE(pair->a));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECLOSED);
    (void)coir_group_errors(&group);
    COIR_EXPECT_CODE(read_on(pair->b), coir__has(pair, COIR_TRAIT_SOFT_ABORT) ? 0 : -ECONNRESET);
}

static void a_cancelled_task_closes_at_once(struct coir__pair *pair)
{
    COIR_SCOPE(scope, COIR_FOREVER);
    coir_scope_cancel(&scope, NULL);
    coir_stream_close(COIR_TAKE(pair->a));
    coir_scope_leave(&scope);
    COIR_EXPECT_CODE(coir__read_some(pair->b),
                     coir__has(pair, COIR_TRAIT_SOFT_ABORT) ? 0 : -ECONNRESET);
}

static void closing_takes_no_time(struct coir__pair *pair)
{
    coir_time start = coir_now();
    coir_stream_close(COIR_TAKE(pair->a));
    coir_stream_close(COIR_TAKE(pair->b));
    coir_time linger = coir__has(pair, COIR_TRAIT_LINGER) ? COIR_SEC(1) : 0;
    COIR_EXPECT_LT(coir_now() - start, linger + COIR_MS(500));
}

/* ---- peers that are gone ---- */

/* Writes until it fails, which must be soon. */
static void expect_dead_end(coir_stream *stream)
{
    int r = 0;
    for (int i = 0; i < 4 && r == 0; i++) {
        r = coir_stream_write(stream, "data", 4);
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    }
    COIR_EXPECT(r == -EPIPE || r == -ECONNRESET);
}

static void an_abort_is_a_reset(struct coir__pair *pair)
{
    char data[4];
    COIR_REQUIRE_OK(coir_stream_write(pair->a, "last", 4));
    COIR_REQUIRE_OK(coir_stream_read_exactly(pair->b, data, 4));
    coir_stream_abort(COIR_TAKE(pair->a));
    COIR_EXPECT_CODE(coir__read_some(pair->b),
                     coir__has(pair, COIR_TRAIT_SOFT_ABORT) ? 0 : -ECONNRESET);
    if (!coir__has(pair, COIR_TRAIT_ONE_WAY))
        expect_dead_end(pair->b);
}

static void an_abort_wakes_a_reader(struct coir__pair *pair)
{
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 1;
    COIR_REQUIRE_OK(coir_spawn(&group, coir__read_some, pair->b, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_stream_abort(COIR_TAKE(pair->a));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, coir__has(pair, COIR_TRAIT_SOFT_ABORT) ? 0 : -ECONNRESET);
    (void)coir_group_errors(&group);
}

static void an_abort_wakes_a_writer(struct coir__pair *pair)
{
    struct coir__message out = {.stream = pair->a, .size = pair->big};
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, coir__send_at_once, &out, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_stream_abort(COIR_TAKE(pair->b));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT(result == -EPIPE || result == -ECONNRESET);
    (void)coir_group_errors(&group);
}

static void writing_to_a_closed_peer_fails(struct coir__pair *pair)
{
    coir_stream_close(COIR_TAKE(pair->b));
    expect_dead_end(pair->a);
}

/* ---- outside a task ---- */

struct outside {
    coir_stream *stream;
    int read, write, peek;
    bool called;
};

static void call_outside(void *arg)
{
    struct outside *outside = arg;
    coir_bytes bytes;
    outside->read = coir__read_some(outside->stream);
    outside->peek = coir_stream_peek(outside->stream, 1, &bytes);
    outside->write = coir_stream_write(outside->stream, "x", 1);
    outside->called = true;
}

static void no_call_without_a_task(struct coir__pair *pair)
{
    struct outside outside = {.stream = pair->b};
    COIR_REQUIRE_OK(coir_call_soon(coir_loop_current(), call_outside, &outside, NULL));
    while (!outside.called) /* also when cancelled: it must not outlive its argument */
        (void)!coir_yield();
    COIR_EXPECT_EQ(outside.read, -COIR_ENOTASK);
    COIR_EXPECT_EQ(outside.peek, -COIR_ENOTASK);
    COIR_EXPECT_EQ(outside.write, -COIR_ENOTASK);
}

static void close_outside(void *arg)
{
    struct outside *outside = arg;
    coir_stream_close(outside->stream);
    outside->called = true;
}

/* A callback closes a stream while a task reads it, and another one reads its peer. */
static void closing_outside_a_task(struct coir__pair *pair)
{
    struct outside outside = {.stream = pair->b};
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, coir__read_some, pair->b, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_REQUIRE_OK(coir_call_soon(coir_loop_current(), close_outside, &outside, NULL));
    (void)COIR_TAKE(pair->b);
    while (!outside.called)
        (void)!coir_yield();
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECLOSED);
    (void)coir_group_errors(&group);
    if (!coir__has(pair, COIR_TRAIT_ONE_WAY))
        COIR_EXPECT_CODE(coir__read_some(pair->a), 0);
}

#define HALF (COIR_TRAIT_ONE_WAY | COIR_TRAIT_NO_HALF_CLOSE)

const struct coir__check coir__checks_ends[] = {
    {"the end lasts", the_end_lasts, 0, false},
    {"the end wakes a reader", the_end_wakes_a_reader, 0, false},
    {"half close", half_close, HALF, false},
    {"closing with unread bytes", closing_with_unread_bytes, COIR_TRAIT_ONE_WAY, false},
    {"reading is cancelled", reading_is_cancelled, 0, false},
    {"cancelled reads lose nothing", cancelled_reads_lose_nothing, 0, false},
    {"cancelled gatherings lose nothing", cancelled_gatherings_lose_nothing, 0, false},
    {"reading has a deadline", reading_has_a_deadline, 0, false},
    {"a write that did nothing breaks nothing", a_write_that_did_nothing_breaks_nothing, 0, false},
    {"a cancelled write breaks the stream", a_cancelled_write_breaks_the_stream,
     COIR_TRAIT_UNBOUNDED, true},
    {"closing ends reads", closing_ends_reads, 0, false},
    {"closing ends writes", closing_ends_writes, COIR_TRAIT_UNBOUNDED, true},
    {"closing outside a task", closing_outside_a_task, 0, false},
    {"a cancelled task closes at once", a_cancelled_task_closes_at_once, 0, false},
    {"closing takes no time", closing_takes_no_time, 0, false},
    {"an abort is a reset", an_abort_is_a_reset, 0, false},
    {"an abort wakes a reader", an_abort_wakes_a_reader, 0, false},
    {"an abort wakes a writer", an_abort_wakes_a_writer, COIR_TRAIT_UNBOUNDED, true},
    {"writing to a closed peer fails", writing_to_a_closed_peer_fails, 0, false},
    {"no call without a task", no_call_without_a_task, 0, false},
    {NULL, NULL, 0, false},
};
