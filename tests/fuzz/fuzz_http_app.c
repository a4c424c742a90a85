/* fuzz_http_app.c: any bytes as what a client sends on a connection to a server.
 * Libraries: http Sources: src/http
 *
 * The first byte says how many bytes come at a time. Handlers ask for everything that a request has
 * and give it back, in bodies and in headers. Besides what sanitizers see: pieces are answered as
 * the whole is, and all that is answered are responses, one behind the other, whose headers are
 * those of the server, whatever the client has put into them, and none is a 500.
 */
#include "fuzz.h"

#include <jansson.h>

#include "http/server/app.h"

/* ---- the server ---- */

/* Adds what may be NULL. */
static int put(coir_buffer *text, const char *value)
{
    return coir__http_put(text, value != NULL ? value : "-");
}

static int tell(coir_http_request *request)
{
    COIR_AUTO(coir_buffer) text = {0};
    COIR_TRY(put(&text, coir_http_request_method(request)));
    COIR_TRY(put(&text, coir_http_request_path(request)));
    COIR_TRY(put(&text, coir_http_request_query(request, "a")));
    COIR_TRY(put(&text, coir_http_request_cookie(request, "a")));
    COIR_TRY(put(&text, coir_http_request_param(request, "p")));
    COIR_TRY(put(&text, coir_http_request_header(request, "Via")));
    const char *value = coir_http_request_query(request, "h");
    if (value != NULL && coir_http_reply_header(request, "X-Echo", value) == -EINVAL)
        return coir_http_fail(request, 400, "no value of a header: %s", value);
    value = coir_http_request_query(request, "c");
    if (value != NULL && coir_http_reply_cookie(request, "c", value, NULL) == -EINVAL)
        return coir_http_fail(request, 400, "no value of a cookie");
    return coir_http_reply(request, 200, "text/plain", text.data, text.length);
}

static int form(coir_http_request *request)
{
    const char *a = NULL, *b = NULL;
    COIR_TRY(coir_http_request_form(request, "a", &a));
    COIR_TRY(coir_http_request_form(request, "b", &b));
    return coir_http_reply_text(request, 200, "%s,%s", a != NULL ? a : "-", b != NULL ? b : "-");
}

/* What it says does not depend on how its body has come: not before there are 100 bytes. */
static int echo(coir_http_request *request)
{
    char data[100];
    size_t filled = 0, n;
    int r;
    COIR_TRY(coir_http_reply_begin(request, 200, "application/octet-stream"));
    while ((r = coir_http_request_read(request, data + filled, sizeof data - filled, &n)) > 0) {
        filled += n;
        if (filled < sizeof data)
            continue;
        COIR_TRY(coir_http_reply_write(request, data, filled));
        filled = 0;
    }
    return r < 0 ? r : coir_http_reply_write(request, data, filled);
}

static int whole(coir_http_request *request)
{
    coir_bytes body;
    COIR_TRY(coir_http_request_body(request, &body));
    return coir_http_reply(request, 200, NULL, body.data, body.length);
}

static int json(coir_http_request *request)
{
    json_t *value = NULL;
    COIR_TRY(coir_http_request_json(request, &value));
    return coir_http_reply_json(request, 200, value);
}

static int lead(coir_http_request *request)
{
    const char *to = coir_http_request_query(request, "to");
    int r = coir_http_redirect(request, 302, to != NULL ? to : "/");
    return r == -EINVAL ? coir_http_fail(request, 400, "no place to go to") : r;
}

static coir_http_app *open_app(void)
{
    coir_http_app *app = NULL;
    require(coir_http_app_open(&(coir_http_app_opts){.no_date = true, .body_limit = 1000}, &app) ==
            0);
    coir_http_app_route(app, NULL, "/", tell);
    coir_http_app_get(app, "/p/{p}/q", tell);
    coir_http_app_get(app, "/r/{p...}", tell);
    coir_http_app_post(app, "/form", form);
    coir_http_app_post(app, "/echo", echo);
    coir_http_app_post(app, "/whole", whole);
    coir_http_app_post(app, "/json", json);
    coir_http_app_get(app, "/lead", lead);
    return app;
}

/* ---- what it answers ---- */

struct exchange {
    const unsigned char *data;
    size_t length, piece;
    coir_buffer out;
};

static int serve(void *arg)
{
    struct exchange *exchange = arg;
    static coir_http_app *app;
    if (app == NULL)
        app = open_app();
    struct feed feed = {.data = exchange->data,
                        .length = exchange->length,
                        .piece = exchange->piece,
                        .out = &exchange->out};
    require(coir_http_app_serve_stream(app, feed_open(&feed)) == 0);
    coir_clear_error();
    return 0;
}

static void require_known(const struct coir__http_head *head)
{
    static const char *const known[] = {"Content-Type", "Content-Length", "Transfer-Encoding",
                                        "Connection",   "Allow",          "Location",
                                        "X-Echo",       "Set-Cookie",     "Vary"};
    for (size_t i = 0; i < head->count; i++) {
        bool found = false;
        for (size_t j = 0; j < COIR_COUNT(known) && !found; j++)
            found = strcmp(head->headers[i].name, known[j]) == 0;
        require(found);
    }
}

/* Whether out is made of responses: of good ones, or what is left of one whose body failed. */
static int check(void *arg)
{
    struct exchange *exchange = arg;
    struct feed feed = {.data = (const unsigned char *)exchange->out.data,
                        .length = exchange->out.length};
    COIR_AUTO(coir_stream) *stream = feed_open(&feed);
    struct coir__http_head head = {0};
    coir_bytes bytes;
    bool over = false;
    while (coir_stream_peek(stream, 1, &bytes) > 0) {
        size_t size = 0;
        int status;
        const char *wrong = NULL;
        require(!over);
        while (coir__http_parse_head(&head, true, bytes, &coir__http_limits, &size, &status,
                                     &wrong) == 0)
            require(coir_stream_peek(stream, bytes.length + 1, &bytes) > 0);
        require(size > 0 && head.status != 500);
        coir_stream_consume(stream, size);
        require_known(&head);
        struct coir__http_body body;
        coir__http_body_begin(&body, stream, &head, "GET");
        COIR_AUTO(coir_buffer) text = {0};
        int r = coir__http_body_read_all(&body, &text);
        require(r == 0 || r == -COIR_EEOF);
        over = r < 0 || (!head.keep_alive && head.status != 100);
    }
    coir__http_head_free(&head);
    coir_clear_error();
    return 0;
}

/* Whether a response to HEAD may be among them: its length is no body's. */
static bool has_head(const unsigned char *data, size_t length)
{
    return memmem(data, length, "HEAD", 4) != NULL;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
    if (length < 1)
        return 0;
    struct exchange all = {.data = data + 1, .length = length - 1};
    struct exchange pieces = {
        .data = data + 1, .length = length - 1, .piece = 1 + (size_t)data[0] % 64};
    run_in_loop(serve, &all);
    run_in_loop(serve, &pieces);
    require(all.out.length == pieces.out.length &&
            (all.out.length == 0 || memcmp(all.out.data, pieces.out.data, all.out.length) == 0));
    if (!has_head(data, length))
        run_in_loop(check, &all);
    coir_buffer_close(&all.out);
    coir_buffer_close(&pieces.out);
    return 0;
}
