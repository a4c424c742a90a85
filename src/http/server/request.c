/* request.c: what handlers ask of a request: its path, parameters, headers, cookies, body.
 *
 * Strings that have to be decoded are kept with the request and freed with it. A body is read by
 * the handler, as it comes or as a whole; a client that waits to be told to send it is told then.
 * A body must come at a least rate on the average, after a time to begin with. Called by
 * connection.c and by programs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <coir/memory.h>
#include <coir/url.h>

#include "app.h"

#define LEAST_RATE 1024         /* bytes of a body per second, on the average */
#define REST ((size_t)64 << 10) /* of a body that nobody read, to be dropped */

/* ---- the record ---- */

void coir__http_request_clear(coir_http_request *request)
{
    for (struct coir__http_text *text = request->texts, *next; text != NULL; text = next) {
        next = text->next;
        coir_free(text);
    }
    request->texts = NULL;
    request->route = NULL;
    request->headers.length = 0;
    if (request->entity.capacity > 0)
        coir_buffer_close(&request->entity);
    if (request->pack != NULL)
        coir__pack_give(request->connection->serving->app, COIR_TAKE(request->pack));
    request->packing = 0;
    request->state = COIR__HTTP_FRESH;
    request->status = 0;
    request->sent = request->body_length = 0;
    request->body_waited = 0;
    request->blamed = request->blame = 0;
    request->mark = 0;
    request->gone = false;
    request->tunnel = request->sized = request->chunked = request->continued = request->whole =
        false;
    request->late = request->cut = false;
}

void coir__http_request_free(coir_http_request *request)
{
    coir__http_request_clear(request);
    coir__http_head_free(&request->head);
    coir_buffer_close(&request->path);
    coir_buffer_close(&request->headers);
    coir_buffer_close(&request->out);
    coir_buffer_close(&request->packed);
    coir_free(request);
}

char *coir__http_request_keep(coir_http_request *request, const char *text, size_t length)
{
    struct coir__http_text *kept = coir_alloc(sizeof *kept + length + 1);
    if (kept == NULL)
        return NULL;
    memcpy(kept->text, text, length);
    kept->text[length] = '\0';
    kept->next = request->texts;
    request->texts = kept;
    return kept->text;
}

int coir__http_blame(coir_http_request *request, int status, int code)
{
    request->blamed = code;
    request->blame = status;
    return code;
}

/* Decodes one segment into the path's buffer, which has room. */
static int decode_segment(coir_http_request *request, const char *text, size_t length)
{
    size_t at = request->path.length;
    int r = coir_percent_decode(text, length, false, &request->path);
    if (r == -COIR_EURL)
        return coir__http_blame(request, 400, r);
    if (r < 0)
        return r;
    if (memchr(request->path.data + at, '\0', request->path.length - at) != NULL)
        return coir__http_blame(request, 400,
                                coir_fail(-COIR_EURL, "a byte of value 0 in the path"));
    return 0;
}

static int take_segment(coir_http_request *request, const char *text, size_t length)
{
    size_t at = request->path.length;
    COIR_TRY(decode_segment(request, text, length));
    COIR_TRY(coir__http_put_bytes(&request->path, "", 1));
    request->segments[request->count++] = request->path.data + at;
    return 0;
}

static int refuse_path(coir_http_request *request)
{
    return coir__http_blame(request, 404, coir_fail(-ENOENT, "a path of too many segments"));
}

/* Takes a path in which there is a '%'. */
static int split_encoded(coir_http_request *request, const char *at, const char *end)
{
    while (at < end) {
        const char *segment = at + 1, *slash = memchr(segment, '/', (size_t)(end - segment));
        if (request->count == COIR__HTTP_SEGMENTS)
            return refuse_path(request);
        at = slash != NULL ? slash : end;
        COIR_TRY(take_segment(request, segment, (size_t)(at - segment)));
    }
    return 0;
}

/* One without it is copied as it is, with terminators for slashes. */
static int split_plain(coir_http_request *request, const char *path, size_t length)
{
    char *at = memcpy(request->path.data, path, length), *end = at + length;
    *end = '\0';
    request->path.length = length + 1;
    request->segments[request->count++] = ++at;
    for (; at < end; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (request->count == COIR__HTTP_SEGMENTS)
            return refuse_path(request);
        request->segments[request->count++] = at + 1;
    }
    return 0;
}

int coir__http_request_split(coir_http_request *request)
{
    const char *at = request->head.target;
    size_t length = (size_t)(strchrnul(at, '?') - at);
    request->count = request->path.length = 0;
    /* it does not move from here on */
    COIR_TRY(coir__http_reserve(&request->path, length + 3));
    COIR_TRY(coir__http_put(&request->path, "/"));
    if (at[0] != '/')
        return 0; /* "*", or an authority: no pattern has it */
    return memchr(at, '%', length) != NULL ? split_encoded(request, at, at + length)
                                           : split_plain(request, at, length);
}

/* ---- asking ---- */

const char *coir_http_request_method(const coir_http_request *request)
{
    return request->head.method;
}

const char *coir_http_request_target(const coir_http_request *request)
{
    return request->head.target;
}

const char *coir_http_request_path(coir_http_request *request)
{
    size_t length = 0;
    for (size_t i = request->at; i < request->count; i++)
        length += strlen(request->segments[i]) + 1;
    if (length == 0)
        return "/";
    char *path = coir__http_request_keep(request, request->segments[request->at] - 1, length);
    for (size_t i = 0; path != NULL && i < length; i++)
        if (path[i] == '\0')
            path[i] = '/';
    return path != NULL ? path : "";
}

const char *coir_http_request_query_text(const coir_http_request *request)
{
    const char *mark = strchr(request->head.target, '?');
    return mark != NULL ? mark + 1 : "";
}

const char *coir_http_request_param(const coir_http_request *request, const char *name)
{
    for (size_t i = 0; request->route != NULL && i < request->route->count; i++)
        if (strcmp(request->route->names[i], name) == 0)
            return request->values[i];
    return NULL;
}

/* The value of name in a query, or a form. As a string it would end at a byte of value 0. */
static int find_value(coir_http_request *request, coir_bytes query, const char *name,
                      const char **ret_value)
{
    COIR_AUTO(coir_buffer) value = {0};
    int r = coir_query_get(query, name, &value);
    if (r <= 0)
        return r;
    if (strlen(coir_buffer_text(&value)) < value.length)
        return coir_fail(-COIR_EURL, "a byte of value 0 in '%.40s'", name);
    *ret_value = coir__http_request_keep(request, coir_buffer_text(&value), value.length);
    return *ret_value != NULL ? 1 : -ENOMEM;
}

const char *coir_http_request_query(coir_http_request *request, const char *name)
{
    const char *text = coir_http_request_query_text(request), *value = NULL;
    return find_value(request, (coir_bytes){text, strlen(text)}, name, &value) > 0 ? value : NULL;
}

const char *coir_http_request_header(const coir_http_request *request, const char *name)
{
    return coir_http_header_get(request->head.headers, name);
}

const coir_http_header *coir_http_request_headers(const coir_http_request *request)
{
    return request->head.headers;
}

/* RFC 6265, section 5.4: names and values as they are, quotes and all. */
static const char *find_cookie(coir_http_request *request, const char *text, const char *name)
{
    size_t wanted = strlen(name);
    while (*text != '\0') {
        text += strspn(text, " \t;");
        size_t length = strcspn(text, ";");
        if (length > wanted && text[wanted] == '=' && memcmp(text, name, wanted) == 0) {
            while (length > wanted + 1 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
                length--;
            return coir__http_request_keep(request, text + wanted + 1, length - wanted - 1);
        }
        text += length;
    }
    return NULL;
}

const char *coir_http_request_cookie(coir_http_request *request, const char *name)
{
    const char *value = NULL;
    for (const coir_http_header *at = request->head.headers; at->name != NULL && value == NULL;
         at++)
        if (coir__http_alike(at->name, "Cookie"))
            value = find_cookie(request, at->value, name);
    return value;
}

const char *coir_http_request_peer(coir_http_request *request)
{
    char text[COIR_ADDRESS_TEXT];
    if (coir_stream_peer(coir__http_stream(request->connection), text, sizeof text) < 0)
        return "";
    const char *kept = coir__http_request_keep(request, text, strlen(text));
    return kept != NULL ? kept : "";
}

void *coir_http_request_state(const coir_http_request *request)
{
    return request->app->opts.state;
}

coir_event *coir_http_request_draining(const coir_http_request *request)
{
    return &request->connection->serving->drained;
}

/* ---- the body ---- */

/* A client that waits with its body is told to go on. */
static int let_go_on(coir_http_request *request)
{
    if (!request->head.expects || request->continued || request->state != COIR__HTTP_FRESH)
        return 0;
    request->continued = true;
    COIR_TRY(coir__http_put(&request->out, "HTTP/1.1 100 Continue\r\n\r\n"));
    return coir__http_flush(request);
}

/* Shows some of the body. It may be waited for only so long in all, longer the more has come. */
static int peek_body(coir_http_request *request, coir_bytes *ret_bytes)
{
    if (request->body.over)
        return 0;
    COIR_TRY(let_go_on(request));
    coir_time earned = (coir_time)(request->body_length / LEAST_RATE) * COIR_SEC(1);
    coir_time limit = request->connection->serving->app->opts.stall_limit, start = coir_now();
    COIR_SCOPE(scope, coir__http_later(limit, earned) - request->body_waited);
    int r = coir__http_body_peek(&request->body, ret_bytes);
    coir_scope_leave(&scope);
    request->body_waited += coir_now() - start;
    if (r != -ETIME || !coir_scope_expired(&scope))
        return r;
    request->late = true;
    return coir_fail(-ETIMEDOUT, "the body comes too slowly");
}

static void take_body(coir_http_request *request, size_t n)
{
    coir__http_body_take(&request->body, n);
    request->body_length += n;
}

int coir_http_request_read(coir_http_request *request, void *data, size_t size, size_t *ret_n)
{
    coir_bytes bytes;
    if (size == 0 || ret_n == NULL)
        return -EINVAL;
    int r = peek_body(request, &bytes);
    if (r <= 0)
        return r;
    *ret_n = bytes.length < size ? bytes.length : size;
    memcpy(data, bytes.data, *ret_n);
    take_body(request, *ret_n);
    return 1;
}

static int too_long(coir_http_request *request, size_t limit)
{
    int r = coir_fail(-COIR_ETOOLONG, "a body of more than %zu bytes", limit);
    return coir__http_blame(request, 413, r);
}

int coir_http_request_body(coir_http_request *request, coir_bytes *ret_body)
{
    size_t limit = request->app->opts.body_limit;
    coir_bytes bytes;
    int r = 1;
    if (request->head.has_length && request->head.length > limit)
        return too_long(request, limit);
    request->entity.limit = limit;
    while (!request->whole && (r = peek_body(request, &bytes)) > 0) {
        r = coir_buffer_append(&request->entity, bytes.data, bytes.length);
        if (r == -COIR_ETOOLONG)
            return too_long(request, limit);
        if (r < 0)
            return r;
        take_body(request, bytes.length);
    }
    if (r < 0)
        return r;
    request->whole = true;
    *ret_body = (coir_bytes){coir_buffer_text(&request->entity), request->entity.length};
    return 0;
}

int coir_http_request_json(coir_http_request *request, struct json_t **ret_json)
{
    coir_bytes body;
    COIR_TRY(coir_http_request_body(request, &body));
    int r = coir__http_load_json(body, ret_json);
    return r == -EBADMSG ? coir__http_blame(request, 400, r) : r;
}

static bool is_form(const coir_http_request *request)
{
    static const char form[] = "application/x-www-form-urlencoded";
    const char *type = coir_http_request_header(request, "Content-Type");
    return type != NULL && coir__http_alike_start(type, form, sizeof form - 1) &&
           (type[sizeof form - 1] == '\0' || type[sizeof form - 1] == ';' ||
            type[sizeof form - 1] == ' ');
}

int coir_http_request_form(coir_http_request *request, const char *name, const char **ret_value)
{
    coir_bytes body;
    if (!is_form(request))
        return coir__http_blame(
            request, 400, coir_fail(-EBADMSG, "the body is no application/x-www-form-urlencoded"));
    COIR_TRY(coir_http_request_body(request, &body));
    int r = find_value(request, body, name, ret_value);
    if (r != -COIR_EURL)
        return r;
    return coir__http_blame(request, 400, coir_fail(-EBADMSG, "the form is wrongly encoded"));
}

bool coir__http_request_finish(coir_http_request *request)
{
    if (request->body.over)
        return true;
    if (request->head.expects && !request->continued)
        return false; /* whether the body comes is not known */
    coir_bytes bytes;
    int r = 1;
    for (size_t dropped = 0; r > 0 && dropped < REST; dropped += bytes.length) {
        r = peek_body(request, &bytes);
        if (r > 0)
            take_body(request, bytes.length);
        else
            break;
    }
    return r == 0;
}
