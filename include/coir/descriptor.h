/* coir/descriptor.h: waiting for descriptors that belong to other libraries.
 *
 * A library that does its own non-blocking calls only has to be told when they are worth trying:
 *
 *     while (PQflush(connection) > 0)
 *         COIR_TRY(coir_fd_wait(PQsocket(connection), POLLIN | POLLOUT));
 *
 * COIR_ON_DESCRIPTOR of <coir/select.h> is the same as one of several cases. The simulated backend
 * has no kernel to ask: there both give -EOPNOTSUPP.
 */
#ifndef COIR_DESCRIPTOR_H
#define COIR_DESCRIPTOR_H

#include <poll.h>

#include <coir/task.h>

COIR__BEGIN

/* Waits until one of events (POLLIN, POLLOUT, POLLPRI, POLLRDHUP of poll(2)) is there at fd;
 * errors and hang-ups are always waited for. One task may wait to read and another to write. fd
 * stays the caller's; whoever closes it ends the waits first. Files on disk are always ready.
 * Returns the events that are there, at least one. Errors: -EBADF, -EBUSY when another task waits
 * for the same direction, -ENOMEM, -EOPNOTSUPP on the simulated backend, -EINVAL for unknown
 * events, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing happened. Thread safety: the
 * loop's thread. */
COIR__CHECKED int coir_fd_wait(int fd, int events);

COIR__END
#endif
