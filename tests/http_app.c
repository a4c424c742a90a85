/* http_app.c: tests of servers by raw bytes: what is asked, and exactly what is answered.
 */
#include <jansson.h>

#include <coir/filter.h>

#include "http_kit.h"

static int hello(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "hello\n");
}

static int show(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "%s %s", coir_http_request_method(request),
                                coir_http_request_path(request));
}

/* ---- connections ---- */

COIR_TEST(a_reply_is_complete)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", hello);
    EXPECT_VISIT(app, GET("/"), OK("6", "hello\n"));
    EXPECT_VISIT(app, "", "");
    EXPECT_VISIT(app, "GET / HT", "");
}

COIR_TEST(connections_live_as_long_as_both_want)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.requests = 3}, &app));
    coir_http_app_get(app, "/", hello);
    EXPECT_VISIT(app, GET("/") GET("/"), OK("6", "hello\n") OK("6", "hello\n"));
    EXPECT_VISIT(app, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n" GET("/"),
                 LAST("200 OK", "6", "hello\n"));
    EXPECT_VISIT(app, "GET / HTTP/1.0\r\n\r\n" GET("/"), LAST("200 OK", "6", "hello\n"));
    EXPECT_VISIT(app, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" GET("/"),
                 "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                 "Content-Length: 6\r\nConnection: keep-alive\r\n\r\nhello\n" OK("6", "hello\n"));
    EXPECT_VISIT(app, GET("/") GET("/") GET("/") GET("/"), /* the third is the last */
                 OK("6", "hello\n") OK("6", "hello\n") LAST("200 OK", "6", "hello\n"));
}

static void count_writes(const coir_captured *captured, void *arg)
{
    *(int *)arg += captured->kind == COIR_CAPTURED_WRITE;
}

static int number(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "%s", coir_http_request_param(request, "n"));
}

COIR_TEST(what_comes_together_is_answered_together)
{
    enum { REQUESTS = 16 };
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_AUTO(coir_buffer) asked = {0};
    COIR_AUTO(coir_buffer) expected = {0};
    COIR_AUTO(coir_buffer) answered = {0};
    struct serving serving = {0};
    int writes = 0;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/{n}", number);
    for (int i = 0; i < REQUESTS; i++) {
        char text[256];
        (void)snprintf(text, sizeof text, "GET /%02d HTTP/1.1\r\n" HOST "\r\n", i);
        COIR_REQUIRE_OK(coir_buffer_append(&asked, text, strlen(text)));
        (void)snprintf(text, sizeof text, OK("2", "%02d"), i);
        COIR_REQUIRE_OK(coir_buffer_append(&expected, text, strlen(text)));
    }
    serving.app = app;
    COIR_REQUIRE_OK(coir_stream_pair(0, &client, &serving.stream));
    COIR_GROUP(group);
    int r = coir_capture_open(COIR_TAKE(serving.stream), count_writes, &writes, &serving.stream);
    COIR_REQUIRE_OK(r);
    r = coir_spawn(&group, serve_it, &serving, NULL);
    if (r < 0)
        coir_stream_abort(serving.stream);
    COIR_REQUIRE_OK(r);
    COIR_REQUIRE_OK(coir_stream_write(client, asked.data, asked.length));
    COIR_REQUIRE_OK(coir_stream_shutdown(client));
    COIR_REQUIRE_OK(read_rest(client, &answered));
    COIR_EXPECT_STR(coir_buffer_text(&answered), coir_buffer_text(&expected));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(writes, 1);
}

/* Two connections at once, each served by a call of its own that returns when its own has ended. */
COIR_TEST(each_stream_is_served_by_its_own_call)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_stream) *one = NULL;
    COIR_AUTO(coir_stream) *other = NULL;
    struct serving first, second;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", hello);
    first = second = (struct serving){.app = app, .result = 1};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(begin_serving(&group, &first, &one));
    COIR_REQUIRE_OK(begin_serving(&group, &second, &other));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    COIR_EXPECT_EQ(first.result, 1);
    COIR_EXPECT_EQ(second.result, 1);
    coir_stream_close(COIR_TAKE(one));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    COIR_EXPECT_EQ(first.result, 0);
    COIR_EXPECT_EQ(second.result, 1);
    COIR_AUTO(coir_buffer) text = {0};
    COIR_EXPECT_OK(coir_stream_write(other, GET("/"), strlen(GET("/"))));
    COIR_EXPECT_OK(coir_stream_shutdown(other));
    COIR_EXPECT_OK(read_rest(other, &text));
    COIR_EXPECT_STR(coir_buffer_text(&text), OK("6", "hello\n"));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(second.result, 0);
}

COIR_TEST(head_is_get_without_its_body)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", hello);
    EXPECT_VISIT(app, "HEAD / HTTP/1.1\r\n" HOST "\r\n" GET("/"), OK("6", "") OK("6", "hello\n"));
    /* what is refused behind it has its body again */
    EXPECT_VISIT(app,
                 "HEAD / HTTP/1.1\r\n" HOST "\r\n"
                 "\x01\r\n\r\n",
                 OK("6", "") LAST("400 Bad Request", "45",
                                  "400 Bad Request: a request line that is none\n"));
}

/* ---- routes ---- */

static int name_param(coir_http_request *request)
{
    const char *a = coir_http_request_param(request, "a");
    const char *rest = coir_http_request_param(request, "rest");
    COIR_EXPECT(coir_http_request_param(request, "nothing") == NULL);
    return coir_http_reply_text(request, 200, "a=%s rest=%s", a != NULL ? a : "-",
                                rest != NULL ? rest : "-");
}

COIR_TEST(paths_lead_to_their_routes)
{
    static const char *const rows[][2] = {
        {GET("/x"), OK("6", "GET /x")},
        {GET("/x?q"), OK("6", "GET /x")},
        {GET("/%78"), OK("6", "GET /x")},
        {GET("http://a/x"), OK("6", "GET /x")},
        {GET("/u/one"), OK("12", "a=one rest=-")},
        {GET("/u/a%2Fb"), OK("12", "a=a/b rest=-")},
        {GET("/u/me"), OK("9", "GET /u/me")},
        {GET("/u/me/x"), OK("11", "a=me rest=-")},
        {GET("/r/"), OK("9", "a=- rest=")},
        {GET("/r/b/c"), OK("12", "a=- rest=b/c")},
        {GET("/r/b//c/"), OK("14", "a=- rest=b//c/")},
        {GET("/r/b%2Fc"), REPLY("404 Not Found", "", "14", "404 Not Found\n")},
        {GET("/u/"), REPLY("404 Not Found", "", "14", "404 Not Found\n")},
        {GET("/nowhere"), REPLY("404 Not Found", "", "14", "404 Not Found\n")},
        {GET("/X"), REPLY("404 Not Found", "", "14", "404 Not Found\n")},
        {GET("/x/"), REPLY("404 Not Found", "", "14", "404 Not Found\n")},
        {GET("//x"), REPLY("404 Not Found", "", "14", "404 Not Found\n")},
        {GET("/a%00b"),
         REPLY("400 Bad Request", "", "47", "400 Bad Request: a byte of value 0 in the path\n")},
        {GET("/%zz"), REPLY("400 Bad Request", "", "63",
                            "400 Bad Request: '%' without two hexadecimal digits, at byte 0\n")},
    };
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/x", show);
    coir_http_app_get(app, "/u/{a}", name_param);
    coir_http_app_get(app, "/u/{a}/x", name_param);
    coir_http_app_get(app, "/u/me", show);
    coir_http_app_get(app, "/r/{rest...}", name_param);
    for (size_t i = 0; i < COIR_COUNT(rows); i++)
        EXPECT_VISIT(app, rows[i][0], rows[i][1]);
}

COIR_TEST(the_server_as_a_whole)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", show);
    EXPECT_VISIT(app, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n" GET("/"),
                 "HTTP/1.1 204 No Content\r\n\r\n" OK("5", "GET /"));
}

COIR_TEST(other_methods_are_named)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/x", show);
    coir_http_app_delete(app, "/x", show);
    coir_http_app_route(app, "UNLOCK", "/lock", show);
    coir_http_app_route(app, "LOCK", "/lock", show);
    coir_http_app_route(app, NULL, "/any", show);
    coir_http_app_post(app, "/any", hello);
    EXPECT_VISIT(app, "PUT /x HTTP/1.1\r\n" HOST "\r\n",
                 REPLY("405 Method Not Allowed", "Allow: GET, HEAD, DELETE\r\n", "23",
                       "405 Method Not Allowed\n"));
    EXPECT_VISIT(app, GET("/lock"),
                 REPLY("405 Method Not Allowed", "Allow: UNLOCK, LOCK\r\n", "23",
                       "405 Method Not Allowed\n"));
    EXPECT_VISIT(app, "PUT /any HTTP/1.1\r\n" HOST "\r\n", OK("8", "PUT /any"));
    EXPECT_VISIT(app, "POST /any HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
                 OK("6", "hello\n"));
}

COIR_TEST(mistakes_of_registrations_are_told)
{
    static const struct {
        const char *pattern, *text;
    } rows[] = {
        {"x", "route 'x': a pattern begins with '/'"},
        {"/{}", "route '/{}': a parameter is written {name} or {name...}"},
        {"/a{b}", "route '/a{b}': a parameter is written {name} or {name...}"},
        {"/{a...}/b", "route '/{a...}/b': {name...} stands at the end"},
        {"/x", "route '/x': it is there already"},
    };
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        COIR_AUTO(coir_http_app) *app = NULL;
        COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
        coir_http_app_get(app, "/x", hello);
        coir_http_app_get(app, rows[i].pattern, hello);
        coir_http_app_get(app, "/", NULL);
        COIR_EXPECT_CODE(coir_http_app_serve(app, "127.0.0.1:0"), -EINVAL);
        COIR_EXPECT_STR(coir_last_message(-EINVAL), rows[i].text);
    }
}

static int write_log(coir_http_request *request, void *arg)
{
    char *log = arg;
    size_t length = strlen(log);
    (void)snprintf(log + length, 64 - length, "<%s", coir_http_request_path(request));
    int r = coir_http_next(request);
    length = strlen(log);
    (void)snprintf(log + length, 64 - length, ">");
    return r;
}

static int refuse_all(coir_http_request *request, void *arg)
{
    (void)arg;
    return coir_http_fail(request, 403, "not today");
}

COIR_TEST(mounted_applications_see_their_own_paths)
{
    static char log[64];
    static int outer_state, inner_state;
    COIR_AUTO(coir_http_app) *app = NULL;
    coir_http_app *api = NULL, *closed = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.state = &outer_state}, &app));
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.state = &inner_state}, &api));
    coir_http_app_mount(app, "/api/v1", api);
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &closed));
    coir_http_app_mount(app, "/closed", closed);
    coir_http_app_use(app, write_log, log);
    coir_http_app_use(api, write_log, log);
    coir_http_app_use(closed, refuse_all, NULL);
    coir_http_app_get(app, "/x", show);
    coir_http_app_get(api, "/x/{a}", show);
    coir_http_app_get(closed, "/x", show);
    EXPECT_VISIT(app, GET("/api/v1/x/y"), OK("8", "GET /x/y"));
    COIR_EXPECT_STR(log, "</api/v1/x/y</x/y>>");
    log[0] = '\0';
    EXPECT_VISIT(app, GET("/x"), OK("6", "GET /x"));
    COIR_EXPECT_STR(log, "</x>");
    EXPECT_VISIT(app, GET("/closed/x"),
                 REPLY("403 Forbidden", "", "25", "403 Forbidden: not today\n"));
    EXPECT_VISIT(app, GET("/api/v1/z"), REPLY("404 Not Found", "", "14", "404 Not Found\n"));
    EXPECT_VISIT(app, GET("/api/x/y"), REPLY("404 Not Found", "", "14", "404 Not Found\n"));
}

/* ---- what is asked ---- */

static int show_values(coir_http_request *request)
{
    const char *q = coir_http_request_query(request, "q");
    const char *cookie = coir_http_request_cookie(request, "c");
    const char *header = coir_http_request_header(request, "x-h");
    return coir_http_reply_text(request, 200, "q=%s c=%s h=%s t=%s", q != NULL ? q : "-",
                                cookie != NULL ? cookie : "-", header != NULL ? header : "-",
                                coir_http_request_query_text(request));
}

COIR_TEST(queries_cookies_and_headers)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", show_values);
    EXPECT_VISIT(app, GET("/"), OK("14", "q=- c=- h=- t="));
    EXPECT_VISIT(app,
                 "GET /?a=1&q=x+%79%26&q=2 HTTP/1.1\r\n" HOST
                 "Cookie: cc=1; xc=2; c=\"v\" ; c=3\r\nX-H:  a b \r\nX-h: 2\r\n\r\n",
                 OK("39", "q=x y& c=\"v\" h=a b t=a=1&q=x+%79%26&q=2"));
    EXPECT_VISIT(app, GET("/?q=%zz"), OK("19", "q=- c=- h=- t=q=%zz"));
    EXPECT_VISIT(app, GET("/?q=a%00b"), OK("21", "q=- c=- h=- t=q=a%00b"));
}

static int echo(coir_http_request *request)
{
    coir_bytes body, again;
    COIR_TRY(coir_http_request_body(request, &body));
    COIR_TRY(coir_http_request_body(request, &again));
    COIR_EXPECT(body.data == again.data);
    COIR_EXPECT_EQ(((const char *)body.data)[body.length], 0);
    return coir_http_reply(request, 200, NULL, body.data, body.length);
}

#define BARE(length, body) "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n\r\n" body
#define POST(more, body) "POST / HTTP/1.1\r\n" HOST more "\r\n" body

COIR_TEST(bodies_are_read_as_they_are_framed)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.body_limit = 8}, &app));
    coir_http_app_post(app, "/", echo);
    EXPECT_VISIT(app, POST("Content-Length: 5\r\n", "hello") POST("Content-Length: 2\r\n", "ab"),
                 BARE("5", "hello") BARE("2", "ab"));
    EXPECT_VISIT(app,
                 POST("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n1\r\nc\r\n0\r\nT: u\r\n\r\n")
                     POST("", ""),
                 BARE("3", "abc") BARE("0", ""));
    EXPECT_VISIT(app, POST("Content-Length: 7\r\n", "1234567"), BARE("7", "1234567"));
    EXPECT_VISIT(app, POST("Content-Length: 8\r\n", "12345678"), BARE("8", "12345678"));
    EXPECT_VISIT(app, POST("Content-Length: 9\r\n", "123456789") POST("", ""),
                 LAST("413 Content Too Large", "51",
                      "413 Content Too Large: a body of more than 8 bytes\n"));
    EXPECT_VISIT(app, POST("Transfer-Encoding: chunked\r\n", "8\r\n12345678\r\n0\r\n\r\n"),
                 BARE("8", "12345678"));
    EXPECT_VISIT(app, POST("Transfer-Encoding: chunked\r\n", "9\r\n123456789\r\n0\r\n\r\n"),
                 LAST("413 Content Too Large", "51",
                      "413 Content Too Large: a body of more than 8 bytes\n"));
    EXPECT_VISIT(app, POST("Transfer-Encoding: chunked\r\n", "x\r\n") POST("", ""),
                 LAST("400 Bad Request", "42", "400 Bad Request: a chunk without its size\n"));
}

COIR_TEST(who_waits_to_send_a_body_is_told)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_post(app, "/", echo);
    coir_http_app_post(app, "/unread", hello);
    EXPECT_VISIT(app, POST("Expect: 100-continue\r\nContent-Length: 2\r\n", "ab") POST("", ""),
                 "HTTP/1.1 100 Continue\r\n\r\n" BARE("2", "ab") BARE("0", ""));
    EXPECT_VISIT(app, POST("Expect: 100-continue\r\nContent-Length: 0\r\n", "") POST("", ""),
                 BARE("0", "") BARE("0", ""));
    EXPECT_VISIT(
        app, "POST /unread HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
        LAST("200 OK", "6", "hello\n"));
}

/* A body that no handler reads is read away, and the reply does not wait for it. */
COIR_TEST(a_reply_does_not_wait_for_an_unread_body)
{
    static const char head[] = "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n";
    static const char rest[] = "12345" GET("/");
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_AUTO(coir_buffer) text = {0};
    struct serving serving = {0};
    char reply[sizeof OK("6", "hello\n") - 1];
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_route(app, NULL, "/", hello);
    serving.app = app;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(begin_serving(&group, &serving, &client));
    COIR_REQUIRE_OK(coir_stream_write(client, head, strlen(head)));
    coir_time start = coir_now();
    COIR_REQUIRE_OK(coir_stream_read_exactly(client, reply, sizeof reply));
    COIR_EXPECT_EQ(coir_now(), start);
    COIR_REQUIRE_OK(coir_stream_write(client, rest, strlen(rest)));
    COIR_REQUIRE_OK(coir_stream_shutdown(client));
    COIR_REQUIRE_OK(read_rest(client, &text));
    COIR_EXPECT_STR(coir_buffer_text(&text), OK("6", "hello\n"));
    COIR_EXPECT_OK(coir_group_wait(&group));
}

static int take_json(coir_http_request *request)
{
    json_t *json = NULL;
    COIR_TRY(coir_http_request_json(request, &json));
    return coir_http_reply_json(request, 201, json);
}

static int take_form(coir_http_request *request)
{
    const char *name = NULL, *nothing = NULL;
    int r = COIR_TRY(coir_http_request_form(request, "name", &name));
    COIR_TRY(coir_http_request_form(request, "nothing", &nothing));
    return coir_http_reply_text(request, 200, "%d %s", r, r > 0 ? name : "-");
}

#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"

COIR_TEST(json_and_forms)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_post(app, "/", take_json);
    coir_http_app_put(app, "/", take_form);
    EXPECT_VISIT(app, POST("Content-Length: 9\r\n", "{\"a\": 1} "),
                 "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
                 "Content-Length: 7\r\n\r\n{\"a\":1}");
    EXPECT_VISIT(app, POST("Content-Length: 4\r\n", "{\"a\"") POST("Content-Length: 2\r\n", "[]"),
                 REPLY("400 Bad Request", "", "77",
                       "400 Bad Request: line 1, column 4 of the JSON: ':' expected near end of "
                       "file\n") "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
                                 "Content-Length: 2\r\n\r\n[]");
    EXPECT_VISIT(app, "PUT / HTTP/1.1\r\n" HOST FORM "Content-Length: 15\r\n\r\na=b&name=x+%41b",
                 OK("6", "1 x Ab"));
    EXPECT_VISIT(app, "PUT / HTTP/1.1\r\n" HOST FORM "Content-Length: 3\r\n\r\na=b",
                 OK("3", "0 -"));
    EXPECT_VISIT(
        app, "PUT / HTTP/1.1\r\n" HOST FORM "Content-Length: 7\r\n\r\nname=%x",
        REPLY("400 Bad Request", "", "45", "400 Bad Request: the form is wrongly encoded\n"));
}

/* Nested as deeply as the parser of JSON allows: it must fit on a task's stack. */
COIR_TEST(deep_json_is_survived)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_post(app, "/", take_json);
    for (size_t depth = 1; depth <= 200000; depth = depth < 2000 ? depth + 1999 : depth * 10) {
        COIR_AUTO(coir_buffer) input = {0};
        COIR_AUTO(coir_buffer) text = {0};
        char head[128];
        (void)snprintf(head, sizeof head, POST("Content-Length: %zu\r\n", ""), 2 * depth);
        COIR_REQUIRE_OK(coir_buffer_append(&input, head, strlen(head)));
        for (size_t i = 0; i < 2 * depth; i++)
            COIR_REQUIRE_OK(coir_buffer_append(&input, i < depth ? "[" : "]", 1));
        COIR_EXPECT_OK(visit_bytes(app, input.data, input.length, &text));
        COIR_EXPECT_CONTAINS(coir_buffer_text(&text),
                             depth == 1 ? "HTTP/1.1 201 Created\r\n" : "HTTP/1.1 ");
    }
}

/* ---- what is replied ---- */

static int set_headers(coir_http_request *request)
{
    COIR_EXPECT_OK(coir_http_reply_header(request, "X-A", "1"));
    COIR_EXPECT_OK(coir_http_reply_header(request, "x-a", "2"));
    COIR_EXPECT_OK(coir_http_reply_header_add(request, "X-B", "1"));
    COIR_EXPECT_OK(coir_http_reply_header_add(request, "X-B", "2"));
    COIR_EXPECT_OK(coir_http_reply_cookie(request, "c", "v", NULL));
    COIR_EXPECT_OK(coir_http_reply_cookie(
        request, "d", "",
        &(coir_http_cookie_opts){
            .path = "/p", .domain = "a.b", .age = -1, .same_site = "Strict", .scripts = true}));
    COIR_EXPECT_OK(coir_http_reply(request, 200, "text/css", "x", 1));
    COIR_EXPECT_CODE(coir_http_reply_header(request, "X-C", "1"), -EALREADY);
    COIR_EXPECT_CODE(coir_http_reply(request, 200, NULL, "y", 1), -EALREADY);
    COIR_EXPECT_CODE(coir_http_reply_begin(request, 200, NULL), -EALREADY);
    COIR_EXPECT_CODE(coir_http_reply_write(request, "y", 1), -EINVAL);
    return 0;
}

COIR_TEST(headers_and_cookies)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", set_headers);
    EXPECT_VISIT(app, GET("/"),
                 "HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nx-a: 2\r\nX-B: 1\r\nX-B: 2\r\n"
                 "Set-Cookie: c=v; Path=/; SameSite=Lax; HttpOnly\r\n"
                 "Set-Cookie: d=; Path=/p; Domain=a.b; Max-Age=0; SameSite=Strict\r\n"
                 "Content-Length: 1\r\n\r\nx");
}

/* Nothing that a handler sets can begin another line, or speak of framing. */
static int set_wrong(coir_http_request *request)
{
    static const char *const values[] = {"a\r\nb", "a\nb", "a\rb", "\n", "a\x01", "\x7f"};
    coir_stream *stream;
    for (size_t i = 0; i < COIR_COUNT(values); i++) {
        coir_http_cookie_opts path = {.path = values[i]}, domain = {.domain = values[i]},
                              site = {.same_site = values[i]};
        COIR_EXPECT_CODE(coir_http_reply_header(request, "X", values[i]), -EINVAL);
        COIR_EXPECT_CODE(coir_http_reply_header(request, values[i], "x"), -EINVAL);
        COIR_EXPECT_CODE(coir_http_reply_header_add(request, "X", values[i]), -EINVAL);
        COIR_EXPECT_CODE(coir_http_reply_header_add(request, values[i], "x"), -EINVAL);
        COIR_EXPECT_CODE(coir_http_reply_cookie(request, "c", values[i], NULL), -EINVAL);
        COIR_EXPECT_CODE(coir_http_reply_cookie(request, values[i], "v", NULL), -EINVAL);
        COIR_EXPECT_CODE(coir_http_reply_cookie(request, "c", "v", &path), -EINVAL);
        COIR_EXPECT_CODE(coir_http_reply_cookie(request, "c", "v", &domain), -EINVAL);
        COIR_EXPECT_CODE(coir_http_reply_cookie(request, "c", "v", &site), -EINVAL);
        COIR_EXPECT_CODE(coir_http_redirect(request, 302, values[i]), -EINVAL);
        COIR_EXPECT_CODE(coir_http_reply(request, 200, values[i], "x", 1), -EINVAL);
        COIR_EXPECT_CODE(coir_http_reply_begin(request, 200, values[i]), -EINVAL);
    }
    COIR_EXPECT_CODE(coir_http_reply_event(request, "a\nb", NULL, "x"), -EINVAL);
    COIR_EXPECT_CODE(coir_http_reply_event(request, NULL, "a\rb", "x"), -EINVAL);
    COIR_EXPECT_CODE(coir_http_reply_header(request, "content-length", "1"), -EINVAL);
    COIR_EXPECT_CODE(coir_http_reply_header_add(request, "Transfer-Encoding", "x"), -EINVAL);
    COIR_EXPECT_CODE(coir_http_reply_header(request, "Connection", "close"), -EINVAL);
    COIR_EXPECT_CODE(coir_http_reply_upgrade(request, "websocket", &stream), -EPROTO);
    static const int statuses[] = {-1, 0, 99, 100, 101, 103, 199, 600, 1000};
    for (size_t i = 0; i < COIR_COUNT(statuses); i++)
        COIR_EXPECT_CODE(coir_http_reply(request, statuses[i], NULL, "", 0), -EINVAL);
    COIR_EXPECT_CODE(coir_http_redirect(request, 200, "/"), -EINVAL);
    COIR_EXPECT_CODE(coir_http_reply_json(request, 200, NULL), -ENOMEM);
    return coir_http_reply(request, 204, NULL, NULL, 0);
}

COIR_TEST(nothing_of_a_handler_begins_another_line)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", set_wrong);
    EXPECT_VISIT(
        app, GET("/") GET("/nowhere"),
        "HTTP/1.1 204 No Content\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" REPLY(
            "404 Not Found", "", "14", "404 Not Found\n"));
}

static int send_elsewhere(coir_http_request *request)
{
    return coir_http_redirect(request, 303, "/there");
}

static int send_pieces(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_begin(request, 200, "a/b"));
    COIR_TRY(coir_http_reply_write(request, "one", 3));
    COIR_TRY(coir_http_reply_write(request, "", 0));
    return coir_http_reply_write(request, "twenty bytes of text", 20);
}

static int send_events(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_event(request, NULL, NULL, "a"));
    return coir_http_reply_event(request, "e", "7", "b\nc\r\nd\re");
}

COIR_TEST(replies_bit_by_bit)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", send_pieces);
    coir_http_app_get(app, "/e", send_events);
    coir_http_app_get(app, "/r", send_elsewhere);
    EXPECT_VISIT(app, GET("/") GET("/r"),
                 "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "3\r\none\r\n14\r\ntwenty bytes of text\r\n0\r\n\r\n" REPLY(
                     "303 See Other", "Location: /there\r\n", "14", "303 See Other\n"));
    EXPECT_VISIT(app, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" GET("/r"),
                 "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nConnection: close\r\n\r\n"
                 "onetwenty bytes of text");
    EXPECT_VISIT(app, "HEAD / HTTP/1.1\r\n" HOST "\r\n" GET("/r"),
                 "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n" REPLY(
                     "303 See Other", "Location: /there\r\n", "14", "303 See Other\n"));
    EXPECT_VISIT(app, GET("/e"),
                 "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                 "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n"
                 "9\r\ndata: a\n\n\r\n"
                 "30\r\nevent: e\nid: 7\ndata: b\ndata: c\ndata: d\ndata: e\n\n\r\n0\r\n\r\n");
}

static int speak_otherwise(coir_http_request *request)
{
    coir_stream *stream;
    char data[4];
    COIR_TRY(coir_http_reply_header(request, "X", "y"));
    COIR_TRY(coir_http_reply_upgrade(request, "chat", &stream));
    COIR_TRY(coir_stream_read_exactly(stream, data, sizeof data));
    return coir_stream_write(stream, data, sizeof data);
}

COIR_TEST(another_protocol_takes_over)
{
    for (int watched = 0; watched < 2; watched++) {
        COIR_AUTO(coir_http_app) *app = NULL;
        COIR_REQUIRE_OK(open_app((coir_http_app_opts){.cancel_on_disconnect = watched}, &app));
        coir_http_app_get(app, "/", speak_otherwise);
        EXPECT_VISIT(app,
                     "GET / HTTP/1.1\r\n" HOST
                     "Connection: x, Upgrade\r\nUpgrade: chat\r\n\r\nabcd" GET("/"),
                     "HTTP/1.1 101 Switching Protocols\r\nX: y\r\nUpgrade: chat\r\n"
                     "Connection: Upgrade\r\n\r\nabcd");
        EXPECT_VISIT(app, GET("/"),
                     "HTTP/1.1 426 Upgrade Required\r\n"
                     "Content-Type: text/plain; charset=utf-8\r\nX: y\r\nUpgrade: chat\r\n"
                     "Content-Length: 56\r\nConnection: Upgrade\r\n\r\n"
                     "426 Upgrade Required: the client has not asked for chat\n");
    }
}

/* ---- failures ---- */

static int fail_first(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_header(request, "Content-Type", "application/json"));
    COIR_TRY(coir_http_reply_header(request, "Content-Encoding", "gzip"));
    return coir_fail(-EIO, "the secret disk of 10.0.0.7 is full");
}

static int fail_elsewhere(coir_http_request *request)
{
    static const int codes[] = {-ETIMEDOUT, -COIR_EHTTP, -COIR_EURL, -ECANCELED, -ETIME};
    const char *n = coir_http_request_param(request, "n");
    return coir_fail(codes[n[0] - '0'], "connect 10.0.0.7: no");
}

static int fail_midway(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_begin(request, 200, NULL));
    COIR_TRY(coir_http_reply_write(request, "part", 4));
    return -EIO;
}

static int say_nothing(coir_http_request *request)
{
    (void)request;
    return 0;
}

#define INTERNAL REPLY("500 Internal Server Error", "", "26", "500 Internal Server Error\n")

COIR_TEST(failures_are_told_to_the_hook_and_to_nobody_else)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/first", fail_first);
    coir_http_app_get(app, "/else/{n}", fail_elsewhere);
    coir_http_app_get(app, "/nothing", say_nothing);
    coir_test_expect_reports(COIR_REPORT_UNREAD, 7);
    EXPECT_VISIT(app, GET("/first") GET("/nothing"), INTERNAL INTERNAL);
    size_t count;
    const coir_test_report *reports = coir_test_reports(&count);
    COIR_REQUIRE_EQ(count, 2);
    COIR_EXPECT_CONTAINS(reports[0].text, "http GET /first");
    COIR_EXPECT_CONTAINS(reports[0].text, "the secret disk");
    COIR_EXPECT_CONTAINS(reports[1].text, "the handler has not replied");
    for (char n = '0'; n < '5'; n++) {
        char request[64];
        (void)snprintf(request, sizeof request, GET("/else/%c"), n);
        EXPECT_VISIT(app, request, INTERNAL);
    }
    coir_http_app_stats stats;
    coir_http_app_stats_get(app, &stats);
    COIR_EXPECT_EQ(stats.failed, 7);
    COIR_EXPECT_EQ(stats.requests, 7);
    COIR_EXPECT_EQ(stats.connections, 0);
    COIR_EXPECT_EQ(stats.idle, 0);
}

COIR_TEST(a_reply_that_fails_midway_is_cut)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_buffer) text = {0};
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", fail_midway);
    coir_test_expect_reports(COIR_REPORT_UNREAD, 1);
    COIR_EXPECT_CODE(visit(app, GET("/") GET("/"), &text), -ECONNRESET);
    COIR_EXPECT_STR(coir_buffer_text(&text),
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
}

/* ---- contexts, services, the log ---- */

static char life[128];

static void note(const char *what)
{
    size_t length = strlen(life);
    (void)snprintf(life + length, sizeof life - length, "%s ", what);
}

static int start_named(void *arg)
{
    note(arg);
    return strcmp(arg, "bad") == 0 ? -ENOSYS : 0;
}

static void stop_named(void *arg)
{
    char text[16];
    (void)snprintf(text, sizeof text, "/%s%s", (const char *)arg,
                   coir_sleep(COIR_MS(1)) == 0 ? "" : "!"); /* behind a shield */
    note(text);
}

static int run_service(void *arg)
{
    note(arg);
    int r = coir_sleep(COIR_SEC(1000));
    note(r == -ECANCELED ? "/service" : "?");
    return r;
}

struct host {
    coir_http_app *app;
    coir_listener *listener;
    int result;
};

static int host_it(void *arg)
{
    struct host *host = arg;
    host->result = coir_http_app_serve_listener(host->app, host->listener);
    return host->result;
}

COIR_TEST(contexts_and_services_live_around_it)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_listener) *listener = NULL;
    struct host host = {.result = 1};
    coir_task *task;
    life[0] = '\0';
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_context(app, start_named, stop_named, "a");
    coir_http_app_context(app, NULL, stop_named, "b");
    coir_http_app_context(app, start_named, NULL, "c");
    coir_http_app_service(app, run_service, "service");
    COIR_REQUIRE_OK(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    host.app = app;
    host.listener = listener;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, host_it, &host, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_STR(life, "a c service ");
    coir_cancel(task, NULL);
    int result;
    COIR_EXPECT_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(host.result, 0);
    COIR_EXPECT_STR(life, "a c service /service /b /a ");
}

COIR_TEST(a_start_that_fails_is_unwound)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    life[0] = '\0';
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_context(app, start_named, stop_named, "a");
    coir_http_app_context(app, start_named, stop_named, "b");
    coir_http_app_context(app, start_named, stop_named, "bad");
    coir_http_app_context(app, start_named, stop_named, "c");
    COIR_EXPECT_CODE(coir_http_app_serve(app, "127.0.0.1:0"), -ENOSYS);
    COIR_EXPECT_STR(life, "a b bad /b /a ");
}

COIR_TEST(an_application_that_cannot_be_mounted_is_closed_all_the_same)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    coir_http_app *child = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &child));
    coir_http_app_mount(app, "/{x}", child);
    coir_http_app_mount(child, "/again", app);
    COIR_EXPECT_CODE(coir_http_app_serve(app, "127.0.0.1:0"), -EINVAL);
    COIR_EXPECT_STR(coir_last_message(-EINVAL), "mount '/{x}': a prefix has no parameters");
}
