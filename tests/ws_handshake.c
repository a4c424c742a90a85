/* ws_handshake.c: how a WebSocket begins, as data: what clients ask and are answered, what both
 * ends agree on, and what of it is refused.
 */
#include <coir/tcp.h>

#include "http/ws/ws.h"

#include "ws_place.h"

#define ASK(more) "GET / HTTP/1.1\r\n" HOST more "\r\n"
#define UP "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static int open_places(coir_http_app **ret_app)
{
    COIR_TRY(open_app((coir_http_app_opts){0}, ret_app));
    coir_http_app_websocket(*ret_app, "/", echo);
    coir_http_app_websocket_with(
        *ret_app, "/some", echo,
        &(coir_ws_opts){.origins = "https://one.org, https://two.org:444", .hosts = "a, b:81"});
    coir_http_app_websocket_with(*ret_app, "/all", echo, &(coir_ws_opts){.origins = "*"});
    coir_http_app_websocket_with(*ret_app, "/chat", echo,
                                 &(coir_ws_opts){.protocols = "chat.v2, chat.v1"});
    return 0;
}

/* Expects that the reply to input begins with that status, and that part is somewhere in it. */
static void expect_reply(coir_http_app *app, const char *input, const char *status,
                         const char *part)
{
    COIR_AUTO(coir_buffer) text = {0};
    char expected[32];
    (void)snprintf(expected, sizeof expected, "HTTP/1.1 %s ", status);
    COIR_REQUIRE_OK(visit(app, input, &text));
    if (strncmp(coir_buffer_text(&text), expected, strlen(expected)) != 0)
        COIR_FAIL("%s is answered by %s", input, coir_buffer_text(&text));
    COIR_EXPECT_CONTAINS(coir_buffer_text(&text), part);
}

COIR_TEST_TAGGED(requests, "limit=30,slow")
{
    static const struct {
        const char *input, *status, *part;
    } requests[] = {
        {WS_REQUEST("/", ""), "101", WS_ANSWER},
        {ASK("upgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\n" V13 KEY), "101",
         WS_ANSWER},
        {ASK("Upgrade: other, websocket\r\nConnection: Upgrade\r\n" V13 KEY), "101", WS_ANSWER},
        {ASK(""), "426",
         "\r\nUpgrade: websocket\r\nContent-Length: 52\r\nConnection: Upgrade\r\n\r\n426 Up"},
        {ASK("Connection: close\r\n"), "426",
         "\r\nUpgrade: websocket\r\nContent-Length: 52\r\nConnection: close, Upgrade\r\n\r\n"},
        {ASK("Upgrade: websocket\r\n" V13 KEY), "426", "only WebSocket"},
        {ASK("Connection: Upgrade\r\n" V13 KEY), "426", "only WebSocket"},
        {ASK("Upgrade: h2c\r\nConnection: Upgrade\r\n" V13 KEY), "426", "only WebSocket"},
        {"GET / HTTP/1.0\r\n" UP V13 KEY "\r\n", "426", "\r\nConnection: close, Upgrade\r\n"},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "426",
         "\r\nConnection: keep-alive, Upgrade\r\n"},
        {"POST / HTTP/1.1\r\n" HOST UP V13 KEY "Content-Length: 0\r\n\r\n", "405", "Allow: GET"},
        {ASK(UP KEY), "426",
         "\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nContent-Length: 66\r\n"
         "Connection: Upgrade\r\n\r\n"},
        {ASK(UP KEY "Sec-WebSocket-Version: 8\r\n"), "426", "only version 13"},
        {ASK(UP V13), "400", "Sec-WebSocket-Key"},
        {ASK(UP V13 "Sec-WebSocket-Key: \r\n"), "400", "Sec-WebSocket-Key"},
        {ASK(UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n"), "400", "Sec-WebSocket-Key"},
        {ASK(UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n"), "400", "Sec-WebSocket-Key"},
        {ASK(UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZ!Bub25jZQ==\r\n"), "400", "Sec-WebSocket-Key"},
        {ASK(UP V13 KEY KEY), "400", "Sec-WebSocket-Key"},
        /* a page of the same host, with the port that its scheme has or without */
        {WS_REQUEST("/", "Origin: http://a\r\n"), "101", ""},
        {WS_REQUEST("/", "Origin: https://A\r\n"), "101", ""},
        {WS_REQUEST("/", "Origin: http://a:80\r\n"), "101", ""},
        {WS_REQUEST("/", "Origin: https://a:443\r\n"), "101", ""},
        {WS_REQUEST("/", "Origin: http://a:443\r\n"), "403", "that origin"},
        {WS_REQUEST("/", "Origin: http://a:8080\r\n"), "403", "that origin"},
        {WS_REQUEST("/", "Origin: http://aa\r\n"), "403", "that origin"},
        {WS_REQUEST("/", "Origin: http://a.evil.org\r\n"), "403", "that origin"},
        {WS_REQUEST("/", "Origin: http://b\r\n"), "403", "that origin"},
        {WS_REQUEST("/", "Origin: null\r\n"), "403", "that origin"},
        {WS_REQUEST("/", "Origin: \r\n"), "403", "that origin"},
        {WS_REQUEST("/", "Origin: http://a\r\nOrigin: http://b\r\n"), "403", "that origin"},
        {WS_REQUEST("/some", "Origin: https://one.org\r\n"), "101", ""},
        {WS_REQUEST("/some", "Origin: https://two.org:444\r\n"), "101", ""},
        {WS_REQUEST("/some", "Origin: https://two.org\r\n"), "403", "that origin"},
        {WS_REQUEST("/some", "Origin: http://one.org\r\n"), "403", "that origin"},
        {WS_REQUEST("/all", "Origin: http://anywhere\r\n"), "101", ""},
        {"GET /some HTTP/1.1\r\nHost: b:81\r\n" UP V13 KEY "\r\n", "101", ""},
        {"GET /some HTTP/1.1\r\nHost: b\r\n" UP V13 KEY "\r\n", "403", "this host"},
        {"GET /some HTTP/1.1\r\nHost: c\r\n" UP V13 KEY "\r\n", "403", "this host"},
        /* what is spoken: as the server likes it best */
        {WS_REQUEST("/chat", "Sec-WebSocket-Protocol: chat.v1, x\r\n"), "101",
         "\r\nSec-WebSocket-Protocol: chat.v1\r\n"},
        {WS_REQUEST("/chat",
                    "Sec-WebSocket-Protocol: chat.v1\r\nSec-WebSocket-Protocol: chat.v2\r\n"),
         "101", "\r\nSec-WebSocket-Protocol: chat.v2\r\n"},
        {WS_REQUEST("/chat", "Sec-WebSocket-Protocol: x\r\n"), "101", WS_ANSWER},
        {WS_REQUEST("/", "Sec-WebSocket-Extensions: permessage-deflate\r\n"), "101",
         "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
         "client_no_context_takeover\r\n"},
        {WS_REQUEST("/", "Sec-WebSocket-Extensions: x, y; z=1\r\n"), "101", WS_ANSWER},
    };
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_places(&app));
    for (size_t i = 0; i < COIR_COUNT(requests); i++)
        expect_reply(app, requests[i].input, requests[i].status, requests[i].part);
}

/* What is sent behind the request, without waiting for the answer, is not lost. */
COIR_TEST(frames_behind_the_request)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_buffer) text = {0};
    COIR_REQUIRE_OK(open_places(&app));
    static const char input[] = WS_REQUEST("/", "") "\x81\x81\0\0\0\0x\x88\x80\0\0\0\0";
    COIR_REQUIRE_OK(visit_bytes(app, input, sizeof input - 1, &text));
    COIR_EXPECT_STR(coir_buffer_text(&text), WS_ANSWER "\x81\x01x\x88");
}

/* ---- compression ---- */

#define DEFLATE "permessage-deflate"
#define ALONE "; server_no_context_takeover; client_no_context_takeover"

COIR_TEST(offers_of_compression)
{
    static const struct {
        coir_ws_opts opts;
        const char *offer, *answer;
    } cases[] = {
        {{0}, "", ""},
        {{0}, DEFLATE, DEFLATE ALONE},
        {{0}, "PerMessage-Deflate", DEFLATE ALONE},
        {{0}, DEFLATE "; client_max_window_bits", DEFLATE ALONE "; client_max_window_bits=15"},
        {{0}, DEFLATE "; client_max_window_bits=9", DEFLATE ALONE "; client_max_window_bits=9"},
        {{0}, DEFLATE "; server_max_window_bits=10", DEFLATE ALONE "; server_max_window_bits=10"},
        {{0},
         DEFLATE ";server_max_window_bits = \"10\" ",
         DEFLATE ALONE "; server_max_window_bits=10"},
        {{0}, DEFLATE "; server_max_window_bits=8", DEFLATE ALONE "; server_max_window_bits=8"},
        {{.window_bits = 11},
         DEFLATE "; server_max_window_bits=12; client_max_window_bits",
         DEFLATE ALONE "; server_max_window_bits=11; client_max_window_bits=11"},
        {{.deflate = COIR_WS_DEFLATE_CONTEXT}, DEFLATE, DEFLATE},
        {{.deflate = COIR_WS_DEFLATE_CONTEXT},
         DEFLATE "; server_no_context_takeover",
         DEFLATE "; server_no_context_takeover"},
        {{.deflate = COIR_WS_DEFLATE_CONTEXT},
         DEFLATE "; client_no_context_takeover",
         DEFLATE "; client_no_context_takeover"},
        {{.deflate = COIR_WS_DEFLATE_OFF}, DEFLATE, ""},
        {{0}, "x-webkit-deflate-frame, " DEFLATE, DEFLATE ALONE},
        {{0}, DEFLATE "; nonsense, " DEFLATE, DEFLATE ALONE},
        {{0}, "bbf-usp-protocol; eid=\"a;b\", " DEFLATE, DEFLATE ALONE},
        {{0}, DEFLATE "; server_max_window_bits=7", ""},
        {{0}, DEFLATE "; server_max_window_bits=16", ""},
        {{0}, DEFLATE "; server_max_window_bits=010", ""},
        {{0}, DEFLATE "; server_max_window_bits=", ""},
        {{0}, DEFLATE "; server_max_window_bits", ""},
        {{0}, DEFLATE "; server_max_window_bits=\"10", ""},
        {{0}, DEFLATE "; client_max_window_bits=20", ""},
        {{0}, DEFLATE "; client_max_window_bits; client_max_window_bits", ""},
        {{0}, DEFLATE "; server_no_context_takeover; server_no_context_takeover", ""},
        {{0}, DEFLATE "; server_no_context_takeover=1", ""},
        {{0}, DEFLATE "; unknown", ""},
        {{0}, DEFLATE ";", ""},
        {{0}, DEFLATE " x", ""},
        {{0}, ", ,", ""},
    };
    for (size_t i = 0; i < COIR_COUNT(cases); i++) {
        COIR_AUTO(coir_buffer) answer = {0};
        struct coir__ws_terms terms;
        COIR_REQUIRE_OK(coir__ws_deflate_accept(cases[i].offer, &cases[i].opts, &terms, &answer));
        if (strcmp(coir_buffer_text(&answer), cases[i].answer) != 0)
            COIR_FAIL("'%s' is answered by '%s'", cases[i].offer, coir_buffer_text(&answer));
        COIR_EXPECT_EQ(terms.used, answer.length > 0);
    }
}

COIR_TEST(answers_about_compression)
{
    static const struct {
        coir_ws_opts opts;
        const char *answer;
        bool good, used;
    } cases[] = {
        {{0}, "", true, false},
        {{0}, DEFLATE ALONE, true, true},
        {{0}, DEFLATE "; server_no_context_takeover", true, true},
        {{0}, DEFLATE ALONE "; server_max_window_bits=9", true, true},
        {{0}, DEFLATE ALONE "; client_max_window_bits=9", true, true},
        {{.deflate = COIR_WS_DEFLATE_CONTEXT}, DEFLATE, true, true},
        {{.window_bits = 10}, DEFLATE ALONE "; server_max_window_bits=10", true, true},
        {{.window_bits = 10}, DEFLATE ALONE "; server_max_window_bits=11", false, false},
        {{.window_bits = 10}, DEFLATE ALONE, false, false},
        {{0}, DEFLATE, false, false}, /* the context is to be kept, though it was asked not to */
        {{0}, DEFLATE ALONE "; client_max_window_bits", false, false},
        {{0}, DEFLATE ALONE "; unknown", false, false},
        {{0}, DEFLATE ALONE ", " DEFLATE ALONE, false, false},
        {{0}, "x", false, false},
        {{.deflate = COIR_WS_DEFLATE_OFF}, DEFLATE, false, false},
    };
    for (size_t i = 0; i < COIR_COUNT(cases); i++) {
        struct coir__ws_terms terms;
        const char *wrong = coir__ws_deflate_agree(cases[i].answer, &cases[i].opts, &terms);
        if ((wrong == NULL) != cases[i].good || terms.used != cases[i].used)
            COIR_FAIL("'%s': %s", cases[i].answer, wrong != NULL ? wrong : "is accepted");
    }
}

/* ---- servers that answer wrongly ---- */

struct liar {
    coir_listener *listener;
    const char *head;
    const char *more; /* headers after the right answer; NULL: head is all there is */
};

static int lie(coir_stream *stream, void *arg)
{
    const struct liar *liar = arg;
    coir_bytes head;
    char answer[32] = "";
    if (COIR_TRY(coir_stream_read_until(stream, "\r\n\r\n", 4, 0, &head)) == 0)
        return 0;
    const char *key = memmem(head.data, head.length, "Sec-WebSocket-Key: ", 19);
    if (!COIR_EXPECT(key != NULL))
        return -EPROTO;
    coir__ws_answer(key + 19, answer);
    COIR_TRY(coir_stream_write(stream, liar->head, strlen(liar->head)));
    if (liar->more == NULL)
        return 0;
    COIR_TRY(coir_stream_write(stream, "Sec-WebSocket-Accept: ", 22));
    COIR_TRY(coir_stream_write(stream, answer, strlen(answer)));
    return coir_stream_write(stream, liar->more, strlen(liar->more));
}

static int serve_lies(void *arg)
{
    struct liar *liar = arg;
    return coir_listener_serve(liar->listener, lie, liar);
}

#define HEAD101 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

COIR_TEST_TAGGED(wrong_servers, "slow,limit=30")
{
    static const struct {
        const char *head, *more;
        int code;
    } cases[] = {
        {HEAD101, "\r\n\r\n", 0},
        {HEAD101, "\r\nSec-WebSocket-Protocol: b\r\n\r\n", 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", NULL, -COIR_ESTATUS},
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", NULL, -COIR_ESTATUS},
        {HEAD101 "\r\n", NULL, -COIR_EWEBSOCKET},
        {HEAD101 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", NULL,
         -COIR_EWEBSOCKET},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n", "\r\n\r\n",
         -COIR_EHTTP},
        {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n", "\r\n\r\n", -COIR_EHTTP},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n", "\r\n\r\n", -COIR_EHTTP},
        {HEAD101, "\r\nSec-WebSocket-Protocol: c\r\n\r\n", -COIR_EWEBSOCKET},
        {HEAD101, "\r\nSec-WebSocket-Protocol: a, b\r\n\r\n", -COIR_EWEBSOCKET},
        {HEAD101, "\r\nSec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n\r\n",
         -COIR_EWEBSOCKET},
        {HEAD101, "\r\nSec-WebSocket-Extensions: x\r\n\r\n", -COIR_EWEBSOCKET},
        {HEAD101, "\r\nSec-WebSocket-Extensions: " DEFLATE "\r\n\r\n", -COIR_EWEBSOCKET},
    };
    for (size_t i = 0; i < COIR_COUNT(cases); i++) {
        struct liar liar = {.head = cases[i].head, .more = cases[i].more};
        char address[COIR_ADDRESS_TEXT], url[COIR_ADDRESS_TEXT + 16];
        COIR_AUTO(coir_http_session) *http = NULL;
        COIR_REQUIRE_OK(coir_tcp_listen("127.0.0.1:0", NULL, &liar.listener));
        COIR_AUTO(coir_listener) *listener = liar.listener;
        COIR_REQUIRE_OK(coir_listener_address(listener, address, sizeof address));
        (void)snprintf(url, sizeof url, "ws://%s/", address);
        COIR_REQUIRE_OK(coir_http_session_open(NULL, &http));
        COIR_GROUP(group);
        COIR_AUTO(coir_ws) *ws = NULL;
        COIR_REQUIRE_OK(coir_spawn(&group, serve_lies, &liar, NULL));
        int r = coir_ws_connect(http, url, &(coir_ws_opts){.protocols = "a, b"}, &ws);
        if (r != cases[i].code)
            COIR_FAIL("%zu: %s %s", i, coir_error_name(r), coir_last_message(r));
        if (r == 0) {
            coir_ws_message message;
            COIR_EXPECT_CODE(coir_ws_receive(ws, &message), -COIR_EEOF);
            COIR_EXPECT_EQ(coir_ws_close_code(ws), COIR_WS_LOST);
        }
    }
}

/* ---- servers that refuse ---- */

static int guard_it(coir_http_request *request, void *arg)
{
    (void)arg;
    if (strcmp(coir_http_request_query_text(request), "busy") != 0)
        return coir_http_next(request);
    COIR_TRY(coir_http_reply_header(request, "Retry-After", "7"));
    return coir_http_fail(request, 503, "later");
}

static int show_page(coir_http_request *request)
{
    return coir_http_reply(request, 200, "text/plain", "a page", 6);
}

static void check_refusals(bool fail_on_status)
{
    static const struct {
        const char *path, *header, *value, *body;
        int status;
    } cases[] = {
        {"/?busy", "Retry-After", "7", "503 Service Unavailable: later\n", 503},
        {"/nothing", "Content-Type", "text/plain; charset=utf-8", "404 Not Found\n", 404},
        {"/page", "Content-Length", "6", "a page", 200},
    };
    PLACE(0);
    coir_http_app_use(place.app, guard_it, NULL);
    coir_http_app_websocket(place.app, "/", echo);
    coir_http_app_get(place.app, "/page", show_page);
    const coir_http_test_opts test = {.session = {.fail_on_status = fail_on_status}};
    COIR_REQUIRE_OK(coir_http_test_open(place.app, &test, &place.test));
    place.http = coir_http_test_session(place.test);
    for (size_t i = 0; i < COIR_COUNT(cases); i++) {
        COIR_AUTO(coir_http_response) *refusal = NULL;
        const coir_ws_opts opts = {.ret_refusal = &refusal};
        coir_ws *ws;
        coir_bytes body;
        COIR_REQUIRE_CODE(coir_ws_connect(place.http, cases[i].path, &opts, &ws), -COIR_ESTATUS);
        COIR_REQUIRE(refusal != NULL);
        COIR_EXPECT_EQ(coir_http_response_status(refusal), cases[i].status);
        COIR_EXPECT_STR(coir_http_response_header(refusal, cases[i].header), cases[i].value);
        COIR_REQUIRE_OK(coir_http_response_read(refusal, &body));
        COIR_EXPECT_STR(body.data, cases[i].body);
        COIR_EXPECT_CODE(coir_ws_connect(place.http, cases[i].path, NULL, &ws), -COIR_ESTATUS);
    }
}

/* What the server has answered is there as any response is, */
COIR_TEST(refusals_are_shown)
{
    check_refusals(false);
}

/* also where its status would be a failure of the session's. */
COIR_TEST(refusals_are_shown_by_a_session_that_fails_on_them)
{
    check_refusals(true);
}

/* There is none after a success, nor after another failure. */
COIR_TEST(no_refusal_to_be_shown)
{
    PLACE(0);
    coir_http_app_websocket(place.app, "/", echo);
    OPEN();
    COIR_AUTO(coir_http_response) *first = NULL;
    COIR_AUTO(coir_http_response) *refusal = NULL;
    COIR_AUTO(coir_ws) *ws = NULL;
    const coir_ws_opts opts = {.ret_refusal = &refusal};
    COIR_REQUIRE_CODE(coir_ws_connect(place.http, "/nothing", &opts, &ws), -COIR_ESTATUS);
    first = refusal;
    COIR_REQUIRE(first != NULL);
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/", &opts, &ws));
    COIR_EXPECT(refusal == NULL);
    refusal = first;
    coir_ws *other;
    COIR_EXPECT_CODE(coir_ws_connect(place.http, "ftp://a/", &opts, &other), -COIR_EURL);
    COIR_EXPECT(refusal == NULL);
}

/* ---- mistakes ---- */

COIR_TEST(wrong_options)
{
    COIR_AUTO(coir_http_session) *http = NULL;
    coir_ws *ws = NULL;
    coir_ws_message message;
    COIR_REQUIRE_OK(coir_http_session_open(NULL, &http));
    COIR_EXPECT_CODE(coir_ws_connect(http, "ws://a", &(coir_ws_opts){.window_bits = 8}, &ws),
                     -EINVAL);
    COIR_EXPECT_CODE(coir_ws_connect(http, "ws://a", &(coir_ws_opts){.heartbeat = -1}, &ws),
                     -EINVAL);
    COIR_EXPECT_CODE(coir_ws_connect(http, "ftp://a", NULL, &ws), -COIR_EURL);
    COIR_EXPECT_CODE(coir_ws_connect(NULL, "ws://a", NULL, &ws), -EINVAL);
    COIR_EXPECT_CODE(coir_ws_receive(NULL, &message), -EINVAL);
    COIR_EXPECT_CODE(coir_ws_send(NULL, COIR_TEXT, (coir_bytes){0}), -EINVAL);
    COIR_EXPECT_CODE(coir_ws_broadcast(NULL, COIR_TEXT, (coir_bytes){0}, NULL), -EINVAL);
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_websocket_with(app, "/x", echo, &(coir_ws_opts){.window_bits = 99});
    COIR_AUTO(coir_stream) *a = NULL, *b = NULL;
    COIR_REQUIRE_OK(coir_stream_pair(0, &a, &b));
    COIR_EXPECT_CODE(coir_http_app_serve_stream(app, COIR_TAKE(b)), -EINVAL);
    COIR_EXPECT_STR(coir_last_message(-EINVAL), "websocket '/x': its options are wrong");
}
