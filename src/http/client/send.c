/* send.c: one exchange: a connection, a request on it, and the head of its response.
 *
 * Two loops, one in the other: attempts, over the heads of one connection. An attempt is repeated
 * only on a connection that was kept and has died before a byte of the response came, and only when
 * asking twice is as good as once. What is secret (a password, a token, the program's own
 * Authorization and Cookie) goes to the origin that it was given for, and to no other that a
 * redirect leads to. Called by call.c.
 */
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <coir/memory.h>
#include <coir/tls.h>

enum { INTERIM_MOST = 16, SMALL = 16 << 10, PIECE = 128 << 10 };

/* ---- what a request says ---- */

bool coir__http_is_own_header(const char *name)
{
    static const char *const names[] = {"Host", "Connection", "Content-Length",
                                        "Transfer-Encoding"};
    for (size_t i = 0; i < COIR_COUNT(names); i++)
        if (coir__http_alike(name, names[i]))
            return true;
    return false;
}

static bool is_secret(const char *name)
{
    return coir__http_alike(name, "Authorization") || coir__http_alike(name, "Cookie") ||
           coir__http_alike(name, "Proxy-Authorization");
}

/* What is sent: secrets of the program's stay behind on the way to another origin. */
const char *coir_http_call_header(const coir_http_call *call, const char *name)
{
    const char *value = coir_http_header_get(call->set, name);
    if (value != NULL || (call->foreign && is_secret(name)))
        return value;
    value = coir_http_header_get(call->opts->headers, name);
    return value != NULL ? value : coir_http_header_get(call->session->opts.headers, name);
}

/* Headers of which none of the two other lists has another value. */
static int put_headers(const coir_http_call *call, coir_buffer *out,
                       const coir_http_header *headers, const coir_http_header *instead)
{
    for (; headers != NULL && headers->name != NULL; headers++) {
        if (coir__http_is_own_header(headers->name))
            return coir_fail(-EINVAL, "the header %.40s is not for programs", headers->name);
        if ((call->foreign && is_secret(headers->name)) ||
            coir_http_header_get(instead, headers->name) != NULL ||
            coir_http_header_get(call->set, headers->name) != NULL)
            continue;
        COIR_TRY(coir__http_put_header(out, headers->name, headers->value));
    }
    return 0;
}

/* Those of the session, of the program, of the middleware: what is more special goes before. */
static int put_all_headers(const coir_http_call *call, coir_buffer *out)
{
    COIR_TRY(put_headers(call, out, call->session->opts.headers, call->opts->headers));
    COIR_TRY(put_headers(call, out, call->opts->headers, NULL));
    for (size_t i = 0; i < call->set_count; i++)
        COIR_TRY(coir__http_put_header(out, call->set[i].name, call->set[i].value));
    return 0;
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

bool coir__http_is_same_origin(const coir_url *a, const coir_url *b)
{
    return a->host != NULL && b->host != NULL && strcmp(a->scheme, b->scheme) == 0 &&
           strcmp(a->host, b->host) == 0 && a->port == b->port;
}

/* What stands in the URL goes before what the session has, and that is for its base only. */
static int put_authorization(const coir_http_call *call, coir_buffer *out)
{
    const coir_http_session_opts *opts = &call->session->opts;
    if (coir_http_call_header(call, "Authorization") != NULL)
        return 0;
    if (call->url.user != NULL)
        return put_basic(out, call->url.user, call->url.password);
    if (!coir__http_is_same_origin(&call->session->base, &call->url))
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

static int put_framing(const coir_http_call *call, coir_buffer *out)
{
    if (call->type != NULL && coir_http_call_header(call, "Content-Type") == NULL)
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

static int put_head(const coir_http_call *call, coir_buffer *out)
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
    COIR_TRY(put_all_headers(call, out));
    if (call->opts->upgrade != NULL) {
        COIR_TRY(coir__http_put(out, "Connection: Upgrade\r\n"));
        COIR_TRY(coir__http_put_header(out, "Upgrade", call->opts->upgrade));
    } else if (!opts->no_compression && coir_http_call_header(call, "Accept-Encoding") == NULL)
        COIR_TRY(coir__http_put(out, "Accept-Encoding: gzip, deflate, br, zstd\r\n"));
    COIR_TRY(put_authorization(call, out));
    if (!opts->no_cookies && coir_http_call_header(call, "Cookie") == NULL)
        COIR_TRY(coir__cookies_put(&call->session->cookies, url, time(NULL), out));
    COIR_TRY(put_framing(call, out));
    return coir__http_put(out, "\r\n");
}

/* ---- sending ---- */

/* Each piece must have been taken within the time of a silence. */
static int send_vectors(const coir_http_call *call, coir_stream *stream,
                        const struct iovec *vectors, size_t count)
{
    COIR_SCOPE(silence, call->session->opts.read_limit);
    int r = coir_stream_write_vectors(stream, vectors, count);
    coir_scope_leave(&silence);
    return r == -ETIME && coir_scope_expired(&silence)
               ? coir_fail(-ETIMEDOUT, "the server takes no more of the request")
               : r;
}

static int send_bytes(const coir_http_call *call, coir_stream *stream, coir_bytes bytes)
{
    const struct iovec vector = {(void *)(uintptr_t)bytes.data, bytes.length};
    return send_vectors(call, stream, &vector, 1);
}

static int send_chunk(const coir_http_call *call, coir_stream *stream, coir_bytes bytes)
{
    char line[24];
    int length = snprintf(line, sizeof line, "%zx\r\n", bytes.length);
    const struct iovec vectors[] = {{line, (size_t)length},
                                    {(void *)(uintptr_t)bytes.data, bytes.length},
                                    {(void *)(uintptr_t) "\r\n", 2}};
    return send_vectors(call, stream, vectors, COIR_COUNT(vectors));
}

/* Sends what the program's stream has: all of it in chunks, or as much as it has announced. */
static int send_stream(coir_http_call *call, coir_stream *to)
{
    uint64_t left = call->opts->stream_length;
    bool chunked = left == 0;
    coir_bytes bytes;
    int r = 1;
    if (call->stream_begun)
        return coir_fail(-EINVAL, "the stream of the body was sent before");
    call->stream_begun = true;
    while ((chunked || left > 0) && (r = coir_stream_peek(call->opts->stream, 1, &bytes)) > 0) {
        if (!chunked && bytes.length > left)
            bytes.length = (size_t)left;
        COIR_TRY(chunked ? send_chunk(call, to, bytes) : send_bytes(call, to, bytes));
        coir_stream_consume(call->opts->stream, bytes.length);
        COIR__HTTP_TELL(call, .phase = COIR_HTTP_CHUNK_SENT, .bytes = bytes.length);
        left -= chunked ? 0 : bytes.length;
    }
    if (r < 0)
        return r;
    if (left > 0)
        return coir_fail(-COIR_EEOF, "the stream of the body ended too early");
    return chunked ? coir_stream_write(to, "0\r\n\r\n", 5) : 0;
}

/* Sends a head and a large body, the first of it with the head. */
static int send_large(const coir_http_call *call, const struct coir__http_link *link)
{
    const char *at = call->body.data;
    size_t left = call->body.length, piece = PIECE < left ? PIECE : left;
    const struct iovec vectors[] = {{link->out.data, link->out.length},
                                    {(void *)(uintptr_t)at, piece}};
    COIR_TRY(send_vectors(call, link->stream, vectors, COIR_COUNT(vectors)));
    for (at += piece, left -= piece; left > 0; at += piece, left -= piece) {
        piece = PIECE < left ? PIECE : left;
        COIR_TRY(send_bytes(call, link->stream, (coir_bytes){at, piece}));
    }
    return 0;
}

static int send_request(coir_http_call *call, struct coir__http_link *link)
{
    coir_buffer *out = &link->out;
    COIR_TRY(put_head(call, out));
    if (call->body.length <= SMALL) {
        COIR_TRY(coir_buffer_append(out, call->body.data, call->body.length));
        COIR_TRY(coir_stream_write(link->stream, out->data, out->length));
    } else {
        COIR_TRY(send_large(call, link));
    }
    return call->streams ? send_stream(call, link->stream) : 0;
}

/* ---- the head of a response ---- */

static int wait_for(coir_http_call *call, coir_stream *stream, size_t least, coir_bytes *ret_bytes)
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

static int read_head(coir_http_call *call, coir_stream *stream, struct coir__http_head *head)
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

static int check_upgrade(const coir_http_call *call, const struct coir__http_head *head)
{
    const char *protocol = coir_http_header_get(head->headers, "Upgrade");
    if (call->opts->upgrade == NULL || !head->upgrade || protocol == NULL ||
        !coir__http_has_token(protocol, call->opts->upgrade))
        return coir_fail(-COIR_EHTTP, "the server speaks another protocol, unasked");
    return 0;
}

/* What comes before the response proper (100, 103) is passed over. */
static int read_final_head(coir_http_call *call, coir_stream *stream, struct coir__http_head *head)
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
static bool may_repeat(const coir_http_call *call, uint64_t uses, int code)
{
    bool dead = code == -COIR_EEOF || code == -ECONNRESET || code == -EPIPE ||
                code == -COIR_ETRUNCATED || code == -COIR_EBROKENSTREAM;
    return dead && uses > 1 && !call->answered && !call->opts->no_retry && !call->stream_begun &&
           is_idempotent(call->method) && coir_pending() == 0;
}

static int take_cookies(coir_http_call *call, const coir_http_response *response)
{
    const coir_http_header *at = response->head.headers;
    for (; at->name != NULL && !call->session->opts.no_cookies; at++)
        if (coir__http_alike(at->name, "Set-Cookie"))
            COIR_TRY(
                coir__cookies_take(&call->session->cookies, &call->url, at->value, time(NULL)));
    return 0;
}

static int take_certificate(coir_http_call *call, coir_stream *stream)
{
    coir_tls_certificate *certificate = call->opts->ret_certificate;
    if (certificate == NULL)
        return 0;
    int r = coir_tls_stream_peer(stream, certificate);
    if (r == -EOPNOTSUPP || r == -ENOENT)
        *certificate = (coir_tls_certificate){0};
    return r == -EOPNOTSUPP || r == -ENOENT ? 0 : r;
}

static int attempt(coir_http_call *call, coir_http_response *response)
{
    struct coir__http_link *link = response->pooled->connection;
    int sent = send_request(call, link);
    bool refused = sent == -EPIPE || sent == -ECONNRESET; /* it may have said why before */
    if (sent < 0 && !refused)
        return sent;
    if (!refused)
        COIR__HTTP_TELL(call, .phase = COIR_HTTP_SENT);
    int r = read_final_head(call, link->stream, &response->head);
    if (r < 0)
        return refused ? sent : r;
    if (refused)
        response->head.keep_alive = false;
    COIR_TRY(take_certificate(call, link->stream));
    return take_cookies(call, response);
}

static int acquire(coir_http_call *call, coir_http_response *response)
{
    coir_http_session *session = call->session;
    COIR__HTTP_TELL(call, .phase = COIR_HTTP_QUEUED);
    COIR_TRY(coir_pool_acquire(session->pool, coir_buffer_text(&call->origin), &response->pooled));
    bool kept = response->pooled->uses > 1;
    session->stats.reused += kept;
    session->stats.requests++;
    COIR__HTTP_TELL(call, .phase = kept ? COIR_HTTP_REUSED : COIR_HTTP_OPENED);
    return 0;
}

static int exchange(coir_http_call *call, coir_http_response *response)
{
    call->answered = false;
    COIR_TRY(coir__http_pace(call->session, call->url.host));
    COIR_TRY(coir_url_format(&call->url, &response->url));
    for (;;) {
        if (call->session->closed)
            return -COIR_ECLOSED;
        COIR_TRY(acquire(call, response));
        uint64_t uses = response->pooled->uses;
        int r = attempt(call, response);
        if (r == 0)
            return coir__http_response_begin(response, call->method);
        coir_pool_discard(COIR_TAKE(response->pooled));
        if (!may_repeat(call, uses, r))
            return r;
        call->session->stats.retried++;
        COIR__HTTP_TELL(call, .phase = COIR_HTTP_REPEATED, .code = r);
    }
}

int coir__http_exchange(coir_http_call *call, coir_http_response **ret_response)
{
    if (call->session->closed)
        return -COIR_ECLOSED;
    COIR_AUTO(coir_http_response) *response = coir__http_response_make(call->session, call->site);
    if (response == NULL)
        return -ENOMEM;
    response->number = call->number;
    response->state = call->opts->state;
    COIR_SCOPE(open, COIR_FOREVER);
    response->call = &open;
    int r = exchange(call, response);
    coir_scope_leave(&open);
    response->call = NULL;
    if (call->session->closed)
        return r == 0 || (r == -ECANCELED && coir_pending() == 0) ? -COIR_ECLOSED : r;
    if (r == 0)
        *ret_response = COIR_TAKE(response);
    return r;
}
