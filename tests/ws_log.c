/* ws_log.c: tests of what the access log says of WebSockets: one line for each, when it has ended.
 */
#include <stdlib.h>

#include "ws_place.h"

/* The lines that were written. */
struct lines {
    char text[1024];
    int count;
};

static void keep_line(const char *line, void *arg)
{
    struct lines *lines = arg;
    lines->count++;
    (void)snprintf(lines->text, sizeof lines->text, "%s", line);
}

static int echo_message(coir_ws *ws, const coir_ws_message *message)
{
    return coir_ws_send(ws, message->kind, message->data);
}

static int accept_one(coir_http_request *request)
{
    COIR_AUTO(coir_ws) *ws = NULL;
    COIR_TRY(coir_ws_accept(request, NULL, &ws));
    return echo(request, ws);
}

/* Three ways to have a socket. */
static void register_all(coir_http_app *app)
{
    static const coir_ws_handlers handlers = {.on_message = echo_message};
    coir_http_app_websocket(app, "/task", echo);
    coir_http_app_websocket_handlers(app, "/handlers", &handlers, NULL);
    coir_http_app_get(app, "/own", accept_one);
}

/* Talks for two seconds at path: "hello" both ways, which are eleven bytes with their mask and
 * seven without; then says goodbye, another eight and four. */
static int talk(coir_http_session *http, const char *path)
{
    COIR_AUTO(coir_ws) *ws = NULL;
    COIR_TRY(coir_ws_connect(http, path, NULL, &ws));
    COIR_TRY(coir_ws_send_text(ws, "hello"));
    COIR_TRY(expect_message(ws, COIR_TEXT, "hello", 5));
    COIR_TRY(coir_sleep(COIR_SEC(2)));
    coir_ws_stats stats;
    coir_ws_stats_get(ws, &stats);
    COIR_EXPECT_EQ(stats.bytes_sent, 11);
    COIR_EXPECT_EQ(stats.bytes_received, 7);
    COIR_TRY(coir_ws_shutdown(ws, 4000, NULL));
    return expect_end(ws, 4000);
}

static const char *const paths[] = {"/task", "/handlers", "/own"};

COIR_TEST(a_line_for_each_socket_when_it_has_ended)
{
    struct lines lines = {0};
    PLACE(.log = keep_line, .log_arg = &lines);
    register_all(place.app);
    OPEN();
    for (int i = 0; i < (int)COIR_COUNT(paths); i++) {
        char expected[80];
        COIR_REQUIRE_OK(talk(place.http, paths[i]));
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
        COIR_EXPECT_EQ(lines.count, i + 1);
        (void)snprintf(expected, sizeof expected, "] \"GET %s HTTP/1.1\" 101 11 2.0", paths[i]);
        COIR_REQUIRE_CONTAINS(lines.text, expected);
        COIR_EXPECT_STR(strrchr(lines.text, ' ') - 3, " 19 4000");
    }
}

COIR_TEST(the_same_as_json)
{
    struct lines lines = {0};
    PLACE(.log = keep_line, .log_arg = &lines, .log_format = COIR_HTTP_LOG_JSON);
    register_all(place.app);
    OPEN();
    for (int i = 0; i < (int)COIR_COUNT(paths); i++) {
        COIR_REQUIRE_OK(talk(place.http, paths[i]));
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
        COIR_EXPECT_EQ(lines.count, i + 1);
        COIR_EXPECT_CONTAINS(lines.text, paths[i]);
        COIR_EXPECT_CONTAINS(lines.text, "\"status\":101,\"bytes\":11,\"seconds\":2.");
        COIR_EXPECT_CONTAINS(lines.text, ",\"received\":19,\"code\":4000}");
    }
}

/* Who is refused has the line of a request, and who goes without a goodbye the code of that. */
COIR_TEST(sockets_that_end_otherwise)
{
    struct lines lines = {0};
    PLACE(.log = keep_line, .log_arg = &lines);
    register_all(place.app);
    OPEN();
    for (size_t i = 0; i < COIR_COUNT(paths); i++) {
        lines.count = 0;
        COIR_AUTO(coir_http_response) *response = NULL;
        COIR_REQUIRE_OK(coir_http_get(place.http, paths[i], NULL, &response));
        COIR_EXPECT_EQ(lines.count, 1);
        COIR_EXPECT_CONTAINS(lines.text, " HTTP/1.1\" 426 ");
        COIR_AUTO(coir_stream) *client = NULL;
        COIR_AUTO(coir_buffer) answer = {0};
        char request[256];
        (void)snprintf(request, sizeof request, WS_REQUEST("%s", ""), paths[i]);
        COIR_REQUIRE_OK(coir_http_test_connect(place.test, &client));
        COIR_REQUIRE_OK(shake_hands(client, request, &answer));
        coir_stream_close(COIR_TAKE(client));
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
        COIR_EXPECT_EQ(lines.count, 2);
        COIR_EXPECT_CONTAINS(lines.text, " HTTP/1.1\" 101 0 ");
        COIR_EXPECT_STR(strrchr(lines.text, ' ') - 2, " 0 1006");
    }
}
