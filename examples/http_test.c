/* http_test.c: tests of an application, over a connection in memory and in virtual time. This file
 * is a whole program; main comes with <coir/testing.h>.
 */
#include <coir/coir.h>
#include <coir/http_app.h>
#include <coir/testing.h>
#include <string.h>

static int home(coir_http_request *request)
{
    COIR_TRY(coir_sleep(COIR_SEC(5))); /* no time in a test */
    return coir_http_reply_text(request, 200, "hello\n");
}

static int create_app(coir_http_app **ret_app)
{
    COIR_TRY(coir_http_app_open(&(coir_http_app_opts){.no_date = true}, ret_app));
    coir_http_app_get(*ret_app, "/", home);
    return 0;
}

/* What app answers to request. */
static int ask(coir_http_app *app, const char *request, coir_buffer *ret_reply)
{
    COIR_AUTO(coir_stream) *client = NULL;
    coir_stream *server;
    COIR_TRY(coir_stream_pair(0, &client, &server));
    COIR_TRY(coir_stream_write(client, request, strlen(request)));
    COIR_TRY(coir_stream_shutdown(client));
    COIR_TRY(coir_http_app_serve_stream(app, server));
    coir_bytes line;
    while (COIR_TRY(coir_stream_read_line(client, 0, &line)) > 0) {
        COIR_TRY(coir_buffer_append(ret_reply, line.data, line.length));
        COIR_TRY(coir_buffer_append(ret_reply, "\n", 1));
    }
    return 0;
}

COIR_TEST(home_is_there)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_buffer) reply = {0};
    COIR_REQUIRE_OK(create_app(&app));
    COIR_REQUIRE_OK(ask(app, "GET / HTTP/1.1\r\nHost: test\r\n\r\n", &reply));
    COIR_EXPECT_CONTAINS(coir_buffer_text(&reply), "HTTP/1.1 200 OK\n");
    COIR_EXPECT_CONTAINS(coir_buffer_text(&reply), "\n\nhello\n");
}

COIR_TEST(nothing_else_is)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_buffer) reply = {0};
    COIR_REQUIRE_OK(create_app(&app));
    COIR_REQUIRE_OK(ask(app, "GET /tea HTTP/1.1\r\nHost: test\r\n\r\n", &reply));
    COIR_EXPECT_CONTAINS(coir_buffer_text(&reply), "HTTP/1.1 404 Not Found\n");
}
