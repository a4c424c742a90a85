/* coir/pipe.h: pipes: two streams, of which one reads what is written to the other.
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
 * Returns 0, and writes *ret_reader and *ret_writer, which are the caller's to close. Errors:
 * -EMFILE, -ENFILE, -ENOMEM, -EINVAL, -COIR_ENOTASK where no loop runs. Cancel safety: never waits.
 * Thread safety: the loop's thread. */
COIR__CHECKED int coir_pipe_open(coir_stream **ret_reader, coir_stream **ret_writer);

COIR__END
#endif
