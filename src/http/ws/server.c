/* server.c: WebSockets of a server: who may connect, what both ends agree on, and sockets that
 * have handlers instead of a task.
 *
 * A socket takes the stream of its connection over, and the connection stays for what it counts
 * for: a place, and the end of the server. One with handlers is idle most of the time; a task is
 * started when something comes, deals with all that is there, and is over. Called by programs and
 * server/connection.c.
 */
#include "ws.h"

#include <errno.h>
#include <stdio.h>

#include <coir/memory.h>

#include "../server/app.h"

/* ---- who may connect: sections 4.2.1 and 10.2 ---- */

bool coir_ws_is_asked(const coir_http_request *request)
{
    const char *upgrade = coir_http_request_header(request, "Upgrade");
    return request->head.upgrade && upgrade != NULL && coir__http_has_token(upgrade, "websocket") &&
           strcmp(request->head.method, "GET") == 0 && request->head.minor > 0;
}

/* Sixteen bytes in base64. */
static bool is_key(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return text != NULL && strspn(text, digits) == 22 && strcmp(text + 22, "==") == 0;
}

static size_t occurrences(const coir_http_request *request, const char *name)
{
    size_t n = 0;
    for (const coir_http_header *at = request->head.headers; at->name != NULL; at++)
        n += coir__http_alike(at->name, name);
    return n;
}

/* The length of a host without the port that its scheme has anyway. */
static size_t bare_length(const char *host, const char *port)
{
    size_t length = strlen(host), more = strlen(port);
    return length > more && strcmp(host + length - more, port) == 0 ? length - more : length;
}

static bool is_same_host(const char *origin, const char *host)
{
    bool secure = coir__http_alike_start(origin, "https://", 8);
    if (!secure && !coir__http_alike_start(origin, "http://", 7))
        return false;
    const char *port = secure ? ":443" : ":80";
    origin += secure ? 8 : 7;
    size_t length = bare_length(origin, port);
    return length == bare_length(host, port) && coir__http_alike_start(origin, host, length);
}

/* Only browsers send an origin, and they do so always. */
static bool is_welcome(const coir_http_request *request, const coir_ws_opts *opts)
{
    const char *origin = coir_http_request_header(request, "Origin");
    const char *host = coir_http_request_header(request, "Host");
    if (host == NULL || (opts->hosts != NULL && !coir__http_has_token(opts->hosts, host)))
        return false;
    if (origin == NULL)
        return true;
    if (opts->origins != NULL &&
        (coir__http_has_token(opts->origins, "*") || coir__http_has_token(opts->origins, origin)))
        return true;
    return occurrences(request, "Origin") == 1 && is_same_host(origin, host);
}

static int refuse(coir_http_request *request, int status, int code, const char *why)
{
    return coir__http_blame(request, status, coir_fail(code, "%s", why));
}

static int check(coir_http_request *request, const coir_ws_opts *opts)
{
    const char *version = coir_http_request_header(request, "Sec-WebSocket-Version");
    bool asked = coir_ws_is_asked(request);
    if (!asked || version == NULL || strcmp(version, "13") != 0) {
        COIR_TRY(coir_http_reply_header(request, "Upgrade", "websocket"));
        if (asked)
            COIR_TRY(coir_http_reply_header(request, "Sec-WebSocket-Version", "13"));
        return refuse(request, 426, -EPROTO,
                      asked ? "only version 13 of WebSocket is spoken here"
                            : "only WebSocket is spoken here");
    }
    if (!is_key(coir_http_request_header(request, "Sec-WebSocket-Key")) ||
        occurrences(request, "Sec-WebSocket-Key") > 1)
        return refuse(request, 400, -EPROTO, "Sec-WebSocket-Key is not one of 16 bytes");
    if (!is_welcome(request, opts))
        return refuse(request, 403, -EACCES, "this host, or pages of that origin, are not served");
    return 0;
}

/* ---- what is agreed on ---- */

/* The values of all headers of that name, with commas between. */
static int join(const coir_http_request *request, const char *name, coir_buffer *out)
{
    for (const coir_http_header *at = request->head.headers; at->name != NULL; at++) {
        if (!coir__http_alike(at->name, name))
            continue;
        if (out->length > 0)
            COIR_TRY(coir__http_put(out, ", "));
        COIR_TRY(coir__http_put(out, at->value));
    }
    return 0;
}

static int choose_protocol(coir_http_request *request, const coir_ws_opts *opts,
                           char **ret_protocol)
{
    COIR_AUTO(coir_buffer) offered = {0};
    size_t length;
    COIR_TRY(join(request, "Sec-WebSocket-Protocol", &offered));
    const char *chosen = coir__ws_choose(opts->protocols, coir_buffer_text(&offered), &length);
    if (chosen == NULL)
        return 0;
    *ret_protocol = coir_calloc(1, length + 1);
    if (*ret_protocol == NULL)
        return -ENOMEM;
    memcpy(*ret_protocol, chosen, length);
    return coir_http_reply_header(request, "Sec-WebSocket-Protocol", *ret_protocol);
}

static int choose_extension(coir_http_request *request, const coir_ws_opts *opts,
                            struct coir__ws_terms *ret_terms)
{
    COIR_AUTO(coir_buffer) offers = {0}, answer = {0};
    COIR_TRY(join(request, "Sec-WebSocket-Extensions", &offers));
    COIR_TRY(coir__ws_deflate_accept(coir_buffer_text(&offers), opts, ret_terms, &answer));
    if (answer.length == 0)
        return 0;
    return coir_http_reply_header(request, "Sec-WebSocket-Extensions", coir_buffer_text(&answer));
}

coir_group *coir__ws_group(const coir_ws *ws)
{
    return ws->client ? ws->group : &ws->connection->serving->requests;
}

static int upgrade(coir_http_request *request, coir_ws *ws)
{
    char answer[32];
    coir_stream *stream;
    struct coir__http_connection *connection = request->connection;
    coir__ws_answer(coir_http_request_header(request, "Sec-WebSocket-Key"), answer);
    COIR_TRY(choose_protocol(request, &ws->config->opts, &ws->protocol));
    COIR_TRY(coir__http_log_keep(request, &ws->entry));
    COIR_TRY(coir_http_reply_header(request, "Sec-WebSocket-Accept", answer));
    COIR_TRY(coir_http_reply_upgrade(request, "websocket", &stream));
    ws->stream = COIR_TAKE(connection->stream);
    ws->connection = connection;
    ws->request = request;
    connection->ws = ws;
    if (connection->serving->draining)
        (void)coir__ws_goodbye(ws, COIR_WS_GOING_AWAY, NULL, 0, true);
    return 0;
}

static int accept_socket(coir_http_request *request, struct coir__ws_config *config,
                         coir_ws **ret_ws)
{
    struct coir__ws_terms terms;
    COIR_TRY(check(request, &config->opts));
    COIR_TRY(choose_extension(request, &config->opts, &terms));
    coir_ws *ws = coir__ws_make(config, &terms);
    if (ws == NULL)
        return -ENOMEM;
    int r = upgrade(request, ws);
    if (r < 0)
        coir__ws_release(ws);
    else
        *ret_ws = ws;
    return r;
}

int coir_ws_accept(coir_http_request *request, const coir_ws_opts *opts, coir_ws **ret_ws)
{
    struct coir__ws_config *config;
    if (request == NULL || ret_ws == NULL)
        return -EINVAL;
    COIR_TRY(coir__ws_config_make(opts, &config));
    int r = accept_socket(request, config, ret_ws);
    coir__ws_config_release(config);
    return r;
}

/* ---- ends ---- */

int coir__ws_excuse(const coir_ws *ws)
{
    if (ws->failed < 0)
        return ws->failed;
    if (ws->unsent < 0)
        return ws->unsent;
    return ws->heard || ws->connection->serving->draining ? -COIR_ECLOSED : 0;
}

void coir__ws_detach(coir_ws *ws, int excuse)
{
    if (ws->request != NULL && excuse < 0)
        (void)coir__http_blame(ws->request, 400, excuse);
    if (ws->entry != NULL)
        coir__http_log_socket(ws->entry, ws->bytes_sent, ws->bytes_received, ws->code);
    ws->connection->ws = NULL;
}

static int ending_code(const coir_ws *ws, int r, int excuse)
{
    if (r < 0 && r != excuse)
        return COIR_WS_FAILED;
    return ws->connection->serving->draining ? COIR_WS_GOING_AWAY : COIR_WS_NORMAL;
}

/* Ends a socket of the server's. Returns r, or 0 if that is excused. */
static int end_socket(coir_ws *ws, int r)
{
    int excuse = coir__ws_excuse(ws);
    coir__ws_finish(ws, ending_code(ws, r, excuse));
    if (ws->handlers != NULL && ws->handlers->on_close != NULL)
        ws->handlers->on_close(ws);
    coir__ws_detach(ws, excuse);
    coir__ws_release(ws);
    return r < 0 && r == excuse ? 0 : r;
}

/* ---- sockets with handlers ---- */

static int serve_socket(void *arg);

static void report(int code)
{
    char text[1024];
    (void)coir_error_format(coir_last_error(), code, text, sizeof text);
    coir_report_make(COIR_REPORT_UNREAD, "websocket: %s", text);
    coir_clear_error();
}

static void end_with_connection(coir_ws *ws, int r)
{
    struct coir__http_connection *connection = ws->connection;
    if (r < 0 && r != coir__ws_excuse(ws) && coir_pending() == 0)
        report(r);
    (void)end_socket(ws, r);
    coir__http_close_connection(connection);
}

/* No task and no buffer from here on. */
static int go_idle(coir_ws *ws)
{
    const coir_spawn_opts opts = {.name = "websocket"};
    coir__ws_keep_incoming(ws);
    COIR_TRY(coir_spawn_on_readable_with(coir__ws_group(ws), ws->stream, coir__ws_patience(ws),
                                         serve_socket, ws, &opts));
    ws->idle = true;
    return 0;
}

/* Deals with what has come. Returns 1; 0 after the peer's goodbye; a code. */
static int serve_messages(coir_ws *ws)
{
    coir_ws_message message;
    do {
        int r = coir__ws_receive_now(ws, &message);
        if (r == -EAGAIN)
            return 1;
        if (r <= 0)
            return r;
        if (ws->handlers->on_message != NULL)
            COIR_TRY(ws->handlers->on_message(ws, &message));
    } while (ws->in->ahead > 0);
    return 1;
}

/* The task of a socket, from when something has come. */
static int serve_socket(void *arg)
{
    coir_ws *ws = arg;
    int r = ws->failed;
    ws->idle = false;
    if (ws->stream != NULL && coir_pending() == 0)
        r = coir_stream_was_idle(ws->stream) ? coir__ws_beat(ws) : serve_messages(ws);
    bool goes_on = ws->stream != NULL && !ws->heard && r >= 0;
    if (goes_on && coir_pending() == 0) /* a group that is cancelled would start it at once */
        r = go_idle(ws);
    if (!ws->idle)
        end_with_connection(ws, r);
    return 0;
}

void coir__ws_go_on(coir_ws *ws)
{
    ws->request = NULL;
    if (ws->handlers == NULL) {
        coir_report_make(COIR_REPORT_LEFT,
                         "a WebSocket was not closed before its handler returned");
        (void)coir__ws_cut(ws, -COIR_ECLOSED);
    }
    int r = ws->stream != NULL ? go_idle(ws) : ws->failed;
    if (!ws->idle)
        end_with_connection(ws, r);
}

/* ---- the end of the server ---- */

static int end_idle(void *arg)
{
    coir_ws *ws = arg;
    COIR_SCOPE(limit, ws->config->opts.close_limit);
    (void)coir__ws_flush(ws);
    coir_scope_leave(&limit);
    if (ws->idle && ws->stream != NULL)
        coir_stream_close(COIR_TAKE(ws->stream)); /* which starts the task of the socket */
    coir__ws_release(ws);
    return 0;
}

void coir__ws_drain(coir_ws *ws)
{
    (void)coir__ws_goodbye(ws, COIR_WS_GOING_AWAY, NULL, 0, false);
    if (!ws->idle || ws->stream == NULL)
        return;
    if (coir_spawn(coir__ws_group(ws), end_idle, coir__ws_hold(ws), NULL) < 0) {
        (void)coir__ws_cut(ws, -ENOMEM);
        coir__ws_release(ws);
    }
}

/* ---- routes ---- */

static int answer(coir_http_request *request)
{
    const struct coir__ws_route *route = request->route->ws;
    coir_ws *ws;
    COIR_TRY(accept_socket(request, route->config, &ws));
    ws->owned = true;
    if (route->fn != NULL)
        return end_socket(ws, route->fn(request, ws));
    int r = route->handlers.on_open != NULL ? route->handlers.on_open(request, ws) : 0;
    if (r < 0)
        return end_socket(ws, r);
    ws->handlers = &route->handlers;
    return 0;
}

void coir__ws_route_free(struct coir__ws_route *route)
{
    if (route == NULL)
        return;
    if (route->config != NULL)
        coir__ws_config_release(route->config);
    coir_free(route);
}

static const char *add_route(coir_http_app *app, const char *pattern,
                             const struct coir__ws_route *like, const coir_ws_opts *opts)
{
    if (pattern == NULL)
        return "there is no pattern";
    struct coir__ws_route *route = coir_calloc(1, sizeof *route);
    if (route == NULL)
        return "there is not enough memory";
    *route = *like;
    int r = coir__ws_config_make(opts, &route->config);
    const char *wrong = r == -EINVAL   ? "its options are wrong"
                        : r == -ENOMEM ? "there is not enough memory"
                                       : NULL;
    if (wrong == NULL)
        wrong = coir__http_router_add(&app->root, "GET", pattern, answer, NULL, route);
    if (wrong != NULL)
        coir__ws_route_free(route);
    return wrong;
}

void coir_http_app_websocket_with(coir_http_app *app, const char *pattern,
                                  int (*fn)(coir_http_request *request, coir_ws *ws),
                                  const coir_ws_opts *opts)
{
    const struct coir__ws_route route = {.fn = fn};
    const char *wrong =
        fn != NULL ? add_route(app, pattern, &route, opts) : "there is no function for it";
    if (wrong != NULL)
        coir__http_mistake(app, "websocket", pattern, wrong);
}

void coir_http_app_websocket(coir_http_app *app, const char *pattern,
                             int (*fn)(coir_http_request *request, coir_ws *ws))
{
    coir_http_app_websocket_with(app, pattern, fn, NULL);
}

void coir_http_app_websocket_handlers(coir_http_app *app, const char *pattern,
                                      const coir_ws_handlers *handlers, const coir_ws_opts *opts)
{
    const char *wrong = "there are no handlers";
    if (handlers != NULL) {
        const struct coir__ws_route route = {.handlers = *handlers};
        wrong = add_route(app, pattern, &route, opts);
    }
    if (wrong != NULL)
        coir__http_mistake(app, "websocket", pattern, wrong);
}
