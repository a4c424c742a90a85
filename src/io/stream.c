/* stream.c: streams over a socket of the loop, or over functions of somebody else.
 *
 * Owns coir_stream. Over a socket nothing is allocated for an operation: those of the file are
 * used, and a call that has to wait leaves everything in the stream and parks by a tail call, so
 * that the completion (read_done, write_done) computes the final result and wakes the task with it.
 * A woken task does not touch the stream: it may be closed by then. What one call did take off the
 * wire but cannot deliver (a read_exactly that was cancelled) is kept in the stash, for the next
 * read.
 */
#include <limits.h>
#include <string.h>

#include <coir/socket.h>

#include "io/file.h"

#define LINGER COIR_SEC(1)
#define MOST_VECTORS 1024 /* of one system call: IOV_MAX */

struct coir_stream {
    struct coir__file *file; /* NULL: made of ops */
    struct coir_loop *loop;
    const coir_stream_ops *ops;
    void *state;
    /* read, but not delivered */
    char *stash;
    size_t stash_first, stash_count;
    /* the write under way: first one, then left vectors from next */
    struct iovec one;
    const struct iovec *next;
    size_t left;
    bool sent;             /* some of it has left */
    bool stopped;          /* it was cancelled, but the backend was not ready to let go */
    bool broken;           /* a write was interrupted half way */
    bool torn;             /* read bytes were lost */
    bool reading, writing; /* a call is in between operations, or in ops */
    uint32_t holds;        /* without a file: calls that are under way */
    bool closed;           /* without a file: freed by the last of them */
};

/* ---- making ---- */

static int stream_new(struct coir_loop *loop, struct coir_stream **ret_stream)
{
    struct coir_stream *stream = coir__calloc(1, sizeof *stream);
    if (stream == NULL)
        return -ENOMEM;
    stream->loop = loop;
    *ret_stream = stream;
    return 0;
}

int coir_stream_from_socket(coir_socket *socket, coir_stream **ret_stream)
{
    struct coir__file *file = (struct coir__file *)socket;
    if (file == NULL || ret_stream == NULL)
        return -EINVAL;
    if (file->loop != coir__loop)
        return -COIR_EWRONGLOOP;
    if (file->read.active || file->write.active)
        return -EBUSY;
    struct coir_stream *stream;
    int r = stream_new(file->loop, &stream);
    if (r < 0)
        return r;
    stream->file = file;
    file->user = stream;
    *ret_stream = stream;
    return 0;
}

int coir_stream_open(const coir_stream_ops *ops, void *state, coir_stream **ret_stream)
{
    if (ops == NULL || ret_stream == NULL)
        return -EINVAL;
    if (coir__loop == NULL)
        return -COIR_ENOTASK;
    struct coir_stream *stream;
    int r = stream_new(coir__loop, &stream);
    if (r < 0)
        return r;
    stream->ops = ops;
    stream->state = state;
    *ret_stream = stream;
    return 0;
}

void coir__stream_gone(struct coir_stream *stream)
{
    coir__free(stream->stash);
    coir__free(stream);
}

/* From hold to drop, a close by another task frees nothing. */
static void hold(struct coir_stream *stream)
{
    if (stream->file != NULL)
        stream->file->holds++;
    else
        stream->holds++;
}

/* Returns whether stream was closed meanwhile: it may be gone. */
static bool drop(struct coir_stream *stream)
{
    if (stream->file != NULL)
        return coir__file_drop(stream->file);
    bool closed = stream->closed;
    if (--stream->holds == 0 && closed)
        coir__stream_gone(stream);
    return closed;
}

int coir_stream_name(coir_stream *stream, bool peer, struct sockaddr *ret_address,
                     socklen_t *length)
{
    if (stream == NULL || stream->file == NULL)
        return stream == NULL ? -EINVAL : -ENOTSOCK;
    return coir_socket_name((coir_socket *)stream->file, peer, ret_address, length);
}

static int enter_slowly(struct coir_stream *stream, struct coir_task *self)
{
    hold(stream);
    int r = coir__enter_slow(self);
    return drop(stream) ? -COIR_ECLOSED : r;
}

/* What is wrong with a call on stream by self, which may be NULL. */
static int check(struct coir_stream *stream, struct coir_task *self)
{
    if (coir__unlikely(stream == NULL))
        return -EINVAL;
    if (coir__unlikely(self == NULL))
        return -COIR_ENOTASK;
    if (coir__unlikely(coir__enters_slowly(self))) {
        int r = enter_slowly(stream, self);
        if (r < 0)
            return r;
    }
    return coir__likely(stream->loop == self->loop) ? 0 : -COIR_EWRONGLOOP;
}

/* ---- reading ---- */

static void read_done(struct coir__op *op)
{
    struct coir__file *file = op->file;
    struct coir_task *task = op->task;
    int result;
    if (op->result > 0) {
        *(size_t *)op->user = (size_t)op->result;
        result = 1;
    } else {
        result = coir__late(op, op->result);
    }
    if (coir__unlikely(file->closing)) {
        coir__file_released(file);
        result = -COIR_ECLOSED;
    }
    coir__wake(task, result);
}

static int read_stash(struct coir_stream *stream, void *data, size_t size, size_t *ret_n)
{
    size_t n = size < stream->stash_count ? size : stream->stash_count;
    memcpy(data, stream->stash + stream->stash_first, n);
    stream->stash_first += n;
    stream->stash_count -= n;
    if (stream->stash_count == 0) {
        coir__free(stream->stash);
        stream->stash = NULL;
    }
    *ret_n = n;
    return 1;
}

/* Reads some bytes; self has entered, and nobody else reads. Without a file the stream is held. */
static int read_some(struct coir_stream *stream, struct coir_task *self, void *data, size_t size,
                     size_t *ret_n)
{
    if (coir__unlikely(stream->stash != NULL))
        return read_stash(stream, data, size, ret_n);
    if (coir__unlikely(stream->torn))
        return -COIR_EBROKENSTREAM;
    struct coir__file *file = stream->file;
    if (coir__unlikely(file == NULL))
        return stream->ops->read(stream->state, data, size, ret_n);
    struct coir__op *op = &file->read;
    op->kind = COIR__OP_READ;
    op->data = data;
    op->length = size;
    long n = self->loop->backend->start(self->loop, op);
    if (n != COIR__STARTED) {
        if (n <= 0)
            return (int)n;
        *ret_n = (size_t)n;
        return 1;
    }
    op->task = self;
    op->user = ret_n;
    op->done = read_done;
    return coir__park(self, &coir__wait_read, file);
}

static bool is_read(const struct coir_stream *stream)
{
    return stream->reading || (stream->file != NULL && stream->file->read.active);
}

static int read_held(struct coir_stream *stream, struct coir_task *self, void *data, size_t size,
                     size_t *ret_n)
{
    hold(stream);
    stream->reading = true;
    int r = read_some(stream, self, data, size, ret_n);
    stream->reading = false;
    return drop(stream) && r <= 0 ? -COIR_ECLOSED : r;
}

int coir_stream_read(coir_stream *stream, void *data, size_t size, size_t *ret_n)
{
    struct coir_task *self = coir__self();
    int r = check(stream, self);
    if (coir__unlikely(r < 0))
        return r;
    if (coir__unlikely(size == 0 || data == NULL || ret_n == NULL))
        return -EINVAL;
    if (coir__unlikely(is_read(stream)))
        return -EBUSY;
    if (coir__unlikely(stream->file == NULL))
        return read_held(stream, self, data, size, ret_n);
    return read_some(stream, self, data, size, ret_n);
}

/* Puts bytes that were read back in front of the stream. */
static void unread(struct coir_stream *stream, const char *data, size_t size)
{
    char *stash = coir__alloc(size + stream->stash_count);
    if (stash == NULL) {
        stream->torn = true;
        return;
    }
    memcpy(stash, data, size);
    if (stream->stash_count > 0)
        memcpy(stash + size, stream->stash + stream->stash_first, stream->stash_count);
    coir__free(stream->stash);
    stream->stash = stash;
    stream->stash_first = 0;
    stream->stash_count += size;
}

static bool is_closed(const struct coir_stream *stream)
{
    return stream->file != NULL ? stream->file->closing : stream->closed;
}

/* Reads until size bytes are there. Returns 1, or what kept it from that; *ret_done are there. */
static int read_all(struct coir_stream *stream, struct coir_task *self, char *data, size_t size,
                    size_t *ret_done)
{
    int r = 1;
    *ret_done = 0;
    while (*ret_done < size) {
        size_t n;
        r = *ret_done > 0 ? coir__enter(self) : 0;
        if (r >= 0)
            r = is_closed(stream) ? -COIR_ECLOSED
                                  : read_some(stream, self, data + *ret_done, size - *ret_done, &n);
        if (r <= 0)
            break;
        *ret_done += n;
    }
    return r;
}

int coir_stream_read_exactly(coir_stream *stream, void *data, size_t size)
{
    struct coir_task *self = coir__self();
    int r = check(stream, self);
    if (r < 0)
        return r;
    if (is_read(stream))
        return -EBUSY;
    hold(stream);
    stream->reading = true;
    size_t done;
    r = read_all(stream, self, data, size, &done);
    stream->reading = false;
    if (done > 0 && (r == 0 || r == -ECANCELED || r == -ETIME))
        unread(stream, data, done);
    if (drop(stream) && r == 0)
        return -COIR_ECLOSED;
    return r > 0 ? 0 : r == 0 ? -COIR_EEOF : r;
}

/* ---- writing ---- */

/* Takes n bytes that were sent off what is still to be sent. */
static void advance(struct coir_stream *stream, size_t n)
{
    stream->sent |= n > 0;
    if (stream->one.iov_len > 0) {
        stream->one.iov_base = (char *)stream->one.iov_base + n;
        stream->one.iov_len -= n;
        return;
    }
    while (stream->left > 0 && n >= stream->next->iov_len) {
        n -= stream->next->iov_len;
        stream->next++;
        stream->left--;
    }
    if (n > 0) { /* the rest of a vector that was sent in part */
        stream->one.iov_base = (char *)stream->next->iov_base + n;
        stream->one.iov_len = stream->next->iov_len - n;
        stream->next++;
        stream->left--;
    }
}

/* Sends what can be sent at once. Returns 0 when that was all, COIR__STARTED, or an error. */
static long send_more(struct coir_stream *stream)
{
    struct coir_loop *loop = stream->loop;
    struct coir__op *op = &stream->file->write;
    op->kind = COIR__OP_WRITE;
    while (stream->one.iov_len > 0 || stream->left > 0) {
        bool single = stream->one.iov_len > 0;
        op->vectors = single ? &stream->one : stream->next;
        op->count = single ? 1 : stream->left < MOST_VECTORS ? (int)stream->left : MOST_VECTORS;
        long n = loop->backend->start(loop, op);
        if (n < 0) /* COIR__STARTED is negative too */
            return n;
        advance(stream, (size_t)n);
    }
    return 0;
}

static int write_ended(struct coir_stream *stream, long result)
{
    if (coir__unlikely(result < 0 && stream->sent))
        stream->broken = true;
    return (int)result;
}

static void write_done(struct coir__op *op)
{
    struct coir__file *file = op->file;
    struct coir_stream *stream = file->user;
    struct coir_task *task = op->task;
    long result = op->result;
    if (result >= 0) {
        advance(stream, (size_t)result);
        bool all = stream->one.iov_len == 0 && stream->left == 0;
        if (stream->stopped || file->closing)
            result = all ? 0 : -ECANCELED;
        else
            result = send_more(stream);
        if (result == COIR__STARTED)
            return;
    }
    int r = write_ended(stream, coir__late(op, result));
    if (coir__unlikely(file->closing)) {
        coir__file_released(file);
        r = -COIR_ECLOSED;
    }
    coir__wake(task, r);
}

bool coir__stream_abort_write(struct coir_task *task)
{
    struct coir__file *file = (struct coir__file *)(uintptr_t)task->wait_object;
    struct coir_stream *stream = file->user;
    stream->stopped = true;
    if (!file->loop->backend->cancel(file->loop, &file->write))
        return false;
    (void)write_ended(stream, -ECANCELED);
    return true;
}

/* Sends one and then left vectors from next, as the caller has set them. */
static int write_file(struct coir_stream *stream, struct coir_task *self)
{
    stream->sent = stream->stopped = false;
    long r = send_more(stream);
    if (r != COIR__STARTED)
        return write_ended(stream, r);
    struct coir__op *op = &stream->file->write;
    op->task = self;
    op->done = write_done;
    return coir__park(self, &coir__wait_write, stream->file);
}

/* vectors is NULL for a shutdown. */
static int write_held(struct coir_stream *stream, const struct iovec *vectors, size_t count)
{
    hold(stream);
    stream->writing = true;
    int r = vectors != NULL ? stream->ops->write(stream->state, vectors, count)
                            : stream->ops->shutdown(stream->state);
    stream->writing = false;
    return drop(stream) && r < 0 ? -COIR_ECLOSED : r;
}

/* What keeps self from writing. */
static int check_write(struct coir_stream *stream, struct coir_task *self)
{
    int r = check(stream, self);
    if (coir__unlikely(r < 0))
        return r;
    if (coir__unlikely(stream->broken))
        return -COIR_EBROKENSTREAM;
    if (coir__unlikely(stream->writing || (stream->file != NULL && stream->file->write.active)))
        return -EBUSY;
    return 0;
}

int coir_stream_write(coir_stream *stream, const void *data, size_t size)
{
    struct coir_task *self = coir__self();
    int r = check_write(stream, self);
    if (coir__unlikely(r < 0))
        return r;
    if (coir__unlikely(stream->file == NULL))
        return write_held(stream, &(struct iovec){(void *)(uintptr_t)data, size}, 1);
    stream->one = (struct iovec){(void *)(uintptr_t)data, size};
    stream->left = 0;
    return write_file(stream, self);
}

int coir_stream_write_vectors(coir_stream *stream, const struct iovec *vectors, size_t count)
{
    struct coir_task *self = coir__self();
    int r = check_write(stream, self);
    if (r < 0)
        return r;
    if (vectors == NULL && count > 0)
        return -EINVAL;
    if (stream->file == NULL)
        return count > 0 ? write_held(stream, vectors, count) : 0;
    stream->one.iov_len = 0;
    stream->next = vectors;
    stream->left = count;
    return write_file(stream, self);
}

int coir_stream_shutdown(coir_stream *stream)
{
    int r = check_write(stream, coir__self());
    if (r < 0)
        return r;
    if (stream->file != NULL)
        return stream->loop->backend->file_shutdown(stream->loop, stream->file, SHUT_WR);
    return write_held(stream, NULL, 0);
}

/* ---- closing ---- */

/* Closing a socket that has unread bytes makes the kernel reset the connection, and the peer may
 * lose what it has not read yet. So the end is said first, and what the peer still sends is thrown
 * away. Returns whether the peer would not stop. */
static bool drain(struct coir_stream *stream, struct coir_task *self)
{
    struct coir_loop *loop = stream->loop;
    struct coir__file *file = stream->file;
    if (loop->backend->file_unread(loop, file) <= 0)
        return false;
    (void)loop->backend->file_shutdown(loop, file, SHUT_WR);
    coir__free(stream->stash);
    stream->stash = NULL;
    COIR_SCOPE(linger, LINGER);
    char data[4096];
    size_t n;
    int r;
    do {
        r = coir__enter(self);
        if (r >= 0)
            r = read_some(stream, self, data, sizeof data, &n);
    } while (r > 0);
    return r < 0;
}

static void close_stream(coir_stream *stream, bool abrupt)
{
    if (stream->file != NULL) {
        coir__file_release(stream->file, abrupt);
        return;
    }
    assert(!stream->closed && "closed twice");
    hold(stream);
    stream->closed = true;
    stream->ops->close(stream->state, abrupt);
    (void)drop(stream);
}

void coir_stream_close(coir_stream *stream)
{
    if (stream == NULL)
        return;
    struct coir_task *self = coir__self();
    struct coir__file *file = stream->file;
    bool abrupt = stream->broken || (self != NULL && self->pending != 0);
    if (!abrupt && self != NULL && file != NULL && !is_read(stream) && !file->write.active)
        abrupt = drain(stream, self);
    close_stream(stream, abrupt);
}

void coir_stream_abort(coir_stream *stream)
{
    if (stream != NULL)
        close_stream(stream, true);
}
