/* file.h: what streams and sockets share: waiting for an operation of a file, and closing a file
 * that others may be waiting for. Internal to io.
 */
#ifndef COIR_IO_FILE_H
#define COIR_IO_FILE_H

#include "core/backend.h"

struct coir_stream;

extern const struct coir__wait coir__wait_accept, coir__wait_connect, coir__wait_read,
    coir__wait_write;

/* What a task gets for an operation that was withdrawn late. */
static inline int coir__late(const struct coir__op *op, long result)
{
    if (result == -ECANCELED && op->task->pending != 0)
        return op->task->pending;
    return (int)result;
}

/* Ends what is under way with -COIR_ECLOSED and closes file, now or when the backend lets go of it;
 * what its user points to goes with it (coir__stream_gone). */
void coir__file_release(struct coir__file *file, bool abrupt);

/* Called by done() of an operation whose file is being closed: closes it after the last one. */
void coir__file_released(struct coir__file *file);

/* stream.c: withdraws a write, and frees the stream of a file that was closed. */
bool coir__stream_abort_write(struct coir_task *task);
void coir__stream_gone(struct coir_stream *stream);

#endif
