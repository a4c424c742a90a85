/* http_wire.c: tests of whole connections against those who lie about where a request ends, and
 * against lines that break off at any byte.
 */
#include <coir/testing_streams.h>

#include "http_kit.h"

static int answered; /* requests that reached a handler */

static int take(coir_http_request *request)
{
    coir_bytes body;
    answered++;
    COIR_TRY(coir_http_request_body(request, &body));
    return coir_http_reply(request, 200, NULL, body.data, body.length);
}

static int ignore(coir_http_request *request)
{
    answered++;
    return coir_http_reply_text(request, 200, "ignored\n");
}

static int open_both(coir_http_app **ret_app)
{
    COIR_TRY(open_app((coir_http_app_opts){.body_limit = 1000}, ret_app));
    coir_http_app_route(*ret_app, NULL, "/", take);
    coir_http_app_route(*ret_app, NULL, "/ignored", ignore);
    return 0;
}

#define POST "POST / HTTP/1.1\r\n" HOST
#define CL "Content-Length: "
#define TE "Transfer-Encoding: "
#define HIDDEN "GET /hidden HTTP/1.1\r\n" HOST "\r\n"

/* After a framing that is wrong nothing more is answered: one refusal, and the end. */
COIR_TEST(nothing_is_answered_behind_a_wrong_framing)
{
    static const char *const rows[] = {
        POST CL "4\r\n" TE "chunked\r\n\r\n0\r\n\r\n" HIDDEN,
        POST TE "chunked\r\n" CL "4\r\n\r\n0\r\n\r\n" HIDDEN,
        POST CL "4\r\n" CL "5\r\n\r\n12345" HIDDEN,
        POST CL "4\r\n" CL "4\r\n\r\n1234" HIDDEN,
        POST CL "4, 4\r\n\r\n1234" HIDDEN,
        POST CL "+4\r\n\r\n1234" HIDDEN,
        POST CL "-4\r\n\r\n1234" HIDDEN,
        POST CL "0x4\r\n\r\n1234" HIDDEN,
        POST CL "4 \x0b\r\n\r\n1234" HIDDEN,
        POST CL "\r\n\r\n1234" HIDDEN,
        POST CL "99999999999999999999\r\n\r\n1234" HIDDEN,
        POST TE "chunked, identity\r\n\r\n0\r\n\r\n" HIDDEN,
        POST TE "identity\r\n\r\n" HIDDEN,
        POST TE "xchunked\r\n\r\n0\r\n\r\n" HIDDEN,
        POST TE "chunked\r\n" TE "chunked\r\n\r\n0\r\n\r\n" HIDDEN,
        POST TE "\"chunked\"\r\n\r\n0\r\n\r\n" HIDDEN,
        POST TE "\x0b"
                "chunked\r\n\r\n0\r\n\r\n" HIDDEN,
        POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" HIDDEN,
        POST " " TE "chunked\r\n\r\n0\r\n\r\n" HIDDEN,
        POST "X: y\r\n " TE "chunked\r\n\r\n0\r\n\r\n" HIDDEN,
        POST "X: y\n" TE "chunked\r\n\r\n0\r\n\r\n" HIDDEN,
        POST "X: y\r" TE "chunked\r\n\r\n0\r\n\r\n" HIDDEN,
        POST "X\r\n\r\n" HIDDEN,
        "POST / HTTP/1.0\r\n" HOST TE "chunked\r\n\r\n0\r\n\r\n" HIDDEN,
        "POST / HTTP/1.1\n" HOST CL "0\r\n\r\n" HIDDEN,
        "POST /\r\n\r\n" HIDDEN,
        "POST  / HTTP/1.1\r\n" HOST CL "0\r\n\r\n" HIDDEN,
        "POST /\t HTTP/1.1\r\n" HOST CL "0\r\n\r\n" HIDDEN,
        "GET / HTTP/1.1\r\n" HOST HOST "\r\n" HIDDEN,
        "GET / HTTP/1.1\r\n\r\n" HIDDEN,
        "GET http://b/ HTTP/1.1\r\n" HOST "\r\n" HIDDEN,
    };
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_both(&app));
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        COIR_AUTO(coir_buffer) text = {0};
        answered = 0;
        COIR_EXPECT_OK(visit(app, rows[i], &text));
        const char *all = coir_buffer_text(&text);
        bool good = COIR_EXPECT_EQ(answered, 0);
        good &= COIR_EXPECT_CONTAINS(all, "HTTP/1.1 ");
        good &= COIR_EXPECT_CONTAINS(all, "\r\nConnection: close\r\n");
        if (good) {
            good = COIR_EXPECT(all[9] == '4' || all[9] == '5');
            good &= COIR_EXPECT(strstr(all + 1, "HTTP/1.1 ") == NULL);
        }
        if (!good)
            printf("    of: %s\n", rows[i]);
    }
}

/* A head that is good and a body that is not: the handler has begun, and nothing follows. */
COIR_TEST(nothing_is_answered_behind_a_wrong_body)
{
    static const char *const rows[] = {
        "5\r\nhello0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "g\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        ("0\r\n"
         "X\r\n\r\n"),
        "0\r\n X: y\r\n\r\n",
        "\r\n",
        "5\r\nhello\r\n\r\n0\r\n\r\n",
    };
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_both(&app));
    for (size_t i = 0; i < 2 * COIR_COUNT(rows); i++) {
        bool read = i % 2 == 0;
        char request[512];
        (void)snprintf(request, sizeof request,
                       "POST %s HTTP/1.1\r\n" HOST TE "chunked\r\n\r\n%s%s",
                       read ? "/" : "/ignored", rows[i / 2], HIDDEN);
        COIR_AUTO(coir_buffer) text = {0};
        answered = 0;
        COIR_EXPECT_OK(visit(app, request, &text));
        const char *all = coir_buffer_text(&text);
        bool good = COIR_EXPECT_EQ(answered, 1);
        good &= COIR_EXPECT_CONTAINS(all, read ? "HTTP/1.1 400 Bad Request\r\n" : "HTTP/1.1 200");
        good &= COIR_EXPECT(all[0] != '\0' && strstr(all + 1, "HTTP/1.1 ") == NULL);
        if (!good)
            printf("    of: %s\n", request);
    }
}
/* ---- after each byte ---- */

/* A stream over one that stays its owner's. */
static int read_lent(void *state, void *data, size_t size, size_t *ret_n)
{
    return coir_stream_read(state, data, size, ret_n);
}

static int write_lent(void *state, const struct iovec *vectors, size_t count, size_t *ret_n)
{
    *ret_n = 0;
    for (size_t i = 0; i < count; i++)
        *ret_n += vectors[i].iov_len;
    return coir_stream_write_vectors(state, vectors, count);
}

static int shutdown_lent(void *state)
{
    return coir_stream_shutdown(state);
}

static void return_lent(void *state, bool abrupt)
{
    (void)state;
    (void)abrupt;
}

static int serve_session(coir_stream *stream, void *arg)
{
    static const coir_stream_ops lent = {.name = "lent",
                                         .read = read_lent,
                                         .write = write_lent,
                                         .shutdown = shutdown_lent,
                                         .close = return_lent};
    COIR_AUTO(coir_http_app) *app = NULL;
    coir_stream *server;
    coir_http_app_stats stats;
    (void)arg;
    COIR_TRY(open_both(&app));
    COIR_TRY(coir_stream_open(&lent, stream, &server));
    int r = coir_http_app_serve_stream(app, server);
    coir_http_app_stats_get(app, &stats);
    COIR_EXPECT_EQ(stats.connections, 0);
    COIR_EXPECT_EQ(stats.idle, 0);
    return r;
}

COIR_TEST_TAGGED(sessions_may_break_off_at_any_byte, "no_torture,limit=60")
{
    static const char *const sessions[] = {
        GET("/ignored") POST CL "5\r\n\r\nhello" GET("/"),
        POST TE "chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n" GET("/nowhere"),
        "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n" CL "2\r\n\r\nab" GET("/"),
        "POST /ignored HTTP/1.1\r\n" HOST CL "5\r\n\r\nhello" GET("/"),
        "HEAD / HTTP/1.1\r\n" HOST "\r\n" POST "Transfer-Encoding : chunked\r\n\r\n",
    };
    for (size_t i = 0; i < COIR_COUNT(sessions); i++) {
        coir_byte_session session = {.program = serve_session,
                                     .input = sessions[i],
                                     .length = strlen(sessions[i]),
                                     .limit = COIR_SEC(300)};
        coir_test_bytes(&session);
    }
}
