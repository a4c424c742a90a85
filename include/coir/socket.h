/* coir/socket.h: sockets in the words of the system, for what <coir/tcp.h> does not offer.
 *
 * A socket is a descriptor that belongs to the loop. It listens and accepts, or it connects, and
 * then becomes a stream:
 *
 *     COIR_AUTO(coir_socket) *socket = NULL;
 *     COIR_TRY(coir_socket_open(AF_INET, SOCK_STREAM, &socket));
 *     COIR_TRY(coir_socket_connect(socket, (struct sockaddr *)&address, sizeof address));
 *     COIR_AUTO(coir_stream) *stream = NULL;
 *     COIR_TRY(coir_stream_from_socket(socket, &stream));
 *     (void)COIR_TAKE(socket);                              (it is the stream's now)
 */
#ifndef COIR_SOCKET_H
#define COIR_SOCKET_H

#include <sys/socket.h>

#include <coir/stream.h>

COIR__BEGIN

/* A socket; opaque. */
typedef struct coir_socket coir_socket;

/* Makes a socket, as socket(2): AF_INET, AF_INET6 or AF_UNIX, and SOCK_STREAM or SOCK_DGRAM.
 * Returns 0, and writes *ret_socket, which is the caller's to close. Errors: those of socket(2),
 * -ENOMEM, -COIR_ENOTASK where no loop runs. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_socket_open(int domain, int type, coir_socket **ret_socket);

/* Takes over an open descriptor, a socket or a pipe, and makes it non-blocking.
 * Returns 0, and writes *ret_socket, which is the caller's to close; fd is closed with it. Errors:
 * -EBADF, -ENOMEM, -EOPNOTSUPP on the simulated backend, -COIR_ENOTASK where no loop runs; then fd
 * stays the caller's. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_socket_adopt(int fd, coir_socket **ret_socket);

/* As coir_socket_adopt for a descriptor that must be a socket of a type (SOCK_STREAM, SOCK_DGRAM),
 * and one that listens or not.
 * Returns 0, and writes *ret_socket; fd is closed with it. Errors: -ENOTSOCK, -EPROTOTYPE when it
 * is another kind of socket, else as coir_socket_adopt; then fd stays the caller's. Cancel safety:
 * never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_socket_adopt_as(int fd, int type, bool listens, coir_socket **ret_socket);

/* Makes two Unix sockets that are connected to each other, as socketpair(2): SOCK_STREAM or
 * SOCK_DGRAM.
 * Returns 0, and writes *ret_one and *ret_other. Errors: those of socketpair(2), -ENOMEM, -EINVAL,
 * -COIR_ENOTASK where no loop runs. Cancel safety: never waits. Thread safety: the loop's thread.
 */
COIR__CHECKED int coir_socket_pair(int type, coir_socket **ret_one, coir_socket **ret_other);

/* Binds socket to an address of this host, as bind(2).
 * Returns 0. Errors: those of bind(2), -COIR_EWRONGLOOP. Cancel safety: never waits. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_socket_bind(coir_socket *socket, const struct sockaddr *address,
                                   socklen_t length);

/* Makes socket a listener with a queue of backlog connections, as listen(2).
 * Returns 0. Errors: those of listen(2), -COIR_EWRONGLOOP. Cancel safety: never waits. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_socket_listen(coir_socket *socket, int backlog);

/* Waits for a connection. With ret_address, the peer's is written there, *length bytes at most;
 * *length becomes its whole size, 0 when the peer has gone already. Both may be NULL.
 * Returns 0, and writes *ret_socket, which is the caller's to close. Errors: those of accept(2),
 * -EBUSY while another task accepts, -COIR_ECLOSED when socket is closed meanwhile,
 * -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: no connection is lost. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_socket_accept(coir_socket *socket, coir_socket **ret_socket,
                                     struct sockaddr *ret_address, socklen_t *length);

/* Connects socket to address, as connect(2), and waits for it.
 * Returns 0. Errors: those of connect(2), -EBUSY, -COIR_ECLOSED, -COIR_EWRONGLOOP, -COIR_ENOTASK,
 * -ECANCELED, -ETIME. Cancel safety: the socket may be half way; close it. Thread safety: the
 * loop's thread. */
COIR__CHECKED int coir_socket_connect(coir_socket *socket, const struct sockaddr *address,
                                      socklen_t length);

/* ---- messages ---- */

/* A message with its address and what else belongs to it, as recvmmsg(2) and sendmmsg(2) have it.
 * Everything is the caller's, and stays until the call has ended. */
typedef struct coir_message {
    struct msghdr header;
    unsigned length; /* that was received or sent */
} coir_message;

/* Waits until a message has arrived, and receives as many as there are, count (1 to 1024) at most.
 * Of flags, MSG_TRUNC makes the length that of the whole datagram when it was cut, and MSG_DONTWAIT
 * gives -EAGAIN instead of waiting; others are refused. Descriptors that come along are
 * close-on-exec.
 * Returns 0, and writes *ret_count (at least 1), each message's length, and in its header what
 * recvmsg(2) writes. A stream ends with length 0. Errors: those of recvmsg(2), -EBUSY while another
 * task receives, reads or accepts, -EINVAL, -EAGAIN, -COIR_ECLOSED when it is closed meanwhile,
 * -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing is lost. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_socket_receive(coir_socket *socket, coir_message *messages, size_t count,
                                      int flags, size_t *ret_count);

/* Sends count messages (1 to 1024), waiting while there is no room for the first. No SIGPIPE is
 * raised. Of flags there is MSG_DONTWAIT, as above.
 * Returns 0, and writes *ret_count: how many were sent, at least 1; what keeps the next one from
 * being sent, the next call says. Errors: those of sendmsg(2), else as coir_socket_receive. Cancel
 * safety: nothing was sent. Thread safety: the loop's thread. */
COIR__CHECKED int coir_socket_send(coir_socket *socket, coir_message *messages, size_t count,
                                   int flags, size_t *ret_count);

/* Sets an option, as setsockopt(2).
 * Returns 0. Errors: those of setsockopt(2), -COIR_EWRONGLOOP. Cancel safety: never waits. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_socket_set_option(coir_socket *socket, int level, int name,
                                         const void *value, socklen_t length);

/* The address of socket or of its peer, written to *ret_address, *length bytes at most; *length
 * becomes its whole size.
 * Returns 0. Errors: -ENOTCONN, -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the
 * loop's thread. */
COIR__CHECKED int coir_socket_address(coir_socket *socket, bool peer, struct sockaddr *ret_address,
                                      socklen_t *length);

/* As coir_socket_address for a stream that was made of a socket.
 * Returns 0. Errors: -ENOTCONN, -ENOTSOCK for other streams, -COIR_EWRONGLOOP. Cancel safety:
 * never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_stream_address(coir_stream *stream, bool peer, struct sockaddr *ret_address,
                                      socklen_t *length);

/* Removes the name of a Unix socket from the file system. With a socket, only when path is still
 * what it was bound to; with NULL whoever made it.
 * Returns 0. Errors: -ENOENT, -ENOTSOCK when path is something else, those of unlink(2),
 * -COIR_ENOTASK where no loop runs. Cancel safety: never waits. Thread safety: the loop's thread.
 */
COIR__PUBLIC int coir_socket_remove_path(coir_socket *socket, const char *path);

/* Sets the permissions of the name of a Unix socket, as chmod(2). Before coir_socket_listen nobody
 * can connect. Returns 0. Errors: those of chmod(2), -COIR_ENOTASK where no loop runs. Cancel
 * safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_socket_set_path_mode(const char *path, unsigned mode);

/* Closes socket and frees it; NULL is accepted. Tasks that wait for it get -COIR_ECLOSED. Cancel
 * safety: never waits, always closes. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_socket_close(coir_socket *socket);

COIR_CLOSER(coir_socket, coir_socket_close);

/* Makes a stream of a connected socket, which belongs to the stream from here.
 * Returns 0, and writes *ret_stream, which is the caller's to close. Errors: -ENOMEM, -EINVAL,
 * -EBUSY while a task waits for it, -COIR_EWRONGLOOP; then socket stays the caller's. Cancel
 * safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_stream_from_socket(coir_socket *socket, coir_stream **ret_stream);

COIR__END
#endif
