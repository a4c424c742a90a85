/* readable.c: tasks that start when their stream has something to read.
 *
 * Owns the record of such a wait. The kernel is asked by a poll in the read operation of the
 * stream's file (of the lowest stream under filters), which needs no buffer; a timer stands beside
 * it for the idle deadline. Whatever comes first, or a cancellation of the group, ends the other
 * and starts the task. The stream knows that it is awaited, so that its close ends the wait too.
 * When there is no memory for a task just then, it is tried again a little later: its argument has
 * no other way to be released.
 */
#include <poll.h>
#include <string.h>

#include "io/stream/stream.h"

#define RETRY COIR_MS(10)

struct coir__readable {
    struct coir__deferred deferred;
    struct coir_stream *stream; /* NULL: it was closed */
    struct coir__file *file;    /* that is polled; NULL: not any more */
    coir_timer timer;           /* the idle deadline, then the next attempt to start the task */
    uint8_t stack_class;
    bool named;  /* else no room was taken for a name */
    char name[]; /* as coir_task_set_name cuts it */
};

/* ---- the end of a wait ---- */

static void start_task(void *arg)
{
    struct coir__readable *readable = arg;
    struct coir_loop *loop = readable->deferred.group->coir__loop;
    coir_timer_stop(loop, &readable->timer);
    struct coir_task *task = coir__deferred_start(&readable->deferred, readable->stack_class);
    if (task == NULL) {
        coir_timer_start(loop, &readable->timer, loop->now + RETRY, start_task, readable);
        return;
    }
    if (readable->named)
        coir_task_set_name(task, "%s", readable->name);
    if (readable->stream == NULL)
        coir_cancel(task, "the stream that it was to read from was closed");
    else
        readable->stream->awaited = NULL;
    coir__free(readable);
}

static void poll_done(struct coir__op *op)
{
    struct coir__readable *readable = op->user;
    struct coir__file *file = op->file;
    readable->file = NULL;
    if (op->result > 0 && readable->stream != NULL)
        readable->stream->idle = false; /* what was finished wins */
    if (file->closing)
        coir__file_released(file);
    start_task(readable);
}

/* Ends the poll, and starts the task now or when that has ended. */
static void stop_polling(struct coir__readable *readable)
{
    struct coir__file *file = readable->file;
    if (file == NULL)
        return; /* the task could not be started yet: its timer runs */
    if (!file->loop->backend->cancel(file->loop, &file->read))
        return; /* poll_done comes */
    readable->file = NULL;
    start_task(readable);
}

static void hurry(struct coir__deferred *deferred)
{
    stop_polling(coir__container(deferred, struct coir__readable, deferred));
}

static void idle_too_long(void *arg)
{
    struct coir__readable *readable = arg;
    readable->stream->idle = true;
    stop_polling(readable);
}

void coir__readable_lost(struct coir__readable *readable)
{
    coir_timer_stop(readable->deferred.group->coir__loop, &readable->timer);
    readable->stream->awaited = NULL;
    readable->stream = NULL;
    if (readable->file != NULL)
        stop_polling(readable);
    else
        start_task(readable);
}

/* ---- its beginning ---- */

/* Whether a read would not have to wait, as far as is known without asking the kernel. */
static bool has_bytes(struct coir_stream *stream)
{
    size_t unread = 0;
    return stream->file == NULL && coir_stream_query(stream, COIR_QUERY_UNREAD, &unread) == 0 &&
           unread > 0;
}

/* The file that tells when stream can be read from; NULL: it has bytes, or nothing tells. What was
 * shown of a stream that has no more bytes goes back. */
static struct coir__file *file_below(struct coir_stream *stream)
{
    while (stream->count == 0) {
        coir_stream *lower;
        coir__stream_free_buffer(stream);
        if (stream->file != NULL)
            return stream->file;
        if (has_bytes(stream) || coir_stream_query(stream, COIR_QUERY_LOWER, &lower) < 0)
            return NULL;
        stream = lower;
    }
    return NULL;
}

/* Asks the backend for the file to become readable. Returns 0 when it was asked, 1 when it is. */
static int start_polling(struct coir__readable *readable, struct coir__file *file)
{
    struct coir_loop *loop = file->loop;
    struct coir__op *op = &file->read;
    op->kind = COIR__OP_POLL;
    op->events = POLLIN | POLLRDHUP;
    op->task = NULL;
    op->user = readable;
    op->done = poll_done;
    long result = loop->backend->start(loop, op);
    if (result != COIR__STARTED)
        return result < 0 ? (int)result : 1;
    readable->file = file;
    return 0;
}

static int wait_below(struct coir__readable *readable, struct coir__file *file, coir_time idle)
{
    struct coir_loop *loop = file->loop;
    int r = start_polling(readable, file);
    coir_time when;
    if (r == 0 && !__builtin_add_overflow(coir__clock_of(loop), idle, &when))
        coir_timer_start(loop, &readable->timer, when, idle_too_long, readable);
    return r;
}

/* The record of a wait for a task with opts, which were looked at. NULL: no memory. */
static struct coir__readable *make(const struct coir_loop *loop, const coir_spawn_opts *opts)
{
    size_t length = opts->name == NULL ? 0 : strnlen(opts->name, COIR__NAME_SIZE - 1) + 1;
    struct coir__readable *readable = coir__calloc(1, sizeof *readable + length);
    if (readable == NULL)
        return NULL;
    unsigned class_index =
        opts->stack_size == 0 ? loop->stack_class : coir__stack_class(opts->stack_size);
    readable->stack_class = (uint8_t)class_index;
    readable->named = length > 0;
    if (length > 0)
        memcpy(readable->name, opts->name, length - 1);
    return readable;
}

/* Whether a wait for stream can begin. */
static int look(const coir_group *group, const coir_stream *stream)
{
    if (stream->loop != group->coir__loop)
        return coir__refuse(stream->loop, NULL, -COIR_EWRONGLOOP);
    return coir__stream_is_read(stream) || stream->awaited != NULL ? -EBUSY : 0;
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
    if (file != NULL && file->read.active)
        return -EBUSY;
    stream->idle = false;
    if (file == NULL || group->coir__scope.coir__effective != 0)
        return coir_spawn_with_at(group, fn, arg, opts, NULL, site);
    struct coir__readable *readable = make(group->coir__loop, opts);
    if (readable == NULL)
        return -ENOMEM;
    readable->stream = stream;
    readable->deferred =
        (struct coir__deferred){.group = group, .fn = fn, .arg = arg, .site = site, .hurry = hurry};
    r = wait_below(readable, file, idle);
    if (r == 0) {
        stream->awaited = readable;
        coir__defer(&readable->deferred);
        return 0;
    }
    coir__free(readable);
    return r < 0 ? r : coir_spawn_with_at(group, fn, arg, opts, NULL, site);
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
