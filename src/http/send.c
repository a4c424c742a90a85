/* send.c: requests: from what a program asks for to a response whose head is there.
 *
 * Three loops, one in the other: redirects, over attempts, over the heads of one connection. An
 * attempt is repeated only on a connection that was kept and has died before a byte of the response
 * came, and only when asking twice is as good as once. What is secret (a password, a token, the
 * program's own Authorization and Cookie) goes to the origin that it was given for, and to no other
 * that a redirect leads to. Called by programs.
 */
#include "session.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <jansson.h>

#include <coir/memory.h>
#include <coir/tls.h>

enum { INTERIM_MOST = 16, SMALL = 16 << 10 };

/* A request under way. */
struct call {
    coir_http_session *session;
    const char *method;
    const coir_http_request_opts *opts;
    const coir_site *site;
    coir_url url;
    coir_buffer origin; /* of url: "http://example.org:80" */
    coir_bytes body;
    const char *type;  /* of body, or NULL */
    coir_buffer form;  /* what body is made of */
    char *json;        /* likewise */
    bool streams;      /* opts->stream is the body, */
    bool stream_begun; /* of which nobody knows any more what it was */
    bool foreign;      /* a redirect has led to another origin than that of the program's URL */
    bool answered;     /* a byte of the response has come */
};

/* ---- what a request says ---- */

static bool is_ours(const char *name)
{
    static const char *const names[] = {"Host", "Connection", "Content-Length",
                                        "Transfer-Encoding"};
    for (size_t i = 0; i < COIR_COUNT(names); i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool is_secret(const char *name)
{
    return strcasecmp(name, "Authorization") == 0 || strcasecmp(name, "Cookie") == 0 ||
           strcasecmp(name, "Proxy-Authorization") == 0;
}

static int put_headers(const struct call *call, coir_buffer *out, const coir_http_header *headers,
                       const coir_http_header *instead)
{
    for (; headers != NULL && headers->name != NULL; headers++) {
        if (is_ours(headers->name))
            return coir_fail(-EINVAL, "the header %.40s is not for programs", headers->name);
        if ((call->foreign && is_secret(headers->name)) ||
            coir_http_header_get(instead, headers->name) != NULL)
            continue;
        COIR_TRY(coir__http_put_header(out, headers->name, headers->value));
    }
    return 0;
}

static const char *own_header(const struct call *call, const char *name)
{
    const char *value = coir_http_header_get(call->opts->headers, name);
    return value != NULL ? value : coir_http_header_get(call->session->opts.headers, name);
}

static int put_base64(coir_buffer *out, const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = (const unsigned char *)text;
    for (size_t left = strlen(text); left > 0; left -= left < 3 ? left : 3, at += 3) {
        unsigned bits =
            (unsigned)at[0] << 16 | (left > 1 ? (unsigned)at[1] << 8 : 0) | (left > 2 ? at[2] : 0u);
        char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63],
                        left > 1 ? digits[bits >> 6 & 63] : '=',
                        left > 2 ? digits[bits & 63] : '='};
        COIR_TRY(coir_buffer_append(out, four, sizeof four));
    }
    return 0;
}

static int put_basic(coir_buffer *out, const char *user, const char *password)
{
    COIR_AUTO(coir_buffer) both = {0};
    if (strchr(user, ':') != NULL)
        return coir_fail(-EINVAL, "the name of a user has no colon");
    COIR_TRY(coir__http_put(&both, user));
    COIR_TRY(coir__http_put(&both, ":"));
    COIR_TRY(coir__http_put(&both, password != NULL ? password : ""));
    COIR_TRY(coir__http_put(out, "Authorization: Basic "));
    COIR_TRY(put_base64(out, coir_buffer_text(&both)));
    return coir__http_put(out, "\r\n");
}

static bool is_same_origin(const coir_url *a, const coir_url *b)
{
    return a->host != NULL && b->host != NULL && strcmp(a->scheme, b->scheme) == 0 &&
           strcmp(a->host, b->host) == 0 && a->port == b->port;
}

/* What stands in the URL goes before what the session has, and that is for its base only. */
static int put_authorization(const struct call *call, coir_buffer *out)
{
    const coir_http_session_opts *opts = &call->session->opts;
    if (!call->foreign && own_header(call, "Authorization") != NULL)
        return 0;
    if (call->url.user != NULL)
        return put_basic(out, call->url.user, call->url.password);
    if (!is_same_origin(&call->session->base, &call->url))
        return 0;
    if (opts->user != NULL)
        return put_basic(out, opts->user, opts->password);
    if (opts->bearer == NULL)
        return 0;
    COIR_AUTO(coir_buffer) value = {0};
    COIR_TRY(coir__http_put(&value, "Bearer "));
    COIR_TRY(coir__http_put(&value, opts->bearer));
    return coir__http_put_header(out, "Authorization", coir_buffer_text(&value));
}

/* Whether a request of that method says that it has no body. */
static bool announces_nothing(const char *method)
{
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
           strcmp(method, "PATCH") == 0;
}

static int put_framing(const struct call *call, coir_buffer *out)
{
    if (call->type != NULL && own_header(call, "Content-Type") == NULL)
        COIR_TRY(coir__http_put_header(out, "Content-Type", call->type));
    if (call->streams && call->opts->stream_length == 0)
        return coir__http_put(out, "Transfer-Encoding: chunked\r\n");
    uint64_t length = call->streams ? call->opts->stream_length : call->body.length;
    if (length == 0 && !announces_nothing(call->method))
        return 0;
    COIR_TRY(coir__http_put(out, "Content-Length: "));
    COIR_TRY(coir__http_put_number(out, length));
    return coir__http_put(out, "\r\n");
}

static int put_head(const struct call *call, coir_buffer *out)
{
    const coir_url *url = &call->url;
    const coir_http_session_opts *opts = &call->session->opts;
    const char *host = strstr(coir_buffer_text(&call->origin), "://") + 3;
    size_t length = strlen(host);
    if (url->port == (strcmp(url->scheme, "https") == 0 ? 443 : 80))
        length = (size_t)(strrchr(host, ':') - host);
    out->length = 0;
    COIR_TRY(coir__http_put(out, call->method));
    COIR_TRY(coir__http_put(out, url->path[0] != '\0' ? " " : " /"));
    COIR_TRY(coir__http_put(out, url->path));
    if (url->query != NULL) {
        COIR_TRY(coir__http_put(out, "?"));
        COIR_TRY(coir__http_put(out, url->query));
    }
    COIR_TRY(coir__http_put(out, " HTTP/1.1\r\nHost: "));
    COIR_TRY(coir_buffer_append(out, host, length));
    COIR_TRY(coir__http_put(out, opts->no_keep_alive ? "\r\nConnection: close\r\n" : "\r\n"));
    COIR_TRY(put_headers(call, out, opts->headers, call->opts->headers));
    COIR_TRY(put_headers(call, out, call->opts->headers, NULL));
    if (call->opts->upgrade != NULL) {
        COIR_TRY(coir__http_put(out, "Connection: Upgrade\r\n"));
        COIR_TRY(coir__http_put_header(out, "Upgrade", call->opts->upgrade));
    } else if (!opts->no_compression && own_header(call, "Accept-Encoding") == NULL)
        COIR_TRY(coir__http_put(out, "Accept-Encoding: gzip, deflate, br, zstd\r\n"));
    COIR_TRY(put_authorization(call, out));
    if (!opts->no_cookies && (call->foreign || own_header(call, "Cookie") == NULL))
        COIR_TRY(coir__cookies_put(&call->session->cookies, url, time(NULL), out));
    COIR_TRY(put_framing(call, out));
    return coir__http_put(out, "\r\n");
}

/* ---- sending ---- */

static int send_chunk(coir_stream *stream, coir_bytes bytes)
{
    char line[24];
    int length = snprintf(line, sizeof line, "%zx\r\n", bytes.length);
    const struct iovec vectors[] = {{line, (size_t)length},
                                    {(void *)(uintptr_t)bytes.data, bytes.length},
                                    {(void *)(uintptr_t) "\r\n", 2}};
    return coir_stream_write_vectors(stream, vectors, COIR_COUNT(vectors));
}

/* Sends what the program's stream has: all of it in chunks, or as much as it has announced. */
static int send_stream(struct call *call, coir_stream *to)
{
    uint64_t left = call->opts->stream_length;
    bool chunked = left == 0;
    coir_bytes bytes;
    int r = 1;
    call->stream_begun = true;
    while ((chunked || left > 0) && (r = coir_stream_peek(call->opts->stream, 1, &bytes)) > 0) {
        if (!chunked && bytes.length > left)
            bytes.length = (size_t)left;
        COIR_TRY(chunked ? send_chunk(to, bytes) : coir_stream_write(to, bytes.data, bytes.length));
        coir_stream_consume(call->opts->stream, bytes.length);
        left -= chunked ? 0 : bytes.length;
    }
    if (r < 0)
        return r;
    if (left > 0)
        return coir_fail(-COIR_EEOF, "the stream of the body ended too early");
    return chunked ? coir_stream_write(to, "0\r\n\r\n", 5) : 0;
}

static int send_request(struct call *call, struct coir__http_link *link)
{
    coir_buffer *out = &link->out;
    COIR_TRY(put_head(call, out));
    if (call->body.length <= SMALL) {
        COIR_TRY(coir_buffer_append(out, call->body.data, call->body.length));
        COIR_TRY(coir_stream_write(link->stream, out->data, out->length));
    } else {
        const struct iovec vectors[] = {{out->data, out->length},
                                        {(void *)(uintptr_t)call->body.data, call->body.length}};
        COIR_TRY(coir_stream_write_vectors(link->stream, vectors, COIR_COUNT(vectors)));
    }
    return call->streams ? send_stream(call, link->stream) : 0;
}

/* ---- the head of a response ---- */

static int wait_for(struct call *call, coir_stream *stream, size_t least, coir_bytes *ret_bytes)
{
    COIR_SCOPE(silence, call->session->opts.read_limit);
    int r = coir_stream_peek(stream, least, ret_bytes);
    coir_scope_leave(&silence);
    if (r == -ETIME && coir_scope_expired(&silence))
        return coir_fail(-ETIMEDOUT, "the server does not answer");
    if (r == 0 || r == -COIR_EEOF)
        return coir_fail(-COIR_EEOF, "the server has closed the connection");
    call->answered |= r > 0;
    return r;
}

static int read_head(struct call *call, coir_stream *stream, struct coir__http_head *head)
{
    coir_bytes bytes;
    size_t size = 0, least = 1;
    int status;
    const char *wrong = NULL;
    for (;;) {
        COIR_TRY(wait_for(call, stream, least, &bytes));
        int r =
            coir__http_parse_head(head, true, bytes, &coir__http_limits, &size, &status, &wrong);
        if (r < 0)
            return wrong != NULL ? coir_fail(r, "no response of HTTP: %s", wrong) : r;
        if (r > 0)
            break;
        least = bytes.length + 1;
    }
    coir_stream_consume(stream, size);
    return 0;
}

static int check_upgrade(const struct call *call, const struct coir__http_head *head)
{
    const char *protocol = coir_http_header_get(head->headers, "Upgrade");
    if (call->opts->upgrade == NULL || !head->upgrade || protocol == NULL ||
        !coir__http_has_token(protocol, call->opts->upgrade))
        return coir_fail(-COIR_EHTTP, "the server speaks another protocol, unasked");
    return 0;
}

/* What comes before the response proper (100, 103) is passed over. */
static int read_final_head(struct call *call, coir_stream *stream, struct coir__http_head *head)
{
    for (int i = 0; i < INTERIM_MOST; i++) {
        COIR_TRY(read_head(call, stream, head));
        if (head->status == 101)
            return check_upgrade(call, head);
        if (head->status >= 200)
            return 0;
    }
    return coir_fail(-COIR_EHTTP, "the server sends no end of interim responses");
}

/* ---- attempts ---- */

static bool is_idempotent(const char *method)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < COIR_COUNT(methods); i++)
        if (strcmp(method, methods[i]) == 0)
            return true;
    return false;
}

/* Whether a connection was dead before the request came to it, as far as one can tell. */
static bool may_repeat(const struct call *call, uint64_t uses, int code)
{
    bool dead = code == -COIR_EEOF || code == -ECONNRESET || code == -EPIPE ||
                code == -COIR_ETRUNCATED || code == -COIR_EBROKENSTREAM;
    return dead && uses > 1 && !call->answered && !call->opts->no_retry && !call->stream_begun &&
           is_idempotent(call->method) && coir_pending() == 0;
}

static int take_cookies(struct call *call, const coir_http_response *response)
{
    const coir_http_header *at = response->head.headers;
    for (; at->name != NULL && !call->session->opts.no_cookies; at++)
        if (strcasecmp(at->name, "Set-Cookie") == 0)
            COIR_TRY(
                coir__cookies_take(&call->session->cookies, &call->url, at->value, time(NULL)));
    return 0;
}

static int take_certificate(struct call *call, coir_stream *stream)
{
    coir_tls_certificate *certificate = call->opts->ret_certificate;
    if (certificate == NULL)
        return 0;
    int r = coir_tls_stream_peer(stream, certificate);
    if (r == -EOPNOTSUPP || r == -ENOENT)
        *certificate = (coir_tls_certificate){0};
    return r == -EOPNOTSUPP || r == -ENOENT ? 0 : r;
}

static int attempt(struct call *call, coir_http_response *response)
{
    struct coir__http_link *link = response->pooled->connection;
    COIR_TRY(send_request(call, link));
    COIR_TRY(read_final_head(call, link->stream, &response->head));
    return take_certificate(call, link->stream);
}

static int exchange(struct call *call, coir_http_response *response)
{
    coir_http_session *session = call->session;
    call->answered = false;
    COIR_TRY(coir__http_pace(session, call->url.host));
    response->url.length = 0;
    COIR_TRY(coir_url_format(&call->url, &response->url));
    for (;;) {
        COIR_TRY(
            coir_pool_acquire(session->pool, coir_buffer_text(&call->origin), &response->pooled));
        uint64_t uses = response->pooled->uses;
        session->stats.reused += uses > 1;
        session->stats.requests++;
        int r = attempt(call, response);
        if (r == 0)
            r = take_cookies(call, response);
        if (r == 0)
            return coir__http_response_begin(response, call->method);
        coir_pool_discard(COIR_TAKE(response->pooled));
        if (!may_repeat(call, uses, r))
            return r;
        session->stats.retried++;
    }
}

/* ---- where to ---- */

/* Takes url over as what is asked next. */
static int aim(struct call *call, coir_url *url)
{
    char port[16];
    coir_url_close(&call->url);
    call->url = *url;
    if (call->url.host == NULL ||
        (strcmp(call->url.scheme, "http") != 0 && strcmp(call->url.scheme, "https") != 0))
        return coir_fail(-COIR_EURL, "a URL of the scheme %.20s", call->url.scheme);
    call->origin.length = 0;
    COIR_TRY(coir__http_put(&call->origin, call->url.scheme));
    COIR_TRY(coir__http_put(&call->origin, call->url.ipv6 ? "://[" : "://"));
    COIR_TRY(coir__http_put(&call->origin, call->url.host));
    (void)snprintf(port, sizeof port, call->url.ipv6 ? "]:%d" : ":%d", call->url.port);
    return coir__http_put(&call->origin, port);
}

/* Where a response sends its client, or NULL: it is what was asked for. */
static const char *location_of(const struct call *call, const coir_http_response *response)
{
    int status = response->head.status;
    bool redirects =
        status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    bool keeps = status == 307 || status == 308;
    if (!redirects || call->opts->no_redirects || call->session->opts.redirects == UINT_MAX ||
        (keeps && call->stream_begun))
        return NULL;
    return coir_http_response_header(response, "Location");
}

/* RFC 9110, section 15.4: 303, and by custom a POST with 301 and 302, go on as GET. */
static void change_method(struct call *call, int status)
{
    bool other = status == 303 ? strcmp(call->method, "HEAD") != 0
                               : status <= 302 && strcmp(call->method, "POST") == 0;
    if (!other)
        return;
    call->method = "GET";
    call->body = (coir_bytes){0};
    call->type = NULL;
    call->streams = false;
}

static int redirect(struct call *call, const coir_http_response *response, const char *location)
{
    coir_url next;
    COIR_TRY(coir_url_resolve(&call->url, location, &next));
    call->foreign |= !is_same_origin(&call->url, &next);
    change_method(call, response->head.status);
    call->session->stats.redirected++;
    return aim(call, &next);
}

static int follow(struct call *call, coir_http_response **ret_response)
{
    for (unsigned left = call->session->opts.redirects;; left--) {
        COIR_AUTO(coir_http_response) *response =
            coir__http_response_make(call->session, call->site);
        if (response == NULL)
            return -ENOMEM;
        COIR_TRY(exchange(call, response));
        const char *location = location_of(call, response);
        if (location != NULL && left == 0)
            return coir_fail(-COIR_EREDIRECTS, "more than %u redirects",
                             call->session->opts.redirects);
        if (location == NULL) {
            *ret_response = COIR_TAKE(response);
            return 0;
        }
        COIR_TRY(redirect(call, response, location));
    }
}

/* ---- what a program asks for ---- */

static int make_form(struct call *call)
{
    for (const coir_http_header *at = call->opts->form; at->name != NULL; at++)
        COIR_TRY(coir_query_add(&call->form, at->name, at->value));
    call->body = (coir_bytes){call->form.data, call->form.length};
    call->type = "application/x-www-form-urlencoded";
    return 0;
}

static int make_body(struct call *call)
{
    const coir_http_request_opts *opts = call->opts;
    call->body = opts->body;
    call->type = opts->type;
    call->streams = opts->stream != NULL;
    if ((opts->body.data != NULL) + (opts->json != NULL) + (opts->form != NULL) + call->streams > 1)
        return coir_fail(-EINVAL, "a request has one body at most");
    if (opts->form != NULL)
        return make_form(call);
    if (opts->json == NULL)
        return 0;
    call->json = json_dumps(opts->json, JSON_COMPACT | JSON_ENCODE_ANY);
    if (call->json == NULL)
        return -ENOMEM;
    call->body = (coir_bytes){call->json, strlen(call->json)};
    call->type = "application/json";
    return 0;
}

static int find_url(struct call *call, const char *text)
{
    coir_url url;
    COIR_AUTO(coir_buffer) whole = {0};
    const char *query = call->opts->query;
    if (query != NULL) {
        size_t before = strcspn(text, "#");
        COIR_TRY(coir_buffer_append(&whole, text, before));
        COIR_TRY(coir__http_put(&whole, memchr(text, '?', before) != NULL ? "&" : "?"));
        COIR_TRY(coir__http_put(&whole, query));
        text = coir_buffer_text(&whole);
    }
    COIR_TRY(call->session->base.scheme != NULL ? coir_url_resolve(&call->session->base, text, &url)
                                                : coir_url_parse(text, &url));
    return aim(call, &url);
}

static int run(struct call *call, const char *url, coir_http_response **ret_response)
{
    if (!coir__http_is_token(call->method, strlen(call->method)) ||
        strcmp(call->method, "CONNECT") == 0)
        return coir_fail(-EINVAL, "'%.20s' is no method", call->method);
    COIR_TRY(find_url(call, url));
    COIR_TRY(make_body(call));
    return follow(call, ret_response);
}

/* The failure as one of this request: "GET http://…: connect 127.0.0.1:1: connection refused". */
static int name_failure(const char *method, const char *url, int code)
{
    char text[128];
    if (code == -ECANCELED || code == -ETIME || code == -COIR_ECLOSED)
        return code;
    (void)snprintf(text, sizeof text, "%s", coir_last_message(code));
    return coir_fail(code, "%s %.90s: %s", method, url, text);
}

int coir_http_send_at(coir_http_session *session, const char *method, const char *url,
                      const coir_http_request_opts *opts, coir_http_response **ret_response,
                      const coir_site *site)
{
    static const coir_http_request_opts none;
    if (session == NULL || method == NULL || url == NULL || ret_response == NULL)
        return -EINVAL;
    if (coir_current() == NULL)
        return -COIR_ENOTASK;
    if (session->loop == NULL)
        session->loop = coir_loop_current();
    if (session->loop != coir_loop_current())
        return -COIR_EWRONGLOOP;
    struct call call = {
        .session = session, .method = method, .opts = opts != NULL ? opts : &none, .site = site};
    int r = run(&call, url, ret_response);
    coir_url_close(&call.url);
    coir_buffer_close(&call.origin);
    coir_buffer_close(&call.form);
    free(call.json);
    if (r == 0 && session->opts.fail_on_status && (*ret_response)->head.status >= 400) {
        r = coir_fail(-COIR_ESTATUS, "%d %s", (*ret_response)->head.status,
                      coir_http_status_text((*ret_response)->head.status));
        coir_http_response_close(COIR_TAKE(*ret_response));
    }
    return r < 0 ? name_failure(method, url, r) : 0;
}
