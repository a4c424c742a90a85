/* stream.h: the record of a stream, and how its calls begin and end. Shared by stream.c (reading,
 * writing, closing) and buffer.c (the buffer, and all that reads through it).
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

struct coir_stream {
    struct coir__file *file; /* NULL: made of ops */
    struct coir_loop *loop;
    const coir_stream_ops *ops;
    void *state;
    /* What was read and not delivered: count bytes from first. NULL until a call needs it. Empty,
     * it is kept only for the bytes that were lent to the caller, until the next call. */
    char *buffer;
    size_t first, count, capacity;
    /* the write under way: first one, then left vectors from next */
    struct iovec one;
    const struct iovec *next;
    size_t left;
    bool lent;                      /* buffer is one of the loop's, filled by one read */
    bool sent;                      /* some of it has left */
    bool stopped;                   /* it was cancelled, but the backend was not ready to let go */
    bool broken;                    /* a write was interrupted half way */
    bool torn;                      /* read bytes were lost */
    bool reading, writing;          /* a call is in between operations, or in ops */
    bool idle;                      /* coir_spawn_on_readable waited as long as it may */
    struct coir__readable *awaited; /* it waits for bytes; NULL: nobody does */
    /* Of the calls that wait for something else than the file, in ops or for another stream: to
     * read, to write. */
    struct coir_scope *inside[2];
    /* without a file */
    bool closed, abrupt;
    uint32_t holds; /* calls that are under way; the last one closes */
};

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
void coir__stream_free_buffer(struct coir_stream *stream);
/* Waits for some bytes in the buffer, which is empty, for a call that holds the stream and has set
 * `reading`; without a file at most size. Returns 1, 0 at the end, or a code. */
int coir__stream_fill(struct coir_stream *stream, struct coir_task *self, size_t size);
/* Puts size bytes that were taken past the buffer, which is empty, back: they are in a pipe.
 * Returns 0, or a code: then they are lost, and stream says so. */
int coir__stream_put_back(struct coir_stream *stream, int pipe, size_t size);
/* What keeps self from writing; 0: nothing. */
int coir__stream_check_write(struct coir_stream *stream, struct coir_task *self);
/* Writes as coir_stream_write, for a call that holds the stream and has set `writing`. */
int coir__stream_write_more(struct coir_stream *stream, struct coir_task *self, const void *data,
                            size_t size);

/* readable.c: the stream that is awaited is closed. */
void coir__readable_lost(struct coir__readable *readable);

/* From hold to drop, a close by another task frees nothing. */
static inline void coir__stream_hold(struct coir_stream *stream)
{
    if (stream->file != NULL)
        stream->file->holds++;
    else
        stream->holds++;
}

/* Returns whether stream was closed meanwhile: it may be gone. */
static inline bool coir__stream_drop(struct coir_stream *stream)
{
    if (stream->file != NULL)
        return coir__file_drop(stream->file);
    bool closed = stream->closed;
    if (--stream->holds == 0 && closed)
        coir__stream_closed(stream);
    return closed;
}

static inline bool coir__stream_is_closed(const struct coir_stream *stream)
{
    return stream->file != NULL ? stream->file->closing : stream->closed;
}

static inline bool coir__stream_is_read(const struct coir_stream *stream)
{
    return stream->reading || (stream->file != NULL && stream->file->read.active);
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
