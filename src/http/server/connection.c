/* connection.c: a connection of a server: from request to request, and idle between them.
 *
 * The task of a connection answers all requests that are there, then waits a moment for the next
 * one, since most come soon; after that the connection is idle, and a task is started for it when
 * something comes. Who breaks the rules of framing is answered once, and nothing more is read.
 * Called by app.c.
 */
#include <errno.h>
#include <string.h>

#include <coir/memory.h>
#include <coir/tls.h>

#include "app.h"
#include "../ws/ws.h"

#define MOMENT COIR_MS(50)            /* that a task waits for the next request */
#define READ_AHEAD ((size_t)64 << 10) /* bytes of requests behind the one that is answered */
#define GATHERED ((size_t)64 << 10)   /* bytes of replies that are sent at the latest */

/* ---- records ---- */

static struct coir__http_list *list_of(const struct coir__http_connection *connection)
{
    return connection->idle ? &connection->serving->idle : &connection->serving->active;
}

static void enter_list(struct coir__http_connection *connection, bool idle)
{
    connection->idle = idle;
    connection->serving->app->stats.idle += idle;
    struct coir__http_list *list = list_of(connection);
    connection->previous = NULL;
    connection->next = list->first;
    *(list->first != NULL ? &list->first->previous : &list->last) = connection;
    list->first = connection;
}

static void leave_list(struct coir__http_connection *connection)
{
    struct coir__http_list *list = list_of(connection);
    connection->serving->app->stats.idle -= connection->idle;
    *(connection->previous != NULL ? &connection->previous->next : &list->first) = connection->next;
    *(connection->next != NULL ? &connection->next->previous : &list->last) = connection->previous;
}

void coir__http_close_connection(struct coir__http_connection *connection)
{
    struct coir__http_serving *serving = connection->serving;
    leave_list(connection);
    serving->connections--;
    connection->serving->app->stats.connections--;
    if (connection->client != NULL || serving->clients != NULL)
        coir__http_client_leaves(connection);
    coir_stream_close(connection->stream);
    if (connection->placed)
        (void)coir_semaphore_release(&serving->places);
    coir_free(connection);
}

static coir_http_request *take_request(struct coir__http_connection *connection)
{
    coir_http_app *app = connection->serving->app;
    coir_http_request *request = COIR_TAKE(app->spare);
    if (request == NULL)
        request = coir_calloc(1, sizeof *request);
    if (request != NULL)
        request->connection = connection;
    return request;
}

static void give_request(coir_http_app *app, coir_http_request *request)
{
    coir__http_request_clear(request);
    request->out.length = 0;
    if (app->spare == NULL && request->out.capacity <= 2 * GATHERED)
        app->spare = request;
    else
        coir__http_request_free(request);
}

/* ---- answering ---- */

/* What a failure of a handler means for its client; 0: nothing that the client has done. A handler
 * may have met the same code elsewhere, which is nobody's business: what the client has caused is
 * known by where it was met. */
static int status_of(const coir_http_request *request, int code)
{
    if (code == request->blamed)
        return request->blame;
    if (code == -ETIMEDOUT && request->late)
        return 408;
    return code == -COIR_EHTTP && request->body.failed == code ? 400 : 0;
}

/* Whether the connection is of no use any more. */
static bool is_gone(const coir_http_request *request)
{
    int failed = request->body.failed;
    return request->gone || request->cut || (failed < 0 && failed != -COIR_EHTTP);
}

static void report_failure(const coir_http_request *request, int code)
{
    char text[1024];
    (void)coir_error_format(coir_last_error(), code, text, sizeof text);
    coir_report_make(COIR_REPORT_UNREAD, "http %s %.100s: %s", request->head.method,
                     request->head.target, text);
    coir_clear_error();
}

/* A handler has failed. Returns whether the client could be told so. */
static bool answer_failure(coir_http_request *request, int code)
{
    if (is_gone(request) || coir_pending() != 0)
        return false;
    int status = status_of(request, code);
    if (status == 0)
        report_failure(request, code);
    if (request->state != COIR__HTTP_FRESH) /* a reply that is whole is as good as it was */
        return request->state == COIR__HTTP_REPLIED;
    bool read = status != 408 && status != 413 && request->body.failed == 0;
    bool plain = status == 0 || code == -ENOENT || code == -EOPNOTSUPP;
    const char *why = plain ? NULL : coir_last_message(code);
    return coir__http_refuse(request, status != 0 ? status : 500, why, !read) == 0;
}

int coir_http_failure_status(const coir_http_request *request, int code)
{
    int status = status_of(request, code);
    return status != 0 ? status : 500;
}

/* What has no route fails, so that middleware hears of it. The search that lists the methods of
 * other routes goes the same way again. */
static int fail_without_route(coir_http_request *request)
{
    COIR_AUTO(coir_buffer) allowed = {0};
    if (strcmp(request->head.target, "*") == 0) /* the server as a whole: it is there */
        return coir_http_reply(request, 204, NULL, NULL, 0);
    request->depth = 1;
    (void)coir__http_router_find(request, request->connection->serving->app->root, &allowed);
    if (allowed.length > 0) {
        COIR_TRY(coir_http_reply_header(request, "Allow", coir_buffer_text(&allowed)));
        return coir__http_blame(request, 405, -EOPNOTSUPP);
    }
    if (strcmp(request->head.method, "CONNECT") == 0)
        return coir__http_blame(request, 501, -EOPNOTSUPP);
    return coir__http_blame(request, 404, -ENOENT);
}

/* Calls the next middleware, of the outermost application that has one left, or who answers. */
static int call_next(coir_http_request *request)
{
    while (request->middleware == NULL && request->level + 1 < request->depth)
        request->middleware = request->levels[++request->level].app->middleware;
    const struct coir__http_middleware *next = request->middleware;
    request->app = request->levels[request->level].app;
    request->at = request->levels[request->level].at;
    if (next != NULL) {
        request->middleware = next->next;
        return next->fn(request, next->arg);
    }
    if (request->unsplit < 0)
        return request->unsplit;
    if (request->route == NULL)
        return fail_without_route(request);
    if (request->route->files != NULL)
        return coir__http_serve_file(request, request->route->files, request->values[0]);
    return request->route->handler(request);
}

/* Each sees the state and the path of its own application, also when what it has called is over,
 * and passes by nobody when it goes on once more. */
int coir_http_next(coir_http_request *request)
{
    const struct coir__http_middleware *middleware = request->middleware;
    size_t level = request->level;
    int r = call_next(request);
    if (r < 0)
        coir__http_reply_forget(request);
    request->middleware = middleware;
    request->level = level;
    request->app = request->levels[level].app;
    request->at = request->levels[level].at;
    return r;
}

/* Finds out who answers, and lets him. */
static int handle(coir_http_request *request)
{
    coir_http_app *app = request->connection->serving->app;
    request->unsplit = coir__http_request_split(request);
    request->app = app;
    request->at = 0;
    request->levels[0] = (struct coir__http_level){app, 0};
    request->depth = 1;
    request->level = 0;
    request->route = request->unsplit < 0 ? NULL : coir__http_router_find(request, app->root, NULL);
    request->middleware = app->middleware;
    return coir_http_next(request);
}

struct watch {
    coir_stream *stream;
    coir_scope *scope;
    bool ends; /* the end of what it sends is that of the client */
};

/* Cancels the handler when the client leaves; what it still sends is not touched, and not looked at
 * without end. */
static int watch_client(void *arg)
{
    const struct watch *watch = arg;
    coir_bytes bytes = {0};
    int r = 1;
    for (size_t least = 1; r > 0 && least <= READ_AHEAD; least = bytes.length + 1)
        r = coir_stream_peek(watch->stream, least, &bytes);
    bool ended = r == 0 || r == -COIR_EEOF;
    if (r == -ECONNRESET || (ended && watch->ends))
        coir_scope_cancel(watch->scope, "the client has gone");
    return 0;
}

static int handle_watched(coir_http_request *request)
{
    const coir_http_app_opts *opts = &request->connection->serving->app->opts;
    if ((!opts->cancel_on_disconnect && !opts->cancel_on_end) || !request->body.over)
        return handle(request);
    COIR_SCOPE(scope, COIR_FOREVER);
    struct watch watch = {request->connection->stream, &scope, opts->cancel_on_end};
    COIR_GROUP_COLLECT(group);
    COIR_TRY(coir_spawn(&group, watch_client, &watch, &request->watcher));
    int r = handle(request);
    request->watcher = NULL;
    request->gone = r < 0 && coir_scope_cancelled(&scope);
    return request->gone ? -ECONNRESET : r;
}

/* Ends the connection in the midst of a request. The replies before it are complete, and sent; if
 * nothing of its own was, the end of the connection says that there is none. */
static void give_up(coir_http_request *request)
{
    struct coir__http_connection *connection = request->connection;
    bool unsaid = request->out.length >= request->mark && !request->cut && !request->gone;
    if (request->out.length > request->mark)
        request->out.length = request->mark;
    if (unsaid && coir__http_flush(request) == 0 && request->state == COIR__HTTP_FRESH)
        coir_stream_close(COIR_TAKE(connection->stream));
    else
        coir_stream_abort(COIR_TAKE(connection->stream));
}

/* Answers a request whose head is there. Returns whether the connection goes on. */
static bool answer(coir_http_request *request)
{
    struct coir__http_connection *connection = request->connection;
    coir_http_app *app = connection->serving->app;
    request->began = app->opts.log != NULL ? coir_now() : 0; /* a look at the clock is not free */
    request->head_only = coir__http_is_method(request->head.method, "HEAD");
    request->mark = request->out.length;
    connection->requests++;
    request->keep = request->head.keep_alive && connection->requests < app->opts.requests;
    coir__http_body_begin(&request->body, connection->stream, &request->head, "");
    int r = request->out.length > 0 ? coir__http_flush_behind(request) : 0;
    if (r >= 0)
        r = handle_watched(request);
    if (r >= 0 && request->state == COIR__HTTP_FRESH)
        r = coir_fail(-EPROTO, "the handler has not replied");
    if (r >= 0)
        r = request->cut ? -COIR_EBROKENSTREAM : coir__http_end_reply(request);
    if (r >= 0 && !request->body.over)
        r = coir__http_flush(request); /* a client may wait for it with the rest of its body */
    bool good = r >= 0 || answer_failure(request, r);
    app->stats.requests++;
    app->stats.failed += !good || request->status >= 500;
    if (app->opts.log != NULL)
        coir__http_log(request);
    if (!good)
        give_up(request);
    return good && request->keep && request->state == COIR__HTTP_REPLIED &&
           (request->body.over || coir__http_request_finish(request));
}

/* ---- the next request ---- */

/* How long it may be without a request. */
static coir_time patience_of(const struct coir__http_connection *connection)
{
    const coir_http_app *app = connection->serving->app;
    return connection->requests > 0 ? app->opts.idle_limit : app->opts.head_limit;
}

/* Waits until least bytes are there. Returns as coir_stream_peek. */
static int wait_for(coir_http_request *request, size_t least, coir_time limit,
                    coir_bytes *ret_bytes)
{
    COIR_SCOPE(scope, limit);
    int r = coir_stream_peek(request->connection->stream, least, ret_bytes);
    coir_scope_leave(&scope);
    return r == -ETIME && coir_scope_expired(&scope) ? -ETIMEDOUT : r;
}

/* Waits for the first bytes of a request, in the scope of the time between requests. */
static int wait_for_first(coir_http_request *request, coir_time limit, coir_bytes *ret_bytes)
{
    coir__http_bound(request, limit);
    int r = coir_stream_peek(request->connection->stream, 1, ret_bytes);
    coir__http_unbound(request, r);
    return r == -ETIME && coir_scope_expired(request->between) ? -ETIMEDOUT : r;
}

/* Whether the first length bytes at data are to be parsed, although the first seen were no whole
 * head: when the end of one has come, a line that ends in LF alone, twice as much, or more than a
 * head may have. So a head that comes byte by byte is not read again for each. */
static bool is_due(const char *data, size_t seen, size_t parsed, size_t length)
{
    if (length >= 2 * parsed || length > coir__http_limits.line + coir__http_limits.headers)
        return true;
    for (const char *at = data + seen, *end = data + length, *lf;
         (lf = memchr(at, '\n', (size_t)(end - at))) != NULL; at = lf + 1)
        if (lf[-1] != '\r' || lf[-2] == '\n') /* seen is 2 at least, or it is due */
            return true;
    return false;
}

/* Waits for more of a head, of which the bytes have been parsed, until it is to be parsed again. */
static int wait_for_more(coir_http_request *request, coir_time until, coir_bytes *bytes)
{
    size_t parsed = bytes->length, seen;
    int r;
    do {
        seen = bytes->length;
        r = wait_for(request, seen + 1, until - coir_now(), bytes);
    } while (r > 0 && !is_due(bytes->data, seen, parsed, bytes->length));
    /* what came before the end, of it or of the time, may be no head */
    if ((r == -COIR_EEOF || r == -ETIMEDOUT) && seen > parsed)
        r = coir_stream_peek(request->connection->stream, seen, bytes);
    return r;
}

/* Answers bytes that are no head, or did not become one since began. */
static void refuse_head(coir_http_request *request, int status, const char *wrong, coir_time began)
{
    static const coir_http_header none = {0};
    const coir_http_app_opts *opts = &request->connection->serving->app->opts;
    char line[COIR__HTTP_LINE_SHOWN] = "";
    request->connection->serving->app->stats.refused++;
    if (opts->log != NULL)
        coir__http_first_line(request, line);
    request->head.method = "GET"; /* of which nothing is known */
    request->head.headers = &none;
    request->head_only = false;
    (void)coir__http_refuse(request, status, wrong, true);
    (void)coir__http_flush(request);
    if (opts->log != NULL)
        coir__http_log_refused(request, status, line, began);
}

/* Reads the head of the next request. left is how many bytes of it are known to be there. Returns
 * 1; 0 when nothing has come; a code when the connection is at its end. */
static int read_head(coir_http_request *request, bool first, size_t *left)
{
    const coir_http_app *app = request->connection->serving->app;
    coir_bytes bytes;
    size_t size = 0;
    int status = 0;
    const char *wrong = NULL;
    if (*left == 0 || request->out.length >= GATHERED)
        COIR_TRY(coir__http_flush(request));
    int r = *left > 0 ? coir_stream_peek(request->connection->stream, 1, &bytes)
                      : wait_for_first(request, first ? patience_of(request->connection) : MOMENT,
                                       &bytes);
    if (r == -ETIMEDOUT && !first)
        return 0;
    coir_time began = 0; /* not known before some of it is missing */
    while (r > 0) {
        r = coir__http_parse_head(&request->head, false, bytes, &coir__http_limits, &size, &status,
                                  &wrong);
        if (r != 0)
            break;
        if (began == 0)
            began = coir_now();
        COIR_TRY(coir__http_flush(request));
        r = wait_for_more(request, coir__http_later(began, app->opts.head_limit), &bytes);
        bool asked = bytes.length > 2; /* or it is the end of a line behind the last body */
        if (asked && (r == -ETIMEDOUT || r == -COIR_ETOOLONG))
            status = r == -ETIMEDOUT ? 408 : 431;
    }
    if (r > 0) {
        *left = bytes.length - size;
        coir_stream_consume(request->connection->stream, size);
        return 1;
    }
    if (status == 0)
        return r == 0 ? -COIR_EEOF : r;
    refuse_head(request, status, wrong, began != 0 ? began : coir_now());
    return -COIR_EHTTP;
}

/* Answers requests as long as they come. awaited: something has come, and so the first one has.
 * Returns whether the connection is to be kept. */
static bool answer_all(coir_http_request *request, bool awaited)
{
    COIR_SCOPE(between, COIR_FOREVER);
    size_t left = 0;
    for (bool first = awaited;; first = false) {
        request->between = &between;
        int r = read_head(request, first, &left);
        request->between = NULL;
        if (r <= 0)
            return r == 0;
        bool bare = !request->head.chunked && request->head.length == 0;
        bool goes_on = answer(request);
        if (!bare)
            left = 0; /* what is behind a body is not known */
        if (!goes_on) {
            if (request->connection->stream != NULL)
                (void)coir__http_flush(request);
            return false;
        }
        coir__http_request_clear(request);
    }
}

static int secure(struct coir__http_connection *connection)
{
    if (connection->secured)
        return 0;
    connection->secured = true;
    return coir_tls_accept(connection->serving->app->opts.tls, COIR_TAKE(connection->stream),
                           &connection->stream);
}

static int serve_connection(void *arg);

static int go_idle(struct coir__http_connection *connection)
{
    COIR_TRY(coir_spawn_on_readable(&connection->serving->requests, connection->stream,
                                    patience_of(connection), serve_connection, connection));
    leave_list(connection);
    enter_list(connection, true);
    return 0;
}

/* The task of a connection, from when something has come. */
static int serve_connection(void *arg)
{
    struct coir__http_connection *connection = arg;
    coir_http_app *app = connection->serving->app;
    coir_task_set_name(NULL, "http connection"); /* an idle one has no room for it */
    leave_list(connection);
    enter_list(connection, false);
    bool kept = false;
    bool awaited = connection->secured; /* what has come was no handshake */
    coir_http_request *request = NULL;
    if (connection->stream != NULL && !coir_stream_was_idle(connection->stream) &&
        secure(connection) == 0)
        request = take_request(connection);
    if (request != NULL) {
        kept = answer_all(request, awaited);
        coir__http_end_flushing(request);
        give_request(app, request);
    }
    if (connection->ws != NULL) {
        coir__ws_go_on(connection->ws);
        return 0;
    }
    bool wanted = !connection->serving->draining && connection->serving->crowded == 0;
    if (kept && wanted && go_idle(connection) == 0)
        return 0;
    coir__http_close_connection(connection);
    return 0;
}

/* Without a goodbye, during which it would still hold its descriptor. */
static void evict(struct coir__http_connection *connection)
{
    leave_list(connection);
    enter_list(connection, false);
    connection->serving->app->stats.evicted++;
    coir_stream_abort(COIR_TAKE(connection->stream)); /* its task starts, and frees the record */
}

/* Takes a place: when there is none, that of the connection which has been without a request for
 * longest, or waits until one has been answered. */
static int take_place(struct coir__http_connection *connection)
{
    struct coir__http_serving *serving = connection->serving;
    int r = coir_semaphore_try(&serving->places);
    if (r < 0) {
        serving->crowded++;
        if (serving->idle.last != NULL)
            evict(serving->idle.last);
        r = coir_semaphore_acquire(&serving->places);
        serving->crowded--;
    }
    connection->placed = r == 0;
    return r;
}

static int admit(struct coir__http_connection *connection)
{
    if (!connection->serving->limited)
        return 0;
    if (coir__http_client_enters(connection))
        return take_place(connection);
    connection->serving->app->stats.rejected++;
    return -EBUSY;
}

int coir__http_connect(struct coir__http_serving *serving, coir_stream *stream)
{
    coir_http_app *app = serving->app;
    struct coir__http_connection *connection = coir_calloc(1, sizeof *connection);
    if (connection == NULL) {
        coir_stream_abort(stream);
        return -ENOMEM;
    }
    connection->serving = serving;
    connection->stream = stream;
    connection->secured = app->opts.tls == NULL;
    enter_list(connection, false);
    serving->connections++;
    app->stats.connections++;
    int r = admit(connection);
    if (r == 0)
        r = go_idle(connection);
    if (r < 0) {
        coir_stream_abort(COIR_TAKE(connection->stream));
        coir__http_close_connection(connection);
    }
    return r;
}

static int close_stream(void *arg)
{
    coir_stream_close(arg);
    return 0;
}

/* Each in a task of its own, since a goodbye may take a while. The close starts the task of the
 * connection, which frees what is left of it. */
void coir__http_close_idle(struct coir__http_serving *serving)
{
    for (struct coir__http_connection *at = serving->active.first; at != NULL; at = at->next)
        if (at->ws != NULL)
            coir__ws_drain(at->ws);
    for (struct coir__http_connection *at = serving->idle.first; at != NULL; at = at->next) {
        coir_stream *stream = COIR_TAKE(at->stream);
        if (stream != NULL && coir_spawn(&serving->requests, close_stream, stream, NULL) < 0)
            coir_stream_abort(stream);
    }
}
