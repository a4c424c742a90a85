/* http_trust.c: tests of what handlers may rely on when something goes wrong: middleware is not
 * passed by, a reply that has failed leaves nothing of itself to the next one, limits hold.
 */
#include <coir/tcp.h>

#include "http_kit.h"
#include "megabytes.h"

static int hello(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "hello\n");
}

/* ---- middleware ---- */

static int asked, guarded;

static int try_twice(coir_http_request *request, void *arg)
{
    (void)arg;
    int r = coir_http_next(request);
    return r < 0 ? coir_http_next(request) : r;
}

static int guard(coir_http_request *request, void *arg)
{
    (void)request;
    guarded++;
    return *(const int *)arg;
}

static int count(coir_http_request *request)
{
    return ++asked > 1 ? hello(request) : -EIO;
}

static int let_in(coir_http_request *request, void *arg)
{
    (void)arg;
    guarded++;
    return coir_http_next(request);
}

COIR_TEST(who_goes_on_twice_passes_by_nobody)
{
    int refusal = -EACCES;
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_buffer) text = {0};
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_use(app, try_twice, NULL);
    coir_http_app_use(app, guard, &refusal);
    coir_http_app_get(app, "/", count);
    asked = guarded = 0;
    COIR_EXPECT_OK(visit(app, GET("/"), &text));
    COIR_EXPECT_EQ(asked, 0);
    COIR_EXPECT_EQ(guarded, 2);
    COIR_EXPECT_CONTAINS(coir_buffer_text(&text), "HTTP/1.1 500 ");
    coir_test_expect_reports(COIR_REPORT_UNREAD, 1);
}

/* The application that is mounted has the handler, and a middleware of its own before it. */
COIR_TEST(what_has_failed_is_asked_again)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    coir_http_app *inner = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &inner));
    coir_http_app_use(app, try_twice, NULL);
    coir_http_app_mount(app, "/in", inner);
    coir_http_app_use(inner, let_in, NULL);
    coir_http_app_get(inner, "/", count);
    asked = guarded = 0;
    EXPECT_VISIT(app, GET("/in/"), OK("6", "hello\n"));
    COIR_EXPECT_EQ(asked, 2);
    COIR_EXPECT_EQ(guarded, 2);
}

static int make_page(coir_http_request *request, void *arg)
{
    (void)arg;
    int r = coir_http_next(request);
    return r < 0 ? coir_http_reply(request, coir_http_failure_status(request, r), "text/html",
                                   "<p>", 3)
                 : r;
}

#define PAGE(status, more)                                                                         \
    "HTTP/1.1 " status "\r\nContent-Type: text/html\r\n" more "Content-Length: 3\r\n\r\n<p>"

COIR_TEST(paths_that_are_none_are_seen_by_middleware)
{
    char deep[400];
    int length = snprintf(deep, sizeof deep, "GET ");
    for (int i = 0; i < 65; i++)
        length += snprintf(deep + length, sizeof deep - (size_t)length, "/a");
    (void)snprintf(deep + length, sizeof deep - (size_t)length, " HTTP/1.1\r\n" HOST "\r\n");
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_use(app, make_page, NULL);
    EXPECT_VISIT(app, deep, PAGE("404 Not Found", ""));
    EXPECT_VISIT(app, GET("/%") GET("/%00"),
                 PAGE("400 Bad Request", "") PAGE("400 Bad Request", ""));
}

/* ---- tunnels ---- */

static int open_tunnel(coir_http_request *request)
{
    coir_stream *stream;
    return coir_http_reply_tunnel(request, &stream);
}

COIR_TEST(a_tunnel_that_is_not_opened_has_a_reply_as_any_other)
{
#define TUNNEL(host) "CONNECT " host " HTTP/1.1\r\nHost: b\r\nContent-Length: 2\r\n\r\nxx"
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_route(app, "CONNECT", "*", open_tunnel);
    coir_http_app_get(app, "/", hello);
    EXPECT_VISIT(app, TUNNEL("b:1") GET("/"),
                 REPLY("400 Bad Request", "", "56",
                       "400 Bad Request: a body comes before the other protocol\n")
                     OK("6", "hello\n"));
}

/* ---- limits ---- */

static int measure(coir_http_request *request)
{
    coir_bytes body;
    COIR_TRY(coir_http_request_body(request, &body));
    return coir_http_reply_text(request, 200, "%zu", body.length);
}

COIR_TEST(limits_may_be_forever)
{
    static const char head[] = "POST / HTTP/1.1\r\n" HOST "Content-Length: 4096\r\n\r\n";
    static const char body[4096];
    struct serving serving = {0};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.stall_limit = COIR_FOREVER,
                                                  .head_limit = COIR_FOREVER,
                                                  .idle_limit = COIR_FOREVER,
                                                  .grace = COIR_FOREVER},
                             &app));
    coir_http_app_post(app, "/", measure);
    serving.app = app;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(begin_serving(&group, &serving, &client));
    for (size_t i = 0; i < 2; i++) {
        COIR_REQUIRE_OK(coir_stream_write(client, head, 10));
        COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1000)));
        COIR_REQUIRE_OK(coir_stream_write(client, head + 10, sizeof head - 11));
        COIR_REQUIRE_OK(coir_stream_write(client, body, 2048));
        COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1000)));
        COIR_REQUIRE_OK(coir_stream_write(client, body, 2048));
        char reply[200] = "";
        COIR_REQUIRE_OK(coir_stream_read_exactly(client, reply, strlen(OK("4", "4096"))));
        COIR_EXPECT_STR(reply, OK("4", "4096"));
    }
}

/* ---- serving ---- */

COIR_TEST(a_directory_has_a_prefix_without_parameters)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_static(app, "/{who}/files", "/etc");
    COIR_EXPECT_CODE(coir_http_app_serve(app, "127.0.0.1:0"), -EINVAL);
    COIR_EXPECT_STR(coir_last_message(-EINVAL),
                    "static '/{who}/files': a prefix has no parameters");
}

struct site {
    coir_http_app *app;
    coir_listener *listener;
    int result;
};

static int serve_site(void *arg)
{
    struct site *site = arg;
    site->result = coir_http_app_serve_listener(site->app, site->listener);
    return 0;
}

static int begin_slowly(void *begun)
{
    ++*(int *)begun;
    return coir_sleep(COIR_SEC(1));
}

COIR_TEST(an_application_whose_contexts_start_is_being_served)
{
    int begun = 0;
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_context(app, begin_slowly, NULL, &begun);
    COIR_REQUIRE_OK(coir_memory_listen(&listener));
    struct site site = {app, listener, 1};
    coir_task *task;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, serve_site, &site, &task));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(500)));
    COIR_EXPECT_EQ(begun, 1);
    COIR_EXPECT_CODE(coir_http_app_serve_listener(app, listener), -EBUSY);
    coir_cancel(task, NULL);
    int unused;
    COIR_EXPECT_OK(coir_join(task, &unused));
    COIR_EXPECT_CODE(site.result, -ECANCELED);
}

/* ---- what a handler that has failed leaves ---- */

static int describe(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_header(request, "ETag", "\"a\""));
    COIR_TRY(coir_http_reply_header(request, "X-Other", "kept"));
    COIR_TRY(coir_http_reply_header(request, "Content-Type", "image/png"));
    COIR_TRY(coir_http_reply_header(request, "Content-Encoding", "br"));
    COIR_TRY(coir_http_reply_header(request, "Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"));
    COIR_TRY(coir_http_reply_header(request, "Cache-Control",
                                    coir_http_request_param(request, "control")));
    return coir_http_reply_file(request, "/there/is/no/such/file", NULL);
}

COIR_TEST(a_failure_is_not_described_as_what_it_replaces)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_app) *plain = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &plain));
    coir_http_app_use(app, make_page, NULL);
    coir_http_app_get(app, "/{control}", describe);
    coir_http_app_get(plain, "/{control}", describe);
    EXPECT_VISIT(app, GET("/public"), PAGE("404 Not Found", "X-Other: kept\r\n"));
    EXPECT_VISIT(app, GET("/no-store"),
                 PAGE("404 Not Found", "X-Other: kept\r\nCache-Control: no-store\r\n"));
    EXPECT_VISIT(plain, GET("/public"),
                 REPLY("404 Not Found", "X-Other: kept\r\n", "14", "404 Not Found\n"));
}

#define WRONG_TYPE "text/a\r\nSet-Cookie: b"

static int reply_wrongly(coir_http_request *request)
{
    static const char text[3000] = "a";
    int r = coir_http_reply(request, 200, WRONG_TYPE, text, sizeof text);
    return r < 0 ? coir_http_reply(request, 500, "text/html", "<p>", 3) : r;
}

static int begin_wrongly(coir_http_request *request)
{
    int r = coir_http_reply_begin(request, 200, WRONG_TYPE);
    if (r < 0)
        COIR_TRY(coir_http_reply_begin_sized(request, 500, "text/html", 3));
    return r < 0 ? coir_http_reply_write(request, "<p>", 3) : r;
}

COIR_TEST(a_packed_reply_that_has_failed_leaves_no_coding)
{
#define GET_PACKED(path) "GET " path " HTTP/1.1\r\n" HOST "Accept-Encoding: gzip\r\n\r\n"
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.compress = true}, &app));
    coir_http_app_get(app, "/whole", reply_wrongly);
    coir_http_app_get(app, "/begun", begin_wrongly);
    EXPECT_VISIT(app, GET_PACKED("/whole") GET_PACKED("/begun"),
                 PAGE("500 Internal Server Error", "Vary: Accept-Encoding\r\n")
                     PAGE("500 Internal Server Error", "Vary: Accept-Encoding\r\n"));
}

/* ---- conditions ---- */

static int unchanged(coir_http_request *request)
{
    return coir_http_reply(request, 304, NULL, NULL, 0);
}

COIR_TEST(a_304_varies_as_the_reply_that_the_client_has)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.compress = true}, &app));
    coir_http_app_get(app, "/", unchanged);
    EXPECT_VISIT(app, GET("/"), "HTTP/1.1 304 Not Modified\r\nVary: Accept-Encoding\r\n\r\n");
}

/* ---- others have their turns ---- */

enum { HUGE = 4 << 20, PIECES = HUGE >> 16 };

static int turns;

static int take_turns(void *arg)
{
    (void)arg;
    for (;; turns++)
        COIR_TRY(coir_yield());
}

static int write_much(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_begin(request, 200, "text/plain"));
    turns = 0;
    int r = coir_http_reply_write(request, megabytes(HUGE), HUGE);
    COIR_EXPECT_LE(PIECES / 2, turns);
    return r;
}

COIR_TEST_TAGGED(a_piece_that_is_packed_for_long_lets_others_go_on, "no_torture")
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_buffer) text = {0};
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.compress = true}, &app));
    coir_http_app_get(app, "/", write_much);
    coir_task *task;
    int unused;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, take_turns, NULL, &task));
    COIR_EXPECT_OK(visit(app, GET_PACKED("/"), &text));
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(coir_join(task, &unused));
    COIR_EXPECT_LT(text.length, HUGE / 100);
}

/* ---- what a failure says ---- */

static int say(coir_http_request *request, int r)
{
    return coir_http_reply_text(request, 200, "%s", coir_last_message(r));
}

static int fail_by(coir_http_request *request)
{
    switch (coir_http_request_path(request)[1]) {
    case 'a': return say(request, coir_http_reply(request, 99, NULL, "", 0));
    case 'b': return say(request, coir_http_reply(request, 200, "a\nb", "", 0));
    case 'c': return say(request, coir_http_reply_header(request, "A B", "c"));
    case 'd': return say(request, coir_http_reply_header_add(request, "A", "b\r\nC: d"));
    case 'e': return say(request, coir_http_reply_header(request, "content-length", "7"));
    default: return say(request, coir_http_reply_cookie(request, "a", "b;c", NULL));
    }
}

COIR_TEST(failures_name_what_was_wrong)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/{how}", fail_by);
    EXPECT_VISIT(app, GET("/a"), OK("26", "99 is no status of a reply"));
    EXPECT_VISIT(app, GET("/b"), OK("22", "'a\nb' is no media type"));
    EXPECT_VISIT(app, GET("/c"), OK("21", "'A B: c' is no header"));
    EXPECT_VISIT(app, GET("/d"), OK("25", "'A: b\r\nC: d' is no header"));
    EXPECT_VISIT(app, GET("/e"), OK("45", "the header content-length is not for handlers"));
    EXPECT_VISIT(app, GET("/f"), OK("40", "the cookie 'a' has no such name or value"));
}
