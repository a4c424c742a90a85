/* stream.c: files as streams, and files into streams.
 *
 * A stream over a file is one of functions, with the position as its state; it holds the file, so
 * either may be closed first. Sending a file to a socket lets a thread call sendfile, which may
 * wait for the disk but not for the socket: when that is full, a piece is read and written in the
 * usual way, which waits for room. Called by programs.
 */
#include "io/stream/stream.h"
#include "io/files/file.h"

#define PIECE ((size_t)64 << 10)

/* ---- a file as a stream ---- */

struct view {
    struct coir_file *file;
    uint64_t position;
};

static int view_read(void *state, void *data, size_t size, size_t *ret_n)
{
    struct view *view = state;
    long n = coir__file_read_some(view->file, data, size, view->position);
    if (n < 0)
        return coir__system_failed(n, "read", view->file->path);
    view->position += (size_t)n;
    *ret_n = (size_t)n;
    return n > 0;
}

static int view_write(void *state, const struct iovec *vectors, size_t count, size_t *ret_n)
{
    (void)count;
    struct view *view = state;
    long n =
        coir__file_write_some(view->file, vectors[0].iov_base, vectors[0].iov_len, view->position);
    if (n < 0)
        return coir__system_failed(n, "write", view->file->path);
    view->position += (size_t)n;
    *ret_n = (size_t)n;
    return 0;
}

static int view_shutdown(void *state)
{
    (void)state;
    return 0;
}

static void view_close(void *state, bool abrupt)
{
    (void)abrupt;
    struct view *view = state;
    (void)coir__file_leave(view->file);
    coir__free(view);
}

static int view_query(void *state, int key, void *ret_value)
{
    const struct view *view = state;
    if (key != COIR_QUERY_DESCRIPTOR)
        return -EOPNOTSUPP;
    *(int *)ret_value = view->file->fd;
    return 0;
}

static const coir_stream_ops view_ops = {
    .name = "file",
    .read = view_read,
    .write = view_write,
    .shutdown = view_shutdown,
    .close = view_close,
    .query = view_query,
};

int coir_file_stream(coir_file *file, uint64_t offset, coir_stream **ret_stream)
{
    if (file == NULL || ret_stream == NULL)
        return -EINVAL;
    if (file->loop != coir__loop)
        return -COIR_EWRONGLOOP;
    struct view *view = coir__alloc(sizeof *view);
    if (view == NULL)
        return -ENOMEM;
    *view = (struct view){file, offset};
    int r = coir_stream_open(&view_ops, view, ret_stream);
    if (r < 0)
        coir__free(view);
    else
        coir__file_hold(file);
    return r;
}

/* ---- a file into a stream ---- */

struct sending {
    struct coir_stream *stream;
    struct coir_task *self;
    struct coir_file *file;
    uint64_t offset, left;
    char *piece; /* NULL until one is needed */
};

/* Sends what the socket takes. Returns bytes, 0 at the end of the file, -EAGAIN when the other way
 * has to be gone, or a code. */
static long send_at_once(const struct sending *sending)
{
    struct coir__system call = {.kind = COIR__SYSTEM_SEND, .fd = sending->file->fd};
    call.to_fd = coir__file_of(sending->stream)->fd;
    call.offset = sending->offset;
    call.length = sending->left < COIR__SYSTEM_MOST ? (size_t)sending->left : COIR__SYSTEM_MOST;
    long n = coir__system(&call);
    return n == -EINVAL || n == -ENOSYS || n == -EOPNOTSUPP || n == -ENOTSOCK ? -EAGAIN : n;
}

/* Reads a piece and writes it, waiting for both. Returns as send_at_once. */
static long send_piece(struct sending *sending)
{
    if (sending->piece == NULL && (sending->piece = coir__alloc(PIECE)) == NULL)
        return -ENOMEM;
    size_t most = sending->left < PIECE ? (size_t)sending->left : PIECE;
    long n = coir__file_read_some(sending->file, sending->piece, most, sending->offset);
    if (n <= 0)
        return n < 0 ? coir__system_failed(n, "read", sending->file->path) : 0;
    int r = coir__enter(sending->self); /* what was read late may come with a cancellation */
    if (r == 0 && sending->stream->closing)
        r = -COIR_ECLOSED;
    size_t taken;
    if (r == 0)
        r = coir__stream_write_more(sending->stream, sending->self, sending->piece, (size_t)n,
                                    &taken);
    return r < 0 ? r : n;
}

/* The peer must not take what it has got for all of it. */
static int close_half_way(const struct sending *sending)
{
    if (sending->stream->filed)
        sending->stream->abrupt = true;
    return -COIR_ECLOSED;
}

static int send_all(struct sending *sending)
{
    bool directly = sending->stream->filed && !sending->self->loop->backend->simulated;
    bool sent = false;
    while (sending->left > 0) {
        long n = directly ? send_at_once(sending) : -EAGAIN;
        if (n == -EAGAIN && !sending->stream->closing)
            n = send_piece(sending);
        if (sending->stream->closing)
            return close_half_way(sending);
        if (n == 0 && sending->left == COIR_FILE_REST - sending->offset)
            return 0;
        if (n <= 0 && sent)
            sending->stream->broken = true;
        if (n <= 0)
            return n < 0 ? (int)n : -COIR_EEOF;
        sent = true;
        sending->offset += (uint64_t)n;
        sending->left -= (uint64_t)n;
    }
    return 0;
}

int coir_stream_send_file(coir_stream *stream, coir_file *file, uint64_t offset, uint64_t length)
{
    struct coir_task *self = coir__self();
    int r = coir__file_check(file);
    if (r == 0)
        r = coir__stream_check_write(stream, self);
    if (r < 0)
        return r;
    if (offset > INT64_MAX)
        return -EINVAL;
    struct sending sending = {.stream = stream, .self = self, .file = file, .offset = offset};
    sending.left = length < COIR_FILE_REST - offset ? length : COIR_FILE_REST - offset;
    coir__file_hold(file);
    coir__stream_hold(stream);
    stream->writing = true;
    r = send_all(&sending);
    stream->writing = false;
    coir__free(sending.piece);
    (void)coir__file_leave(file);
    return coir__stream_drop(stream) && r < 0 ? -COIR_ECLOSED : r;
}
