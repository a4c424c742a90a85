/* stream.h: streams that are made of functions, and how the calls of all streams begin and end; the
 * record of a stream is in descriptor/file.h. Shared by stream.c (reading, writing, closing) and
 * buffer.c (the buffer, and all that reads through it).
 *
 * A stream is held while a call is inside it that must go on after a wait: a close by another task
 * then frees nothing before that call has left. Calls on a socket that park by a tail call hold
 * nothing, since the completion does all that is left to do.
 */
#ifndef COIR_IO_STREAM_H
#define COIR_IO_STREAM_H

#include <coir/scope.h>
#include <coir/stream.h>

#include "io/descriptor/file.h"

/* A stream that is made of functions. */
struct coir__functions {
    struct coir_stream stream;
    const coir_stream_ops *ops;
    void *state;
    struct coir__file *awaited; /* of the stream below, if this one is awaited */
};

static inline struct coir__functions *coir__functions_of(struct coir_stream *stream)
{
    return coir__container(stream, struct coir__functions, stream);
}

/* Ends a stream without a file, which was closed, when the last call has left it. */
void coir__stream_closed(struct coir_stream *stream);
/* Takes the long way through coir__enter_slow: others may run, and close the stream. */
int coir__stream_enter_slowly(struct coir_stream *stream, struct coir_task *self);
/* What keeps self from writing. */
int coir__stream_check_write(struct coir_stream *stream, struct coir_task *self);
/* Reads some bytes past the buffer; self has entered, and nobody else reads. Without a file the
 * stream is held. */
int coir__stream_read_below(struct coir_stream *stream, struct coir_task *self, void *data,
                            size_t size, size_t *ret_n);
/* Takes up to size bytes, at least one, out of a buffer that has some. Returns 1. */
int coir__stream_take(struct coir_stream *stream, void *data, size_t size, size_t *ret_n);
/* Waits for some bytes in the buffer, which is empty, for a call that holds the stream and has set
 * `reading`; without a file at most size. Returns 1, 0 at the end, or a code. */
int coir__stream_fill(struct coir_stream *stream, struct coir_task *self, size_t size);
/* Puts size bytes that were taken past the buffer, which is empty, back: they are in a pipe.
 * Returns 0, or a code: then they are lost, and stream says so. */
int coir__stream_put_back(struct coir_stream *stream, int pipe, size_t size);
/* Writes as coir_stream_write, for a call that holds the stream and has set `writing`; also when it
 * fails *ret_n bytes were taken. */
int coir__stream_write_more(struct coir_stream *stream, struct coir_task *self, const void *data,
                            size_t size, size_t *ret_n);

/* readable.c: the stream, which is awaited, is closed. */
void coir__readable_lost(struct coir_stream *stream);

/* From hold to drop, a close by another task frees nothing. */
static inline void coir__stream_hold(struct coir_stream *stream)
{
    stream->holds++;
}

/* Returns whether stream was closed meanwhile: it may be gone. */
static inline bool coir__stream_drop(struct coir_stream *stream)
{
    stream->holds--;
    if (coir__likely(!stream->closing))
        return false;
    if (stream->filed)
        coir__file_released(coir__file_of(stream));
    else if (stream->holds == 0)
        coir__stream_closed(stream);
    return true;
}

static inline bool coir__stream_is_read(struct coir_stream *stream)
{
    return stream->reading || (stream->filed && coir__file_of(stream)->read.active);
}

static inline bool coir__stream_is_written(struct coir_stream *stream)
{
    return stream->writing || (stream->filed && coir__file_of(stream)->write != NULL);
}

/* What is wrong with a call on stream by self, which may be NULL. */
static inline int coir__stream_check(struct coir_stream *stream, struct coir_task *self)
{
    if (coir__unlikely(stream == NULL))
        return -EINVAL;
    if (coir__unlikely(self == NULL))
        return coir__refuse(coir__any_debugs() ? stream->loop : NULL, NULL, -COIR_ENOTASK);
    if (coir__unlikely(coir__enters_slowly(self))) {
        int r = coir__stream_enter_slowly(stream, self);
        if (r < 0)
            return r;
    }
    return coir__likely(stream->loop == self->loop)
               ? 0
               : coir__refuse(stream->loop, NULL, -COIR_EWRONGLOOP);
}

#endif
