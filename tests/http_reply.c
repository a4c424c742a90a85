/* http_reply.c: tests of what a handler may say: lengths that are promised, headers of its own,
 * tunnels, and that it hears of the server's end.
 */
#include "http_town.h"
#include "net_pair.h"

static int hello(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "hello\n");
}

/* ---- lengths that are promised ---- */

static int last_code;

/* Promises {says} bytes and writes {writes}, two at a time. */
static int promise(coir_http_request *request)
{
    const char *says = coir_http_request_param(request, "says");
    const char *writes = coir_http_request_param(request, "writes");
    COIR_TRY(coir_http_reply_begin_sized(request, 200, "text/x", (uint64_t)(says[0] - '0')));
    for (int left = writes[0] - '0'; left > 0; left -= 2) {
        last_code = coir_http_reply_write(request, "abcdef", left > 1 ? 2 : 1);
        COIR_TRY(last_code);
    }
    return 0;
}

#define SIZED(length, body)                                                                        \
    "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: " length "\r\n\r\n" body

COIR_TEST(a_reply_can_say_how_long_it_will_be)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.compress = true}, &app));
    coir_http_app_get(app, "/{says}/{writes}", promise);
    EXPECT_VISIT(app, GET("/4/4") GET("/0/0") GET("/3/3"),
                 SIZED("4", "abab") SIZED("0", "") SIZED("3", "aba"));
    EXPECT_VISIT(app,
                 "HEAD /4/4 HTTP/1.1\r\n" HOST "\r\n"
                 "HEAD /4/0 HTTP/1.1\r\n" HOST "\r\n",
                 SIZED("4", "") SIZED("4", ""));
    EXPECT_VISIT(app, "GET /4/4 HTTP/1.0\r\n\r\n",
                 "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 4\r\n"
                 "Connection: close\r\n\r\nabab");
}

/* Nobody takes the next reply for the rest of this one. */
COIR_TEST(a_promise_that_is_broken_ends_the_connection)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_buffer) less = {0};
    COIR_AUTO(coir_buffer) more = {0};
    coir_test_expect_reports(COIR_REPORT_UNREAD, 2);
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/{says}/{writes}", promise);
    COIR_EXPECT_CODE(visit(app, GET("/5/4") GET("/1/1"), &less), -ECONNRESET);
    COIR_EXPECT_STR(coir_buffer_text(&less), SIZED("5", "abab"));
    COIR_EXPECT_CODE(visit(app, GET("/3/4") GET("/1/1"), &more), -ECONNRESET);
    COIR_EXPECT_STR(coir_buffer_text(&more), SIZED("3", "ab"));
    COIR_EXPECT_CODE(last_code, -EMSGSIZE);
    size_t count;
    const coir_test_report *reports = coir_test_reports(&count);
    COIR_REQUIRE_EQ(count, 2);
    COIR_EXPECT_CONTAINS(reports[0].text, "the reply is 1 bytes shorter than it says");
    COIR_EXPECT_CONTAINS(reports[1].text, "the reply would be longer than it says");
}

static int fail_behind(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_text(request, 200, "hello\n"));
    return -EIO;
}

/* A reply that is whole stays so, whatever its handler does behind it. */
COIR_TEST(a_failure_behind_a_reply_is_only_reported)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    coir_test_expect_reports(COIR_REPORT_UNREAD, 1);
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", hello);
    coir_http_app_get(app, "/fail", fail_behind);
    EXPECT_VISIT(app, GET("/fail") GET("/"), OK("6", "hello\n") OK("6", "hello\n"));
}

/* ---- headers ---- */

static int say_date(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_header(request, "date", "Sun, 06 Nov 1994 08:49:37 GMT"));
    return coir_http_reply(request, 200, NULL, "", 0);
}

static int say_sniff(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_header(request, "X-Content-Type-Options", "no"));
    return coir_http_reply(request, 200, NULL, "", 0);
}

COIR_TEST(a_header_of_the_handler_replaces_the_servers)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_buffer) text = {0};
    COIR_REQUIRE_OK(coir_http_app_open(&(coir_http_app_opts){.nosniff = true}, &app));
    coir_http_app_get(app, "/date", say_date);
    coir_http_app_get(app, "/", hello);
    EXPECT_VISIT(app, GET("/date"),
                 "HTTP/1.1 200 OK\r\nX-Content-Type-Options: nosniff\r\n"
                 "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n");
    COIR_EXPECT_OK(visit(app, GET("/"), &text));
    COIR_EXPECT_CONTAINS(coir_buffer_text(&text), "\r\nDate: ");
    COIR_EXPECT_CONTAINS(coir_buffer_text(&text), "\r\nX-Content-Type-Options: nosniff\r\n");
    COIR_AUTO(coir_http_app) *other = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.nosniff = true}, &other));
    coir_http_app_get(other, "/", say_sniff);
    EXPECT_VISIT(other, GET("/"),
                 "HTTP/1.1 200 OK\r\nX-Content-Type-Options: no\r\nContent-Length: 0\r\n\r\n");
}

static int set_cookies(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_cookie(request, "a", "1", NULL));
    COIR_TRY(coir_http_reply_cookie(request, "b", "2", &(coir_http_cookie_opts){.secure = true}));
    return coir_http_reply(request, 200, NULL, "", 0);
}

COIR_TEST(a_cookie_can_be_for_https_alone)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", set_cookies);
    EXPECT_VISIT(app, GET("/"),
                 "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/; SameSite=Lax; HttpOnly\r\n"
                 "Set-Cookie: b=2; Path=/; SameSite=Lax; Secure; HttpOnly\r\n"
                 "Content-Length: 0\r\n\r\n");
}

/* ---- tunnels ---- */

#define CONNECT(target) "CONNECT " target " HTTP/1.1\r\nHost: " target "\r\n\r\n"

static int open_tunnel(coir_http_request *request)
{
    coir_stream *stream;
    char data[4];
    COIR_EXPECT_STR(coir_http_request_target(request), "b:443");
    COIR_TRY(coir_http_reply_tunnel(request, &stream));
    COIR_TRY(coir_stream_read_exactly(stream, data, sizeof data));
    return coir_stream_write(stream, data, sizeof data);
}

COIR_TEST(connect_opens_a_tunnel_where_there_is_a_route)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", hello);
    EXPECT_VISIT(app, CONNECT("b:443") GET("/"),
                 REPLY("501 Not Implemented", "", "20", "501 Not Implemented\n")
                     OK("6", "hello\n"));
    coir_http_app_route(app, "CONNECT", "*", open_tunnel);
    EXPECT_VISIT(app, GET("/") CONNECT("b:443") "abcd" GET("/"),
                 OK("6", "hello\n") "HTTP/1.1 200 OK\r\n\r\nabcd");
}

static int open_no_tunnel(coir_http_request *request)
{
    coir_stream *stream;
    return coir_http_reply_tunnel(request, &stream);
}

/* A client would take any success for a tunnel. */
COIR_TEST(connect_has_no_other_success)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    coir_test_expect_reports(COIR_REPORT_UNREAD, 2);
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_route(app, "CONNECT", "*", hello);
    coir_http_app_get(app, "/", open_no_tunnel);
    EXPECT_VISIT(app, CONNECT("b:443"),
                 REPLY("500 Internal Server Error", "", "26", "500 Internal Server Error\n"));
    EXPECT_VISIT(app, "GET / HTTP/1.1\r\nHost: b:443\r\n\r\n",
                 REPLY("500 Internal Server Error", "", "26", "500 Internal Server Error\n"));
}

/* ---- the end of the server ---- */

static int go_on_until_the_end(coir_http_request *request)
{
    coir_event *draining = coir_http_request_draining(request);
    COIR_EXPECT(!coir_event_is_set(draining));
    COIR_TRY(coir_http_reply_begin(request, 200, NULL));
    COIR_TRY(coir_http_reply_write(request, "on", 2));
    COIR_TRY(coir_event_wait(draining));
    return coir_http_reply_write(request, "off", 3);
}

COIR_TEST_TAGGED(a_handler_hears_of_the_end_of_the_server, "real_clock")
{
    static const char expected[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                   "2\r\non\r\n3\r\noff\r\n0\r\n\r\n";
    struct town town = {0};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_AUTO(coir_buffer) text = {0};
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.grace = COIR_SEC(10)}, &app));
    coir_http_app_get(app, "/", go_on_until_the_end);
    COIR_DEADLINE(patience());
    COIR_GROUP(group);
    COIR_REQUIRE_OK(build_here(&town, app, &group, &listener));
    COIR_REQUIRE_OK(ask(&town, GET("/"), &client));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(100)));
    coir_time start = coir_now();
    coir_cancel(town.task, NULL);
    COIR_EXPECT_OK(read_rest(client, &text));
    COIR_EXPECT_STR(coir_buffer_text(&text), expected);
    COIR_EXPECT_LT(coir_now() - start, COIR_SEC(5));
    int result;
    COIR_EXPECT_OK(coir_join(town.task, &result));
}
