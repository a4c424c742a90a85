/* app.h: what the files of the server share: an application, its connections, a request.
 *
 * A connection is in one of two states. Idle: nothing of it is there but its record and its stream,
 * and the task that will answer its next request is not there yet (coir_spawn_on_readable). Active:
 * that task runs, with a request record, which goes from request to request and then back to the
 * application. Replies are gathered in the record's `out` as long as there are whole requests to be
 * answered, and go out in one write. Internal to http.
 */
#ifndef COIR_HTTP_APP_INTERNAL_H
#define COIR_HTTP_APP_INTERNAL_H

#include <coir/event.h>
#include <coir/file.h>
#include <coir/group.h>
#include <coir/http_app.h>
#include <coir/semaphore.h>
#include <coir/ws.h>

#include "../message/message.h"

struct coir__ws_route;

enum {
    COIR__HTTP_SEGMENTS = 64, /* of a path: longer ones are not found */
    COIR__HTTP_PARAMS = 16,   /* of a pattern */
    COIR__HTTP_LEVELS = 8,    /* of applications that are mounted in each other */
};

/* ---- routes (router.c) ---- */

struct coir__http_files {
    coir_file *directory; /* open while the application is served */
    char *path;
};

/* What answers a pattern for a method. */
struct coir__http_route {
    struct coir__http_route *next;
    char *method; /* NULL: any */
    coir_http_handler handler;
    struct coir__http_files *files; /* of coir_http_app_static; NULL: none */
    struct coir__ws_route *ws;      /* of coir_http_app_websocket; NULL: none */
    char *names[COIR__HTTP_PARAMS]; /* in the order in which they stand in the pattern */
    size_t count;
};

/* A segment of patterns: what is written out, a parameter, or all that is left. */
struct coir__http_node {
    struct coir__http_node *next, *first; /* siblings and children that are written out */
    struct coir__http_node *param, *rest;
    struct coir__http_route *routes;
    coir_http_app *mounted;
    char segment[];
};

/* Adds a route to the tree at *root. Returns NULL, or what is wrong. */
const char *coir__http_router_add(struct coir__http_node **root, const char *method,
                                  const char *pattern, coir_http_handler handler,
                                  struct coir__http_files *files, struct coir__ws_route *ws);

/* Mounts an application below prefix. Returns NULL, or what is wrong. */
const char *coir__http_router_mount(struct coir__http_node **root, const char *prefix,
                                    coir_http_app *child);

/* Finds the route of request below root. Returns NULL when there is none; then *ret_allowed, unless
 * it is NULL, lists the methods of other routes, as Allow does, or is empty, and the levels are
 * those of the application in which it was looked for last. */
const struct coir__http_route *coir__http_router_find(coir_http_request *request,
                                                      const struct coir__http_node *root,
                                                      coir_buffer *ret_allowed);

void coir__http_router_free(struct coir__http_node *root);

/* ---- applications (app.c) ---- */

/* Remembers a mistake in a registration, if it is the first one. */
void coir__http_mistake(coir_http_app *app, const char *what, const char *value, const char *why);

struct coir__http_middleware {
    struct coir__http_middleware *next;
    int (*fn)(coir_http_request *request, void *arg);
    void *arg;
};

struct coir__http_context {
    struct coir__http_context *next, *previous;
    coir_fn start;
    void (*stop)(void *arg);
    void *arg;
};

struct coir__http_service {
    struct coir__http_service *next;
    coir_fn fn;
    void *arg;
};

struct coir__http_connection;
struct coir__http_network;

/* An address of IPv6; those of IPv4 are mapped. */
struct coir__http_key {
    unsigned char bytes[16];
};

/* What a body is packed with; of several that a client likes the same, the first. */
enum coir__http_coding {
    COIR__HTTP_PLAIN,
    COIR__HTTP_BROTLI,
    COIR__HTTP_ZSTD,
    COIR__HTTP_GZIP,
    COIR__HTTP_CODINGS,
};

struct coir_http_app {
    coir_http_app_opts opts; /* with defaults */
    coir_http_app *parent;   /* where it is mounted */
    struct coir__http_node *root;
    struct coir__http_middleware *middleware, **last_middleware;
    struct coir__http_context *contexts, *last_context;
    struct coir__http_service *services, **last_service;
    coir_http_app *children, *next;     /* mounted in it; beside it */
    struct coir__http_network *proxies; /* that are believed */
    size_t proxy_count;
    bool unix_proxy; /* so is who is connected by a Unix socket */
    int wrong;       /* of the first mistake, with its text */
    char wrong_text[140];
    coir_http_app_stats stats;
    /* while it is served */
    bool served;              /* by a listener, from the start of its contexts to their stop */
    coir_event *begun;        /* to be set when its contexts have started; NULL: nobody waits */
    coir_http_request *spare; /* a record that nobody uses */
    struct coir__pack *packs[COIR__HTTP_CODINGS]; /* nor these */
};

/* ---- connections (connection.c) ---- */

struct coir__http_list {
    struct coir__http_connection *first, *last; /* the one that entered last is the first */
};

/* One call that serves: what a listener accepts, or one stream. */
struct coir__http_serving {
    coir_http_app *app;
    coir_group requests;                 /* the tasks of its connections */
    coir_semaphore places;               /* for connections, if limited */
    struct coir__http_list active, idle; /* connections with a task, and without */
    size_t connections;                  /* in both */
    struct coir__http_clients *clients;  /* NULL: they are not counted */
    bool limited, draining;
    coir_event drained; /* set while draining, for handlers */
    unsigned crowded;   /* somebody waits for a place: no connection stays without a request */
};

struct coir__http_connection {
    struct coir__http_connection *next, *previous; /* in its list */
    struct coir__http_serving *serving;
    struct coir__http_client *client; /* NULL: it is not counted */
    coir_stream *stream;              /* NULL: it was closed while nobody was there */
    coir_ws *ws;                      /* that it has become; NULL: it speaks HTTP */
    unsigned requests;                /* that were answered */
    bool secured;                     /* its TLS handshake is done, or it has none */
    bool placed;                      /* it has one of the places */
    bool idle;                        /* it is in that list */
};

/* Takes over a connection; if serving is limited, when its client may have one more and there is a
 * place for it. The task that serves it belongs to serving. When it fails the stream is closed. */
int coir__http_connect(struct coir__http_serving *serving, coir_stream *stream);

/* Closes what is left of a connection, and frees it. */
void coir__http_close_connection(struct coir__http_connection *connection);

/* Closes those of serving without a request, and says goodbye to WebSockets. */
void coir__http_close_idle(struct coir__http_serving *serving);

/* ---- clients (clients.c) ---- */

/* The stream of a connection, also when a WebSocket has taken it over; NULL when it is closed. */
coir_stream *coir__http_stream(const struct coir__http_connection *connection);

/* Reads the option. Returns 0, -EINVAL, -ENOMEM. */
int coir__http_read_proxies(coir_http_app *app, const char *text);

/* Counts a connection, which is in its list already, among those of its client. Returns whether
 * there may be so many. */
bool coir__http_client_enters(struct coir__http_connection *connection);

/* The same for one that has left its list. */
void coir__http_client_leaves(struct coir__http_connection *connection);

/* ---- requests (request.c) ---- */

enum coir__http_reply_state {
    COIR__HTTP_FRESH,    /* nothing was replied */
    COIR__HTTP_BEGUN,    /* its head was, and more is to come */
    COIR__HTTP_REPLIED,  /* all of it */
    COIR__HTTP_UPGRADED, /* the connection is another protocol's */
};

/* An application on the way to the handler, and its first segment. */
struct coir__http_level {
    coir_http_app *app;
    size_t at;
};

/* A string of the request's. */
struct coir__http_text {
    struct coir__http_text *next;
    char text[];
};

struct coir_http_request {
    coir_http_app *app; /* whose handler, or middleware, runs */
    struct coir__http_connection *connection;
    struct coir__http_head head;
    struct coir__http_body body;
    coir_buffer path; /* its segments, decoded, each with a terminator */
    const char *segments[COIR__HTTP_SEGMENTS + 1];
    size_t count, at;                     /* of segments; the first one below app */
    int unsplit;                          /* why the path has no segments; 0: it has */
    const struct coir__http_route *route; /* NULL: there is none */
    const char *values[COIR__HTTP_PARAMS];
    struct coir__http_level levels[COIR__HTTP_LEVELS];
    size_t depth, level;                            /* of them; the one whose middleware runs */
    const struct coir__http_middleware *middleware; /* the next one */
    coir_buffer entity;                             /* the body, when it was read */
    coir_buffer headers;                            /* of the reply, as lines */
    coir_buffer out;                                /* what is to be sent */
    coir_scope *between;     /* that of its task between requests; NULL: a handler runs */
    coir_group flushing;     /* the task that sends it when nobody else does */
    coir_event flushed;      /* it has sent what it took */
    struct coir__pack *pack; /* of a reply that was begun; NULL: plain */
    coir_buffer packed;      /* what it has made */
    struct coir__http_text *texts;
    coir_task *watcher; /* reads ahead to see the client leave; NULL: nobody does */
    enum coir__http_reply_state state;
    int status;            /* of the reply */
    uint64_t sent;         /* bytes of its body */
    uint64_t owed;         /* bytes that are to be written yet, if sized */
    coir_time began;       /* when its head was there */
    coir_time body_waited; /* how long the body has been waited for */
    size_t mark;           /* where this reply begins in out, if nothing of it was sent */
    int blamed, blame;     /* a failure that the client has caused, and the status that says so */
    uint64_t body_length;  /* bytes of the body so far */
    int packing;           /* the reply is packed: 1: it is; -1: it is not; 0: as usual */
    bool keep;             /* the connection goes on after it */
    bool head_only;        /* HEAD */
    bool chunked;          /* how a reply that was begun is framed */
    bool sized;            /* it has a length */
    bool tunnel;           /* it is a 200 for CONNECT */
    bool continued;        /* the client was told to send its body */
    bool whole;            /* entity is all of it */
    bool late;             /* the client was too slow, with its body or in taking the reply */
    bool cut;              /* a part of the reply was lost */
    bool gone;             /* the client has */
    bool behind;           /* the task that flushes is there, and has not begun */
    bool taken;            /* it sends what it took of out */
    bool held;             /* out is being filled, and not to be taken */
    bool grouped;          /* flushing is open */
};

/* What is so much later; what would be later than ever is COIR_FOREVER. */
static inline coir_time coir__http_later(coir_time time, coir_time by)
{
    return by < COIR_FOREVER - time ? time + by : COIR_FOREVER;
}

/* Splits the path of request into segments. Returns 0, -COIR_EURL, -ENOMEM. */
int coir__http_request_split(coir_http_request *request);

/* Forgets everything of the last request. */
void coir__http_request_clear(coir_http_request *request);

/* Says that the client has caused a failure with that code, which status tells it. Returns code. */
int coir__http_blame(coir_http_request *request, int status, int code);

/* Gives its memory back. */
void coir__http_request_free(coir_http_request *request);

/* A copy of length bytes at text that lives as long as request; NULL without memory. */
char *coir__http_request_keep(coir_http_request *request, const char *text, size_t length);

/* Reads and drops a short rest of the body. Returns whether the next request can follow. */
bool coir__http_request_finish(coir_http_request *request);

/* ---- replies (reply.c) ---- */

/* Lets the time between requests end after limit; COIR_FOREVER: not at all. */
void coir__http_bound(coir_http_request *request, coir_time limit);

/* Takes that limit away behind a call that gave result. One that has won against the limit, and
 * comes back when that is over, goes on without it: the time begins anew. */
void coir__http_unbound(coir_http_request *request, int result);

/* Sends what was gathered. Returns 0 or a code. */
int coir__http_flush(coir_http_request *request);

/* The same, but not before the task of the connection waits for something. That this is so ends
 * with the other call, at the latest. */
int coir__http_flush_behind(coir_http_request *request);
void coir__http_end_flushing(coir_http_request *request);

/* Sends what was gathered and length bytes of file from offset on. Returns 0 or a code. */
int coir__http_send_file(coir_http_request *request, coir_file *file, uint64_t offset,
                         uint64_t length);

/* As coir_http_reply_header, whether or not it is for handlers. */
int coir__http_reply_set(coir_http_request *request, const char *name, const char *value);

/* Takes back what was said of a body, and of how long it is good, unless it was replied: a handler
 * has failed, and what is replied instead is another thing. */
void coir__http_reply_forget(coir_http_request *request);

/* The value of a header of the reply that was set, which lives as long as request; NULL. */
const char *coir__http_reply_get(coir_http_request *request, const char *name);

/* Adds the head of a reply to out; length UINT64_MAX: in chunks. */
int coir__http_put_head(coir_http_request *request, int status, const char *type, uint64_t length);

/* Ends a reply that was begun. */
int coir__http_end_reply(coir_http_request *request);

/* A reply of the server's own, after which the connection is closed if close. */
int coir__http_refuse(coir_http_request *request, int status, const char *why, bool close);

/* ---- packed replies (coding.c, pack.c) ---- */

/* What they are called in headers. */
extern const char *const coir__http_codings[COIR__HTTP_CODINGS];

/* How much the client of request likes each, 1 to 1000; 0: it must not be used. */
void coir__http_accepted(const coir_http_request *request,
                         unsigned ret_quality[COIR__HTTP_CODINGS]);

/* The one that is liked best; without has a bit for each that cannot be had. */
enum coir__http_coding coir__http_best(const unsigned quality[COIR__HTTP_CODINGS],
                                       unsigned without);

/* Chooses the coding of a reply with a body of size bytes (UINT64_MAX: unknown), and says in its
 * headers that it was chosen. Returns 0, -ENOMEM. */
int coir__http_choose(coir_http_request *request, int status, const char *type, uint64_t size,
                      enum coir__http_coding *ret_coding);

/* Says in the headers of the reply that it is packed; that others would have it in another form;
 * that its bytes are others for them, and mean the same. Return 0, -ENOMEM. */
int coir__http_say_coding(coir_http_request *request, enum coir__http_coding coding);
int coir__http_say_vary(coir_http_request *request);
int coir__http_weaken_tag(coir_http_request *request);

struct coir__pack;

enum coir__pack_end {
    COIR__PACK_MORE,  /* what was made of it may wait for what follows */
    COIR__PACK_FLUSH, /* all that was given can be unpacked */
    COIR__PACK_END,   /* it was the last */
};

/* Takes a packer that app has to spare, or makes one. Returns 0, -ENOMEM. */
int coir__pack_take(coir_http_app *app, enum coir__http_coding coding,
                    struct coir__pack **ret_pack);

/* Gives it back; NULL is accepted. */
void coir__pack_give(coir_http_app *app, struct coir__pack *pack);
void coir__pack_free(struct coir__pack *pack);

/* Packs bytes, and adds what comes of it to out. Returns 0, -ENOMEM: then it is of no use. */
int coir__pack_some(struct coir__pack *pack, coir_bytes bytes, enum coir__pack_end end,
                    coir_buffer *out);

/* ---- files (files.c) ---- */

/* Opens the directories of routes below root that are not open yet. Returns 0 or a code. */
int coir__http_open_directories(struct coir__http_node *root);

/* Replies with a file below directory; path NULL: the directory itself, without its slash. */
int coir__http_serve_file(coir_http_request *request, const struct coir__http_files *files,
                          const char *path);

/* ---- what is sent of a file (ranges.c) ---- */

struct coir__http_content {
    coir_file *file;
    uint64_t size;
    const char *type;
};

/* Replies with all of it, or with the parts that are asked for by a Range. */
int coir__http_send_whole(coir_http_request *request, const struct coir__http_content *content);
int coir__http_send_ranges(coir_http_request *request, const struct coir__http_content *content,
                           const char *asked);

/* ---- the access log (log.c) ---- */

/* What a line says of a request, or of the WebSocket that it has become. */
struct coir__http_entry {
    const coir_http_app_opts *opts;
    const char *client;
    const char
        *method; /* NULL: what came was no request, and target is the line that it began with */
    const char *target;
    coir_time began;
    uint64_t sent, received;
    int minor, status;
    int code; /* of a WebSocket's end; 0: it is none */
};

enum { COIR__HTTP_LINE_SHOWN = 128 };

/* Writes the line of a request, unless it has become a WebSocket. */
void coir__http_log(coir_http_request *request);

/* Copies what can be shown of the line that has come, and is no request. */
void coir__http_first_line(coir_http_request *request, char text[COIR__HTTP_LINE_SHOWN]);

/* Writes the line of what was refused as that line, when nothing of the request is known. */
void coir__http_log_refused(coir_http_request *request, int status, const char *line,
                            coir_time began);

/* Keeps what the line of a WebSocket will say of its request, in one block; nothing if there is no
 * log. Returns 0, -ENOMEM. */
int coir__http_log_keep(coir_http_request *request, struct coir__http_entry **ret_entry);

/* Writes that line. */
void coir__http_log_socket(struct coir__http_entry *entry, uint64_t sent, uint64_t received,
                           int code);

#endif
