/* session.h: what the files of the client share: a session, its connections, requests, responses.
 *
 * A request takes a connection from the session's pool, writes its head and a small body in one
 * piece from the connection's buffer, and reads the head of the response where it lies in the
 * stream. The response holds the connection until its body was read; then it goes back, or is
 * discarded when anything about it is doubtful. Internal to http.
 */
#ifndef COIR_HTTP_SESSION_INTERNAL_H
#define COIR_HTTP_SESSION_INTERNAL_H

#include <coir/http_call.h>
#include <coir/pool.h>
#include <coir/url.h>

#include "../message/message.h"

/* ---- cookies (cookies.c) ---- */

struct coir__cookie;

/* A jar of cookies. Zero is an empty one. */
struct coir__cookies {
    struct coir__cookie *first; /* those of longer paths first, and then the older */
    size_t count;
    uint64_t made;
};

/* Takes text, the value of a Set-Cookie that came from url at now (seconds since 1970), if it may
 * be kept. Returns 0, or -ENOMEM. */
int coir__cookies_take(struct coir__cookies *jar, const coir_url *url, const char *text,
                       int64_t now);

/* Adds a Cookie header for url to out, if there are any for it. Returns 0, -ENOMEM. */
int coir__cookies_put(struct coir__cookies *jar, const coir_url *url, int64_t now,
                      coir_buffer *out);

/* Writes them in the format of Netscape's cookies.txt, and reads such a text. Returns 0, -ENOMEM,
 * -COIR_ETOOLONG; -EBADMSG with the number of the line. */
int coir__cookies_save(const struct coir__cookies *jar, int64_t now, coir_buffer *out);
int coir__cookies_load(struct coir__cookies *jar, coir_bytes text, int64_t now);

void coir__cookies_free(struct coir__cookies *jar);

/* ---- sessions (session.c) ---- */

/* A connection, as the pool keeps it. */
struct coir__http_link {
    coir_stream *stream;
    coir_buffer out; /* the head of a request, and a small body */
};

struct coir__http_pace;

/* A middleware. */
struct coir__http_layer {
    struct coir__http_layer *next;
    int (*fn)(coir_http_call *call, void *arg, coir_http_response **ret_response);
    void *arg;
};

struct coir_http_session {
    coir_http_session_opts opts; /* with defaults; its texts are in `texts` */
    char *texts;
    coir_url base;
    coir_loop *loop; /* of the first request */
    coir_pool *pool;
    struct coir_tls_context *tls; /* opened here; NULL: opts.tls, or not needed yet */
    struct coir__cookies cookies;
    struct coir__http_pace *paces;   /* a limiter for each host */
    struct coir__http_layer *layers; /* the outermost first */
    uint64_t calls;                  /* so far */
    unsigned users;                  /* calls under way, and its close: the last one frees it */
    bool closed;
    coir_http_response *responses; /* that are open */
    coir_http_response *spare;     /* a record that nobody uses, */
    coir_buffer scratch;           /* and memory for the origin of a call */
    coir_http_session_stats stats;
};

/* Gives a call's hold on session up. */
void coir__http_session_leave(coir_http_session *session);

/* Waits until a request to that host may begin. */
int coir__http_pace(coir_http_session *session, const char *host);

/* ---- requests (call.c) ---- */

/* A request under way. */
struct coir_http_call {
    coir_http_session *session;
    const char *method;
    const coir_http_request_opts *opts;
    const coir_site *site;
    uint64_t number; /* of the session's */
    coir_url url;
    coir_buffer origin; /* of url: "http://example.org:80" */
    coir_buffer text;   /* url as text, when somebody has asked */
    coir_bytes body;
    const char *type;      /* of body, or NULL */
    coir_buffer form;      /* what body is made of */
    char *json;            /* likewise */
    coir_http_header *set; /* by middleware, for this URL; each with its texts in a block */
    size_t set_count;
    const struct coir__http_layer *layer; /* that is called next */
    coir_http_hop *hops;                  /* redirects so far */
    size_t hop_count;
    bool streams;      /* opts->stream is the body, */
    bool stream_begun; /* of which nobody knows any more what it was */
    bool foreign;      /* a redirect has led to another origin than that of the program's URL */
    bool answered;     /* a byte of the response has come */
};

/* ---- exchanges (send.c) ---- */

/* Asks call's URL on a connection of the session's. */
int coir__http_exchange(coir_http_call *call, coir_http_response **ret_response);

/* Whether a header is what the session itself says. */
bool coir__http_is_own_header(const char *name);

bool coir__http_is_same_origin(const coir_url *a, const coir_url *b);

/* ---- traces (trace.c) ---- */

/* Tells the session's trace of something that has happened to a request, */
#define COIR__HTTP_TELL(call, ...)                                                                 \
    do {                                                                                           \
        if ((call)->session->opts.trace != NULL)                                                   \
            coir__http_tell_call((call), (coir_http_event){__VA_ARGS__});                          \
    } while (0)
void coir__http_tell_call(coir_http_call *call, coir_http_event event);

/* to a response of an open session, */
void coir__http_tell_response(const coir_http_response *response, coir_http_event event);

/* and to a connection that is being opened. */
void coir__http_tell_link(const coir_http_session *session, const char *origin,
                          coir_http_event event);

/* ---- responses (response.c) ---- */

struct coir__unpack;

struct coir_http_response {
    coir_http_session *session; /* NULL: it was closed before */
    coir_http_response *next, *previous;
    coir_pooled *pooled; /* NULL: the connection has gone back */
    struct coir__http_body body;
    struct coir__unpack *unpack; /* NULL: the body is as it is */
    uint64_t number;             /* of the request, of its session's; */
    void *state;                 /* of its options; both for the trace */
    coir_http_hop *hops;         /* redirects that led here */
    size_t hop_count;
    bool there;       /* its head is; before, nobody but the call knows the record, whose */
    coir_scope *call; /* scope this is: it ends when the session is closed */
    bool read, ended; /* read: `whole` is all of it; ended: its end was reached */
    const coir_site *site;
    /* What follows keeps its memory for the next response. */
    coir_buffer url, whole;
    struct coir__http_head head;
};

/* A record for a response that is awaited; and what gives its memory back. */
coir_http_response *coir__http_response_make(coir_http_session *session, const coir_site *site);
void coir__http_response_free(coir_http_response *response);

/* Called when the head is there: prepares the body, and gives the connection back if there is none.
 * Returns 0, -ENOMEM. */
int coir__http_response_begin(coir_http_response *response, const char *method);

/* Gives a response the redirects that led to it. */
void coir__http_response_keep_hops(coir_http_response *response, coir_http_hop *hops, size_t count);

void coir__http_free_hops(coir_http_hop *hops, size_t count);

/* Takes everything of the session's away from a response. */
void coir__http_response_detach(coir_http_response *response);

/* ---- packed bodies (unpack.c) ---- */

/* Opens an unpacker for a Content-Encoding: gzip, deflate, br, zstd. Returns 1; 0 for one that is
 * not known; -ENOMEM. */
int coir__unpack_open(const char *coding, struct coir__unpack **ret_unpack);

/* Unpacks some of bytes to at most size bytes at data, with what both were: *ret_used, *ret_made.
 * Returns 1; 0 at the end of what was packed; -COIR_EHTTP, -ENOMEM. */
int coir__unpack_some(struct coir__unpack *unpack, coir_bytes bytes, void *data, size_t size,
                      size_t *ret_used, size_t *ret_made);

/* There are more bytes behind the end: begins with another member of what was packed (RFC 1952,
 * section 2.2; RFC 8878, section 3). Returns whether there may be one. */
bool coir__unpack_next(struct coir__unpack *unpack);

void coir__unpack_close(struct coir__unpack *unpack);

#endif
