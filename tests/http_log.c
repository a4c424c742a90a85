/* http_log.c: tests of the access log: the line of each request, and of what is none. */
#include "http_town.h"

static int hello(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "hello\n");
}

static char line[256]; /* the last one of either log */

static void keep_line(const char *text, void *arg)
{
    (void)snprintf(arg, sizeof line, "%s", text);
}

static int open_logged(coir_http_log format, coir_http_app **ret_app)
{
    return open_app((coir_http_app_opts){.log = keep_line, .log_arg = line, .log_format = format},
                    ret_app);
}

COIR_TEST(the_access_log_has_a_line_for_each_request)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_app) *other = NULL;
    COIR_REQUIRE_OK(open_logged(COIR_HTTP_LOG_COMMON, &app));
    COIR_REQUIRE_OK(open_logged(COIR_HTTP_LOG_JSON, &other));
    coir_http_app_get(app, "/", hello);
    coir_http_app_get(other, "/", hello);
    EXPECT_VISIT(app, GET("/?a=%22'"), OK("6", "hello\n"));
    COIR_EXPECT_CONTAINS(line, "- - - [");
    COIR_EXPECT_CONTAINS(line, "] \"GET /?a=%22' HTTP/1.1\" 200 6 0.000000");
    EXPECT_VISIT(other, GET("/?a='"), OK("6", "hello\n"));
    COIR_EXPECT_CONTAINS(line, "\"method\":\"GET\",\"target\":\"/?a='\",\"status\":200,");
}

COIR_TEST(the_access_log_has_a_line_for_what_is_no_request)
{
    static const struct {
        const char *input, *line;
    } cases[] = {
        {"GET /a b HTTP/1.1\r\n\r\n", "] \"GET /a b HTTP/1.1\" 400 "},
        {"GET / HTTP/1.1\r\n\r\n", "] \"GET / HTTP/1.1\" 400 "}, /* without a host */
        {"GET / HTTP/9.0\r\n\r\n", "] \"GET / HTTP/9.0\" 505 "},
        {"\r\nGET / HTTP/9.0\r\n\r\n", "] \"GET / HTTP/9.0\" 505 "},
        {"\"\x7f\r\n\r\n", "] \"\\x22\" 400 "},
        {"\x16\x03\x01 hello\r\n\r\n", "] \"-\" 400 "},
    };
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_app) *other = NULL;
    COIR_REQUIRE_OK(open_logged(COIR_HTTP_LOG_COMMON, &app));
    COIR_REQUIRE_OK(open_logged(COIR_HTTP_LOG_JSON, &other));
    for (size_t i = 0; i < COIR_COUNT(cases); i++) {
        COIR_AUTO(coir_buffer) text = {0};
        line[0] = '\0';
        COIR_EXPECT_OK(visit(app, cases[i].input, &text));
        COIR_EXPECT_CONTAINS(line, cases[i].line);
    }
    COIR_AUTO(coir_buffer) text = {0};
    COIR_EXPECT_OK(visit(other, "GET /a b HTTP/1.1\r\n\r\n", &text));
    COIR_EXPECT_CONTAINS(line, "\"method\":\"-\",\"target\":\"GET /a b HTTP/1.1\",\"status\":400,");
}
