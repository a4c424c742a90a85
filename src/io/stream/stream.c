/* stream.c: streams over a socket of the loop, or over functions of somebody else: making, reading,
 * writing, asking, closing.
 *
 * Over a socket nothing is allocated for an operation: the file's is used, or the task's if it
 * writes, and a call that has to wait leaves everything there and parks by a tail call, so that the
 * completion (read_done, write_done) computes the final result and wakes the task with it. A woken
 * task does not touch the stream: it may be closed by then.
 *
 * Over functions each call to them is made inside a scope of its own. Closing the stream cancels
 * those scopes, and the functions' own close is called when the last call has left: so they need
 * not know that they can be interrupted. What reads through the buffer is in buffer.c.
 */
#include <limits.h>
#include <string.h>

#include <coir/socket.h>

#include "io/stream/stream.h"

#define LINGER COIR_SEC(1)
#define MOST_VECTORS 1024 /* of one system call: IOV_MAX */

/* ---- making ---- */

static struct coir_stream *stream_of(struct coir__file *file)
{
    file->stream.filed = true;
    file->awaiting = (struct coir__deferred){0};
    return &file->stream;
}

int coir_stream_from_socket(coir_socket *socket, coir_stream **ret_stream)
{
    struct coir__file *file = (struct coir__file *)socket;
    if (file == NULL || ret_stream == NULL)
        return -EINVAL;
    if (file->stream.loop != coir__loop)
        return coir__refuse(file->stream.loop, NULL, -COIR_EWRONGLOOP);
    if (file->read.active || file->write != NULL)
        return -EBUSY;
    *ret_stream = stream_of(file);
    return 0;
}

int coir_stream_adopt(int fd, coir_stream **ret_stream)
{
    struct coir_loop *loop = coir__loop;
    if (ret_stream == NULL)
        return -EINVAL;
    if (loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    struct coir__file *file;
    int r = loop->backend->file_adopt(loop, fd, &file);
    if (r == 0)
        *ret_stream = stream_of(file);
    return r;
}

int coir_stream_open(const coir_stream_ops *ops, void *state, coir_stream **ret_stream)
{
    if (ops == NULL || ret_stream == NULL || ops->read == NULL || ops->write == NULL ||
        ops->shutdown == NULL || ops->close == NULL)
        return -EINVAL;
    if (coir__loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    struct coir__functions *functions = coir__calloc(1, sizeof *functions);
    if (functions == NULL)
        return -ENOMEM;
    functions->stream.loop = coir__loop;
    functions->ops = ops;
    functions->state = state;
    *ret_stream = &functions->stream;
    return 0;
}

int coir__stream_enter_slowly(struct coir_stream *stream, struct coir_task *self)
{
    coir__stream_hold(stream);
    int r = coir__enter_slow(self);
    return coir__stream_drop(stream) ? -COIR_ECLOSED : r;
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
    if (coir__unlikely(file->stream.closing)) {
        coir__file_released(file);
        result = -COIR_ECLOSED;
    }
    coir__wake(task, result);
}

/* Calls the functions of a stream without a file, inside a scope that its close cancels. */
static int read_inside(struct coir_stream *stream, void *data, size_t size, size_t *ret_n)
{
    struct coir__functions *functions = coir__functions_of(stream);
    COIR_SCOPE(inside, COIR_FOREVER);
    stream->inside[0] = &inside;
    int r = functions->ops->read(functions->state, data, size, ret_n);
    stream->inside[0] = NULL;
    assert((r <= 0 || (*ret_n > 0 && *ret_n <= size)) && "a stream's read gave no or too many");
    return r;
}

int coir__stream_read_below(struct coir_stream *stream, struct coir_task *self, void *data,
                            size_t size, size_t *ret_n)
{
    if (coir__unlikely(stream->torn))
        return -COIR_EBROKENSTREAM;
    if (coir__unlikely(!stream->filed))
        return read_inside(stream, data, size, ret_n);
    struct coir__file *file = coir__file_of(stream);
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

static int read_held(struct coir_stream *stream, struct coir_task *self, void *data, size_t size,
                     size_t *ret_n)
{
    coir__stream_hold(stream);
    stream->reading = true;
    int r = coir__stream_read_below(stream, self, data, size, ret_n);
    stream->reading = false;
    return coir__stream_drop(stream) && r <= 0 ? -COIR_ECLOSED : r;
}

int coir_stream_read(coir_stream *stream, void *data, size_t size, size_t *ret_n)
{
    struct coir_task *self = coir__self();
    int r = coir__stream_check(stream, self);
    if (coir__unlikely(r < 0))
        return r;
    if (coir__unlikely(size == 0 || data == NULL || ret_n == NULL))
        return -EINVAL;
    if (coir__unlikely(coir__stream_is_read(stream)))
        return -EBUSY;
    if (coir__unlikely(stream->buffer != NULL)) {
        if (stream->count > 0)
            return coir__stream_take(stream, data, size, ret_n);
        coir__stream_free_buffer(stream);
    }
    if (coir__unlikely(!stream->filed))
        return read_held(stream, self, data, size, ret_n);
    return coir__stream_read_below(stream, self, data, size, ret_n);
}

/* ---- writing ---- */

/* Takes n bytes that were sent off what is still to be sent. */
static void advance(struct coir__writing *writing, size_t n)
{
    writing->sent |= n > 0;
    if (writing->one.iov_len > 0) {
        writing->one.iov_base = (char *)writing->one.iov_base + n;
        writing->one.iov_len -= n;
        return;
    }
    while (writing->left > 0 && n >= writing->next->iov_len) {
        n -= writing->next->iov_len;
        writing->next++;
        writing->left--;
    }
    if (n > 0) { /* the rest of a vector that was sent in part */
        assert(writing->left > 0 && "a stream's write took more than there was");
        writing->one.iov_base = (char *)writing->next->iov_base + n;
        writing->one.iov_len = writing->next->iov_len - n;
        writing->next++;
        writing->left--;
    }
}

/* Sends what can be sent at once. Returns 0 when that was all, COIR__STARTED, or an error. */
static long send_more(struct coir_loop *loop, struct coir__writing *writing)
{
    struct coir__op *op = &writing->op;
    op->kind = COIR__OP_WRITE;
    while (writing->one.iov_len > 0 || writing->left > 0) {
        bool single = writing->one.iov_len > 0;
        op->vectors = single ? &writing->one : writing->next;
        op->count = single ? 1 : writing->left < MOST_VECTORS ? (int)writing->left : MOST_VECTORS;
        long n = loop->backend->start(loop, op);
        if (n < 0) /* COIR__STARTED is negative too */
            return n;
        advance(writing, (size_t)n);
    }
    return 0;
}

static int write_ended(struct coir_stream *stream, const struct coir__writing *writing, long result)
{
    if (coir__unlikely(result < 0 && writing->sent))
        stream->broken = true;
    return (int)result;
}

static void write_done(struct coir__op *op)
{
    struct coir__file *file = op->file;
    struct coir_task *task = op->task;
    struct coir__writing *writing = &task->writing;
    long result = op->result;
    if (result >= 0) {
        advance(writing, (size_t)result);
        bool all = writing->one.iov_len == 0 && writing->left == 0;
        if (writing->stopped || file->stream.closing)
            result = all ? 0 : -ECANCELED;
        else
            result = send_more(file->stream.loop, writing);
        if (result == COIR__STARTED)
            return;
    }
    int r = write_ended(&file->stream, writing, coir__late(op, result));
    if (coir__unlikely(file->stream.closing)) {
        coir__file_released(file);
        r = -COIR_ECLOSED;
    }
    coir__wake(task, r);
}

bool coir__stream_abort_write(struct coir_task *task)
{
    struct coir__writing *writing = &task->writing;
    struct coir__file *file = writing->op.file;
    writing->stopped = true;
    if (!file->stream.loop->backend->cancel(file->stream.loop, &writing->op))
        return false;
    (void)write_ended(&file->stream, writing, -ECANCELED);
    return true;
}

/* Sends what self->writing says: one and then left vectors from next. */
static int write_file(struct coir_stream *stream, struct coir_task *self)
{
    struct coir__writing *writing = &self->writing;
    struct coir__file *file = coir__file_of(stream);
    struct coir__op *op = coir__file_write(file, self);
    writing->sent = writing->stopped = false;
    long r = send_more(stream->loop, writing);
    if (r != COIR__STARTED)
        return write_ended(stream, writing, r);
    op->task = self;
    op->done = write_done;
    return coir__park(self, &coir__wait_write, file);
}

/* As read_inside; count 0 means a shutdown. */
static int write_inside(struct coir_stream *stream, const struct iovec *vectors, size_t count,
                        size_t *ret_n)
{
    struct coir__functions *functions = coir__functions_of(stream);
    COIR_SCOPE(inside, COIR_FOREVER);
    stream->inside[1] = &inside;
    int r = count > 0 ? functions->ops->write(functions->state, vectors, count, ret_n)
                      : functions->ops->shutdown(functions->state);
    stream->inside[1] = NULL;
    return r;
}

/* Gives the functions of a stream all that is to be written, as they take it. */
static int write_pieces(struct coir_stream *stream, struct coir_task *self,
                        struct coir__writing *writing)
{
    int r = 0;
    for (;;) {
        advance(writing, 0); /* past empty vectors */
        bool single = writing->one.iov_len > 0;
        if (r < 0 || (!single && writing->left == 0))
            return write_ended(stream, writing, r);
        size_t n = 0;
        r = writing->sent ? coir__enter(self) : 0;
        if (r == 0 && stream->closing)
            r = -COIR_ECLOSED;
        if (r == 0)
            r = write_inside(stream, single ? &writing->one : writing->next,
                             single ? 1 : writing->left, &n);
        assert((r < 0 || (n > 0 && (!single || n <= writing->one.iov_len))) &&
               "a stream's write took nothing, or too much");
        if (r >= 0)
            advance(writing, n);
    }
}

/* Below these functions the task may write to other streams: what it writes to this one is here. */
static int write_held(struct coir_stream *stream, struct coir_task *self, struct iovec one,
                      const struct iovec *next, size_t left)
{
    struct coir__writing writing;
    writing.one = one;
    writing.next = next;
    writing.left = left;
    writing.sent = false;
    coir__stream_hold(stream);
    stream->writing = true;
    int r = write_pieces(stream, self, &writing);
    stream->writing = false;
    return coir__stream_drop(stream) && r < 0 ? -COIR_ECLOSED : r;
}

static int shutdown_held(struct coir_stream *stream)
{
    coir__stream_hold(stream);
    stream->writing = true;
    int r = write_inside(stream, NULL, 0, NULL);
    stream->writing = false;
    return coir__stream_drop(stream) && r < 0 ? -COIR_ECLOSED : r;
}

static int write_one(struct coir_stream *stream, struct coir_task *self, const void *data,
                     size_t size)
{
    self->writing.one = (struct iovec){(void *)(uintptr_t)data, size};
    self->writing.left = 0;
    return write_file(stream, self);
}

int coir__stream_write_more(struct coir_stream *stream, struct coir_task *self, const void *data,
                            size_t size, size_t *ret_n)
{
    struct coir__writing writing;
    struct coir__writing *used = stream->filed ? &self->writing : &writing;
    writing.one = (struct iovec){(void *)(uintptr_t)data, size};
    writing.left = 0;
    writing.sent = false;
    int r =
        used == &writing ? write_pieces(stream, self, used) : write_one(stream, self, data, size);
    *ret_n = r < 0 ? size - used->one.iov_len : size;
    return r;
}

int coir__stream_check_write(struct coir_stream *stream, struct coir_task *self)
{
    int r = coir__stream_check(stream, self);
    if (coir__unlikely(r < 0))
        return r;
    if (coir__unlikely(stream->broken))
        return -COIR_EBROKENSTREAM;
    return coir__unlikely(coir__stream_is_written(stream)) ? -EBUSY : 0;
}

int coir_stream_write(coir_stream *stream, const void *data, size_t size)
{
    struct coir_task *self = coir__self();
    int r = coir__stream_check_write(stream, self);
    if (coir__unlikely(r < 0))
        return r;
    if (coir__unlikely(data == NULL && size > 0))
        return -EINVAL;
    if (coir__unlikely(!stream->filed))
        return write_held(stream, self, (struct iovec){(void *)(uintptr_t)data, size}, NULL, 0);
    return write_one(stream, self, data, size);
}

int coir_stream_write_vectors(coir_stream *stream, const struct iovec *vectors, size_t count)
{
    struct coir_task *self = coir__self();
    int r = coir__stream_check_write(stream, self);
    if (r < 0)
        return r;
    if (vectors == NULL && count > 0)
        return -EINVAL;
    struct iovec one = count == 1 ? vectors[0] : (struct iovec){0};
    size_t left = count == 1 ? 0 : count;
    if (!stream->filed)
        return write_held(stream, self, one, vectors, left);
    self->writing.one = one;
    self->writing.next = vectors;
    self->writing.left = left;
    return write_file(stream, self);
}

static void some_done(struct coir__op *op)
{
    struct coir__file *file = op->file;
    struct coir_task *task = op->task;
    int result = op->result > 0 ? 0 : coir__late(op, op->result);
    if (result == 0)
        *(size_t *)op->user = (size_t)op->result;
    if (coir__unlikely(file->stream.closing)) {
        coir__file_released(file);
        result = -COIR_ECLOSED;
    }
    coir__wake(task, result);
}

static int write_some_file(struct coir_stream *stream, struct coir_task *self,
                           const struct iovec *vectors, size_t count, size_t *ret_n)
{
    struct coir__file *file = coir__file_of(stream);
    struct coir__op *op = coir__file_write(file, self);
    op->kind = COIR__OP_WRITE;
    op->vectors = vectors;
    op->count = count < MOST_VECTORS ? (int)count : MOST_VECTORS;
    long n = self->loop->backend->start(self->loop, op);
    if (n != COIR__STARTED) {
        if (n < 0)
            return (int)n;
        *ret_n = (size_t)n;
        return 0;
    }
    op->task = self;
    op->user = ret_n;
    op->done = some_done;
    return coir__park(self, &coir__wait_send, file);
}

static int write_some_held(struct coir_stream *stream, const struct iovec *vectors, size_t count,
                           size_t *ret_n)
{
    coir__stream_hold(stream);
    stream->writing = true;
    int r = write_inside(stream, vectors, count, ret_n);
    stream->writing = false;
    return coir__stream_drop(stream) && r < 0 ? -COIR_ECLOSED : r;
}

int coir_stream_write_some(coir_stream *stream, const struct iovec *vectors, size_t count,
                           size_t *ret_n)
{
    struct coir_task *self = coir__self();
    int r = coir__stream_check_write(stream, self);
    if (r < 0)
        return r;
    if (vectors == NULL || ret_n == NULL)
        return -EINVAL;
    while (count > 0 && vectors->iov_len == 0) {
        vectors++;
        count--;
    }
    if (count == 0)
        return -EINVAL;
    if (!stream->filed)
        return write_some_held(stream, vectors, count, ret_n);
    return write_some_file(stream, self, vectors, count, ret_n);
}

int coir_stream_shutdown(coir_stream *stream)
{
    int r = coir__stream_check_write(stream, coir__self());
    if (r < 0)
        return r;
    if (!stream->filed)
        return shutdown_held(stream);
    return stream->loop->backend->file_shutdown(stream->loop, coir__file_of(stream), SHUT_WR);
}

/* ---- asking ---- */

static const char *name_of(struct coir_loop *loop, struct coir__file *file)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    int r = loop->backend->file_name(loop, file, false, (struct sockaddr *)&address, &length);
    if (r < 0)
        return r == -ENOTSOCK ? "descriptor" : "socket";
    return address.ss_family == AF_UNIX ? "unix" : "tcp";
}

static int query_file(struct coir_stream *stream, int key, void *ret_value)
{
    struct coir_loop *loop = stream->loop;
    struct coir__file *file = coir__file_of(stream);
    int r = -EOPNOTSUPP;
    switch (key) {
    case COIR_QUERY_NAME: *(const char **)ret_value = name_of(loop, file); return 0;
    case COIR_QUERY_DESCRIPTOR:
        if (!loop->backend->simulated)
            r = *(int *)ret_value = file->fd;
        if (loop->backend->file_show != NULL)
            loop->backend->file_show(loop, file);
        return r < 0 ? r : 0;
    case COIR_QUERY_UNREAD:
        r = loop->backend->file_unread(loop, file);
        *(size_t *)ret_value = r > 0 ? (size_t)r : 0;
        return 0;
    case COIR_QUERY_HELD:
        *(size_t *)ret_value =
            loop->backend->file_held != NULL ? loop->backend->file_held(loop, file) : 0;
        return 0;
    default: return r;
    }
}

static int query_ops(struct coir_stream *stream, int key, void *ret_value)
{
    const struct coir__functions *functions = coir__functions_of(stream);
    const coir_stream_ops *ops = functions->ops;
    if (key == COIR_QUERY_NAME) {
        *(const char **)ret_value = ops->name;
        return 0;
    }
    int r = ops->query != NULL ? ops->query(functions->state, key, ret_value) : -EOPNOTSUPP;
    if (key == COIR_QUERY_HELD && r == -EOPNOTSUPP) /* then what it knows of is not the kernel's */
        return query_ops(stream, COIR_QUERY_UNREAD, ret_value);
    if (key == COIR_QUERY_UNREAD && r == -EOPNOTSUPP) {
        *(size_t *)ret_value = 0;
        r = 0;
    }
    return r;
}

int coir_stream_query(coir_stream *stream, int key, void *ret_value)
{
    if (stream == NULL || ret_value == NULL)
        return -EINVAL;
    if (stream->loop != coir__loop)
        return coir__refuse(stream->loop, NULL, -COIR_EWRONGLOOP);
    int r = stream->filed ? query_file(stream, key, ret_value) : query_ops(stream, key, ret_value);
    if (r == 0 && (key == COIR_QUERY_UNREAD || key == COIR_QUERY_HELD))
        *(size_t *)ret_value += stream->count;
    return r;
}

int coir_stream_address(coir_stream *stream, bool peer, struct sockaddr *ret_address,
                        socklen_t *length)
{
    coir_stream *lower;
    while (stream != NULL && !stream->filed &&
           coir_stream_query(stream, COIR_QUERY_LOWER, &lower) == 0)
        stream = lower;
    if (stream == NULL || !stream->filed)
        return stream == NULL ? -EINVAL : -ENOTSOCK;
    return coir_socket_address((coir_socket *)coir__file_of(stream), peer, ret_address, length);
}

/* ---- closing ---- */

/* Closing a socket that has unread bytes makes the kernel reset the connection, and the peer may
 * lose what it has not read yet. So the end is said first, and what the peer still sends is thrown
 * away. What knows no half close, such as a pipe, needs none of this. Returns whether the peer
 * would not stop. */
static bool drain(struct coir_stream *stream, struct coir_task *self)
{
    struct coir_loop *loop = stream->loop;
    struct coir__file *file = coir__file_of(stream);
    if (loop->backend->file_unread(loop, file) <= 0 ||
        loop->backend->file_shutdown(loop, file, SHUT_WR) == -ENOTSOCK)
        return false;
    coir__stream_free_buffer(stream);
    COIR_SCOPE(linger, LINGER);
    char data[4096];
    size_t n;
    int r;
    do {
        r = coir__enter(self);
        if (r >= 0)
            r = coir__stream_read_below(stream, self, data, sizeof data, &n);
    } while (r > 0);
    return r < 0;
}

/* That the task of the last call was cancelled does not make this close an abrupt one: hence the
 * shield. */
void coir__stream_closed(struct coir_stream *stream)
{
    COIR_SHIELD(LINGER);
    struct coir__functions *functions = coir__functions_of(stream);
    functions->ops->close(functions->state, stream->abrupt);
    coir__stream_free_buffer(stream);
    coir__free(functions);
}

/* Ends the waits for something else that calls which use stream are in. */
static void interrupt(struct coir_stream *stream)
{
    for (size_t i = 0; i < COIR_COUNT(stream->inside); i++)
        if (coir__unlikely(stream->inside[i] != NULL))
            coir__scope_cancel(stream->inside[i], NULL);
}

/* Closes a stream without a file: now, or when those that are inside have been told and left. */
static void close_ops(struct coir_stream *stream, bool abrupt)
{
    assert(!stream->closing && "closed twice");
    stream->closing = true;
    stream->abrupt = abrupt || stream->writing;
    interrupt(stream);
    if (stream->holds == 0)
        coir__stream_closed(stream);
}

/* A task that was to be started for stream must hear of its end before anything is freed. */
static void tell_awaiting(coir_stream *stream)
{
    if (coir__unlikely(stream->awaited))
        coir__readable_lost(stream);
}

static void close_stream(coir_stream *stream, bool abrupt)
{
    if (!stream->filed) {
        close_ops(stream, abrupt);
        return;
    }
    interrupt(stream);
    coir__file_release(coir__file_of(stream), abrupt);
}

void coir_stream_close(coir_stream *stream)
{
    if (stream == NULL || coir__elsewhere(stream->loop, NULL))
        return;
    tell_awaiting(stream);
    struct coir_task *self = coir__self();
    bool abrupt = stream->broken || (self != NULL && self->pending != 0);
    if (!abrupt && self != NULL && stream->filed && !coir__stream_is_read(stream) &&
        coir__file_of(stream)->write == NULL)
        abrupt = drain(stream, self);
    close_stream(stream, abrupt);
}

void coir_stream_abort(coir_stream *stream)
{
    if (stream == NULL || coir__elsewhere(stream->loop, NULL))
        return;
    tell_awaiting(stream);
    close_stream(stream, true);
}
