/* coir/http_app.h: HTTP servers: an application of routes, requests, replies. In libcoir-http
 * (`pkg-config --libs coir-http`).
 *
 *     static int hello(coir_http_request *request)
 *     {
 *         return coir_http_reply_text(request, 200, "hello, %s\n",
 *                                     coir_http_request_param(request, "name"));
 *     }
 *
 *     static int app(void *arg)
 *     {
 *         COIR_AUTO(coir_http_app) *app = NULL;
 *         COIR_TRY(coir_http_app_open(NULL, &app));
 *         coir_http_app_get(app, "/hello/{name}", hello);
 *         return coir_http_app_serve(app, "127.0.0.1:8080");
 *     }
 *
 *     int main(void) { return coir_main(app, NULL); }
 *
 * Each request is answered by a handler, in a task of its connection: a handler may wait for
 * whatever it likes, and requests of one connection are answered in their order. A handler replies
 * once. One that fails before it has replied is a 500, and its trace goes to the loop's report
 * hook (COIR_REPORT_UNREAD), never to the client. A connection without a request holds neither a
 * task nor a buffer. Limits of size and time hold by default.
 */
#ifndef COIR_HTTP_APP_H
#define COIR_HTTP_APP_H

#include <coir/event.h>
#include <coir/http.h>
#include <coir/tcp.h>

COIR__BEGIN

struct json_t; /* of jansson */
struct coir_tls_context;

/* Routes and what belongs to them; opaque. */
typedef struct coir_http_app coir_http_app;

/* A request that is being answered; opaque. It lives as long as its handler runs, and so do all
 * strings that it gives. */
typedef struct coir_http_request coir_http_request;

/* Answers a request. Returns 0, or a failure. */
typedef int (*coir_http_handler)(coir_http_request *request);

/* How the access log is written: one line for each request, through coir_http_app_opts.log. What
 * came and was refused as no request has a line as well: with the beginning of what it was in place
 * of method, target and version, or "-" (in JSON that is the target, and the method "-"). One that
 * has become a WebSocket has its line when the socket has ended, with the bytes both ways and
 * coir_ws_close_code. */
typedef enum coir_http_log {
    COIR_HTTP_LOG_COMMON, /* the Common Log Format, with the seconds that it took behind it; behind
                             them for a WebSocket the bytes received, and the code */
    COIR_HTTP_LOG_JSON,
} coir_http_log;

/* Zero means the default for each field. */
typedef struct coir_http_app_opts {
    void *state;                  /* for handlers: coir_http_request_state */
    struct coir_tls_context *tls; /* serve HTTPS; NULL: HTTP */
    /* who may connect */
    size_t connections; /* at once; for one more, that which has had no request for longest is
                           closed, or it waits while all have one; 0: 10000 */
    size_t client_connections; /* of them from one address of IPv4, or network of 64 bits of IPv6:
                                  more are refused; SIZE_MAX: no limit; 0: a tenth of
                                  connections, at least 100. Proxies have none */
    const char *proxies;       /* who is believed when he says who his client is: addresses and
                                  networks, "10.0.0.0/8, ::1, unix"; NULL: nobody */
    bool forwarded;  /* he says so by Forwarded (RFC 7239); otherwise by X-Forwarded-For and
                        X-Forwarded-Proto */
    bool reuse_port; /* coir_http_app_serve shares its TCP addresses with other loops */
    /* how much and how long */
    size_t requests;       /* of one connection, which is closed then; 0: 1000 */
    size_t body_limit;     /* of what coir_http_request_body reads; 0: 1 MiB */
    coir_time head_limit;  /* a head must be there, from its first byte to its last; 0: 10 s */
    coir_time idle_limit;  /* a connection without a request is closed; 0: 75 s */
    coir_time stall_limit; /* after so long a body must have come at 1 KiB/s, and each 128 KiB of a
                              reply must have been taken; 0: 30 s */
    coir_time grace;       /* requests may end so long after the server was cancelled; 0: 10 s */
    bool cancel_on_disconnect; /* a handler whose client has reset its connection is cancelled */
    bool cancel_on_end; /* also when its client sends no more: who closes a connection does so, but
                           also who has only ended his side and waits for the reply */
    /* replies */
    bool no_date;  /* they have no Date */
    bool nosniff;  /* all have "X-Content-Type-Options: nosniff": browsers do not guess types */
    bool compress; /* they are packed for clients that take it: see coir_http_reply_compress */
    size_t compress_least;      /* shorter bodies are not; 0: 1 KiB */
    const char *compress_types; /* only these: "text/, application/json"; NULL: texts, JSON, XML,
                                   SVG, WebAssembly; no events */
    /* the access log */
    void (*log)(const char *line, void *arg); /* gets each line, without newline; NULL: none */
    void *log_arg;
    coir_http_log log_format;
    size_t coir__reserved[4];
} coir_http_app_opts;

/* Opens an application without routes. opts may be NULL.
 * Returns 0, and writes *ret_app, which is the caller's to close. Errors: -EINVAL, -ENOMEM. Cancel
 * safety: never waits. Thread safety: any thread; it then belongs to the loop that serves it. */
COIR__CHECKED int coir_http_app_open(const coir_http_app_opts *opts, coir_http_app **ret_app);

/* Closes an application that is not being served, with those mounted in it; NULL is accepted.
 * Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_http_app_close(coir_http_app *app);

COIR_CLOSER(coir_http_app, coir_http_app_close);

/* ---- routes: mistakes are told by coir_http_app_serve, the first one ---- */

/* Answers requests of method (NULL: any) for pattern by handler. A pattern is a path, in which
 * "{name}" stands for one segment and, at its end, "{name...}" for all that is left, which may be
 * empty. What is written out goes before "{name}", and that before "{name...}". A route for GET
 * answers HEAD too, without the body. A path with other methods only is a 405 that names them. The
 * pattern "*" is for targets that are no path: those of CONNECT, and of "OPTIONS *".
 * Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_http_app_route(coir_http_app *app, const char *method, const char *pattern,
                                      coir_http_handler handler);

/* Answer requests of one method for pattern by handler, as coir_http_app_route says. Cancel safety:
 * never waits. Thread safety: the loop's thread. */
static inline void coir_http_app_get(coir_http_app *app, const char *pattern,
                                     coir_http_handler handler)
{
    coir_http_app_route(app, "GET", pattern, handler);
}
static inline void coir_http_app_post(coir_http_app *app, const char *pattern,
                                      coir_http_handler handler)
{
    coir_http_app_route(app, "POST", pattern, handler);
}
static inline void coir_http_app_put(coir_http_app *app, const char *pattern,
                                     coir_http_handler handler)
{
    coir_http_app_route(app, "PUT", pattern, handler);
}
static inline void coir_http_app_patch(coir_http_app *app, const char *pattern,
                                       coir_http_handler handler)
{
    coir_http_app_route(app, "PATCH", pattern, handler);
}
static inline void coir_http_app_delete(coir_http_app *app, const char *pattern,
                                        coir_http_handler handler)
{
    coir_http_app_route(app, "DELETE", pattern, handler);
}

/* Calls fn around each handler of app, and of those mounted in it: it goes on with coir_http_next,
 * or answers itself. The first one is the outermost. What has no route is a handler that fails with
 * -ENOENT, or -EOPNOTSUPP for another method.
 *
 *     static int count(coir_http_request *request, void *arg)
 *     {
 *         ++*(int *)arg;
 *         return coir_http_next(request);
 *     }
 *
 * Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_http_app_use(coir_http_app *app,
                                    int (*fn)(coir_http_request *request, void *arg), void *arg);

/* Goes on with what comes behind this middleware, which may be done again as long as nothing was
 * replied. Returns what that returns. Cancel safety: as the handler. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_http_next(coir_http_request *request);

/* With which status a failure of coir_http_next will be answered, unless a middleware does so, with
 * a page of its own:
 *
 *     int r = coir_http_next(request);
 *     if (r < 0 && coir_http_failure_status(request, r) == 404)
 *         return coir_http_reply(request, 404, "text/html", page, sizeof page - 1);
 *     return r;
 *
 * Who replies to another failure should return it all the same, so that it is reported.
 * Returns the status; 500 for what is not the client's doing. Cancel safety: never waits. Thread
 * safety: the loop's thread. */
COIR__PUBLIC int coir_http_failure_status(const coir_http_request *request, int code);

/* Answers requests below prefix, "/api", by another application, which sees paths without it ("/"
 * for "/api" itself) and is app's from here on. Its own state is what its handlers see. Cancel
 * safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_http_app_mount(coir_http_app *app, const char *prefix, coir_http_app *child);

/* Answers GET and HEAD below prefix with the files of a directory: see coir_http_reply_file. A
 * directory is its "index.html". prefix has no parameters. Whatever the path says, and wherever
 * links lead, nothing outside of the directory is given away. Cancel safety: never waits. Thread
 * safety: the loop's thread. */
COIR__PUBLIC void coir_http_app_static(coir_http_app *app, const char *prefix,
                                       const char *directory);

/* ---- what lives as long as the application is served ---- */

/* Calls start(arg) before requests are accepted, in the order of registration, and stop(arg) when
 * the last has ended, in the reverse order. A start that fails is unwound: those before it are
 * stopped, and coir_http_app_serve returns its failure. Either may be NULL. Contexts and services
 * belong to the application that is served, and not to those mounted in it. Cancel safety: never
 * waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_http_app_context(coir_http_app *app, coir_fn start, void (*stop)(void *arg),
                                        void *arg);

/* Runs fn(arg) as a task from when the contexts have started until the last request has ended; then
 * it is cancelled and joined, before the contexts are stopped. Its failure ends the server. Cancel
 * safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_http_app_service(coir_http_app *app, coir_fn fn, void *arg);

/* ---- serving ---- */

/* Serves app at an address, "127.0.0.1:8080" or "unix:/run/app.sock", or at several with commas
 * between, until the task is cancelled. Then it accepts nothing more, closes connections without a
 * request, lets those with one end for opts.grace, and cancels what is left.
 * Returns 0 when it was cancelled. Errors: the first mistake of a registration, that of a context
 * or a service, -EINVAL for none or more than 16 addresses, -EBUSY when app is being served, those
 * of coir_tcp_listen, coir_unix_listen and coir_listener_accept. Cancel safety: see above. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_http_app_serve(coir_http_app *app, const char *addresses);

/* As coir_http_app_serve, at a listener, or at count of them (at most 16), which stay the caller's.
 * Returns 0 when it was cancelled, or when a listener was closed. Errors, Cancel safety, Thread
 * safety: as coir_http_app_serve. */
COIR__CHECKED int coir_http_app_serve_listener(coir_http_app *app, coir_listener *listener);
COIR__CHECKED int coir_http_app_serve_listeners(coir_http_app *app, coir_listener *const *listeners,
                                                size_t count);

/* Serves app on one connection, which is taken over, until that ends: for tests in memory, and for
 * connections that come from elsewhere. Contexts and services are not started.
 * Returns 0. Errors: the first mistake of a registration, -ENOMEM, -COIR_ENOTASK. Cancel safety:
 * the connection is closed. Thread safety: the loop's thread. */
COIR__CHECKED int coir_http_app_serve_stream(coir_http_app *app, coir_stream *stream);

/* What an application does and did. */
typedef struct coir_http_app_stats {
    uint64_t requests, failed; /* answered; of them by 500 and above */
    uint64_t accepted;         /* connections */
    size_t connections, idle;  /* now; of them without a request */
    uint64_t refused;          /* requests that were none */
    uint64_t evicted;          /* connections that had to make room for others */
    uint64_t rejected;         /* connections beyond client_connections */
    uint64_t coir__reserved[2];
} coir_http_app_stats;

/* Writes what app does and did. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_http_app_stats_get(const coir_http_app *app, coir_http_app_stats *ret_stats);

/* ---- requests ---- */

/* What was asked for. Method and path, the latter decoded and below where its application is
 * mounted; the target as it came; the query, encoded, "" without one.
 * Returns a string. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC const char *coir_http_request_method(const coir_http_request *request);
COIR__PUBLIC const char *coir_http_request_path(coir_http_request *request);
COIR__PUBLIC const char *coir_http_request_target(const coir_http_request *request);
COIR__PUBLIC const char *coir_http_request_query_text(const coir_http_request *request);

/* What stands for "{name}" in the route's pattern, decoded.
 * Returns a string, or NULL for another name. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__PUBLIC const char *coir_http_request_param(const coir_http_request *request,
                                                 const char *name);

/* The decoded value of a name in the query; of a cookie; of a header.
 * Returns a string, or NULL when there is none (or no memory, or it is wrongly encoded, or has a
 * byte of value 0). Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC const char *coir_http_request_query(coir_http_request *request, const char *name);
COIR__PUBLIC const char *coir_http_request_cookie(coir_http_request *request, const char *name);
COIR__PUBLIC const char *coir_http_request_header(const coir_http_request *request,
                                                  const char *name);

/* All headers, as they came; the address and port of who is connected; the state of the
 * application.
 * Returns a list; a string, "" where nobody knows; what coir_http_app_opts.state was. Cancel
 * safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC const coir_http_header *coir_http_request_headers(const coir_http_request *request);
COIR__PUBLIC const char *coir_http_request_peer(coir_http_request *request);
COIR__PUBLIC void *coir_http_request_state(const coir_http_request *request);

/* The address of the client, without a port; whether it has asked by "https" or by "http". When who
 * is connected is one of opts.proxies, he says so, and of a row of proxies the first one that is
 * not in the list is the client. What others say is not believed.
 * Returns a string, "" where nobody knows. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__PUBLIC const char *coir_http_request_client(coir_http_request *request);
COIR__PUBLIC const char *coir_http_request_scheme(coir_http_request *request);

/* An event that is set when the server ends: who makes a long reply should come to its end within
 * opts.grace, after which he is cancelled.
 *
 *     coir_case cases[] = {COIR_ON_RECEIVE(news, &item), COIR_ON_EVENT(draining)};
 *
 * Returns it; it is not to be set or cleared. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__PUBLIC coir_event *coir_http_request_draining(const coir_http_request *request);

/* Reads some of the body, as coir_stream_read does. A client that waits for it is told to go on.
 * Returns 1, and writes *ret_n; 0 at its end. Errors: -COIR_EHTTP for wrong framing, -COIR_EEOF,
 * -ECONNRESET, -ETIMEDOUT after stall_limit, -ECANCELED, -ETIME. Cancel safety: no byte is lost.
 * Thread safety: the handler's task. */
COIR__CHECKED int coir_http_request_read(coir_http_request *request, void *data, size_t size,
                                         size_t *ret_n);

/* Reads the body as a whole, within the application's body_limit. The bytes live as long as
 * request, and a byte of value 0 follows them. Calling it again gives the same.
 * Returns 0. Errors: -COIR_ETOOLONG, which is a 413 when the handler returns it; else as
 * coir_http_request_read, -ENOMEM. Cancel safety: call it again. Thread safety: the handler's
 * task. */
COIR__CHECKED int coir_http_request_body(coir_http_request *request, coir_bytes *ret_body);

/* Reads the body as JSON.
 * Returns 0, and writes *ret_json, which is the caller's to json_decref. Errors: -EBADMSG with a
 * text, also for more than 128 levels, which is a 400 when the handler returns it; else as
 * coir_http_request_body. Cancel safety, Thread safety: as coir_http_request_body. */
COIR__CHECKED int coir_http_request_json(coir_http_request *request, struct json_t **ret_json);

/* Reads the body as a form (application/x-www-form-urlencoded) and finds the value of name,
 * decoded.
 * Returns 1, and writes *ret_value, which lives as long as request; 0 when it is not there.
 * Errors: -EBADMSG when it is no form; else as coir_http_request_body. Cancel safety, Thread
 * safety: as coir_http_request_body. */
COIR__CHECKED int coir_http_request_form(coir_http_request *request, const char *name,
                                         const char **ret_value);

/* ---- replies ---- */

/* Sets a header of the reply that is to come, in place of one of that name; adds one beside others
 * (Set-Cookie). Framing (Content-Length, Transfer-Encoding, Connection) is not for handlers. A Date
 * of the handler's replaces the server's.
 * Returns 0. Errors: -EINVAL for what is no name or value, -EALREADY when the head has been made,
 * -ENOMEM. Cancel safety: never waits. Thread safety: the handler's task. */
COIR__CHECKED int coir_http_reply_header(coir_http_request *request, const char *name,
                                         const char *value);
COIR__CHECKED int coir_http_reply_header_add(coir_http_request *request, const char *name,
                                             const char *value);

/* How long a cookie lives, and who gets it. Zero means the default for each field. */
typedef struct coir_http_cookie_opts {
    const char *path;      /* NULL: "/" */
    const char *domain;    /* NULL: this host only */
    coir_time age;         /* 0: as long as the browser runs; negative: it is removed */
    const char *same_site; /* "Strict", "None"; NULL: "Lax" */
    bool secure;           /* only over HTTPS; otherwise that is so where this is HTTPS, unless: */
    bool insecure;         /* over HTTP too */
    bool scripts;          /* scripts may read it; otherwise HttpOnly */
    size_t coir__reserved[2];
} coir_http_cookie_opts;

/* Sets a cookie with the reply. opts may be NULL.
 * Returns 0. Errors: -EINVAL for what may not stand there, -EALREADY, -ENOMEM. Cancel safety: never
 * waits. Thread safety: the handler's task. */
COIR__CHECKED int coir_http_reply_cookie(coir_http_request *request, const char *name,
                                         const char *value, const coir_http_cookie_opts *opts);

/* Says whether the reply that is to come is packed (br, zstd, gzip) where the client takes it,
 * whatever its type and .compress say. Even so it is not when the handler has set a
 * Content-Encoding, a Content-Range, or "Cache-Control: no-transform", nor when it is a file of
 * more than 1 MiB, or a part of one. What is packed has Vary and a weak ETag. A reply that tells a
 * secret beside something that its client has chosen must not be packed: its length would tell the
 * secret (BREACH).
 * Returns 0. Errors: -EALREADY when the head has been made. Cancel safety: never waits. Thread
 * safety: the handler's task. */
COIR__CHECKED int coir_http_reply_compress(coir_http_request *request, bool compress);

/* Replies with size bytes at data, of a media type such as "text/html; charset=utf-8" (NULL: none
 * is named). data is not needed when the call has returned.
 * Returns 0. Errors: -EALREADY when there was a reply, -EINVAL for a status that is none, -ENOMEM;
 * those of coir_stream_write, -ETIMEDOUT after stall_limit, -ECANCELED, -ETIME. Cancel safety: the
 * reply is sent, or the connection is closed. Thread safety: the handler's task. */
COIR__CHECKED int coir_http_reply(coir_http_request *request, int status, const char *type,
                                  const void *data, size_t size);

/* Replies with a text that printf would make, as text/plain in UTF-8.
 * Returns 0. Errors, Cancel safety, Thread safety: as coir_http_reply. */
COIR__CHECKED int coir_http_reply_text(coir_http_request *request, int status, const char *format,
                                       ...) COIR__PRINTF(3, 4);

/* Replies with JSON, and gives json up (json_decref); NULL, for want of memory, is -ENOMEM.
 * Returns 0. Errors, Cancel safety, Thread safety: as coir_http_reply. */
COIR__CHECKED int coir_http_reply_json(coir_http_request *request, int status, struct json_t *json);

/* Replies that the request has failed, with a text for people: return coir_http_fail(…).
 * Returns 0. Errors, Cancel safety, Thread safety: as coir_http_reply. */
COIR__CHECKED int coir_http_fail(coir_http_request *request, int status, const char *format, ...)
    COIR__PRINTF(3, 4);

/* Replies that the answer is elsewhere. status is 301, 302, 303, 307 or 308.
 * Returns 0. Errors, Cancel safety, Thread safety: as coir_http_reply. */
COIR__CHECKED int coir_http_redirect(coir_http_request *request, int status, const char *location);

/* Replies with the file at path, as far as If-None-Match, If-Modified-Since, If-Range and Range ask
 * for it, with an ETag. Up to 16 ranges go as multipart/byteranges. Where the client takes it, a
 * file "path.br", "path.zst" or "path.gz" that is not older is given instead; where there is none,
 * .compress packs one of at most 1 MiB as any reply. The kernel moves the bytes where it can. type
 * NULL: by the ending of path. What is no regular file is -ENOENT, which is a 404 when the handler
 * returns it.
 * Returns 0. Errors: those of coir_file_open and coir_stream_send_file; else as coir_http_reply.
 * Cancel safety, Thread safety: as coir_http_reply. */
COIR__CHECKED int coir_http_reply_file(coir_http_request *request, const char *path,
                                       const char *type);

/* Begins a reply that is made bit by bit; coir_http_reply_write adds to it, and the handler's
 * return ends it. It is sent in chunks, or as it is to a client of HTTP/1.0. A handler that fails
 * then cuts the connection, so that nobody takes the part for the whole.
 * Returns 0. Errors, Cancel safety, Thread safety: as coir_http_reply. */
COIR__CHECKED int coir_http_reply_begin(coir_http_request *request, int status, const char *type);

/* As coir_http_reply_begin, for a body of exactly length bytes, which the client is told. A handler
 * that returns before all were written has failed.
 * Returns 0. Errors, Cancel safety, Thread safety: as coir_http_reply. */
COIR__CHECKED int coir_http_reply_begin_sized(coir_http_request *request, int status,
                                              const char *type, uint64_t length);

/* Sends a piece of a reply that was begun, at once.
 * Returns 0. Errors: -EINVAL when none was begun, -EMSGSIZE for more than was announced; else as
 * coir_http_reply. Cancel safety: the connection is closed. Thread safety: the handler's task. */
COIR__CHECKED int coir_http_reply_write(coir_http_request *request, const void *data, size_t size);

/* Sends a server-sent event, and begins such a reply with the first one: its head says that proxies
 * are not to keep it, and nginx not to gather it. event and id may be NULL; each line of data
 * becomes one of the event's.
 * Returns 0. Errors: -EINVAL for a line's end in event or id; else as coir_http_reply_write. Cancel
 * safety, Thread safety: as coir_http_reply_write. */
COIR__CHECKED int coir_http_reply_event(coir_http_request *request, const char *event,
                                        const char *id, const char *data);

/* Takes the connection over for another protocol: replies 101 with the headers that were set and an
 * Upgrade for protocol, and gives the stream, with what the client has sent behind its request. It
 * is closed when the handler returns.
 * Returns 0, and writes *ret_stream, which stays the server's. Errors: -EPROTO when the client has
 * not asked for protocol, which is a 426 where the handler fails with it, and any reply then names
 * the protocol; else as coir_http_reply. Cancel safety, Thread safety: as
 * coir_http_reply. */
COIR__CHECKED int coir_http_reply_upgrade(coir_http_request *request, const char *protocol,
                                          coir_stream **ret_stream);

/* Takes the connection over for a client that has asked for one by CONNECT: replies 200, and gives
 * the stream, as coir_http_reply_upgrade does. No other success is an answer to CONNECT. The target
 * says where to: see coir_http_request_target.
 * Returns 0, and writes *ret_stream, which stays the server's. Errors: -EPROTO for another method;
 * else as coir_http_reply. Cancel safety, Thread safety: as coir_http_reply. */
COIR__CHECKED int coir_http_reply_tunnel(coir_http_request *request, coir_stream **ret_stream);

COIR__END
#endif
