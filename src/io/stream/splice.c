/* splice.c: bytes from one stream to another.
 *
 * Two ways. Bytes are copied through the buffer of the stream that is read; or, where both are
 * descriptors of the kernel and a lot is under way, the kernel moves them through a pipe, so that
 * they are never here. Few bytes are cheaper to copy, and a stream that sends few may be received
 * from without being asked (io_uring). So each piece decides about the next one.
 *
 * Each byte is either written to the one stream or can still be read from the other: what is in the
 * pipe when a call ends early is put back. A pipe is taken when there are bytes and given back when
 * it is empty, so a wait for more holds none. Neither way blocks a thread: both ends are asked
 * without waiting, and polled. The ring's own splice would occupy one of the kernel's few threads
 * for each wait. Called by programs.
 */
#include <poll.h>

#include "io/descriptor/native.h"
#include "io/stream/pipe.h"
#include "io/stream/stream.h"

#define BULK ((size_t)16 << 10)   /* after a piece as large the kernel moves the next one */
#define MOST ((size_t)256 << 10)  /* of one piece: others want their turn */
#define COPIED ((size_t)16 << 10) /* read at once from a stream of functions */

struct splicing {
    struct coir_stream *from, *to;
    struct coir_task *self;
    struct coir_scope *inside; /* cancelled when the stream is closed that is not waited for */
    uint64_t left, moved;
    struct coir__pipe pipe;
    bool shown;   /* the backend knows that others read from the descriptor */
    bool refused; /* the kernel does not know how to move between these two */
};

static bool is_closed(const struct splicing *splicing)
{
    return splicing->from->closing || splicing->to->closing;
}

/* Lets others run when it is their turn. Returns 0, or why this is the end. */
static int go_on(const struct splicing *splicing, size_t moved)
{
    splicing->self->loop->charges -= (int)(moved >> 14);
    int r = coir__enter(splicing->self);
    return is_closed(splicing) ? -COIR_ECLOSED : r;
}

static void count(struct splicing *splicing, size_t n)
{
    splicing->moved += n;
    splicing->left -= n;
}

/* ---- by copying ---- */

/* Waits for bytes in the buffer of the stream that is read. Returns 1, 0 at its end, or a code. */
static int fill(struct splicing *splicing)
{
    if (splicing->from->count > 0)
        return 1;
    splicing->to->inside[1] = splicing->inside;
    int r = coir__stream_fill(splicing->from, splicing->self, COPIED);
    splicing->to->inside[1] = NULL;
    return r;
}

/* Writes what is in the buffer. Returns how many bytes, or a code; what was not taken stays. */
static long copy_piece(struct splicing *splicing)
{
    struct coir_stream *from = splicing->from, *to = splicing->to;
    int r = fill(splicing);
    if (r > 0 && (r = go_on(splicing, 0)) == 0)
        r = 1;
    if (r <= 0)
        return r;
    size_t size = from->count < splicing->left ? from->count : (size_t)splicing->left;
    from->inside[0] = splicing->inside;
    size_t n;
    r = coir__stream_write_more(to, splicing->self, from->buffer + from->first, size, &n);
    from->inside[0] = NULL;
    to->broken = false; /* it is known what was taken */
    coir_stream_consume(from, n);
    count(splicing, n);
    return r < 0 ? r : (long)n;
}

/* ---- by the kernel ---- */

static void is_ready(struct coir__op *op)
{
    struct coir_task *task = op->task;
    coir__wake(task, op->result < 0 ? coir__late(op, op->result) : 0);
}

/* Waits until a file is ready. Returns 0 or a code. */
static int wait_for(struct coir_task *self, struct coir__op *op, short events,
                    const struct coir__wait *wait)
{
    op->kind = COIR__OP_POLL;
    op->events = events;
    op->task = self;
    op->done = is_ready;
    long r = self->loop->backend->start(self->loop, op);
    if (r != COIR__STARTED)
        return r < 0 ? (int)r : 0;
    return coir__park(self, wait, op->file);
}

/* Moves bytes into a pipe, waiting for them. Returns how many, 0 at the end of the stream, or a
 * code. */
static long take_in(struct splicing *splicing)
{
    struct coir__file *file = coir__file_of(splicing->from);
    size_t most = splicing->left < MOST ? (size_t)splicing->left : MOST;
    for (;;) {
        int r = coir__pipe_take(splicing->self->loop, &splicing->pipe);
        if (r < 0)
            return r;
        long n = coir__native_splice_in(file->fd, splicing->pipe.writer, most);
        if (n > 0)
            return n;
        coir__pipe_give(splicing->self->loop, &splicing->pipe, true);
        if (n != -EAGAIN)
            return n;
        splicing->to->inside[1] = splicing->inside;
        r = wait_for(splicing->self, &file->read, POLLIN | POLLRDHUP, &coir__wait_read);
        splicing->to->inside[1] = NULL;
        if (r == 0)
            r = go_on(splicing, 0);
        if (r < 0)
            return r;
    }
}

/* Moves what is in the pipe on, n bytes, waiting for room. Returns 0 or a code, and how many bytes
 * are left in it. */
static int give_out(struct splicing *splicing, size_t *n)
{
    struct coir__file *file = coir__file_of(splicing->to);
    while (*n > 0) {
        long moved = coir__native_splice_out(splicing->pipe.reader, file->fd, *n);
        int r = moved < 0 ? (int)moved : 0;
        if (moved > 0) {
            *n -= (size_t)moved;
            count(splicing, (size_t)moved);
        } else if (moved == -EAGAIN) {
            splicing->from->inside[0] = splicing->inside;
            r = wait_for(splicing->self, coir__file_write(file, splicing->self), POLLOUT,
                         &coir__wait_send);
            splicing->from->inside[0] = NULL;
        }
        if (r == 0)
            r = go_on(splicing, moved > 0 ? (size_t)moved : 0);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Whether the kernel may read from the stream next. */
static bool goes_directly(struct splicing *splicing)
{
    struct coir_stream *from = splicing->from;
    struct coir_loop *loop = splicing->self->loop;
    if (splicing->refused || !from->filed || !splicing->to->filed || loop->backend->simulated ||
        from->count > 0 || from->torn)
        return false;
    if (!splicing->shown && loop->backend->file_show != NULL)
        loop->backend->file_show(loop, coir__file_of(from));
    splicing->shown = true;
    return loop->backend->file_holds == NULL ||
           !loop->backend->file_holds(loop, coir__file_of(from));
}

/* As copy_piece. What the kernel cannot move between these two, and what there is no pipe for, is
 * copied: then -EAGAIN. */
static long move_piece(struct splicing *splicing)
{
    coir__stream_free_buffer(splicing->from); /* what was lent */
    uint64_t before = splicing->moved;
    long taken = take_in(splicing);
    size_t rest = taken > 0 ? (size_t)taken : 0;
    long r = taken > 0 ? give_out(splicing, &rest) : taken;
    bool empty =
        rest == 0 || coir__stream_put_back(splicing->from, splicing->pipe.reader, rest) == 0;
    coir__pipe_give(splicing->self->loop, &splicing->pipe, empty);
    switch (-r) {
    case 0: return (long)(splicing->moved - before);
    case EINVAL:
    case ENOSYS:
    case EOPNOTSUPP:
    case EPERM:
    case EMFILE:
    case ENFILE: splicing->refused = true; return -EAGAIN;
    default: return r;
    }
}

/* ---- both ---- */

static int move_all(struct splicing *splicing)
{
    long n = 0;
    for (;;) {
        n = n >= (long)BULK && goes_directly(splicing) ? move_piece(splicing)
                                                       : copy_piece(splicing);
        if (n == 0 || (n < 0 && n != -EAGAIN) || splicing->left == 0)
            return n < 0 ? (int)n : 0;
        int r = go_on(splicing, n > 0 ? (size_t)n : 0);
        if (r < 0)
            return r;
    }
    return 0;
}

/* What is wrong with a call by self; nobody else runs meanwhile. */
static int check(struct coir_stream *from, struct coir_stream *to, const struct coir_task *self)
{
    if (from == NULL || to == NULL)
        return -EINVAL;
    if (self == NULL)
        return coir__refuse(coir__any_debugs() ? from->loop : NULL, NULL, -COIR_ENOTASK);
    if (from->loop != self->loop || to->loop != self->loop)
        return coir__refuse(from->loop != self->loop ? from->loop : to->loop, NULL,
                            -COIR_EWRONGLOOP);
    if (to->broken)
        return -COIR_EBROKENSTREAM;
    if (coir__stream_is_read(from) || coir__stream_is_written(to))
        return -EBUSY;
    return 0;
}

/* Moves all, of two streams that are held. */
static int splice_held(struct splicing *splicing)
{
    int r = go_on(splicing, 0);
    if (r < 0)
        return r;
    COIR_SCOPE(inside, COIR_FOREVER);
    splicing->inside = &inside;
    r = splicing->left > 0 ? move_all(splicing) : 0;
    if (splicing->to->filed && splicing->to->closing)
        splicing->to->abrupt = true; /* its peer must not take this for all */
    return is_closed(splicing) && r < 0 ? -COIR_ECLOSED : r;
}

int coir_stream_splice(coir_stream *from, coir_stream *to, uint64_t length, uint64_t *ret_moved)
{
    struct coir_task *self = coir__self();
    struct splicing splicing = {.from = from, .to = to, .self = self, .left = length};
    int r = check(from, to, self);
    if (r == 0) {
        coir__stream_hold(from);
        coir__stream_hold(to);
        from->reading = to->writing = true;
        r = splice_held(&splicing);
        from->reading = to->writing = false;
        if (from->count == 0)
            coir__stream_free_buffer(from);
        (void)coir__stream_drop(to);
        (void)coir__stream_drop(from);
    }
    if (ret_moved != NULL)
        *ret_moved = splicing.moved;
    return r;
}
