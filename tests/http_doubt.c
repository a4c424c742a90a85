/* http_doubt.c: tests of a client's connections and calls when something about them is doubtful:
 * bytes that nobody asked for, a session that is closed meanwhile, an answer before the question is
 * out, and of what failures tell.
 */
#include <coir/coir.h>
#include <coir/http_call.h>
#include <coir/http_session.h>
#include <coir/stream_pair.h>
#include <coir/tcp.h>
#include <coir/testing.h>

#include <stdio.h>
#include <string.h>

#include "megabytes.h"

#define OK(length, body) "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n\r\n" body

struct server {
    coir_listener *listener;
    const char *const *replies;
    size_t next;
    int connections;
    coir_buffer asked;
};

static int answer(coir_stream *stream, void *arg)
{
    struct server *server = arg;
    coir_bytes head;
    server->connections++;
    while (COIR_TRY(coir_stream_read_until(stream, "\r\n\r\n", 4, 0, &head)) > 0) {
        COIR_TRY(coir_buffer_append(&server->asked, head.data, head.length));
        const char *reply = server->replies[server->next];
        if (reply == NULL)
            return 0;
        server->next++;
        COIR_TRY(coir_stream_write(stream, reply, strlen(reply)));
    }
    return 0;
}

static int serve(void *arg)
{
    struct server *server = arg;
    return coir_listener_serve(server->listener, answer, server);
}

static int dial(const char *address, void *arg, coir_stream **ret_stream)
{
    const struct server *server = arg;
    (void)address;
    return coir_memory_connect(server->listener, ret_stream);
}

static void end(struct server *server)
{
    coir_listener_close(server->listener);
    coir_buffer_close(&server->asked);
}

#define SERVER(...)                                                                                \
    static const char *const replies[] = {__VA_ARGS__, NULL};                                      \
    __attribute__((cleanup(end))) struct server server = {.replies = replies};                     \
    COIR_GROUP(group);                                                                             \
    COIR_AUTO(coir_http_session) *http = NULL;                                                     \
    COIR_REQUIRE_OK(coir_memory_listen(&server.listener));                                         \
    COIR_REQUIRE_OK(coir_spawn(&group, serve, &server, NULL))

#define OPEN(...)                                                                                  \
    COIR_REQUIRE_OK(coir_http_session_open(                                                        \
        &(coir_http_session_opts){                                                                 \
            .base = "http://server/", .dial = dial, .dial_arg = &server, __VA_ARGS__},             \
        &http))

/* ---- bytes that nobody asked for ---- */

struct asking {
    coir_http_session *http;
    char got[40];
};

static int ask_one(void *arg)
{
    struct asking *asking = arg;
    COIR_AUTO(coir_http_response) *response = NULL;
    coir_bytes body;
    COIR_TRY(coir_http_get(asking->http, "/", NULL, &response));
    COIR_TRY(coir_sleep(COIR_MS(100)));
    COIR_TRY(coir_http_response_read(response, &body));
    (void)snprintf(asking->got, sizeof asking->got, "%s", (const char *)body.data);
    return 0;
}

COIR_TEST(who_waits_gets_no_connection_with_leftovers)
{
    SERVER(OK("1", "a") OK("4", "evil"), OK("1", "b"));
    OPEN(.limit = 1);
    struct asking one = {.http = http}, two = {.http = http};
    COIR_GROUP(askers);
    COIR_REQUIRE_OK(coir_spawn(&askers, ask_one, &one, NULL));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(10)));
    COIR_REQUIRE_OK(coir_spawn(&askers, ask_one, &two, NULL));
    COIR_EXPECT_OK(coir_group_wait(&askers));
    COIR_EXPECT_STR(one.got, "a");
    COIR_EXPECT_STR(two.got, "b");
}

/* ---- a session that is closed ---- */

struct sending {
    coir_http_session *http;
    coir_stream *body;
    int result;
};

static int send_slowly(void *arg)
{
    struct sending *sending = arg;
    coir_http_response *response = NULL;
    const coir_http_request_opts opts = {.stream = sending->body};
    sending->result = coir_http_post(sending->http, "/", &opts, &response);
    coir_http_response_close(response);
    return 0;
}

COIR_TEST(a_session_that_closes_under_a_body)
{
    SERVER(OK("1", "a"));
    OPEN();
    struct sending sending = {.http = http};
    COIR_AUTO(coir_stream) *writer = NULL;
    COIR_AUTO(coir_stream) *reader = NULL;
    COIR_REQUIRE_OK(coir_stream_pair(0, &writer, &reader));
    sending.body = reader;
    COIR_GROUP(senders);
    COIR_REQUIRE_OK(coir_spawn(&senders, send_slowly, &sending, NULL));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(10)));
    COIR_REQUIRE_OK(coir_stream_write(writer, "tea", 3));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(10)));
    coir_http_session_close(COIR_TAKE(http));
    COIR_REQUIRE_OK(coir_stream_write(writer, "tea", 3));
    COIR_EXPECT_OK(coir_group_wait(&senders));
    COIR_EXPECT_CODE(sending.result, -COIR_ECLOSED);
}

/* ---- bodies ---- */

COIR_TEST(a_body_has_no_limit)
{
    static char reply[40000];
    int n = snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n");
    memset(reply + n, 'a', 30000);
    SERVER(reply);
    OPEN(.body_limit = SIZE_MAX);
    COIR_AUTO(coir_http_response) *response = NULL;
    coir_bytes body;
    COIR_REQUIRE_OK(coir_http_get(http, "/", NULL, &response));
    COIR_REQUIRE_OK(coir_http_response_read(response, &body));
    COIR_EXPECT_EQ(body.length, 30000);
}

/* ---- what failures tell ---- */

COIR_TEST(failures_tell_no_password)
{
    static const char *const rows[][2] = {
        {"http://ada:lovelace@server:0/", "http://ada:***@server:0/"},
        {"http://ada:love/lace@server/", "http://ada:***@server/"},
        {"http://ada:love@lace@server/", "http://ada:***@server/"},
        {"http://ada:lovelace@server:99999/a:b@c", "http://ada:***@server:99999/a:b@c"},
        {"http://server:99999/a:b@c", "http://server:99999/a:b@c"},
        {"http://server/ a:b@c", "http://server/ a:b@c"},
    };
    SERVER("nonsense\r\n\r\n", "nonsense\r\n\r\n");
    OPEN();
    coir_http_response *response = NULL;
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        char expected[300];
        (void)snprintf(expected, sizeof expected, "GET %s: '%s' is not a URL", rows[i][1],
                       rows[i][1]);
        COIR_EXPECT_CODE(coir_http_get(http, rows[i][0], NULL, &response), -COIR_EURL);
        COIR_EXPECT_CONTAINS(coir_last_message(-COIR_EURL), expected);
    }
    COIR_EXPECT_CODE(coir_http_get(http, "http://ada:lovelace@server/", NULL, &response),
                     -COIR_EHTTP);
    COIR_EXPECT_CONTAINS(coir_last_message(-COIR_EHTTP), "GET http://ada:***@server/: ");
    COIR_EXPECT_CODE(coir_http_get(http, "http://server:80/a@b", NULL, &response), -COIR_EHTTP);
    COIR_EXPECT_CONTAINS(coir_last_message(-COIR_EHTTP), "GET http://server:80/a@b: ");
}

/* ---- servers that are silent ---- */

static int take_nothing(coir_stream *stream, void *arg)
{
    (void)stream;
    return coir_event_wait(arg);
}

struct deaf {
    coir_listener *listener;
    coir_event over;
};

static int serve_deaf(void *arg)
{
    struct deaf *deaf = arg;
    return coir_listener_serve(deaf->listener, take_nothing, &deaf->over);
}

static int dial_deaf(const char *address, void *arg, coir_stream **ret_stream)
{
    const struct deaf *deaf = arg;
    (void)address;
    return coir_memory_connect(deaf->listener, ret_stream);
}

COIR_TEST(a_server_that_takes_no_body_is_silent)
{
    enum { BIG = 8 << 20 };
    struct deaf deaf = {0};
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_http_session) *http = NULL;
    COIR_AUTO(coir_http_response) *response = NULL;
    COIR_REQUIRE_OK(coir_memory_listen(&listener));
    deaf.listener = listener;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, serve_deaf, &deaf, NULL));
    const coir_http_session_opts opts = {.dial = dial_deaf, .dial_arg = &deaf};
    COIR_REQUIRE_OK(coir_http_session_open(&opts, &http));
    const coir_http_request_opts post = {.body = {megabytes(BIG), BIG}};
    coir_time start = coir_now();
    COIR_EXPECT_CODE(coir_http_post(http, "http://server/", &post, &response), -ETIMEDOUT);
    COIR_EXPECT_CONTAINS(coir_last_message(-ETIMEDOUT), "takes no more of the request");
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(60));
}

/* ---- an answer before the question is out ---- */

/* It reads no body, and lets the kernel reset the connection. */
static int refuse_early(void *arg)
{
    struct server *server = arg;
    static const char reply[] = "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig";
    coir_stream *stream;
    coir_bytes head;
    COIR_TRY(coir_listener_accept(server->listener, &stream));
    int r = coir_stream_read_until(stream, "\r\n\r\n", 4, 0, &head);
    if (r > 0)
        r = coir_stream_write(stream, reply, sizeof reply - 1);
    coir_stream_abort(stream);
    return r < 0 ? r : 0;
}

COIR_TEST_TAGGED(an_early_answer_is_read, "real,real_clock,no_torture")
{
    enum { BIG = 8 << 20 };
    __attribute__((cleanup(end))) struct server server = {0};
    char address[COIR_ADDRESS_TEXT], url[COIR_ADDRESS_TEXT + 16];
    COIR_GROUP(group);
    COIR_AUTO(coir_http_session) *http = NULL;
    COIR_AUTO(coir_http_response) *response = NULL;
    COIR_REQUIRE_OK(coir_tcp_listen("127.0.0.1:0", NULL, &server.listener));
    COIR_REQUIRE_OK(coir_listener_address(server.listener, address, sizeof address));
    COIR_REQUIRE_OK(coir_spawn(&group, refuse_early, &server, NULL));
    COIR_REQUIRE_OK(coir_http_session_open(NULL, &http));
    (void)snprintf(url, sizeof url, "http://%s/", address);
    const coir_http_request_opts opts = {.body = {megabytes(BIG), BIG}};
    COIR_REQUIRE_OK(coir_http_post(http, url, &opts, &response));
    COIR_EXPECT_EQ(coir_http_response_status(response), 413);
    coir_bytes body;
    COIR_EXPECT_OK(coir_http_response_read(response, &body));
    COIR_EXPECT_STR(body.data, "big");
}
