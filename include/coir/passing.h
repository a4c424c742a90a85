/* coir/passing.h: handing open descriptors to another process, over a stream that is a Unix socket.
 *
 * Descriptors travel with bytes, at least one, and arrive with the first of them:
 *
 *     COIR_TRY(coir_stream_send_descriptors(stream, "f", 1, &fd, 1));
 *
 *     char byte;
 *     size_t n, count;
 *     int fd;
 *     if (COIR_TRY(coir_stream_receive_descriptors(stream, &byte, 1, &n, &fd, 1, &count)) > 0 &&
 *         count == 1)
 *         COIR_TRY(coir_stream_adopt(fd, &passed));
 *
 * The receiver gets duplicates. They come with the call that reads the first of their bytes, and
 * perhaps bytes that were sent before; that call never reads past the bytes that they were sent
 * with. So both sides agree on where they come, or send one message and one byte at a time. Another
 * call that reads that byte, or looks at it in the stream's buffer, loses them: they are closed.
 */
#ifndef COIR_PASSING_H
#define COIR_PASSING_H

#include <coir/stream.h>

COIR__BEGIN

/* Descriptors that go with one message at most. */
#define COIR_DESCRIPTORS_MOST 253

/* Writes all of size bytes (1 or more) at data, and sends count descriptors (1 to
 * COIR_DESCRIPTORS_MOST) with the first. They stay the caller's.
 * Returns 0. Errors: -EBADF for one that is not open, -EOPNOTSUPP for a stream that is no Unix
 * socket, -ETOOMANYREFS when too many are on their way, -EINVAL, else as coir_stream_write. Cancel
 * safety: as coir_stream_write. Thread safety: the loop's thread. */
COIR__CHECKED int coir_stream_send_descriptors(coir_stream *stream, const void *data, size_t size,
                                               const int *fds, size_t count);

/* As coir_stream_read, and takes the descriptors that come with the bytes, most at most (1 to
 * COIR_DESCRIPTORS_MOST). They are close-on-exec, and the caller's.
 * Returns 1, and writes *ret_n and *ret_count, which is 0 for bytes that came alone; 0 at the end
 * of the stream. Errors: -EMSGSIZE when there were more than most, or the process may have no more:
 * then all are closed, and the bytes are at data; -EOPNOTSUPP for a stream that is no Unix socket,
 * -EINVAL, else as coir_stream_read. Cancel safety: nothing is lost. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_stream_receive_descriptors(coir_stream *stream, void *data, size_t size,
                                                  size_t *ret_n, int *ret_fds, size_t most,
                                                  size_t *ret_count);

COIR__END
#endif
