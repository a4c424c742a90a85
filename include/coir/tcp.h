/* coir/tcp.h: connections: connecting to a server, and being one, by TCP and by Unix sockets, and
 * for tests in memory.
 *
 *     static int talk(coir_stream *stream, void *arg)
 *     {
 *         return coir_stream_write(stream, "hello\n", 6);
 *     }
 *
 *     static int server(void *arg)
 *     {
 *         COIR_AUTO(coir_listener) *listener = NULL;
 *         COIR_TRY(coir_tcp_listen("127.0.0.1:8080", NULL, &listener));
 *         return coir_listener_serve(listener, talk, NULL);
 *     }
 *
 * Addresses are "127.0.0.1:80", "[::1]:80" and "localhost:80"; port 0 of a listener is one that is
 * free (coir_listener_address tells). To connect, host names will do: "example.org:443" (see
 * <coir/name.h> for who looks them up). Failures leave a text with the address, such as "connect
 * 127.0.0.1:6379: connection refused".
 */
#ifndef COIR_TCP_H
#define COIR_TCP_H

#include <coir/address.h>
#include <coir/stream.h>

COIR__BEGIN

/* How to find out that the peer of a TCP connection has silently gone. While nothing arrives the
 * system asks, and a connection without answers fails with -ETIMEDOUT. All zero: it does not ask.
 * If one is set, zero means what the system says for the others. Rounded up to seconds. */
typedef struct coir_keep_alive {
    coir_time idle;     /* silence before it asks for the first time */
    coir_time interval; /* between questions */
    int count;          /* of questions without an answer */
} coir_keep_alive;

/* What connecting does, for traces. */
typedef enum coir_connect_step {
    COIR_CONNECT_LOOKUP,   /* a host, the text, is looked up, for one family */
    COIR_CONNECT_RESOLVED, /* it was: code, and how many addresses there are */
    COIR_CONNECT_TRY,      /* an address, the text, is tried */
    COIR_CONNECT_TRIED,    /* it has answered, or not: code */
} coir_connect_step;

/* Something that has happened; borrowed for the call. */
typedef struct coir_connect_event {
    coir_connect_step what;
    const char *text;
    int family; /* AF_INET, AF_INET6, AF_UNIX */
    int code;   /* 0, or negative */
    size_t count;
    size_t coir__reserved[2];
} coir_connect_event;

/* Zero means the default for each field. */
typedef struct coir_connect_opts {
    const char *local; /* address to connect from, "192.0.2.1:0"; NULL: the system chooses */
    bool delay;        /* leave Nagle's algorithm on: gather small writes (TCP) */
    coir_keep_alive keep_alive; /* (TCP) */
    int family; /* AF_INET or AF_INET6: only addresses of that family (TCP); 0: any */
    /* Of several addresses the next one is tried beside the others when so long has passed since
     * the last one was, or at once when one has failed (TCP). 0: 250 ms; COIR_FOREVER: only when
     * all before have failed. */
    coir_time stagger;
    /* Told of each step. It must not wait; it may be called by other tasks than the one that
     * connects, and not after that has returned. */
    void (*trace)(const coir_connect_event *event, void *arg);
    void *trace_arg;
    size_t coir__reserved[2];
} coir_connect_opts;

/* Connects to a TCP server. A host that is a name is looked up (coir_name_lookup), for IPv6 and
 * IPv4 at once, and of several addresses the one that answers first is taken: see
 * coir_tcp_connect_any. It begins as soon as the IPv6 addresses are known, or 50 ms after those of
 * IPv4; what is known later joins in (RFC 8305). opts may be NULL.
 * Returns 0, and writes *ret_stream, which is the caller's to close. Errors: -COIR_EADDRESS,
 * -COIR_ENONAME, -COIR_ELOOKUP and others of coir_name_lookup; -ECONNREFUSED and others of
 * connect(2), -EMFILE, -ENOMEM, -COIR_ENOTASK, -ECANCELED, -ETIME. With several addresses the text
 * says of each why. Cancel safety: no connection is left. Thread safety: the loop's thread. */
COIR__CHECKED int coir_tcp_connect(const char *address, const coir_connect_opts *opts,
                                   coir_stream **ret_stream);

/* Connects to whichever of count addresses answers first ("happy eyeballs", RFC 8305). They are
 * tried in their order, but IPv6 and IPv4 by turns, the first 16 of them, each in a task of its
 * own; opts->stagger says when the next one. The first connection is taken, the other attempts are
 * cancelled and closed. A single address is connected to without all that. Those of another family
 * than opts->family or opts->local are left out. opts may be NULL.
 * Returns 0, and writes *ret_stream, which is the caller's to close. Errors: when all have failed,
 * the first code that says more than that there is no way to the address, with a text that has all
 * of them; -EINVAL for none, -EAFNOSUPPORT when none is left; else as coir_tcp_connect. Cancel
 * safety: no connection is left; when one was made by then it is taken, and the next call reports.
 * Thread safety: the loop's thread. */
COIR__CHECKED int coir_tcp_connect_any(const coir_address *addresses, size_t count,
                                       const coir_connect_opts *opts, coir_stream **ret_stream);

/* Connects to a Unix socket: a path, or an abstract name after '@'. opts may be NULL. While the
 * server's queue is full it is tried again.
 * Returns 0, and writes *ret_stream, which is the caller's to close. Errors: as coir_tcp_connect,
 * and -ENOENT. Cancel safety: no connection is left. Thread safety: the loop's thread. */
COIR__CHECKED int coir_unix_connect(const char *path, const coir_connect_opts *opts,
                                    coir_stream **ret_stream);

/* Opens two streams that are connected to each other by a pair of Unix sockets. For two ends in one
 * program coir_stream_pair (<coir/stream_pair.h>) is cheaper; these have descriptors, to be handed
 * to another process or to carry others.
 * Returns 0, and writes *ret_one and *ret_other. Errors: -EMFILE, -ENFILE, -ENOMEM, -EINVAL,
 * -COIR_ENOTASK where no loop runs. Cancel safety: never waits. Thread safety: the loop's thread.
 */
COIR__CHECKED int coir_unix_pair(coir_stream **ret_one, coir_stream **ret_other);

/* Writes the address of the other end of a connection as text.
 * Returns 0. Errors: -ENOTCONN when it is gone, -ENOTSOCK for a stream that is no connection,
 * -ENOSPC when size is too small (COIR_ADDRESS_TEXT is enough). Cancel safety: never waits. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_stream_peer(coir_stream *stream, char *text, size_t size);

/* A socket that accepts connections; opaque. */
typedef struct coir_listener coir_listener;

/* Zero means the default for each field. */
typedef struct coir_listen_opts {
    int backlog;     /* connections that may wait to be accepted; 0: 1024 */
    bool delay;      /* leave Nagle's algorithm on for accepted connections (TCP) */
    bool reuse_port; /* share the address with other listeners that say so, one for each loop (TCP)
                      */
    bool only_ipv6;  /* "[::]:80" does not accept IPv4 */
    unsigned mode; /* permissions of the path, 0600; 0: as the process's mask leaves them (Unix) */
    size_t limit;  /* connections that coir_listener_serve handles at once; 0: any number */
    coir_keep_alive keep_alive; /* of accepted connections (TCP) */
    size_t coir__reserved[3];
} coir_listen_opts;

/* Listens for TCP connections. localhost is 127.0.0.1. The address can be taken again at once
 * after a server that had it (SO_REUSEADDR). opts may be NULL.
 * Returns 0, and writes *ret_listener, which is the caller's to close. Errors: -COIR_EADDRESS,
 * -EADDRINUSE and others of bind(2), -EMFILE, -ENOMEM, -COIR_ENOTASK where no loop runs. Cancel
 * safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_tcp_listen(const char *address, const coir_listen_opts *opts,
                                  coir_listener **ret_listener);

/* Listens on a Unix socket: a path, or an abstract name after '@'. A socket that a dead server has
 * left at path is replaced; one that somebody listens on is not (-EADDRINUSE), nor is any other
 * file. The path is removed when the listener is closed. opts may be NULL.
 * Returns 0, and writes *ret_listener, which is the caller's to close. Errors: as coir_tcp_listen,
 * -ECANCELED, -ETIME. Cancel safety: nothing is left. Thread safety: the loop's thread. */
COIR__CHECKED int coir_unix_listen(const char *path, const coir_listen_opts *opts,
                                   coir_listener **ret_listener);

/* Makes a listener of an open socket that listens for streams, such as one that was inherited. Of
 * opts, which may be NULL, delay, keep_alive and limit count. A path is not removed when it is
 * closed: it is somebody else's.
 * Returns 0, and writes *ret_listener; fd is closed with it. Errors: -EBADF, -ENOTSOCK, -EPROTOTYPE
 * when it is another kind of socket or does not listen, -ENOMEM, -EOPNOTSUPP on the simulated
 * backend, -COIR_ENOTASK where no loop runs; then fd stays the caller's. Cancel safety: never
 * waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_listener_adopt(int fd, const coir_listen_opts *opts,
                                      coir_listener **ret_listener);

/* Makes a listener in memory, for the tests of a server: who connects to it, by
 * coir_memory_connect, gets one end of a coir_stream_pair, and who accepts the other. There is no
 * descriptor and no kernel, so a server runs in virtual time on every backend.
 *
 *     COIR_TRY(coir_memory_listen(&listener));
 *     COIR_TRY(coir_spawn(&group, serve, listener, NULL));
 *     COIR_TRY(coir_memory_connect(listener, &stream));
 *
 * Returns 0, and writes *ret_listener, which is the caller's to close. Errors: -ENOMEM, -EINVAL,
 * -COIR_ENOTASK where no loop runs. Cancel safety: never waits. Thread safety: the loop's thread.
 */
COIR__CHECKED int coir_memory_listen(coir_listener **ret_listener);

/* Connects to a listener in memory. While 128 connections wait to be accepted it waits.
 * Returns 0, and writes *ret_stream, which is the caller's to close. Errors: -ECONNREFUSED when the
 * listener is closed meanwhile, -EINVAL for another kind of listener, -ENOMEM, -COIR_EWRONGLOOP,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: no connection is left. Thread safety: the
 * loop's thread. */
COIR__CHECKED int coir_memory_connect(coir_listener *listener, coir_stream **ret_stream);

/* Waits for a connection. One that was given up before it could be accepted is passed over. While
 * the process has no descriptor left for it, that is reported (COIR_REPORT_OVERLOAD, once) and
 * tried again after pauses of 5 ms up to 1 s; connections wait meanwhile. After a second they are
 * refused, by a descriptor that is held in reserve for that, until there are descriptors again.
 * While there is no memory it tries for half a second.
 * Returns 0, and writes *ret_stream, which is the caller's to close. Errors: -EBUSY while another
 * task accepts, -ENOMEM, -COIR_ECLOSED when the listener is closed meanwhile, -COIR_EWRONGLOOP,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: no connection is lost. Thread safety: the
 * loop's thread. */
COIR__CHECKED int coir_listener_accept(coir_listener *listener, coir_stream **ret_stream);

/* Accepts connections and calls handler(stream, arg) for each in a task of its own, named after
 * the peer; the stream is closed when it returns. A handler that fails because of its peer
 * (-ECONNRESET, -EPIPE, -COIR_EEOF, -ETIMEDOUT and the like) is no event; other failures are
 * reported (COIR_REPORT_UNREAD) and end only that connection. When this call ends, the handlers
 * are cancelled and joined.
 * Returns what ended it: -ECANCELED, -ETIME, -COIR_ECLOSED when the listener was closed, or
 * another failure of coir_listener_accept. Cancel safety: the connections are closed. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_listener_serve(coir_listener *listener,
                                      int (*handler)(coir_stream *stream, void *arg), void *arg);

/* Writes the address that a listener has as text: "127.0.0.1:40123", or a path; of
 * one in memory: "memory".
 * Returns 0. Errors: -ENOSPC when size is too small (COIR_ADDRESS_TEXT is enough),
 * -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_listener_address(coir_listener *listener, char *text, size_t size);

/* Closes a listener and frees it; NULL is accepted. Connections that nobody has accepted are
 * reset. A task that waits in accept or serve gets -COIR_ECLOSED. Cancel safety: never waits.
 * Thread safety: the loop's thread. */
COIR__PUBLIC void coir_listener_close(coir_listener *listener);

COIR_CLOSER(coir_listener, coir_listener_close);

COIR__END
#endif
