/* ws_talk.c: WebSockets between our own two ends: what is agreed on, messages both ways, from many
 * tasks, compressed; goodbyes, silence, slowness, rooms, and the end of a server.
 */
#include <jansson.h>
#include <stdlib.h>

#include "megabytes.h"
#include "ws_place.h"

COIR_TEST(messages_both_ways)
{
    PLACE();
    coir_http_app_websocket(place.app, "/echo", echo);
    OPEN();
    for (int deflate = 0; deflate < 3; deflate++) {
        COIR_AUTO(coir_ws) *ws = NULL;
        const coir_ws_opts opts = {.deflate = (coir_ws_deflate)deflate};
        COIR_REQUIRE_OK(coir_ws_connect(place.http, "/echo", &opts, &ws));
        COIR_EXPECT_EQ(coir_ws_is_deflated(ws), deflate != COIR_WS_DEFLATE_OFF);
        COIR_EXPECT_STR(coir_ws_protocol(ws), NULL);
        COIR_REQUIRE_OK(coir_ws_send(ws, COIR_TEXT, B("hello")));
        COIR_REQUIRE_OK(expect_message(ws, COIR_TEXT, "hello", 5));
        COIR_REQUIRE_OK(coir_ws_send_text(ws, "%d %s", 1, "one"));
        COIR_REQUIRE_OK(expect_message(ws, COIR_TEXT, "1 one", 5));
        COIR_REQUIRE_OK(coir_ws_send(ws, COIR_TEXT, (coir_bytes){NULL, 0}));
        COIR_REQUIRE_OK(expect_message(ws, COIR_TEXT, "", 0)); /* nothing is left of the last one */
        COIR_REQUIRE_OK(coir_ws_send(ws, COIR_BINARY, B("\0\xff")));
        COIR_REQUIRE_OK(expect_message(ws, COIR_BINARY, "\0\xff", 2));
        COIR_REQUIRE_OK(coir_ws_ping(ws));
        COIR_REQUIRE_OK(coir_ws_send_json(ws, json_pack("{si}", "a", 1)));
        json_t *json = NULL;
        COIR_REQUIRE_EQ(coir_ws_receive_json(ws, &json), 1);
        COIR_EXPECT_EQ(json_integer_value(json_object_get(json, "a")), 1);
        json_decref(json);
        COIR_REQUIRE_OK(coir_ws_send_text(ws, "{"));
        COIR_EXPECT_CODE(coir_ws_receive_json(ws, &json), -EBADMSG);
        coir_ws_stats stats;
        coir_ws_stats_get(ws, &stats);
        COIR_EXPECT_EQ(stats.sent, 6);
        COIR_EXPECT_EQ(stats.received, 6);
        COIR_EXPECT_EQ(stats.queued, 0);
    }
}

/* Long messages, whole, in pieces and packed, come back as they were. */
COIR_TEST_TAGGED(long_messages, "limit=60,slow")
{
    static const size_t lengths[] = {1023, 1024, 1025, 5000, 65536, 100000, 1 << 20, 4 << 20};
    PLACE();
    coir_http_app_websocket(place.app, "/echo", echo);
    OPEN();
    COIR_AUTO(coir_buffer) data = {0};
    COIR_REQUIRE_OK(coir_buffer_reserve(&data, 4 << 20));
    for (size_t i = 0; i < 4 << 20; i++)
        data.data[i] = (char)('a' + i * i % 23 + i / 1000 % 3);
    for (int deflate = 0; deflate < 3; deflate++) {
        COIR_AUTO(coir_ws) *ws = NULL;
        const coir_ws_opts opts = {.deflate = (coir_ws_deflate)deflate,
                                   .window_bits = deflate == 1 ? 10 : 0};
        COIR_REQUIRE_OK(coir_ws_connect(place.http, "/echo", &opts, &ws));
        for (size_t i = 0; i < COIR_COUNT(lengths); i++) {
            COIR_REQUIRE_OK(coir_ws_send(ws, COIR_TEXT, (coir_bytes){data.data, lengths[i]}));
            COIR_REQUIRE_OK(expect_message(ws, COIR_TEXT, data.data, lengths[i]));
        }
        COIR_REQUIRE_OK(coir_ws_send_some(ws, COIR_BINARY, B("ab"), false));
        COIR_EXPECT_CODE(coir_ws_send(ws, COIR_TEXT, B("c")), -EBUSY);
        COIR_REQUIRE_OK(coir_ws_send_some(ws, COIR_BINARY, (coir_bytes){NULL, 0}, false));
        COIR_REQUIRE_OK(coir_ws_send_some(ws, COIR_BINARY, B("cd"), true));
        COIR_REQUIRE_OK(expect_message(ws, COIR_BINARY, "abcd", 4));
        COIR_REQUIRE_OK(coir_ws_send(ws, COIR_BINARY, (coir_bytes){data.data, 300000}));
        size_t length = 0;
        for (coir_ws_message piece = {0}; !piece.last; length += piece.data.length) {
            COIR_REQUIRE_EQ(coir_ws_receive_some(ws, &piece), 1);
            COIR_EXPECT_EQ(piece.kind, COIR_BINARY);
            COIR_EXPECT_BYTES(piece.data.data, data.data + length, piece.data.length);
        }
        COIR_EXPECT_EQ(length, 300000);
    }
}

/* ---- long messages are packed in turns ---- */

enum { LONG_MESSAGE = 1 << 20 };

struct sending {
    coir_ws *ws;
    const char *text; /* LONG_MESSAGE bytes */
    int turns;        /* of another task */
};

static int count_turns(void *arg)
{
    struct sending *sending = arg;
    for (;; sending->turns++)
        COIR_TRY(coir_yield());
}

static int await_the_end(coir_http_request *request, coir_ws *ws)
{
    coir_ws_message message;
    (void)request;
    return coir_ws_receive(ws, &message);
}

COIR_TEST(others_run_while_a_message_is_packed)
{
    struct sending sending = {0};
    PLACE();
    coir_http_app_websocket(place.app, "/", await_the_end);
    OPEN();
    COIR_AUTO(coir_ws) *ws = NULL;
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/", NULL, &ws));
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, count_turns, &sending, NULL));
    COIR_REQUIRE_OK(
        coir_ws_send(ws, COIR_BINARY, (coir_bytes){megabytes(LONG_MESSAGE), LONG_MESSAGE}));
    COIR_EXPECT_GT(sending.turns, 0); /* it has sixteen pieces */
    coir_group_cancel(&group, NULL);
}

static int send_long(void *arg)
{
    struct sending *sending = arg;
    return coir_ws_send(sending->ws, COIR_BINARY, (coir_bytes){sending->text, LONG_MESSAGE});
}

/* A message that is given up while it is packed was not sent, and the next one does not build on
 * it. */
COIR_TEST(a_message_that_is_given_up_leaves_no_context)
{
    PLACE();
    const coir_ws_opts opts = {.deflate = COIR_WS_DEFLATE_CONTEXT};
    coir_http_app_websocket_with(place.app, "/", echo, &opts);
    OPEN();
    COIR_AUTO(coir_ws) *ws = NULL;
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/", &opts, &ws));
    char *text = megabytes(LONG_MESSAGE);
    for (size_t i = 0; i < LONG_MESSAGE; i++)
        text[i] = (char)(i * i % 251);
    struct sending sending = {.ws = ws, .text = text};
    coir_task *task;
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, send_long, &sending, &task));
    for (int i = 0; i < 3; i++)
        COIR_REQUIRE_OK(coir_yield());
    coir_cancel(task, NULL);
    int result = 0;
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_CODE(result, -COIR_ECANCELEDTASK);
    COIR_REQUIRE_OK(coir_ws_send(ws, COIR_BINARY, (coir_bytes){text, 5000}));
    COIR_REQUIRE_OK(expect_message(ws, COIR_BINARY, text, 5000));
}

COIR_TEST(goodbyes)
{
    PLACE();
    coir_http_app_websocket(place.app, "/echo", echo);
    OPEN();
    COIR_AUTO(coir_ws) *ws = NULL;
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/echo", NULL, &ws));
    COIR_EXPECT_EQ(coir_ws_close_code(ws), 0);
    COIR_EXPECT_CODE(coir_ws_shutdown(ws, 1005, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_ws_shutdown(ws, 0, "why"), -EINVAL);
    COIR_EXPECT_CODE(coir_ws_shutdown(ws, 1000, "\xff"), -EINVAL);
    COIR_REQUIRE_OK(coir_ws_send(ws, COIR_TEXT, B("last")));
    COIR_REQUIRE_OK(coir_ws_shutdown(ws, 4001, "enough"));
    COIR_REQUIRE_OK(coir_ws_shutdown(ws, 4002, NULL));
    COIR_EXPECT_CODE(coir_ws_send(ws, COIR_TEXT, B("more")), -COIR_ECLOSED);
    COIR_EXPECT_CODE(coir_ws_try_send(ws, COIR_TEXT, B("more")), -COIR_ECLOSED);
    COIR_EXPECT_CODE(coir_ws_ping(ws), -COIR_ECLOSED);
    COIR_REQUIRE_OK(expect_message(ws, COIR_TEXT, "last", 4));
    COIR_REQUIRE_OK(expect_end(ws, 4001));
    COIR_EXPECT_STR(coir_ws_close_reason(ws), "");
}
