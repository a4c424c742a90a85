/* coir/http_call.h: requests of a session on their way: middleware that is called around each, and
 * a trace of what becomes of it. In libcoir-http (`pkg-config --libs coir-http`).
 *
 *     static int sign(coir_http_call *call, void *key, coir_http_response **ret_response)
 *     {
 *         char signature[65];
 *         compute(key, coir_http_call_method(call), coir_http_call_url(call), signature);
 *         COIR_TRY(coir_http_call_set_header(call, "X-Signature", signature));
 *         return coir_http_call_next(call, ret_response);
 *     }
 *
 *     COIR_TRY(coir_http_session_use(http, sign, key));
 */
#ifndef COIR_HTTP_CALL_H
#define COIR_HTTP_CALL_H

#include <coir/http_session.h>

COIR__BEGIN

/* ---- middleware ---- */

/* A request that is being sent; opaque. It lives as long as the middleware runs, and so do all
 * strings that it gives. */
typedef struct coir_http_call coir_http_call;

/* Calls fn around each request of session, a redirect's too: it goes on with coir_http_call_next,
 * as often as it likes, and gives out a response, or fails. The first one is the outermost. A
 * response that it does not give out is its own to close.
 *
 *     static int retry(coir_http_call *call, void *arg, coir_http_response **ret_response)
 *     {
 *         for (int i = 0;; i++) {
 *             COIR_TRY(coir_http_call_next(call, ret_response));
 *             if (coir_http_response_status(*ret_response) != 503 || i == 3)
 *                 return 0;
 *             coir_http_response_close(COIR_TAKE(*ret_response));
 *             COIR_TRY(coir_sleep(COIR_SEC(1) << i));
 *         }
 *     }
 *
 * Returns 0. Errors: -EINVAL, -ENOMEM, -EBUSY after the session's first request. Cancel safety:
 * never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_http_session_use(coir_http_session *session,
                                        int (*fn)(coir_http_call *call, void *arg,
                                                  coir_http_response **ret_response),
                                        void *arg);

/* Goes on with what comes behind this middleware: in the end the request is sent, and the head of
 * its response awaited.
 * Returns 0, and writes *ret_response, which is the caller's to give out or to close. Errors: as
 * coir_http_send, and -EINVAL when the body was a stream that was sent before. Cancel safety: as
 * coir_http_send. Thread safety: the task of the request. */
COIR__CHECKED int coir_http_call_next(coir_http_call *call, coir_http_response **ret_response);

/* What is asked for: its method; its whole URL without a password; the bytes of its body, none for
 * a stream; a header that the program, the session or a middleware has set, or NULL.
 * Returns them. Cancel safety: never waits. Thread safety: the task of the request. */
COIR__PUBLIC const char *coir_http_call_method(const coir_http_call *call);
COIR__PUBLIC const char *coir_http_call_url(coir_http_call *call);
COIR__PUBLIC coir_bytes coir_http_call_body(const coir_http_call *call);
COIR__PUBLIC const char *coir_http_call_header(const coir_http_call *call, const char *name);

/* Sets a header of this request, in place of those of that name. It is not taken over by a
 * redirect: that is another request, around which the middleware is called again.
 * Returns 0. Errors: -EINVAL for what is no name or no value, and for Host, Connection and those of
 * framing; -ENOMEM. Cancel safety: never waits. Thread safety: the task of the request. */
COIR__CHECKED int coir_http_call_set_header(coir_http_call *call, const char *name,
                                            const char *value);

/* ---- traces ---- */

/* What becomes of a request, in the order in which it happens. Those of a connection are not those
 * of one request: it is opened by the session, for whoever has waited longest when it is there. */
typedef enum coir_http_phase {
    COIR_HTTP_BEGUN = 1,  /* a request, or one of its redirects */
    COIR_HTTP_QUEUED,     /* it asks for a connection, and waits for its rate */
    COIR_HTTP_LOOKUP,     /* connection: a name is looked up, the text, for one family */
    COIR_HTTP_RESOLVED,   /* connection: it was, or has failed with code */
    COIR_HTTP_CONNECTING, /* connection: an address is tried, the text */
    COIR_HTTP_CONNECTED,  /* connection: it has answered, or has failed with code */
    COIR_HTTP_SECURED,    /* connection: TLS is there, or has failed with code */
    COIR_HTTP_OPENED,     /* the request has a new connection, */
    COIR_HTTP_REUSED,     /* or one that was kept */
    COIR_HTTP_CHUNK_SENT, /* of a streamed body: bytes */
    COIR_HTTP_SENT,       /* the request as a whole */
    COIR_HTTP_REPEATED,   /* the kept connection was dead, with code: it is sent again */
    COIR_HTTP_ANSWERED,   /* the head of a response is there: status, headers */
    COIR_HTTP_REDIRECTED, /* to the URL that is the text */
    COIR_HTTP_CHUNK,      /* of the response's body was read: bytes, unpacked */
    COIR_HTTP_ENDED,      /* all of it was */
    COIR_HTTP_FAILED,     /* with code, and its text */
} coir_http_phase;

/* The name of a phase: "queued". Returns a static string; "" for another number. Cancel safety:
 * never waits. Thread safety: any thread. */
COIR__PUBLIC const char *coir_http_phase_text(coir_http_phase phase);

/* Something that has happened. All of it is borrowed for the call. */
typedef struct coir_http_event {
    coir_http_phase phase;
    coir_time time;     /* as coir_now */
    uint64_t request;   /* which one of the session, from 1; 0: a connection's phase */
    const char *origin; /* "https://example.org:443"; NULL where there is a response */
    const char *method; /* NULL there, and for a connection's phase */
    const char *url;    /* NULL for a connection's phase */
    void *state;        /* coir_http_request_opts.state of the request */
    const char *text;   /* see the phases; may be NULL */
    const coir_http_header *headers;
    int status;
    int code;     /* 0, or negative */
    size_t bytes; /* of a chunk */
    void *coir__reserved[4];
} coir_http_event;

COIR__END
#endif
