/* readable.c: tasks that start when their stream has something to read.
 *
 * The kernel is asked by a poll in the read operation of the stream's file (of the lowest stream
 * under filters), which needs no buffer; what is left in the group stands beside it, with the idle
 * deadline. Whatever comes first, or a cancellation of the group, ends the other and starts the
 * task. The stream knows that it is awaited, so that its close ends the wait too. While there is no
 * memory for a task, the file is held and nobody reads from it.
 */
#include <poll.h>

#include "io/stream/stream.h"

/* ---- the end of a wait ---- */

/* The stream that is awaited by a file; NULL: it was closed. */
static struct coir_stream *top_of(struct coir__file *file)
{
    return file->read.user;
}

/* Starts the task, if there is memory: else it is held until there is. The file may be gone then,
 * if it was closed. */
static void start_task(struct coir__file *file)
{
    struct coir_stream *top = top_of(file), *bottom = &file->stream;
    struct coir_task *task = coir__deferred_start(&file->awaiting);
    bool holds = task == NULL, held = bottom->reading;
    bottom->reading = holds;
    bottom->holds += (uint32_t)holds - (uint32_t)held;
    if (task == NULL)
        return;
    if (top == NULL)
        coir_cancel(task, "the stream that it was to read from was closed");
    else
        top->awaited = false;
    if (held && bottom->closing)
        coir__file_released(file);
}

static void poll_done(struct coir__op *op)
{
    struct coir__file *file = op->file;
    struct coir_stream *top = top_of(file);
    if (op->result > 0 && top != NULL)
        top->idle = false; /* what was finished wins */
    file->stream.holds++;
    start_task(file);
    (void)coir__file_drop(file);
}

/* Ends the poll, and starts the task now or when that has ended. */
static void stop_polling(struct coir__file *file)
{
    struct coir_loop *loop = file->stream.loop;
    if (file->read.active && loop->backend->cancel(loop, &file->read))
        start_task(file); /* else poll_done comes, or there was no memory */
}

static void end(struct coir__deferred *deferred, enum coir__deferred_end why)
{
    struct coir__file *file = coir__container(deferred, struct coir__file, awaiting);
    if (why == COIR__DEFERRED_LATE && top_of(file) != NULL)
        top_of(file)->idle = true;
    if (why != COIR__DEFERRED_AGAIN)
        stop_polling(file);
    else if (!file->read.active)
        start_task(file);
}

void coir__readable_lost(struct coir_stream *stream)
{
    struct coir__file *file =
        stream->filed ? coir__file_of(stream) : coir__functions_of(stream)->awaited;
    stream->awaited = false;
    file->read.user = NULL;
    stop_polling(file);
}

/* ---- its beginning ---- */

/* Whether a read would not have to wait, as far as is known without asking the kernel. */
static bool has_bytes(struct coir_stream *stream)
{
    size_t unread = 0;
    return !stream->filed && coir_stream_query(stream, COIR_QUERY_UNREAD, &unread) == 0 &&
           unread > 0;
}

/* The file that tells when stream can be read from; NULL: it has bytes, or nothing tells. What was
 * shown of a stream that has no more bytes goes back. */
static struct coir__file *file_below(struct coir_stream *stream)
{
    while (stream->count == 0) {
        coir_stream *lower;
        coir__stream_free_buffer(stream);
        if (stream->filed)
            return coir__file_of(stream);
        if (has_bytes(stream) || coir_stream_query(stream, COIR_QUERY_LOWER, &lower) < 0)
            return NULL;
        stream = lower;
    }
    return NULL;
}

/* Asks the backend for the file to become readable. Returns 0 when it was asked, 1 when it is. */
static int start_polling(struct coir__file *file, struct coir_stream *top)
{
    struct coir_loop *loop = file->stream.loop;
    struct coir__op *op = &file->read;
    op->kind = COIR__OP_POLL;
    op->events = POLLIN | POLLRDHUP;
    op->task = NULL;
    op->user = top;
    op->done = poll_done;
    long result = loop->backend->start(loop, op);
    if (result != COIR__STARTED)
        return result < 0 ? (int)result : 1;
    return 0;
}

/* Whether a wait for stream can begin. */
static int look(const coir_group *group, coir_stream *stream)
{
    if (stream->loop != group->coir__loop)
        return coir__refuse(stream->loop, NULL, -COIR_EWRONGLOOP);
    return coir__stream_is_read(stream) || stream->awaited ? -EBUSY : 0;
}

static struct coir__deferrals *kind_of(coir_group *group, coir_time idle, coir_fn fn,
                                       const coir_spawn_opts *opts, const coir_site *site)
{
    unsigned usual = group->coir__loop->stack_class,
             class_index = coir__stack_class(opts->stack_size);
    const struct coir__deferrals wanted = {
        .group = group,
        .fn = fn,
        .site = site,
        .limit = idle,
        .stack_class = (uint8_t)(opts->stack_size == 0 ? usual : class_index),
        .end = end,
    };
    return coir__deferrals_get(&wanted, opts->name);
}

int coir_spawn_on_readable_with_at(coir_group *group, coir_stream *stream, coir_time idle,
                                   coir_fn fn, void *arg, const coir_spawn_opts *opts,
                                   const coir_site *site)
{
    static const coir_spawn_opts defaults;
    opts = opts != NULL ? opts : &defaults;
    if (stream == NULL || fn == NULL || opts->eager || opts->ready ||
        coir__stack_class(opts->stack_size) >= COIR__STACK_CLASSES)
        return -EINVAL;
    int r = coir__group_resolve(group, arg, &group);
    if (r < 0)
        return r;
    r = look(group, stream);
    if (r < 0)
        return r;
    struct coir__file *file = file_below(stream);
    if (file != NULL && coir__stream_is_read(&file->stream))
        return -EBUSY;
    stream->idle = false;
    if (file == NULL || group->coir__scope.coir__effective != 0)
        return coir_spawn_with_at(group, fn, arg, opts, NULL, site);
    struct coir__deferrals *kind = kind_of(group, idle, fn, opts, site);
    if (kind == NULL)
        return -ENOMEM;
    r = start_polling(file, stream);
    if (r != 0) {
        coir__deferrals_drop(kind);
        return r < 0 ? r : coir_spawn_with_at(group, fn, arg, opts, NULL, site);
    }
    stream->awaited = true;
    if (!stream->filed)
        coir__functions_of(stream)->awaited = file;
    coir__defer(&file->awaiting, kind, arg);
    return 0;
}

int coir_spawn_on_readable_at(coir_group *group, coir_stream *stream, coir_time idle, coir_fn fn,
                              void *arg, const coir_site *site)
{
    return coir_spawn_on_readable_with_at(group, stream, idle, fn, arg, NULL, site);
}

bool coir_stream_was_idle(const coir_stream *stream)
{
    return stream->idle;
}
