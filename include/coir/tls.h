/* coir/tls.h: TLS over any stream: clients and servers. In a library of its own, libcoir-tls, over
 * OpenSSL: link what `pkg-config --libs coir-tls` says.
 *
 * A context holds what many connections share: whom to trust, one's own certificate, protocols,
 * sessions. A connection is a filter (<coir/filter.h>): it takes a stream over, and is used in its
 * place like any other.
 *
 *     COIR_AUTO(coir_tls_context) *context = NULL;
 *     COIR_TRY(coir_tls_context_open(COIR_TLS_CLIENT, NULL, &context));
 *     COIR_AUTO(coir_stream) *stream = NULL;
 *     COIR_TRY(coir_tls_dial(context, "localhost:443", NULL, &stream));
 *     COIR_TRY(coir_stream_write(stream, "hello\n", 6));
 *
 * A client checks the server's certificate and its name unless it is told otherwise in so many
 * words. TLS 1.2 is the oldest version; there is no renegotiation, no compression and no early
 * data. What goes wrong has a text: "tls example.org: certificate 'CN=example.org' (depth 0):
 * certificate has expired".
 */
#ifndef COIR_TLS_H
#define COIR_TLS_H

#include <coir/stream.h>
#include <coir/tcp.h>

COIR__BEGIN

/* ---- contexts ---- */

/* What connections have in common; opaque. */
typedef struct coir_tls_context coir_tls_context;

/* Which side of connections a context is for. */
typedef enum coir_tls_role {
    COIR_TLS_CLIENT = 1,
    COIR_TLS_SERVER,
} coir_tls_role;

/* What is asked of the peer. */
typedef enum coir_tls_verify {
    COIR_TLS_VERIFY_DEFAULT,  /* a client: certificate and name; a server: nothing */
    COIR_TLS_VERIFY_REQUIRED, /* a server too: only clients with a certificate that is trusted */
    COIR_TLS_VERIFY_OPTIONAL, /* a server: clients without one too; one that is shown must be good
                               */
    COIR_TLS_INSECURE_ANYONE, /* a client: whoever answers. Anybody on the way can read and change
                                 everything */
} coir_tls_verify;

/* The oldest version that is spoken. */
typedef enum coir_tls_version {
    COIR_TLS_1_2, /* the default */
    COIR_TLS_1_3,
} coir_tls_version;

/* Zero means the default for each field. Certificates, keys and lists are in PEM. What is given as
 * a file can be given as bytes instead; neither is needed after the context was opened. */
typedef struct coir_tls_opts {
    const char *certificate_file; /* one's own, first, and those between it and a root */
    const char *key_file;         /* NULL: in the same file */
    coir_bytes certificate, key;
    const char *password;        /* of the key; NULL: it has none */
    const char *trust_file;      /* whom to trust instead of the system's list */
    const char *trust_directory; /* the same, one a file, named by `openssl rehash` */
    coir_bytes trust;
    const char *revoked_file; /* lists of what was revoked (CRL): one for each issuer of peers */
    coir_bytes revoked;
    coir_tls_verify verify;
    coir_tls_version oldest;
    const char *alpn; /* protocols to be agreed on, best first: "h2,http/1.1"; a server that shares
                         none of a client's refuses it */
    coir_time handshake; /* a handshake must be over after so long; 0: 10 s */
    size_t handshakes;   /* how many may be under way at once, others wait; one whose peer has said
                            nothing for 20 ms counts no more. 0: 100 (a server), any number (a
                            client) */
    size_t sessions;     /* how many a client keeps to resume; 0: 64, SIZE_MAX: none */
    coir_time linger;    /* closing waits for the peer's goodbye, and no longer than this; 0: 1 s */
    bool no_linger;      /* closing says goodbye and does not wait */
    coir_time rotation;  /* a server's keys for tickets of sessions change so often; 0: 12 h */
    size_t coir__reserved[7];
} coir_tls_opts;

/* Opens a context. opts may be NULL for a client; a server needs a certificate. Files are read here
 * and now (with blocking calls), but for those of trust_directory and of the system's list, which
 * are looked up when a peer needs them. Contexts do not change: to use new certificates open
 * another one; connections keep theirs.
 * Returns 0, and writes *ret_context. Errors: -ENOENT, -EACCES and others for a file, -EINVAL for
 * what is not PEM, a key of another certificate, a wrong password, or options that make no sense
 * (the text says what), -ENOMEM. Cancel safety: never waits. Thread safety: any thread, but a
 * context is used by one loop. */
COIR__CHECKED int coir_tls_context_open(coir_tls_role role, const coir_tls_opts *opts,
                                        coir_tls_context **ret_context);

/* Closes a context; NULL is accepted. Its connections live on. Cancel safety: never waits. Thread
 * safety: the loop's thread. */
COIR__PUBLIC void coir_tls_context_close(coir_tls_context *context);

COIR_CLOSER(coir_tls_context, coir_tls_context_close);

/* What a context has done so far. */
typedef struct coir_tls_stats {
    uint64_t done, resumed; /* handshakes that went well; how many of them resumed a session */
    uint64_t failed;        /* and that did not, cancelled ones included */
    size_t under_way;       /* now */
    size_t waiting;         /* for a place among those under way */
    size_t streams;         /* that are open */
    size_t sessions;        /* that a client keeps */
} coir_tls_stats;

/* Writes what context has done so far. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__PUBLIC void coir_tls_context_stats(const coir_tls_context *context,
                                         coir_tls_stats *ret_stats);

/* ---- connections ---- */

/* Zero means the default for each field. */
typedef struct coir_tls_connect_opts {
    const char *name;        /* that the certificate must be for, instead of the host */
    const char *fingerprint; /* SHA-256 of the server's certificate, 64 hexadecimal digits (colons
                                may stand between): this one and no other, whoever has signed it,
                                whatever its name */
    const coir_connect_opts *connect; /* for coir_tls_dial */
    size_t coir__reserved[5];
} coir_tls_connect_opts;

/* Makes lower a TLS connection of which this is the client's end. Things may have been said on it
 * before ("STARTTLS"). host is the name, or the IP address, that the server's certificate must be
 * for; a name is also told to the server. opts may be NULL.
 *
 *     COIR_TRY(coir_tls_connect(context, "mail.example.org", COIR_TAKE(plain), NULL, &stream));
 *
 * lower is taken over in any case: after a failure it is closed. Returns 0, and writes *ret_stream.
 * Errors: -COIR_ECERTIFICATE when the server's certificate is not accepted (the text says which and
 * why), -COIR_ETLS for other failures of the handshake, -COIR_EEOF when the server has closed,
 * -ETIMEDOUT after opts.handshake of the context, those of the stream below, -EINVAL, -ENOMEM,
 * -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: lower is closed. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_tls_connect(coir_tls_context *context, const char *host, coir_stream *lower,
                                   const coir_tls_connect_opts *opts, coir_stream **ret_stream);

/* Connects to a server by TCP, and then as coir_tls_connect. The host of address is the name that
 * its certificate must be for, unless opts say another one. opts may be NULL.
 * Returns 0, and writes *ret_stream. Errors: those of coir_tcp_connect and coir_tls_connect. Cancel
 * safety: no connection is left. Thread safety: the loop's thread. */
COIR__CHECKED int coir_tls_dial(coir_tls_context *context, const char *address,
                                const coir_tls_connect_opts *opts, coir_stream **ret_stream);

/* Makes lower a TLS connection of which this is the server's end, as coir_tls_connect does for
 * clients. A client that says nothing takes no place among the handshakes under way.
 * lower is taken over in any case. Returns 0, and writes *ret_stream. Errors: as coir_tls_connect;
 * -COIR_ECERTIFICATE for a client's certificate that is not accepted, or that is missing. Cancel
 * safety: lower is closed. Thread safety: the loop's thread. */
COIR__CHECKED int coir_tls_accept(coir_tls_context *context, coir_stream *lower,
                                  coir_stream **ret_stream);

/* As coir_listener_serve, with TLS: handler gets each connection after its handshake. Handshakes
 * that fail are no event (coir_tls_context_stats counts them), nor is a handler that fails because
 * its peer broke the protocol.
 * Returns what ended it, as coir_listener_serve. Cancel safety: the connections are closed. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_tls_serve(coir_listener *listener, coir_tls_context *context,
                                 int (*handler)(coir_stream *stream, void *arg), void *arg);

/* Beyond what <coir/stream.h> says of every stream:
 *
 * - The end of a connection is what its peer calls the end. When the stream below ends without
 *   that, reading gives -COIR_ETRUNCATED: somebody may have cut it.
 * - coir_stream_shutdown tells the peer that nothing more comes, and leaves the stream below open.
 * - coir_stream_close says goodbye, and waits for the peer's unless that has come before, at most
 *   opts.linger. So of two ends the second never waits, and the first knows when it returns that
 *   the other has read everything, or left. What the peer still sends is thrown away. Outside a
 *   task, and when the task is cancelled, it says nothing: the peer then reads -COIR_ETRUNCATED.
 * - A write that is cancelled while it waits has been encrypted, and cannot be taken back: the
 *   stream is broken then, even if nothing has left. */

/* ---- asking ---- */

/* What was agreed on. The strings live as long as the stream. */
typedef struct coir_tls_info {
    const char *version;  /* "TLSv1.3" */
    const char *cipher;   /* "TLS_AES_256_GCM_SHA384" */
    const char *protocol; /* of ALPN: "h2"; "" when none was agreed on */
    const char *name;     /* that the client asked for; "" when it did not */
    bool resumed;         /* a session was; no certificate was sent */
    bool verified;        /* the peer has a certificate that was checked */
    size_t coir__reserved[4];
} coir_tls_info;

/* Asks a TLS connection, also through filters over it, what was agreed on.
 * Returns 0, and writes *ret_info. Errors: -EOPNOTSUPP when there is no TLS in stream, -EINVAL,
 * -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_tls_stream_info(coir_stream *stream, coir_tls_info *ret_info);

/* A certificate, as text for people and programs. What does not fit is cut. */
typedef struct coir_tls_certificate {
    char subject[192]; /* "CN=example.org,O=Example" */
    char issuer[192];
    char names[512];      /* that it is for: "example.org, *.example.org, 192.0.2.1" */
    char fingerprint[65]; /* SHA-256, 64 hexadecimal digits */
    int64_t since, until; /* seconds since 1970 */
} coir_tls_certificate;

/* Writes the certificate of the peer.
 * Returns 0, and writes *ret_certificate. Errors: -ENOENT when it has shown none, -EOPNOTSUPP,
 * -EINVAL, -ENOMEM, -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_tls_stream_peer(coir_stream *stream, coir_tls_certificate *ret_certificate);

COIR__END
#endif
