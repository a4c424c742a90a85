/* file.c: the kinds of waiting for a file, and its end.
 *
 * A file is closed when no operation of it is under way: those that are get withdrawn, and where
 * the backend cannot do so at once the close is finished by the last completion. The waiting tasks
 * are told -COIR_ECLOSED and never look at the file again. Called by stream/stream.c and socket.c.
 */
#include <stdio.h>

#include "io/descriptor/file.h"

static size_t describe_file(const struct coir_task *task, char *text, size_t size)
{
    const struct coir__file *file = task->wait_object;
    return (size_t)snprintf(text, size, "fd %d", file->fd);
}

static struct coir__file *file_of(const struct coir_task *task)
{
    return (struct coir__file *)(uintptr_t)task->wait_object;
}

static bool abort_read(struct coir_task *task)
{
    struct coir__file *file = file_of(task);
    return file->stream.loop->backend->cancel(file->stream.loop, &file->read);
}

static bool abort_write(struct coir_task *task)
{
    return task->loop->backend->cancel(task->loop, &task->writing.op);
}

const struct coir__wait coir__wait_accept = {"waits for accept", abort_read, describe_file};
const struct coir__wait coir__wait_connect = {"connects", abort_write, describe_file};
const struct coir__wait coir__wait_read = {"waits to read", abort_read, describe_file};
const struct coir__wait coir__wait_receive = {"waits to receive", abort_read, describe_file};
const struct coir__wait coir__wait_send = {"waits to send", abort_write, describe_file};
const struct coir__wait coir__wait_write = {"waits to write", coir__stream_abort_write,
                                            describe_file};

/* Ends an operation for a file that is closed. No task waits for one of readable.c. */
static void interrupt(struct coir__op *op)
{
    struct coir_loop *loop = op->file->stream.loop;
    if (!loop->backend->cancel(loop, op))
        return;
    if (op->task != NULL) {
        coir__wake(op->task, -COIR_ECLOSED);
    } else {
        op->result = -COIR_ECLOSED;
        op->done(op);
    }
}

void coir__file_released(struct coir__file *file)
{
    if (file->read.active || file->write != NULL || file->stream.holds > 0)
        return;
    struct coir_loop *loop = file->stream.loop;
    if (file->stream.buffer != NULL)
        coir__stream_free_buffer(&file->stream);
    loop->backend->file_close(loop, file, file->stream.abrupt);
}

void coir__file_release(struct coir__file *file, bool abrupt)
{
    assert(!file->stream.closing && "closed twice");
    assert(file->stream.loop == coir__loop && "closed by another loop than its own");
    file->stream.closing = true;
    file->stream.abrupt = abrupt || file->write != NULL;
    file->stream.holds++;
    if (file->read.active)
        interrupt(&file->read);
    if (file->write != NULL)
        interrupt(file->write);
    file->stream.holds--;
    coir__file_released(file);
}
