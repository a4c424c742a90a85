/* buffer.c: reading through a stream's buffer: looking ahead, up to a separator, lines,
 * exact sizes.
 *
 * Owns coir_stream.buffer. It is there only while it holds bytes, while a call of this file waits
 * for more of them, and while bytes in it are shown to the caller. The first bytes come into a
 * buffer of the loop's, which the backend takes when they are there: so a stream that waits for
 * them holds none, and streams whose bytes are soon consumed all use the same one, out of the
 * processor's cache. When more must be read, what is there moves to a block of the stream's own.
 *
 * Whatever was read below and not delivered is in the buffer, so no call loses bytes when it ends
 * early: it has not consumed anything yet. Only an exact read goes to the caller's memory at once,
 * and puts back what it has when it must end early. The calls that wait hold the stream. Called by
 * users; stream.c takes from the buffer first.
 */
#include <string.h>

#include "core/sys.h"
#include "io/stream/stream.h"

#define FIRST_ROOM 12 /* 4 KiB */
#define MOST UINT32_MAX

/* The buffer's size. */
static size_t capacity_of(const struct coir_stream *stream)
{
    return stream->buffer != NULL ? (size_t)1 << stream->room : 0;
}

/* ---- the buffer ---- */

void coir__stream_free_buffer(struct coir_stream *stream)
{
    if (stream->lent)
        coir__buffer_give(stream->loop, stream->buffer);
    else
        coir__free(stream->buffer);
    stream->lent = false;
    stream->buffer = NULL;
    stream->first = stream->count = 0;
}

static void skip(struct coir_stream *stream, size_t n)
{
    stream->first += (uint32_t)n;
    stream->count -= (uint32_t)n;
}

int coir__stream_take(struct coir_stream *stream, void *data, size_t size, size_t *ret_n)
{
    size_t n = size < stream->count ? size : stream->count;
    memcpy(data, stream->buffer + stream->first, n);
    skip(stream, n);
    if (stream->count == 0)
        coir__stream_free_buffer(stream);
    *ret_n = n;
    return 1;
}

/* Moves what is in a buffer of the loop's to a block of its own. */
static int move_out(struct coir_stream *stream, uint8_t room)
{
    char *block = coir__alloc((size_t)1 << room);
    if (block == NULL)
        return -ENOMEM;
    uint32_t count = stream->count;
    memcpy(block, stream->buffer + stream->first, count);
    coir__stream_free_buffer(stream);
    stream->buffer = block;
    stream->count = count;
    stream->room = room;
    return 0;
}

/* Makes room for more bytes, least in all. What the caller was shown may move or go away. When more
 * would be moved than is gained the block grows as well, so that a window which slides does not
 * move all of it for each byte. */
static int make_room(struct coir_stream *stream, size_t least)
{
    size_t needed = least > stream->count ? least : (size_t)stream->count + 1;
    if (stream->count == 0)
        stream->first = 0;
    bool own = stream->buffer != NULL && !stream->lent;
    if (own && stream->first + needed <= capacity_of(stream))
        return 0;
    if (needed > MOST / 2)
        return -ENOMEM;
    uint8_t room = own ? stream->room : FIRST_ROOM;
    bool crowded = stream->first > 0 && stream->first < stream->count;
    while ((size_t)1 << room < (crowded ? 2 * needed : needed))
        room++;
    if (stream->lent)
        return move_out(stream, room);
    if (stream->first > 0 && stream->count > 0)
        memmove(stream->buffer, stream->buffer + stream->first, stream->count);
    stream->first = 0;
    if (own && room == stream->room)
        return 0;
    char *buffer = coir__realloc(stream->buffer, (size_t)1 << room);
    if (buffer == NULL)
        return own && needed <= capacity_of(stream) ? 0 : -ENOMEM;
    stream->buffer = buffer;
    stream->room = room;
    return 0;
}

/* ---- waiting until enough is there ---- */

/* What a call waits for: so many bytes, or a separator among the first so many. */
struct goal {
    size_t size;
    const char *separator; /* NULL: size bytes */
    size_t length;         /* of the separator */
    size_t searched;       /* no separator begins before here */
    size_t end;            /* once it is reached: how many bytes belong to it */
};

/* 1: goal is reached; 0: more bytes are needed; -COIR_ETOOLONG. */
static int look(const struct coir_stream *stream, struct goal *goal)
{
    size_t count = stream->count < goal->size ? stream->count : goal->size;
    if (goal->separator == NULL) {
        goal->end = goal->size;
        return count == goal->size;
    }
    if (count - goal->searched >= goal->length && count > goal->searched) {
        const char *from = stream->buffer + stream->first + goal->searched;
        const char *found =
            goal->length == 1 ? memchr(from, goal->separator[0], count - goal->searched)
                              : memmem(from, count - goal->searched, goal->separator, goal->length);
        if (found != NULL) {
            goal->end = (size_t)(found - (stream->buffer + stream->first)) + goal->length;
            return 1;
        }
        goal->searched = count - goal->length + 1;
    }
    return count == goal->size ? -COIR_ETOOLONG : 0;
}

/* Asks for the first bytes, in a buffer of the loop's, which the backend takes. What was shown goes
 * back. */
static struct coir__op *ask_first(struct coir_stream *stream)
{
    if (stream->buffer != NULL)
        coir__stream_free_buffer(stream);
    struct coir__op *op = &coir__file_of(stream)->read;
    op->data = NULL;
    return op;
}

/* Makes the buffer that the backend has filled the stream's. */
static void keep_first(struct coir_stream *stream, struct coir__op *op, size_t n)
{
    if (op->data == NULL)
        return;
    stream->buffer = op->data;
    stream->lent = true;
    stream->count = (uint32_t)n;
    op->data = NULL;
}

static int fill_first(struct coir_stream *stream, struct coir_task *self)
{
    struct coir__op *op = ask_first(stream);
    size_t n = 0;
    int r = coir__stream_read_below(stream, self, NULL, COIR__BUFFER_SIZE, &n);
    keep_first(stream, op, r > 0 ? n : 0);
    return r;
}

/* Reads more into the buffer. Returns 1, 0 at the end, or an error. */
static int fill(struct coir_stream *stream, struct coir_task *self, const struct goal *goal)
{
    bool whole = goal->separator == NULL && goal->size > COIR__BUFFER_SIZE;
    if (stream->count == 0 && stream->filed && !whole)
        return fill_first(stream, self);
    int r = make_room(stream, goal->separator == NULL ? goal->size : 0);
    if (r < 0)
        return r;
    size_t n, end = (size_t)stream->first + stream->count;
    r = coir__stream_read_below(stream, self, stream->buffer + end, capacity_of(stream) - end, &n);
    if (r > 0)
        stream->count += (uint32_t)n;
    return r;
}

int coir__stream_fill(struct coir_stream *stream, struct coir_task *self, size_t size)
{
    struct goal goal = {.size = size};
    int r = fill(stream, self, &goal);
    if (r <= 0)
        coir__stream_free_buffer(stream);
    return r;
}

int coir__stream_put_back(struct coir_stream *stream, int pipe, size_t size)
{
    long n = make_room(stream, size);
    while (n >= 0 && stream->count < size) {
        do
            n = coir__sys_read(pipe, stream->buffer + stream->count, size - stream->count);
        while (n == -EINTR);
        stream->count += n > 0 ? (uint32_t)n : 0;
    }
    if (n >= 0)
        return 0;
    coir__stream_free_buffer(stream);
    stream->torn = true;
    return (int)n;
}

/* As fill, for each but the first time: others may run before it. */
static int fill_again(struct coir_stream *stream, struct coir_task *self, const struct goal *goal)
{
    int r = coir__enter(self);
    if (r < 0)
        return r;
    return stream->closing ? -COIR_ECLOSED : fill(stream, self, goal);
}

/* Waits until goal is reached. Returns 1, 0 at the end, or an error. */
static int wait_for(struct coir_stream *stream, struct coir_task *self, struct goal *goal)
{
    coir__stream_hold(stream);
    stream->reading = true;
    int r = fill(stream, self, goal);
    while (r > 0 && (r = look(stream, goal)) == 0)
        r = fill_again(stream, self, goal);
    stream->reading = false;
    if (r == 0 && stream->count > 0)
        r = -COIR_EEOF;
    if (r <= 0 && stream->count == 0)
        coir__stream_free_buffer(stream);
    return coir__stream_drop(stream) ? -COIR_ECLOSED : r;
}

/* 1 when goal is reached, which may take a wait; nobody else reads. */
static int reach(struct coir_stream *stream, struct coir_task *self, struct goal *goal)
{
    int r = stream->count > 0 ? look(stream, goal) : 0;
    return r != 0 ? r : wait_for(stream, self, goal);
}

/* ---- the calls ---- */

static int show_first(struct coir_stream *stream, struct coir__op *op, long n,
                      coir_bytes *ret_bytes)
{
    if (n <= 0)
        return (int)n;
    keep_first(stream, op, (size_t)n);
    *ret_bytes = (coir_bytes){stream->buffer, stream->count};
    return 1;
}

static void peek_done(struct coir__op *op)
{
    struct coir__file *file = op->file;
    struct coir_task *task = op->task;
    int r = show_first(&file->stream, op, op->result, op->user);
    if (r <= 0)
        r = coir__late(op, r);
    if (coir__unlikely(file->stream.closing)) {
        coir__file_released(file);
        r = -COIR_ECLOSED;
    }
    coir__wake(task, r);
}

/* A look at whatever comes first, over a file: as a read it leaves no frame behind that waits. */
static int peek_first(struct coir_stream *stream, struct coir_task *self, coir_bytes *ret_bytes)
{
    if (coir__unlikely(stream->torn))
        return -COIR_EBROKENSTREAM;
    struct coir__op *op = ask_first(stream);
    op->kind = COIR__OP_READ;
    op->length = COIR__BUFFER_SIZE;
    long n = self->loop->backend->start(self->loop, op);
    if (n != COIR__STARTED)
        return show_first(stream, op, n, ret_bytes);
    op->task = self;
    op->user = ret_bytes;
    op->done = peek_done;
    return coir__park(self, &coir__wait_read, op->file);
}

/* Waits for what a look needs more than there is. */
static __attribute__((noinline)) int peek_more(struct coir_stream *stream, struct coir_task *self,
                                               size_t least)
{
    struct goal goal = {.size = least};
    return wait_for(stream, self, &goal);
}

int coir_stream_peek(coir_stream *stream, size_t least, coir_bytes *ret_bytes)
{
    if (least == 0 || ret_bytes == NULL)
        return -EINVAL;
    if (least > COIR_STREAM_PEEK_LIMIT)
        return -COIR_ETOOLONG;
    struct coir_task *self = coir__self();
    int r = coir__stream_check(stream, self);
    if (r < 0)
        return r;
    if (coir__stream_is_read(stream))
        return -EBUSY;
    if (least == 1 && stream->count == 0 && stream->filed)
        return peek_first(stream, self, ret_bytes);
    r = stream->count >= least ? 1 : peek_more(stream, self, least);
    if (r > 0)
        *ret_bytes = (coir_bytes){stream->buffer + stream->first, stream->count};
    return r;
}

void coir_stream_consume(coir_stream *stream, size_t n)
{
    assert(stream->loop == coir__loop && n <= stream->count && "consumed more than was shown");
    skip(stream, n);
    if (stream->count == 0 && !coir__stream_is_read(stream))
        coir__stream_free_buffer(stream);
}

/* As coir_stream_read_until, but at the end of the stream what is left counts too: then
 * *ret_bytes does not end with the separator. */
static int read_record(struct coir_stream *stream, struct goal *goal, bool last,
                       coir_bytes *ret_bytes)
{
    if (goal->size == 0)
        goal->size = COIR_STREAM_DEFAULT_LIMIT;
    if (goal->separator == NULL || goal->length == 0 || goal->size < goal->length ||
        ret_bytes == NULL)
        return -EINVAL;
    struct coir_task *self = coir__self();
    int r = coir__stream_check(stream, self);
    if (r < 0)
        return r;
    if (coir__stream_is_read(stream))
        return -EBUSY;
    r = reach(stream, self, goal);
    if (r == -COIR_EEOF && last) {
        goal->end = stream->count;
        r = 1;
    }
    if (r > 0) {
        *ret_bytes = (coir_bytes){stream->buffer + stream->first, goal->end};
        skip(stream, goal->end);
    }
    return r;
}

int coir_stream_read_until(coir_stream *stream, const void *separator, size_t length, size_t limit,
                           coir_bytes *ret_bytes)
{
    struct goal goal = {.size = limit, .separator = separator, .length = length};
    return read_record(stream, &goal, false, ret_bytes);
}

int coir_stream_read_line(coir_stream *stream, size_t limit, coir_bytes *ret_line)
{
    struct goal goal = {.size = limit, .separator = "\n", .length = 1};
    int r = read_record(stream, &goal, true, ret_line);
    if (r > 0) {
        const char *text = ret_line->data;
        if (text[ret_line->length - 1] == '\n' && --ret_line->length > 0)
            ret_line->length -= text[ret_line->length - 1] == '\r';
    }
    return r;
}

/* ---- exact sizes ---- */

/* Puts bytes that were read back in front of the stream: the buffer is empty. */
static void put_back(struct coir_stream *stream, const char *data, size_t size)
{
    if (make_room(stream, size) < 0) {
        stream->torn = true;
        return;
    }
    memcpy(stream->buffer, data, size);
    stream->count = (uint32_t)size;
}

/* Reads until size bytes are there. Returns 1, or what kept it from that; *ret_done are there. */
static int read_all(struct coir_stream *stream, struct coir_task *self, char *data, size_t size,
                    size_t *ret_done)
{
    int r = 1;
    size_t n = 0;
    if (stream->count > 0 && size > 0)
        (void)coir__stream_take(stream, data, size, &n);
    else if (stream->count == 0)
        coir__stream_free_buffer(stream); /* what was lent */
    *ret_done = n;
    for (bool again = false; *ret_done < size; again = true) {
        r = again ? coir__enter(self) : 0;
        if (r >= 0)
            r = stream->closing
                    ? -COIR_ECLOSED
                    : coir__stream_read_below(stream, self, data + *ret_done, size - *ret_done, &n);
        if (r <= 0)
            break;
        *ret_done += n;
    }
    return r;
}

int coir_stream_read_exactly(coir_stream *stream, void *data, size_t size)
{
    struct coir_task *self = coir__self();
    int r = coir__stream_check(stream, self);
    if (r < 0)
        return r;
    if (data == NULL && size > 0)
        return -EINVAL;
    if (coir__stream_is_read(stream))
        return -EBUSY;
    coir__stream_hold(stream);
    stream->reading = true;
    size_t done;
    r = read_all(stream, self, data, size, &done);
    stream->reading = false;
    if (done > 0 && r <= 0)
        put_back(stream, data, done);
    if (coir__stream_drop(stream) && r <= 0)
        return -COIR_ECLOSED;
    return r > 0 ? 0 : r == 0 ? -COIR_EEOF : r;
}
