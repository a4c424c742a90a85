/* ws_talk.c: WebSockets between our own two ends: what is agreed on, messages both ways, from many
 * tasks, compressed; goodbyes, silence, slowness, rooms, and the end of a server.
 */
#include <jansson.h>
#include <stdlib.h>

#include <coir/tcp.h>

#include "ws_kit.h"

/* A server at a port of its own, and a session for it. */
struct place {
    coir_http_app *app;
    coir_listener *listener;
    coir_http_session *http;
    coir_task *task;
    char url[COIR_ADDRESS_TEXT + 16];
    int result;
};

static int serve_place(void *arg)
{
    struct place *place = arg;
    return coir_http_app_serve_listener(place->app, place->listener);
}

static int open_place(coir_group *group, struct place *place)
{
    char address[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &place->listener));
    COIR_TRY(coir_listener_address(place->listener, address, sizeof address));
    (void)snprintf(place->url, sizeof place->url, "ws://%s", address);
    char base[sizeof place->url];
    (void)snprintf(base, sizeof base, "http://%s/", address);
    COIR_TRY(coir_http_session_open(&(coir_http_session_opts){.base = base}, &place->http));
    return coir_spawn(group, serve_place, place, &place->task);
}

static void close_place(struct place *place)
{
    coir_http_session_close(place->http);
    coir_listener_close(place->listener);
    coir_http_app_close(place->app);
}

/* An application, and then what is registered in it, and then a session. */
#define PLACE()                                                                                    \
    __attribute__((cleanup(close_place))) struct place place = {0};                                \
    COIR_REQUIRE_OK(coir_http_app_open(NULL, &place.app));                                         \
    COIR_GROUP(group)
#define OPEN() COIR_REQUIRE_OK(open_place(&group, &place))

#define B(text) ((coir_bytes){(text), sizeof(text) - 1})

static int expect_message(coir_ws *ws, coir_ws_kind kind, const char *data, size_t length)
{
    coir_ws_message message;
    int r = COIR_TRY(coir_ws_receive(ws, &message));
    if (!COIR_EXPECT_EQ(r, 1) || !COIR_EXPECT_EQ(message.data.length, length))
        return -EPROTO;
    COIR_EXPECT_EQ(message.kind, kind);
    COIR_EXPECT(message.last);
    COIR_EXPECT_BYTES(message.data.data, data, length);
    COIR_EXPECT_EQ(((const char *)message.data.data)[length], 0);
    return 0;
}

static int expect_end(coir_ws *ws, int code)
{
    coir_ws_message message;
    COIR_EXPECT_EQ(coir_ws_receive(ws, &message), 0);
    COIR_EXPECT_EQ(coir_ws_receive(ws, &message), 0); /* and so it stays */
    return COIR_EXPECT_EQ(coir_ws_close_code(ws), code) ? 0 : -EPROTO;
}

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
        COIR_REQUIRE_OK(coir_ws_send(ws, COIR_BINARY, B("\0\xff")));
        COIR_REQUIRE_OK(expect_message(ws, COIR_BINARY, "\0\xff", 2));
        COIR_REQUIRE_OK(coir_ws_send(ws, COIR_TEXT, (coir_bytes){NULL, 0}));
        COIR_REQUIRE_OK(expect_message(ws, COIR_TEXT, "", 0));
        COIR_REQUIRE_OK(coir_ws_ping(ws));
        COIR_REQUIRE_OK(coir_ws_send_json(ws, json_pack("{si}", "a", 1)));
        json_t *json = NULL;
        COIR_REQUIRE_OK(coir_ws_receive_json(ws, &json));
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
            COIR_REQUIRE_OK(coir_ws_receive_some(ws, &piece));
            COIR_EXPECT_EQ(piece.kind, COIR_BINARY);
            COIR_EXPECT_BYTES(piece.data.data, data.data + length, piece.data.length);
        }
        COIR_EXPECT_EQ(length, 300000);
    }
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
