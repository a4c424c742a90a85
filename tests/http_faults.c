/* http_faults.c: tests of what a server does when handlers fail, for reasons of theirs or of their
 * clients: who is told what, what becomes of the replies before, and what is not sent after.
 */
#include <coir/coir.h>

#include "http_kit.h"
#include "net_pair.h"

static int hello(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "hello\n");
}

/* What a handler meets elsewhere, in a database or another server, is not its client's. */
static int met_elsewhere;

static int fail_with(coir_http_request *request)
{
    (void)request;
    return met_elsewhere;
}

COIR_TEST(failures_met_elsewhere_are_the_servers)
{
    static const int codes[] = {-ECONNRESET, -EPIPE,     -COIR_EEOF,     -COIR_ETRUNCATED,
                                -ENOENT,     -EBADMSG,   -COIR_ETOOLONG, -COIR_EBROKENSTREAM,
                                -COIR_EHTTP, -COIR_EURL, -ETIMEDOUT};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", fail_with);
    coir_test_expect_reports(COIR_REPORT_UNREAD, COIR_COUNT(codes));
    for (size_t i = 0; i < COIR_COUNT(codes); i++) {
        met_elsewhere = codes[i];
        EXPECT_VISIT(app, GET("/"),
                     REPLY("500 Internal Server Error", "", "26", "500 Internal Server Error\n"));
    }
}

COIR_TEST(replies_before_a_failure_are_sent)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", hello);
    met_elsewhere = -EIO;
    coir_http_app_get(app, "/fails", fail_with);
    coir_test_expect_reports(COIR_REPORT_UNREAD, 1);
    EXPECT_VISIT(app, GET("/") GET("/fails") GET("/"),
                 OK("6", "hello\n") REPLY("500 Internal Server Error", "", "26",
                                          "500 Internal Server Error\n") OK("6", "hello\n"));
}

/* A write that ran into the handler's own deadline has lost something: nothing follows it. */
static int go_on_writing(coir_http_request *request)
{
    int r;
    COIR_TRY(coir_http_reply_begin(request, 200, "text/plain"));
    {
        COIR_DEADLINE(0);
        r = coir_http_reply_write(request, "lost", 4);
    }
    COIR_EXPECT_CODE(r, -ETIME);
    COIR_EXPECT_CODE(coir_http_reply_write(request, "HTTP/1.0 200 OK\r\n\r\nforged", 25),
                     -COIR_EBROKENSTREAM);
    return 0;
}

COIR_TEST(nothing_follows_a_piece_that_was_lost)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_buffer) text = {0};
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", go_on_writing);
    COIR_EXPECT_CODE(visit(app, "GET / HTTP/1.0\r\n\r\n", &text), -ECONNRESET);
    COIR_EXPECT_STR(coir_buffer_text(&text), "");
}

/* ---- bodies ---- */

static int read_in_steps(coir_http_request *request)
{
    char data[16];
    size_t n;
    int r;
    do { /* each look has a deadline of its own */
        COIR_SCOPE(scope, COIR_MS(10));
        r = coir_http_request_read(request, data, sizeof data, &n);
        coir_scope_leave(&scope);
    } while (r > 0 || r == -ETIME);
    return r < 0 ? r : coir_http_reply_text(request, 200, "done\n");
}

/* A wait that ends early in the midst of any line of a chunked body loses nothing of it. */
COIR_TEST_TAGGED(body_goes_on_after_a_deadline, "no_torture")
{
    static const char text[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "5\r\nhello\r\n0\r\nA: b\r\n\r\n";
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_post(app, "/", read_in_steps);
    struct serving serving = {.app = app};
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_AUTO(coir_buffer) answer = {0};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(begin_serving(&group, &serving, &client));
    for (size_t i = 0; i < sizeof text - 1; i++) {
        COIR_REQUIRE_OK(coir_stream_write(client, text + i, 1));
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(25)));
    }
    COIR_REQUIRE_OK(coir_stream_shutdown(client));
    COIR_EXPECT_OK(read_rest(client, &answer));
    COIR_EXPECT_STR(coir_buffer_text(&answer), OK("5", "done\n"));
    COIR_EXPECT_OK(coir_group_wait(&group));
}

static int work_between_reads(coir_http_request *request)
{
    char data[4];
    size_t n, sum = 0;
    int r;
    while ((r = coir_http_request_read(request, data, sizeof data, &n)) > 0) {
        sum += n;
        COIR_TRY(coir_sleep(COIR_SEC(20)));
    }
    return r < 0 ? r : coir_http_reply_text(request, 200, "%zu\n", sum);
}

COIR_TEST(slow_handler_is_no_slow_client)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_post(app, "/", work_between_reads);
    EXPECT_VISIT(app, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nhello, world",
                 OK("3", "12\n"));
}

static int read_whole(coir_http_request *request)
{
    coir_bytes body;
    COIR_TRY(coir_http_request_body(request, &body));
    return coir_http_reply_text(request, 200, "%zu\n", body.length);
}

/* Extensions are bounded together, and chunks of single bytes are not mistaken for that. */
COIR_TEST(chunks_that_say_more_than_they_hold)
{
    for (int extended = 0; extended < 2; extended++) {
        COIR_AUTO(coir_http_app) *app = NULL;
        COIR_AUTO(coir_buffer) text = {0};
        COIR_AUTO(coir_buffer) answer = {0};
        COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
        coir_http_app_post(app, "/", read_whole);
        static const char head[] =
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        COIR_REQUIRE_OK(coir_buffer_append(&text, head, sizeof head - 1));
        char chunk[600];
        int length = snprintf(chunk, sizeof chunk, "1%s%0*d\r\nx\r\n", extended ? ";e=" : "",
                              extended ? 500 : 0, 0);
        if (!extended)
            length = snprintf(chunk, sizeof chunk, "1\r\nx\r\n");
        for (int i = 0; i < 5000; i++)
            COIR_REQUIRE_OK(coir_buffer_append(&text, chunk, (size_t)length));
        COIR_REQUIRE_OK(coir_buffer_append(&text, "0\r\n\r\n", 5));
        int r = visit_bytes(app, text.data, text.length, &answer);
        COIR_EXPECT(r == 0 || r == -ECONNRESET);
        if (!extended)
            COIR_EXPECT_STR(coir_buffer_text(&answer), OK("5", "5000\n"));
        else if (answer.length > 0)
            COIR_EXPECT_CONTAINS(coir_buffer_text(&answer), "400 Bad Request");
    }
}

/* ---- the end ---- */

struct witness {
    coir_time served, ended; /* when the last request, and the service, came to their ends */
};

static int serve_others(void *arg)
{
    struct witness *witness = arg;
    int r = coir_sleep(COIR_FOREVER);
    witness->ended = coir_now();
    return r;
}

static int take_a_second(coir_http_request *request)
{
    struct witness *witness = coir_http_request_state(request);
    COIR_TRY(coir_sleep(COIR_SEC(1)));
    witness->served = coir_now();
    return coir_http_reply_text(request, 200, "done\n");
}

static int serve_at(void *arg)
{
    void **both = arg;
    return coir_http_app_serve_listener(both[0], both[1]);
}

COIR_TEST(services_outlive_the_last_request)
{
    PATIENCE;
    struct witness witness = {0};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_AUTO(coir_buffer) answer = {0};
    char address[COIR_ADDRESS_TEXT];
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.state = &witness}, &app));
    coir_http_app_get(app, "/", take_a_second);
    coir_http_app_service(app, serve_others, &witness);
    COIR_REQUIRE_OK(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_REQUIRE_OK(coir_listener_address(listener, address, sizeof address));
    void *both[] = {app, listener};
    coir_task *server;
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, serve_at, both, &server));
    COIR_REQUIRE_OK(coir_tcp_connect(address, NULL, &client));
    COIR_REQUIRE_OK(coir_stream_write(client, GET("/"), strlen(GET("/"))));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(300)));
    coir_cancel(server, "the end");
    COIR_EXPECT_OK(read_rest(client, &answer));
    COIR_EXPECT_CONTAINS(coir_buffer_text(&answer), "done\n");
    int result;
    COIR_EXPECT_OK(coir_join(server, &result));
    COIR_EXPECT_EQ(result, 0);
    COIR_EXPECT_GT(witness.served, 0);
    COIR_EXPECT_GE(witness.ended, witness.served);
}

static int start(void *arg)
{
    (void)arg;
    return 0;
}

COIR_TEST(contexts_of_mounted_applications_are_a_mistake)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    coir_http_app *inner = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &inner));
    coir_http_app_context(inner, start, NULL, NULL);
    coir_http_app_mount(app, "/inner", inner);
    COIR_EXPECT_CODE(coir_http_app_serve(app, "127.0.0.1:0"), -EINVAL);
    COIR_EXPECT_STR(coir_last_message(-EINVAL),
                    "contexts and services belong to the outermost application");
}
