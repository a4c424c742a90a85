/* coir/pipe.h: pipes, and other descriptors that become streams.
 *
 *     COIR_AUTO(coir_stream) *reader = NULL;
 *     COIR_AUTO(coir_stream) *writer = NULL;
 *     COIR_TRY(coir_pipe_open(&reader, &writer));
 *     COIR_TRY(coir_stream_write(writer, "hello", 5));
 */
#ifndef COIR_PIPE_H
#define COIR_PIPE_H

#include <coir/stream.h>

COIR__BEGIN

/* Opens a pipe: what is written to one stream is read from the other. It has one direction:
 * reading from the writer and writing to the reader give -EBADF, coir_stream_shutdown gives
 * -ENOTSOCK (close the writer instead), and an abort is seen as the end. On the simulated backend
 * it is in memory.
 * Returns 0, and writes *ret_reader and *ret_writer. Errors: -EMFILE, -ENFILE, -ENOMEM, -EINVAL,
 * -COIR_ENOTASK where no loop runs. Cancel safety: never waits. Thread safety: the loop's thread.
 */
COIR__CHECKED int coir_pipe_open(coir_stream **ret_reader, coir_stream **ret_writer);

/* Makes a stream of an open descriptor: a connected socket, a pipe, a terminal. It becomes
 * non-blocking, for everybody who shares it, and is closed with the stream. To keep standard input
 * open, give a duplicate: coir_stream_adopt(dup(0), &input).
 * Returns 0, and writes *ret_stream. Errors: -EBADF, -ENOMEM, -EINVAL, -EOPNOTSUPP on the simulated
 * backend, -COIR_ENOTASK where no loop runs; then fd stays the caller's. Cancel safety: never
 * waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_stream_adopt(int fd, coir_stream **ret_stream);

COIR__END
#endif
