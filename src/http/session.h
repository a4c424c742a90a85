/* session.h: what the files of the client share: a session, its connections, responses.
 *
 * A request takes a connection from the session's pool, writes its head and a small body in one
 * piece from the connection's buffer, and reads the head of the response where it lies in the
 * stream. The response holds the connection until its body was read; then it goes back, or is
 * discarded when anything about it is doubtful. Internal to http.
 */
#ifndef COIR_HTTP_SESSION_INTERNAL_H
#define COIR_HTTP_SESSION_INTERNAL_H

#include <coir/http_session.h>
#include <coir/pool.h>
#include <coir/url.h>

#include "message.h"

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

void coir__cookies_free(struct coir__cookies *jar);

/* ---- sessions (session.c) ---- */

/* A connection, as the pool keeps it. */
struct coir__http_link {
    coir_stream *stream;
    coir_buffer out; /* the head of a request, and a small body */
};

struct coir__http_pace;

struct coir_http_session {
    coir_http_session_opts opts; /* with defaults; its texts are in `texts` */
    char *texts;
    coir_url base;
    coir_loop *loop; /* of the first request */
    coir_pool *pool;
    struct coir_tls_context *tls; /* opened here; NULL: opts.tls, or not needed yet */
    struct coir__cookies cookies;
    struct coir__http_pace *paces; /* a limiter for each host */
    coir_http_response *responses; /* that are open */
    coir_http_response *spare;     /* a record that nobody uses */
    coir_http_session_stats stats;
};

/* Waits until a request to that host may begin. */
int coir__http_pace(coir_http_session *session, const char *host);

/* ---- responses (response.c) ---- */

struct coir__unpack;

struct coir_http_response {
    coir_http_session *session; /* NULL: it was closed before */
    coir_http_response *next, *previous;
    coir_pooled *pooled; /* NULL: the connection has gone back */
    struct coir__http_head head;
    struct coir__http_body body;
    struct coir__unpack *unpack; /* NULL: the body is as it is */
    coir_buffer url, whole;
    bool read, ended; /* read: `whole` is all of it; ended: its end was reached */
    const coir_site *site;
};

/* A record, and a way to be rid of one that nobody has seen. */
coir_http_response *coir__http_response_make(coir_http_session *session, const coir_site *site);

/* Called when the head is there: prepares the body, and gives the connection back if there is none.
 * Returns 0, -ENOMEM. */
int coir__http_response_begin(coir_http_response *response, const char *method);

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

void coir__unpack_close(struct coir__unpack *unpack);

#endif
