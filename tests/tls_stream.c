/* tls_stream.c: tests of TLS connections as streams: that they are streams like any other, and what
 * is particular to them: cut connections, goodbyes, keys that change, memory.
 */
#include <malloc.h>

#include <openssl/crypto.h>
#include <openssl/ssl.h>

#include <coir/filter.h>

#include "tls/tls.h"

#include "tls_kit.h"

/* ---- a stream like any other ---- */

static void check(const char *name, struct both *both, unsigned traits, size_t big)
{
    coir_stream_maker maker = {
        .name = name, .make = make_tls, .arg = both, .traits = traits, .big = big};
    coir_check_stream(&maker);
}

COIR_TEST_TAGGED(over_memory, "slow,limit=60")
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    check("tls over memory", &contexts, COIR_TRAIT_LINGER, 400000);
}

/* Room for hardly more than the tickets that a server sends after a handshake. */
COIR_TEST_TAGGED(over_narrow_memory, "slow,limit=60")
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    contexts.capacity = 700;
    check("tls over narrow memory", &contexts, COIR_TRAIT_LINGER, 200000);
}

/* Records come in pieces of a few bytes. */
COIR_TEST_TAGGED(in_pieces, "slow,limit=60")
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    contexts.pieces = 9;
    check("tls over pieces", &contexts, COIR_TRAIT_LINGER, 200000);
}

COIR_TEST_TAGGED(of_version_1_2, "no_torture,limit=60")
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    SSL_CTX_set_max_proto_version(contexts.client->ssl, TLS1_2_VERSION);
    check("tls 1.2 over memory", &contexts, COIR_TRAIT_LINGER, 400000);
}

COIR_TEST_TAGGED(over_tcp, "no_torture,limit=60")
{
    TLS_CONTEXTS(contexts, ((coir_tls_opts){.no_linger = true}),
                 ((coir_tls_opts){.no_linger = true}));
    contexts.transport = BY_TCP;
    check("tls over tcp", &contexts, 0, 0);
}

/* ---- ends ---- */

/* A connection that is cut has not ended, however it was cut. */
COIR_TEST(truncation)
{
    for (int i = 0; i < 3; i++) {
        TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
        TLS_PAIR(contexts, a, b);
        coir_stream *lower;
        coir_bytes line;
        char data[8];
        COIR_REQUIRE_OK(coir_stream_write(a, "whole\nhalf", 10));
        COIR_REQUIRE_OK(coir_stream_query(a, COIR_QUERY_LOWER, &lower));
        COIR_REQUIRE_OK(coir_stream_shutdown(lower)); /* behind the back of TLS */
        COIR_EXPECT_CODE(coir_stream_read_line(b, 0, &line), 1);
        if (i == 0)
            COIR_EXPECT_CODE(coir_stream_read_line(b, 0, &line), -COIR_ETRUNCATED);
        else if (i == 1)
            COIR_EXPECT_CODE(coir_stream_read_exactly(b, data, 8), -COIR_ETRUNCATED);
        COIR_EXPECT_OK(coir_stream_read_exactly(b, data, 4));
        COIR_EXPECT_BYTES(data, "half", 4);
        for (int k = 0; k < 2; k++)
            COIR_EXPECT_CODE(read_some(b), -COIR_ETRUNCATED);
        COIR_EXPECT_CONTAINS(coir_last_message(-COIR_ETRUNCATED), ": the connection was cut");
        COIR_EXPECT_OK(say(b, a, "still there?")); /* the other direction is whole */
    }
}

/* Bytes that somebody has changed, or repeated, or left out. */
COIR_TEST(forgery)
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    TLS_PAIR(contexts, a, b);
    coir_stream *lower;
    COIR_EXPECT_OK(say(a, b, "hello"));
    COIR_REQUIRE_OK(coir_stream_query(a, COIR_QUERY_LOWER, &lower));
    COIR_REQUIRE_OK(
        coir_stream_write(lower, "\x17\x03\x03\x00\x20################################", 37));
    COIR_EXPECT_CODE(read_some(b), -COIR_ETLS);
    COIR_EXPECT_CONTAINS(coir_last_message(-COIR_ETLS), "decryption failed or bad record mac");
    COIR_EXPECT_CODE(read_some(b), -COIR_ETLS);
    COIR_EXPECT_CODE(coir_stream_write(b, "x", 1), -COIR_ETLS);
    COIR_EXPECT_CODE(coir_stream_shutdown(b), -COIR_ETLS);
    COIR_EXPECT_CODE(read_some(a), -COIR_ETLS); /* it is told */
    COIR_EXPECT_CONTAINS(coir_last_message(-COIR_ETLS), "the peer refuses: bad record");
}

struct closing {
    coir_stream *stream;
    coir_time ended;
};

static int close_stream(void *arg)
{
    struct closing *closing = arg;
    coir_stream_close(COIR_TAKE(closing->stream));
    closing->ended = coir_now();
    return 0;
}

/* Closing waits for the peer's goodbye, and no longer than opts say. The peer reads the end at
 * once, and answers a tenth of a second later, or not at all. */
COIR_TEST(closing_waits_for_the_peer)
{
    static const struct {
        coir_tls_opts opts;
        bool answers;
        coir_time expected;
    } rows[] = {
        {{0}, true, COIR_MS(100)},
        {{0}, false, COIR_SEC(1)},
        {{.linger = COIR_SEC(5)}, true, COIR_MS(100)},
        {{.linger = COIR_SEC(5)}, false, COIR_SEC(5)},
        {{.no_linger = true}, false, 0},
    };
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        TLS_CONTEXTS(contexts, rows[i].opts, DEFAULTS);
        TLS_PAIR(contexts, a, b);
        struct closing closing = {.stream = a};
        coir_time start = coir_now();
        COIR_GROUP(group);
        COIR_REQUIRE_OK(coir_spawn(&group, close_stream, &closing, NULL));
        (void)COIR_TAKE(a);
        COIR_EXPECT_CODE(read_some(b), 0);
        COIR_EXPECT_EQ(coir_now() - start, 0);
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(100)));
        if (rows[i].answers)
            coir_stream_close(COIR_TAKE(b)); /* and does not wait: it was told before */
        COIR_EXPECT_OK(coir_group_wait(&group));
        COIR_EXPECT_EQ(closing.ended - start, rows[i].expected);
    }
}

/* What the peer was still sending is thrown away, and it gets all that was written to it. */
COIR_TEST(closing_throws_away_what_still_comes)
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    TLS_PAIR(contexts, a, b);
    struct closing closing = {.stream = a};
    char data[20000] = "more than one record";
    COIR_REQUIRE_OK(coir_stream_write(a, "hello", 5));
    COIR_REQUIRE_OK(coir_stream_write(b, data, sizeof data));
    coir_time start = coir_now();
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, close_stream, &closing, NULL));
    (void)COIR_TAKE(a);
    for (int i = 0; i < 20; i++)
        COIR_EXPECT_OK(coir_stream_write(b, data, sizeof data));
    COIR_EXPECT_OK(coir_stream_read_exactly(b, data, 5));
    COIR_EXPECT_CODE(read_some(b), 0);
    coir_stream_close(COIR_TAKE(b));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(closing.ended - start, 0);
}

/* A closer that was cancelled says nothing. */
COIR_TEST(cancelled_closer)
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    TLS_PAIR(contexts, a, b);
    coir_time start = coir_now();
    COIR_SCOPE(scope, COIR_FOREVER);
    coir_scope_cancel(&scope, NULL);
    coir_stream_close(COIR_TAKE(a));
    coir_scope_leave(&scope);
    COIR_EXPECT_EQ(coir_now() - start, 0);
    COIR_EXPECT_CODE(read_some(b), -ECONNRESET);
}

/* Nobody reads: closing gives up after a second. */
COIR_TEST(closing_does_not_wait_for_ever)
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    contexts.capacity = 1000;
    TLS_PAIR(contexts, a, b);
    char data[955] = "fills the pair";
    coir_stream *lower;
    COIR_REQUIRE_OK(coir_stream_write(a, data, sizeof data));
    COIR_REQUIRE_OK(coir_stream_query(a, COIR_QUERY_LOWER, &lower));
    coir_time start = coir_now();
    coir_stream_close(COIR_TAKE(a));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
    COIR_EXPECT_OK(coir_stream_read_exactly(b, data, sizeof data));
    COIR_EXPECT_CODE(read_some(b), -ECONNRESET);
}

/* A write that waits has been encrypted already: cancelled, it breaks the stream. */
COIR_TEST(cancelled_writes)
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    contexts.capacity = 1000;
    TLS_PAIR(contexts, a, b);
    char data[979] = "fills the pair";
    coir_stream *lower;
    COIR_REQUIRE_OK(coir_stream_write(a, data, 955 + 12)); /* a record has 22 bytes more */
    COIR_REQUIRE_OK(coir_stream_query(a, COIR_QUERY_LOWER, &lower));
    COIR_SCOPE(scope, COIR_SEC(1));
    COIR_EXPECT_CODE(coir_stream_write(a, "x", 1), -ETIME);
    coir_scope_leave(&scope);
    COIR_EXPECT_CODE(coir_stream_write(a, "x", 1), -COIR_EBROKENSTREAM);
    COIR_EXPECT_OK(say(b, a, "reading goes on"));
    coir_stream_close(COIR_TAKE(a));
    COIR_EXPECT_OK(coir_stream_read_exactly(b, data, 955 + 12));
    COIR_EXPECT_CODE(read_some(b), -ECONNRESET);
}

/* ---- what OpenSSL does on its own ---- */

static struct coir__tls *inside(coir_stream *stream)
{
    struct coir__tls *tls = NULL;
    return coir_stream_query(stream, COIR__TLS_QUERY, &tls) == 0 ? tls : NULL;
}

/* Both sides change their keys, again and again. */
COIR_TEST(keys_change)
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    TLS_PAIR(contexts, a, b);
    for (int i = 0; i < 20; i++) {
        COIR_EXPECT_EQ(
            SSL_key_update(inside(i % 3 == 0 ? a : b)->ssl,
                           i % 2 == 0 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED),
            1);
        COIR_REQUIRE_OK(say(a, b, "question"));
        COIR_REQUIRE_OK(say(b, a, "answer"));
        COIR_REQUIRE_OK(say(b, a, "and more"));
    }
}

/* A client of TLS 1.2 wants another handshake: it is told that there is none. */
COIR_TEST(no_renegotiation)
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    SSL_CTX_set_max_proto_version(contexts.client->ssl, TLS1_2_VERSION);
    SSL_CTX_clear_options(contexts.client->ssl, SSL_OP_NO_RENEGOTIATION);
    TLS_PAIR(contexts, a, b);
    COIR_EXPECT_OK(say(a, b, "hello"));
    COIR_EXPECT_EQ(SSL_renegotiate(inside(a)->ssl), 1);
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, b, NULL));
    COIR_EXPECT_CODE(coir_stream_write(a, "x", 1), -COIR_ETLS);
    coir_stream_abort(COIR_TAKE(a));
    (void)!coir_group_wait(&group);
    (void)coir_group_errors(&group);
}

/* A ticket of b's that is longer than a record comes in halves, and a task writes between them:
 * OpenSSL then reads while it writes, and so a writer waits for the reader's turn to end. */
struct halves {
    coir_stream *lower;
    struct coir__tls_buffer *out;
};
enum { FIRST = 540 }; /* one record and the beginning of the next */

static int first_half(coir_stream *b, struct halves *ret_halves)
{
    static unsigned char context[400]; /* makes the ticket long */
    SSL *ssl = inside(b)->ssl;
    COIR_TRY(coir_stream_query(b, COIR_QUERY_LOWER, &ret_halves->lower));
    ret_halves->out = &inside(b)->out;
    if (SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), context, sizeof context) != 1 ||
        SSL_new_session_ticket(ssl) != 1 || SSL_do_handshake(ssl) != 1 ||
        ret_halves->out->length < FIRST)
        return -EIO;
    return coir_stream_write(ret_halves->lower, ret_halves->out->data, FIRST);
}

static int second_half(struct halves *halves)
{
    size_t length = halves->out->length - FIRST;
    halves->out->length = 0;
    return coir_stream_write(halves->lower, halves->out->data + FIRST, length);
}

static int write_ten(void *arg)
{
    return coir_stream_write(arg, "0123456789", 10);
}

COIR_TEST(writing_while_a_ticket_is_half_there)
{
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
        SSL_CTX_set_max_send_fragment(contexts.server->ssl, 512);
        SSL_CTX_set_num_tickets(contexts.server->ssl, 0);
        TLS_PAIR(contexts, a, b);
        struct halves halves;
        COIR_REQUIRE_OK(first_half(b, &halves));
        COIR_GROUP_COLLECT(group);
        coir_task *reader, *writer;
        int result = 0;
        COIR_REQUIRE_OK(coir_spawn(&group, read_ten, a, &reader));
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        COIR_REQUIRE_OK(coir_spawn(&group, write_ten, a, &writer));
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        COIR_EXPECT(!coir_task_done(writer));
        if (cancelled == 1)
            coir_cancel(writer, NULL);
        COIR_REQUIRE_OK(second_half(&halves));
        COIR_REQUIRE_OK(coir_join(writer, &result));
        COIR_EXPECT_CODE(result, cancelled == 1 ? -COIR_ECANCELEDTASK : 0);
        COIR_EXPECT(!coir_task_done(reader));
        if (cancelled == 1) /* nothing was encrypted, so nothing is broken */
            COIR_EXPECT_OK(write_ten(a));
        COIR_EXPECT_OK(read_ten(b));
        COIR_REQUIRE_OK(write_ten(b));
        COIR_REQUIRE_OK(coir_join(reader, &result));
        COIR_EXPECT_CODE(result, 0);
        (void)coir_group_errors(&group);
    }
}

/* The goodbye waits for the other half of it too. */
COIR_TEST(closing_while_a_ticket_is_half_there)
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    SSL_CTX_set_max_send_fragment(contexts.server->ssl, 512);
    SSL_CTX_set_num_tickets(contexts.server->ssl, 0);
    TLS_PAIR(contexts, a, b);
    struct halves halves;
    struct closing closing = {.stream = a};
    COIR_REQUIRE_OK(first_half(b, &halves));
    COIR_SCOPE(reading, COIR_MS(10));
    COIR_EXPECT_CODE(read_some(a), -ETIME);
    coir_scope_leave(&reading);
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, close_stream, &closing, NULL));
    (void)COIR_TAKE(a);
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_REQUIRE_OK(second_half(&halves));
    COIR_EXPECT_CODE(read_some(b), 0);
    coir_stream_close(COIR_TAKE(b));
    COIR_EXPECT_OK(coir_group_wait(&group));
}

/* ---- memory ---- */

static size_t taken, blocks;

static void *take(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    void *block = malloc(size);
    taken += malloc_usable_size(block);
    blocks += block != NULL;
    return block;
}

static void give(void *block, const char *file, int line)
{
    (void)file, (void)line;
    taken -= malloc_usable_size(block);
    blocks -= block != NULL;
    free(block);
}

static void *change(void *block, size_t size, const char *file, int line)
{
    if (block == NULL)
        return take(size, file, line);
    size_t before = malloc_usable_size(block);
    void *changed = realloc(block, size);
    if (changed != NULL)
        taken += malloc_usable_size(changed) - before;
    return changed;
}

/* Before anything of OpenSSL is called, its memory is counted. */
static __attribute__((constructor)) void count_memory(void)
{
    (void)CRYPTO_set_mem_functions(take, change, give);
}

/* Both ends of a connection that has talked and does not now: no buffers, but for the 64 of each
 * context that were the last to talk. */
COIR_TEST_TAGGED(idle_connections_have_no_buffers, "no_torture")
{
    enum { PAIRS = 140, WARM = 80 };
    static coir_stream *clients[PAIRS], *servers[PAIRS];
    TLS_CONTEXTS(contexts, ((coir_tls_opts){.sessions = SIZE_MAX}), DEFAULTS);
    struct coir_loop_stats before, after;
    size_t taken_before = 0;
    for (size_t i = 0; i < PAIRS; i++) {
        if (i == WARM) { /* so many have buffers by now, and what is made once is there */
            taken_before = taken;
            coir_loop_stats(NULL, &before);
        }
        COIR_REQUIRE_OK(make_tls(&contexts, &clients[i], &servers[i]));
        struct message out = {.stream = clients[i], .size = 100000, .chunk = 50000};
        struct message in = {.stream = servers[i], .size = 100000, .chunk = 50000};
        COIR_GROUP(group);
        COIR_REQUIRE_OK(coir_spawn(&group, send_message, &out, NULL));
        COIR_REQUIRE_OK(receive_message(&in));
        COIR_REQUIRE_OK(coir_group_wait(&group));
        COIR_REQUIRE_OK(say(servers[i], clients[i], "thanks"));
    }
    coir_loop_stats(NULL, &after);
    size_t each = (taken - taken_before) / (PAIRS - WARM) / 2;
    COIR_EXPECT_LT(each, 20000); /* the buffers of records alone would be 33,000 */
    COIR_EXPECT_GT(each, 1000);
    /* ours: four streams, two connections, the pair and its two rings */
    COIR_EXPECT_LE((after.memory - before.memory) / (PAIRS - WARM), 9);
    if (getenv("COIR_TEST_SHOW") != NULL)
        printf("an idle end takes %zu bytes of OpenSSL's memory\n", each);
    for (size_t i = 0; i < PAIRS; i++) {
        coir_stream_abort(clients[i]);
        coir_stream_abort(servers[i]);
    }
}

/* Nothing of OpenSSL's is left of connections that have gone, whatever became of them. */
COIR_TEST_TAGGED(connections_leave_no_memory, "no_torture")
{
    TLS_CONTEXTS(contexts, ((coir_tls_opts){.sessions = SIZE_MAX}), DEFAULTS);
    size_t before = 0;
    for (int i = 0; i < 60; i++) {
        if (i == 20)
            before = blocks;
        TLS_PAIR(contexts, a, b);
        COIR_EXPECT_OK(say(a, b, "hello"));
        if (i % 3 == 1)
            coir_stream_abort(COIR_TAKE(a));
        if (i % 3 == 2)
            coir_stream_close(COIR_TAKE(b));
    }
    COIR_EXPECT_EQ(blocks, before);
}

/* ---- filters over it, and under it ---- */

COIR_TEST(filters_over_tls)
{
    TLS_CONTEXTS(contexts, ((coir_tls_opts){.alpn = "h2"}), ((coir_tls_opts){.alpn = "h2"}));
    TLS_PAIR(contexts, a, b);
    coir_tls_info info;
    COIR_REQUIRE_OK(coir_throttle_open(COIR_TAKE(a), NULL, &a));
    COIR_EXPECT_OK(say(a, b, "hello"));
    COIR_EXPECT_OK(coir_tls_stream_info(a, &info));
    COIR_EXPECT_STR(info.protocol, "h2");
}

/* TLS in TLS. */
COIR_TEST(twice)
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    TLS_PAIR(contexts, a, b);
    coir_stream *inner_a = NULL, *inner_b = NULL;
    COIR_REQUIRE_OK(
        open_tls(contexts.client, contexts.server, COIR_TAKE(a), COIR_TAKE(b), &inner_a, &inner_b));
    COIR_EXPECT_OK(say(inner_a, inner_b, "hello"));
    coir_stream_close(inner_a);
    COIR_EXPECT_CODE(read_some(inner_b), 0);
    coir_stream_close(inner_b);
}

/* ---- tasks for connections that are mostly idle ---- */

static int note(void *arg)
{
    ++*(int *)arg;
    return 0;
}

/* What is decrypted already starts the task at once, and so does a whole record that was read from
 * the kernel and waits below, of which no kernel would tell. */
COIR_TEST(tasks_for_idle_connections)
{
    for (int i = 0; i < 4; i++) {
        size_t first = i % 2 == 0 ? 8 : 4; /* one record, or two */
        TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
        contexts.transport = i < 2 ? -1 : BY_TCP;
        TLS_PAIR(contexts, a, b);
        int started = 0;
        char data[8];
        COIR_GROUP(group);
        COIR_REQUIRE_OK(coir_stream_write(a, "12345678", first));
        COIR_REQUIRE_OK(coir_stream_write(a, &"12345678"[first], 8 - first));
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(20)));
        COIR_REQUIRE_OK(coir_stream_read_exactly(b, data, 4));
        COIR_REQUIRE_OK(coir_spawn_on_readable(&group, b, COIR_SEC(5), note, &started));
        COIR_REQUIRE_OK(coir_group_wait(&group));
        COIR_EXPECT_EQ(started, 1);
        COIR_EXPECT(!coir_stream_was_idle(b));
        COIR_EXPECT_OK(coir_stream_read_exactly(b, data, 4));
        COIR_EXPECT_BYTES(data, "5678", 4);
        coir_stream_abort(COIR_TAKE(a));
    }
}

/* Two connections take turns, one of which fails each time: the errors of one are not the other's,
 * though OpenSSL keeps them in one place. */
COIR_TEST(errors_of_others)
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    TLS_PAIR(contexts, a, b);
    for (int i = 0; i < 5; i++) {
        TLS_PAIR(contexts, bad, peer);
        coir_stream *lower;
        COIR_REQUIRE_OK(coir_stream_query(bad, COIR_QUERY_LOWER, &lower));
        COIR_GROUP_COLLECT(group);
        coir_task *reader, *failing;
        int result = 0;
        COIR_REQUIRE_OK(coir_spawn(&group, read_ten, b, &reader));
        COIR_REQUIRE_OK(coir_spawn(&group, read_ten, peer, &failing));
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        COIR_REQUIRE_OK(coir_stream_write(lower, "\x17\x03\x03\x00\x03...", 8));
        COIR_REQUIRE_OK(coir_stream_write(a, "0123456789", 10));
        COIR_REQUIRE_OK(coir_join(reader, &result));
        COIR_EXPECT_CODE(result, 0);
        COIR_REQUIRE_OK(coir_join(failing, &result));
        COIR_EXPECT_CODE(result, -COIR_ETLS);
        (void)coir_group_errors(&group);
    }
}

/* ---- stacks ---- */

static int shake_in_task(void *arg)
{
    struct both *contexts = arg;
    coir_stream *a, *b;
    COIR_TRY(make_tls(contexts, &a, &b));
    int r = say(a, b, "hello");
    coir_stream_close(a);
    coir_stream_close(b);
    return r;
}

/* OpenSSL's handshake is at home on a small stack. */
COIR_TEST_TAGGED(small_stacks, "no_torture")
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    coir_task *task;
    COIR_GROUP(group);
    coir_spawn_opts opts = {.stack_size = (size_t)64 << 10};
    COIR_REQUIRE_OK(coir_spawn_with(&group, shake_in_task, &contexts, &opts, &task));
    COIR_EXPECT_OK(coir_join(task, NULL));
}
