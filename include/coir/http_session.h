/* coir/http_session.h: HTTP clients: a session that keeps connections, requests, responses. In
 * libcoir-http (`pkg-config --libs coir-http`).
 *
 *     COIR_AUTO(coir_http_session) *http = NULL;
 *     COIR_TRY(coir_http_session_open(NULL, &http));
 *     COIR_AUTO(coir_http_response) *response = NULL;
 *     COIR_TRY(coir_http_get(http, "https://example.org/", NULL, &response));
 *     coir_bytes body;
 *     COIR_TRY(coir_http_response_read(response, &body));
 *     printf("%d, %zu bytes\n", coir_http_response_status(response), body.length);
 *
 * One session serves all tasks of a loop. It keeps connections open for the next request to the
 * same server, checks certificates and names by default, follows redirects, keeps cookies, and
 * unpacks what is compressed, within limits. A time-out is a scope around the calls: there are
 * none in the options but for connecting and for silence while reading.
 */
#ifndef COIR_HTTP_SESSION_H
#define COIR_HTTP_SESSION_H

#include <coir/http.h>
#include <coir/stream.h>

COIR__BEGIN

struct json_t; /* of jansson */
struct coir_tls_context;
struct coir_tls_certificate;
struct coir_limiter;
struct coir_http_event; /* of <coir/http_call.h> */

/* A client's connections, cookies and defaults; opaque. */
typedef struct coir_http_session coir_http_session;

/* A response, whose body may still be on its way; opaque. */
typedef struct coir_http_response coir_http_response;

/* Zero means the default for each field. Texts are copied. */
typedef struct coir_http_session_opts {
    const char *base;                /* URL that those of requests are resolved against */
    const coir_http_header *headers; /* of every request that has none of that name */
    const char *user, *password;     /* Basic authentication, sent to the origin of base only */
    const char *bearer;              /* a token, in the same way */
    struct coir_tls_context *tls;    /* for https; NULL: the system's trust store */
    size_t limit;                    /* connections at once; 0: 100 */
    size_t limit_per_host;           /* 0: no other than limit */
    coir_time idle;                  /* unused ones are closed after so long; 0: 15 s */
    coir_time connect_limit;         /* for name, connection and TLS; 0: 30 s */
    coir_time read_limit;            /* of silence of the server; 0: 60 s */
    unsigned redirects;              /* that are followed; 0: 10, UINT_MAX: none */
    size_t body_limit; /* of coir_http_response_read, unpacked; 0: 64 MiB, SIZE_MAX: none */
    struct coir_limiter *limiter_per_host; /* the rate of requests: each host has one like it */
    bool no_cookies;                       /* neither keep nor send cookies */
    bool no_compression;                   /* neither ask for nor unpack compressed bodies */
    bool fail_on_status;                   /* 400 and above are -COIR_ESTATUS */
    bool no_keep_alive; /* each request has a connection of its own, and says so */
    /* Connects to address, "example.org:443", in place of coir_tcp_connect: to a Unix socket, from
     * a certain address, through a tunnel. https adds its TLS. It runs within connect_limit, in a
     * task of the session's. */
    int (*dial)(const char *address, void *arg, coir_stream **ret_stream);
    void *dial_arg;
    /* Told what becomes of requests and connections: see <coir/http_call.h>. It must not wait. */
    void (*trace)(const struct coir_http_event *event, void *arg);
    void *trace_arg;
    size_t coir__reserved[8];
} coir_http_session_opts;

/* Opens a session. It opens no connection, and belongs to the loop of its first request. opts may
 * be NULL.
 * Returns 0, and writes *ret_session, which is the caller's to close. Errors: -COIR_EURL for
 * opts->base, -EINVAL, -ENOMEM. Cancel safety: never waits. Thread safety: any thread. */
COIR__CHECKED int coir_http_session_open(const coir_http_session_opts *opts,
                                         coir_http_session **ret_session);

/* Closes a session and frees it; NULL is accepted. Requests under way fail with -COIR_ECLOSED, and
 * connections are closed when it returns.
 * Responses that are still open are reported with the line that made them (COIR_REPORT_LEFT);
 * their reads give -COIR_ECLOSED. Cancel safety: always closes. Thread safety: the loop's thread.
 */
COIR__PUBLIC void coir_http_session_close(coir_http_session *session);

COIR_CLOSER(coir_http_session, coir_http_session_close);

/* ---- requests ---- */

/* What else belongs to a request. Zero means the default for each field; nothing is needed when the
 * call has returned. One body at most. */
typedef struct coir_http_request_opts {
    const coir_http_header *headers;
    const char *query;         /* added to that of the URL; see coir_query_add */
    coir_bytes body;           /* as it is */
    const char *type;          /* of body: Content-Type */
    const struct json_t *json; /* as application/json */
    /* names and values, as application/x-www-form-urlencoded */
    const coir_http_header *form;
    coir_stream *stream;    /* its bytes, to its end, chunked, or: */
    uint64_t stream_length; /* so many; 0: not known */
    bool no_redirects;      /* a redirect is the response */
    bool no_retry;          /* never sent again, whatever the method */
    bool any_status;        /* is a response, whatever fail_on_status says */
    void *state;            /* of the program's, for a trace */
    /* NULL, or where to write the certificate of the server that has answered, after redirects:
     * see <coir/tls.h>. Without TLS all of it is 0. */
    struct coir_tls_certificate *ret_certificate;
    const char *upgrade; /* asks for another protocol; see coir_http_response_upgraded */
    size_t coir__reserved[4];
} coir_http_request_opts;

/* Sends a request and waits for the head of its response. url is absolute, or resolved against the
 * session's base. On a connection that was kept and turns out to be dead before a byte of the
 * response has come, the request is sent again if its method is idempotent and its body is still
 * there. opts may be NULL.
 * Returns 0, and writes *ret_response, which is the caller's to close; whatever the status is, but
 * for fail_on_status. Errors: -COIR_EURL; -COIR_ENONAME, -COIR_ELOOKUP for the name; -ECONNREFUSED
 * and others of connecting; -COIR_ETLS, -COIR_ECERTIFICATE; -COIR_EHTTP for what is no response;
 * -COIR_EREDIRECTS; -COIR_ESTATUS; -COIR_EEOF and -ECONNRESET when the connection ended;
 * -ETIMEDOUT beyond the session's limits; -COIR_ETOOLONG, -EINVAL, -ENOMEM, -COIR_EWRONGLOOP,
 * -COIR_ENOTASK, -ECANCELED, -ETIME, -COIR_ECLOSED when the session is closed meanwhile. The text
 * names the method and the URL, but no password. Cancel safety: the request may have reached the
 * server; its connection is closed. Thread safety: the loop's thread. */
#define coir_http_send(session, method, url, opts, ret_response)                                   \
    coir_http_send_at((session), (method), (url), (opts), (ret_response), COIR_SITE(NULL))
COIR__CHECKED int coir_http_send_at(coir_http_session *session, const char *method, const char *url,
                                    const coir_http_request_opts *opts,
                                    coir_http_response **ret_response, const coir_site *site);

/* The same for a method. Returns, Errors, Cancel safety, Thread safety: as coir_http_send. */
#define coir_http_get(session, url, opts, ret_response)                                            \
    coir_http_send((session), "GET", (url), (opts), (ret_response))
#define coir_http_head(session, url, opts, ret_response)                                           \
    coir_http_send((session), "HEAD", (url), (opts), (ret_response))
#define coir_http_post(session, url, opts, ret_response)                                           \
    coir_http_send((session), "POST", (url), (opts), (ret_response))
#define coir_http_put(session, url, opts, ret_response)                                            \
    coir_http_send((session), "PUT", (url), (opts), (ret_response))
#define coir_http_patch(session, url, opts, ret_response)                                          \
    coir_http_send((session), "PATCH", (url), (opts), (ret_response))
#define coir_http_delete(session, url, opts, ret_response)                                         \
    coir_http_send((session), "DELETE", (url), (opts), (ret_response))

/* ---- responses ---- */

/* The status of a response. Returns it: 200. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__PUBLIC int coir_http_response_status(const coir_http_response *response);

/* What the server says beside the status, "OK"; HTTP/2 and some servers have none: "". Returns a
 * string that lives as long as response. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__PUBLIC const char *coir_http_response_reason(const coir_http_response *response);

/* The value of its first header of that name. Returns a string that lives as long as response, or
 * NULL. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC const char *coir_http_response_header(const coir_http_response *response,
                                                   const char *name);

/* All its headers, as they came. Returns a list that lives as long as response. Cancel safety:
 * never waits. Thread safety: the loop's thread. */
COIR__PUBLIC const coir_http_header *coir_http_response_headers(const coir_http_response *response);

/* The URL that has answered, after redirects. Returns a string that lives as long as response.
 * Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC const char *coir_http_response_url(const coir_http_response *response);

/* A response that was passed over, since it was a redirect. */
typedef struct coir_http_hop {
    int status;
    const char *url; /* that was asked */
} coir_http_hop;

/* The redirects that have led to a response, the first one first.
 * Returns *ret_count of them, which live as long as response; NULL when there was none. Cancel
 * safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC const coir_http_hop *coir_http_response_history(const coir_http_response *response,
                                                             size_t *ret_count);

/* Takes the connection of a response out of the session, whose status is 101: the server agrees to
 * speak the protocol of opts.upgrade from here on.
 * Returns 0, and writes *ret_stream, which is the caller's to close. Errors: -EPROTO when the
 * server has not agreed, -EINVAL. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_http_response_upgraded(coir_http_response *response,
                                              coir_stream **ret_stream);

/* Reads what is left of the body, unpacked, as a whole, and gives the connection back. The bytes
 * are borrowed: they live as long as response, and a byte of value 0 follows them. Calling it
 * again gives the same.
 * Returns 0. Errors: -COIR_ETOOLONG beyond the session's body_limit, -COIR_EHTTP for wrong framing
 * or packing, -COIR_EEOF, -COIR_ETRUNCATED and others of reading, -ETIMEDOUT, -ENOMEM,
 * -COIR_ECLOSED, -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: what was read
 * stays; call it again. Thread safety: the loop's thread. */
COIR__CHECKED int coir_http_response_read(coir_http_response *response, coir_bytes *ret_body);

/* Reads some of the body, unpacked, as coir_stream_read does.
 * Returns 1, and writes *ret_n; 0 at its end, where the connection goes back. Errors: as
 * coir_http_response_read. Cancel safety: no byte is lost. Thread safety: the loop's thread. */
COIR__CHECKED int coir_http_response_read_some(coir_http_response *response, void *data,
                                               size_t size, size_t *ret_n);

/* Reads the body as JSON.
 * Returns 0, and writes *ret_json, which is the caller's to json_decref. Errors: -EBADMSG with a
 * text that says where it is wrong; else as coir_http_response_read. Cancel safety: as
 * coir_http_response_read. Thread safety: the loop's thread. */
COIR__CHECKED int coir_http_response_json(coir_http_response *response, struct json_t **ret_json);

/* Closes response and frees it; NULL is accepted. A body that was read to its end leaves the
 * connection to the next request; a short rest that is there already is read away; otherwise the
 * connection is closed. Cancel safety: always closes. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_http_response_close(coir_http_response *response);

COIR_CLOSER(coir_http_response, coir_http_response_close);

/* ---- cookies ---- */

/* Adds the session's cookies to buffer, as lines of the format of Netscape's cookies.txt, which
 * browsers and curl read too. Those that end with the session are among them.
 * Returns 0. Errors: -COIR_ETOOLONG, -ENOMEM, -EINVAL. Cancel safety: never waits. Thread safety:
 * the loop's thread. */
COIR__CHECKED int coir_http_session_save_cookies(const coir_http_session *session,
                                                 coir_buffer *buffer);

/* Takes cookies from such a text, which is believed: it says for whom each one is. Those that have
 * expired are left out. Call it before the first request, or between requests.
 * Returns 0. Errors: -EBADMSG for a line that is no cookie, with its number; those before it were
 * taken; -ENOMEM, -EINVAL. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_http_session_load_cookies(coir_http_session *session, coir_bytes text);

/* What a session does and did. */
typedef struct coir_http_session_stats {
    uint64_t requests, connections, reused, retried, redirected;
    size_t open, idle; /* connections now */
    size_t waiting;    /* tasks that wait for one */
    size_t responses;  /* that are open */
    uint64_t coir__reserved[4];
} coir_http_session_stats;

/* Writes what session does and did. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__PUBLIC void coir_http_session_stats_get(const coir_http_session *session,
                                              coir_http_session_stats *ret_stats);

COIR__END
#endif
