/* http_routes.c: tests of what is around routes: middleware where there is none, pages for
 * failures, mounted applications and directories without their slash.
 */
#include <coir/fs.h>

#include "http_kit.h"

static int show(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "%s", coir_http_request_path(request));
}

#define NOT_FOUND REPLY("404 Not Found", "", "14", "404 Not Found\n")

/* ---- pages for failures ---- */

/* Replies to failures in its own way, and notes which. */
static int own_pages(coir_http_request *request, void *arg)
{
    int r = coir_http_next(request);
    if (r >= 0)
        return r;
    int status = coir_http_failure_status(request, r);
    COIR_TRY(coir_http_reply_text(request, status, "%s %d", (const char *)arg, status));
    return status == 500 ? r : 0;
}

static int fail_inside(coir_http_request *request)
{
    (void)request;
    return coir_fail(-EIO, "the disk is full");
}

static int read_json(coir_http_request *request)
{
    struct json_t *json;
    COIR_TRY(coir_http_request_json(request, &json));
    return coir_fail(-EPROTO, "that was JSON");
}

static int refuse(coir_http_request *request)
{
    return coir_http_fail(request, 403, "no");
}

COIR_TEST(middleware_makes_pages_for_failures)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    coir_test_expect_reports(COIR_REPORT_UNREAD, 1);
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.body_limit = 8}, &app));
    coir_http_app_use(app, own_pages, "page");
    coir_http_app_get(app, "/x", show);
    coir_http_app_get(app, "/refused", refuse);
    coir_http_app_get(app, "/inside", fail_inside);
    coir_http_app_post(app, "/json", read_json);
    EXPECT_VISIT(app, GET("/x"), OK("2", "/x"));
    EXPECT_VISIT(app, GET("/y"), REPLY("404 Not Found", "", "8", "page 404"));
    EXPECT_VISIT(app, "POST /x HTTP/1.1\r\n" HOST "\r\n" GET("/x"),
                 REPLY("405 Method Not Allowed", "Allow: GET, HEAD\r\n", "8", "page 405")
                     OK("2", "/x"));
    EXPECT_VISIT(app, "HEAD /y HTTP/1.1\r\n" HOST "\r\n", REPLY("404 Not Found", "", "8", ""));
    EXPECT_VISIT(app, GET("/refused"), REPLY("403 Forbidden", "", "18", "403 Forbidden: no\n"));
    EXPECT_VISIT(app, GET("/inside") GET("/x"), /* and it is reported */
                 REPLY("500 Internal Server Error", "", "8", "page 500") OK("2", "/x"));
    EXPECT_VISIT(app, "POST /json HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n{",
                 REPLY("400 Bad Request", "", "8", "page 400"));
    EXPECT_VISIT(app, "POST /json HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\n123456789",
                 REPLY("413 Content Too Large", "", "8", "page 413"));
    size_t count;
    const coir_test_report *reports = coir_test_reports(&count);
    COIR_REQUIRE_EQ(count, 1);
    COIR_EXPECT_CONTAINS(reports[0].text, "the disk is full");
}

/* ---- middleware around what has no route ---- */

static char steps[64];

static int note(coir_http_request *request, void *arg)
{
    size_t length = strlen(steps);
    (void)snprintf(steps + length, sizeof steps - length, "%s%s ", (const char *)arg,
                   coir_http_request_path(request));
    return coir_http_next(request);
}

/* Expects a 404 for path, and through whose middleware it went. */
static void expect_lost(coir_http_app *app, const char *request, const char *expected)
{
    steps[0] = '\0';
    EXPECT_VISIT(app, request, NOT_FOUND);
    COIR_EXPECT_STR(steps, expected);
}

COIR_TEST(middleware_is_around_what_has_no_route)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    coir_http_app *api = NULL, *inner = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &api));
    coir_http_app_mount(app, "/api", api);
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &inner));
    coir_http_app_mount(api, "/inner", inner);
    coir_http_app_use(app, note, "o");
    coir_http_app_use(api, note, "a");
    coir_http_app_use(inner, note, "i");
    coir_http_app_get(app, "/x", show);
    coir_http_app_get(api, "/x", show);
    coir_http_app_get(inner, "/x", show);
    expect_lost(app, GET("/y"), "o/y ");
    expect_lost(app, GET("/api/y"), "o/api/y a/y ");
    expect_lost(app, GET("/api"), "o/api a/ ");
    expect_lost(app, GET("/api/inner/y"), "o/api/inner/y a/inner/y i/y ");
    expect_lost(app, GET("/apis"), "o/apis ");
    steps[0] = '\0';
    EXPECT_VISIT(
        app, "PUT /api/x HTTP/1.1\r\n" HOST "\r\n",
        REPLY("405 Method Not Allowed", "Allow: GET, HEAD\r\n", "23", "405 Method Not Allowed\n"));
    COIR_EXPECT_STR(steps, "o/api/x a/x ");
}

/* ---- without a slash ---- */

static int show_rest(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "rest=%s", coir_http_request_param(request, "rest"));
}

COIR_TEST(a_mounted_application_is_there_without_a_slash)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    coir_http_app *api = NULL, *all = NULL, *bare = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &api));
    coir_http_app_mount(app, "/api", api);
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &all));
    coir_http_app_mount(app, "/all", all);
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &bare));
    coir_http_app_mount(app, "/bare", bare);
    coir_http_app_get(api, "/", show);
    coir_http_app_get(all, "/{rest...}", show_rest);
    coir_http_app_get(app, "/rest/{rest...}", show_rest);
    EXPECT_VISIT(app, GET("/api") GET("/api/") GET("/api?x"),
                 OK("1", "/") OK("1", "/") OK("1", "/"));
    EXPECT_VISIT(app, GET("/all") GET("/all/") GET("/all/a"),
                 OK("5", "rest=") OK("5", "rest=") OK("6", "rest=a"));
    EXPECT_VISIT(app, GET("/bare"), NOT_FOUND);
    EXPECT_VISIT(app, GET("/rest"), NOT_FOUND);
    EXPECT_VISIT(
        app, "PUT /api HTTP/1.1\r\n" HOST "\r\n",
        REPLY("405 Method Not Allowed", "Allow: GET, HEAD\r\n", "23", "405 Method Not Allowed\n"));
}

COIR_TEST(a_directory_without_its_slash_gets_it)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_static(app, "/s", ".");
    EXPECT_VISIT(
        app, GET("/s"),
        REPLY("308 Permanent Redirect", "Location: /s/\r\n", "23", "308 Permanent Redirect\n"));
    EXPECT_VISIT(app, GET("/s?a=/b"),
                 REPLY("308 Permanent Redirect", "Location: /s/?a=/b\r\n", "23",
                       "308 Permanent Redirect\n"));
}

/* ---- targets that are no path ---- */

static int show_target(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "%s", coir_http_request_target(request));
}

COIR_TEST(a_target_that_is_no_path_has_its_own_pattern)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    coir_http_app *child = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &child));
    coir_http_app_mount(app, "", child);
    coir_http_app_route(child, NULL, "/{rest...}", show_rest);
    coir_http_app_route(app, "OPTIONS", "*", show_target);
    EXPECT_VISIT(app, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", OK("1", "*"));
    EXPECT_VISIT(
        app, "CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n",
        REPLY("405 Method Not Allowed", "Allow: OPTIONS\r\n", "23", "405 Method Not Allowed\n"));
    EXPECT_VISIT(app, "OPTIONS /* HTTP/1.1\r\n" HOST "\r\n", OK("6", "rest=*"));
}
