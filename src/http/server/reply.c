/* reply.c: what a handler answers: heads, whole bodies, bodies bit by bit, events, upgrades.
 *
 * A reply is put into the request's `out`, and stays there while there are more requests to answer;
 * what is large, or made bit by bit, is sent at once. Whatever the handler does, framing is this
 * file's: HEAD, 204 and 304 have no body, and no header of the handler's can say otherwise. Called
 * by programs and connection.c.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <coir/memory.h>

#include "app.h"

#define LARGE ((size_t)16 << 10)  /* a body that is not copied */
#define PIECE ((size_t)128 << 10) /* of what is sent at once */
#define PACKED ((size_t)64 << 10) /* of what is packed without letting others go on */
#define CHUNKS UINT64_MAX
#define USUAL_HEAD 256 /* bytes of a head but for what handlers set, and a little body */

/* ---- sending ---- */

/* What is lost here is missing in the reply, whatever the handler makes of the failure. */
static int sent(coir_http_request *request, const coir_scope *stall, int r)
{
    request->cut |= r < 0;
    if (r != -ETIME || !coir_scope_expired(stall))
        return r;
    request->late = true;
    return -ETIMEDOUT;
}

static int write_bounded(coir_http_request *request, const struct iovec *vectors, size_t count)
{
    COIR_SCOPE(stall, request->connection->serving->app->opts.stall_limit);
    int r = coir_stream_write_vectors(request->connection->stream, vectors, count);
    coir_scope_leave(&stall);
    return sent(request, &stall, r);
}

void coir__http_bound(coir_http_request *request, coir_time limit)
{
    coir_time now = coir_loop_time(coir_loop_current());
    if (coir_scope_move(request->between, coir__http_later(now, limit)) < 0)
        return; /* it is over, as the next call says */
}

void coir__http_unbound(coir_http_request *request, int result)
{
    coir_scope *between = request->between;
    if (result < 0 || !coir_scope_expired(between)) {
        coir__http_bound(request, COIR_FOREVER);
        return;
    }
    coir_scope_leave(between);
    (void)coir_scope_enter(between, COIR_FOREVER, COIR_SITE("between"));
}

/* The same between requests, which takes no timer. */
static int write_between(coir_http_request *request, const struct iovec *vectors, size_t count)
{
    coir__http_bound(request, request->connection->serving->app->opts.stall_limit);
    int r = coir_stream_write_vectors(request->connection->stream, vectors, count);
    coir__http_unbound(request, r);
    return sent(request, request->between, r);
}

static int write_now(coir_http_request *request, const struct iovec *vectors, size_t count)
{
    return request->between != NULL ? write_between(request, vectors, count)
                                    : write_bounded(request, vectors, count);
}

static size_t add_vector(struct iovec *vectors, size_t count, const void *data, size_t size)
{
    vectors[count] = (struct iovec){(void *)(uintptr_t)data, size};
    return count + (size > 0);
}

/* Waits until the task that flushes has sent what it has taken. */
static int settle(coir_http_request *request)
{
    if (request->taken)
        COIR_TRY(coir_event_wait(&request->flushed));
    return request->cut ? -COIR_EBROKENSTREAM : 0;
}

/* Sends what was gathered, size bytes at data, and end. Each piece has the time of a stall to be
 * taken. */
static int flush_with(coir_http_request *request, const char *data, size_t size, const char *end)
{
    coir_buffer *out = &request->out;
    COIR_TRY(settle(request));
    request->mark = 0; /* from here on something of this reply may be sent */
    for (;;) {
        size_t piece = size < PIECE ? size : PIECE;
        struct iovec vectors[3];
        size_t count = add_vector(vectors, 0, out->data, out->length);
        count = add_vector(vectors, count, data, piece);
        count = add_vector(vectors, count, end, piece == size ? strlen(end) : 0);
        out->length = 0;
        COIR_TRY(write_now(request, vectors, count));
        if (piece == size)
            return 0;
        data += piece;
        size -= piece;
    }
}

int coir__http_flush(coir_http_request *request)
{
    COIR_TRY(settle(request));
    struct iovec vector = {request->out.data, request->out.length};
    if (vector.iov_len == 0)
        return 0;
    request->mark = request->out.length = 0;
    return write_now(request, &vector, 1);
}

/* It takes the buffer, so that the handler can go on to reply meanwhile. */
static int flush_taken(void *arg)
{
    coir_http_request *request = arg;
    request->behind = false;
    if (request->out.length == 0 || request->held || request->connection->stream == NULL)
        return 0;
    coir_buffer out = request->out;
    struct iovec vector = {out.data, out.length};
    request->out = (coir_buffer){0};
    request->mark = 0;
    request->taken = true;
    (void)coir_event_clear(&request->flushed);
    (void)write_bounded(request, &vector, 1); /* a failure is remembered as a cut */
    request->taken = false;
    (void)coir_event_set(&request->flushed);
    coir_buffer_close(&out);
    return 0;
}

int coir__http_flush_behind(coir_http_request *request)
{
    if (request->behind || request->taken)
        return 0;
    int r = request->grouped ? 0 : coir_group_init(&request->flushing, COIR_REPORT);
    if (r == 0) {
        request->grouped = true;
        r = coir_spawn(&request->flushing, flush_taken, request, NULL);
    }
    request->behind = r == 0;
    return r == 0 ? 0 : coir__http_flush(request);
}

void coir__http_end_flushing(coir_http_request *request)
{
    if (request->grouped)
        (void)coir_group_close(&request->flushing);
    request->grouped = request->behind = false;
}

int coir__http_send_file(coir_http_request *request, coir_file *file, uint64_t offset,
                         uint64_t length)
{
    COIR_TRY(coir__http_flush(request));
    for (uint64_t piece; length > 0; offset += piece, length -= piece) {
        piece = length < PIECE ? length : PIECE;
        COIR_SCOPE(stall, request->connection->serving->app->opts.stall_limit);
        int r = coir_stream_send_file(request->connection->stream, file, offset, piece);
        coir_scope_leave(&stall);
        COIR_TRY(sent(request, &stall, r));
    }
    return 0;
}

/* ---- headers ---- */

static bool is_framing(const char *name)
{
    return coir__http_alike(name, "Content-Length") ||
           coir__http_alike(name, "Transfer-Encoding") || coir__http_alike(name, "Connection");
}

/* The line of the header of that name among those that were set, and its length; NULL. */
static char *find_line(coir_http_request *request, const char *name, size_t *ret_length)
{
    size_t wanted = strlen(name);
    char *at = request->headers.data, *end = at + request->headers.length;
    while (at < end) {
        char *next = memchr(at, '\n', (size_t)(end - at));
        *ret_length = (size_t)(next + 1 - at);
        if (coir__http_alike_start(at, name, wanted) && at[wanted] == ':')
            return at;
        at = next + 1;
    }
    return NULL;
}

const char *coir__http_reply_get(coir_http_request *request, const char *name)
{
    size_t length, before = strlen(name) + 2;
    const char *line = request->headers.length > 0 ? find_line(request, name, &length) : NULL;
    return line != NULL ? coir__http_request_keep(request, line + before, length - before - 2)
                        : NULL;
}

static void remove_lines(coir_http_request *request, const char *name)
{
    size_t length;
    for (char *line;
         request->headers.length > 0 && (line = find_line(request, name, &length)) != NULL;) {
        char *end = request->headers.data + request->headers.length;
        memmove(line, line + length, (size_t)(end - line) - length);
        request->headers.length -= length;
    }
}

int coir__http_reply_set(coir_http_request *request, const char *name, const char *value)
{
    size_t before = request->headers.length;
    COIR_TRY(coir__http_put_header(&request->headers, name, value));
    request->headers.length = before; /* what is no header has left the others alone */
    remove_lines(request, name);
    return coir__http_put_header(&request->headers, name, value);
}

/* What says "no-store" of a reply holds for another one too. */
void coir__http_reply_forget(coir_http_request *request)
{
    static const char *const names[] = {"Content-Type", "Content-Encoding", "Content-Range",
                                        "ETag",         "Last-Modified",    "Accept-Ranges",
                                        "Expires"};
    if (request->state != COIR__HTTP_FRESH || request->headers.length == 0)
        return;
    for (size_t i = 0; i < COIR_COUNT(names); i++)
        remove_lines(request, names[i]);
    const char *control = coir__http_reply_get(request, "Cache-Control");
    if (control != NULL && !coir__http_has_token(control, "no-store"))
        remove_lines(request, "Cache-Control");
}

static int check_header(const coir_http_request *request, const char *name, const char *value)
{
    if (name == NULL || value == NULL)
        return -EINVAL;
    if (is_framing(name))
        return coir_fail(-EINVAL, "the header %s is not for handlers", name);
    return request->state == COIR__HTTP_FRESH
               ? 0
               : coir_fail(-EALREADY, "the header %.40s comes behind the head of the reply", name);
}

/* Names what is no header. */
static int tell(int r, const char *name, const char *value)
{
    return r == -EINVAL ? coir_fail(r, "'%.40s: %.60s' is no header", name, value) : r;
}

int coir_http_reply_header(coir_http_request *request, const char *name, const char *value)
{
    int r = check_header(request, name, value);
    return r < 0 ? r : tell(coir__http_reply_set(request, name, value), name, value);
}

int coir_http_reply_header_add(coir_http_request *request, const char *name, const char *value)
{
    int r = check_header(request, name, value);
    return r < 0 ? r : tell(coir__http_put_header(&request->headers, name, value), name, value);
}

/* RFC 6265, section 4.1.1. */
static bool is_cookie_value(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f ||
            strchr("\",;\\", *text) != NULL)
            return false;
    return true;
}

static int put_attribute(coir_buffer *cookie, const char *name, const char *value)
{
    if (value[strcspn(value, ";\r\n")] != '\0')
        return -EINVAL;
    COIR_TRY(coir__http_put(cookie, name));
    return coir__http_put(cookie, value);
}

static int put_cookie(coir_buffer *cookie, const coir_http_cookie_opts *opts, bool secure)
{
    COIR_TRY(put_attribute(cookie, "; Path=", opts->path != NULL ? opts->path : "/"));
    if (opts->domain != NULL)
        COIR_TRY(put_attribute(cookie, "; Domain=", opts->domain));
    if (opts->age != 0)
        COIR_TRY(coir__http_put(cookie, "; Max-Age="));
    if (opts->age != 0)
        COIR_TRY(
            coir__http_put_number(cookie, opts->age < 0 ? 0 : (uint64_t)(opts->age / COIR_SEC(1))));
    COIR_TRY(
        put_attribute(cookie, "; SameSite=", opts->same_site != NULL ? opts->same_site : "Lax"));
    if (opts->secure || (secure && !opts->insecure))
        COIR_TRY(coir__http_put(cookie, "; Secure"));
    return opts->scripts ? 0 : coir__http_put(cookie, "; HttpOnly");
}

int coir_http_reply_cookie(coir_http_request *request, const char *name, const char *value,
                           const coir_http_cookie_opts *opts)
{
    static const coir_http_cookie_opts defaults;
    if (name == NULL || value == NULL || !coir__http_is_token(name, strlen(name)) ||
        !is_cookie_value(value))
        return coir_fail(-EINVAL, "the cookie '%.40s' has no such name or value",
                         name != NULL ? name : "(NULL)");
    COIR_AUTO(coir_buffer) cookie = {0};
    COIR_TRY(coir__http_put(&cookie, name));
    COIR_TRY(coir__http_put(&cookie, "="));
    COIR_TRY(coir__http_put(&cookie, value));
    COIR_TRY(put_cookie(&cookie, opts != NULL ? opts : &defaults,
                        strcmp(coir_http_request_scheme(request), "https") == 0));
    return coir_http_reply_header_add(request, "Set-Cookie", coir_buffer_text(&cookie));
}

/* ---- heads ---- */

/* Writes a literal to where there is room, and returns the place behind. */
#define ADD(to, text) coir__http_add(to, text, sizeof(text) - 1)

static char *add_text(char *to, const char *text)
{
    return coir__http_add(to, text, strlen(text));
}

static char *add_status(char *to, int status)
{
    if (status == 200)
        return ADD(to, "HTTP/1.1 200 OK\r\n");
    to = coir__http_add_number(ADD(to, "HTTP/1.1 "), (uint64_t)status);
    to = add_text(ADD(to, " "), coir_http_status_text(status));
    return ADD(to, "\r\n");
}

static bool has_no_body(int status)
{
    return status / 100 == 1 || status == 204 || status == 304;
}

/* Whether the handler has set that header. */
static bool has_own(coir_http_request *request, const char *name)
{
    size_t unused;
    return request->headers.length > 0 && find_line(request, name, &unused) != NULL;
}

/* Who says Upgrade says so of this connection: RFC 9110, section 7.8. */
static char *add_connection(char *to, coir_http_request *request, int status)
{
    bool upgrade = has_own(request, "Upgrade");
    const char *goes_on = status == 101             ? NULL
                          : !request->keep          ? "close"
                          : request->head.minor > 0 ? NULL
                                                    : "keep-alive";
    if (goes_on == NULL && !upgrade)
        return to;
    to = ADD(to, "Connection: ");
    if (goes_on != NULL)
        to = add_text(to, goes_on);
    if (goes_on != NULL && upgrade)
        to = ADD(to, ", ");
    if (upgrade)
        to = ADD(to, "Upgrade");
    return ADD(to, "\r\n");
}

static char *add_framing(char *to, coir_http_request *request, int status, uint64_t length)
{
    if (request->tunnel)
        return to;
    request->chunked = length == CHUNKS && request->head.minor > 0;
    if (length == CHUNKS && !request->chunked)
        request->keep = false; /* its end is that of the connection */
    if (request->chunked)
        to = ADD(to, "Transfer-Encoding: chunked\r\n");
    if (length != CHUNKS && !has_no_body(status))
        to = ADD(coir__http_add_number(ADD(to, "Content-Length: "), length), "\r\n");
    return add_connection(to, request, status);
}

static int put_head(coir_http_request *request, int status, const char *type, uint64_t length)
{
    coir_buffer *out = &request->out;
    const coir_http_app_opts *opts = &request->connection->serving->app->opts;
    const coir_buffer *set = &request->headers;
    if (type != NULL && has_own(request, "Content-Type"))
        type = NULL;
    size_t type_length = type != NULL ? strlen(type) : 0;
    if (type != NULL && !coir__http_is_value(type, type_length))
        return coir_fail(-EINVAL, "'%.60s' is no media type", type);
    COIR_TRY(coir__http_reserve(out, USUAL_HEAD + type_length + set->length));
    char *to = add_status(out->data + out->length, status);
    if (!opts->no_date && !has_own(request, "Date"))
        to = coir__http_add_date(to);
    if (type != NULL)
        to = ADD(coir__http_add(ADD(to, "Content-Type: "), type, type_length), "\r\n");
    if (opts->nosniff && !has_own(request, "X-Content-Type-Options"))
        to = ADD(to, "X-Content-Type-Options: nosniff\r\n");
    if (set->length > 0)
        to = coir__http_add(to, set->data, set->length);
    to = ADD(add_framing(to, request, status, length), "\r\n");
    *to = '\0';
    out->length = (size_t)(to - out->data);
    return 0;
}

/* A client takes a success of it for a connection, whatever its framing says. */
static bool is_connect(const coir_http_request *request)
{
    return request->head.method[0] == 'C' && strcmp(request->head.method, "CONNECT") == 0;
}

int coir__http_put_head(coir_http_request *request, int status, const char *type, uint64_t length)
{
    if ((status < 200 && status != 101) || status > 599)
        return coir_fail(-EINVAL, "%d is no status of a reply", status);
    if (request->state != COIR__HTTP_FRESH)
        return coir_fail(-EALREADY, "there was a reply already, %d", request->status);
    if (request->cut)
        return -COIR_EBROKENSTREAM;
    if (status / 100 == 2 && is_connect(request) && !request->tunnel)
        return coir_fail(-EINVAL, "a %d for CONNECT is for coir_http_reply_tunnel", status);
    if (request->head.expects && !request->continued && !request->body.over)
        request->keep = false; /* the client may send its body or not */
    if (request->connection->serving->draining)
        request->keep = false;
    size_t before = request->out.length;
    int r = put_head(request, status, type, length);
    if (r < 0) {
        request->out.length = before; /* half a head is none */
        return r;
    }
    request->status = status;
    request->state = COIR__HTTP_BEGUN;
    return 0;
}

/* ---- whole bodies ---- */

static int reply_plain(coir_http_request *request, int status, const char *type, const void *data,
                       size_t size)
{
    bool bodiless = has_no_body(status);
    if (status == 101)
        return -EINVAL;
    COIR_TRY(coir__http_put_head(request, status, type, size));
    request->chunked = false;
    request->state = COIR__HTTP_REPLIED;
    request->sent = bodiless || request->head_only ? 0 : size;
    if (request->sent == 0)
        return 0;
    if (size >= LARGE)
        return flush_with(request, data, size, "");
    int r = coir__http_put_bytes(&request->out, data, size);
    return r == -ENOMEM ? flush_with(request, data, size, "") : r;
}

/* Packs a whole body. Others have their turns meanwhile. */
static int pack_whole(coir_http_request *request, enum coir__http_coding coding, const char *data,
                      size_t size)
{
    coir_http_app *app = request->connection->serving->app;
    struct coir__pack *pack;
    COIR_TRY(coir__pack_take(app, coding, &pack));
    request->packed.length = 0;
    int r = 0;
    for (size_t piece; r == 0 && size > 0; data += piece, size -= piece) {
        piece = size < PACKED ? size : PACKED;
        r = coir__pack_some(pack, (coir_bytes){data, piece},
                            piece == size ? COIR__PACK_END : COIR__PACK_MORE, &request->packed);
        if (r == 0 && piece < size)
            r = coir_yield();
    }
    coir__pack_give(app, pack);
    return r;
}

/* A packed reply that has failed, if r says so, leaves nothing to another one. */
static int undo_coding(coir_http_request *request, int r)
{
    if (r >= 0 || request->state != COIR__HTTP_FRESH)
        return r;
    remove_lines(request, "Content-Encoding");
    coir__pack_give(request->connection->serving->app, COIR_TAKE(request->pack));
    return r;
}

int coir_http_reply(coir_http_request *request, int status, const char *type, const void *data,
                    size_t size)
{
    enum coir__http_coding coding = COIR__HTTP_PLAIN;
    if (request->state == COIR__HTTP_FRESH)
        COIR_TRY(coir__http_choose(request, status, type, size, &coding));
    if (coding == COIR__HTTP_PLAIN)
        return reply_plain(request, status, type, data, size);
    COIR_TRY(pack_whole(request, coding, data, size));
    COIR_TRY(coir__http_say_coding(request, coding));
    int r = undo_coding(
        request, reply_plain(request, status, type, request->packed.data, request->packed.length));
    if (request->packed.capacity > 2 * PACKED)
        coir_buffer_close(&request->packed);
    return r;
}

int coir_http_reply_compress(coir_http_request *request, bool compress)
{
    if (request->state != COIR__HTTP_FRESH)
        return -EALREADY;
    request->packing = compress ? 1 : -1;
    return 0;
}

/* A text that printf would make, on the heap; NULL without memory. */
static char *make_text(const char *format, va_list arguments, int *ret_length)
{
    char *text = NULL;
    *ret_length = vasprintf(&text, format, arguments);
    return *ret_length >= 0 ? text : NULL;
}

static const char plain[] = "text/plain; charset=utf-8";

int coir_http_reply_text(coir_http_request *request, int status, const char *format, ...)
{
    int length;
    va_list arguments;
    va_start(arguments, format);
    char *text = make_text(format, arguments, &length);
    va_end(arguments);
    if (text == NULL)
        return -ENOMEM;
    int r = coir_http_reply(request, status, plain, text, (size_t)length);
    free(text);
    return r;
}

int coir_http_reply_json(coir_http_request *request, int status, json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref(json);
    if (text == NULL)
        return -ENOMEM;
    int r = coir_http_reply(request, status, "application/json", text, strlen(text));
    free(text);
    return r;
}

int coir_http_fail(coir_http_request *request, int status, const char *format, ...)
{
    int length;
    va_list arguments;
    va_start(arguments, format);
    char *text = make_text(format, arguments, &length);
    va_end(arguments);
    if (text == NULL)
        return -ENOMEM;
    int r = coir__http_refuse(request, status, text, false);
    free(text);
    return r;
}

int coir__http_refuse(coir_http_request *request, int status, const char *why, bool close)
{
    char text[512];
    const char *name = coir_http_status_text(status);
    int length = why != NULL ? snprintf(text, sizeof text, "%d %s: %s\n", status, name, why)
                             : snprintf(text, sizeof text, "%d %s\n", status, name);
    size_t size = (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    if (close)
        request->keep = false;
    if (request->state == COIR__HTTP_FRESH) { /* what the handler has said of its own body */
        remove_lines(request, "Content-Type");
        remove_lines(request, "Content-Encoding");
    }
    return coir_http_reply(request, status, plain, text, size);
}

int coir_http_redirect(coir_http_request *request, int status, const char *location)
{
    if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308)
        return -EINVAL;
    COIR_TRY(coir_http_reply_header(request, "Location", location));
    return coir__http_refuse(request, status, NULL, false);
}

/* ---- bit by bit ---- */

int coir_http_reply_begin(coir_http_request *request, int status, const char *type)
{
    enum coir__http_coding coding;
    if (has_no_body(status))
        return -EINVAL;
    if (request->state != COIR__HTTP_FRESH)
        return -EALREADY;
    COIR_TRY(coir__http_choose(request, status, type, UINT64_MAX, &coding));
    if (coding == COIR__HTTP_PLAIN)
        return coir__http_put_head(request, status, type, CHUNKS);
    int r = 0;
    if (!request->head_only)
        r = coir__pack_take(request->connection->serving->app, coding, &request->pack);
    if (r == 0)
        r = coir__http_say_coding(request, coding);
    return undo_coding(request, r == 0 ? coir__http_put_head(request, status, type, CHUNKS) : r);
}

int coir_http_reply_begin_sized(coir_http_request *request, int status, const char *type,
                                uint64_t length)
{
    if (has_no_body(status) || length > INT64_MAX)
        return -EINVAL;
    COIR_TRY(coir__http_put_head(request, status, type, length));
    request->sized = true;
    request->owed = length;
    return 0;
}

/* Adds a chunk to what is gathered; one that is large is sent at once. */
static int put_chunk(coir_http_request *request, const void *data, size_t size)
{
    coir_buffer *out = &request->out;
    char line[20];
    if (size == 0)
        return 0; /* a chunk of no size would be the last */
    request->sent += size;
    if (!request->chunked)
        return flush_with(request, data, size, "");
    int length = snprintf(line, sizeof line, "%zx\r\n", size);
    COIR_TRY(coir_buffer_append(out, line, (size_t)length));
    if (size >= LARGE)
        return flush_with(request, data, size, "\r\n");
    COIR_TRY(coir_buffer_append(out, data, size));
    return coir__http_put(out, "\r\n");
}

/* Packs a piece of the reply and adds what comes of it as a chunk. */
static int put_packed(coir_http_request *request, coir_bytes bytes, enum coir__pack_end end)
{
    request->packed.length = 0;
    COIR_TRY(coir__pack_some(request->pack, bytes, end, &request->packed));
    return put_chunk(request, request->packed.data, request->packed.length);
}

int coir_http_reply_write(coir_http_request *request, const void *data, size_t size)
{
    if (request->state != COIR__HTTP_BEGUN)
        return -EINVAL;
    if (request->cut)
        return -COIR_EBROKENSTREAM;
    if (request->sized && size > request->owed)
        return coir_fail(-EMSGSIZE, "the reply would be longer than it says");
    request->owed -= request->sized ? size : 0;
    if (request->head_only)
        size = 0;
    int r = 0;
    const char *at = data;
    for (size_t piece; r == 0 && size > 0; at += piece, size -= piece) {
        piece = request->pack == NULL || size < PACKED ? size : PACKED;
        coir_bytes bytes = {at, piece};
        r = request->pack == NULL
                ? put_chunk(request, at, piece)
                : put_packed(request, bytes, piece == size ? COIR__PACK_FLUSH : COIR__PACK_MORE);
        if (r == 0 && piece < size)
            r = request->out.length >= LARGE ? coir__http_flush(request) : coir_yield();
    }
    request->cut |= r < 0; /* half a chunk is none, and what is behind it could not be unpacked */
    return r < 0 ? r : coir__http_flush(request);
}

int coir__http_end_reply(coir_http_request *request)
{
    if (request->state != COIR__HTTP_BEGUN)
        return 0;
    if (request->pack != NULL)
        COIR_TRY(put_packed(request, (coir_bytes){"", 0}, COIR__PACK_END));
    if (request->sized && request->owed > 0 && !request->head_only)
        return coir_fail(-EPROTO, "the reply is %llu bytes shorter than it says",
                         (unsigned long long)request->owed);
    request->state = COIR__HTTP_REPLIED;
    return request->chunked && !request->head_only ? coir__http_put(&request->out, "0\r\n\r\n") : 0;
}

/* ---- events: the HTML standard, "Server-sent events" ---- */

static int put_field(coir_buffer *text, const char *name, const char *value, size_t length)
{
    COIR_TRY(coir__http_put(text, name));
    COIR_TRY(coir_buffer_append(text, value, length));
    return coir_buffer_append(text, "\n", 1);
}

static int put_event(coir_buffer *text, const char *event, const char *id, const char *data)
{
    if (event != NULL)
        COIR_TRY(put_field(text, "event: ", event, strlen(event)));
    if (id != NULL)
        COIR_TRY(put_field(text, "id: ", id, strlen(id)));
    for (;;) {
        size_t length = strcspn(data, "\r\n");
        COIR_TRY(put_field(text, "data: ", data, length));
        data += length;
        if (*data == '\0')
            return coir_buffer_append(text, "\n", 1);
        data += data[0] == '\r' && data[1] == '\n' ? 2 : 1;
    }
}

static bool is_line(const char *text)
{
    return text == NULL || text[strcspn(text, "\r\n")] == '\0';
}

int coir_http_reply_event(coir_http_request *request, const char *event, const char *id,
                          const char *data)
{
    if (data == NULL || !is_line(event) || !is_line(id))
        return -EINVAL;
    if (request->state == COIR__HTTP_FRESH) { /* nginx gathers what does not say that it must not */
        COIR_TRY(coir_http_reply_header(request, "Cache-Control", "no-store"));
        COIR_TRY(coir_http_reply_header(request, "X-Accel-Buffering", "no"));
        COIR_TRY(coir_http_reply_begin(request, 200, "text/event-stream"));
    }
    COIR_AUTO(coir_buffer) text = {0};
    COIR_TRY(put_event(&text, event, id, data));
    return coir_http_reply_write(request, text.data, text.length);
}

/* ---- other protocols ---- */

/* Replies with what makes the connection somebody else's, and gives it. */
static int hand_over(coir_http_request *request, int status, coir_stream **ret_stream)
{
    if (!request->body.over)
        return coir__http_blame(request, 400,
                                coir_fail(-EPROTO, "a body comes before the other protocol"));
    if (request->watcher != NULL) { /* from here on the handler reads */
        int unused;
        coir_cancel(request->watcher, NULL);
        COIR_TRY(coir_join(request->watcher, &unused));
        request->watcher = NULL;
    }
    COIR_TRY(coir__http_put_head(request, status, NULL, 0));
    request->state = COIR__HTTP_UPGRADED;
    request->keep = false;
    *ret_stream = request->connection->stream;
    return coir__http_flush(request);
}

int coir_http_reply_upgrade(coir_http_request *request, const char *protocol,
                            coir_stream **ret_stream)
{
    const char *asked = coir_http_request_header(request, "Upgrade");
    COIR_TRY(coir__http_reply_set(request, "Upgrade", protocol));
    if (!request->head.upgrade || asked == NULL || !coir__http_has_token(asked, protocol))
        return coir__http_blame(request, 426,
                                coir_fail(-EPROTO, "the client has not asked for %.60s", protocol));
    return hand_over(request, 101, ret_stream);
}

int coir_http_reply_tunnel(coir_http_request *request, coir_stream **ret_stream)
{
    if (!is_connect(request))
        return coir_fail(-EPROTO, "the client has not asked for a tunnel");
    request->tunnel = true;
    int r = hand_over(request, 200, ret_stream);
    request->tunnel = request->state == COIR__HTTP_UPGRADED; /* or another reply has its framing */
    return r;
}
