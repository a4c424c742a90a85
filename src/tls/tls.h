/* tls.h: what the files of tls share: a context, a connection, and the only calls into OpenSSL that
 * a connection makes.
 *
 * OpenSSL never sees the stream below. A connection has a window of bytes that were read there,
 * which one call takes what it needs of, and a block of bytes that are to be written there. All
 * tasks of a thread share OpenSSL's queue of errors, so no task may wait between a call and the
 * look at its error: coir__tls_call makes both, and does not wait.
 */
#ifndef COIR_TLS_TLS_H
#define COIR_TLS_TLS_H

#include <openssl/ssl.h>

#include <coir/event.h>
#include <coir/memory.h>
#include <coir/semaphore.h>
#include <coir/tls.h>

/* A key for tickets of sessions. Born 0: there is none. */
struct coir__tls_ticket_key {
    unsigned char name[16], cipher[32], mac[32];
    coir_time born;
};

/* A session that a client may resume; the latest is first. */
struct coir__tls_session {
    struct coir__tls_session *next;
    SSL_SESSION *session;
    char name[];
};

struct coir__tls;

/* Bytes that OpenSSL wants written. */
struct coir__tls_buffer {
    char *data;
    size_t length, capacity;
};

struct coir_tls_context {
    SSL_CTX *ssl;
    coir_tls_role role;
    bool anyone; /* peers are not checked */
    bool capped;
    size_t users; /* its owner, handshakes and streams */
    coir_time limit, linger, rotation;
    coir_semaphore places; /* for handshakes; if capped */
    coir_tls_stats stats;
    unsigned char *alpn; /* as it is sent: each with its length before it */
    size_t alpn_length;
    struct coir__tls *warmest, *coldest; /* of the streams that have buffers */
    size_t warm;                         /* how many there are */
    struct coir__tls_buffer spare;       /* a block for whoever writes next */
    struct coir__tls_session *sessions;
    size_t most_sessions;
    struct coir__tls_ticket_key keys[2]; /* the one in use, and the one before */
};

/* Whose turn it is in one direction of the stream below, which a reader and a writer may want: so
 * one of them at most waits. Zero: nobody's. */
struct coir__tls_turn {
    bool taken;
    bool *awaited;     /* who waits; becomes true when it has the turn */
    coir_event handed; /* then */
};

/* Why a peer was not accepted; there during a handshake. */
struct coir__tls_doubt {
    const unsigned char *pin; /* the only certificate to be accepted; NULL: any that is good */
    bool refused;
    char text[140];
};

struct coir__tls {
    coir_stream *lower;
    SSL *ssl;
    coir_tls_context *context;
    struct coir__tls_doubt *doubt;
    const char *reason;      /* why the last call failed; static */
    const unsigned char *in; /* during a call: what was read below */
    size_t in_length;
    struct coir__tls_buffer out;
    struct coir__tls_turn input, output; /* who reads below and who writes there, see stream.c */
    struct coir__tls *warmer, *colder;   /* in the context's list */
    bool warm;                           /* it is in that list */
    int unreadable, unwritable;          /* what further calls give; 0: none */
    bool starved;                        /* there was no memory for out */
    bool shut;                           /* the goodbye was said */
    bool borrowed;                       /* lower is closed by somebody else */
    bool keeps;                          /* new sessions may be resumed */
    char name[];                         /* of the peer, for sessions and texts */
};

/* ---- context.c ---- */

void coir__tls_context_drop(coir_tls_context *context);

/* What the first error in OpenSSL's queue says, and its code; the queue is empty then. */
const char *coir__tls_reason(int *ret_code);

/* The protocol of that name in the context's list, terminated; "" when it is not there. */
const char *coir__tls_protocol(const coir_tls_context *context, const unsigned char *data,
                               size_t length);

/* ---- sessions.c ---- */

void coir__tls_sessions_prepare(coir_tls_context *context);
void coir__tls_sessions_free(coir_tls_context *context);

/* Lets tls resume a session with its peer if there is one. */
void coir__tls_session_offer(struct coir__tls *tls);

/* ---- verify.c ---- */

/* Makes connections of context check their peers. */
void coir__tls_verify_prepare(coir_tls_context *context);

/* Says whom the peer's certificate must be for. Returns 0, -EINVAL, -ENOMEM. */
int coir__tls_verify_name(SSL *ssl, const char *name);

/* Reads 64 hexadecimal digits. Returns 0 or -EINVAL. */
int coir__tls_parse_fingerprint(const char *text, unsigned char *ret_pin);

/* ---- call.c ---- */

/* What is to be done; coir__tls_call gives 1 when it was, 0 when the peer has said goodbye,
 * COIR__TLS_HUNGRY when bytes from below are needed first, or a code, with tls->reason. */
enum coir__tls_action {
    COIR__TLS_HANDSHAKE,
    COIR__TLS_READ,
    COIR__TLS_WRITE,
    COIR__TLS_GOODBYE,
};
#define COIR__TLS_HUNGRY 2

int coir__tls_call(struct coir__tls *tls, enum coir__tls_action action, void *data, size_t size,
                   size_t *ret_n);

/* Gives tls its SSL. Returns 0 or -ENOMEM. */
int coir__tls_attach(struct coir__tls *tls);

/* Makes room for size more bytes in buffer. Returns 0 or -ENOMEM. */
int coir__tls_grow(struct coir__tls_buffer *buffer, size_t size);

/* The same for what tls has to write. */
int coir__tls_reserve(struct coir__tls *tls, size_t size);

/* ---- stream.c ---- */

extern const coir_stream_ops coir__tls_ops;

/* Waits for bytes from below, and shows them to the next call. Returns 1, 0 at the end, a code. */
int coir__tls_fetch(struct coir__tls *tls);

/* Writes what OpenSSL wants written. The caller has the turn, or is alone. When it fails, all
 * that may be tried again is still there. Returns 0 or a code. */
int coir__tls_flush(struct coir__tls *tls);

/* The connection has done something: it may keep its buffers until others have too. */
void coir__tls_warm(struct coir__tls *tls);

/* Frees tls; lower stays. */
void coir__tls_free(struct coir__tls *tls);

/* coir_stream_query answers with the connection (struct coir__tls *). */
#define COIR__TLS_QUERY 512

#endif
