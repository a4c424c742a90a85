/* http_testing.c: tests of the kit for applications, in memory and at a port. */
#include <coir/coir.h>
#include <coir/http_testing.h>
#include <coir/testing.h>
#include <coir/tls.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tls_kit.h"

/* What the contexts and services of an application have done. */
struct life {
    int started, stopped, served;
    int fails; /* the start does, with this */
};

static int start(void *arg)
{
    struct life *life = arg;
    COIR_TRY(coir_sleep(COIR_SEC(5)));
    life->started++;
    return life->fails;
}

static void stop(void *arg)
{
    ((struct life *)arg)->stopped++;
}

static int service(void *arg)
{
    ((struct life *)arg)->served++;
    return coir_sleep(COIR_FOREVER);
}

static int home(coir_http_request *request)
{
    struct life *life = coir_http_request_state(request);
    return coir_http_reply_text(request, 200, "started %d\n", life->started);
}

static int slow(coir_http_request *request)
{
    COIR_TRY(coir_sleep(COIR_SEC(50)));
    return coir_http_reply_text(request, 200, "at last\n");
}

static int echo(coir_http_request *request)
{
    coir_bytes body;
    COIR_TRY(coir_http_request_body(request, &body));
    return coir_http_reply(request, 201, "text/plain", body.data, body.length);
}

static int open_app(struct life *life, coir_tls_context *tls, coir_http_app **ret_app)
{
    const coir_http_app_opts opts = {.state = life, .tls = tls, .grace = COIR_SEC(1)};
    COIR_TRY(coir_http_app_open(&opts, ret_app));
    coir_http_app_get(*ret_app, "/", home);
    coir_http_app_get(*ret_app, "/slow", slow);
    coir_http_app_post(*ret_app, "/echo", echo);
    coir_http_app_context(*ret_app, start, stop, life);
    coir_http_app_service(*ret_app, service, life);
    return 0;
}

/* The whole life of an application, wherever it is served. */
static void try_all(const coir_http_test_opts *opts)
{
    struct life life = {0};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_test) *test = NULL;
    COIR_REQUIRE_OK(open_app(&life, NULL, &app));
    COIR_REQUIRE_OK(coir_http_test_open(app, opts, &test));
    coir_http_session *http = coir_http_test_session(test);
    COIR_EXPECT_HTTP(http, "GET", "/", NULL, 200, "started 1\n");
    const coir_http_request_opts body = {.body = {"tea", 3}};
    COIR_EXPECT_HTTP(http, "POST", "/echo", &body, 201, "tea");
    COIR_EXPECT_HTTP(http, "GET", "/nowhere", NULL, 404, NULL);
    COIR_EXPECT_EQ(life.served, 1);
    coir_http_session_stats stats;
    coir_http_session_stats_get(http, &stats);
    COIR_EXPECT_EQ(stats.connections, 1);
    COIR_EXPECT_EQ(life.stopped, 0);
    coir_http_test_close(COIR_TAKE(test));
    COIR_EXPECT_EQ(life.stopped, 1);
}

COIR_TEST(an_application_in_memory)
{
    try_all(NULL);
}

COIR_TEST(an_application_at_a_port)
{
    try_all(&(coir_http_test_opts){.port = true});
}

/* On every backend, and to the nanosecond. */
COIR_TEST(time_is_virtual_in_memory)
{
    struct life life = {0};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_test) *test = NULL;
    COIR_REQUIRE_OK(open_app(&life, NULL, &app));
    COIR_REQUIRE_OK(coir_http_test_open(app, NULL, &test));
    coir_time began = coir_now();
    COIR_EXPECT_HTTP(coir_http_test_session(test), "GET", "/slow", NULL, 200, "at last\n");
    COIR_EXPECT_EQ(coir_now() - began, COIR_SEC(50));
}

COIR_TEST(bytes_that_no_client_sends)
{
    struct life life = {0};
    coir_bytes line;
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_test) *test = NULL;
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_REQUIRE_OK(open_app(&life, NULL, &app));
    COIR_REQUIRE_OK(coir_http_test_open(app, NULL, &test));
    COIR_EXPECT_STR(coir_http_test_url(test), "http://localhost/");
    COIR_REQUIRE_OK(coir_http_test_connect(test, &stream));
    COIR_REQUIRE_OK(coir_stream_write(stream, "NONSENSE\r\n\r\n", 12));
    COIR_REQUIRE_EQ(coir_stream_read_line(stream, 0, &line), 1);
    COIR_REQUIRE_EQ(line.length, 24);
    COIR_EXPECT_BYTES(line.data, "HTTP/1.1 400 Bad Request", 24);
}

COIR_TEST(a_start_that_fails_is_told)
{
    struct life life = {.fails = -EACCES};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_test) *test = NULL;
    COIR_REQUIRE_OK(open_app(&life, NULL, &app));
    COIR_EXPECT_CODE(coir_http_test_open(app, NULL, &test), -EACCES);
    COIR_EXPECT_EQ(life.stopped, 0);
    coir_http_app_get(app, "no slash", home);
    int r = coir_http_test_open(app, NULL, &test);
    COIR_EXPECT_CODE(r, -EINVAL);
    COIR_EXPECT_CONTAINS(coir_last_message(r), "no slash");
    COIR_EXPECT_CODE(coir_http_test_open(NULL, NULL, &test), -EINVAL);
}

COIR_TEST(an_expectation_that_does_not_hold)
{
    struct life life = {0};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_test) *test = NULL;
    COIR_AUTO(coir_buffer) body = {0};
    int status;
    COIR_REQUIRE_OK(open_app(&life, NULL, &app));
    COIR_REQUIRE_OK(coir_http_test_open(app, NULL, &test));
    coir_http_session *http = coir_http_test_session(test);
    COIR_EXPECT_OK(coir_http_test_ask(http, "GET", "/nowhere", NULL, &status, &body));
    COIR_EXPECT_EQ(status, 404);
    COIR_EXPECT_CONTAINS(coir_buffer_text(&body), "404");
    int r = coir_http_test_expect(http, "GET", "/", NULL, 200, "started 2\n");
    COIR_EXPECT_CODE(r, -EBADMSG);
    COIR_EXPECT_CONTAINS(coir_last_message(r), "'started 1\n', not by 'started 2\n'");
    r = coir_http_test_expect(http, "GET", "/", NULL, 404, NULL);
    COIR_EXPECT_CODE(r, -EBADMSG);
    COIR_EXPECT_CONTAINS(coir_last_message(r), "GET / is answered by 200, not by 404");
    COIR_EXPECT_CODE(coir_http_test_ask(http, "GET /", "/", NULL, &status, &body), -EINVAL);
}

COIR_TEST(an_application_by_tls_in_memory)
{
    struct life life = {0};
    COIR_AUTO(coir_tls_context) *shows = NULL;
    COIR_AUTO(coir_tls_context) *trusts = NULL;
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_test) *test = NULL;
    COIR_REQUIRE_OK(server_with("good", (coir_tls_opts){.alpn = "http/1.1"}, &shows));
    COIR_REQUIRE_OK(client_with((coir_tls_opts){.alpn = "http/1.1"}, &trusts));
    COIR_REQUIRE_OK(open_app(&life, shows, &app));
    const coir_http_test_opts opts = {.session.tls = trusts};
    COIR_REQUIRE_OK(coir_http_test_open(app, &opts, &test));
    COIR_EXPECT_STR(coir_http_test_url(test), "https://localhost/");
    COIR_EXPECT_HTTP(coir_http_test_session(test), "GET", "/", NULL, 200, "started 1\n");
    coir_http_test_close(COIR_TAKE(test));
    COIR_REQUIRE_OK(coir_http_test_open(app, NULL, &test)); /* who trusts the system's list */
    coir_http_response *response;
    COIR_EXPECT_CODE(coir_http_get(coir_http_test_session(test), "/", NULL, &response),
                     -COIR_ECERTIFICATE);
}
