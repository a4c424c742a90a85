/* file.h: the record of a descriptor and of its stream; what streams and sockets share: waiting for
 * an operation of a file, and closing a file that others may be waiting for. Internal to io.
 *
 * A connection that waits for its next request is this record, so it has only what is needed then,
 * and is one block: the stream is a part of the file, and so is what it leaves in a group when a
 * task is to be started for it (stream/readable.c). A stream that is made of functions has no file
 * (stream/stream.h).
 */
#ifndef COIR_IO_FILE_H
#define COIR_IO_FILE_H

#include "core/backend.h"

struct coir_stream {
    struct coir_loop *loop;
    /* What was read and not delivered: count bytes from first. NULL until a call needs it. Empty,
     * it is kept only for the bytes that were lent to the caller, until the next call. */
    char *buffer;
    uint32_t first, count;
    uint32_t holds;   /* calls in between: it is not closed under their feet */
    uint8_t room;     /* the buffer's size is so many times doubled */
    bool filed : 1;   /* it is a file's, else it is made of functions */
    bool lent : 1;    /* buffer is one of the loop's, filled by one read */
    bool broken : 1;  /* a write was interrupted half way */
    bool torn : 1;    /* read bytes were lost */
    bool reading : 1; /* a call is in between operations, or in functions */
    bool writing : 1;
    bool awaited : 1; /* a task is to be started when it has bytes */
    bool idle : 1;    /* coir_spawn_on_readable waited as long as it may */
    bool closing : 1; /* the caller's close waits for what is under way */
    bool abrupt : 1;  /* how it will be closed */
    /* Of the calls that wait for something else than the file, in functions or for another stream:
     * to read, to write. */
    struct coir_scope *inside[2];
};

/* A descriptor that the library owns. One reader and one writer at a time. A backend keeps it
 * inside a larger record of its own. */
struct coir__file {
    struct coir_stream stream; /* of a socket without one, loop and how it is closed */
    int fd;                    /* of the kernel, or the simulation's number */
    /* io_uring's: what it is, how many reads in a row were of few bytes, how many there must be. */
    uint32_t flags : 8, small : 12, patience : 12;
    struct coir__op read;   /* accepts too */
    struct coir__op *write; /* the one that is under way, of a task (coir__writing); NULL: none;
                                  connects too */
    union {
        struct coir__deferred awaiting; /* polls by read, of which user is the stream on top */
        struct {                        /* of a socket without a stream */
            dev_t device;               /* of the path that it was bound to, with inode; 0: none */
            ino_t inode;
        };
    };
};

static inline struct coir__file *coir__file_of(struct coir_stream *stream)
{
    return coir__container(stream, struct coir__file, stream);
}

/* For backends: op is under way from here, and is not any more. */
static inline void coir__op_begins(struct coir__op *op)
{
    op->active = true;
    if (op->file != NULL && op != &op->file->read)
        op->file->write = op;
}

static inline void coir__op_ends(struct coir__op *op)
{
    op->active = false;
    if (op->file != NULL && op != &op->file->read)
        op->file->write = NULL;
}

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
 * its stream goes with it. */
void coir__file_release(struct coir__file *file, bool abrupt);

/* Closes a file that is being closed, once nothing of it is under way. */
void coir__file_released(struct coir__file *file);

/* Ends a hold (stream.holds++). Returns whether the file was closed meanwhile: it may be gone. */
static inline bool coir__file_drop(struct coir__file *file)
{
    file->stream.holds--;
    if (coir__likely(!file->stream.closing))
        return false;
    coir__file_released(file);
    return true;
}

/* socket.c: whether self may read from file, or write to it, which others may close while this
 * yields. */
int coir__file_begin(struct coir__file *file, struct coir_task *self, bool writes);

/* The operation by which self writes to file. */
static inline struct coir__op *coir__file_write(struct coir__file *file, struct coir_task *self)
{
    self->writing.op.file = file;
    return &self->writing.op;
}

/* Whether a call must take the long way through coir__enter_slow, in which others run. */
static inline bool coir__enters_slowly(struct coir_task *self)
{
    struct coir_loop *loop = self->loop;
    return self->pending != 0 || --loop->charges <= 0 || loop->slow != 0;
}

/* stream/stream.c: withdraws a write. */
bool coir__stream_abort_write(struct coir_task *task);
/* stream/buffer.c: gives back what was read and not delivered. */
void coir__stream_free_buffer(struct coir_stream *stream);

#endif
