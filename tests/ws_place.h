/* ws_place.h: for tests of WebSocket between our own two ends: a server in memory with a session
 * for it, and what is expected of a socket.
 */
#ifndef COIR_TESTS_WS_PLACE_H
#define COIR_TESTS_WS_PLACE_H

#include <coir/http_testing.h>

#include "ws_kit.h"

struct place {
    coir_http_app *app;
    coir_http_test *test;
    coir_http_session *http;
};

static inline void close_place(struct place *place)
{
    coir_http_test_close(place->test);
    coir_http_app_close(place->app);
}

/* An application; then what is registered in it; then it is served. */
#define PLACE(...)                                                                                 \
    __attribute__((cleanup(close_place))) struct place place = {0};                                \
    COIR_REQUIRE_OK(coir_http_app_open(&(coir_http_app_opts){__VA_ARGS__}, &place.app))
#define OPEN()                                                                                     \
    COIR_REQUIRE_OK(coir_http_test_open(place.app, NULL, &place.test));                            \
    place.http = coir_http_test_session(place.test)

#define B(text) ((coir_bytes){(text), sizeof(text) - 1})

static inline int expect_message(coir_ws *ws, coir_ws_kind kind, const char *data, size_t length)
{
    coir_ws_message message;
    COIR_DEADLINE(COIR_SEC(100)); /* two ends that ping each other never end by themselves */
    int r = COIR_TRY(coir_ws_receive(ws, &message));
    if (!COIR_EXPECT_EQ(r, 1) || !COIR_EXPECT_EQ(message.data.length, length))
        return -EPROTO;
    COIR_EXPECT_EQ(message.kind, kind);
    COIR_EXPECT(message.last);
    COIR_EXPECT_BYTES(message.data.data, data, length);
    COIR_EXPECT_EQ(((const char *)message.data.data)[length], 0);
    return 0;
}

static inline int expect_end(coir_ws *ws, int code)
{
    coir_ws_message message;
    COIR_DEADLINE(COIR_SEC(100));
    int r = coir_ws_receive(ws, &message);
    if (!COIR_EXPECT_EQ(r, 0))
        return r < 0 ? r : -EPROTO;
    COIR_EXPECT_EQ(coir_ws_receive(ws, &message), 0); /* and so it stays */
    return COIR_EXPECT_EQ(coir_ws_close_code(ws), code) ? 0 : -EPROTO;
}

#endif
