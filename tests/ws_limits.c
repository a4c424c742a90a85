/* ws_limits.c: what hostile, slow and silent peers of a WebSocket come up against: limits of size,
 * packed and unpacked, of time, and of what waits to be sent.
 */
#include <stdlib.h>
#include <zlib.h>

#include "http/ws/ws.h"

#include "megabytes.h"
#include "ws_kit.h"

#define TOO_LONG F(CLOSE, "\x03\xf1") /* 1009 */

/* A server of one socket, in a task, and a client that speaks bytes. */
struct talk {
    coir_http_app *app;
    struct serving serving;
    coir_stream *client;
};

static void end_talk(struct talk *talk)
{
    coir_stream_abort(talk->client);
    coir_http_app_close(talk->app);
}

static int begin_talk(struct talk *talk, coir_group *group, const coir_ws_opts *opts,
                      int (*fn)(coir_http_request *, coir_ws *), const char *more)
{
    COIR_AUTO(coir_buffer) answer = {0}, request = {0};
    COIR_TRY(open_app((coir_http_app_opts){0}, &talk->app));
    coir_http_app_websocket_with(talk->app, "/", fn, opts);
    talk->serving.app = talk->app;
    COIR_TRY(begin_serving(group, &talk->serving, &talk->client));
    static const char head[] = WS_REQUEST("/", "");
    COIR_TRY(coir_buffer_append(&request, head, sizeof head - 3));
    COIR_TRY(coir_buffer_append(&request, more, strlen(more)));
    COIR_TRY(coir_buffer_append(&request, "\r\n", 2));
    COIR_TRY(shake_hands(talk->client, coir_buffer_text(&request), &answer));
    return strncmp(coir_buffer_text(&answer), "HTTP/1.1 101", 12) == 0 ? 0 : -EPROTO;
}

#define TALK(fn, more, ...)                                                                        \
    __attribute__((cleanup(end_talk))) struct talk talk = {0};                                     \
    COIR_GROUP(group);                                                                             \
    COIR_REQUIRE_OK(begin_talk(&talk, &group, &(coir_ws_opts){__VA_ARGS__}, (fn), (more)))

static int say(struct talk *talk, struct frame frame)
{
    COIR_AUTO(coir_buffer) out = {0};
    COIR_TRY(put_frame(&out, frame, "mask"));
    return coir_stream_write(talk->client, out.data, out.length);
}

/* Expects a frame of the server's. */
static int hear(struct talk *talk, struct frame frame)
{
    COIR_AUTO(coir_buffer) expected = {0};
    coir_bytes bytes;
    COIR_TRY(put_frame(&expected, frame, NULL));
    int r = COIR_TRY(coir_stream_peek(talk->client, expected.length, &bytes));
    if (r == 0)
        return -COIR_EEOF;
    COIR_EXPECT_BYTES(bytes.data, expected.data, expected.length);
    coir_stream_consume(talk->client, expected.length);
    return 0;
}

static int hear_end(struct talk *talk)
{
    char byte;
    size_t n;
    int r = coir_stream_read(talk->client, &byte, 1, &n);
    return r == -ECONNRESET ? 0 : r > 0 ? -EPROTO : r;
}

#define SAY(...) COIR_REQUIRE_OK(say(&talk, (struct frame)__VA_ARGS__))
#define HEAR(...) COIR_REQUIRE_OK(hear(&talk, (struct frame)__VA_ARGS__))
#define HEAR_END() COIR_REQUIRE_OK(hear_end(&talk))

/* ---- sizes ---- */

COIR_TEST(messages_at_their_limit)
{
    for (int fragments = 0; fragments < 2; fragments++)
        for (int more = 0; more < 2; more++) {
            TALK(echo, "", .message_limit = 10);
            if (fragments) {
                SAY({BEGIN_TEXT, "01234", 5});
                SAY({FINAL, "567890", more ? 6 : 5});
            } else {
                SAY({TEXT, "01234567890", more ? 11 : 10});
            }
            if (more)
                HEAR(TOO_LONG);
            else
                HEAR({TEXT, "0123456789", 10});
            if (!more) {
                SAY(NORMAL);
                HEAR(NORMAL);
            }
            HEAR_END();
        }
}

/* Only the head of what is too long is needed to refuse it. */
COIR_TEST(what_is_announced_is_not_awaited)
{
    TALK(echo, "", .message_limit = 1000);
    COIR_REQUIRE_OK(coir_stream_write(talk.client, "\x82\xfe\x03\xe9mask", 8));
    HEAR(TOO_LONG);
    HEAR_END();
}

/* ---- packed messages: RFC 7692, section 7.2.3 ---- */

#define DEFLATED "Sec-WebSocket-Extensions: permessage-deflate\r\n"

COIR_TEST(packed_messages)
{
    static const struct {
        const char *what;
        struct frame in[4];
        struct frame out;
    } cases[] = {
        {"a block", {F(TEXT | PACKED, "\xf2\x48\xcd\xc9\xc9\x07\x00")}, F(TEXT, "Hello")},
        {"fragments",
         {F(BEGIN_TEXT | PACKED, "\xf2\x48\xcd"), F(FINAL, "\xc9\xc9\x07\x00")},
         F(TEXT, "Hello")},
        {"fragments, one of them empty",
         {F(BEGIN_TEXT | PACKED, ""), F(MORE, "\xf2\x48\xcd\xc9\xc9\x07\x00"), F(FINAL, "")},
         F(TEXT, "Hello")},
        {"a block that is not compressed",
         {F(TEXT | PACKED, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00")},
         F(TEXT, "Hello")},
        {"a last block", {F(TEXT | PACKED, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00")}, F(TEXT, "Hello")},
        {"two blocks",
         {F(TEXT | PACKED, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")},
         F(TEXT, "Hello")},
        {"an empty message", {F(TEXT | PACKED, "\x00")}, F(TEXT, "")},
        {"nothing at all", {F(TEXT | PACKED, "")}, F(TEXT, "")},
        {"one that is not packed", {F(TEXT, "Hello")}, F(TEXT, "Hello")},
        {"a ping between", {F(BEGIN_TEXT | PACKED, "\xf2\x48"), F(PING, "x")}, F(PONG, "x")},
        {"a packed fragment", {F(BEGIN_TEXT, "a"), F(FINAL | PACKED, "b")}, F(CLOSE, "\x03\xea")},
        {"a packed ping", {F(PING | PACKED, "a")}, F(CLOSE, "\x03\xea")},
        {"a packed goodbye", {F(CLOSE | PACKED, "\x03\xe8")}, F(CLOSE, "\x03\xea")},
        {"nonsense", {F(TEXT | PACKED, "\xff\xff\xff\xff")}, F(CLOSE, "\x03\xef")},
        {"a block of kind 3", {F(BINARY | PACKED, "\x07")}, F(CLOSE, "\x03\xef")},
        {"a text that is none, packed",
         {F(TEXT | PACKED, "\x00\x01\x00\xfe\xff\xff\x00")},
         F(CLOSE, "\x03\xef")},
        {"context that was not kept",
         {F(TEXT | PACKED, "\xf2\x48\xcd\xc9\xc9\x07\x00"),
          F(TEXT | PACKED, "\xf2\x00\x11\x00\x00")},
         F(TEXT, "Hello")}, /* and then 1007 */
    };
    for (size_t i = 0; i < COIR_COUNT(cases); i++) {
        TALK(echo, DEFLATED);
        for (size_t k = 0; k < COIR_COUNT(cases[i].in) && cases[i].in[k].data != NULL; k++)
            COIR_REQUIRE_OK(say(&talk, cases[i].in[k]));
        if (!COIR_EXPECT_OK(hear(&talk, cases[i].out)))
            COIR_FAIL("%s", cases[i].what);
        if (i + 1 == COIR_COUNT(cases))
            HEAR(F(CLOSE, "\x03\xef"));
    }
}

COIR_TEST(packed_messages_with_context)
{
    TALK(echo, DEFLATED, .deflate = COIR_WS_DEFLATE_CONTEXT);
    SAY(F(TEXT | PACKED, "\xf2\x48\xcd\xc9\xc9\x07\x00"));
    HEAR({TEXT, "Hello", 5});
    SAY(F(TEXT | PACKED, "\xf2\x00\x11\x00\x00"));
    HEAR({TEXT, "Hello", 5});
    SAY(F(TEXT | PACKED,
          "\xf3\x48\xcd\xc9\xc9\x07\x00\x00")); /* its stream ends, the window stays */
    HEAR({TEXT, "Hello", 5});
    SAY(F(TEXT | PACKED, "\xf2\x00\x11\x00\x00"));
    HEAR({TEXT, "Hello", 5});
}

/* A stream that ends again and again within a message keeps its window. */
COIR_TEST(ends_of_streams_within_a_message)
{
    COIR_AUTO(coir_buffer) packed = {0};
    TALK(echo, DEFLATED);
    COIR_REQUIRE_OK(coir_buffer_append(&packed, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7));
    COIR_REQUIRE_OK(coir_buffer_append(&packed, "\x00\x00\xff\xff", 4));
    for (int i = 0; i < 10000; i++)
        COIR_REQUIRE_OK(coir_buffer_append(&packed, "\x03\x00", 2));
    COIR_REQUIRE_OK(coir_buffer_append(&packed, "\xf2\x00\x11\x00\x00", 5));
    SAY({TEXT | PACKED, packed.data, packed.length});
    HEAR(F(TEXT, "HelloHello"));
}

/* ---- bombs ---- */

/* So many mebibytes of zeros, packed. */
static int make_bomb(size_t mebibytes, coir_buffer *out)
{
    enum { MEBIBYTE = 1 << 20 };
    unsigned char block[8 << 10];
    z_stream pack = {0};
    if (deflateInit2(&pack, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    pack.next_in = megabytes(MEBIBYTE);
    pack.avail_in = MEBIBYTE;
    pack.next_out = block;
    pack.avail_out = sizeof block;
    int r = deflate(&pack, Z_FULL_FLUSH);
    size_t length = sizeof block - pack.avail_out;
    (void)deflateEnd(&pack);
    if (r != Z_OK)
        return -ENOMEM;
    for (size_t i = 0; i < mebibytes; i++)
        COIR_TRY(coir_buffer_append(out, block, length));
    return 0;
}

/* From 1 MiB to 1 GiB: refused by the first 64 KiB that are too much for what was packed, and, when
 * any ratio is fine, by the limit of a message; never more of it is held. */
COIR_TEST_TAGGED(bombs, "slow,limit=60")
{
    const struct coir__ws_terms terms = {true, true, true, 15, 15};
    for (size_t mebibytes = 1; mebibytes <= 1024; mebibytes *= 4)
        for (int any = 0; any < 2; any++) {
            COIR_AUTO(coir_buffer) bomb = {0}, out = {0};
            size_t limit = 4 << 20;
            COIR_REQUIRE_OK(make_bomb(mebibytes, &bomb));
            struct coir__ws_deflate *deflate =
                coir__ws_deflate_open(&terms, any ? UINT32_MAX : 250);
            COIR_REQUIRE(deflate != NULL);
            int r =
                coir__ws_unpack(deflate, (coir_bytes){bomb.data, bomb.length}, true, limit, &out);
            coir__ws_deflate_close(deflate);
            bool fits = any && mebibytes <= 4;
            COIR_EXPECT_CODE(r, fits ? 0 : -COIR_ETOOLONG);
            COIR_EXPECT_LE(out.length, any ? limit + 1 : 128 << 10);
            COIR_EXPECT_LE(out.capacity, any ? 2 * limit : 256 << 10);
        }
}

COIR_TEST(a_bomb_is_refused)
{
    COIR_AUTO(coir_buffer) bomb = {0};
    COIR_REQUIRE_OK(make_bomb(64, &bomb));
    TALK(echo, DEFLATED);
    int r = say(&talk, (struct frame){BINARY | PACKED, bomb.data, bomb.length});
    COIR_REQUIRE(r == 0 || r == -EPIPE);
    HEAR(TOO_LONG);
    HEAR_END();
}

/* In pieces a message may be of any length: none of them is large. */
static int count_zeros(coir_http_request *request, coir_ws *ws)
{
    coir_ws_message piece;
    size_t length = 0;
    int r;
    (void)request;
    while ((r = coir_ws_receive_some(ws, &piece)) > 0) {
        length += piece.data.length;
        COIR_EXPECT_LE(piece.data.length, 2 << 20);
        if (piece.last)
            COIR_TRY(coir_ws_send_text(ws, "%zu", length));
    }
    return r;
}

COIR_TEST_TAGGED(a_long_packed_message_in_pieces, "slow")
{
    COIR_AUTO(coir_buffer) bomb = {0};
    COIR_REQUIRE_OK(make_bomb(32, &bomb));
    TALK(count_zeros, DEFLATED, .deflate_ratio = UINT32_MAX);
    COIR_REQUIRE_OK(say(&talk, (struct frame){BINARY | PACKED, bomb.data, bomb.length}));
    HEAR(F(TEXT, "33554432"));
}

/* ---- silence ---- */

static int expect_silence(coir_http_request *request, coir_ws *ws)
{
    coir_ws_message message;
    (void)request;
    int r = coir_ws_receive(ws, &message);
    COIR_EXPECT_CODE(r, -ETIMEDOUT);
    COIR_EXPECT_EQ(coir_ws_close_code(ws), COIR_WS_LOST);
    return r;
}

COIR_TEST(a_silent_peer_is_pinged_and_given_up)
{
    TALK(expect_silence, "", .heartbeat = COIR_SEC(10));
    coir_time began = coir_now();
    HEAR({PING, "", 0});
    COIR_EXPECT_EQ((coir_now() - began) / COIR_MS(1), 10000);
    SAY({PONG, "", 0});
    HEAR({PING, "", 0});
    COIR_EXPECT_EQ((coir_now() - began) / COIR_MS(1), 20000);
    HEAR_END();
    COIR_EXPECT_EQ((coir_now() - began) / COIR_MS(1), 30000);
}

/* Who was not pinged, for want of memory, is not given up for having said nothing. */
static bool no_memory;

static void *take(size_t size, void *arg)
{
    (void)arg;
    return no_memory ? NULL : malloc(size);
}

static void *resize(void *block, size_t size, void *arg)
{
    (void)arg;
    return no_memory ? NULL : realloc(block, size);
}

static void give_back(void *block, void *arg)
{
    (void)arg;
    free(block);
}

static int spend_memory(void *arg)
{
    (void)arg;
    COIR_TRY(coir_sleep(COIR_SEC(5)));
    no_memory = true;
    return 0;
}

static int listen_in_need(coir_http_request *request, coir_ws *ws)
{
    coir_ws_message message;
    (void)request;
    COIR_GROUP(others);
    COIR_TRY(coir_spawn(&others, spend_memory, NULL, NULL));
    COIR_EXPECT_CODE(coir_ws_receive(ws, &message), -ENOMEM);
    no_memory = false;
    COIR_EXPECT_CODE(coir_ws_receive(ws, &message), 1);
    return 0;
}

static void be_pinged_later(void)
{
    TALK(listen_in_need, "", .heartbeat = COIR_SEC(10));
    coir_time began = coir_now();
    HEAR({PING, "", 0});
    COIR_EXPECT_EQ((coir_now() - began) / COIR_MS(1), 20000);
    SAY({TEXT, "here", 4});
    HEAR(NORMAL);
}

static int run(void *arg)
{
    (void)arg;
    be_pinged_later();
    return 0;
}

COIR_TEST_TAGGED(a_ping_without_memory_is_none, "own_loop,no_torture")
{
    coir_allocator scarce = {take, resize, give_back, NULL};
    coir_loop_opts opts = coir_test_loop_opts();
    COIR_REQUIRE_OK(coir_set_allocator(&scarce));
    COIR_EXPECT_OK(coir_run(run, NULL, &opts, NULL));
    COIR_EXPECT_OK(coir_set_allocator(NULL));
}

/* Bytes of a frame are a sign of life. */
COIR_TEST(a_slow_peer_is_not_silent)
{
    TALK(echo, "", .heartbeat = COIR_SEC(10));
    for (int i = 0; i < 7; i++) {
        COIR_REQUIRE_OK(coir_sleep(COIR_SEC(4)));
        COIR_REQUIRE_OK(coir_stream_write(talk.client, &"\x81\x81maskx"[i], 1));
    }
    HEAR({TEXT, "\x15", 1}); /* 'x' ^ 'm' */
}

static int hang_up(coir_http_request *request, coir_ws *ws)
{
    (void)request;
    (void)ws;
    return 0;
}

COIR_TEST(a_goodbye_is_waited_for_so_long)
{
    TALK(hang_up, "", .close_limit = COIR_SEC(3));
    coir_time began = coir_now();
    HEAR(NORMAL);
    SAY({TEXT, "still here", 10}); /* is thrown away */
    HEAR_END();
    COIR_EXPECT_EQ((coir_now() - began) / COIR_MS(1), 3000);
}

static int shut_down_and_listen(coir_http_request *request, coir_ws *ws)
{
    coir_ws_message message;
    (void)request;
    COIR_TRY(coir_ws_shutdown(ws, COIR_WS_POLICY, "no"));
    COIR_EXPECT_CODE(coir_ws_receive(ws, &message), 1);
    int r = coir_ws_receive(ws, &message);
    COIR_EXPECT_CODE(r, -ETIMEDOUT);
    return r;
}

COIR_TEST(messages_after_our_goodbye)
{
    TALK(shut_down_and_listen, "");
    coir_time began = coir_now();
    HEAR(F(CLOSE, "\x03\xf0no"));
    SAY({TEXT, "still here", 10});
    HEAR_END();
    COIR_EXPECT_EQ((coir_now() - began) / COIR_MS(1), 5000);
}

/* ---- peers that take nothing in ---- */

static int flood(coir_http_request *request, coir_ws *ws)
{
    static const char data[100000];
    int r = 0;
    (void)request;
    for (int i = 0; r == 0 && i < 100; i++)
        r = coir_ws_send(ws, COIR_BINARY, (coir_bytes){data, sizeof data});
    COIR_EXPECT_CODE(r, -ETIMEDOUT);
    COIR_EXPECT_CODE(coir_ws_send(ws, COIR_TEXT, (coir_bytes){"a", 1}), -ETIMEDOUT);
    return r;
}

COIR_TEST(a_peer_that_takes_nothing_is_cut)
{
    TALK(flood, "", .stall_limit = COIR_SEC(7));
    coir_time began = coir_now();
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ((coir_now() - began) / COIR_SEC(1), 7);
}

/* What is queued has as much time as what is sent: so much for each 128 KiB, and not for all. */
static int queue_much(coir_http_request *request, coir_ws *ws)
{
    static const char data[1 << 20];
    coir_ws_message message;
    coir_ws_stats stats;
    (void)request;
    COIR_TRY(coir_ws_try_send(ws, COIR_BINARY, (coir_bytes){data, sizeof data}));
    coir_ws_stats_get(ws, &stats);
    COIR_EXPECT_EQ(stats.queued, sizeof data + 10); /* although it is being written */
    COIR_EXPECT_CODE(coir_ws_try_send(ws, COIR_BINARY, (coir_bytes){data, 1}), -EAGAIN);
    int r = coir_ws_receive(ws, &message);
    coir_ws_stats_get(ws, &stats);
    COIR_EXPECT_EQ(stats.queued, 0);
    return r;
}

COIR_TEST(a_slow_peer_has_its_time_for_what_is_queued)
{
    TALK(queue_much, "", .stall_limit = COIR_SEC(10), .slow = COIR_WS_SKIP,
         .heartbeat = COIR_FOREVER);
    static char data[64 << 10];
    for (size_t left = (1 << 20) + 10, n; left > 0; left -= n) {
        n = left < sizeof data ? left : sizeof data;
        COIR_REQUIRE_OK(coir_sleep(COIR_SEC(2)));
        COIR_REQUIRE_OK(coir_stream_read_exactly(talk.client, data, n));
    }
    SAY(NORMAL);
    HEAR(NORMAL);
}

/* A frame that a deadline has cut is followed by nothing, also when it was cut between two writes,
 * after which the stream could still be written to. */
static int queue_behind(void *arg)
{
    COIR_TRY(coir_sleep(COIR_SEC(1)));
    return coir_ws_try_send(arg, COIR_TEXT, (coir_bytes){"behind", 6});
}

static int cut_a_frame(coir_http_request *request, coir_ws *ws)
{
    static const char data[300000];
    (void)request;
    COIR_GROUP(others);
    COIR_TRY(coir_spawn(&others, queue_behind, ws, NULL));
    COIR_SCOPE(limit, COIR_SEC(2));
    COIR_EXPECT_CODE(coir_ws_send(ws, COIR_BINARY, (coir_bytes){data, sizeof data}), -ETIME);
    coir_scope_leave(&limit);
    COIR_EXPECT_CODE(coir_ws_send(ws, COIR_TEXT, (coir_bytes){"a", 1}), -COIR_EBROKENSTREAM);
    return coir_sleep(COIR_SEC(1));
}

COIR_TEST(nothing_follows_half_a_frame)
{
    enum { PIECE = 128 << 10, HELD = 64 << 10 }; /* in memory */
    static char data[PIECE];
    TALK(cut_a_frame, "");
    COIR_AUTO(coir_buffer) rest = {0};
    COIR_REQUIRE_OK(coir_stream_read_exactly(talk.client, data, PIECE + 10 - HELD));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(2500)));
    size_t n;
    int r = 1;
    while (r > 0 && (r = coir_stream_read(talk.client, data, sizeof data, &n)) > 0)
        COIR_REQUIRE_OK(coir_buffer_append(&rest, data, n));
    COIR_EXPECT_EQ(rest.length, HELD);
    COIR_EXPECT_CODE(r, -ECONNRESET);
}

/* ---- messages that are not ended ---- */

static int leave_a_message(coir_http_request *request, coir_ws *ws)
{
    (void)request;
    COIR_TRY(coir_ws_send_some(ws, COIR_TEXT, (coir_bytes){"a", 1}, false));
    return coir_ws_try_send(ws, COIR_TEXT, (coir_bytes){"b", 1});
}

/* Within a message there are no others, not even when it has no end. */
COIR_TEST(a_goodbye_within_a_message)
{
    TALK(leave_a_message, "");
    HEAR({BEGIN_TEXT, "a", 1});
    HEAR(NORMAL);
    SAY(NORMAL);
    HEAR_END();
}

static int say_goodbye(void *arg)
{
    return coir_ws_shutdown(arg, COIR_WS_POLICY, "no");
}

static int go_on_after_goodbye(coir_http_request *request, coir_ws *ws)
{
    (void)request;
    COIR_GROUP(others);
    COIR_TRY(coir_ws_send_some(ws, COIR_TEXT, (coir_bytes){"a", 1}, false));
    COIR_TRY(coir_spawn(&others, say_goodbye, ws, NULL));
    COIR_TRY(coir_sleep(COIR_MS(10)));
    COIR_EXPECT_CODE(coir_ws_send_some(ws, COIR_TEXT, (coir_bytes){"b", 1}, true), -COIR_ECLOSED);
    COIR_SCOPE(limit, COIR_SEC(1));
    COIR_EXPECT_OK(coir_group_wait(&others)); /* it is not in the way */
    return 0;
}

COIR_TEST(a_goodbye_of_another_task_within_a_message)
{
    TALK(go_on_after_goodbye, "");
    HEAR({BEGIN_TEXT, "a", 1});
    HEAR(F(CLOSE, "\x03\xf0no"));
    SAY(F(CLOSE, "\x03\xf0"));
    HEAR_END();
}

static int send_texts(coir_http_request *request, coir_ws *ws)
{
    coir_bytes half = {"\xc3", 1}, other = {"\xa9", 1}, wrong = {"\xff", 1};
    (void)request;
    COIR_EXPECT_CODE(coir_ws_send_some(ws, COIR_TEXT, wrong, false), -EBADMSG);
    COIR_EXPECT_CODE(coir_ws_send_some(ws, COIR_TEXT, half, true), -EBADMSG);
    COIR_EXPECT_OK(coir_ws_send_some(ws, COIR_TEXT, half, false));
    COIR_EXPECT_CODE(coir_ws_send_some(ws, COIR_TEXT, wrong, false), -EBADMSG);
    COIR_EXPECT_OK(coir_ws_send_some(ws, COIR_TEXT, other, true));
    COIR_EXPECT_OK(coir_ws_send_some(ws, COIR_BINARY, wrong, true));
    return 0;
}

COIR_TEST(pieces_of_a_text_are_utf8)
{
    TALK(send_texts, "");
    HEAR({BEGIN_TEXT, "\xc3", 1});
    HEAR({FINAL, "\xa9", 1});
    HEAR({BINARY, "\xff", 1});
    HEAR(NORMAL);
    SAY(NORMAL);
    HEAR_END();
}

static int skip(coir_http_request *request, coir_ws *ws)
{
    static const char data[10000];
    coir_ws_stats stats;
    coir_ws_message message;
    (void)request;
    for (int i = 0; i < 100; i++) {
        int r = coir_ws_try_send(ws, COIR_BINARY, (coir_bytes){data, sizeof data});
        COIR_EXPECT(r == 0 || r == -EAGAIN);
    }
    coir_ws_stats_get(ws, &stats);
    COIR_EXPECT_GT(stats.skipped, 50);
    COIR_EXPECT_EQ(stats.skipped + stats.sent, 100);
    COIR_EXPECT_LE(stats.queued, 40000);
    COIR_TRY(coir_ws_receive(ws, &message)); /* the peer reads again */
    COIR_EXPECT_CODE(coir_ws_try_send(ws, COIR_TEXT, (coir_bytes){"end", 3}), 0);
    return 0;
}

COIR_TEST(a_slow_peer_misses_messages)
{
    TALK(skip, "", .queue_limit = 40000, .slow = COIR_WS_SKIP);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    COIR_AUTO(coir_buffer) all = {0};
    char data[4096];
    size_t n;
    while (all.length < 90000) {
        COIR_REQUIRE_OK(coir_stream_read(talk.client, data, sizeof data, &n));
        COIR_REQUIRE_OK(coir_buffer_append(&all, data, n));
    }
    SAY({TEXT, "go on", 5});
    SAY(NORMAL);
    COIR_REQUIRE_OK(read_rest(talk.client, &all));
    COIR_EXPECT(all.length > 10 && memcmp(all.data + all.length - 9,
                                          "\x81\x03"
                                          "end\x88",
                                          6) == 0);
}

static int overflow(coir_http_request *request, coir_ws *ws)
{
    static const char data[10000];
    int r = 0;
    (void)request;
    for (int i = 0; r == 0 && i < 100; i++)
        r = coir_ws_try_send(ws, COIR_BINARY, (coir_bytes){data, sizeof data});
    COIR_EXPECT_CODE(r, -EAGAIN);
    coir_ws_message message;
    r = coir_ws_receive(ws, &message);
    COIR_EXPECT_CODE(r, -ENOBUFS);
    return r;
}

COIR_TEST(a_slow_peer_is_cut)
{
    TALK(overflow, "", .queue_limit = 40000);
    COIR_REQUIRE_OK(coir_group_wait(&group));
}

/* Whoever sends pings and takes no answers gets the last one of them, and costs no memory. */
COIR_TEST(a_flood_of_pings)
{
    TALK(echo, "");
    COIR_AUTO(coir_buffer) pings = {0};
    char data[100];
    for (int i = 0; i < 4000; i++) {
        (void)snprintf(data, sizeof data, "%099d", i);
        COIR_REQUIRE_OK(put_frame(&pings, (struct frame){PING, data, 99}, "mask"));
    }
    COIR_REQUIRE_OK(coir_stream_write(talk.client, pings.data, pings.length));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    SAY(NORMAL);
    COIR_AUTO(coir_buffer) pongs = {0};
    COIR_REQUIRE_OK(read_rest(talk.client, &pongs));
    COIR_EXPECT_LT(pongs.length, 80000); /* what the stream holds, and little more */
    COIR_REQUIRE(pongs.length > 105);
    COIR_EXPECT_BYTES(pongs.data + pongs.length - 4 - 101, "\x8a\x63", 2);
    COIR_EXPECT_BYTES(pongs.data + pongs.length - 4 - 4, "3999\x88\x02\x03\xe8", 8);
}
