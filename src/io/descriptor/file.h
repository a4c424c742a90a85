/* file.h: what streams and sockets share: waiting for an operation of a file, and closing a file
 * that others may be waiting for. Internal to io.
 */
#ifndef COIR_IO_FILE_H
#define COIR_IO_FILE_H

#include "core/backend.h"

struct coir_stream;

extern const struct coir__wait coir__wait_accept, coir__wait_connect, coir__wait_read,
    coir__wait_write, coir__wait_receive, coir__wait_send;

/* What a task gets for an operation that was withdrawn late. */
static inline int coir__late(const struct coir__op *op, long result)
{
    if (result == -ECANCELED && op->task->pending != 0)
        return op->task->pending;
    return (int)result;
}

/* Ends what is under way with -COIR_ECLOSED and closes file, now or when nobody uses it any more;
 * what its user points to goes with it (coir__stream_gone). */
void coir__file_release(struct coir__file *file, bool abrupt);

/* Closes a file that is being closed, once nothing of it is under way. */
void coir__file_released(struct coir__file *file);

/* Ends a hold (file->holds++). Returns whether the file was closed meanwhile: it may be gone. */
static inline bool coir__file_drop(struct coir__file *file)
{
    file->holds--;
    if (coir__likely(!file->closing))
        return false;
    coir__file_released(file);
    return true;
}

/* socket.c: whether self may start op, of a file that others may close while this yields. */
int coir__file_begin(struct coir__file *file, struct coir_task *self, const struct coir__op *op);

/* Whether a call must take the long way through coir__enter_slow, in which others run. */
static inline bool coir__enters_slowly(struct coir_task *self)
{
    struct coir_loop *loop = self->loop;
    return self->pending != 0 || --loop->charges <= 0 || loop->slow != 0;
}

/* stream/stream.c: withdraws a write, and frees the stream of a file that was closed. */
bool coir__stream_abort_write(struct coir_task *task);
void coir__stream_gone(struct coir_stream *stream);

#endif
