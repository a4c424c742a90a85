/* fuzz_http_response.c: any bytes as what a server answers a client, to the end of the connection.
 * Libraries: http Sources: src/http
 *
 * The first byte chooses the method, the second one how many bytes come at a time. Besides what
 * sanitizers see: the verdict, the status, the headers and the unpacked body are the same for
 * pieces and for the whole, the body is no longer than its limit, and what is behind a response is
 * never taken for the next one: a second request gets what the first one got, or the end.
 */
#include "fuzz.h"

#include <errno.h>
#include <stdio.h>

#include <coir/http_session.h>

enum { LIMIT = 1 << 16 };

/* A way to answer, and what the client makes of it. */
struct exchange {
    const unsigned char *data;
    size_t length, piece;
    const char *method;
    int codes[2];         /* of two requests */
    coir_buffer texts[2]; /* what was understood */
};

/* Answers the first request of a connection, whatever it says. */
static int answer(coir_stream *stream, void *arg)
{
    const struct exchange *exchange = arg;
    coir_bytes head;
    COIR_TRY(coir_stream_read_until(stream, "\r\n\r\n", 4, 0, &head));
    size_t piece = exchange->piece > 0 ? exchange->piece : exchange->length;
    for (size_t at = 0, n; at < exchange->length; at += n) {
        n = exchange->length - at < piece ? exchange->length - at : piece;
        if (coir_stream_write(stream, exchange->data + at, n) < 0)
            break; /* the client has heard enough */
        if (exchange->piece > 0)
            COIR_TRY(coir_yield());
    }
    coir_clear_error();
    return 0;
}

static void put(coir_buffer *text, const char *value)
{
    require(coir_buffer_append(text, value, strlen(value) + 1) == 0);
}

static int ask(coir_http_session *http, const char *url, const char *method, coir_buffer *ret_text)
{
    COIR_AUTO(coir_http_response) *response = NULL;
    char status[16];
    coir_bytes body;
    COIR_TRY(coir_http_send(http, method, url, NULL, &response));
    (void)snprintf(status, sizeof status, "%d", coir_http_response_status(response));
    put(ret_text, status);
    for (const coir_http_header *at = coir_http_response_headers(response); at->name != NULL;
         at++) {
        put(ret_text, at->name);
        put(ret_text, at->value);
    }
    COIR_TRY(coir_http_response_read(response, &body));
    require(body.length <= LIMIT);
    require(body.length == 0 || coir_buffer_append(ret_text, body.data, body.length) == 0);
    return 0;
}

static int talk(struct exchange *exchange, coir_listener *listener)
{
    COIR_AUTO(coir_http_session) *http = NULL;
    char address[COIR_ADDRESS_TEXT], url[COIR_ADDRESS_TEXT + 16];
    const coir_http_session_opts opts = {
        .redirects = (unsigned)-1, .body_limit = LIMIT, .no_cookies = true};
    COIR_TRY(coir_http_session_open(&opts, &http));
    COIR_TRY(coir_listener_address(listener, address, sizeof address));
    (void)snprintf(url, sizeof url, "http://%s/", address);
    for (int i = 0; i < 2; i++) {
        exchange->codes[i] = ask(http, url, exchange->method, &exchange->texts[i]);
        coir_clear_error();
    }
    return 0;
}

struct serving {
    coir_listener *listener;
    struct exchange *exchange;
};

static int serve(void *arg)
{
    const struct serving *serving = arg;
    return coir_listener_serve(serving->listener, answer, serving->exchange);
}

static int run(void *arg)
{
    struct exchange *exchange = arg;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    struct serving serving = {listener, exchange};
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, serve, &serving, NULL));
    int r = talk(exchange, listener);
    coir_group_cancel(&group, "done");
    if (coir_group_wait(&group) < 0)
        coir_clear_error(); /* the client has left in the midst of an answer */
    return r;
}

static bool same(const coir_buffer *a, const coir_buffer *b)
{
    return a->length == b->length && (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

/* Whether the connection has: one that was kept, and that the server has closed meanwhile. */
static bool has_ended(int code)
{
    return code == -COIR_EEOF || code == -ECONNRESET || code == -EPIPE;
}

static void close_texts(struct exchange *exchange)
{
    coir_buffer_close(&exchange->texts[0]);
    coir_buffer_close(&exchange->texts[1]);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "DELETE"};
    if (length < 2)
        return 0;
    struct exchange whole = {
        .data = data + 2, .length = length - 2, .method = methods[data[0] % COIR_COUNT(methods)]};
    struct exchange pieces = whole;
    pieces.piece = 1 + data[1];
    run_in_loop(run, &whole);
    run_in_loop(run, &pieces);
    if (!has_ended(whole.codes[1]))
        require(whole.codes[0] == whole.codes[1] && same(&whole.texts[0], &whole.texts[1]));
    require(whole.codes[0] == pieces.codes[0] && same(&whole.texts[0], &pieces.texts[0]));
    close_texts(&whole);
    close_texts(&pieces);
    return 0;
}
