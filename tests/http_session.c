/* http_session.c: tests of HTTP's client against servers that say exactly what a test wants, bytes
 * by bytes, also what no server should. Most are in memory, where time is virtual.
 */
#include <coir/http_call.h>
#include <coir/http_session.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <coir/limiter.h>
#include <coir/tcp.h>
#include <coir/testing.h>

#include "tls_kit.h"

/* A server with one reply for each request, in their order, whatever connection they come on. One
 * that begins with "!" is the last on its connection, which is closed behind it. */
struct server {
    const char *const *replies;
    size_t lengths[8]; /* of replies; 0: strings */
    size_t next;
    bool slowly;                /* byte by byte */
    bool port;                  /* at a port, not in memory */
    const struct server *other; /* another one in memory, whose host is "other" */
    coir_listener *listener;
    coir_buffer asked; /* all requests, one after the other */
    int connections;
    char url[COIR_ADDRESS_TEXT + 16];
};

static int read_request(struct server *server, coir_stream *stream)
{
    coir_bytes head;
    int r = coir_stream_read_until(stream, "\r\n\r\n", 4, 0, &head);
    if (r <= 0)
        return r;
    size_t before = server->asked.length;
    COIR_TRY(coir_buffer_append(&server->asked, head.data, head.length));
    const char *length = strstr(server->asked.data + before, "Content-Length: ");
    size_t size = length != NULL ? (size_t)strtoul(length + 16, NULL, 10) : 0;
    COIR_TRY(coir_buffer_reserve(&server->asked, size));
    if (size > 0)
        COIR_TRY(coir_stream_read_exactly(stream, server->asked.data + server->asked.length, size));
    server->asked.length += size;
    server->asked.data[server->asked.length] = '\0';
    return 1;
}

static int answer(coir_stream *stream, void *arg)
{
    struct server *server = arg;
    server->connections++;
    while (COIR_TRY(read_request(server, stream)) > 0) {
        const char *reply = server->replies[server->next];
        if (reply == NULL)
            return 0;
        size_t length = server->lengths[server->next++];
        length = length != 0 ? length : strlen(reply);
        bool last = *reply == '!';
        size_t piece = server->slowly ? 1 : length;
        for (size_t at = last; at < length; at += piece)
            COIR_TRY(
                coir_stream_write(stream, reply + at, piece < length - at ? piece : length - at));
        if (last)
            return 0;
    }
    return 0;
}

static int serve(void *arg)
{
    struct server *server = arg;
    return coir_listener_serve(server->listener, answer, server);
}

static int begin(coir_group *group, struct server *server)
{
    char address[COIR_ADDRESS_TEXT] = "server";
    if (server->port) {
        COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &server->listener));
        COIR_TRY(coir_listener_address(server->listener, address, sizeof address));
    } else {
        COIR_TRY(coir_memory_listen(&server->listener));
    }
    (void)snprintf(server->url, sizeof server->url, "http://%s/", address);
    return coir_spawn(group, serve, server, NULL);
}

static int dial(const char *address, void *arg, coir_stream **ret_stream)
{
    const struct server *server = arg;
    if (server->port)
        return coir_tcp_connect(address, NULL, ret_stream);
    if (strcmp(address, "other:80") == 0)
        server = server->other;
    return coir_memory_connect(server->listener, ret_stream);
}

static void end(struct server *server)
{
    coir_listener_close(server->listener);
    coir_buffer_close(&server->asked);
}

#define SERVER(...) SERVER_AT(false, __VA_ARGS__)
#define SERVER_AT(at_port, ...)                                                                    \
    static const char *const replies[] = {__VA_ARGS__, NULL};                                      \
    __attribute__((cleanup(end))) struct server server = {.replies = replies, .port = at_port};    \
    COIR_GROUP(group);                                                                             \
    COIR_AUTO(coir_http_session) *http = NULL;                                                     \
    COIR_REQUIRE_OK(begin(&group, &server))

#define OPEN(...)                                                                                  \
    COIR_REQUIRE_OK(coir_http_session_open(                                                        \
        &(coir_http_session_opts){                                                                 \
            .base = server.url, .dial = dial, .dial_arg = &server, __VA_ARGS__},                   \
        &http))

/* The body of what comes for path; NULL when it fails, with the code. */
static int fetch(coir_http_session *http, const char *path, const coir_http_request_opts *opts,
                 coir_buffer *ret_body)
{
    COIR_AUTO(coir_http_response) *response = NULL;
    coir_bytes body;
    ret_body->length = 0;
    COIR_TRY(coir_http_get(http, path, opts, &response));
    COIR_TRY(coir_http_response_read(response, &body));
    COIR_TRY(coir_buffer_append(ret_body, body.data, body.length));
    return coir_http_response_status(response);
}

#define OK(length, body) "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n\r\n" body

COIR_TEST(requests_and_responses)
{
    SERVER(OK("5", "hello"), "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nX-A: b\r\n\r\nno");
    OPEN(.no_compression = true, .headers = (coir_http_header[]){{"User-Agent", "t"}, {0}});
    COIR_AUTO(coir_http_response) *response = NULL;
    coir_bytes body;
    COIR_REQUIRE_OK(coir_http_get(http, "a/b?c=d", NULL, &response));
    COIR_EXPECT_EQ(coir_http_response_status(response), 200);
    for (int i = 0; i < 2; i++) { /* the second time it is the same */
        COIR_REQUIRE_OK(coir_http_response_read(response, &body));
        COIR_EXPECT_STR(body.data, "hello");
    }
    coir_http_response_close(COIR_TAKE(response));
    COIR_REQUIRE_OK(
        coir_http_delete(http, "x", &(coir_http_request_opts){.query = "y=z"}, &response));
    COIR_EXPECT_EQ(coir_http_response_status(response), 404);
    COIR_EXPECT_STR(coir_http_response_header(response, "x-a"), "b");
    COIR_EXPECT_CONTAINS(coir_http_response_url(response), "/x?y=z");
    char expected[256];
    (void)snprintf(expected, sizeof expected,
                   "GET /a/b?c=d HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: t\r\n\r\n"
                   "DELETE /x?y=z HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: t\r\n\r\n",
                   (int)strlen(server.url + 7) - 1, server.url + 7, (int)strlen(server.url + 7) - 1,
                   server.url + 7);
    COIR_EXPECT_STR(coir_buffer_text(&server.asked), expected);
    COIR_EXPECT_EQ(server.connections, 1); /* it was kept */
}

COIR_TEST(each_framing_byte_by_byte)
{
    SERVER("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
           "3\r\nabc\r\n4\r\ndefg\r\n0\r\nA: b\r\n\r\n",
           OK("3", "abc"), "HTTP/1.1 204 No Content\r\n\r\n", "!HTTP/1.0 200 OK\r\n\r\nto the end");
    server.slowly = true;
    OPEN();
    COIR_AUTO(coir_buffer) body = {0};
    COIR_EXPECT_EQ(fetch(http, "1", NULL, &body), 200);
    COIR_EXPECT_STR(coir_buffer_text(&body), "abcdefg");
    COIR_EXPECT_EQ(fetch(http, "2", NULL, &body), 200);
    COIR_EXPECT_STR(coir_buffer_text(&body), "abc");
    COIR_EXPECT_EQ(fetch(http, "3", NULL, &body), 204);
    COIR_EXPECT_EQ(fetch(http, "4", NULL, &body), 200);
    COIR_EXPECT_STR(coir_buffer_text(&body), "to the end");
    COIR_EXPECT_EQ(server.connections, 1);
}

COIR_TEST(bodies_of_requests)
{
    SERVER(OK("0", ""), OK("0", ""), OK("0", ""), OK("0", ""));
    OPEN(.no_compression = true);
    json_t *json = json_pack("{si}", "a", 1);
    const coir_http_header form[] = {{"a b", "c&d"}, {"e", ""}, {0}};
    const coir_http_request_opts requests[] = {
        {.body = {"plain", 5}, .type = "text/plain"}, {.json = json}, {.form = form}, {0}};
    for (size_t i = 0; i < COIR_COUNT(requests); i++) {
        COIR_AUTO(coir_http_response) *response = NULL;
        COIR_EXPECT_OK(coir_http_post(http, "", &requests[i], &response));
    }
    json_decref(json);
    const char *asked = coir_buffer_text(&server.asked);
    COIR_EXPECT_CONTAINS(asked, "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nplain");
    COIR_EXPECT_CONTAINS(asked, "application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}");
    COIR_EXPECT_CONTAINS(asked,
                         "x-www-form-urlencoded\r\nContent-Length: 14\r\n\r\na%20b=c%26d&e=");
    COIR_EXPECT_CONTAINS(asked, "Content-Length: 0\r\n\r\n");
    coir_http_response *response = NULL;
    const coir_http_request_opts two = {.body = {"x", 1}, .form = form};
    COIR_EXPECT_CODE(coir_http_post(http, "", &two, &response), -EINVAL);
    const coir_http_request_opts wrong = {.headers = (coir_http_header[]){{"A", "b\r\nC: d"}, {0}}};
    COIR_EXPECT_CODE(coir_http_get(http, "", &wrong, &response), -EINVAL);
    const coir_http_request_opts ours = {.headers =
                                             (coir_http_header[]){{"Content-Length", "7"}, {0}}};
    COIR_EXPECT_CODE(coir_http_get(http, "", &ours, &response), -EINVAL);
    COIR_EXPECT_CODE(coir_http_send(http, "GET /", "", NULL, &response), -EINVAL);
}

COIR_TEST(redirects_change_the_method_or_keep_it)
{
    SERVER("HTTP/1.1 302 Found\r\nLocation: /one\r\nContent-Length: 2\r\n\r\nxx",
           "HTTP/1.1 307 Temporary Redirect\r\nLocation: two?a\r\nContent-Length: 0\r\n\r\n",
           OK("2", "ok"),
           "HTTP/1.1 308 Permanent Redirect\r\nLocation: /p\r\n"
           "Content-Length: 0\r\n\r\n",
           OK("2", "ok"));
    OPEN(.no_compression = true);
    COIR_AUTO(coir_http_response) *response = NULL;
    const coir_http_request_opts opts = {.body = {"body", 4}};
    COIR_REQUIRE_OK(coir_http_post(http, "start", &opts, &response));
    COIR_EXPECT_CONTAINS(coir_http_response_url(response), "/two?a");
    coir_http_response_close(COIR_TAKE(response));
    const char *asked = coir_buffer_text(&server.asked);
    COIR_EXPECT_CONTAINS(asked, "POST /start");
    COIR_EXPECT_CONTAINS(asked, "GET /one");
    COIR_EXPECT_CONTAINS(asked, "GET /two?a");
    server.asked.length = 0;
    COIR_REQUIRE_OK(coir_http_post(http, "start", &opts, &response));
    COIR_EXPECT_CONTAINS(coir_buffer_text(&server.asked), "POST /p HTTP/1.1");
    COIR_EXPECT_EQ(server.connections, 1);
}

#define AGAIN "HTTP/1.1 301 Moved Permanently\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"

COIR_TEST(redirects_have_an_end)
{
    SERVER(AGAIN, AGAIN, AGAIN, AGAIN,
           "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n"
           "Content-Length: 0\r\n\r\n");
    OPEN(.redirects = 2);
    COIR_AUTO(coir_http_response) *response = NULL;
    COIR_EXPECT_CODE(coir_http_get(http, "", NULL, &response), -COIR_EREDIRECTS);
    COIR_EXPECT_OK(
        coir_http_get(http, "", &(coir_http_request_opts){.no_redirects = true}, &response));
    coir_http_response_close(COIR_TAKE(response));
    COIR_EXPECT_CODE(coir_http_get(http, "", NULL, &response), -COIR_EURL);
}

COIR_TEST(secrets_stay_with_their_origin)
{
    static const char *const elsewhere[] = {OK("0", ""), NULL};
    __attribute__((cleanup(end))) struct server other = {.replies = elsewhere};
    static const char *const first[] = {
        "HTTP/1.1 302 F\r\nLocation: http://other/\r\nContent-Length: 0\r\n\r\n", NULL};
    __attribute__((cleanup(end))) struct server server = {.replies = first};
    COIR_GROUP(group);
    COIR_AUTO(coir_http_session) *http = NULL;
    server.other = &other;
    COIR_REQUIRE_OK(begin(&group, &other));
    COIR_REQUIRE_OK(begin(&group, &server));
    OPEN(.user = "ada", .password = "love:lace");
    const coir_http_request_opts opts = {.headers = (coir_http_header[]){{"Cookie", "a=b"}, {0}}};
    COIR_AUTO(coir_buffer) body = {0};
    COIR_EXPECT_EQ(fetch(http, "", &opts, &body), 200);
    COIR_EXPECT_CONTAINS(coir_buffer_text(&server.asked),
                         "Authorization: Basic YWRhOmxvdmU6bGFjZQ==\r\n");
    COIR_EXPECT_CONTAINS(coir_buffer_text(&server.asked), "Cookie: a=b\r\n");
    COIR_EXPECT(strstr(coir_buffer_text(&other.asked), "Authorization") == NULL);
    COIR_EXPECT(strstr(coir_buffer_text(&other.asked), "Cookie") == NULL);
    COIR_EXPECT_CONTAINS(coir_buffer_text(&other.asked), "GET / ");
}

/* The server closes a connection that was kept: what may be asked twice is, and nothing else. */
COIR_TEST(dead_connections)
{
    SERVER_AT(true, "!" OK("1", "a"), "!" OK("1", "b"), OK("1", "c"));
    OPEN();
    COIR_AUTO(coir_buffer) body = {0};
    for (int i = 0; i < 3; i++) {
        COIR_EXPECT_EQ(fetch(http, "", NULL, &body), 200);
        COIR_EXPECT_EQ(coir_buffer_text(&body)[0], 'a' + i);
    }
    COIR_EXPECT_EQ(server.connections, 3);
}

static int post(void *arg)
{
    COIR_AUTO(coir_http_response) *response = NULL;
    COIR_TRY(coir_http_post(arg, "p", NULL, &response));
    return coir_http_response_status(response) == 200 ? 0 : -EBADMSG;
}

/* Who waits for a connection gets none that was closed with the response before, and so asks once,
 * of another. */
COIR_TEST_TAGGED(dead_connections_are_not_handed_over, "real")
{
    SERVER_AT(true, "!" OK("1", "a"), OK("1", "b"));
    OPEN(.limit = 1, .read_limit = COIR_SEC(3));
    COIR_AUTO(coir_http_response) *response = NULL;
    coir_bytes body;
    COIR_REQUIRE_OK(coir_http_get(http, "", NULL, &response));
    COIR_GROUP(posts);
    COIR_REQUIRE_OK(coir_spawn(&posts, post, http, NULL));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(20))); /* the server closes */
    COIR_EXPECT_OK(coir_http_response_read(response, &body));
    coir_http_response_close(COIR_TAKE(response));
    COIR_EXPECT_OK(coir_group_wait(&posts));
    COIR_EXPECT_EQ(server.connections, 2);
    coir_http_session_stats stats;
    coir_http_session_stats_get(http, &stats);
    COIR_EXPECT_EQ(stats.retried, 0);
}

COIR_TEST(a_connection_that_dies_under_a_request)
{
    SERVER(OK("1", "a"), "!", OK("1", "b"), "!");
    OPEN();
    COIR_AUTO(coir_buffer) body = {0};
    COIR_AUTO(coir_http_response) *response = NULL;
    COIR_EXPECT_EQ(fetch(http, "", NULL, &body), 200);
    COIR_EXPECT_EQ(fetch(http, "", NULL, &body), 200); /* the second time */
    coir_http_session_stats stats;
    coir_http_session_stats_get(http, &stats);
    COIR_EXPECT_EQ(stats.retried, 1);
    COIR_EXPECT_CODE(coir_http_post(http, "", NULL, &response), -COIR_EEOF); /* never twice */
}

COIR_TEST(what_no_server_should_say)
{
    static const struct {
        const char *reply;
        int code;
    } rows[] = {
        {"!HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", -COIR_EEOF},
        {"!HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde", -COIR_EHTTP},
        {"!HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         -COIR_EHTTP},
        {"!HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", -COIR_EHTTP},
        {"!HTTP/1.1 101 Switching Protocols\r\n\r\n", -COIR_EHTTP},
        {"!HTTP/1.1 200 OK\nA: b\n\n", -COIR_EHTTP},
        {"!SSH-2.0-OpenSSH\r\n\r\n", -COIR_EHTTP},
        {"!", -COIR_EEOF},
    };
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        const char *const replies[] = {rows[i].reply, NULL};
        __attribute__((cleanup(end))) struct server server = {.replies = replies};
        COIR_GROUP(group);
        COIR_AUTO(coir_http_session) *http = NULL;
        COIR_AUTO(coir_buffer) body = {0};
        COIR_REQUIRE_OK(begin(&group, &server));
        OPEN();
        COIR_EXPECT_CODE(fetch(http, "", NULL, &body), rows[i].code);
    }
}

COIR_TEST(silence_has_limits)
{
    SERVER("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    OPEN();
    COIR_AUTO(coir_buffer) body = {0};
    coir_time start = coir_now();
    COIR_EXPECT_CODE(fetch(http, "", NULL, &body), -ETIMEDOUT);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(60));
}

COIR_TEST(failures_name_the_request)
{
    COIR_AUTO(coir_http_session) *http = NULL;
    COIR_AUTO(coir_http_response) *response = NULL;
    COIR_REQUIRE_OK(coir_http_session_open(NULL, &http));
    int r = coir_http_get(http, "http://127.0.0.1:1/x", NULL, &response);
    COIR_EXPECT_CODE(r, -ECONNREFUSED);
    COIR_EXPECT_CONTAINS(coir_last_message(r), "GET http://127.0.0.1:1/x: ");
    COIR_EXPECT_CONTAINS(coir_last_message(r), "connection refused");
}

COIR_TEST(responses_that_stay_open_are_reported)
{
    SERVER(OK("1", "a"));
    OPEN();
    coir_test_expect_reports(COIR_REPORT_LEFT, 1);
    COIR_AUTO(coir_http_response) *response = NULL;
    COIR_REQUIRE_OK(coir_http_get(http, "", NULL, &response));
    coir_http_session_close(COIR_TAKE(http));
    size_t count;
    const coir_test_report *reports = coir_test_reports(&count);
    COIR_REQUIRE_EQ(count, 1);
    COIR_EXPECT_CONTAINS(reports[0].text, "http_session.c:");
    coir_bytes body;
    COIR_EXPECT_CODE(coir_http_response_read(response, &body), -COIR_ECLOSED);
}

static int fetch_it(void *arg)
{
    COIR_AUTO(coir_buffer) body = {0};
    int r = fetch(arg, "", NULL, &body);
    return r < 0 ? r : 0;
}

/* Who waits for a connection when the session is closed is told so, and touches it no more. */
COIR_TEST(closing_ends_those_who_wait)
{
    SERVER("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    OPEN(.limit = 1);
    coir_test_expect_reports(COIR_REPORT_LEFT, 1);
    COIR_AUTO(coir_http_response) *response = NULL;
    coir_task *waiting;
    int result = 0;
    COIR_GROUP_COLLECT(others);
    COIR_REQUIRE_OK(coir_http_get(http, "", NULL, &response));
    COIR_REQUIRE_OK(coir_spawn(&others, fetch_it, http, &waiting));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_http_session_close(COIR_TAKE(http));
    COIR_REQUIRE_OK(coir_join(waiting, &result));
    COIR_EXPECT_CODE(result, -COIR_ECLOSED);
}

/* The same for who waits for the rate of a host. */
COIR_TEST(closing_ends_those_who_wait_for_their_rate)
{
    SERVER(OK("0", ""));
    coir_limiter limiter = {.rate = 1, .per = COIR_SEC(20)};
    OPEN(.limiter_per_host = &limiter);
    COIR_AUTO(coir_buffer) body = {0};
    coir_task *waiting;
    int result = 0;
    COIR_GROUP_COLLECT(others);
    COIR_EXPECT_EQ(fetch(http, "", NULL, &body), 200);
    COIR_REQUIRE_OK(coir_spawn(&others, fetch_it, http, &waiting));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    coir_http_session_close(COIR_TAKE(http));
    COIR_REQUIRE_OK(coir_join(waiting, &result));
    COIR_EXPECT_CODE(result, -COIR_ECLOSED);
}

static int wait_a_while(coir_http_call *call, void *arg, coir_http_response **ret_response)
{
    (void)arg;
    COIR_TRY(coir_sleep(COIR_SEC(5)));
    return coir_http_call_next(call, ret_response);
}

/* The same within a middleware. */
COIR_TEST(closing_ends_those_who_wait_in_a_middleware)
{
    SERVER(OK("0", ""));
    OPEN(.limit = 1);
    coir_task *waiting;
    int result = 0;
    COIR_GROUP_COLLECT(others);
    COIR_REQUIRE_OK(coir_http_session_use(http, wait_a_while, NULL));
    COIR_REQUIRE_OK(coir_spawn(&others, fetch_it, http, &waiting));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    coir_http_session_close(COIR_TAKE(http));
    COIR_REQUIRE_OK(coir_join(waiting, &result));
    COIR_EXPECT_CODE(result, -COIR_ECLOSED);
}

COIR_TEST(each_host_has_its_rate)
{
    SERVER(OK("0", ""), OK("0", ""), OK("0", ""));
    coir_limiter limiter = {.rate = 1, .per = COIR_SEC(20)};
    OPEN(.limiter_per_host = &limiter);
    COIR_AUTO(coir_buffer) body = {0};
    coir_time start = coir_now();
    for (int i = 0; i < 3; i++)
        COIR_EXPECT_EQ(fetch(http, "", NULL, &body), 200);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(40));
}

/* ---- packed bodies ---- */

/* A reply whose body is size zeros, packed by zlib in the given way. */
static size_t packed_reply(char *reply, size_t room, const char *coding, int bits, size_t size)
{
    static unsigned char zeros[1 << 16];
    unsigned char packed[8192];
    z_stream zlib = {.next_out = packed, .avail_out = sizeof packed};
    if (deflateInit2(&zlib, 9, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    for (size_t left = size; left > 0; left -= zlib.total_in > 0 ? sizeof zeros : 0) {
        zlib.next_in = zeros;
        zlib.avail_in = sizeof zeros;
        (void)deflate(&zlib, left == sizeof zeros ? Z_FINISH : Z_NO_FLUSH);
    }
    size_t length = zlib.total_out;
    (void)deflateEnd(&zlib);
    int head = snprintf(reply, room,
                        "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %zu\r\n\r\n",
                        coding, length);
    memcpy(reply + head, packed, length);
    return (size_t)head + length;
}

COIR_TEST(packed_bodies)
{
    static char gzip[9000], zlib[9000], raw[9000], bomb[9000], cut[9000];
    const char *const replies[] = {gzip, zlib, raw, bomb, cut, NULL};
    __attribute__((cleanup(end))) struct server server = {.replies = replies};
    const size_t size = 1 << 17;
    server.lengths[0] = packed_reply(gzip, sizeof gzip, "gzip", 15 + 16, size);
    server.lengths[1] = packed_reply(zlib, sizeof zlib, "deflate", 15, size);
    server.lengths[2] = packed_reply(raw, sizeof raw, "deflate", -15, size);
    server.lengths[3] = packed_reply(bomb, sizeof bomb, "gzip", 15 + 16, size * 16);
    server.lengths[4] = packed_reply(cut, sizeof cut, "gzip", 15 + 16, size);
    memcpy(strstr(cut, "\r\n\r\n") + 12, "damage", 6);
    COIR_GROUP(group);
    COIR_AUTO(coir_http_session) *http = NULL;
    COIR_AUTO(coir_buffer) body = {0};
    COIR_REQUIRE_OK(begin(&group, &server));
    OPEN(.body_limit = size);
    for (int i = 0; i < 3; i++) {
        COIR_EXPECT_EQ(fetch(http, "", NULL, &body), 200);
        COIR_EXPECT_EQ(body.length, size);
    }
    COIR_EXPECT_CODE(fetch(http, "", NULL, &body), -COIR_ETOOLONG);
    COIR_EXPECT_CODE(fetch(http, "", NULL, &body), -COIR_EHTTP);
    COIR_EXPECT_CONTAINS(coir_buffer_text(&server.asked), "Accept-Encoding: gzip");
}

/* ---- cookies ---- */

COIR_TEST(cookies_come_back)
{
    SERVER(
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; path=/deep; Max-Age=60\r\n"
        "Set-Cookie: c=3; Secure\r\nSet-Cookie: d=4; Domain=example.org\r\n"
        "Set-Cookie: e=5; Expires=Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n",
        OK("0", ""), OK("0", ""),
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=; Path=/; Max-Age=0\r\nContent-Length: 0\r\n\r\n",
        OK("0", ""));
    OPEN();
    COIR_AUTO(coir_buffer) body = {0};
    static const char *const paths[] = {"", "deep/er", "deeper", "", "deep"};
    static const char *const cookies[] = {NULL, "Cookie: b=2; a=1\r\n", "Cookie: a=1\r\n",
                                          "Cookie: a=1\r\n", "Cookie: b=2\r\n"};
    for (size_t i = 0; i < COIR_COUNT(paths); i++) {
        server.asked.length = 0;
        COIR_EXPECT_EQ(fetch(http, paths[i], NULL, &body), 200);
        const char *asked = coir_buffer_text(&server.asked);
        if (cookies[i] == NULL)
            COIR_EXPECT(strstr(asked, "Cookie") == NULL);
        else
            COIR_EXPECT_CONTAINS(asked, cookies[i]);
    }
}

/* ---- HTTPS ---- */

static coir_tls_context *shown;

static int serve_secured(void *arg)
{
    struct server *server = arg;
    return coir_tls_serve(server->listener, shown, answer, server);
}

/* Serves by TLS; whom a client trusts is written to *ret_trusts. */
static int begin_secured(coir_group *group, struct server *server, coir_tls_context **ret_trusts)
{
    COIR_TRY(server_with("good", (coir_tls_opts){.alpn = "http/1.1"}, &shown));
    COIR_TRY(client_with((coir_tls_opts){.alpn = "http/1.1"}, ret_trusts));
    COIR_TRY(coir_memory_listen(&server->listener));
    (void)snprintf(server->url, sizeof server->url, "https://localhost/");
    return coir_spawn(group, serve_secured, server, NULL);
}

static void end_secured(struct server *server)
{
    coir_tls_context_close(COIR_TAKE(shown));
    end(server);
}

#define SECURED_SERVER(...)                                                                        \
    static const char *const replies[] = {__VA_ARGS__, NULL};                                      \
    __attribute__((cleanup(end_secured))) struct server server = {.replies = replies};             \
    COIR_AUTO(coir_tls_context) *trusts = NULL;                                                    \
    COIR_GROUP(group);                                                                             \
    COIR_AUTO(coir_http_session) *http = NULL;                                                     \
    COIR_AUTO(coir_buffer) body = {0};                                                             \
    COIR_REQUIRE_OK(begin_secured(&group, &server, &trusts))

/* The name in the URL is what the certificate must be for; the session's own context trusts the
 * system's list, and so nobody here. */
COIR_TEST(https_checks_who_answers)
{
    SECURED_SERVER(OK("2", "hi"), OK("2", "hi"));
    OPEN(.tls = trusts);
    for (int i = 0; i < 2; i++) {
        COIR_EXPECT_EQ(fetch(http, "", NULL, &body), 200);
        COIR_EXPECT_STR(coir_buffer_text(&body), "hi");
    }
    COIR_EXPECT_EQ(server.connections, 1);
    coir_http_session_close(COIR_TAKE(http));
    OPEN(.connect_limit = COIR_SEC(8)); /* reading the system's list takes a while */
    COIR_EXPECT_CODE(fetch(http, "", NULL, &body), -COIR_ECERTIFICATE);
}

/* It is written with the head, also when there is no body to hold a connection, on a new connection
 * and on a kept one; plain HTTP has none. */
COIR_TEST(the_certificate_of_who_answers)
{
    SECURED_SERVER(OK("2", "hi"), "HTTP/1.1 204 No Content\r\n\r\n");
    coir_tls_certificate certificate = {0};
    coir_http_request_opts opts = {.ret_certificate = &certificate};
    OPEN(.tls = trusts);
    COIR_EXPECT_EQ(fetch(http, "", &opts, &body), 200);
    COIR_EXPECT_CONTAINS(certificate.names, "localhost");
    COIR_EXPECT_GT(certificate.until, certificate.since);
    int64_t until = certificate.until;
    certificate = (coir_tls_certificate){0};
    COIR_EXPECT_EQ(fetch(http, "", &opts, &body), 204);
    COIR_EXPECT_EQ(certificate.until, until);
    COIR_EXPECT_EQ(server.connections, 1);

    __attribute__((cleanup(end))) struct server plain = {
        .replies = (const char *const[]){OK("2", "hi"), NULL}};
    COIR_GROUP(others);
    COIR_REQUIRE_OK(begin(&others, &plain));
    server.other = &plain;
    COIR_EXPECT_EQ(fetch(http, "http://other/", &opts, &body), 200);
    COIR_EXPECT_EQ(certificate.until, 0);
    COIR_EXPECT_EQ(certificate.names[0], '\0');
}

/* Each request says that it is the last, and is, whatever the server would like. */
COIR_TEST(no_connection_is_kept)
{
    SERVER(OK("2", "hi"), OK("2", "hi"), OK("2", "hi"));
    OPEN(.no_keep_alive = true);
    COIR_AUTO(coir_buffer) body = {0};
    for (int i = 1; i <= 3; i++) {
        COIR_EXPECT_EQ(fetch(http, "", NULL, &body), 200);
        COIR_EXPECT_EQ(server.connections, i);
    }
    COIR_EXPECT_CONTAINS(coir_buffer_text(&server.asked), "\r\nConnection: close\r\n");
    coir_http_session_stats stats;
    coir_http_session_stats_get(http, &stats);
    COIR_EXPECT_EQ(stats.reused, 0);
    COIR_EXPECT_EQ(stats.idle, 0);
}

/* How a connection ends for a server that has said all. */
struct witness {
    coir_listener *listener;
    const char *reply;
    int end;
};

static int see_the_end(coir_stream *stream, void *arg)
{
    struct witness *witness = arg;
    coir_bytes bytes;
    if (COIR_TRY(coir_stream_read_until(stream, "\r\n\r\n", 4, 0, &bytes)) == 0)
        return 0;
    COIR_TRY(coir_stream_write(stream, witness->reply, strlen(witness->reply)));
    witness->end = coir_stream_peek(stream, 1, &bytes);
    return 0;
}

static int bear_witness(void *arg)
{
    struct witness *witness = arg;
    return coir_listener_serve(witness->listener, see_the_end, witness);
}

/* A reset could destroy what the server has sent, or what it has not read yet, so it is for
 * exchanges that are not over; and nothing is kept of what is no HTTP any more. */
COIR_TEST(what_is_complete_is_not_reset)
{
    static const struct {
        const char *reply;
        int end;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 0},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 0},
        {"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nok", -ECONNRESET},
        {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
         -ECONNRESET},
    };
    for (size_t i = 0; i < COIR_COUNT(cases); i++) {
        struct witness witness = {.reply = cases[i].reply, .end = 1};
        char address[COIR_ADDRESS_TEXT], url[COIR_ADDRESS_TEXT + 16];
        COIR_AUTO(coir_http_session) *http = NULL;
        COIR_AUTO(coir_http_response) *response = NULL;
        coir_bytes body;
        COIR_REQUIRE_OK(coir_tcp_listen("127.0.0.1:0", NULL, &witness.listener));
        COIR_AUTO(coir_listener) *listener = witness.listener;
        COIR_REQUIRE_OK(coir_listener_address(listener, address, sizeof address));
        (void)snprintf(url, sizeof url, "http://%s/", address);
        COIR_REQUIRE_OK(coir_http_session_open(NULL, &http));
        COIR_GROUP(group);
        COIR_REQUIRE_OK(coir_spawn(&group, bear_witness, &witness, NULL));
        COIR_REQUIRE_OK(
            coir_http_get(http, url, &(coir_http_request_opts){.upgrade = "x"}, &response));
        if (cases[i].end == 0)
            COIR_EXPECT_OK(coir_http_response_read(response, &body));
        coir_http_response_close(COIR_TAKE(response));
        coir_http_session_close(COIR_TAKE(http));
        for (int waited = 0; waited < 100 && witness.end == 1; waited++)
            COIR_REQUIRE_OK(coir_sleep(COIR_MS(10))); /* until it has seen it */
        if (!COIR_EXPECT_EQ(witness.end, cases[i].end))
            printf("    of: %s\n", cases[i].reply);
    }
}

/* ---- what TLS has received and nobody has read ---- */

/* The end of its first response lies in one packet with more: a response that nobody has asked for,
 * or its goodbye, long before the connection ends. */
static int answer_and_more(coir_stream *stream, void *arg)
{
    struct server *server = arg;
    bool first = server->connections++ == 0;
    while (COIR_TRY(read_request(server, stream)) > 0) {
        COIR_TRY(coir_stream_write(stream, OK("1", ""), strlen(OK("1", ""))));
        COIR_TRY(coir_sleep(COIR_MS(5)));
        COIR_TRY(coir_stream_write(stream, "a", 1));
        if (first && server->slowly) {
            COIR_TRY(coir_stream_shutdown(stream));
            return coir_sleep(COIR_MS(200));
        }
        if (first)
            COIR_TRY(coir_stream_write(stream, OK("1", "b"), strlen(OK("1", "b"))));
    }
    return 0;
}

static int serve_more(void *arg)
{
    struct server *server = arg;
    return coir_tls_serve(server->listener, shown, answer_and_more, server);
}

COIR_TEST_TAGGED(what_tls_has_received_is_no_response, "real")
{
    for (int says_goodbye = 0; says_goodbye < 2; says_goodbye++) {
        __attribute__((cleanup(end_secured))) struct server server = {.port = true};
        COIR_AUTO(coir_tls_context) *trusts = NULL;
        COIR_AUTO(coir_http_session) *http = NULL;
        COIR_AUTO(coir_http_response) *response = NULL;
        COIR_AUTO(coir_buffer) body = {0};
        char address[COIR_ADDRESS_TEXT];
        coir_bytes bytes;
        server.slowly = says_goodbye;
        COIR_GROUP(group);
        COIR_REQUIRE_OK(server_with("good", (coir_tls_opts){.alpn = "http/1.1"}, &shown));
        COIR_REQUIRE_OK(client_with((coir_tls_opts){.alpn = "http/1.1"}, &trusts));
        COIR_REQUIRE_OK(coir_tcp_listen("127.0.0.1:0", NULL, &server.listener));
        COIR_REQUIRE_OK(coir_listener_address(server.listener, address, sizeof address));
        (void)snprintf(server.url, sizeof server.url, "https://localhost%s/",
                       strrchr(address, ':'));
        COIR_REQUIRE_OK(coir_spawn(&group, serve_more, &server, NULL));
        OPEN(.tls = trusts, .connect_limit = COIR_SEC(2), .read_limit = COIR_SEC(2));
        COIR_REQUIRE_OK(coir_http_get(http, "", NULL, &response));
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(30)));
        COIR_EXPECT_OK(coir_http_response_read(response, &bytes));
        coir_http_response_close(COIR_TAKE(response));
        if (says_goodbye)
            COIR_EXPECT_OK(post(http));
        else
            COIR_EXPECT_EQ(fetch(http, "", NULL, &body), 200);
        COIR_EXPECT(says_goodbye || strcmp(coir_buffer_text(&body), "a") == 0);
        COIR_EXPECT_EQ(server.connections, 2);
        coir_http_session_close(COIR_TAKE(http));
        coir_group_cancel(&group, "end");
    }
}
